"""
One part of a message, read alike whatever made it: the parser with any policy, the content manager,
or the old MIME classes.

The readers of ``email.headerregistry`` are not used for this: hostile headers make them raise
AttributeError and others.
"""

from __future__ import annotations

import base64
import re
from email.errors import InvalidBase64LengthDefect, MessageError
from email.generator import BytesGenerator
from email.header import Header
from email.headerregistry import BaseHeader
from email.message import Message as StdMessage
from email.policy import EmailPolicy, compat32
from email.utils import decode_rfc2231
from io import BytesIO
from urllib.parse import unquote

import attrs

from poweremail._mime.charset import decode_text
from poweremail._mime.words import decode_words, parameter

__all__ = ["LINE_END", "PARSER_FAILURES", "HeaderLine", "Part", "header_lines", "reason", "shown"]

PARSER_FAILURES = (
    AssertionError,
    AttributeError,
    LookupError,
    MessageError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    TypeError,
    UnboundLocalError,
    ValueError,
)
"""What the ``email`` package was seen to raise for input that it cannot make sense of."""


def reason(error: Exception) -> str:
    """What *error* says, or its name where it says nothing."""
    return str(error) or type(error).__name__


def shown(text: str) -> str:
    """*text* in quotes, as much of it as an error needs."""
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}...")


_LONGEST_SHOWN = 100
# Longer parameters than any program writes: reading them takes the square of their length.
_LONGEST_DESCRIPTION = 8192
# A fold is a line end before white space; what stands for it is one space.
_FOLD = re.compile(r"(?:\r\n|\r|\n)[ \t]")
# CR CR LF is a line end that was converted twice.
LINE_END = re.compile(r"\r+\n")
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9!#$&+\-.^_`{|}~]+\Z")


@attrs.frozen
class HeaderLine:
    """
    One header: *text* is its value, unfolded.

    *decoded* says that encoded words in it are not meant as such, because the ``email`` package has
    decoded them. *value* is what the message holds, *garbled* that it has bytes that are not UTF-8.
    """

    name: str
    text: str
    decoded: bool
    value: object
    garbled: bool

    def decode(self, *, errors: str = "strict") -> str:
        """
        Return the value as text. Raises UnicodeError where its bytes are not of their charset and
        *errors* is ``"strict"``.
        """
        if self.garbled and errors == "strict":
            raise UnicodeError("its bytes are not ASCII or UTF-8")
        return self.text if self.decoded else decode_words(self.text, errors=errors)


def header_lines(message: StdMessage) -> list[HeaderLine]:
    """The headers of *message* in their order."""
    return [_line(str(name), value) for name, value in message.raw_items()]


def _line(name: str, value: object) -> HeaderLine:
    text = _encoded(value) if isinstance(value, Header) else str(value)
    garbled = False
    if not text.isascii():
        # The parser keeps bytes beyond ASCII as lone surrogates. They are UTF-8 by RFC 6532.
        data = text.encode("utf-8", "surrogateescape" if _escaped(text) else "replace")
        try:
            text = data.decode()
        except UnicodeError:
            text, garbled = data.decode("utf-8", "replace"), True
    return HeaderLine(
        name, _FOLD.sub(" ", text).strip(" \t\r\n"), isinstance(value, BaseHeader), value, garbled
    )


def _encoded(header: Header) -> str:
    try:
        # No limit to the lines' length. As encoded words, so that a comma in a name is no separator
        # of addresses.
        return header.encode(maxlinelen=0)
    except PARSER_FAILURES:
        return str(header)


def _escaped(text: str) -> bool:
    return all(
        "\udc80" <= character <= "\udcff" for character in text if "\ud800" <= character <= "\udfff"
    )


class Part:
    """A part of a message, or the whole of it. Reading it never raises."""

    def __init__(self, source: StdMessage, *, default_type: str | None = None) -> None:
        self._source = source
        self._plain = StdMessage(policy=compat32)
        self._garbled = False
        for line in header_lines(source):
            if line.name.lower().startswith("content-") and line.name not in self._plain:
                self._plain[line.name] = line.text[:_LONGEST_DESCRIPTION]
                self._garbled |= line.garbled
        if encoding := self._plain.get("content-transfer-encoding"):
            self._plain.replace_header("content-transfer-encoding", _first_word(str(encoding)))
        self._plain.set_default_type(default_type or source.get_default_type())
        # What get_payload would return has been decoded, with U+FFFD for what its charset does not
        # have.
        payload: object = getattr(source, "_payload", None)
        self.children = (
            [child for child in payload if isinstance(child, StdMessage)]
            if isinstance(payload, list)
            else []
        )
        """The parts of a multipart, or the one message of a ``message/rfc822``."""
        self.payload = payload

    @classmethod
    def of_text(cls, text: str, type: str) -> Part:
        """Make a part of *text*, with the MIME *type*."""
        source = StdMessage(policy=compat32)
        source["Content-Type"] = f"{type}; charset=utf-8"
        source["Content-Transfer-Encoding"] = "8bit"
        source.set_payload(text.encode("utf-8", "replace").decode("ascii", "surrogateescape"))
        return cls(source)

    @property
    def type(self) -> str:
        """The MIME type in lower case, without parameters."""
        type = _first_word(self._plain.get_content_type()) or "text/plain"
        return type if type.isascii() and type.isprintable() else "application/octet-stream"

    @property
    def maintype(self) -> str:
        """What stands before the slash."""
        return self.type.partition("/")[0]

    @property
    def type_with_parameters(self) -> str:
        """
        The MIME type with what tells how to read the content, such as the charset, but not the file
        name.
        """
        return " ".join(self.type_words)

    @property
    def type_words(self) -> list[str]:
        """The words of `type_with_parameters`, between which a line may be folded."""
        words = [self.type]
        for name, value in self._parameters("content-type"):
            if name not in {"name", "boundary"} and not (name == "charset" and not value):
                words[-1] += ";"
                words += parameter(name, value)
        return words

    @property
    def disposition(self) -> str:
        """``attachment``, ``inline``, or the empty string."""
        return _first_word(self._plain.get_content_disposition() or "")

    @property
    def name(self) -> str:
        """
        The file name, or the empty string. What its charset does not have is U+FFFD: see
        `name_is_garbled`.
        """
        return self._file_name(errors="replace")

    @property
    def name_is_garbled(self) -> bool:
        """Whether the file name has bytes that are not of its charset."""
        if "\ufffd" not in self.name:
            return False
        try:
            self._file_name(errors="strict")
        except UnicodeError:
            return True
        return self._garbled

    def parameter(self, name: str) -> str:
        """The parameter *name* of the Content-Type, or the empty string."""
        return next(
            (value for found, value in self._parameters("content-type") if found == name), ""
        )

    @property
    def cid(self) -> str:
        """The Content-ID without its angle brackets, or the empty string."""
        text = self._header("content-id")
        return (text[1:-1] if text.startswith("<") and text.endswith(">") else text).strip()

    @property
    def location(self) -> str:
        """The Content-Location, or the empty string."""
        return self._header("content-location")

    def content(self) -> bytes:
        """The content's bytes, with the transfer encoding undone."""
        if isinstance(self.payload, list):
            return self._source_of_content()
        return self._decoded()

    @property
    def cut_off(self) -> bool:
        """Whether the content, once it was read, turned out to end in the middle of a byte."""
        return any(isinstance(defect, InvalidBase64LengthDefect) for defect in self._plain.defects)

    def text(self, *, errors: str = "strict") -> str:
        """
        Return the content as text, each line ending in LF.

        Raises UnicodeError where it cannot be decoded, unless *errors* is ``"replace"``.
        """
        payload = self.payload
        if isinstance(payload, str) and not payload.isascii() and not _has_surrogates(payload):
            # Text that was put into the message without being encoded.
            return LINE_END.sub("\n", payload)
        return LINE_END.sub(
            "\n", decode_text(self._decoded(), self.parameter("charset") or None, errors=errors)
        )

    def _decoded(self) -> bytes:
        payload = self.payload
        if isinstance(payload, bytes | bytearray):
            return bytes(payload)
        if not isinstance(payload, str):
            return b""
        if not payload.isascii() and not _has_surrogates(payload):
            return payload.encode()
        try:
            self._plain.set_payload(payload)
            content = self._plain.get_payload(decode=True)
        except PARSER_FAILURES:
            content = payload.encode("utf-8", "replace")
        if self.cut_off:
            # The standard library gives up; all but the last characters can be read.
            characters = re.sub(r"[^A-Za-z0-9+/]", "", payload)
            return base64.b64decode(characters[: len(characters) // 4 * 4])
        return content if isinstance(content, bytes) else b""

    def _source_of_content(self) -> bytes:
        """What follows the headers, as the message has it."""
        policy = self._source.policy.clone(linesep="\r\n")
        # As it came: folding anew would change a message that somebody attached, and could break
        # its signature.
        policy = (
            policy.clone(refold_source="none")
            if isinstance(policy, EmailPolicy)
            else policy.clone(max_line_length=None)
        )
        # Not by as_bytes, which Django's messages have with other parameters.
        whole = BytesIO()
        BytesGenerator(whole, mangle_from_=False, policy=policy).flatten(self._source)
        _, _, content = whole.getvalue().partition(b"\r\n\r\n")
        return content

    def _header(self, name: str) -> str:
        return decode_words(str(self._plain.get(name, "")), errors="replace").strip()

    def _file_name(self, *, errors: str) -> str:
        for header, wanted in (("content-disposition", "filename"), ("content-type", "name")):
            for name, value in self._parameters(header, errors=errors):
                if name == wanted and value.strip():
                    return value.strip()
        return ""

    def _parameters(self, header: str, *, errors: str = "replace") -> list[tuple[str, str]]:
        """
        The parameters of *header*, names in lower case; the values have been through RFC 2231 and
        RFC 2047.
        """
        try:
            found = self._plain.get_params([], header)[1:]
        except PARSER_FAILURES:
            return []
        read = (
            (name.lower().removesuffix("*"), _value(name, value, errors)) for name, value in found
        )
        return [(name, value) for name, value in read if _PARAMETER_NAME.match(name)]


def _first_word(text: str) -> str:
    """
    The one word that says what something is; comments (RFC 5322, 3.2.2) may follow, or a parameter
    without its semicolon.
    """
    return re.split(r"[\s;(]", text.strip(), maxsplit=1)[0]


def _value(name: str, value: str | tuple[str | None, str | None, str], errors: str) -> str:
    if name.endswith("*") and isinstance(value, str):
        # The standard library knows RFC 2231 only in names without a hyphen.
        charset, language, text = decode_rfc2231(value)
        value = charset, language, unquote(text, encoding="latin-1")
    if isinstance(value, tuple):
        charset, _, text = value
        # The percent signs are decoded already, one byte a character.
        data = text.encode("latin-1", "replace")
        return decode_text(data, charset, errors=errors)
    # Not as RFC 2231 wants it, and seen everywhere: encoded words in quotes.
    return decode_words(value, errors=errors)


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)
