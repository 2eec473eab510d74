"""From the fields of a `Message` to a message of the standard library."""

from __future__ import annotations

from collections.abc import Iterable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from poweremail._messages.envelope import UNIQUE_ID_HEADER, Envelope
from poweremail._mime import Content, File, Mailbox
from poweremail._mime.writer import HeaderValue, write_message
from poweremail._types.address import Recipient
from poweremail._types.address_forms import ascii_domain
from poweremail._types.attachment import Attachment, Image
from poweremail._types.content import read_whole
from poweremail.errors import UsageError


def write(envelope: Envelope, *, text: str | None, html: str | None) -> EmailMessage:
    """Return a message with the fields of *envelope* and these bodies; reads its files."""
    files = [
        *(_image(image) for image in envelope.images),
        *(_attachment(attachment) for attachment in envelope.attachments),
    ]
    try:
        return write_message(_headers(envelope), Content(text, html, tuple(files)))
    except ValueError as error:
        raise UsageError(f"cannot be written: {error}", field="headers") from error


def _headers(envelope: Envelope) -> list[tuple[str, HeaderValue]]:
    addresses: list[tuple[str, HeaderValue]] = [
        (name, _mailboxes(recipients))
        for name, recipients in (
            ("From", (envelope.from_email,)),
            ("To", envelope.to),
            ("Cc", envelope.cc),
            ("Bcc", envelope.bcc),
            ("Reply-To", envelope.reply_to),
        )
        if recipients
    ]
    texts = {"Subject": envelope.subject}
    given = {name.lower() for name in envelope.headers}
    if "date" not in given:
        texts["Date"] = formatdate(localtime=True)
    if "message-id" not in given:
        domain = ascii_domain(envelope.from_email.email).strip("[]")
        texts["Message-ID"] = make_msgid(domain=domain if domain.isascii() else "localhost")
    if envelope.unique_id is not None:
        texts[UNIQUE_ID_HEADER] = envelope.unique_id
    return [
        *addresses,
        *texts.items(),
        *envelope.option_headers().items(),
        *envelope.headers.items(),
    ]


def _mailboxes(recipients: Iterable[Recipient]) -> list[Mailbox]:
    return [Mailbox(recipient.name or "", recipient.email) for recipient in recipients]


def _image(image: Image) -> File:
    content = read_whole(image.content, f"images[{image.cid!r}]")
    return File(name="", type=image.type, content=content, cid=image.cid, related=True)


def _attachment(attachment: Attachment) -> File:
    field = f"attachments[{attachment.name!r}]"
    content = read_whole(attachment.content, field)
    file = File(name=attachment.name, type=attachment.type, content=content)
    if file.media_type.startswith("multipart/"):
        raise UsageError(f"{attachment.type!r} is no type of a file", field=field)
    return file
