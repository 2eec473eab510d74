"""
The body of a request, as pieces of known length.

What is not in memory is named here, not read: whoever sends the body reads it piece by piece, so
that a mail costs the memory of one piece, and its Content-Length is known before the first, unless
a stream does not say how long it is.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from itertools import groupby

import attrs

from poweremail._types.content import Content, FileContent, OpenFileContent, StreamContent

__all__ = ["RAW_PIECE", "Base64", "Body", "FilePiece", "Piece"]

RAW_PIECE = 3 * 64 * 1024
"""
Bytes of content that become one piece: a multiple of 3, so that no piece but the last needs
padding.
"""

_PIECE = RAW_PIECE // 3 * 4
"""The largest piece of a body: 256 KiB."""


@attrs.frozen
class Base64:
    """
    *content*, to go out as base64. Its ``length`` is that of the base64, None where a stream does
    not say.
    """

    content: Content = attrs.field(repr=False)

    @property
    def length(self) -> int | None:
        """Bytes that go out."""
        size = len(self.content) if isinstance(self.content, bytes) else self.content.size
        return None if size is None else (size + 2) // 3 * 4


@attrs.frozen
class FilePiece:
    """*size* bytes of *content* from *offset* on, to be read and sent as base64."""

    content: FileContent | OpenFileContent
    offset: int
    size: int


Piece = bytes | FilePiece | StreamContent


class Body:
    """
    Text, or text and content in turn: bytes go out as they are, content goes out as base64.

    *parts* may hold the credentials, so the repr shows the *length* in bytes only; it is None where
    it is not known. *whole* is all of it, where it is one piece in memory; None otherwise. More
    than *limit* bytes must not go out.
    """

    __slots__ = ("_parts", "length", "limit", "whole")

    def __init__(
        self, parts: bytes | Iterable[bytes | Base64], *, limit: int | None = None
    ) -> None:
        self.limit = limit
        # Neighbouring bytes are joined: a small mail is one piece, which costs one write.
        self._parts = (parts,) if isinstance(parts, bytes) else tuple(_joined(parts))
        first = self._parts[0] if len(self._parts) == 1 else None
        self.whole: bytes | None = (
            first if isinstance(first, bytes) and len(first) <= _PIECE else None
        )
        self.length: int | None
        if self.whole is not None:
            self.length = len(self.whole)
        else:
            lengths = [
                len(part) if isinstance(part, bytes) else part.length for part in self._parts
            ]
            self.length = None if None in lengths else sum(filter(None, lengths))

    def __repr__(self) -> str:
        return f"<Body of {'unknown length' if self.length is None else f'{self.length} bytes'}>"

    @property
    def spent(self) -> bool:
        """Whether a stream in it has been read, so that it cannot go out again."""
        contents = (part.content for part in self._parts if isinstance(part, Base64))
        return any(isinstance(content, StreamContent) and content.begun for content in contents)

    def pieces(self) -> Iterator[Piece]:
        """
        Yield the body in pieces of at most 256 KiB, of which files and streams are still to be
        read.

        To be started again for each attempt. The last piece is never a stream.
        """
        for part in self._parts:
            if isinstance(part, bytes):
                yield from _slices(part, _PIECE)
            elif isinstance(part.content, StreamContent):
                yield part.content
            elif isinstance(part.content, bytes):
                yield from map(base64.b64encode, _slices(part.content, RAW_PIECE))
            else:
                size = part.content.size
                yield from (
                    FilePiece(part.content, at, min(RAW_PIECE, size - at))
                    for at in range(0, size, RAW_PIECE)
                )


def _joined(parts: Iterable[bytes | Base64]) -> Iterator[bytes | Base64]:
    for is_bytes, group in groupby(map(_inline, parts), key=lambda part: isinstance(part, bytes)):
        if is_bytes:
            yield b"".join(group)  # type: ignore[arg-type]
        else:
            yield from group


def _inline(part: bytes | Base64) -> bytes | Base64:
    """Small content in memory becomes text at once."""
    if (
        isinstance(part, Base64)
        and isinstance(part.content, bytes)
        and len(part.content) <= RAW_PIECE
    ):
        return base64.b64encode(part.content)
    return part


def _slices(data: bytes, size: int) -> Iterator[bytes]:
    if len(data) <= size:
        yield data
    else:
        yield from (data[at : at + size] for at in range(0, len(data), size))
