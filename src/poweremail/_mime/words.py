"""
Writes text in headers: encoded words (RFC 2047), parameters (RFC 2231), and lines of the right
length (RFC 5322, 2.1.1).

The standard library's own folding is not used: in the Python versions that are supported it garbles
some non-ASCII names with commas, long words, and characters such as U+2028, and drops runs of
spaces.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import quote

# Characters that a "Q" word need not encode, even in a display name (RFC 2047, 5 (3)).
_PLAIN_IN_Q = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_TOKEN = re.compile(r"[A-Za-z0-9!#$&+\-.^_`{|}~]+\Z")

_MAX_LINE_CHARS = 78
# An encoded word has at most 75 characters (RFC 2047, 2), including "=?utf-8?q?" and "?=".
_MAX_WORD_CHARS = 75 - 12
_MAX_PARAMETER_CHARS = 58


def encode_words(text: str, used: int = 0) -> list[str]:
    """
    *text* as encoded words in UTF-8, the first of which follows *used* characters on its line.
    """
    data = text.encode()
    as_q = sum(1 if byte in _PLAIN_IN_Q or byte == 0x20 else 3 for byte in data)  # noqa: PLR2004  a space is "_"
    encoding, encode = ("q", _q) if as_q <= len(data) * 4 / 3 + 4 else ("b", _b)
    # If a long name leaves too little room, the line gets longer than it should be, which is
    # allowed up to 998 characters.
    first = max(_MAX_WORD_CHARS - used, 24)
    return [
        f"=?utf-8?{encoding}?{piece}?=" for piece in _pieces(text, encode, first, _MAX_WORD_CHARS)
    ]


def _q(text: str) -> str:
    return "".join(
        "_" if byte == 0x20 else chr(byte) if byte in _PLAIN_IN_Q else f"={byte:02X}"  # noqa: PLR2004
        for byte in text.encode()
    )


def _b(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def _pieces(text: str, encode: Callable[[str], str], first: int, room: int) -> Iterator[str]:
    """
    *text*, encoded, in pieces of whole characters, the first of at most *first* and the others of
    *room* characters.
    """
    start, limit = 0, first
    for end in range(1, len(text) + 1):
        if end - start > 1 and len(encode(text[start:end])) > limit:
            yield encode(text[start : end - 1])
            start, limit = end - 1, room
    yield encode(text[start:])


def fold(name: str, words: Iterable[str]) -> str:
    """
    Join *words* by single spaces as the value of the header *name*, in lines that are as short as
    the words allow.
    """
    line, lines = "", []
    room = _MAX_LINE_CHARS - len(name) - 2
    for word in words:
        if line and len(line) + 1 + len(word) > room:
            lines.append(line)
            line, room = word, _MAX_LINE_CHARS - 1
        else:
            line = f"{line} {word}" if line else word
    return "\r\n ".join((*lines, line))


def parameter(name: str, value: str) -> list[str]:
    """
    ``name=value`` as one word, or as several that end in ``;``: plain, quoted, or by RFC 2231.
    """
    if _TOKEN.match(value) and len(value) <= _MAX_PARAMETER_CHARS:
        return [f"{name}={value}"]
    if (
        value.isascii()
        and value.isprintable()
        and len(value) <= _MAX_PARAMETER_CHARS
        and not re.search(r'["\\]|=\?', value)
    ):
        return [f'{name}="{value}"']
    pieces = list(
        _pieces(
            value, lambda text: quote(text, safe=""), _MAX_PARAMETER_CHARS, _MAX_PARAMETER_CHARS
        )
    )
    if len(pieces) == 1:
        return [f"{name}*=utf-8''{pieces[0]}"]
    words = [f"{name}*{index}*={piece}" for index, piece in enumerate(pieces)]
    words[0] = words[0].replace("=", "=utf-8''", 1)
    return [*(f"{word};" for word in words[:-1]), words[-1]]
