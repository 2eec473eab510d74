"""A caught mail as it would be sent: RFC 5322, with MIME parts."""

from __future__ import annotations

import re
from base64 import encodebytes
from email import policy
from email.charset import QP, Charset
from email.header import Header
from email.message import Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import format_datetime, quote

from poweremail.sandbox._store.mail import CaughtFile, CaughtMail, RecipientType

__all__ = ["source"]

_READABLE = Charset("utf-8")
_READABLE.body_encoding = QP
_LISTS: tuple[tuple[str, RecipientType], ...] = (("To", "to"), ("Cc", "cc"))
_HEADER_NAME = re.compile(
    r"[!-9;-~]{1,200}\Z"
)  # RFC 5322, 3.6.8: printable ASCII without the colon
_MIME_TYPE = re.compile(r"[\w!#$&^.+-]+/[\w!#$&^.+-]+\Z", re.ASCII)
_OURS = {"from", "to", "cc", "bcc", "subject", "date", "message-id", "mime-version"}


def source(mail: CaughtMail) -> bytes:
    """
    Write *mail* down with CRLF line ends; one of ``sendRaw`` is as it was handed over.

    What would not be sent is left out: the Bcc line, and headers whose names no mail can carry. The
    date is when it was caught.
    """
    if mail.operation == "sendRaw":
        return str(mail.raw["raw_message"]).encode()
    message = _body(mail)
    head: list[tuple[str, str]] = [("From", _address(mail.from_name, mail.from_email))]
    for name, type in _LISTS:
        if addresses := _addresses(mail, type):
            head.append((name, addresses))
    head += [
        ("Subject", _encoded(mail.subject)),
        ("Date", format_datetime(mail.received)),
        ("Message-ID", f"<{mail.number}@sandbox.invalid>"),
    ]
    head += [
        (name, _encoded(value))
        for name, value in mail.headers.items()
        if _HEADER_NAME.match(name)
        and name.lower() not in _OURS
        and not name.lower().startswith("content-")
    ]
    lines = [f"{name}: {value}\r\n" for name, value in head]
    return "".join(lines).encode() + message.as_bytes(policy=policy.compat32.clone(linesep="\r\n"))


def _body(mail: CaughtMail) -> Message:
    parts = [
        _text(text, kind)
        for kind, text in (("plain", mail.text), ("html", mail.html))
        if text is not None
    ]
    if mail.images and parts:
        # The images belong to the HTML, which stands last: RFC 2387.
        parts[-1] = _multipart(
            "related", [parts[-1], *(_file(image, inline=True) for image in mail.images)]
        )
    body = (
        _multipart("alternative", parts)
        if len(parts) > 1
        else parts[0]
        if parts
        else _text("", "plain")
    )
    if not mail.attachments:
        return body
    del body["MIME-Version"]
    return _multipart("mixed", [body, *(_file(attachment) for attachment in mail.attachments)])


def _text(text: str, kind: str) -> Message:
    part = MIMEText("", kind, "us-ascii")
    del part["Content-Transfer-Encoding"]
    part.set_payload(text, _READABLE)
    return part


def _multipart(kind: str, parts: list[Message]) -> Message:
    whole = MIMEMultipart(kind)
    for part in parts:
        del part["MIME-Version"]
        whole.attach(part)
    return whole


def _file(file: CaughtFile, *, inline: bool = False) -> Message:
    type = file.type if _MIME_TYPE.match(file.type) else "application/octet-stream"
    main, _, sub = type.partition("/")
    part = (
        MIMEBase(main, sub)
        if main.lower() not in ("multipart", "message")
        else MIMEBase("application", "octet-stream")
    )
    part.set_payload(encodebytes(file.content).decode())
    part["Content-Transfer-Encoding"] = "base64"
    name = _one_line(file.name)
    if inline:
        part["Content-ID"] = f"<{quote(name.encode('ascii', 'replace').decode())}>"
        part["Content-Disposition"] = "inline"
    else:
        part.add_header(
            "Content-Disposition",
            "attachment",
            filename=name if name.isascii() else ("utf-8", "", name),
        )
    return part


def _addresses(mail: CaughtMail, type: RecipientType) -> str:
    return ",\r\n ".join(
        _address(who.name, who.email) for who in mail.recipients if who.type == type
    )


def _address(name: str | None, email: str) -> str:
    if not name:
        return email
    return (
        f'"{quote(_one_line(name))}" <{email}>' if name.isascii() else f"{_encoded(name)} <{email}>"
    )


def _encoded(text: str) -> str:
    """
    A header's value: as it is where it is ASCII, as encoded words (RFC 2047) where not; no line
    break can add a header.
    """
    line = _one_line(text)
    return line if line.isascii() else Header(line, "utf-8").encode(linesep="\r\n")


def _one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)
