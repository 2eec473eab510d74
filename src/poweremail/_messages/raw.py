"""
A whole RFC 5322 message, as ``messages/sendRaw`` takes it.

It goes out as it was given: a signature over it stays good. Only a unique id is added, where it has
none.
"""

from __future__ import annotations

import re
from email.errors import MessageError
from email.message import Message as EmailMessage
from email.parser import HeaderParser
from email.utils import getaddresses

import attrs

from poweremail._messages.message import UNIQUE_ID_HEADER
from poweremail._types.address import Recipient
from poweremail._types.text import body_text, header_text
from poweremail.errors import UsageError

__all__ = ["RawMessage", "RawMessageLike"]

RawMessageLike = str | bytes | EmailMessage
"""A message as text, as bytes, or as the standard library's ``EmailMessage``."""

_FIELD = "raw_message"
# A lone CR ends a line for some mail servers and not for others, which is how one message becomes
# two.
_ODD = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")
_END_OF_HEAD = re.compile(r"\r?\n\r?\n|\r?\n\Z|\A\r?\n")
_HEADER_LINE = re.compile(r"[!-9;-~]+[ \t]*:|[ \t]")
_UNFOLDED = re.compile(r"(?:\r\n?|\n)(?![ \t])")
# Recipients that are not told, as in "undisclosed-recipients:;".
_EMPTY_GROUP = re.compile(r":\s*;")
_RECIPIENTS = ("to", "cc", "bcc")


@attrs.frozen
class RawMessage:
    """
    A raw message that can be sent: *text* is all of it, *recipients* are the addresses of its To,
    Cc and Bcc, *unique_id* is its ``X-Unique-Id``, None where it has none.
    """

    text: str = attrs.field(repr=lambda text: f"<{len(text)} characters>")
    recipients: tuple[str, ...]
    unique_id: str | None

    @classmethod
    def of(cls, message: RawMessageLike) -> RawMessage:
        """Read and check *message*. Raises `UsageError` where it cannot be sent."""
        text = body_text(_FIELD, _text(message))
        if not text.strip():
            raise UsageError("must not be empty", field=_FIELD)
        headers = _headers(text)
        senders = [value for name, value in headers if name == "from"]
        if len(senders) != 1:
            raise UsageError(f"must have one From header, not {len(senders)}", field=_FIELD)
        if not _addresses("From", senders):
            raise UsageError("its From header has no address", field=_FIELD)
        named = [(kind, [value for name, value in headers if name == kind]) for kind in _RECIPIENTS]
        recipients = tuple(
            address for kind, values in named for address in _addresses(kind.title(), values)
        )
        if not recipients:
            raise UsageError("has no recipient in To, Cc or Bcc", field=_FIELD)
        return cls(text, recipients, _unique_id(headers))

    def with_unique_id(self, unique_id: str) -> str:
        """
        The whole message with *unique_id* as its first header, on a line that ends as its other
        lines do.
        """
        end = "\r\n" if "\r\n" in self.text else "\n"
        return f"{UNIQUE_ID_HEADER}: {unique_id}{end}{self.text}"


def _text(message: object) -> str:
    if isinstance(message, EmailMessage):
        message = _flat(message)
    if isinstance(message, bytes):
        try:
            return message.decode()
        except UnicodeDecodeError as error:
            raise UsageError(
                f"is not UTF-8 at byte {error.start}, and goes out as text",
                field=_FIELD,
                advice="encode its parts as base64 or quoted-printable",
            ) from None
    if isinstance(message, str):
        return message
    raise UsageError(
        f"must be a str, bytes or an EmailMessage, not {type(message).__name__}", field=_FIELD
    )


def _flat(message: EmailMessage) -> bytes:
    for name, value in message.raw_items():
        if _UNFOLDED.search(str(value)):
            raise UsageError(
                f"its header {name} has a line break that would begin another header", field=_FIELD
            )
    try:
        return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))
    except (MessageError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(
            f"cannot be written: {type(error).__name__}: {error}", field=_FIELD
        ) from error


def _headers(text: str) -> list[tuple[str, str]]:
    """Name, in lower case, and unfolded value of each header."""
    lines = _END_OF_HEAD.split(text, maxsplit=1)[0].split("\n")
    if lines[0].startswith("From "):
        raise UsageError("begins with a line of a mailbox file, not with a header", field=_FIELD)
    for number, line in enumerate(lines, 1):
        if found := _ODD.search(line.removesuffix("\r")):
            raise UsageError(
                f"has a control character {found[0]!r} in line {number} of its headers",
                field=_FIELD,
            )
        if not _HEADER_LINE.match(line) or (number == 1 and line[0] in " \t"):
            raise UsageError(
                f"line {number} is no header, and an empty line has to end them", field=_FIELD
            )
    if found := re.search("\0", text):
        raise UsageError(f"has a NUL at position {found.start()}", field=_FIELD)
    items = HeaderParser().parsestr("\n".join(lines), headersonly=True).raw_items()
    return [(name.lower(), " ".join(str(value).split())) for name, value in items]


def _addresses(name: str, values: list[str]) -> tuple[str, ...]:
    found = []
    for value, address in (
        (header, email) for header in values if header for _, email in getaddresses([header])
    ):
        if not address and _EMPTY_GROUP.search(value):
            continue
        if not address:
            raise UsageError(f"its {name} header cannot be read: {value!r}", field=_FIELD)
        try:
            found.append(Recipient(address).email)
        except UsageError as error:
            raise UsageError(f"its {name} header: {error.reason}", field=_FIELD) from None
    return tuple(found)


def _unique_id(headers: list[tuple[str, str]]) -> str | None:
    found = [value for name, value in headers if name == UNIQUE_ID_HEADER.lower()]
    if not found:
        return None
    if len(found) > 1 or not found[0].strip():
        raise UsageError(
            f"must have one {UNIQUE_ID_HEADER} header that is not empty, or none", field=_FIELD
        )
    return header_text(_FIELD, found[0])
