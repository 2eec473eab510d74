"""A mail as the sandbox caught it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import attrs

from poweremail._types.frozen import FrozenMapping

__all__ = ["CaughtFile", "CaughtMail", "CaughtRecipient", "MailContent", "RecipientType"]

RecipientType = Literal["to", "cc", "bcc"]


def _frozen(members: Mapping[str, Any]) -> FrozenMapping[Any]:
    return FrozenMapping(members)


@attrs.frozen
class CaughtRecipient:
    """
    One recipient: whether the mail is *to*, *cc* or *bcc* them, their address, and their name where
    one was given.
    """

    type: RecipientType
    email: str
    name: str | None = None


@attrs.frozen
class CaughtFile:
    """
    An attachment or an image: its file name (of an image the Content-ID), its MIME type, and its
    content, decoded.
    """

    name: str
    type: str
    content: bytes = attrs.field(repr=lambda content: f"<{len(content)} bytes>")


@attrs.frozen(kw_only=True)
class MailContent:
    """
    What a call handed over.

    *operation* is the call's name, such as ``sendMail``. *html* and *text* are what a reader would
    see: of a template mail the template with its fields replaced. *headers* are those of the
    message; *unique_id* is its ``X-Unique-Id``, None where it has none. *template_id* and
    *dynamic_value* are those of a template mail. *raw* has the members of the request as they came,
    without the credentials.
    """

    operation: str
    smtp_user_name: str
    subject: str
    from_email: str
    from_name: str | None = None
    recipients: tuple[CaughtRecipient, ...]
    unique_id: str | None = None
    html: str | None = attrs.field(default=None, repr=False)
    text: str | None = attrs.field(default=None, repr=False)
    headers: Mapping[str, str] = attrs.field(
        factory=FrozenMapping[str], converter=_frozen, repr=False, hash=False
    )
    attachments: tuple[CaughtFile, ...] = ()
    images: tuple[CaughtFile, ...] = ()
    template_id: str | None = None
    dynamic_value: Mapping[str, str] = attrs.field(
        factory=FrozenMapping[str], converter=_frozen, repr=False, hash=False
    )
    raw: Mapping[str, Any] = attrs.field(
        factory=FrozenMapping[Any], converter=_frozen, repr=False, hash=False
    )

    @property
    def to(self) -> tuple[str, ...]:
        """The addresses that the mail is to."""
        return self._addresses("to")

    @property
    def cc(self) -> tuple[str, ...]:
        """The addresses that get a copy."""
        return self._addresses("cc")

    @property
    def bcc(self) -> tuple[str, ...]:
        """The addresses that get a copy unseen by the others."""
        return self._addresses("bcc")

    @property
    def attachment_size(self) -> int:
        """The bytes of all attachments and images, decoded."""
        return sum(len(file.content) for file in (*self.attachments, *self.images))

    @property
    def mail_size(self) -> int:
        """
        The bytes of the parts and the files; what the service counts beside them (headers,
        encoding) is not known.
        """
        return (
            sum(len(part.encode()) for part in (self.html, self.text) if part)
            + self.attachment_size
        )

    def _addresses(self, type: RecipientType) -> tuple[str, ...]:
        return tuple(recipient.email for recipient in self.recipients if recipient.type == type)


@attrs.frozen(kw_only=True)
class CaughtMail(MailContent):
    """
    A mail that the sandbox accepted.

    *number* counts the mails of a sandbox from 1; *received* is when it was accepted, an aware
    datetime in UTC. The other fields are those of `MailContent`.
    """

    number: int
    received: datetime
