"""What a transport is, and what every one of them needs: a body on its way out, and an answer that is not too large."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from poweremail._runtime._async import file_piece
from poweremail.errors import ProtocolError, UsageError
from poweremail.response import Response
from poweremail.wire.body import Body, FilePiece
from poweremail.wire.http import Request

__all__ = ["AsyncOutgoing", "AsyncTransport", "too_large"]


class AsyncTransport(Protocol):
    """
    Carries one request and brings back its answer.

    An implementation does nothing else: it follows no redirect, repeats nothing, reads at most
    ``request.endpoint.max_response_bytes`` of the answer and keeps to ``request.endpoint.timeouts``. Where it fails it raises
    `poweremail.TransportError`, and says in ``body_left`` whether the last byte of the body may have left this machine. Exception
    names of an engine do not prove that; `AsyncOutgoing` does.
    """

    async def handle(self, request: Request) -> Response:
        """Send *request* and return the answer, read whole."""
        ...

    async def aclose(self) -> None:
        """Give back connections and files."""
        ...


class AsyncOutgoing:
    """
    A body on its way out, as an iterable of bytes; iterating again begins anew.

    ``left`` is False as long as the last byte has not been handed to the engine, in any iteration: then it certainly has not left.
    Raises `UsageError` where a file cannot be read, or is no longer as long as announced.
    """

    def __init__(self, body: Body | None) -> None:
        self._body = body
        # Of a request without a body nothing is held back, so nothing can be proven.
        self.left = body is None

    def __aiter__(self) -> AsyncPieces:
        return AsyncPieces(self, self._body)


class AsyncPieces:
    """One iteration over an `AsyncOutgoing`. A class, because a generator that is left early would stay open."""

    def __init__(self, outgoing: AsyncOutgoing, body: Body | None) -> None:
        self._outgoing = outgoing
        self._pieces: Iterator[bytes | FilePiece] = iter(()) if body is None else body.pieces()
        self._remaining = 0 if body is None else body.length

    def __aiter__(self) -> AsyncPieces:
        return self

    async def __anext__(self) -> bytes:
        piece = next(self._pieces, None)
        if piece is None:
            raise StopAsyncIteration
        encoded = piece if isinstance(piece, bytes) else await _read(piece)
        self._remaining -= len(encoded)
        if not self._remaining:
            self._outgoing.left = True
        return encoded


async def _read(piece: FilePiece) -> bytes:
    path = piece.content.path
    try:
        raw = await file_piece(path, piece.offset, piece.size)
    except OSError as error:
        raise UsageError(f"cannot read {str(path)!r}: {error}", field="content") from error
    if len(raw) != piece.size:
        raise UsageError(f"{str(path)!r} has become shorter than the {piece.content.size} bytes it had", field="content")
    return piece.encode(raw)


def too_large(request: Request) -> ProtocolError:
    """The error for an answer that is larger than the limit."""
    return ProtocolError(f"the answer is larger than {request.endpoint.max_response_bytes} bytes, and was not read to its end")
