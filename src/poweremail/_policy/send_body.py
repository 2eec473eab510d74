"""Reads who gets the mail of a handwritten body: a call that the library does not model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import attrs

from poweremail._messages.raw import RawMessage
from poweremail._types.address import recipient
from poweremail._types.checks import CONTROL
from poweremail._wire.operations import Operation
from poweremail.errors import UsageError

__all__ = ["SendBody", "check_can_be_read"]

# What separates a name, a comment or another mailbox from an address.
_NOT_PLAIN = re.compile(r"[<>(),;]")


@attrs.frozen
class SendBody:
    """
    The *body* of a send.

    *raw*: the message of a body that has a raw one; None for any other.
    *recipients*: the addresses that get it.
    *headers*: those of the message; empty for a raw one.
    """

    body: Mapping[str, Any]
    raw: RawMessage | None
    recipients: tuple[str, ...]
    headers: Mapping[Any, Any]

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> SendBody:
        """Read *body*. Raises `UsageError` if it is not clear who would get the mail."""
        if body.keys() <= {"smtp_user_name", "raw_message"} and isinstance(
            body.get("raw_message"), str
        ):
            raw = RawMessage.of(body["raw_message"])
            return cls(body, raw, raw.recipients, {})
        members = body.get("message")
        # A further member might be what the service takes the recipients from.
        if not body.keys() <= {"smtp_user_name", "message"} or not isinstance(members, Mapping):
            raise _unclear()
        headers, entries = members.get("headers") or {}, members.get("to")
        if (
            not isinstance(headers, Mapping)
            or not isinstance(entries, list | tuple)
            or not all(isinstance(entry, Mapping) for entry in entries)
            or any(map(_may_name_recipients, {*members} - {"to"}))
            or any(map(_may_name_recipients, headers))
            or any(map(_has_control, _texts_of_headers(members, headers, entries)))
        ):
            raise _unclear()
        addresses = [entry.get("email") for entry in entries]
        if not addresses or not all(isinstance(address, str) for address in addresses):
            raise _unclear()
        recipients = tuple(recipient("to", address).email for address in addresses)
        return cls(body, None, recipients, headers)

    def check_plain(self) -> None:
        """Raise `UsageError` if an address has more in it, which the service may read otherwise."""
        if self.raw is None and any(
            _NOT_PLAIN.search(entry["email"]) for entry in self.body["message"]["to"]
        ):
            raise _unclear()

    def with_members(self, **members: Any) -> Mapping[str, Any]:
        """The body with other *members* of its message."""
        return {**self.body, "message": {**self.body["message"], **members}}

    def with_raw(self, raw: RawMessage) -> Mapping[str, Any]:
        """The body with another raw message."""
        return {**self.body, "raw_message": raw.text}


def check_can_be_read(operation: Operation) -> None:
    """Raise `UsageError` if *operation* is not known and may send mail."""
    may_send = operation.path.lower().startswith("messages/") and not operation.reads
    if may_send and not operation.sends:
        raise UsageError(
            f"{operation.path} may send mail, and its recipients cannot be checked", field="path"
        )


def _may_name_recipients(name: object) -> bool:
    folded = str(name).strip().lower()
    return folded == "to" or folded.startswith(("cc", "bcc"))


def _texts_of_headers(
    members: Mapping[Any, Any],
    headers: Mapping[Any, Any],
    entries: Iterable[Mapping[Any, Any]],
) -> Iterator[object]:
    """What the service writes into headers."""
    yield from (members.get(name) for name in ("subject", "from_email", "from_name"))
    yield from chain.from_iterable(headers.items())
    for entry in entries:
        yield from entry.values()


def _has_control(text: object) -> bool:
    return isinstance(text, str) and CONTROL.search(text) is not None


def _unclear() -> UsageError:
    return UsageError(
        "its recipients are not clear, so they cannot be checked",
        field="body",
        advice="use client.messages",
    )
