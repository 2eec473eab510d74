"""Values of the sandbox: a mail as it was caught, and a template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import attrs

from poweremail._types import FrozenMapping

RecipientType = Literal["to", "cc", "bcc"]

_FIELD = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_TAG_HEADERS = ("x-tags", "x-tag")
_COMMA = re.compile("[,\n]")
_MAX_TAGS, _MAX_TAG_CHARS = 20, 60


def _mapping() -> Any:
    return attrs.field(
        factory=FrozenMapping[Any], converter=FrozenMapping[Any], repr=False, hash=False
    )


@attrs.frozen
class CaughtRecipient:
    """One recipient: *type* is ``to``, ``cc`` or ``bcc``; *name* is None if none was given."""

    type: RecipientType
    email: str
    name: str | None = None


@attrs.frozen
class CaughtFile:
    """
    An attachment or an image.

    *name*
        The file name; of an image, the Content-ID.
    *type*
        The MIME type.
    *content*
        The decoded bytes.
    """

    name: str
    type: str
    content: bytes = attrs.field(repr=lambda content: f"<{len(content)} bytes>")


@attrs.frozen(kw_only=True)
class MailContent:
    """
    A mail as a call brought it.

    *operation*
        The name of the call, such as ``sendMail``.
    *html*, *text*
        The bodies as a reader sees them: the fields of a template are replaced.
    *headers*, *unique_id*
        The headers of the message, and its ``X-Unique-Id``, None if it has none. If a message of
        ``sendRaw`` has a header several times, its value has a line for each.
    *template_id*, *dynamic_value*
        Those of a template mail.
    *raw*
        The members of the request as they came, without the credentials.
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
    headers: Mapping[str, str] = _mapping()
    attachments: tuple[CaughtFile, ...] = ()
    images: tuple[CaughtFile, ...] = ()
    template_id: str | None = None
    dynamic_value: Mapping[str, str] = _mapping()
    raw: Mapping[str, Any] = _mapping()

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
        """The bytes of bodies and files. The service may also count headers and encoding."""
        bodies = sum(len(body.encode()) for body in (self.html, self.text) if body)
        return bodies + self.attachment_size

    def _addresses(self, type: RecipientType) -> tuple[str, ...]:
        return tuple(recipient.email for recipient in self.recipients if recipient.type == type)


@attrs.frozen(kw_only=True)
class CaughtMail(MailContent):
    """
    A mail that the sandbox accepted; the other fields are those of `MailContent`.

    *number*
        Counts the mails of a sandbox from 1.
    *received*
        When it was accepted, an aware datetime in UTC.
    """

    number: int
    received: datetime


@attrs.frozen
class Template:
    """
    A template of the sandbox.

    ``{{NAME}}`` in *subject*, *html* and *text* stands for the dynamic value of that name. Names
    are case-sensitive; a field without a value becomes empty. Values are not escaped, not even in
    the HTML: the service is not known to escape them.
    """

    template_id: str
    subject: str | None = None
    html: str | None = None
    text: str | None = None

    def fill(self, values: Mapping[str, str]) -> Template:
        """Return the template with its fields replaced by *values*."""
        parts = (
            text and _FIELD.sub(lambda field: values.get(field[1], ""), text)
            for text in (self.subject, self.html, self.text)
        )
        return Template(self.template_id, *parts)


def tags_of(headers: Mapping[str, str]) -> list[str]:
    """Return the tags of a mail, each once: those of the header ``X-Tags``, with commas between."""
    values = [value for name, value in headers.items() if name.lower() in _TAG_HEADERS]
    tags = (" ".join(tag.split())[:_MAX_TAG_CHARS] for tag in _COMMA.split(",".join(values)))
    by_folded = {tag.casefold(): tag for tag in tags if tag}
    return list(by_folded.values())[:_MAX_TAGS]
