"""
A rehearsal: mails go to one address, or only to recipients on a list, so that a send in staging
never reaches real people.

The service has no test mode. A client, a batch and the environment can each have a rehearsal; a
mail passes through all of them, one after the other, so each can only tighten the others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from itertools import chain
from typing import Any, TypeVar

import attrs

from poweremail._messages.envelope import OTHER_RECIPIENTS
from poweremail._messages.message import Message, TemplateMessage
from poweremail._messages.raw import RawMessage
from poweremail._types.address import Recipient, recipient
from poweremail._types.checks import CONTROL
from poweremail.errors import ConfigurationError, UsageError

__all__ = ["REDIRECTED_FOR", "Rehearsal"]

REDIRECTED_FOR = "X-PowerEmail-Redirected-For"
"""The header of a redirected mail that names those who would have got it."""

_MAX_NAMED = 10
# What separates a name, a comment or another mailbox from an address.
_NOT_PLAIN = re.compile(r"[<>(),;]")

M = TypeVar("M", bound=Message | TemplateMessage | RawMessage)


@attrs.frozen
class Rehearsal:
    """
    Decides who may receive mails.

    *redirect_to*: the address that receives each mail with a recipient who is not allowed, instead
    of all its recipients. If it is None, such a mail is not sent.
    *allow*: the patterns of allowed recipients, such as ``*@example.com``.
    """

    redirect_to: str | None = None
    allow: tuple[str, ...] = ()

    @classmethod
    def from_options(cls, redirect_to: str | None, allow: Iterable[str] | None) -> Rehearsal | None:
        """
        Check the options; None if both are None, because then it is no rehearsal.

        Raises `UsageError` if one is no address or no pattern.
        """
        if redirect_to is None and allow is None:
            return None
        address = None if redirect_to is None else recipient("redirect_to", redirect_to).email
        patterns = (allow,) if isinstance(allow, str) else tuple(allow or ())
        for pattern in patterns:
            if not isinstance(pattern, str) or "@" not in pattern:
                raise ConfigurationError(
                    f"{pattern!r} is no address, and no pattern such as *@example.com",
                    field="allow",
                )
        return cls(address, tuple(sorted(pattern.strip().lower() for pattern in patterns)))

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Rehearsal:
        """Read what `to_dict` returned."""
        return cls(members["redirect_to"], tuple(members["allow"]))

    @classmethod
    def from_json(cls, text: str | None) -> Rehearsal | None:
        """Read the rehearsal as a ledger stores it; None if the batch is no rehearsal."""
        return None if text is None else cls.from_dict(json.loads(text))

    def to_dict(self) -> dict[str, Any]:
        """The rehearsal as a JSON object."""
        return {"redirect_to": self.redirect_to, "allow": list(self.allow)}

    def apply(self, message: M, *, by_get: bool = False) -> M:
        """
        Return *message* as it may be sent. Raises `UsageError` if it may not be sent.

        *by_get*: it goes by a GET request, which carries an address and no header.
        """
        recipients = message.recipients
        has_others = (
            message.has_others if isinstance(message, RawMessage) else _has_others(message.headers)
        )
        redirected = self._redirected(recipients, has_others=has_others)
        if redirected is None:
            return message
        if isinstance(message, RawMessage):
            to = (redirected.email,)
            text = message.readdressed(*to, {REDIRECTED_FOR: _listed(recipients)})
            return attrs.evolve(message, text=text, recipients=to, has_others=False)
        if by_get:
            return attrs.evolve(message, to=redirected.email, cc=(), bcc=())
        # If it was redirected before, the header names its first recipients.
        headers = {REDIRECTED_FOR: _listed(recipients), **_without_others(message.headers)}
        return attrs.evolve(message, to=redirected, cc=(), bcc=(), headers=headers)

    def apply_to_body(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do the same for the *body* of a send that the caller has written by hand."""
        if body.keys() <= {"smtp_user_name", "raw_message"} and isinstance(
            body.get("raw_message"), str
        ):
            raw = RawMessage.of(body["raw_message"])
            return {**body, "raw_message": self.apply(raw).text}
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
        redirected = self._redirected(recipients, has_others=_has_others(headers))
        if redirected is None:
            if any(_NOT_PLAIN.search(address) for address in addresses):
                raise _unclear()
            return body
        to = [{"email": redirected.email, "type": "to", "name": redirected.name}]
        headers = {REDIRECTED_FOR: _listed(recipients), **_without_others(headers)}
        return {**body, "message": {**members, "to": to, "headers": headers}}

    def _redirected(self, recipients: tuple[str, ...], *, has_others: bool) -> Recipient | None:
        """
        Return who gets a mail in place of *recipients*; None if they may get it themselves.

        *has_others*: it has headers from which the service may take others.
        """
        strangers = [
            address
            for address in recipients
            if not any(fnmatchcase(address.lower(), pattern) for pattern in self.allow)
        ]
        if not has_others and (
            not strangers or (*map(str.lower, recipients),) == (str(self.redirect_to).lower(),)
        ):
            return None
        if self.redirect_to is None:
            if not strangers:
                raise UsageError(
                    f"may not have {' or '.join(map(str.title, OTHER_RECIPIENTS))}: the rehearsal "
                    "does not check their recipients",
                    field="headers",
                )
            raise UsageError(
                f"{strangers[0]} is not on the allow-list of the rehearsal", field="allow"
            )
        first, *others = recipients
        name = f"for {first} and {len(others)} more" if others else f"for {first}"
        return Recipient(self.redirect_to, name)


def _listed(recipients: tuple[str, ...]) -> str:
    listed = ", ".join(recipients[:_MAX_NAMED])
    more = len(recipients) - _MAX_NAMED
    return f"{listed} and {more} more" if more > 0 else listed


def _has_others(headers: Mapping[Any, Any]) -> bool:
    return len(_without_others(headers)) < len(headers)


def _without_others(headers: Mapping[Any, Any]) -> dict[Any, Any]:
    return {
        name: value
        for name, value in headers.items()
        if str(name).strip().lower() not in OTHER_RECIPIENTS
    }


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
        "its recipients are not clear, so the rehearsal cannot check them",
        field="body",
        advice="use client.messages",
    )
