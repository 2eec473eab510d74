"""
Parse the body of a webhook into events, and make such a body as the service does.

The documentation says JSON; in practice the body is a form with one field,
``PowerEmailtes_events``, that holds JSON. Whatever the bytes are, only `WebhookPayloadError` leaves
this module.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from poweremail._types.event import EventBatch, WebhookEvent
from poweremail._types.mime_types import without_parameters
from poweremail._wire.convert import converter
from poweremail._wire.json import loads_lenient
from poweremail.errors import WebhookPayloadError
from poweremail.webhooks._signature import BRAND, FORM_TYPE, form_fields

JSON_TYPE = "application/json"
MAX_EVENTS = 10_000
"""The most events that are read from one POST."""

# The brand stands before it, and its case varies.
_FIELD_SUFFIX = "tes_events"
# No event is nested so deeply. A handler could neither print nor pickle one that is.
_MAX_DEPTH = 50


def parse_events(
    body: bytes,
    content_type: str = FORM_TYPE,
    *,
    fields_only: bool = False,
    max_events: int = MAX_EVENTS,
) -> EventBatch:
    """
    Return the events of *body*, whose signature has been verified.

    Four forms are read: a form with one field whose name ends in ``tes_events`` and holds a JSON
    array; a JSON object with such a member, an array or a string that holds one; a JSON array of
    events; a single event.

    - *fields_only*: read the form only, because the signature covers nothing else.
    - *max_events*: the most events that are read.

    Raises `WebhookPayloadError` if the body has another form or more than *max_events* events.
    """
    members = _members(body, content_type, fields_only)
    if len(members) > max_events:
        raise WebhookPayloadError(f"the body has {len(members)} events, more than {max_events}")
    events: list[WebhookEvent] = []
    unreadable: list[Any] = []
    for member in members:
        if isinstance(member, dict) and isinstance(member.get("event"), str):
            events.append(converter.structure(member, WebhookEvent))
        else:
            unreadable.append(member)
    return EventBatch(tuple(events), tuple(unreadable))


def form_body(events: Iterable[Mapping[str, Any]], brand: str = BRAND) -> bytes:
    """Return *events* as the form that the service sends, of the type `FORM_TYPE`."""
    return urlencode({f"{brand}{_FIELD_SUFFIX}": json.dumps(list(events))}).encode("ascii")


def json_body(events: Iterable[Mapping[str, Any]], brand: str = BRAND) -> bytes:
    """Return *events* as a JSON object with one member, of the type `JSON_TYPE`."""
    return json.dumps({f"{brand}{_FIELD_SUFFIX}": list(events)}).encode("ascii")


def _members(body: bytes, content_type: str, fields_only: bool) -> list[Any]:  # noqa: FBT001
    if fields_only:
        return _form_members(body, content_type)
    kind = without_parameters(content_type)
    # The body may be a form although its type is JSON, as documented.
    is_json = kind.endswith("json") and f"{_FIELD_SUFFIX}=".encode() not in body.lower()
    if is_json or body.lstrip()[:1] in (b"[", b"{", b"\xef"):
        return _json_members(_loads(body))
    return _form_members(body, content_type if kind.startswith("multipart/") else FORM_TYPE)


def _form_members(body: bytes, content_type: str) -> list[Any]:
    try:
        fields = form_fields(body, content_type)
    except ValueError as error:
        raise WebhookPayloadError(f"{error}, and so has no events") from None
    values = [value for name, value in fields if name.lower().endswith(_FIELD_SUFFIX.encode())]
    if len(values) != 1:
        raise WebhookPayloadError(
            f"the form has {len(values) or 'no'} fields whose names end in {_FIELD_SUFFIX}; one is "
            "expected"
        )
    return _json_members(_loads(values[0]))


def _json_members(value: Any) -> list[Any]:
    if isinstance(value, dict):
        named = [member for name, member in value.items() if name.lower().endswith(_FIELD_SUFFIX)]
        if not named and "event" in value:
            return [value]
        if len(named) == 1:
            [value] = named
            if isinstance(value, str):
                value = _loads(value.encode("utf-8", "surrogatepass"))
    if not isinstance(value, list):
        raise WebhookPayloadError("the body is JSON, and has no list of events")
    return value


def _loads(text: bytes) -> Any:
    try:
        try:
            value = json.loads(text, parse_float=_finite, parse_constant=_finite)
        except ValueError:
            # The JSON of the service has surplus commas in places; no event may be lost for one.
            value = loads_lenient(text)
    except (ValueError, RecursionError) as error:
        reason = "too deeply nested" if isinstance(error, RecursionError) else "not whole"
        raise WebhookPayloadError(f"the JSON of the events is {reason}") from None
    if _too_deep(value):
        raise WebhookPayloadError("the JSON of the events is too deeply nested")
    return value


def _finite(text: str) -> float | None:
    return number if math.isfinite(number := float(text)) else None


def _too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            member
            for each in level
            if isinstance(each, dict | list)
            for member in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)
