"""``poweremail webhook trigger``."""

from __future__ import annotations

import difflib
import json
import time

import httpx
import typer

from poweremail._cli.exits import NOT_SENT, OK, REJECTED, UNKNOWN
from poweremail._cli.webhook_events import made_events, printable
from poweremail._types.event import EVENT_NAMES
from poweremail._types.secret import Secret
from poweremail.errors import UsageError
from poweremail.webhooks._events import JSON_TYPE, form_body, json_body
from poweremail.webhooks._signature import (
    FORM_TYPE,
    SignatureScheme,
    check_brand,
    sign,
    signature_header,
)

__all__ = ["run"]

_FORMATS = {"form": (FORM_TYPE, form_body), "json": (JSON_TYPE, json_body)}
# Characters of an answer that are shown.
_SHOWN = 200


def run(
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
    as_json: bool,
) -> int:
    """
    Post *count* events of the kind *event* to *to_url*, print what was answered, and return the
    exit status.
    """
    if event not in EVENT_NAMES:
        raise UsageError(_unknown(event), field="EVENT", mail_state=None)
    if body_format not in _FORMATS:
        raise UsageError(
            f"{body_format!r} is none of {', '.join(_FORMATS)}",
            field="--body-format",
            mail_state=None,
        )
    content_type, body_of = _FORMATS[body_format]
    events = list(
        made_events(event, count, recipient=recipient, unique_id=unique_id, now=time.time())
    )
    body = body_of(events, check_brand(brand))
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
        response = httpx.post(to_url, headers=headers, content=body, timeout=30)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        never_left = isinstance(
            error,
            httpx.ConnectError
            | httpx.ConnectTimeout
            | httpx.UnsupportedProtocol
            | httpx.InvalidURL,
        )
        status, said = (NOT_SENT, "not sent") if never_left else (UNKNOWN, "no answer came")
        said = f"{said}: {type(error).__name__}: {error}"
    else:
        status = OK if response.is_success else REJECTED
        text = printable([response.text.strip()[:_SHOWN]])
        result |= {"status": response.status_code, "answer": text}
        said = f"{response.status_code} {response.reason_phrase}  {text}".rstrip()
    if as_json:
        typer.echo(json.dumps(result if status in (OK, REJECTED) else result | {"error": said}))
    else:
        typer.echo(
            f"{count} {event} event{'s' * (count > 1)}, signed by {scheme.name} for {url}", err=True
        )
        typer.echo(said)
    return status


def _unknown(event: str) -> str:
    close = difflib.get_close_matches(event.lower().replace("-", "_"), EVENT_NAMES, 1)
    meant = f"; did you mean {close[0]}?" if close else ""
    return f"{event!r} is none of {', '.join(EVENT_NAMES)}{meant}"
