# async only: aiohttp has no sync client
"""
The bodies of a request and of its response, and their connection, as aiohttp has them.

``httpcore.py`` explains what is done and why; here it is done by aiohttp's own means.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterable, Callable
from functools import cache
from time import monotonic
from typing import Any

from poweremail._async.transports.base import MAX_INTERIM_RESPONSES, Use
from poweremail._async.transports.outgoing import AsyncOutgoing
from poweremail._runtime._closings import Closings, closings_by_server
from poweremail._wire.http import Request
from poweremail.errors import PowerEmailError, TransportError

_SWITCHING_PROTOCOLS = 101


class AsyncTimedOutgoing(AsyncOutgoing):
    """
    A body that leaves over *transport*, and whose attempt *task* makes.

    ``link`` is the use of its connection, ``silent`` says that the server has sent nothing for as
    long as `Timeouts.read` allows. The engine has a timer for that, which it sets twice a request.
    ``closed`` says that the client has been closed meanwhile.
    """

    task: asyncio.Task[Any] | None = None
    transport: asyncio.WriteTransport | None = None
    link: AsyncLink | None = None
    silent: bool = False
    closed: bool = False

    async def write_by(self, writer: Any, limit: float | None) -> None:
        """
        Write the body by *writer*, whose connection has its head next, each piece within *limit*
        seconds; write nothing if the response is there already.
        """
        self.start()
        protocol = writer.protocol
        self.transport = protocol.transport
        self.use = self.link = link = _link(protocol, self.asked)
        link.responded = False
        link.heard = math.inf
        wait = link.begin(self.asked)
        if wait:
            writer.send_headers()
            await asyncio.sleep(wait)
        if not link.responded:
            link.check(self)
            whole = self.whole()
            if whole is None:
                await _write_pieces(writer, self, limit)
            else:
                # The usual case. The body fits into the buffers, so no timeout is needed.
                try:
                    await writer.write(whole, drain=False)
                finally:
                    # Nothing else has run since the engine wrote: if the connection is closing now,
                    # the system has refused the body.
                    if _is_closing(self.transport):
                        self.take_back()
                self.written = self.left
        self._await_response(link)

    def _await_response(self, link: AsyncLink) -> None:
        """Note that the engine has nothing more to write."""
        link.heard = monotonic()
        if self.end_by is not None:
            self.end_by(self.next_end)

    @property
    def next_end(self) -> float:
        """The time at which the attempt ends if nothing arrives until then."""
        read = None if self.timeouts is None else self.timeouts.read
        if self.link is None or read is None:
            return self.ends
        return min(self.ends, self.link.heard + read)

    @property
    def expired(self) -> str | None:
        """The limit that has run out, or None."""
        if self.closed:
            return "the client was closed"
        if self.silent:
            return f"ReadTimeout: nothing arrived within {self.timeouts.read} s"  # type: ignore[union-attr]
        return super().expired


@cache
def body_class() -> Any:
    """Return a subclass of aiohttp's ``Payload``; made here, because aiohttp is loaded late."""
    import aiohttp  # noqa: PLC0415

    headers = aiohttp.BytesPayload(b"", content_type="application/json").headers

    class AsyncBody(aiohttp.payload.Payload):
        """The body *outgoing*; ``error`` says why a file or stream of it could not be read."""

        def __init__(self, outgoing: AsyncTimedOutgoing, request: Request) -> None:
            # Not by super(), which would build the headers for each request (aiohttp/payload.py,
            # Payload.__init__).
            self._value = self._encoding = self._filename = None
            self._headers = headers
            self._outgoing = outgoing
            self._write_timeout = request.endpoint.timeouts.write
            # Read by the engine for the Content-Length (aiohttp/payload.py, Payload.size).
            self._size = request.body.length if request.body else 0
            self.error: PowerEmailError | None = None

        def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002  its interface
            raise TypeError("a body of the library is read once, by the engine")

        async def write(self, writer: Any) -> None:
            await self.write_with_length(writer, None)

        async def write_with_length(self, writer: Any, content_length: int | None) -> None:  # noqa: ARG002  the body has that length
            try:
                await self._outgoing.write_by(writer, self._write_timeout)
            except PowerEmailError as error:
                self.error = error
                raise

    return AsyncBody


async def _write_pieces(writer: Any, outgoing: AsyncOutgoing, limit: float | None) -> None:
    """Write *outgoing*, each piece within *limit* seconds."""
    async for piece in outgoing:
        async with asyncio.timeout(limit):
            await writer.write(piece)
            # Over TLS a broken connection takes pieces and drops them, until the loop has told the
            # engine.
            await asyncio.sleep(0)
    outgoing.note_left()


class AsyncAiohttpReply:
    """A response of aiohttp; *end* releases its connection, or closes it."""

    def __init__(self, status: int, headers: Any, content: Any, end: Callable[[], object]) -> None:
        self.status = status
        self.headers = tuple(headers.items())
        self.encoding = headers.get("Content-Encoding")
        self._content = content
        self._end = end

    @property
    def chunks(self) -> AsyncIterable[bytes] | bytes:
        """The body as it comes, or all of it if it has arrived."""
        content = self._content
        return content.read_nowait() if content.is_eof() else content.iter_any()  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        """End the use of the connection."""
        self._end()


class AsyncLink(Use):
    """
    The use of the connection of *protocol*.

    ``responded``: whether the present request has its final response.
    ``heard``: when its last bytes arrived, or its own had been written; infinite before.
    """

    def __init__(self, protocol: Any, connect_seconds: float) -> None:
        import aiohttp  # noqa: PLC0415

        super().__init__(connect_seconds, protocol.transport.get_extra_info("socket"), Closings())
        self.responded = False
        self.heard = math.inf
        self._protocol = protocol
        self._interim_count = 0
        self._feed = protocol.feed_data
        self._failure = aiohttp.ClientConnectionError
        # The engine has no hook for it: see aiohttp/client_proto.py, ResponseHandler.data_received.
        protocol.feed_data = self.note_message
        # The engine does not report an idle connection that ends; it forgets it.
        self._lose = protocol.connection_lost
        protocol.connection_lost = self.note_lost
        self._receive = protocol.data_received
        protocol.data_received = self.note_data
        protocol.transport.set_protocol(protocol)  # uvloop keeps the method that it has found

    def check(self, outgoing: AsyncOutgoing) -> None:
        """Raise `TransportError` if the server has closed it, before *outgoing* leaves."""
        if _is_closing(self._protocol.transport) or self.is_dead():
            self.note_closed()
            raise TransportError("the server closed the connection", body_left=outgoing.left)

    def is_dead(self) -> bool:
        """Return whether the connection, which is open on this side, is at its end."""
        return self._protocol.should_close or self.has_closed()

    def note_lost(self, error: Exception | None) -> None:
        """Note that the connection has ended; *error* says why, if it was not closed in order."""
        protocol = self._protocol
        # Before the engine closes a connection itself, it lets go of the transport. A connection
        # that should be closed is one whose response said so.
        if self.responded and protocol.transport is not None and not protocol.should_close:
            self.note_closed()
        self._lose(error)

    def note_data(self, data: bytes) -> None:
        """Note that *data* has arrived; the engine passes b"" if it goes on with what it has."""
        if data:
            self.heard = monotonic()
        self._receive(data)

    def note_message(self, message: Any, *rest: Any) -> None:
        """Note that the head of a response has arrived; an interim one concerns nobody else."""
        if 100 <= message[0].code < 200 and message[0].code != _SWITCHING_PROTOCOLS:  # noqa: PLR2004
            self._interim_count += 1
            if self._interim_count == MAX_INTERIM_RESPONSES + 1:
                reason = f"more than {MAX_INTERIM_RESPONSES} interim responses"
                self._protocol.set_exception(self._failure(reason))
        elif self._interim_count <= MAX_INTERIM_RESPONSES:
            if self.responded:  # nobody has sent a request: it says that the connection ends
                self.note_closed()
            self.responded, self._interim_count = True, 0
            self.idle_since = monotonic()
            self._feed(message, *rest)


def _link(protocol: Any, asked: float) -> AsyncLink:
    """Return what is known of the connection of *protocol*; a new one was wanted since *asked*."""
    link = getattr(protocol.feed_data, "__self__", None)
    return link if isinstance(link, AsyncLink) else AsyncLink(protocol, monotonic() - asked)


def _is_closing(transport: asyncio.WriteTransport | None) -> bool:
    return transport is None or transport.is_closing()


@cache
def connector_class() -> Any:
    """Return a subclass of aiohttp's connector; made here, because aiohttp is loaded late."""
    import aiohttp  # noqa: PLC0415

    class AsyncConnector(aiohttp.TCPConnector):
        """Hands out no connection that is at its end, or is likely to be soon."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self._closings = closings_by_server()

        async def connect(
            self,
            req: aiohttp.ClientRequest,
            traces: Any,
            timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  its interface
        ) -> Any:
            started = monotonic()
            while True:
                connection = await super().connect(req, traces, timeout)
                link = _link(connection.protocol, started)
                if not link.requests:
                    link.closings = self._closings(req.connection_key)
                elif link.is_spent(closed=link.is_dead()):
                    connection.close()
                    continue
                link.responded = False
                return connection

    return AsyncConnector
