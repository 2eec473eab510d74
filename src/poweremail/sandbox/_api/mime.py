"""A whole RFC 5322 message, as ``sendRaw`` takes it, read into its parts."""

from __future__ import annotations

import email
from collections.abc import Iterator
from email.message import Message
from email.utils import getaddresses

import attrs

from poweremail._mime.charset import decode_text
from poweremail._mime.part import Part
from poweremail._mime.words import decode_words
from poweremail.sandbox._store.mail import CaughtFile, CaughtRecipient, RecipientType

__all__ = ["RawMail", "parse"]

_RECIPIENT_HEADERS: dict[str, RecipientType] = {"to": "to", "cc": "cc", "bcc": "bcc"}


@attrs.frozen(kw_only=True)
class RawMail:
    """
    What a raw message says. *from_* is name and address, either of them empty where the message
    does not say.
    """

    subject: str
    from_: tuple[str, str]
    recipients: tuple[CaughtRecipient, ...]
    headers: dict[str, str]
    html: str | None
    text: str | None
    attachments: tuple[CaughtFile, ...]
    images: tuple[CaughtFile, ...]


def parse(raw: str) -> RawMail:
    """Read *raw*. Whatever it is, something is read from it."""
    message = email.message_from_bytes(raw.encode())
    headers = [(name, _decoded(value)) for name, value in message.raw_items()]
    named = {name.lower(): value for name, value in reversed(headers)}
    html: str | None = None
    text: str | None = None
    attachments: list[CaughtFile] = []
    images: list[CaughtFile] = []
    for part in _leaves(message):
        type, content, name = part.type, part.content(), part.name
        if part.cid and type.startswith("image/"):
            images.append(CaughtFile(part.cid, type, content))
        elif name or part.disposition == "attachment":
            attachments.append(CaughtFile(" ".join(name.split()) or "unnamed", type, content))
        elif type == "text/html" and html is None:
            html = _text(part, content)
        elif type == "text/plain" and text is None:
            text = _text(part, content)
        else:
            attachments.append(CaughtFile("unnamed", type, content))
    return RawMail(
        subject=named.get("subject", ""),
        from_=next(iter(getaddresses([named.get("from", "")])), ("", "")),
        recipients=tuple(
            CaughtRecipient(_RECIPIENT_HEADERS[name.lower()], address, display or None)
            for name, value in headers
            if name.lower() in _RECIPIENT_HEADERS
            for display, address in getaddresses([value])
            if address
        ),
        headers=dict(headers),
        html=html,
        text=text,
        attachments=tuple(attachments),
        images=tuple(images),
    )


def _leaves(message: Message) -> Iterator[Part]:
    return (Part(part) for part in message.walk() if not part.is_multipart())


def _clean(text: str) -> str:
    """Bytes beyond ASCII come out of the parser as lone surrogates; they were UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _decoded(value: object) -> str:
    return decode_words(" ".join(_clean(str(value)).split()), errors="replace")


def _text(part: Part, content: bytes) -> str:
    return decode_text(content, part.parameter("charset") or "utf-8", errors="replace")
