"""A rehearsal: the mails go to somebody else, or to nobody but those on a list."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import attrs

from poweremail._messages.message import Message, TemplateMessage
from poweremail._types.address import Recipient, recipient
from poweremail.errors import UsageError

__all__ = ["Rehearsal"]


@attrs.frozen
class Rehearsal:
    """
    Which recipients are meant: those that match a pattern of *allow* (such as ``*@example.com``;
    empty for none).

    A mail with any other goes to *redirect_to* instead, and to nobody else; without that it is not
    sent.
    """

    redirect_to: str | None = None
    allow: tuple[str, ...] = ()

    @classmethod
    def of(cls, redirect_to: str | None, allow: Iterable[str] | None) -> Rehearsal | None:
        """
        Check what a user gave; None where it is the real thing. Raises `UsageError` for what is no
        address and no pattern.
        """
        if redirect_to is None and allow is None:
            return None
        address = None if redirect_to is None else recipient("redirect_to", redirect_to).email
        patterns = (allow,) if isinstance(allow, str) else tuple(allow or ())
        for pattern in patterns:
            if not isinstance(pattern, str) or "@" not in pattern:
                reason = f"{pattern!r} is no address, and no pattern such as *@example.com"
                raise UsageError(reason, field="allow", mail_state=None)
        return cls(address, tuple(sorted(pattern.strip().lower() for pattern in patterns)))

    @classmethod
    def read(cls, members: Mapping[str, Any] | None) -> Rehearsal | None:
        """The rehearsal as a ledger has it."""
        return None if members is None else cls(members["redirect_to"], tuple(members["allow"]))

    @classmethod
    def parse(cls, text: str | None) -> Rehearsal | None:
        """The rehearsal as a step of a worker tells it."""
        return None if text is None else cls.read(json.loads(text))

    def members(self) -> dict[str, Any]:
        """The rehearsal as a ledger keeps it."""
        return {"redirect_to": self.redirect_to, "allow": list(self.allow)}

    def apply(self, message: Message | TemplateMessage) -> Message | TemplateMessage:
        """Return *message* as it may go out. Raises `UsageError` where it may not."""
        meant = message.recipients
        strangers = [
            address
            for address in meant
            if not any(fnmatchcase(address.lower(), pattern) for pattern in self.allow)
        ]
        if not strangers:
            return message
        if self.redirect_to is None:
            raise UsageError(
                f"{strangers[0]} is not on the allow-list of the rehearsal", field="allow"
            )
        first, *others = meant
        name = f"for {first} and {len(others)} more" if others else f"for {first}"
        return attrs.evolve(message, to=Recipient(self.redirect_to, name), cc=(), bcc=())
