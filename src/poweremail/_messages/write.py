"""
From our messages to those of the standard library, so that their bytes are the same in every Python
version.
"""

from __future__ import annotations

import base64
import quopri
import re
from collections.abc import Iterable
from email.message import EmailMessage
from email.message import Message as StdMessage
from email.policy import EmailPolicy
from email.utils import formatdate, make_msgid
from typing import TypeAlias

from poweremail._messages.message import UNIQUE_ID_HEADER, Message
from poweremail._mime.parse import parse
from poweremail._mime.part import LINE_END, Part
from poweremail._mime.words import encode_words, fold, has_words, parameter
from poweremail._types.address import Recipient
from poweremail._types.attachment import Attachment, Image
from poweremail._types.content import read_whole
from poweremail.errors import UsageError

__all__ = ["write"]

_Policy: TypeAlias = "EmailPolicy[EmailMessage]"

# Atoms (RFC 5322, 3.2.3) with single spaces between them: a name that needs no quotes.
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?: [A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*\Z")
_LONGEST_QUOTED = 60
# RFC 5322, 2.1.1: no line may be longer than 998 characters; a header's begins with its name.
_LONGEST_LINE = 998
_LONGEST_WORD = 800
# One space between two words: where a line may be folded and come out as it was.
_FOLDABLE = re.compile(r"(?<=[^ \t]) (?=[^ \t])")


def write(message: Message) -> EmailMessage:
    """Return *message* as the standard library has it. See `Message.as_email_message`."""
    mailboxes = (message.from_email, *message.to, *message.cc, *message.bcc, *message.reply_to)
    # Headers are encoded and folded here, and are to stay so. Addresses beyond ASCII can only be
    # written in UTF-8 (RFC 6532).
    policy: _Policy = EmailPolicy(
        linesep="\r\n",
        refold_source="none",
        utf8=not all(mailbox.email.isascii() for mailbox in mailboxes),
    )
    bodies = [
        _text_part(policy, text, subtype)
        for text, subtype in ((message.text, "plain"), (message.html, "html"))
        if text
    ]
    if message.images:
        # Beside the HTML, which is the last body where there is one.
        bodies[-1] = _multipart(
            policy, "related", [bodies[-1], *(_image(policy, image) for image in message.images)]
        )
    whole = bodies[0] if len(bodies) == 1 else _multipart(policy, "alternative", bodies)
    if message.attachments:
        whole = _multipart(
            policy, "mixed", [whole, *(_attachment(policy, file) for file in message.attachments)]
        )
    return _with_envelope(policy, message, whole)


def _with_envelope(policy: _Policy, message: Message, whole: EmailMessage) -> EmailMessage:
    result = EmailMessage(policy)
    for name, mailboxes in (
        ("From", (message.from_email,)),
        ("To", message.to),
        ("Cc", message.cc),
        ("Bcc", message.bcc),
        ("Reply-To", message.reply_to),
    ):
        if mailboxes:
            result.set_raw(name, _address_list(name, mailboxes))
    texts = {"Subject": message.subject}
    given = {name.lower() for name in message.headers}
    if "date" not in given:
        texts["Date"] = formatdate(localtime=True)
    if "message-id" not in given:
        texts["Message-ID"] = make_msgid(
            domain=message.from_email.email.rpartition("@")[2].strip("[]")
        )
    if message.unique_id is not None:
        texts[UNIQUE_ID_HEADER] = message.unique_id
    texts |= (message.tracking.headers() if message.tracking else {}) | dict(message.headers)
    for name, text in texts.items():
        result.set_raw(name, _unstructured(name, text))
    result.set_raw("MIME-Version", "1.0")
    for name, value in whole.raw_items():
        result.set_raw(name, value)
    result.set_payload(whole.get_payload())
    return result


def _address_list(name: str, mailboxes: Iterable[Recipient]) -> str:
    words: list[str] = []
    for mailbox in mailboxes:
        if words:
            words[-1] += ","
        words += _mailbox(mailbox, len(name) + 2)
    return fold(name, words)


def _mailbox(mailbox: Recipient, used: int) -> list[str]:
    name = mailbox.name
    if name is None:
        return [mailbox.email]
    address = f"<{mailbox.email}>"
    if not name.isascii() or has_words(name) or len(name) > _LONGEST_QUOTED or "\t" in name:
        return [*encode_words(name, used), address]
    if _PHRASE.match(name):
        return [*name.split(" "), address]
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{escaped}"', address]


def _unstructured(name: str, text: str) -> str:
    words = _FOLDABLE.split(text)
    if (
        not text.isascii()
        or has_words(text)
        or text != text.strip()
        or max(map(len, words)) > _LONGEST_WORD
    ):
        words = encode_words(text, len(name) + 2)
    return fold(name, words)


def _part(policy: _Policy, type_words: list[str], **headers: str) -> EmailMessage:
    part = EmailMessage(policy)
    part.set_raw("Content-Type", fold("Content-Type", type_words))
    for name, value in headers.items():
        part.set_raw(name.replace("_", "-"), value)
    return part


def _multipart(policy: _Policy, subtype: str, parts: list[EmailMessage]) -> EmailMessage:
    words = [f"multipart/{subtype}"]
    if subtype == "related":
        # Required by RFC 2387, 3.1.
        words = [f"{words[0]};", f'type="{parts[0].get_content_type()}"']
    result = _part(policy, words)
    for part in parts:
        result.attach(part)
    return result


def _text_part(policy: _Policy, text: str, subtype: str) -> EmailMessage:
    text = LINE_END.sub("\n", text)
    data = text.encode()
    if "\r" in text:
        # A CR of its own is no line end, and only base64 keeps it.
        encoding, payload = "base64", base64.encodebytes(data)
    elif _is_plain(text):
        encoding, payload = "7bit", data
    else:
        quoted, encoded = quopri.encodestring(data), base64.encodebytes(data)
        encoding, payload = (
            ("quoted-printable", quoted) if len(quoted) <= len(encoded) else ("base64", encoded)
        )
    part = _part(policy, [f"text/{subtype};", "charset=utf-8"], Content_Transfer_Encoding=encoding)
    part.set_payload(payload.decode("ascii"))
    return part


def _is_plain(text: str) -> bool:
    """Whether *text* can travel as it is."""
    return text.isascii() and all(
        len(line) <= _LONGEST_LINE and line.replace("\t", " ").isprintable()
        for line in text.split("\n")
    )


def _image(policy: _Policy, image: Image) -> EmailMessage:
    cid = f"<{image.cid}>"
    part = _part(
        policy,
        _type_words(image.type),
        Content_Transfer_Encoding="base64",
        Content_ID=_unstructured("Content-ID", cid),
        Content_Disposition="inline",
    )
    part.set_payload(_base64(read_whole(image.content, f"images[{image.cid!r}]")))
    return part


def _attachment(policy: _Policy, file: Attachment) -> EmailMessage:
    content = read_whole(file.content, f"attachments[{file.name!r}]")
    words, maintype = _type_words(file.type), file.type.partition("/")[0].lower()
    disposition = fold("Content-Disposition", ["attachment;", *parameter("filename", file.name)])
    if maintype == "multipart":
        raise UsageError(f"{file.type!r} is no type of a file", field=f"attachments[{file.name!r}]")
    if maintype != "message":
        part = _part(
            policy, words, Content_Transfer_Encoding="base64", Content_Disposition=disposition
        )
        part.set_payload(_base64(content))
        return part
    # A message must not be encoded (RFC 2046, 5.2.1); the parser knows what is in which kind of
    # them.
    head = (
        f"Content-Type: {fold('Content-Type', words)}\r\nContent-Disposition: {disposition}\r\n\r\n"
    )
    return parse(head.encode() + content, policy)


def _base64(content: bytes) -> str:
    return base64.encodebytes(content).decode("ascii")


def _type_words(type: str) -> list[str]:
    probe = StdMessage()
    probe["Content-Type"] = type
    return Part(probe).type_words
