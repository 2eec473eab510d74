"""Reads who gets the mail of a handwritten body: a call that the library does not model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import attrs

from poweremail._messages.envelope import HEADER_NAME
from poweremail._messages.raw import RawMessage
from poweremail._types.address import recipient
from poweremail._types.checks import CONTROL
from poweremail._wire.operations import Operation
from poweremail.errors import UsageError

# What separates a name, a comment or another mailbox from an address.
_NOT_PLAIN = re.compile(r"[<>(),;]")
# A further member might be what the service takes the recipients from.
_MESSAGE_MEMBERS = frozenset(
    (
        *("subject", "from_email", "from_name", "to", "headers", "html", "text"),
        *("attachments", "images", "template_id", "dynamic_value"),
    )
)
_ENTRY_MEMBERS = frozenset(("email", "name", "type"))


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
        if not body.keys() <= {"smtp_user_name", "message"} or not isinstance(members, Mapping):
            raise _unclear()
        headers, entries = members.get("headers") or {}, members.get("to")
        if (
            not isinstance(headers, Mapping)
            or not isinstance(entries, list | tuple)
            or not all(map(_is_entry, entries))
            or not members.keys() <= _MESSAGE_MEMBERS
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


def _is_entry(entry: object) -> bool:
    return isinstance(entry, Mapping) and entry.keys() <= _ENTRY_MEMBERS


def _may_name_recipients(name: object) -> bool:
    """Whether *name* may be To, Cc or Bcc in a header, or is not the name of one."""
    folded = str(name).strip().lower()
    return not HEADER_NAME.match(folded) or folded == "to" or folded.startswith(("cc", "bcc"))


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


def _has_control(value: object) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_has_control, value))
    return isinstance(value, str) and CONTROL.search(value) is not None


def _unclear() -> UsageError:
    return UsageError(
        "its recipients are not clear, so they cannot be checked",
        field="body",
        advice="use client.messages",
    )
