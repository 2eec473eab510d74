"""Responses to the calls about settings and about the account, as types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import attrs

from poweremail._response import Response
from poweremail._types import FrozenMapping
from poweremail._types.account import Listing, SendingDomain, TrackingDomain
from poweremail._types.secret import Secret
from poweremail._wire import readers
from poweremail._wire.convert import converter, extra_members, register_reader
from poweremail._wire.decode import ApiResponse
from poweremail.errors import ProtocolError

T = TypeVar("T")

_ENVELOPE = frozenset(("status", "message"))

_MEMBERS = {
    "cname_valid": ("cname",),
    "dkim_valid": ("dkim",),
    "enabled": ("status",),
    "events": ("event",),
    "password": ("smtp_password", "password"),
    "spf_valid": ("spf",),
    "verified": ("verify_domain",),
}
"""Fields that have other names in a response: the first member that can be read counts."""


def _secret(value: object, _: object) -> Secret | None:
    return value if isinstance(value, Secret) and value else None


def _result_of_check(value: object, _: object) -> bool | None:
    """Read ``{"valid": "Yes"}``, or the word alone."""
    return readers.yes_no(value.get("valid") if isinstance(value, dict) else value)


_converter = converter.copy()
_converter.register_structure_hook(str, readers.text_or_number)
register_reader(_converter, str | None, readers.text_or_number)
register_reader(_converter, Secret | None, _secret)
register_reader(_converter, tuple[str, ...], readers.words)

_domain_converter = _converter.copy()
register_reader(_domain_converter, bool | None, _result_of_check)


def listing(kind: type[T], response: ApiResponse, name: str) -> Listing[T]:
    """
    Decode the list in the member *name*, each entry as a *kind*.

    Raises `ProtocolError` if there is no list of objects.
    """
    entries, raw = response.members.get(name), response.response
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ProtocolError(f"the response has no list of objects in {name}", raw=raw)
    return Listing(
        entries=tuple(decode(kind, entry, raw) for entry in entries),
        extra=extra_members(response.members, _ENVELOPE | {name}),
        raw=raw,
    )


def one(kind: type[T], response: ApiResponse, *names: str) -> T:
    """
    Decode the object in the first member of *names* that there is, as a *kind*; without names, the
    response itself.

    Raises `ProtocolError` if there is no such object.
    """
    members, raw = response.members, response.response
    if not names:
        return decode(kind, extra_members(members, _ENVELOPE), raw)
    found = next((members[name] for name in names if name in members), None)
    if not isinstance(found, dict):
        raise ProtocolError(f"the response has no object in {' or '.join(names)}", raw=raw)
    return decode(kind, found, raw)


def decode(kind: type[T], members: Mapping[str, Any], response: Response) -> T:
    """
    Return *members* as a *kind*. Its ``extra`` has the members that it does not know, and those
    that could not be read, or not completely.
    """
    # A loop over cattrs' hooks, and not the function that cattrs generates: that does not report
    # which members could not be read.
    hooks = _domain_converter if kind in (SendingDomain, TrackingDomain) else _converter
    attrs_class: Any = attrs.resolve_types(kind)  # type: ignore[type-var]
    fields: dict[str, Any] = {}
    extra = dict(members)
    for field in attrs.fields(attrs_class):
        if field.name in ("extra", "raw"):
            continue
        for name in _MEMBERS.get(field.name, (field.name,)):
            value = members.get(name)
            found = hooks.get_structure_hook(field.type)(value, field.type)
            has_more = isinstance(value, dict) and value.keys() != {"valid"}
            if (found is not None or value in (None, "")) and not has_more:
                extra.pop(name, None)
            if found is not None:
                fields[field.name] = found
                break
        else:
            if field.default is attrs.NOTHING:
                fields[field.name] = ""
    decoded: T = attrs_class(**fields, extra=FrozenMapping(extra), raw=response)
    return decoded
