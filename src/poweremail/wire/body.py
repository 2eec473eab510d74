"""
The body of a request, as pieces of known length.

A file is named, not read: whoever sends the body reads it piece by piece, so that a mail costs the memory of one piece, and its
Content-Length is known before the first.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from itertools import groupby

import attrs

from poweremail.types.attachment import FileContent

__all__ = ["Body", "FilePiece"]

_RAW_PIECE = 3 * 64 * 1024
"""Bytes of content that become one piece: a multiple of 3, so that no piece but the last needs padding."""

_PIECE = _RAW_PIECE // 3 * 4
"""The largest piece of a body: 256 KiB."""


@attrs.frozen
class FilePiece:
    """*size* bytes of *content* from *offset* on, to be read and sent as base64."""

    content: FileContent
    offset: int
    size: int

    def encode(self, raw: bytes) -> bytes:
        """What goes out for the bytes that were read."""
        return base64.b64encode(raw)


Part = bytes | FileContent


class Body:
    """
    Text and content in turn: bytes go out as they are, content goes out as base64.

    *parts* may hold the credentials, so the repr shows the *length* in bytes only.
    """

    __slots__ = ("_parts", "length")

    def __init__(self, parts: Iterable[Part]) -> None:
        # Neighbouring bytes are joined: a small mail is one piece, which costs one write.
        self._parts: tuple[Part, ...] = tuple(
            part
            for is_bytes, group in groupby(parts, key=lambda part: isinstance(part, bytes))
            for part in ([b"".join(group)] if is_bytes else group)  # type: ignore[arg-type]
        )
        self.length = sum(len(part) if isinstance(part, bytes) else _base64_length(part.size) for part in self._parts)

    def __repr__(self) -> str:
        return f"<Body of {self.length} bytes>"

    def pieces(self) -> Iterator[bytes | FilePiece]:
        """Yield the body in pieces of at most 256 KiB; to be started again for each attempt."""
        for part in self._parts:
            if isinstance(part, bytes):
                if len(part) <= _PIECE:
                    yield part
                else:
                    for start in range(0, len(part), _PIECE):
                        yield part[start : start + _PIECE]
            else:
                for offset in range(0, part.size, _RAW_PIECE):
                    yield FilePiece(part, offset, min(_RAW_PIECE, part.size - offset))


def _base64_length(size: int) -> int:
    return (size + 2) // 3 * 4
