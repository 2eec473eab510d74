# Generated from src/poweremail/_async/transports/outgoing.py; do not edit.
"""
The outgoing body of a request, read while it is sent.

``base.py`` explains how this proves whether the last byte may have left, and why a body is sealed.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator

from poweremail._runtime._sync import each, finish, in_thread
from poweremail._types.content import FileContent, StreamContent
from poweremail._wire.http import RAW_PIECE_BYTES, Body, FilePiece, Piece
from poweremail.errors import UsageError

__all__ = ["Outgoing"]


class Outgoing:
    """
    The body of a request, as an iterable of bytes. Each iteration starts at its first byte.

    ``left`` is False until the engine gets the last byte: until then that byte cannot have left.
    For a request without a body it is True from the start, since nothing can be proven.

    A transport calls `seal` or `close` when its call ends, before it reads ``left``: an engine
    that still pulls pieces then gets an error. An iteration raises `UsageError` if a file or stream
    cannot be read, or does not have the announced length.
    """

    def __init__(self, body: Body | None) -> None:
        self._body = body
        self._pieces: Pieces | None = None
        self._sealed = False
        self.left: bool = body is None
        self._attempt = 0 if body is None else body.attempts_ended

    def __iter__(self) -> Pieces:
        self._pieces = Pieces(self, self._body)
        return self._pieces

    def whole(self) -> bytes | None:
        """
        Return the whole body if it is a single piece in memory, else None.

        A body that is returned is about to leave: ``left`` becomes True.
        """
        whole = None if self._body is None else self._body.whole
        if whole is not None:
            self.hand_over(last=True)
        return whole

    def hand_over(self, *, last: bool) -> None:
        """
        Note that a piece is about to leave. Raises `RuntimeError` if the body is sealed, by this
        object or because its attempt has ended.
        """
        body = self._body
        # ``left`` must be set before the check (theory of operation in ``base.py``).
        if last:
            self.left = True
        if self._sealed or (body is not None and body.attempts_ended != self._attempt):
            raise RuntimeError("the request has ended: no further piece of its body may leave")

    def seal(self) -> bool:
        """Let no further piece leave, and return whether the last one may have left."""
        self._sealed = True
        return self.left

    def close(self) -> None:
        """Seal the body, and close the stream that was being read, if any."""
        self._sealed = True
        # The two refer to each other; without this only the garbage collector would free the body.
        pieces, self._pieces = self._pieces, None
        if pieces is not None and pieces.stream is not None:
            pieces.stream.close()


class Pieces:
    """
    One iteration over an `Outgoing`.

    A class, because a generator that is left early would stay open.
    """

    def __init__(self, outgoing: Outgoing, body: Body | None) -> None:
        self.stream: StreamPieces | None = None
        self._outgoing = outgoing
        self._pieces: Iterator[Piece] = iter(()) if body is None else body.pieces()
        self._next = next(self._pieces, None)
        self._bytes_allowed = math.inf if body is None or body.limit is None else body.limit

    def __iter__(self) -> Pieces:
        return self

    def __next__(self) -> bytes:
        piece: bytes | None = None
        while not piece:
            if self.stream is not None:
                piece = self.stream.next_piece()
                if not piece:
                    self.stream = None
                continue
            content, self._next = self._next, next(self._pieces, None)
            match content:
                case None:
                    raise StopIteration
                case bytes():
                    piece = content
                case FilePiece():
                    piece = _read(content)
                case StreamContent():
                    self.stream = StreamPieces(content)
        self._bytes_allowed -= len(piece)
        if self._bytes_allowed < 0:
            raise UsageError("the message is larger than max_request_bytes allows", field="message")
        self._outgoing.hand_over(last=self._next is None and self.stream is None)
        return piece


class StreamPieces:
    """The content of a stream as base64, in pieces of at most 256 KiB."""

    def __init__(self, content: StreamContent) -> None:
        self._size = content.size
        self._source = each(content.begin())
        self._raw = bytearray()
        self._bytes_read = 0
        self._ended = False

    def next_piece(self) -> bytes:
        """Return the next piece; an empty one is the end."""
        while not self._ended and len(self._raw) < RAW_PIECE_BYTES:
            self._pull()
        raw = bytes(self._raw[:RAW_PIECE_BYTES])
        del self._raw[:RAW_PIECE_BYTES]
        return base64.b64encode(raw)

    def close(self) -> None:
        """Close the stream."""
        finish(self._source)

    def _pull(self) -> None:
        try:
            chunk = next(self._source, None)
        except Exception as error:  # the user's stream may raise any class; the mail was not sent
            raise UsageError(
                f"the stream failed: {type(error).__name__}: {error}", field="content"
            ) from error
        if chunk is None:
            self._ended = True
        elif isinstance(chunk, bytes | bytearray | memoryview):
            self._raw += chunk
            self._bytes_read += len(chunk)
        else:
            raise UsageError(
                f"the stream yielded {type(chunk).__name__}, not bytes", field="content"
            )
        if self._size is not None and (
            self._bytes_read > self._size or (self._ended and self._bytes_read < self._size)
        ):
            raise UsageError(
                f"the stream is not as long as the {self._size} bytes that were announced",
                field="content",
            )


def _read(piece: FilePiece) -> bytes:
    content = piece.content
    if isinstance(content, FileContent):
        cached = content.read_cached(piece.offset, piece.size)
        if cached is not None:
            return base64.b64encode(cached)
    try:
        raw = in_thread(content.read, piece.offset, piece.size)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {content.label}: {error}", field="content") from error
    if len(raw) != piece.size:
        raise UsageError(
            f"{content.label} has become shorter than the {content.size} bytes it had",
            field="content",
        )
    return base64.b64encode(raw)
