"""Reads the RFC 5322 message of a ``sendRaw`` into the fields that the sandbox stores and shows."""

from __future__ import annotations

import attrs

from poweremail._mime.headers import header_lines, parse
from poweremail._mime.reader import read_content
from poweremail.sandbox._store.mail import CaughtFile, CaughtRecipient, RecipientType

__all__ = ["RawMail", "read_raw_message"]

_RECIPIENT_TYPES: dict[str, RecipientType] = {"to": "to", "cc": "cc", "bcc": "bcc"}


@attrs.frozen(kw_only=True)
class RawMail:
    """
    The content of a raw message: fields of a `MailContent`. *subject* and *from_email* are ``""``
    if the message has none.
    """

    subject: str
    from_email: str
    from_name: str | None
    recipients: tuple[CaughtRecipient, ...]
    headers: dict[str, str]
    html: str | None
    text: str | None
    attachments: tuple[CaughtFile, ...]
    images: tuple[CaughtFile, ...]


def read_raw_message(raw: str) -> RawMail:
    """Read *raw* leniently, by the readers that the client uses. Any text can be read."""
    message = parse(raw.encode())
    lines = header_lines(message)
    headers = {line.name: " ".join(line.decode(errors="replace").split()) for line in lines}
    first_by_name = {line.name.lower(): line for line in reversed(lines)}
    senders = first_by_name["from"].mailboxes(lenient=True) if "from" in first_by_name else []
    content, _ = read_content(message, lenient=True)
    images = [file for file in content.files if file.cid and file.type.startswith("image/")]
    return RawMail(
        subject=(
            headers.get(first_by_name["subject"].name, "") if "subject" in first_by_name else ""
        ),
        from_email=senders[0].address if senders else "",
        from_name=(senders[0].name or None) if senders else None,
        recipients=tuple(
            CaughtRecipient(
                _RECIPIENT_TYPES[line.name.lower()], mailbox.address, mailbox.name or None
            )
            for line in lines
            if line.name.lower() in _RECIPIENT_TYPES
            for mailbox in line.mailboxes(lenient=True)
            if mailbox.address
        ),
        headers=headers,
        html=content.html,
        text=content.text,
        attachments=tuple(
            CaughtFile(" ".join(file.name.split()) or "unnamed", file.media_type, file.content)
            for file in content.files
            if file not in images
        ),
        images=tuple(CaughtFile(image.cid, image.media_type, image.content) for image in images),
    )
