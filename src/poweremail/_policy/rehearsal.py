"""A rehearsal: the mails of a batch go to one address, or only to recipients on a list."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import attrs

from poweremail._messages.message import Message, TemplateMessage
from poweremail._types.address import Recipient, recipient
from poweremail.errors import ConfigurationError, UsageError

__all__ = ["Rehearsal"]


@attrs.frozen
class Rehearsal:
    """
    Decides who may receive the mails of a batch.

    *redirect_to*: the address that receives each mail with a recipient who is not allowed, instead
    of all its recipients. If it is None, such a mail is not sent.
    *allow*: the patterns of allowed recipients, such as ``*@example.com``.
    """

    redirect_to: str | None = None
    allow: tuple[str, ...] = ()

    @classmethod
    def from_options(cls, redirect_to: str | None, allow: Iterable[str] | None) -> Rehearsal | None:
        """
        Check the options of a batch; None if both are None, because then it is no rehearsal.

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

    def apply(self, message: Message | TemplateMessage) -> Message | TemplateMessage:
        """Return *message* as it may be sent. Raises `UsageError` if it may not be sent."""
        recipients = message.recipients
        strangers = [
            address
            for address in recipients
            if not any(fnmatchcase(address.lower(), pattern) for pattern in self.allow)
        ]
        if not strangers:
            return message
        if self.redirect_to is None:
            raise UsageError(
                f"{strangers[0]} is not on the allow-list of the rehearsal", field="allow"
            )
        first, *others = recipients
        name = f"for {first} and {len(others)} more" if others else f"for {first}"
        return attrs.evolve(message, to=Recipient(self.redirect_to, name), cc=(), bcc=())
