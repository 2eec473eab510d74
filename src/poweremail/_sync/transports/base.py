# Generated from src/poweremail/_async/transports/base.py; do not edit.
"""
What a transport is, and what every one of them needs: a body on its way out, and an answer that is
not too large.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
import math
from collections.abc import Iterator
from types import ModuleType
from typing import Protocol

from poweremail._response import Response
from poweremail._runtime._sync import each, finish, in_thread
from poweremail._types.content import StreamContent
from poweremail._wire.http import RAW_PIECE_BYTES, Body, FilePiece, Piece, Request
from poweremail.errors import ConfigurationError, TransportError, UsageError

__all__ = [
    "MAX_CONNECTIONS",
    "Outgoing",
    "Transport",
    "check_installed",
    "checked_limit",
    "failure",
    "load_engine",
    "pool_timeout",
]

MAX_CONNECTIONS = 20
"""
How many connections a transport opens at most, unless told otherwise: enough for a batch, and
polite to the service.
"""


class Transport(Protocol):
    """
    Carries one request and brings back its answer.

    An implementation does nothing else: it follows no redirect, repeats nothing, reads at most
    ``request.endpoint.max_response_bytes`` of the answer and keeps to
    ``request.endpoint.timeouts``. Where it fails it raises `poweremail.TransportError`, and says in
    ``body_left`` whether the last byte of the body may have left this machine. Exception names of
    an engine do not prove that; `Outgoing` does.
    """

    def handle(self, request: Request) -> Response:
        """Send *request* and return the answer, read whole."""
        ...

    def close(self) -> None:
        """Give back connections and files."""
        ...


class Outgoing:
    """
    A body on its way out, as an iterable of bytes; iterating again begins anew.

    ``left`` is False as long as the last byte has not been handed to the engine, in any iteration:
    then it certainly has not left. Whoever sends it calls `close` afterwards, in case it was left
    in the middle of a stream. Raises `UsageError` where a file or stream cannot be read, or is not
    as long as announced.
    """

    def __init__(self, body: Body | None) -> None:
        self._body = body
        # Of a request without a body nothing is held back, so nothing can be proven.
        self.left = body is None
        self._pieces: Pieces | None = None

    def __iter__(self) -> Pieces:
        self._pieces = Pieces(self, self._body)
        return self._pieces

    def close(self) -> None:
        """Close the stream that was being read, if any."""
        if self._pieces is not None:
            self._pieces.close()


class Pieces:
    """
    One iteration over an `Outgoing`. A class, because a generator that is left early would
    stay open.
    """

    def __init__(self, outgoing: Outgoing, body: Body | None) -> None:
        self._outgoing = outgoing
        self._pieces: Iterator[Piece] = iter(()) if body is None else body.pieces()
        self._next = next(self._pieces, None)
        self._stream: StreamPieces | None = None
        self._room = math.inf if body is None or body.limit is None else body.limit

    def __iter__(self) -> Pieces:
        return self

    def __next__(self) -> bytes:
        piece = self._take()
        self._room -= len(piece)
        if self._room < 0:
            raise UsageError("the message is larger than max_request_bytes allows", field="message")
        # Noted before it is handed over: from then on it may have left.
        self._outgoing.left = self._outgoing.left or (self._next is None and self._stream is None)
        return piece

    def close(self) -> None:
        """Close the stream that was being read, if any."""
        if self._stream is not None:
            self._stream.close()

    def _take(self) -> bytes:
        if self._stream is not None:
            encoded = self._stream.take()
            if encoded:
                return encoded
            self._stream = None
        piece, self._next = self._next, next(self._pieces, None)
        match piece:
            case None:
                raise StopIteration
            case bytes():
                return piece
            case FilePiece():
                return _read(piece)
            case StreamContent():
                self._stream = StreamPieces(piece)
                return self._take()


class StreamPieces:
    """What a stream yields, as base64, in pieces of at most 256 KiB; an empty one is its end."""

    def __init__(self, content: StreamContent) -> None:
        self._size = content.size
        self._source = each(content.begin())
        self._raw = bytearray()
        self._taken = 0
        self._ended = False

    def take(self) -> bytes:
        """Return the next piece."""
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
        except Exception as error:  # whatever the user's stream raises, the mail was not sent
            raise UsageError(
                f"the stream failed: {type(error).__name__}: {error}", field="content"
            ) from error
        if chunk is None:
            self._ended = True
        elif isinstance(chunk, bytes | bytearray | memoryview):
            self._raw += chunk
            self._taken += len(chunk)
        else:
            raise UsageError(
                f"the stream yielded {type(chunk).__name__}, not bytes", field="content"
            )
        if self._size is not None and (
            self._taken > self._size or (self._ended and self._taken < self._size)
        ):
            raise UsageError(
                f"the stream is not as long as the {self._size} bytes that were announced",
                field="content",
            )


def _read(piece: FilePiece) -> bytes:
    content = piece.content
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


def check_installed(engine: str) -> None:
    """
    Raise `UsageError` where the *engine*, which is called like its extra, is not installed. It is
    not imported.
    """
    if importlib.util.find_spec(engine) is None:
        raise ConfigurationError(
            f"{engine} is not installed",
            field="engine",
            advice=f"pip install 'poweremail[{engine}]'",
        )


def load_engine(name: str, engine: str) -> ModuleType:
    """Return the module *name* of *engine*. Raises `UsageError` where that is not installed."""
    check_installed(engine)
    return importlib.import_module(name)


def checked_limit(max_connections: object) -> int:
    """Return *max_connections*. Raises `UsageError` where it is no number of connections."""
    if (
        isinstance(max_connections, bool)
        or not isinstance(max_connections, int)
        or max_connections < 1
    ):
        raise ConfigurationError(
            f"must be 1 or more, not {max_connections!r}", field="max_connections"
        )
    return max_connections


def pool_timeout(seconds: float | None) -> TransportError:
    """What a request ends in that has waited *seconds* for a connection: it has not left."""
    return TransportError(
        f"PoolTimeout: no connection became free within {seconds} s", body_left=False
    )


def failure(
    error: BaseException, request: Request, *, body_left: bool, reason: str | None = None
) -> TransportError:
    """
    What the *error* of an engine is for the library; *reason* is its text, where it is not the one
    that the error prints.

    To be raised outside the except block: then the engine's error is no context of it either.
    """
    if reason is None:
        reason = type(error).__name__
        if text := _text(error):
            reason = f"{reason}: {text}"
    made = TransportError(request.endpoint.credentials.redact_text(reason), body_left=body_left)
    # An engine's error has the URL, and so the token of a GET; one that echoes the token is not
    # kept either.
    made.__cause__ = error if request.query is None and made.reason == reason else None
    return made


def _text(error: BaseException | None) -> str:
    """The first text in the chain of causes: that of the engine's error itself is often empty."""
    while error is not None and not str(error):
        error = error.__cause__ or error.__context__
    return str(error or "")
