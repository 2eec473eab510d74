"""
What leaves the sandbox: a caught mail as its source, by SMTP to real people (`smtp`), and the
requests that check where its links lead (`link_check`).

The source is RFC 5322 with MIME parts; the page and the control API offer it for download.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.utils import format_datetime

from poweremail._mime import Content, File, Mailbox
from poweremail._mime.writer import HeaderValue, write_message
from poweremail.sandbox._store.mail import CaughtMail

# RFC 5322, 3.6.8: printable ASCII without the colon.
_HEADER_NAME = re.compile(r"[!-9;-~]{1,200}\Z")
# Multiparts and messages consist of parts, so a file with any other bytes cannot have their types.
_MIME_TYPE = re.compile(
    r"(?!multipart/|message/)[\w!#$&^.+-]+/[\w!#$&^.+-]+\Z", re.ASCII | re.IGNORECASE
)
_HEADERS_WRITTEN_HERE = {"from", "to", "cc", "bcc", "subject", "date", "message-id", "mime-version"}
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")


def source(mail: CaughtMail) -> bytes:
    """
    Return *mail* with CRLF line ends; a mail of ``sendRaw`` is returned as it came.

    The Bcc header is left out, because it is never sent, and so are headers whose names no mail can
    contain. The date is the time when the mail was caught.
    """
    if mail.operation == "sendRaw":
        return str(mail.raw["raw_message"]).encode()
    content = Content(mail.text, mail.html, tuple(_files(mail)))
    # Leniently: the sandbox has accepted the mail, so it writes it.
    return write_message(_headers(mail), content, lenient=True).as_bytes()


def _headers(mail: CaughtMail) -> Iterable[tuple[str, HeaderValue]]:
    yield "From", [Mailbox(_one_line(mail.from_name or ""), mail.from_email)]
    for name, type in (("To", "to"), ("Cc", "cc")):
        if mailboxes := [
            Mailbox(_one_line(recipient.name or ""), recipient.email)
            for recipient in mail.recipients
            if recipient.type == type
        ]:
            yield name, mailboxes
    yield "Subject", _one_line(mail.subject)
    yield "Date", format_datetime(mail.received)
    yield "Message-ID", f"<{mail.number}@sandbox.invalid>"
    for name, value in mail.headers.items():
        lower = name.lower()
        is_allowed = lower not in _HEADERS_WRITTEN_HERE and not lower.startswith("content-")
        if is_allowed and _HEADER_NAME.match(name):
            yield name, _one_line(value)


def _files(mail: CaughtMail) -> Iterable[File]:
    for file in (*mail.images, *mail.attachments):
        name = _one_line(file.name)
        type = file.type if _MIME_TYPE.match(file.type) else "application/octet-stream"
        yield File(
            name=name, cid=name, type=type, content=file.content, related=file in mail.images
        )


def _one_line(text: str) -> str:
    """Return *text* without control characters, because a line break would add a header."""
    return _CONTROLS.sub(" ", text)
