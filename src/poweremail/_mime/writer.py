"""
The message writer: from headers and a `Content` to a message of the standard library.

Its bytes are the same in every Python version, because every header is encoded and folded here, by
one of three rules:

- *addresses*: a comma-separated list; names that need it are quoted or become encoded words,
  addresses never do.
- *structured* headers, which contain URLs and ids (`STRUCTURED`): programs read them character by
  character, so they are folded at white space only and never become encoded words. RFC 2047, 5
  forbids encoded words there; one-click unsubscribing and threading break with them.
- *texts*: all others. They become encoded words if they are not ASCII or too long for a line.

The standard library applies the text rule to structured headers that are longer than a line, and
its folding garbles some non-ASCII names with commas, long words, and characters such as U+2028.
"""

from __future__ import annotations

import base64
import quopri
import re
from collections.abc import Iterable, Sequence
from email.headerregistry import AddressHeader, BaseHeader, UnstructuredHeader
from email.message import EmailMessage
from email.message import Message as StdMessage
from email.policy import EmailPolicy
from typing import TypeAlias

from poweremail._mime import Content, File, Mailbox
from poweremail._mime.headers import header_line, parse
from poweremail._mime.part import LINE_END, Part, as_bytes
from poweremail._mime.words import encode_words, fold, parameter
from poweremail._types.encoded_words import has_words

_Policy: TypeAlias = "EmailPolicy[EmailMessage]"
HeaderValue: TypeAlias = "str | Sequence[Mailbox]"
"""The value of a header: a text, or mailboxes."""

STRUCTURED = frozenset(
    (
        *(f"list-{name}" for name in ("archive", "help", "owner", "post", "subscribe")),
        *("list-unsubscribe", "list-unsubscribe-post", "archived-at"),
        *("message-id", "in-reply-to", "references", "resent-message-id"),
    )
)
"""Headers of URLs and ids, in lower case."""

# Atoms (RFC 5322, 3.2.3) with single spaces between them: a name that needs no quotes.
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?: [A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*\Z")
_MAX_QUOTED_CHARS = 60
# RFC 5322, 2.1.1. The line that begins a header contains its name, too.
_MAX_LINE_CHARS = 998
_MAX_WORD_CHARS = 800
_LINE_BREAK = re.compile(r"\r\n|\r|\n")
# One space between two words: the line may be folded here, and unfolding restores it.
_FOLDABLE = re.compile(r"(?<=[^ \t]) (?=[^ \t])")


def write_message(
    headers: Iterable[tuple[str, HeaderValue]], content: Content, *, lenient: bool = False
) -> EmailMessage:
    """
    Return a message with *headers*, in this order, and *content*.

    Files that are *related* stand beside the HTML with their Content-ID; the others are
    attachments. The type of a file must not be a multipart.

    *lenient*: a structured header that cannot be written as such is written as a text; otherwise
    it raises ValueError.
    """
    headers = list(headers)
    addresses = [
        each.address for _, value in headers if not isinstance(value, str) for each in value
    ]
    # Headers are encoded and folded here and must stay so. Addresses beyond ASCII can only be
    # written in UTF-8 (RFC 6532).
    policy: _Policy = EmailPolicy(
        linesep="\r\n", refold_source="none", utf8=not all(map(str.isascii, addresses))
    )
    message = EmailMessage(policy)
    for name, value in headers:
        message.set_raw(name, _header(name, value, lenient=lenient))
    message.set_raw("MIME-Version", "1.0")
    body = _body(policy, content)
    for name, value in body.raw_items():
        message.set_raw(name, value)
    message.set_payload(body.get_payload())
    return message


def _header(name: str, value: HeaderValue, *, lenient: bool = False) -> str:
    if not isinstance(value, str):
        return address_list(name, value)
    if name.lower() in STRUCTURED:
        try:
            return _structured(name, value)
        except ValueError:
            if not lenient:
                raise
    return _text(name, value)


def address_list(name: str, mailboxes: Iterable[Mailbox]) -> str:
    """Return the value of the header *name* that lists *mailboxes*, folded."""
    words: list[str] = []
    for mailbox in mailboxes:
        if words:
            words[-1] += ","
        words += _mailbox(mailbox, len(name) + 2)
    return fold(name, words)


def _mailbox(mailbox: Mailbox, used: int) -> list[str]:
    name = mailbox.name
    if not name:
        return [mailbox.address]
    address = f"<{mailbox.address}>"
    if not name.isascii() or has_words(name) or len(name) > _MAX_QUOTED_CHARS or "\t" in name:
        return [*encode_words(name, used), address]
    if _PHRASE.match(name):
        return [*name.split(" "), address]
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return [f'"{escaped}"', address]


def _structured(name: str, text: str) -> str:
    words = _FOLDABLE.split(text)
    if not text.isascii() or has_words(text):
        raise ValueError(f"{name} must be ASCII without encoded words: it contains URLs or ids")
    if max(map(len, words)) > _MAX_LINE_CHARS - 1:
        raise ValueError(f"{name} has a word that is too long for a line")
    value = fold(name, words)
    # The first word moves to a line of its own if the name leaves too little room for it.
    return f"\r\n {value}" if len(name) + 2 + len(words[0]) > _MAX_LINE_CHARS else value


def _text(name: str, text: str) -> str:
    words = _FOLDABLE.split(text)
    if (
        not text.isascii()
        or has_words(text)
        or text != text.strip()
        or max(map(len, words)) > _MAX_WORD_CHARS
    ):
        words = encode_words(text, len(name) + 2)
    return fold(name, words)


def _body(policy: _Policy, content: Content) -> EmailMessage:
    texts = ((content.text, "plain"), (content.html, "html"))
    bodies = [_text_part(policy, text, subtype) for text, subtype in texts if text]
    bodies = bodies or [_text_part(policy, "", "plain")]
    images = [_image(policy, file) for file in content.files if file.related]
    if images:
        # Beside the HTML, which is the last body if there is one.
        bodies[-1] = _multipart(policy, "related", [bodies[-1], *images])
    body = bodies[0] if len(bodies) == 1 else _multipart(policy, "alternative", bodies)
    attachments = [_attachment(policy, file) for file in content.files if not file.related]
    return _multipart(policy, "mixed", [body, *attachments]) if attachments else body


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
    plain = text.encode()
    # Base64 contains the canonical form, whose lines end in CRLF (RFC 2046, 4.1.1). It alone keeps
    # a CR that ends no line.
    as_base64 = base64.encodebytes(text.replace("\n", "\r\n").encode())
    as_quoted = quopri.encodestring(plain)
    if _is_plain(text):
        encoding, payload = "7bit", plain
    elif "\r" in text or len(as_base64) < len(as_quoted):
        encoding, payload = "base64", as_base64
    else:
        encoding, payload = "quoted-printable", as_quoted
    part = _part(policy, [f"text/{subtype};", "charset=utf-8"], Content_Transfer_Encoding=encoding)
    part.set_payload(payload.decode("ascii"))
    return part


def _is_plain(text: str) -> bool:
    """Return whether *text* needs no encoding."""
    return text.isascii() and all(
        len(line) <= _MAX_LINE_CHARS and line.replace("\t", " ").isprintable()
        for line in text.split("\n")
    )


def _image(policy: _Policy, file: File) -> EmailMessage:
    cid = _text("Content-ID", f"<{file.cid}>")
    return _file_part(policy, file, Content_ID=cid, Content_Disposition="inline")


def _file_part(policy: _Policy, file: File, **headers: str) -> EmailMessage:
    words = _type_words(file.type)
    part = _part(policy, words, Content_Transfer_Encoding="base64", **headers)
    part.set_payload(base64.encodebytes(file.content).decode("ascii"))
    return part


def _attachment(policy: _Policy, file: File) -> EmailMessage:
    words = _type_words(file.type)
    disposition = fold("Content-Disposition", ["attachment;", *parameter("filename", file.name)])
    if not words[0].startswith("message/"):
        return _file_part(policy, file, Content_Disposition=disposition)
    # A message must not be encoded (RFC 2046, 5.2.1). The parser knows which kind contains what.
    head = (
        f"Content-Type: {fold('Content-Type', words)}\r\nContent-Disposition: {disposition}\r\n\r\n"
    )
    return parse(head.encode() + file.content, policy)


def _type_words(type: str) -> list[str]:
    described = StdMessage()
    described["Content-Type"] = type
    return Part(described).type_words


def flatten(message: StdMessage) -> bytes:
    """
    Return *message* as bytes, with CRLF line ends.

    Headers that a parser has stored stay as they are. The others are written by the rules of this
    file if the policy is one of the newer ones, whose own folding breaks some of them; the old
    policy folds at white space only. Raises one of `PARSER_FAILURES` if it cannot be written.
    """
    policy = message.policy
    if not isinstance(policy, EmailPolicy):
        return as_bytes(message, policy.clone(linesep="\r\n"))
    rules = _WriterPolicy(utf8=policy.utf8, cte_type=policy.cte_type, linesep="\r\n")
    return as_bytes(message, rules)


class _WriterPolicy(EmailPolicy):
    """Folds headers by the rules of this file. Its hook is that of ``email.policy.Policy``."""

    def fold_binary(self, name: str, value: str) -> bytes:
        written = self._written(name, value)
        if written is None:
            return super().fold_binary(name, value)
        return f"{name}: {written}\r\n".encode("utf-8", "surrogateescape")

    def _written(self, name: str, value: str) -> str | None:
        """The value, encoded and folded; None leaves it to the standard library."""
        if not isinstance(value, BaseHeader):
            # As a parser has stored it, bytes beyond ASCII as lone surrogates.
            return _LINE_BREAK.sub("\r\n", value)
        line = header_line(name, value)
        if name.lower() in STRUCTURED:
            return _structured(name, line.text)
        if isinstance(value, UnstructuredHeader):
            return _text(name, line.text)
        if not isinstance(value, AddressHeader):
            return None
        try:
            mailboxes = line.mailboxes(errors="replace")
        except ValueError:
            return None
        # Only the standard library writes groups, which may be empty.
        is_list = mailboxes and all(mailbox.group is None for mailbox in mailboxes)
        return address_list(name, mailboxes) if is_list else None
