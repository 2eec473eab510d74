"""
A whole RFC 5322 message, as ``messages/sendRaw`` takes it.

Text and bytes go out as they are, so that a signature over them stays valid; only a unique id is
added if there is none. The recipients are read by the same reader that the sandbox uses, and a
message whose recipients are not clear is not sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from email.message import Message as EmailMessage
from email.parser import HeaderParser
from typing import TypeVar

import attrs

from poweremail._messages.envelope import OTHER_RECIPIENTS, UNIQUE_ID_HEADER
from poweremail._messages.message import Message, TemplateMessage
from poweremail._mime.headers import HeaderLine, header_lines
from poweremail._mime.part import PARSER_FAILURES
from poweremail._mime.writer import address_list, flatten
from poweremail._types.address import Recipient
from poweremail._types.checks import body_text, header_text
from poweremail._types.suppression import check_stream
from poweremail.errors import UsageError

RawMessageLike = str | bytes | EmailMessage
"""A message as text, as bytes, or as the standard library's ``EmailMessage``."""

_FIELD = "raw_message"
# A lone CR ends a line for some mail servers and not for others, which is how one message becomes
# two.
_ODD = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)")
_END_OF_HEAD = re.compile(r"\r?\n\r?\n|\r?\n\Z|\A\r?\n")
_HEADER_LINE = re.compile(r"[!-9;-~]+[ \t]*:|[ \t]")
# Obsolete syntax, at which the standard library's parser ends the headers; servers read it.
_GAP = re.compile(r"^([!-9;-~]+)[ \t]+:", re.MULTILINE)
_ADDRESS_HEADERS = ("to", "cc", "bcc")
_RECIPIENTS = (*_ADDRESS_HEADERS, *OTHER_RECIPIENTS)
_UNFOLDED = re.compile(r"(?:\r\n?+|\n)(?![ \t])")


@attrs.frozen
class RawMessage:
    """
    A raw message that can be sent: *text* is all of it, *recipients* are the addresses of its To,
    Cc and Bcc, *unique_id* is its ``X-Unique-Id``, None where it has none. *has_others*: other
    headers may name further recipients. *stream*: as that of a `Message`.
    """

    text: str = attrs.field(repr=lambda text: f"<{len(text)} characters>")
    recipients: tuple[str, ...]
    unique_id: str | None
    has_others: bool = False
    stream: str | None = attrs.field(default=None, kw_only=True)

    @classmethod
    def of(cls, message: RawMessageLike, *, stream: str | None = None) -> RawMessage:
        """Read and check *message*. Raises `UsageError` where it cannot be sent."""
        if stream is not None:
            check_stream("stream", stream, mail_state="not_sent")
        text = body_text(_FIELD, _text(message))
        if not text.strip():
            raise UsageError("must not be empty", field=_FIELD)
        headers: dict[str, list[HeaderLine]] = {}
        for line in _header_lines(text):
            headers.setdefault(line.name.lower(), []).append(line)
        senders = headers.get("from", [])
        if len(senders) != 1:
            raise UsageError(f"must have one From header, not {len(senders)}", field=_FIELD)
        if not _addresses(senders[0]):
            raise UsageError("its From header has no address", field=_FIELD)
        recipients = [
            address
            for name in _ADDRESS_HEADERS
            for line in headers.get(name, [])
            for address in _addresses(line)
        ]
        if not recipients:
            raise UsageError("has no recipient in To, Cc or Bcc", field=_FIELD)
        unique_ids = headers.get(UNIQUE_ID_HEADER.lower(), [])
        has_others = not headers.keys().isdisjoint(OTHER_RECIPIENTS)
        return cls(text, tuple(recipients), _unique_id(unique_ids), has_others, stream=stream)

    def with_unique_id(self, unique_id: str) -> str:
        """
        The whole message with *unique_id* as its first header, on a line that ends as its other
        lines do.
        """
        end = "\r\n" if "\r\n" in self.text else "\n"
        return f"{UNIQUE_ID_HEADER}: {unique_id}{end}{self.text}"

    def readdressed(
        self, to: str, headers: Mapping[str, str], *, left_out: Collection[str] = ()
    ) -> str:
        """
        The whole message to the address *to* alone, with *headers*, and without those of the names
        *left_out*.
        """
        line_end = self._line_end
        added = "".join(f"{name}: {text}{line_end}" for name, text in {"To": to, **headers}.items())
        return added + self._with_headers(_header_pattern(*_RECIPIENTS, *left_out), lambda _: "")

    def without(self, addresses: Collection[str]) -> RawMessage:
        """
        The message without the recipients *addresses*, which are some of them: the headers that
        name one are written anew, without its comments and groups, and all else stays as it is.
        """

        def rewrite(found: re.Match[str]) -> str:
            name = found[1]
            (line,) = _header_lines(found[0])
            boxes = line.mailboxes(errors="replace")
            kept = [box for box in boxes if Recipient(box.address).email not in addresses]
            if len(kept) == len(boxes):
                return found[0]
            if not kept:
                return ""
            value = address_list(name, kept).replace("\r\n", self._line_end)
            return f"{name}: {value}{self._line_end}"

        recipients = tuple(each for each in self.recipients if each not in addresses)
        return attrs.evolve(
            self,
            text=self._with_headers(_header_pattern(*_RECIPIENTS), rewrite),
            recipients=recipients,
        )

    @property
    def _line_end(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    def _with_headers(
        self, headers: re.Pattern[str], replace: Callable[[re.Match[str]], str]
    ) -> str:
        """The whole message, each match of *headers* replaced by what *replace* returns."""
        found = _END_OF_HEAD.search(self.text)
        end = found.start() if found else len(self.text)
        line_end = self._line_end
        head = headers.sub(replace, self.text[:end] + line_end).removesuffix(line_end)
        return f"{head}{self.text[end:]}"


AnyMail = TypeVar("AnyMail", bound=Message | TemplateMessage | RawMessage)
"""A mail of any kind."""


def _header_pattern(*names: str) -> re.Pattern[str]:
    """A pattern for the headers *names*, with the lines that continue them."""
    return re.compile(
        rf"^({'|'.join(names)})[ \t]*:.*\n(?:[ \t].*\n)*", re.IGNORECASE | re.MULTILINE
    )


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
        return flatten(message)
    except PARSER_FAILURES as error:
        raise UsageError(
            f"cannot be written: {type(error).__name__}: {error}", field=_FIELD
        ) from error


def _header_lines(text: str) -> list[HeaderLine]:
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
    head = _GAP.sub(r"\1:", "\n".join(lines))
    return header_lines(HeaderParser().parsestr(head, headersonly=True))


def _addresses(line: HeaderLine) -> list[str]:
    name = line.name.title()
    try:
        # The message goes out as it is, so names that cannot be decoded do no harm.
        return [Recipient(mailbox.address).email for mailbox in line.mailboxes(errors="replace")]
    except UsageError as error:
        raise UsageError(f"its {name} header: {error.reason}", field=_FIELD) from None
    except ValueError as error:
        raise UsageError(f"its {name} header {error}: {line.text!r}", field=_FIELD) from None


def _unique_id(lines: list[HeaderLine]) -> str | None:
    if not lines:
        return None
    if len(lines) > 1 or not lines[0].text:
        raise UsageError(
            f"must have one {UNIQUE_ID_HEADER} header that is not empty, or none", field=_FIELD
        )
    return header_text(_FIELD, lines[0].text)
