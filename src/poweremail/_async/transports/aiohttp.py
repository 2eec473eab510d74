# async only: aiohttp has no other side
"""
The adapter to aiohttp, for asyncio.

The engine writes the body when it has a connection, and `AsyncOutgoing` notes when the last piece
is handed over. A request without a body has no such moment: there `AsyncTrail` stands next to the
engine's connector and sees in whose hands each attempt failed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from poweremail._async.transports.base import (
    MAX_CONNECTIONS,
    AsyncOutgoing,
    checked_limit,
    failure,
    load_engine,
    pool_timeout,
)
from poweremail._async.transports.worlds import AsyncWorlds, check_open
from poweremail._response import Response
from poweremail._runtime._async import Deadline, check_world
from poweremail._runtime._async_slots import Slots
from poweremail._runtime._logs import redacting
from poweremail._types.timeouts import Timeouts
from poweremail._wire.http import ACCEPT_ENCODING, Request, ResponseBody
from poweremail.errors import ConfigurationError, PowerEmailError

if TYPE_CHECKING:
    import aiohttp
    import yarl

__all__ = ["AsyncAiohttpTransport"]


class AsyncAiohttpTransport:
    """
    Send through aiohttp, on asyncio.

    *session* is a ``ClientSession`` of your own, with its connector, proxies, middlewares and
    cookies. It stays yours: closing the transport does not close it, and it belongs to the event
    loop that it was made in. Redirects are not followed, the timeouts are those of `Timeouts`, and
    a GET is not repeated, as aiohttp itself does where its connection breaks. Without one the
    transport makes its own, with at most *max_connections* connections; it honours the proxy
    variables of the environment and verifies TLS.

    Raises `UsageError` where *session* is no ``ClientSession``, or aiohttp is not installed; a
    request raises it on trio.
    """

    def __init__(
        self, session: object | None = None, *, max_connections: int = MAX_CONNECTIONS
    ) -> None:
        self._aiohttp = load_engine("aiohttp", "aiohttp")
        if session is not None and not isinstance(session, self._aiohttp.ClientSession):
            what = type(session).__qualname__
            raise ConfigurationError(
                f"must be a ClientSession of aiohttp, not {what}", field="session"
            )
        self._given = cast("aiohttp.ClientSession | None", session)
        self._limit = checked_limit(max_connections)
        self._own: AsyncWorlds[_Own] = AsyncWorlds(self._make, _close)
        # A handful of each are in use.
        self._url: Callable[[str], yarl.URL] = cache(_url)
        self._proxy = cache(_proxy)
        self._timeout: Callable[[Timeouts, bool], aiohttp.ClientTimeout] = cache(_timeout)
        redacting.install()

    async def handle(self, request: Request) -> Response:
        """Send *request* and return the answer, read whole."""
        if self._given is not None:
            self._own.check_open()
            check_world("aiohttp")
            check_open(self._given.closed)
            # Its middlewares stay in force; that of the trail comes last, with nothing between it
            # and the connector.
            return await self._handle(
                request, self._given, getattr(self._given, "_middlewares", ())
            )
        own = await self._own.here()
        patience = request.endpoint.timeouts.pool
        try:
            await own.slots.take(patience)
        except TimeoutError:
            raise pool_timeout(patience) from None
        try:
            return await self._handle(
                request, own.session, proxy=self._proxy(request.endpoint.base_url)
            )
        finally:
            own.slots.give(None)

    async def aclose(self) -> None:
        """Close the session that this transport made; no request goes out afterwards."""
        await self._own.aclose()

    def _make(self) -> _Own:
        check_world("aiohttp")
        return _Own(self._limit)

    async def _handle(
        self,
        request: Request,
        session: aiohttp.ClientSession,
        middlewares: Sequence[Any] = (),
        proxy: str | None = None,
    ) -> Response:
        outgoing = AsyncOutgoing(request.body)
        payload = None if request.body is None else payload_type()(outgoing, request)
        # A body is not repeated by the engine, and knows itself how far it has come.
        trail = AsyncTrail() if payload is None else None
        options: dict[str, Any] = (
            {"proxy": proxy}
            if trail is None
            else {"proxy": proxy, "middlewares": (*middlewares, trail.follow)}
        )
        try:
            with redacting(request.endpoint.credentials):
                held = _Held(await self._send(session, request, payload, options))
                try:
                    return await self._read(held, request, outgoing)
                finally:
                    # A connection on which the body is still under way cannot be used again.
                    if payload is None or payload.written:
                        held.answer.release()
                    else:
                        held.answer.close()
        except (self._aiohttp.ClientError, _BrokenError, OSError) as error:
            if payload is not None and payload.error is not None:
                raise payload.error from None
            left = outgoing.left if trail is None else trail.left
            failed = failure(
                (isinstance(error, _BrokenError) and error.__cause__) or error,
                request,
                body_left=left,
            )
        finally:
            await outgoing.aclose()
        raise failed

    async def _send(
        self,
        session: aiohttp.ClientSession,
        request: Request,
        payload: Any,
        options: dict[str, Any],
    ) -> aiohttp.ClientResponse:
        """
        Send the request; its URL may have the token, so it is in no variable of a frame that can
        fail.
        """
        return await session.request(
            request.method,
            self._url(request.url) if request.query is None else _url(request.full_url()),
            headers=(*request.constant_headers, ACCEPT_ENCODING),
            data=payload,
            timeout=self._timeout(request.endpoint.timeouts, session is self._given),
            allow_redirects=False,
            auto_decompress=False,
            raise_for_status=False,
            **options,
        )

    @staticmethod
    async def _read(held: _Held, request: Request, outgoing: AsyncOutgoing) -> Response:
        body = ResponseBody(
            held.answer.headers.get("Content-Encoding"), request.endpoint.max_response_bytes
        )
        while chunk := await held.answer.content.readany():
            if not body.feed(chunk):
                held.answer.close()
                break
            # It may hold a password, and the next one may fail.
            del chunk
        return Response(
            held.answer.status,
            tuple(held.answer.headers.items()),
            body.finish(),
            request_left=outgoing.left,
        )


class _Held:
    """An answer of the engine, whose repr would show the whole URL."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer


class _Own:
    """The session of one world, and who may use it."""

    def __init__(self, limit: int) -> None:
        import aiohttp  # noqa: PLC0415  loaded by whoever makes a transport

        self.slots: Slots[None] = Slots(limit)
        # The slots keep to the limit; idle connections are not used for longer than those of httpx.
        # Cookies mean nothing here.
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=5.0)
        self.session = aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar()
        )


async def _close(own: _Own) -> None:
    await own.session.close()


class AsyncTrail:
    """
    How far a request without a body has come: ``left`` says whether its head may have left.

    `follow` is a middleware of the engine, the innermost, so that it sees every attempt, also those
    that are repeated above it. The engine itself repeats a GET whose connection broke, which would
    be a second mail; an error of another kind keeps it from that.
    """

    def __init__(self) -> None:
        import aiohttp  # noqa: PLC0415  loaded by whoever makes a transport

        self.left = False
        # What the connector raises: in the one attempt that was made here, the request was not
        # handed over.
        self._unconnected = (
            aiohttp.ClientConnectorError,
            aiohttp.ConnectionTimeoutError,
            aiohttp.ClientHttpProxyError,
        )
        self._errors = (aiohttp.ClientError, OSError)

    async def follow(self, request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        """Let *handler* send *request*, once."""
        try:
            answer: aiohttp.ClientResponse = await handler(request)
        except self._errors as error:
            self.left = self.left or not isinstance(error, self._unconnected)
            raise _BrokenError from error
        except BaseException:
            self.left = True
            raise
        self.left = True
        return answer


class _BrokenError(Exception):
    """
    An error of the engine, as its ``__cause__``, in a form that the engine does not take for a
    reason to try again.
    """


@cache
def payload_type() -> Any:
    """The engine's class of a body that writes itself, made when the engine has been loaded."""
    import aiohttp  # noqa: PLC0415

    class AsyncBody(aiohttp.payload.Payload):
        """
        Writes *outgoing* piece by piece; ``written`` says that it is done, ``error`` why a file or
        stream could not be read.
        """

        def __init__(self, outgoing: AsyncOutgoing, request: Request) -> None:
            super().__init__(None, content_type="application/json")
            self._outgoing = outgoing
            self._patience = request.endpoint.timeouts.write
            self._size = request.body.length if request.body else 0
            self._whole = request.body and request.body.whole
            self.written = False
            self.error: PowerEmailError | None = None

        def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002  its interface
            raise TypeError("a body of the library is read once, by the engine")

        async def write(self, writer: Any) -> None:
            if self._whole:
                # Nearly always. It fits into the buffers, so there is nothing to wait for.
                self._outgoing.left = True
                await writer.write(self._whole)
                self.written = True
                return
            try:
                async for piece in self._outgoing:
                    async with Deadline(_nothing) as deadline:
                        deadline.move(self._patience)
                        await writer.write(piece)
            except PowerEmailError as error:
                self.error = error
                raise
            self.written = True

        async def write_with_length(self, writer: Any, content_length: int | None) -> None:  # noqa: ARG002  it is that long
            await self.write(writer)

    return AsyncBody


async def _nothing() -> None:
    """Do nothing: a task is cancelled, it need not be made to fail."""


def _url(url: str) -> yarl.URL:
    import yarl  # noqa: PLC0415

    # As it is: what is encoded already must not be encoded again.
    return yarl.URL(url, encoded=True)


def _timeout(timeouts: Timeouts, waits_in_pool: bool) -> aiohttp.ClientTimeout:  # noqa: FBT001
    import aiohttp  # noqa: PLC0415

    connect, pool = timeouts.connect, timeouts.pool
    # The engine's own line is for a connection, made or free. Nobody waits in it where the slots
    # keep to the limit.
    in_line = None if not waits_in_pool or connect is None or pool is None else connect + pool
    return aiohttp.ClientTimeout(
        total=None, connect=in_line, sock_connect=connect, sock_read=timeouts.read
    )


def _proxy(base_url: str) -> str | None:
    """The proxy of the environment for the service, if any."""
    parts = urlsplit(base_url)
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return None if not proxy or proxy_bypass(parts.netloc) else proxy
