"""``poweremail webhook trigger``: make events like those of the service, and post them."""

from __future__ import annotations

import difflib
import secrets
import time
from typing import Any

import httpx

from poweremail._cli import exits
from poweremail._cli.output import Output, plain
from poweremail._cli.webhook_options import EventOptions
from poweremail._runtime._time_limit import TimeLimit
from poweremail._types.event import EVENT_NAMES
from poweremail._types.secret import Secret
from poweremail.errors import ConfigurationError
from poweremail.sandbox._store.events import MailEvent
from poweremail.sandbox._webhooks.deliveries import event_members
from poweremail.sandbox._webhooks.recording import USER_AGENT
from poweremail.webhooks._events import JSON_TYPE, form_body, json_body
from poweremail.webhooks._signature import FORM_TYPE, find_scheme, sign, signature_header

_FORMATS = {"form": (FORM_TYPE, form_body), "json": (JSON_TYPE, json_body)}
_EXCERPT_CHARS = 200
_TIMEOUT_SECONDS = 30
_NEVER_LEFT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


def trigger(out: Output, options: EventOptions, *, key: Secret, brand: str) -> int:
    """Post the events, signed with *key*; print the response and return the exit status."""
    if options.event not in EVENT_NAMES:
        close = difflib.get_close_matches(options.event.lower().replace("-", "_"), EVENT_NAMES, 1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigurationError(
            f"{options.event!r} is none of {', '.join(EVENT_NAMES)}{hint}", field="EVENT"
        )
    if options.body_format not in _FORMATS:
        raise ConfigurationError(
            f"{options.body_format!r} is none of {', '.join(_FORMATS)}", field="--body-format"
        )
    scheme = find_scheme(options.scheme)
    to_url, url = options.to_url, options.url or options.to_url
    content_type, encode = _FORMATS[options.body_format]
    events = [_event(options, number) for number in range(options.count)]
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
        with (
            TimeLimit(_TIMEOUT_SECONDS) as limit,
            httpx.Client(timeout=_TIMEOUT_SECONDS) as client,
        ):
            request = client.build_request("POST", to_url, headers=headers, content=body)
            response = limit.send(client, request)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        never_left = isinstance(error, _NEVER_LEFT)
        status = exits.NOT_SENT if never_left else exits.UNKNOWN
        state = "not sent" if never_left else "no response came"
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
        kind = f"{options.event} event{'s' * (options.count > 1)}"
        out.say(f"{options.count} {kind}, signed by {scheme.name} for {url}")
        out.data(line)
    return status


def _event(options: EventOptions, number: int) -> dict[str, Any]:
    """Return event *number* of them, as the sandbox posts it."""
    about = {
        "smtp_user_name": "smtp12345",
        "unique_id": options.unique_id or secrets.token_hex(16),
        "from_email": "billing@example.com",
        "subject": "Invoice 42",
    }
    event = MailEvent(
        number=number,
        mail=1,
        email=options.recipient,
        kind=options.event,
        at=round(time.time() * 1_000) + number,
        ip="203.0.113.7",
        user_agent=USER_AGENT,
        url="https://example.com/" if options.event == "click" else None,
    )
    return event_members(about, event)
