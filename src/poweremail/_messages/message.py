"""The two kinds of mail: with its own content, or made from a template of the service."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self, overload

import attrs

from poweremail._messages.envelope import Envelope
from poweremail._types import FrozenMapping
from poweremail._types.checks import body_text, required_text, string_mapping
from poweremail._types.content_id import cid_references, spellings
from poweremail.errors import UsageError

if TYPE_CHECKING:
    from email.message import EmailMessage
    from email.message import Message as StdMessage


class MailObject(Protocol):
    """A mail that makes a message of the standard library, and names all its recipients."""

    def message(self) -> StdMessage:
        """Return the message, which may lack Bcc."""
        ...

    def recipients(self) -> Iterable[str]:
        """Return the addresses of To, Cc and Bcc."""
        ...


@attrs.frozen(kw_only=True)
class Message(Envelope):
    """
    A mail with its own content: *html*, *text* or both; the other fields are those of `Envelope`.

    >>> Message(
    ...     subject="Hi", from_email="me@example.com", to="Ada <ada@example.com>", text="Hello"
    ... ).recipients
    ('ada@example.com',)
    """

    html: str | None = None
    text: str | None = None

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if not (self.html or self.text):
            raise UsageError("give html, text or both", field="html")
        if self.text is not None:
            body_text("text", self.text)
        if self.html is not None:
            self._check_cids(body_text("html", self.html))

    def _check_cids(self, html: str) -> None:
        if "cid:" not in html.lower():
            return
        known = {image.cid for image in self.images}
        for found in cid_references(html):
            if known.isdisjoint(spellings(found[2])):
                raise UsageError(
                    f"refers to cid:{found[2]}, and no image has that cid",
                    field="html",
                    advice=f"images have {sorted(known)}",
                )

    @overload
    @classmethod
    def from_email_message(
        cls, email_message: EmailMessage | StdMessage | MailObject, *, lossy: Literal[False] = False
    ) -> Message: ...

    @overload
    @classmethod
    def from_email_message(
        cls, email_message: EmailMessage | StdMessage | MailObject, *, lossy: Literal[True]
    ) -> Converted: ...

    @overload
    @classmethod
    def from_email_message(
        cls, email_message: EmailMessage | StdMessage | MailObject, *, lossy: bool
    ) -> Message | Converted: ...

    @classmethod
    def from_email_message(
        cls, email_message: EmailMessage | StdMessage | MailObject, *, lossy: bool = False
    ) -> Message | Converted:
        """
        Read a message of the standard library: an ``EmailMessage``, or one of the older
        ``email.mime`` classes. A mail object of Django, or any other with ``message()`` and
        ``recipients()``, keeps its Bcc, which its ``message()`` alone does not have.

        Raises `UsageError`, which names everything that the service cannot carry. With *lossy* it
        is left out, and the result is a `Converted`: the message, and a list of what was dropped.
        A missing sender, recipient, subject or body raises in either case.

        >>> from email.message import EmailMessage
        >>> mail = EmailMessage()
        >>> mail["Subject"], mail["From"], mail["To"] = (
        ...     "Hi",
        ...     "me@example.com",
        ...     "Ada <ada@example.com>",
        ... )
        >>> mail.set_content("Hello")
        >>> Message.from_email_message(mail).to
        (Recipient(email='ada@example.com', name='Ada'),)
        """
        # Here, since importing the email package takes a while.
        from poweremail._messages.read import read_fields  # noqa: PLC0415

        fields, dropped = read_fields(email_message, lossy=lossy)
        message = cls(**fields)
        return Converted(message, dropped) if lossy else message

    def with_text_from_html(self) -> Self:
        """
        Return this mail with a text that says what its HTML shows, if it has no text of its own.

        The target of a link stands behind it: ``Reset it <https://example.com/reset>``. If the HTML
        shows no text, the mail stays as it is. Needs ``poweremail[html]``; raises
        `ConfigurationError` without it.
        """
        if self.text or not self.html:
            return self
        from poweremail._messages.html_text import text_of_html  # noqa: PLC0415  on request only

        text = text_of_html(self.html)
        return attrs.evolve(self, text=text) if text else self

    def as_email_message(self) -> EmailMessage:
        """
        Return this mail as a message of the standard library, for ``smtplib`` or a file; its policy
        is that of SMTP.

        Files are read now. ``Date`` and ``Message-ID`` are new if `headers` has none. Bcc is a
        header: ``smtplib.SMTP.send_message`` removes it; remove it before you send the bytes in
        another way. Raises `UsageError` if an attachment is a stream, which can be read only once,
        if its file cannot be read any more, or if a header of URLs or ids, such as
        ``List-Unsubscribe``, is not ASCII.
        """
        from poweremail._messages.write import write  # noqa: PLC0415  as above

        return write(self, text=self.text, html=self.html)


class Converted(NamedTuple):
    """
    The result of ``Message.from_email_message(..., lossy=True)``.

    *dropped*: a line of text for each loss; empty if nothing was lost.
    """

    message: Message
    dropped: tuple[str, ...]


def _dynamic_text(field: str, value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not math.isfinite(value):
            raise UsageError(f"must be finite, not {value}", field=field)
        return str(value)
    return body_text(field, value)


def _dynamic_value(value: Mapping[str, str | int | float]) -> FrozenMapping[str]:
    return string_mapping("dynamic_value", value, _dynamic_text)


@attrs.frozen(kw_only=True)
class TemplateMessage(Envelope):
    """
    A mail made from the template *template_id*; the other fields are those of `Envelope`.

    *dynamic_value* replaces the template's dynamic fields, whose names are case-sensitive. Values
    are strings; numbers are written as ``str()`` writes them.
    """

    template_id: str
    dynamic_value: FrozenMapping[str] = attrs.field(
        default=FrozenMapping[str](), converter=_dynamic_value
    )

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        required_text("template_id", self.template_id)

    @classmethod
    def from_email_message(
        cls,
        email_message: EmailMessage | StdMessage | MailObject,
        *,
        template_id: str,
        dynamic_value: Mapping[str, str | int | float] | None = None,
    ) -> TemplateMessage:
        """
        Make a mail from a template with the addresses, the headers and the files of a message as
        `Message.from_email_message` takes it. Each image with a Content-ID is one that the template
        shows.

        Raises `UsageError`, which names everything that the service cannot carry; a body belongs to
        it.
        """
        from poweremail._messages.read import read_fields  # noqa: PLC0415  as above

        fields, _ = read_fields(email_message, lossy=False, by_template=True)
        return cls(template_id=template_id, dynamic_value=dynamic_value or {}, **fields)
