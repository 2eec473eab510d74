"""Reads the RFC 5322 message of a ``sendRaw`` into the fields that the sandbox stores and shows."""

from __future__ import annotations

from poweremail._mime.headers import header_lines, parse
from poweremail._mime.reader import read_content
from poweremail.sandbox._api.parts import RECIPIENT_TYPES
from poweremail.sandbox._api.responses import Members
from poweremail.sandbox._store.mail import CaughtFile, CaughtRecipient

__all__ = ["read_raw_message"]


def read_raw_message(raw: str) -> Members:
    """
    Read *raw* leniently, by the readers that the client uses. Any text can be read.

    Returns the fields of a `MailContent`; *subject* and *from_email* are ``""`` if the message has
    none.
    """
    message = parse(raw.encode())
    lines = header_lines(message)
    headers = {line.name: " ".join(line.decode(errors="replace").split()) for line in lines}
    first_by_name = {line.name.lower(): line for line in reversed(lines)}
    senders = first_by_name["from"].mailboxes(lenient=True) if "from" in first_by_name else []
    content, _ = read_content(message, lenient=True)
    images = [file for file in content.files if file.cid and file.type.startswith("image/")]
    subject = first_by_name.get("subject")
    return {
        "subject": headers[subject.name] if subject else "",
        "from_email": senders[0].address if senders else "",
        "from_name": (senders[0].name or None) if senders else None,
        "recipients": tuple(
            CaughtRecipient(type, mailbox.address, mailbox.name or None)
            for line in lines
            if (type := RECIPIENT_TYPES.get(line.name.lower()))
            for mailbox in line.mailboxes(lenient=True)
            if mailbox.address
        ),
        "headers": headers,
        "html": content.html,
        "text": content.text,
        "attachments": tuple(
            CaughtFile(" ".join(file.name.split()) or "unnamed", file.media_type, file.content)
            for file in content.files
            if file not in images
        ),
        "images": tuple(CaughtFile(image.cid, image.media_type, image.content) for image in images),
    }
