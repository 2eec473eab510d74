"""``poweremail webhook trigger``: events that look like the service's, and posting them."""

from __future__ import annotations

import difflib
import secrets
import time
from typing import Any

import httpx

from poweremail._cli import exits
from poweremail._cli.output import Output, plain
from poweremail._types.event import EVENT_NAMES
from poweremail._types.secret import Secret
from poweremail.errors import ConfigurationError
from poweremail.webhooks._events import JSON_TYPE, form_body, json_body
from poweremail.webhooks._signature import FORM_TYPE, SignatureScheme, sign, signature_header

__all__ = ["trigger"]

_FORMATS = {"form": (FORM_TYPE, form_body), "json": (JSON_TYPE, json_body)}
_EXCERPT_CHARS = 200
_TIMEOUT_SECONDS = 30
_READER = {
    "ip": "203.0.113.7",
    "ua": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101",
}
_DETAILS: dict[str, dict[str, str]] = {
    "open": _READER,
    "click": _READER | {"url": "https://example.com/"},
    "soft_bounce": {"reason": "452 4.2.2 mailbox full"},
    "hard_bounce": {"reason": "550 5.1.1 no such user"},
    "spam": {"reason": "complaint by the recipient"},
}
"""
Members of ``msg``. The service does not document them: those that getMessageInfo has too have its
names here.
"""


def trigger(
    out: Output,
    event: str,
    *,
    to_url: str,
    url: str,
    scheme: SignatureScheme,
    key: Secret,
    unique_id: str | None,
    recipient: str,
    count: int,
    body_format: str,
    brand: str,
) -> int:
    """
    Post *count* events to *to_url*, signed for *url*; print the response, return the exit status.
    """
    if event not in EVENT_NAMES:
        close = difflib.get_close_matches(event.lower().replace("-", "_"), EVENT_NAMES, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigurationError(
            f"{event!r} is none of {', '.join(EVENT_NAMES)}{hint}", field="EVENT"
        )
    if body_format not in _FORMATS:
        raise ConfigurationError(
            f"{body_format!r} is none of {', '.join(_FORMATS)}", field="--body-format"
        )
    content_type, encode = _FORMATS[body_format]
    events = [_event(event, number, recipient, unique_id) for number in range(count)]
    body = encode(events, brand)
    headers = {
        "Content-Type": content_type,
        signature_header(brand): sign(scheme, key, url=url, body=body, content_type=content_type),
    }
    result: dict[str, object] = {
        "url": to_url,
        "events": [made["_id"] for made in events],
        "status": None,
        "answer": None,
    }
    try:
        response = httpx.post(to_url, headers=headers, content=body, timeout=_TIMEOUT_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        never_left = isinstance(
            error,
            httpx.ConnectError
            | httpx.ConnectTimeout
            | httpx.UnsupportedProtocol
            | httpx.InvalidURL,
        )
        status, state = (
            (exits.NOT_SENT, "not sent") if never_left else (exits.UNKNOWN, "no response came")
        )
        line = f"{state}: {type(error).__name__}: {error}"
        result["error"] = line
    else:
        status = exits.OK if response.is_success else exits.REJECTED
        excerpt = plain(response.text.strip()[:_EXCERPT_CHARS])
        result |= {"status": response.status_code, "answer": excerpt}
        line = f"{response.status_code} {response.reason_phrase}  {excerpt}".rstrip()
    if out.as_json:
        out.json(result)
    else:
        out.say(f"{count} {event} event{'s' * (count > 1)}, signed by {scheme.name} for {url}")
        out.data(line)
    return status


def _event(name: str, number: int, recipient: str, unique_id: str | None) -> dict[str, Any]:
    """Return an event with the members that the service is seen to send."""
    return {
        "_id": secrets.token_hex(12),
        "user_id": "5f2b8c0d9e1a4b7c6d3e2f10",
        "smtp_name": "smtp12345",
        "x_unique_id": unique_id or secrets.token_hex(16),
        "ts": round(time.time() * 1_000) + number,
        "event": name,
        "msg": {
            "email": recipient,
            "sender": "billing@example.com",
            "subject": "Invoice 42",
            **_DETAILS.get(name, {}),
        },
    }
