"""
The one cattrs converter: messages to the members of requests, members of responses to types.

cattrs generates the functions. This file has the names that differ (`override(rename=...)`) and the
hooks for types. Only what is not one to one is written by hand: three fields with recipients are
one list on the wire, Reply-To and tracking are headers, and an attachment's content is not in
memory.

The hooks for types are tolerant. The service's documentation shows times as numbers and as strings
of digits, lists of unequal length, and an int where an object is meant. A hook returns None for
what it cannot read; that stays readable in ``raw``.

Hooks for classes are factories, so that cattrs generates a function when it is first used, and not
when the library is imported. The ledger stores messages by a copy of this converter.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from operator import attrgetter
from typing import Any, TypeVar, get_origin

import attrs
from cattrs import Converter
from cattrs.fns import identity
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

from poweremail._messages.envelope import OPTION_HEADERS, Envelope
from poweremail._types import FrozenMapping
from poweremail._types.address import Recipient
from poweremail._types.attachment import Attachment, Image
from poweremail._types.event import WebhookEvent
from poweremail._wire import readers

T = TypeVar("T")

converter = Converter(detailed_validation=False)

CONTENT_MARK = os.urandom(16).hex()
"""
Stands for the content of a file among the members of a message: the content itself is streamed in
its place. Random, so that no text of a mail can contain it.
"""

_EMPTY: FrozenMapping[Any] = FrozenMapping()
_WRITTEN_BY_HAND: dict[str, Any] = dict.fromkeys(
    (
        *("cc", "bcc", "reply_to", "headers", "tracking", "unique_id", "stream", "unsubscribe"),
        *OPTION_HEADERS,
    ),
    override(omit=True),
)
_OPTIONS = ("tracking", "unsubscribe", *OPTION_HEADERS)
_options = attrgetter(*_OPTIONS)
_NO_OPTIONS = (None,) * len(_OPTIONS)
_DECIMAL = re.compile(r"\s*\d{1,18}\.\d{1,9}\s*\Z")


# items(), because dict() of a mapping that is no dict looks up each key.
converter.register_unstructure_hook_func(
    lambda kind: FrozenMapping in (kind, get_origin(kind)), lambda mapping: dict(mapping.items())
)
# Text is written as it is; cattrs calls no function then.
converter.register_unstructure_hook_func(lambda kind: kind == (str | None), identity)


@converter.register_unstructure_hook_factory(
    lambda kind: isinstance(kind, type) and issubclass(kind, Envelope)
)
def _message_hook(kind: type[Envelope]) -> Callable[[Envelope], dict[str, Any]]:
    write_members = make_dict_unstructure_fn(
        kind,
        converter,
        _cattrs_omit_if_default=True,
        from_email=override(unstruct_hook=attrgetter("email")),
        to=override(unstruct_hook=partial(_recipients, "to"), omit_if_default=False),
        **_WRITTEN_BY_HAND,
    )

    def unstructure(message: Envelope) -> dict[str, Any]:
        members = write_members(message)
        if message.from_email.name is not None:
            members["from_name"] = message.from_email.name
        if message.cc or message.bcc:
            members["to"] += _recipients("cc", message.cc) + _recipients("bcc", message.bcc)
        if headers := _headers(message):
            members["headers"] = headers
        return members

    return unstructure


def _headers(message: Envelope) -> dict[str, str]:
    headers = dict(message.headers.items())
    if message.reply_to:
        headers["Reply-To"] = ", ".join(map(str, message.reply_to))
    if _options(message) != _NO_OPTIONS:
        headers.update(message.option_headers())
    return headers


def _recipients(kind: str, recipients: Iterable[Recipient]) -> list[dict[str, str]]:
    # The documentation says that "type" defaults to "to". To send it always costs nothing.
    entries: list[dict[str, str]] = []
    for recipient in recipients:
        entry = {"email": recipient.email, "type": kind}
        if recipient.name is not None:
            entry["name"] = recipient.name
        entries.append(entry)
    return entries


@converter.register_unstructure_hook_factory(lambda kind: kind in (Attachment, Image))
def _file_hook(kind: type[Attachment | Image]) -> Callable[[Any], dict[str, Any]]:
    return make_dict_unstructure_fn(
        kind,
        converter,
        cid=override(rename="name"),
        content=override(unstruct_hook=lambda _content: CONTENT_MARK),
    )


def register_reader(target: Converter, kind: Any, read: Callable[[Any, Any], Any]) -> None:
    """Let *target* read values of the type *kind* by *read*."""
    # By a predicate, because Converter.copy leaves out what is registered for a union
    # (cattrs/converters.py: _union_struct_registry).
    target.register_structure_hook_func(lambda other: other == kind, read)


register_reader(converter, str | None, readers.text)
register_reader(converter, int | None, readers.integer)
register_reader(converter, float | None, readers.percent)
register_reader(converter, bool | None, readers.yes_no)
register_reader(converter, datetime | None, readers.time)


def extra_members(members: Mapping[str, Any], known: frozenset[str]) -> FrozenMapping[Any]:
    """Return the members that are not *known*."""
    if known.issuperset(members):
        return _EMPTY
    return FrozenMapping({name: value for name, value in members.items() if name not in known})


def tolerant_hook(kind: type[T], **overrides: Any) -> Callable[[Any, Any], T]:
    """
    Return a hook that makes a *kind* of any object. Missing members are None; its ``extra`` has the
    members that are unknown, its ``raw`` all of them.

    *overrides*: as for `make_dict_structure_fn`.
    """
    overrides |= {
        "extra": override(struct_hook=lambda extra, _: extra),
        "raw": override(struct_hook=lambda members, _: FrozenMapping(members)),
    }
    structure = make_dict_structure_fn(kind, converter, **overrides)
    known = frozenset(
        overrides.get(name, override()).rename or name
        for name in attrs.fields_dict(kind)  # type: ignore[arg-type]
        if name not in ("extra", "raw")
    )
    missing = dict.fromkeys(known)
    return lambda members, _: structure(
        {**missing, **members, "extra": extra_members(members, known), "raw": members}, kind
    )


@converter.register_structure_hook_factory(lambda kind: kind is WebhookEvent)
def _event_hook(kind: type[WebhookEvent]) -> Callable[[Any, Any], WebhookEvent]:
    return tolerant_hook(
        kind,
        id=override(rename="_id", struct_hook=_event_id),
        time=override(rename="ts", struct_hook=_event_time),
        unique_id=override(rename="x_unique_id"),
        smtp_user_name=override(rename="smtp_name"),
        user_id=override(struct_hook=_event_id),
        msg=override(
            struct_hook=lambda msg, _: FrozenMapping(msg) if isinstance(msg, dict) else _EMPTY
        ),
    )


def _event_id(value: object, _: object) -> str | None:
    # The database behind the service prints its ids as {"$oid": "..."} if they were not made text.
    return readers.text(value.get("$oid") if isinstance(value, dict) else value) or None


def _event_time(value: object, _: object) -> datetime | None:
    """As `readers.time`; webhooks may also have seconds with a fraction."""
    if isinstance(value, str) and _DECIMAL.match(value):
        value = float(value.strip())
    if isinstance(value, float) and 0 < value < 10**14:
        value = round(value * 1_000_000) if value < 10**11 else round(value)
    return readers.time(value)
