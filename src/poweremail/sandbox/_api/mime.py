"""Reads the RFC 5322 message of a ``sendRaw`` into the fields that the sandbox stores and shows."""

from __future__ import annotations

import mimetypes
from collections.abc import Sequence

from poweremail._mime import Content, File
from poweremail._mime.headers import HeaderLine, header_lines, parse
from poweremail._mime.reader import read_content
from poweremail.sandbox._api.inline import image_type, used_images
from poweremail.sandbox._api.parts import RECIPIENT_TYPES
from poweremail.sandbox._api.responses import Members
from poweremail.sandbox._store.mail import CaughtFile, CaughtRecipient


def read_raw_message(raw: str | bytes) -> Members:
    """
    Read *raw* leniently, by the readers that the client uses. Any text can be read, and any bytes.

    Returns the fields of a `MailContent`; *subject* and *from_email* are ``""`` if the message has
    none. Images without a type that says so are recognized by their first bytes.
    """
    message = parse(raw.encode() if isinstance(raw, str) else raw)
    lines = header_lines(message)
    first_by_name = {line.name.lower(): line for line in reversed(lines)}
    senders = first_by_name["from"].mailboxes(lenient=True) if "from" in first_by_name else []
    content, _ = read_content(message, lenient=True)
    images = _images(content)
    return {
        "subject": _value(first_by_name["subject"]) if "subject" in first_by_name else "",
        "from_email": senders[0].address if senders else "",
        "from_name": (senders[0].name or None) if senders else None,
        "recipients": tuple(
            CaughtRecipient(type, mailbox.address, mailbox.name or None)
            for line in lines
            if (type := RECIPIENT_TYPES.get(line.name.lower()))
            for mailbox in line.mailboxes(lenient=True)
            if mailbox.address
        ),
        "headers": _headers(lines),
        "html": content.html,
        "text": content.text,
        "attachments": tuple(
            CaughtFile(_name(file), file.media_type, file.content)
            for file in content.files
            if file not in images
        ),
        "images": tuple(
            CaughtFile(file.cid, image_type(file.type, file.content) or file.type, file.content)
            for file in images
        ),
    }


def _headers(lines: Sequence[HeaderLine]) -> dict[str, str]:
    """Return all headers; one that occurs several times has a line for each."""
    names = {line.name.lower(): line.name for line in reversed(lines)}
    values: dict[str, list[str]] = {}
    for line in lines:
        values.setdefault(names[line.name.lower()], []).append(_value(line))
    return {name: "\n".join(found) for name, found in values.items()}


def _value(line: HeaderLine) -> str:
    return " ".join(line.decode(errors="replace").split())


def _images(content: Content) -> list[File]:
    """
    Return the files that are shown in the HTML: images with a Content-ID. If a file is marked as an
    attachment, and many programs give each a Content-ID, the HTML must use it.
    """
    files = [file for file in content.files if file.cid and image_type(file.type, file.content)]
    used = used_images(content.html, [file.cid for file in files])
    return [file for index, file in enumerate(files) if index in used or not file.is_attachment]


_NAMES = {"text/calendar": "invite.ics", "message/rfc822": "message.eml"}


def _name(file: File) -> str:
    """Return the name of a file, or one that its type suggests."""
    extension = mimetypes.guess_extension(file.media_type) or ""
    return " ".join(file.name.split()) or _NAMES.get(file.media_type) or f"unnamed{extension}"
