"""
The body of a webhook: from bytes to events, and back for those who play the service.

It is documented as JSON, and seen as a form whose one field ``PowerEmailtes_events`` holds JSON.
Whatever bytes come, the only errors that leave this module are those that say so.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from poweremail._types.event import EventBatch, WebhookEvent
from poweremail._wire.convert import converter
from poweremail._wire.json import loads_lenient
from poweremail.errors import WebhookPayloadError
from poweremail.webhooks._signature import BRAND, FORM_TYPE, form_fields

__all__ = ["JSON_TYPE", "MAX_EVENTS", "form_body", "json_body", "parse_events"]

JSON_TYPE = "application/json"
MAX_EVENTS = 10_000
"""Events of one POST that are read."""

# Brands differ in what stands before it, and in upper and lower case.
_FIELD = "tes_events"
# No event is nested like this; what is could not be printed or pickled by those who get it.
_MAX_DEPTH = 50


def parse_events(
    body: bytes,
    content_type: str = FORM_TYPE,
    *,
    fields_only: bool = False,
    max_events: int = MAX_EVENTS,
) -> EventBatch:
    """
    Return the events of *body*, which the signature has been checked of.

    Read are a form with a field whose name ends in ``tes_events`` and holds a JSON array, a JSON
    object with such a member (an array, or a string that holds one), a JSON array of events, and a
    single event. With *fields_only* the form alone: the signature covers nothing else. Raises
    `WebhookPayloadError` where the body is none of these, or has more than *max_events*.
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
    """Return *events* as the form that the service is seen to send, of the type `FORM_TYPE`."""
    return urlencode({f"{brand}{_FIELD}": json.dumps(list(events))}).encode("ascii")


def json_body(events: Iterable[Mapping[str, Any]], brand: str = BRAND) -> bytes:
    """Return *events* as JSON with the same one member, of the type `JSON_TYPE`."""
    return json.dumps({f"{brand}{_FIELD}": list(events)}).encode("ascii")


def _members(body: bytes, content_type: str, fields_only: bool) -> list[Any]:  # noqa: FBT001
    if fields_only:
        return _of_form(body, content_type)
    # The form that is seen may bear the type that is documented.
    called_json = _is_json(content_type) and f"{_FIELD}=".encode() not in body.lower()
    if called_json or body.lstrip()[:1] in (b"[", b"{", b"\xef"):
        return _of_value(_loads(body))
    return _of_form(
        body, content_type if content_type.lower().lstrip().startswith("multipart/") else FORM_TYPE
    )


def _is_json(content_type: str) -> bool:
    return content_type.partition(";")[0].strip().lower().endswith("json")


def _of_form(body: bytes, content_type: str) -> list[Any]:
    try:
        fields = form_fields(body, content_type)
    except ValueError as error:
        raise WebhookPayloadError(f"{error}, and so has no events") from None
    values = [value for name, value in fields if name.lower().endswith(_FIELD.encode())]
    if len(values) != 1:
        raise WebhookPayloadError(
            f"the form has {len(values) or 'no'} fields whose names end in {_FIELD}; one is "
            "expected"
        )
    return _of_value(_loads(values[0]))


def _of_value(value: Any) -> list[Any]:
    if isinstance(value, dict):
        named = [member for name, member in value.items() if name.lower().endswith(_FIELD)]
        if not named and "event" in value:
            return [value]
        if len(named) == 1:
            value = (
                _loads(named[0].encode("utf-8", "surrogatepass"))
                if isinstance(named[0], str)
                else named[0]
            )
    if not isinstance(value, list):
        raise WebhookPayloadError("the body is JSON, and has no list of events")
    return value


def _loads(text: bytes) -> Any:
    try:
        try:
            value = json.loads(text, parse_float=_finite, parse_constant=lambda _name: None)
        except ValueError:
            # Its JSON elsewhere has commas too many; an event must not be lost for one.
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
        if not level:
            return False
    return True
