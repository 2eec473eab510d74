"""Encoded words (RFC 2047): text beyond ASCII in a header, or in a name written as in one."""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator

from poweremail._types.charset import decode_text

# An encoded word, with the language of RFC 2231; broken programs leave spaces in it.
_WORD = re.compile(r"=\?([^?*\s]+)(?:\*[^?\s]*)?\?([bBqQ])\?([^?\r\n]*)\?=")
_BASE64 = re.compile(r"[A-Za-z0-9+/= ]*\Z")


def has_words(text: str) -> bool:
    """Return whether *text* contains an encoded word."""
    return _WORD.search(text) is not None


def decode_words(text: str, *, errors: str = "strict") -> str:
    """
    Return *text* with its encoded words decoded. Words that are malformed stay as they are.

    Raises UnicodeError if a word's bytes are not of its charset and *errors* is ``"strict"``.
    """
    decoded: list[str] = []
    pending: list[tuple[str, bytes]] = []
    position = 0
    for found in _WORD.finditer(text):
        data = _bytes_of(found[2], found[3])
        if data is None:
            continue
        between = text[position : found.start()]
        # White space between two words is not shown (RFC 2047, 6.2).
        if between.strip() or not pending:
            decoded += (*_texts(pending, errors), between)
            pending = []
        pending.append((found[1].lower(), data))
        position = found.end()
    return "".join((*decoded, *_texts(pending, errors), text[position:]))


def _bytes_of(encoding: str, text: str) -> bytes | None:
    try:
        if encoding in "bB":
            if not _BASE64.match(text):
                return None
            # Padding is often missing; more than enough does no harm.
            return binascii.a2b_base64(text.encode("ascii") + b"==")
        return quopri.decodestring(text.encode("ascii"), header=True)
    except ValueError:
        return None


def _texts(words: list[tuple[str, bytes]], errors: str) -> Iterator[str]:
    """
    The words' text. Neighbours of one charset are joined first: some programs split characters
    between words.
    """
    while words:
        charset = words[0][0]
        same = next((index for index, word in enumerate(words) if word[0] != charset), len(words))
        yield decode_text(b"".join(data for _, data in words[:same]), charset, errors=errors)
        words = words[same:]
