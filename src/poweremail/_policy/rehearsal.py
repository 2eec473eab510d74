"""
A rehearsal: mails go to one address, or only to recipients on a list, so that a send in staging
never reaches real people.

The service has no test mode. A client, a batch and the environment can each have a rehearsal; a
mail passes through all of them, one after the other, so each can only tighten the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import attrs

from poweremail._messages.envelope import OTHER_RECIPIENTS, names_others
from poweremail._messages.raw import AnyMail, RawMessage
from poweremail._policy.send_body import SendBody
from poweremail._types.address import Recipient, recipient
from poweremail._types.unsubscribe import UNSUBSCRIBE_HEADERS
from poweremail.errors import ConfigurationError, UsageError

REDIRECTED_FOR = "X-PowerEmail-Redirected-For"
"""The header of a redirected mail that names those who would have got it."""

_MAX_NAMED = 10

# A tester who presses the button of their mail program would unsubscribe a real person.
_LINKS = tuple(map(str.lower, UNSUBSCRIBE_HEADERS))
_LEFT_OUT = frozenset((*OTHER_RECIPIENTS, *_LINKS))


@attrs.frozen
class Rehearsal:
    """
    Decides who may receive mails.

    *redirect_to*: the address that receives each mail with a recipient who is not allowed, instead
    of all its recipients, without the headers by which they unsubscribe. If it is None, such a mail
    is not sent.
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

    def apply(self, message: AnyMail, *, by_get: bool = False) -> AnyMail:
        """
        Return *message* as it may be sent. Raises `UsageError` if it may not be sent.

        *by_get*: it goes by a GET request, which carries an address and no header.
        """
        recipients = message.recipients
        others = (
            message.has_others if isinstance(message, RawMessage) else names_others(message.headers)
        )
        redirected = self._redirected(recipients, has_others=others)
        if redirected is None:
            return message
        if isinstance(message, RawMessage):
            to = (redirected.email,)
            text = message.readdressed(*to, {REDIRECTED_FOR: _listed(recipients)}, left_out=_LINKS)
            return attrs.evolve(message, text=text, recipients=to, has_others=False)
        if by_get:
            return attrs.evolve(message, to=redirected.email, cc=(), bcc=(), unsubscribe=None)
        # If it was redirected before, the header names its first recipients.
        headers = {REDIRECTED_FOR: _listed(recipients), **_kept(message.headers)}
        return attrs.evolve(
            message, to=redirected, cc=(), bcc=(), headers=headers, unsubscribe=None
        )

    def apply_to_body(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Do the same for the *body* of a send that the caller has written by hand."""
        read = SendBody.read(body)
        if read.raw is not None:
            return read.with_raw(self.apply(read.raw))
        redirected = self._redirected(read.recipients, has_others=names_others(read.headers))
        if redirected is None:
            read.check_plain()
            return body
        to = [{"email": redirected.email, "type": "to", "name": redirected.name}]
        headers = {REDIRECTED_FOR: _listed(read.recipients), **_kept(read.headers)}
        return read.with_members(to=to, headers=headers)

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


def _kept(headers: Mapping[Any, Any]) -> dict[Any, Any]:
    return {
        name: value for name, value in headers.items() if str(name).strip().lower() not in _LEFT_OUT
    }
