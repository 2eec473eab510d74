"""
The foundation of the transports: the protocol, and everything that the adapters to HTTP engines
share.

Theory of operation. The library promises to say whether a mail may have been accepted. No HTTP
engine reports that: the name of an exception does not show how much has been written. So an adapter
gives the engine the body piece by piece (`AsyncOutgoing`), and the last piece is noted just before
the engine gets it. Until then the service cannot have the whole mail.

That holds only if no piece leaves later. Some servers respond before they have the whole body, and
read on; some engines return that response and continue to pull the body in a task or thread of
their own. A mail that was reported as *not sent* would then arrive, and once more when it is sent
again. So a body is *sealed* when its call ends: from then on, pulling a piece raises. ``left`` is
read only after that. The order matters, since an engine may pull in another thread: the iterator
sets ``left`` and then checks the seal, `AsyncOutgoing.seal` sets the seal and then reads ``left``.
Whichever comes first, a piece that leaves is counted. When an attempt ends, `AsyncExchange` seals
the body once more, for transports that forget it.

Each request goes through `AsyncAdapter.handle`: it finds the engine of the current scope (a loop,
or a process), acquires a slot, makes the exchange, and turns a failure into a `TransportError`. An
`AsyncEngine` holds only what is peculiar to an HTTP engine.

An attempt also has to end in time, and a mail should not leave over a connection that the server is
closing. `AsyncOutgoing` knows the time that is left, `Use` how much care a connection needs; the
adapters act on both (``httpcore.py`` explains how, ``aiohttp.py`` does the same by its own means).

The tests are in ``tests/_async``: ``test_every_engine.py`` and ``test_contract.py`` run each engine
against servers that misbehave, ``test_sealed.py`` shows that no piece of a sealed body leaves.
"""

from __future__ import annotations

import select
import socket
import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Callable
from time import monotonic
from typing import Any, Protocol

from poweremail._async.transports.outgoing import AsyncOutgoing, outgoing_in_use
from poweremail._response import Response
from poweremail._runtime._async import (
    AtScopeEnd,
    ThreadLock,
    connection_scope,
    finish,
    quick_connection_scope,
    shielded,
)
from poweremail._runtime._async_slots import Slots
from poweremail._runtime._closings import Closings
from poweremail._runtime._engines import failure
from poweremail._runtime._logs import credentials_in_use, redact_engine_logs
from poweremail._wire.http import Request, ResponseBody
from poweremail.errors import TransportError, UsageError

__all__ = [
    "MAX_INTERIM_RESPONSES",
    "AsyncAdapter",
    "AsyncEngine",
    "AsyncOutgoing",
    "AsyncReply",
    "AsyncTransport",
    "Use",
    "check_open",
]

MAX_INTERIM_RESPONSES = 20
"""The limit on 1xx responses to one request; a server that sends more will not end."""

Poll = Callable[[int], list[tuple[int, int]]]

_KNOWS_STATE = sys.platform == "linux"
_TCP_ESTABLISHED = 1
_CLOSED: int = getattr(select, "POLLRDHUP", 0)
"""What the system reports of a connection that the other side has closed; 0 outside Linux."""

_AT_ONCE_SECONDS = 0.0001
_IDLE_SECONDS = 0.003
_WAIT_SECONDS = 0.001
_LONG_IDLE_SECONDS = 1.0
_MAX_WAIT_SECONDS = 0.05


class AsyncTransport(Protocol):
    """
    Carries one request and brings back its response.

    An implementation does nothing else: it follows no redirect, repeats nothing, reads at most
    ``request.endpoint.max_response_bytes`` of the response and keeps to
    ``request.endpoint.timeouts``. If it fails, it raises `poweremail.TransportError`, whose
    ``body_left`` says whether the last byte of the body may have left this machine. Exception names
    of an engine do not prove that; `AsyncOutgoing` does.
    """

    async def handle(self, request: Request) -> Response:
        """Send *request* and return the whole response."""
        ...

    async def aclose(self) -> None:
        """Close connections and files."""
        ...


class AsyncReply(Protocol):
    """
    A response of an engine whose body has not been read.

    ``encoding`` is the Content-Encoding that has not been decoded yet, or None.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    encoding: str | None

    @property
    def chunks(self) -> AsyncIterable[bytes] | bytes:
        """The body as it comes, or all of it if it has arrived."""
        ...

    async def aclose(self) -> None:
        """
        Release the connection; it is reused if the request was written and the response read to the
        end. May be called twice.
        """
        ...


class AsyncEngine(ABC):
    """
    The connections of an HTTP engine in one scope (a loop, or a process).

    ``errors`` are the exceptions by which the engine reports a failed exchange. ``slots`` limits
    the number of requests at once; None leaves that to the engine.
    """

    errors: tuple[type[Exception], ...]
    slots: Slots[Any] | None = None
    outgoing: type[AsyncOutgoing] = AsyncOutgoing

    @abstractmethod
    async def send(self, request: Request, outgoing: AsyncOutgoing, slot: Any) -> AsyncReply:
        """
        Send *request*, with the body *outgoing*, and return the response as soon as it begins.

        For a request without a body, ``outgoing.left`` is True, since nothing can be proven. The
        engine may set it to False as long as it knows that the head has not left either.
        """

    async def exchange(self, request: Request, outgoing: AsyncOutgoing, slot: Any) -> Response:
        """Send *request*, with the body *outgoing*, and return the whole response."""
        reply = await self.send(request, outgoing, slot)
        body = ResponseBody(reply.encoding, request.endpoint.max_response_bytes)
        expired = None
        try:
            chunks = reply.chunks
            if isinstance(chunks, bytes):
                body.feed(chunks)
            else:
                expired = await _read(reply, chunks.__aiter__(), body, outgoing)
        except self.errors:
            if body.failure is None:
                raise
        finally:
            await reply.aclose()
        if expired:
            raise TransportError(expired, body_left=outgoing.seal())
        return Response(reply.status, reply.headers, body.finish(), request_left=outgoing.seal())

    @abstractmethod
    async def aclose(self) -> None:
        """Close all connections."""

    async def prepare(self, base_url: str) -> None:  # noqa: B027  most clients of users are ready
        """
        Make what connections to *base_url* need. Raises `TransportError` if a setting of the
        environment does not allow any.
        """

    def check_open(self) -> None:  # noqa: B027  most engines have no owner who closes them
        """Raise `UsageError` if the engine's client has been closed by its owner."""


async def _read(
    reply: AsyncReply, chunks: AsyncIterator[bytes], body: ResponseBody, outgoing: AsyncOutgoing
) -> str | None:
    """Feed the *chunks* of *reply* to *body*; return the limit that has run out, or None."""
    expired, closed = None, False
    async for chunk in chunks:
        if closed:  # a transport of the user's own, which goes on
            await finish(chunks)
            break
        wanted, expired = body.feed(chunk), outgoing.expired
        if expired or not wanted:
            closed = True
            # The body is too large or too slow. Leaving this loop would leave the engine's
            # generators open; reading on from a closed reply ends them, with or without an error.
            await reply.aclose()
        # A chunk may hold a password, and a traceback would show it if the next one fails.
        del chunk
    return expired


class AsyncAdapter(ABC):
    """
    The base class of a transport over an HTTP engine.

    *given*: the engine over a client that the user configured and closes. Without one, `_open`
    makes an engine for each scope (a loop, or a process), because connections must not be used in
    another one. `aclose` or the end of the loop closes it.
    """

    def __init__(self, given: AsyncEngine | None = None) -> None:
        self._given = given
        self._engines: dict[object, AsyncEngine] = {}
        self._ends: dict[object, AtScopeEnd] = {}
        self._lock = ThreadLock()
        self._closed = False
        redact_engine_logs()

    async def handle(self, request: Request) -> Response:
        """Send *request* and return the whole response."""
        engine = self._engines.get(quick_connection_scope()) or await self._engine()
        outgoing = engine.outgoing(request.body, request.endpoint.timeouts)
        handled = sys.exception()
        slots, slot = engine.slots, None
        if slots is not None:
            timeout = request.endpoint.timeouts.pool
            try:
                slot = await slots.acquire(timeout)
            except TimeoutError:
                raise TransportError(
                    f"PoolTimeout: no connection became free within {timeout} s", body_left=False
                ) from None
            outgoing.start()
        token = credentials_in_use.set(request.endpoint.credentials)
        outer = outgoing_in_use.set(outgoing)
        try:
            return await engine.exchange(request, outgoing, slot)
        except engine.errors as error:
            left, expired = outgoing.seal(), outgoing.expired
            failed = (
                TransportError(expired, body_left=left)
                if expired
                else failure(error, request, handled, body_left=left)
            )
        finally:
            outgoing_in_use.reset(outer)
            credentials_in_use.reset(token)
            if slots is not None:
                slots.release(slot)
            await outgoing.aclose()
        raise failed

    async def prepare(self, base_url: str) -> None:
        """
        Make what connections to *base_url* need; none is made. Raises `TransportError` if a setting
        of the environment does not allow any.
        """
        await (await self._engine()).prepare(base_url)

    async def aclose(self) -> None:
        """Close the connections that this transport made; it sends no further request."""
        self._closed = True
        self._engines.clear()
        if end := self._ends.get(connection_scope()):
            await end.close_now()

    @abstractmethod
    def _open(self) -> AsyncEngine:
        """Return an engine for the current scope."""

    async def _engine(self) -> AsyncEngine:
        """Return the engine to use. Raises `UsageError` after `aclose`."""
        check_open(self._closed)
        if self._given is not None:
            self._given.check_open()
            return self._given
        scope = connection_scope()
        with self._lock:
            if engine := self._engines.get(scope):
                return engine
            engine = self._engines[scope] = self._open()

            async def close() -> None:
                self._engines.pop(scope, None)
                self._ends.pop(scope, None)
                with shielded():
                    await engine.aclose()

            end = self._ends[scope] = AtScopeEnd(close)
        await end.arm()
        return engine


def check_open(closed: bool) -> None:  # noqa: FBT001
    """Raise `UsageError` if the engine is *closed*."""
    if closed:
        raise UsageError("the HTTP client has been closed", field="transport")


class Use:
    """
    The use of a connection, which decides how much care it needs before it is used again.

    *connect_seconds*: the time that it took to connect.
    *sock*: its socket; None if that is not known, and then nothing is either of the other side.
    *closings*: what the server does with connections.

    On the monotonic clock, ``idle_since`` is when its last response arrived, ``released`` when the
    caller had read that.
    """

    def __init__(self, connect_seconds: float, sock: Any, closings: Closings) -> None:
        self.connect_seconds = connect_seconds
        self.closings = closings
        self.requests = 0
        self.idle_since = self.released = 0.0
        # Made once for a connection: an engine takes longer to name its socket than the system to
        # say what it knows of it.
        self._state: Callable[[int, int, int], bytes] | None = None
        self._poll: Poll = _see_nothing if sock is None else _poll_of(sock)
        if _KNOWS_STATE and isinstance(sock, socket.socket) and sock.family != socket.AF_UNIX:
            self._state = sock.getsockopt

    def begin(self, asked: float) -> float:
        """
        Note that a request begins, for which a connection was wanted since *asked*. Return the time
        to wait between its head and its body.

        A connection without a request for a while may be one that the server is closing just now.
        Its FIN needs half a round trip to arrive, which is less than connecting took. Servers have
        limits of seconds, so only after a second is it worth to wait that long; before, a
        millisecond is enough for a server that is near. The second request waits as well, since a
        server may close after every response.

        A busy connection waits for nothing: one that was used just now. It was also busy if a
        request waited for it or came directly after the last one; how long a busy program then
        takes to get to it says nothing.
        """
        self.requests += 1
        if self.requests == 1:
            return 0
        if self.closings.count:
            self.closings.note(closed=False)
        idle = monotonic() - self.idle_since
        if idle >= _LONG_IDLE_SECONDS:
            return min(max(self.connect_seconds, _WAIT_SECONDS), _MAX_WAIT_SECONDS)
        at_once = asked - max(self.idle_since, self.released) < _AT_ONCE_SECONDS
        if self.requests > 2 and (at_once or idle < _IDLE_SECONDS):  # noqa: PLR2004
            return 0
        return _WAIT_SECONDS

    def is_spent(self, *, closed: bool) -> bool:
        """
        Return whether the connection, which is idle, is not to be used again: because it was found
        *closed*, or because the server closes so many that this one may be next.
        """
        if closed:
            self.note_closed()
        elif self.closings.frequent:
            self.closings.note(closed=False)
        else:
            return False
        return True

    def note_closed(self) -> None:
        """Note that the server closed the connection, unless it had been idle for long."""
        if monotonic() - self.idle_since < _LONG_IDLE_SECONDS:
            self.closings.note(closed=True)

    def has_closed(self) -> bool:
        """
        Return whether the other side has closed the connection; outside Linux, also whether it has
        sent something that has not been read.
        """
        if self._state is not None:
            # In threads. This lets no other thread run, which could take milliseconds, as poll does
            # (CPython's sock_getsockopt). The first byte is the state (linux/tcp.h).
            return self._state(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _TCP_ESTABLISHED
        # To be readable proves nothing: over TLS it may be a session ticket.
        found = self._poll(0)
        return bool(found) and (not _CLOSED or found[0][1] != select.POLLIN)

    def has_sent(self) -> bool:
        """Return whether there is something to read, which may be the end."""
        return bool(self._poll(0))


def _poll_of(sock: Any) -> Poll:
    """Return a function that returns what the system has to say of *sock*, like select.poll."""
    descriptor = sock.fileno()
    if not hasattr(select, "poll"):
        return lambda _: [(fd, 1) for fd in select.select([descriptor], [], [], 0)[0]]
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | _CLOSED)
    return poll.poll


def _see_nothing(_: int) -> list[tuple[int, int]]:
    return []
