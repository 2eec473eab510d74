"""
The outgoing body of a request, read while it is sent, and the time that its attempt has left.

``base.py`` explains how this proves whether the last byte may have left, and why a body is sealed.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from time import monotonic
from typing import Protocol

from poweremail._runtime._async import each, finish, in_thread, shielded
from poweremail._types.content import FileContent, StreamContent
from poweremail._types.options import Timeouts
from poweremail._wire.http import RAW_PIECE_BYTES, Body, FilePiece, Piece
from poweremail.errors import UsageError

outgoing_in_use: ContextVar[AsyncOutgoing | None] = ContextVar("poweremail_outgoing", default=None)
"""The body of the request that this task or thread is sending."""


class AsyncOutgoing:
    """
    The body of a request, as an iterable of bytes. Each iteration starts at its first byte.

    ``left`` is False until the engine gets the last byte: until then that byte cannot have left.
    For a request without a body it is True from the start, since nothing can be proven.

    A transport calls `seal` or `aclose` when its call ends, before it reads ``left``: an engine
    that still pulls pieces then gets an error. An iteration raises `UsageError` if a file or stream
    cannot be read, or does not have the announced length.

    *timeouts*: whose ``total`` and ``response`` bound the attempt. ``total`` counts from the first
    `start`, ``response`` from the last `note_written`. ``ends`` is the time on the monotonic clock
    at which the attempt ends, and ``end_by`` is called with it whenever it changes. ``written``
    says that the engine has written the whole body, and not only got it.

    ``look`` is called once, before the first piece is read: it may find that the connection is
    dead, and raise. ``asked`` is the time since when a connection is wanted, ``stream`` the one
    that has the request, ``use`` what it was used for. ``unready`` is one that is still being made:
    `aclose` closes it, since not every engine does if the attempt is cancelled.
    """

    look: Callable[[], Awaitable[None]] | None = None
    stream: object = None
    use: AsyncReleasable | None = None
    unready: AsyncCloseable | None = None
    end_by: Callable[[float], None] | None = None
    ends: float = math.inf
    written: bool = False
    _total_ends: float = math.inf
    _response_ends: float = math.inf
    _pieces: AsyncPieces | None = None
    _sealed: bool = False

    def __init__(self, body: Body | None, timeouts: Timeouts | None = None) -> None:
        self.timeouts = timeouts
        self.has_body: bool = body is not None
        self.asked: float = monotonic()
        self._body = body
        self.left: bool = body is None
        self._attempt = 0 if body is None else body.attempts_ended

    def __aiter__(self) -> AsyncPieces:
        body = self._body  # read before the seal is checked, since another thread may close it
        if self._sealed:
            raise RuntimeError("the request has ended: its body may not be read")
        self.start()
        self._pieces = AsyncPieces(self, body)
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
            self.note_written()
        if self._sealed or (body is not None and body.attempts_ended != self._attempt):
            raise RuntimeError("the request has ended: no further piece of its body may leave")

    def take_back(self) -> None:
        """
        Note that the engine could not write the piece that it got last: some of its bytes have not
        left. If the engine had written the whole body before, such as for a client that repeats a
        request, that one may have arrived.
        """
        self.left = self.written

    def start(self) -> None:
        """Note that the request has a connection, or begins to make one."""
        timeouts = self.timeouts
        if timeouts is not None and timeouts.total is not None and self._total_ends == math.inf:
            self._total_ends = monotonic() + timeouts.total
            self._note_end()

    def note_left(self) -> None:
        """Note that the engine has written what it got; if that was the last byte, it has left."""
        if self.left:
            self.written = True
            self.note_written()

    def note_written(self, delay: float | None = 0) -> None:
        """
        Note that the last byte is being written, or will be within *delay* seconds: then the time
        for the response begins.
        """
        timeouts = self.timeouts
        if timeouts is not None and timeouts.response is not None and delay is not None:
            self._response_ends = monotonic() + delay + timeouts.response
            self._note_end()

    def _note_end(self) -> None:
        self.ends = min(self._total_ends, self._response_ends)
        if self.end_by is not None:
            self.end_by(self.ends)

    def time_left(
        self, limit: float | None = None, error: type[Exception] = TimeoutError
    ) -> float | None:
        """
        Return the seconds for the next wait, at most *limit*; None is no limit. Raises *error* if
        the attempt has no time left.
        """
        if self.ends == math.inf:
            return limit
        left = self.ends - monotonic()
        if left <= 0:
            raise error
        return left if limit is None or left < limit else limit

    @property
    def expired(self) -> str | None:
        """The limit that has run out, or None."""
        now = monotonic()
        if now >= self._total_ends:
            return f"TotalTimeout: the attempt did not end within {self.timeouts.total} s"  # type: ignore[union-attr]
        if now >= self._response_ends:
            return f"ResponseTimeout: the response did not end within {self.timeouts.response} s"  # type: ignore[union-attr]
        return None

    def seal(self) -> bool:
        """Let no further piece leave, and return whether the last one may have left."""
        self._sealed = True
        return self.left

    async def aclose(self) -> None:
        """Seal the body, and close the stream that was being read and ``unready``, if any."""
        self._sealed = True
        if self.use is not None:
            self.use.released = monotonic()
        if self.unready is not None:
            with shielded():
                await self.unready.aclose()
        # The loop keeps the context of a timer that was cancelled until its time, and with it this
        # object; and the two refer to each other. The body is to be freed now.
        self._body = None
        pieces, self._pieces = self._pieces, None
        if pieces is not None and pieces.stream is not None:
            await pieces.stream.aclose()


class AsyncCloseable(Protocol):
    """What has ``aclose``."""

    async def aclose(self) -> None:
        """Close it."""
        ...


class AsyncReleasable(Protocol):
    """What notes when it was ``released``, such as a `Use`."""

    released: float


class AsyncPieces:
    """
    One iteration over an `AsyncOutgoing`.

    A class, because a generator that is left early would stay open.
    """

    def __init__(self, outgoing: AsyncOutgoing, body: Body | None) -> None:
        self.stream: AsyncStreamPieces | None = None
        self._outgoing = outgoing
        self._pieces: Iterator[Piece] = iter(()) if body is None else body.pieces()
        self._next = next(self._pieces, None)
        self._bytes_allowed = math.inf if body is None or body.limit is None else body.limit

    def __aiter__(self) -> AsyncPieces:
        return self

    async def __anext__(self) -> bytes:
        look, self._outgoing.look = self._outgoing.look, None
        if look is not None:
            await look()
        piece: bytes | None = None
        while not piece:
            if self.stream is not None:
                piece = await self.stream.next_piece()
                if not piece:
                    self.stream = None
                continue
            content, self._next = self._next, next(self._pieces, None)
            match content:
                case None:
                    raise StopAsyncIteration
                case bytes():
                    piece = content
                case FilePiece():
                    piece = await _read(content)
                case StreamContent():
                    self.stream = AsyncStreamPieces(content)
        self._bytes_allowed -= len(piece)
        if self._bytes_allowed < 0:
            raise UsageError("the message is larger than max_request_bytes allows", field="message")
        self._outgoing.hand_over(last=self._next is None and self.stream is None)
        return piece


class AsyncStreamPieces:
    """The content of a stream as base64, in pieces of at most 256 KiB."""

    def __init__(self, content: StreamContent) -> None:
        self._size = content.size
        self._source = each(content.begin())
        self._raw = bytearray()
        self._bytes_read = 0
        self._ended = False

    async def next_piece(self) -> bytes:
        """Return the next piece; an empty one is the end."""
        while not self._ended and len(self._raw) < RAW_PIECE_BYTES:
            await self._pull()
        raw = bytes(self._raw[:RAW_PIECE_BYTES])
        del self._raw[:RAW_PIECE_BYTES]
        return base64.b64encode(raw)

    async def aclose(self) -> None:
        """Close the stream."""
        await finish(self._source)

    async def _pull(self) -> None:
        try:
            chunk = await anext(self._source, None)
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


async def _read(piece: FilePiece) -> bytes:
    content = piece.content
    if isinstance(content, FileContent):
        cached = content.read_cached(piece.offset, piece.size)
        if cached is not None:
            return base64.b64encode(cached)
    try:
        raw = await in_thread(content.read, piece.offset, piece.size)
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot read {content.label}: {error}", field="content") from error
    if len(raw) != piece.size:
        raise UsageError(
            f"{content.label} has become shorter than the {content.size} bytes it had",
            field="content",
        )
    return base64.b64encode(raw)
