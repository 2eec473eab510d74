"""
One MIME part of a message: its type, its names, and its content.

A part may come from a parser with any policy, from the content manager, or from the old MIME
classes. `Part` copies the headers that describe the content into a message with the old policy
and reads them there. The readers of ``email.headerregistry`` are not used: hostile headers make
them raise AttributeError and other errors.
"""

from __future__ import annotations

import base64
import re
from email.errors import InvalidBase64LengthDefect, MessageError
from email.generator import BytesGenerator
from email.message import Message as StdMessage
from email.policy import EmailPolicy, Policy, compat32
from email.utils import decode_rfc2231
from io import BytesIO
from typing import Any
from urllib.parse import unquote

from poweremail._mime.headers import header_lines
from poweremail._mime.words import parameter
from poweremail._types.charset import decode_text
from poweremail._types.encoded_words import decode_words

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
"""The errors that the ``email`` package was seen to raise for input that it does not understand."""

LINE_END = re.compile(r"\r+\n")
"""A line end. CR CR LF is one that was converted twice."""

_EXCERPT_CHARS = 100
# Longer parameters than any program writes. The time for reading them is quadratic in their length.
_MAX_DESCRIPTION_CHARS = 8192
_SURROGATE = re.compile("[\ud800-\udfff]")
_PARAMETER_NAME = re.compile(r"[A-Za-z0-9!#$&+\-.^_`{|}~]+\Z")


def reason(error: Exception) -> str:
    """The text of *error*, or its name if it has no text."""
    return str(error) or type(error).__name__


def shown(text: str) -> str:
    """*text* in quotes, cut to what an error needs."""
    return repr(text if len(text) <= _EXCERPT_CHARS else f"{text[:_EXCERPT_CHARS]}...")


def as_bytes(message: StdMessage, policy: Policy[Any]) -> bytes:
    """*message* as bytes. ``message.as_bytes`` is not used: Django's has other parameters."""
    written = BytesIO()
    BytesGenerator(written, mangle_from_=False, policy=policy).flatten(message)
    return written.getvalue()


class Part:
    """A part of a message, or the whole message. Only `content` and `text` may raise."""

    def __init__(self, source: StdMessage, *, default_type: str | None = None) -> None:
        self._source = source
        self._plain = StdMessage(policy=compat32)
        self._is_garbled = False
        for line in header_lines(source):
            if line.name.lower().startswith("content-") and line.name not in self._plain:
                self._plain[line.name] = line.text[:_MAX_DESCRIPTION_CHARS]
                self._is_garbled |= line.is_garbled
        if encoding := self._plain.get("content-transfer-encoding"):
            self._plain.replace_header("content-transfer-encoding", _first_word(str(encoding)))
        self._plain.set_default_type(default_type or source.get_default_type())
        # Lib/email/message.py, Message._payload. get_payload decodes it, with U+FFFD for bytes that
        # are not of its charset.
        payload: object = getattr(source, "_payload", None)
        self.children = (
            [child for child in payload if isinstance(child, StdMessage)]
            if isinstance(payload, list)
            else []
        )
        """The parts of a multipart, or the one message of a ``message/rfc822``."""
        self.payload = payload

    @property
    def type(self) -> str:
        """The MIME type in lower case, without parameters."""
        type = _first_word(self._plain.get_content_type()) or "text/plain"
        return type if type.isascii() and type.isprintable() else "application/octet-stream"

    @property
    def maintype(self) -> str:
        """The part of the type before the slash."""
        return self.type.partition("/")[0]

    @property
    def type_words(self) -> list[str]:
        """
        The type with the parameters that say how to read the content, such as the charset, in words
        between which a line may be folded.
        """
        words = [self.type]
        for name, value in self._parameters("content-type").items():
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
        """The file name, or the empty string; U+FFFD replaces what cannot be decoded."""
        return self._file_name(errors="replace")

    @property
    def name_is_garbled(self) -> bool:
        """True if the file name has bytes that are not of its charset."""
        if "\ufffd" not in self.name:
            return False
        try:
            self._file_name(errors="strict")
        except UnicodeError:
            return True
        return self._is_garbled

    def parameter(self, name: str) -> str:
        """The parameter *name* of the Content-Type, or the empty string."""
        return self._parameters("content-type").get(name, "")

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
        if not isinstance(self.payload, list):
            return self._decoded()
        source = self._source_of_content()
        encoding = str(self._plain.get("content-transfer-encoding", "")).lower()
        # RFC 2046, 5.2.1 forbids to encode a message, and many programs do it. The parser does not
        # decode it, and finds no header in base64.
        is_base64 = encoding == "base64" and not any(map(len, self.children))
        if self.maintype == "message" and (is_base64 or encoding == "quoted-printable"):
            self._plain.set_payload(source.decode("ascii", "replace"))
            decoded = self._plain.get_payload(decode=True)
            return decoded if isinstance(decoded, bytes) else source
        return source

    @property
    def cut_off(self) -> bool:
        """True if the content ends in the middle of a byte; known once it was read."""
        return any(isinstance(defect, InvalidBase64LengthDefect) for defect in self._plain.defects)

    def text(self, *, errors: str = "strict") -> str:
        """
        Return the content as text, each line ending in LF.

        Raises UnicodeError if it cannot be decoded and *errors* is ``"strict"``.
        """
        text = (
            str(self.payload)
            if self._is_unencoded()
            else decode_text(self._decoded(), self.parameter("charset") or None, errors=errors)
        )
        return LINE_END.sub("\n", text)

    def _is_unencoded(self) -> bool:
        """Return whether the content is text that was put into the message as it is."""
        text = self.payload
        return isinstance(text, str) and not text.isascii() and not _SURROGATE.search(text)

    def _decoded(self) -> bytes:
        payload = self.payload
        if isinstance(payload, bytes | bytearray):
            return bytes(payload)
        if not isinstance(payload, str):
            return b""
        if self._is_unencoded():
            return payload.encode()
        try:
            self._plain.set_payload(payload)
            content = self._plain.get_payload(decode=True)
        except PARSER_FAILURES:
            content = payload.encode("utf-8", "replace")
        if self.cut_off:
            # The standard library decodes none of it; all but the last characters can be read.
            characters = re.sub(r"[^A-Za-z0-9+/]", "", payload)
            return base64.b64decode(characters[: len(characters) // 4 * 4])
        return content if isinstance(content, bytes) else b""

    def _source_of_content(self) -> bytes:
        """Everything below the headers, as the message has it."""
        policy = self._source.policy
        # Folding again would change an attached message and could break its signature.
        is_new = isinstance(policy, EmailPolicy)
        unfolded: dict[str, Any] = (
            {"refold_source": "none"} if is_new else {"max_line_length": None}
        )
        written = as_bytes(self._source, policy.clone(linesep="\r\n", **unfolded))
        return written.partition(b"\r\n\r\n")[2]

    def _header(self, name: str) -> str:
        return decode_words(str(self._plain.get(name, "")), errors="replace").strip()

    def _file_name(self, *, errors: str) -> str:
        for header, name in (("content-disposition", "filename"), ("content-type", "name")):
            if value := self._parameters(header, errors=errors).get(name, "").strip():
                return value
        return ""

    def _parameters(self, header: str, *, errors: str = "replace") -> dict[str, str]:
        """
        The parameters of *header*, decoded, by their names in lower case.

        The first one with a name counts, except that ``name*`` (RFC 2231) replaces the ``name``
        that stands beside it for old programs.
        """
        try:
            found = self._plain.get_params([], header)[1:]
        except PARSER_FAILURES:
            return {}
        values: dict[str, str] = {}
        for spelling, value in found:
            name = spelling.lower().removesuffix("*")
            is_extended = isinstance(value, tuple) or spelling.endswith("*")
            if _PARAMETER_NAME.match(name) and (is_extended or name not in values):
                values[name] = _value(spelling, value, errors)
        return values


def _first_word(text: str) -> str:
    """*text* without a comment (RFC 5322, 3.2.2) or a parameter that lacks its semicolon."""
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
    # RFC 2231 forbids encoded words here, and many programs write them.
    return decode_words(value, errors=errors)
