# async only: aiohttp has no sync client
"""
The adapter to aiohttp, for asyncio.

The engine pulls the body when it has a connection, which shows how much of the request has left
(``base.py``). For a request without a body, `AsyncHeadProgress` runs next to the engine's connector
and sees where each attempt fails.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from abc import abstractmethod
from collections.abc import AsyncIterable, Awaitable, Callable
from contextvars import Context
from functools import cache, lru_cache, partial
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from poweremail._async.transports.base import (
    KEEPALIVE_EXPIRY,
    MAX_CONNECTIONS,
    MAX_INTERIM_RESPONSES,
    AsyncAdapter,
    AsyncEngine,
    AsyncOutgoing,
    Use,
    check_open,
    checked_expiry,
    checked_limit,
    load_engine,
)
from poweremail._response import Response
from poweremail._runtime._async import in_thread, quick_connection_scope
from poweremail._runtime._async_slots import Slots
from poweremail._runtime._environment import proxy_for, tls_context, tls_settings
from poweremail._types.options import Timeouts
from poweremail._types.secret import Secret
from poweremail._wire.http import ACCEPT_ENCODING, CONSTANT_HEADERS, Request
from poweremail.errors import ConfigurationError, PowerEmailError, TransportError, UsageError

if TYPE_CHECKING:
    import aiohttp
    import yarl

__all__ = ["AsyncAiohttpTransport"]

_MAX_TIMEOUTS_CACHED = 32


class AsyncAiohttpTransport(AsyncAdapter):
    """
    Send through aiohttp, on asyncio.

    - *session*: a ``ClientSession`` of your own, with its connector, proxies, middlewares and
      cookies. It stays yours: closing the transport does not close it, and it belongs to the event
      loop that it was made in. Redirects are not followed, the timeouts are those of `Timeouts`,
      and a GET is not repeated, though aiohttp itself repeats it if the connection breaks. Without
      a session the transport makes its own; it honours the proxy variables of the environment and
      verifies TLS.
    - *max_connections*: the limit on connections if there is no *session*.
    - *keepalive_expiry*: the seconds for which an idle connection is kept, if there is no
      *session*. The default is below the 5 seconds after which Node, Apache and uvicorn close it.

    Raises `ConfigurationError` if *session* is not a ``ClientSession``, or aiohttp is not
    installed. A request raises `UsageError` on trio.
    """

    def __init__(
        self,
        session: object | None = None,
        *,
        max_connections: int = MAX_CONNECTIONS,
        keepalive_expiry: float = KEEPALIVE_EXPIRY,
    ) -> None:
        engine = load_engine("aiohttp", "aiohttp")
        if session is not None and not isinstance(session, engine.ClientSession):
            kind = type(session).__qualname__
            raise ConfigurationError(
                f"must be a ClientSession of aiohttp, not {kind}", field="session"
            )
        self._limit = checked_limit(max_connections)
        self._keepalive_expiry = checked_expiry(keepalive_expiry)
        users_session = cast("aiohttp.ClientSession | None", session)
        super().__init__(None if users_session is None else AsyncGivenSession(users_session))

    def _open(self) -> AsyncEngine:
        _check_on_asyncio()
        return AsyncOwnSession(self._limit, self._keepalive_expiry)


class AsyncTimedOutgoing(AsyncOutgoing):
    """A body that leaves over *transport*, and whose attempt ends by *limit*."""

    limit: asyncio.Timeout | None = None
    transport: asyncio.WriteTransport | None = None


class AsyncDeadlines:
    """
    Ends the attempts of a session in time.

    The end of an attempt moves with each piece of its body, and hardly any attempt gets there. A
    timer for each would be set and cancelled for nothing; one timer serves all, and goes off when
    the first of them could be over.

    ``attempts`` are those that are being made.
    """

    def __init__(self) -> None:
        self.attempts: set[AsyncTimedOutgoing] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._next_check = math.inf

    def check_by(self, time: float) -> None:
        """Check at *time*, on the monotonic clock, at the latest."""
        if time < self._next_check:
            self.stop()
            self._next_check = time
            # The context of the caller has the mail, which would be kept as long as the timer.
            self._timer = asyncio.get_running_loop().call_later(
                time - monotonic(), self._check, context=Context()
            )

    def stop(self) -> None:
        """Check no more."""
        if self._timer is not None:
            self._timer.cancel()
        self._next_check = math.inf

    def _check(self) -> None:
        self._next_check = math.inf
        for outgoing in tuple(self.attempts):
            if outgoing.expired is None:
                self.check_by(outgoing.ends)
            elif outgoing.limit is not None:
                self.attempts.discard(outgoing)
                outgoing.limit.reschedule(asyncio.get_running_loop().time())


class AsyncSession(AsyncEngine):
    """A *session* of aiohttp."""

    outgoing = AsyncTimedOutgoing

    waits_in_pool = True
    """True if requests wait for a connection in the engine, False if they wait in `Slots`."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        import aiohttp  # noqa: PLC0415  loaded when a transport is made

        self.errors = (aiohttp.ClientError, OSError)
        self._session = session
        self._deadlines = AsyncDeadlines()
        self._payload_class = _payload_class()
        # Only a handful of URLs and timeouts are in use, but a lookup has timeouts of its own.
        self._url: Callable[[str], yarl.URL] = cache(_url)
        self._timeout: Callable[[Timeouts], aiohttp.ClientTimeout] = lru_cache(
            _MAX_TIMEOUTS_CACHED
        )(self._make_timeout)

    async def send(
        self,
        request: Request,
        outgoing: AsyncOutgoing,
        slot: None,  # noqa: ARG002
    ) -> AsyncSessionReply:
        """Send *request* through the session."""
        payload = None if request.body is None else self._payload_class(outgoing, request)
        options = self._options(request)
        if options is None:
            await self.prepare(request.endpoint.base_url)
            options = self._options(request) or {}
        if payload is None:
            progress = AsyncHeadProgress(
                outgoing, request.query, traced=bool(self._session.trace_configs)
            )
            outgoing.start()
            # The engine does not report when it has a connection.
            outgoing.note_written(self._until_connected(request.endpoint.timeouts))
            # The last middleware is the innermost: nothing is between it and the connector.
            given = options.get("middlewares", ())
            options = {**options, "middlewares": (*given, progress.follow)}
        try:
            return AsyncSessionReply(
                await self._session.request(
                    request.method,
                    self._url(request.url),
                    data=payload,
                    timeout=self._timeout(request.endpoint.timeouts),
                    allow_redirects=False,
                    auto_decompress=False,
                    raise_for_status=False,
                    **options,
                ),
                payload,
            )
        except _NoRetryError as wrapper:
            error = wrapper.__cause__
        except self.errors as engine_error:
            error = engine_error
        if payload is not None and payload.error is not None:
            raise payload.error from None
        raise cast("BaseException", error)

    async def exchange(self, request: Request, outgoing: AsyncOutgoing, slot: None) -> Response:
        """Send *request*, with the body *outgoing*, and return the whole response."""
        timed: AsyncTimedOutgoing = outgoing  # type: ignore[assignment]
        timed.end_by = self._deadlines.check_by
        self._deadlines.attempts.add(timed)
        try:
            if outgoing.ends < math.inf:
                self._deadlines.check_by(outgoing.ends)
            async with asyncio.timeout(None) as timed.limit:
                return await super().exchange(request, outgoing, slot)
        except BaseException:
            # The engine would close it when the server has read what is on its way: perhaps never.
            if timed.transport is not None:
                timed.transport.abort()
            raise
        finally:
            self._deadlines.attempts.discard(timed)

    async def aclose(self) -> None:
        """Close the session."""
        self._deadlines.stop()
        await self._session.close()

    @abstractmethod
    def _options(self, request: Request) -> dict[str, Any] | None:
        """Return further options of *request*; None if `prepare` has to be called first."""

    def _make_timeout(self, timeouts: Timeouts) -> aiohttp.ClientTimeout:
        import aiohttp  # noqa: PLC0415

        return aiohttp.ClientTimeout(
            total=None,
            connect=self._until_connected(timeouts),
            sock_connect=timeouts.connect,
            sock_read=timeouts.read,
        )

    def _until_connected(self, timeouts: Timeouts) -> float | None:
        """
        Return the engine's timeout "connect", which covers both the wait for a free connection and
        the whole of making one, with a proxy's CONNECT.
        """
        pool = timeouts.pool if self.waits_in_pool else 0
        return None if pool is None or timeouts.connect is None else pool + timeouts.connect


class AsyncGivenSession(AsyncSession):
    """A session that the user made and closes."""

    def check_open(self) -> None:
        """Raise `UsageError` if the session has been closed, or the loop is not asyncio's."""
        _check_on_asyncio()
        check_open(self._session.closed)

    def _options(self, request: Request) -> dict[str, Any]:
        options: dict[str, Any] = {"headers": (*request.constant_headers, ACCEPT_ENCODING)}
        # A request with middlewares of its own ignores those of the session, so they are passed on.
        # The session has no public name for them (aiohttp/client.py, ClientSession.__init__).
        if request.body is None:
            options["middlewares"] = getattr(self._session, "_middlewares", ())
        return options


class AsyncOwnSession(AsyncSession):
    """A session of ours, with at most *limit* connections."""

    waits_in_pool = False

    def __init__(self, limit: int, keepalive_expiry: float) -> None:
        import aiohttp  # noqa: PLC0415  loaded when a transport is made

        # `Slots` limits the connections, so the connector does not. The API uses no cookies.
        connector = _connector_class()(limit=0, keepalive_timeout=keepalive_expiry)
        super().__init__(
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=(*CONSTANT_HEADERS, ACCEPT_ENCODING),
            )
        )
        self.slots = Slots(limit, lambda: None)
        self._routes: dict[str, dict[str, Any]] = {}

    async def prepare(self, base_url: str) -> None:
        """Find the proxy for *base_url*, and make the TLS context if the environment has a say."""
        proxy = proxy_for(base_url, ("http", "https"))
        tls: dict[str, Any] = {}
        if tls_settings():
            tls["ssl"] = await in_thread(tls_context, "aiohttp", ssl.create_default_context)
        self._routes[base_url] = {"proxy": None if proxy is None else proxy.reveal(), **tls}

    def _options(self, request: Request) -> dict[str, Any] | None:
        return self._routes.get(request.endpoint.base_url)


class AsyncSessionReply:
    """
    A *response* of aiohttp to a request with *payload*.

    The response is private, because its repr shows the whole URL.
    """

    def __init__(self, response: aiohttp.ClientResponse, payload: Any) -> None:
        self._response = response
        self._payload = payload
        self.status = response.status
        self.headers = tuple(response.headers.items())
        self.encoding = response.headers.get("Content-Encoding")

    @property
    def chunks(self) -> AsyncIterable[bytes] | bytes:
        """The body as it comes, or all of it if it has arrived."""
        content = self._response.content
        return content.read_nowait() if content.is_eof() else content.iter_any()

    async def aclose(self) -> None:
        """Release the connection, or close it if the engine is still writing the body."""
        if self._payload is None or self._payload.written:
            self._response.release()
        else:
            self._response.close()


class AsyncHeadProgress:
    """
    Follows a request without a body, and sets ``outgoing.left`` when its head may have left.

    `follow` is the innermost middleware of the engine, so it sees every attempt, also those that
    middlewares above it repeat. aiohttp repeats a GET if its connection breaks, which would be a
    second mail; it does not repeat it after a `_NoRetryError`.

    It also puts *query* into the URL, and only while the head is written. The query has the token,
    and instrumentations, such as those of OpenTelemetry and Sentry, report URLs. *traced* says
    whether there may be one.
    """

    def __init__(self, outgoing: AsyncOutgoing, query: Secret | None, *, traced: bool) -> None:
        import aiohttp  # noqa: PLC0415  loaded when a transport is made

        self._outgoing = outgoing
        self._query = query
        self._traced = traced
        outgoing.left = False
        # The connector raises these, before the request is written.
        self._connect_errors = (
            aiohttp.ClientConnectorError,
            aiohttp.ConnectionTimeoutError,
            aiohttp.ClientHttpProxyError,
        )
        self._errors = (aiohttp.ClientError, OSError)

    async def follow(self, request: aiohttp.ClientRequest, handler: Any) -> aiohttp.ClientResponse:
        """Let *handler* send *request*, once."""
        if self._query is not None:
            if self._traced and _by_plain_proxy(request):
                raise UsageError(
                    "a GET through a proxy without TLS has the token in its URL, and what traces "
                    "the session may show that to others",
                    field="transport",
                    advice="use send_template",
                )
            # It is called when there is a connection (aiohttp/client.py, ClientSession._request).
            request.send = partial(  # type: ignore[method-assign]
                _send_with_query, request, request.send, self._query
            )
        try:
            response: aiohttp.ClientResponse = await handler(request)
        except self._connect_errors as error:
            raise _NoRetryError from error
        except self._errors as error:
            self._outgoing.left = True
            raise _NoRetryError from error
        except BaseException:
            self._outgoing.left = True
            raise
        self._outgoing.left = True
        return response


class _WithQuery:
    """
    The *url* of a request, which shows its *query* as the target of the request only.

    A plain proxy gets the whole URL as target (*shown*).
    """

    def __init__(self, url: yarl.URL, query: Secret, *, shown: bool) -> None:
        self._url = url
        self._query = query
        self._shown = shown

    @property
    def raw_path_qs(self) -> str:
        """The target of a request."""
        return f"{self._url.raw_path}?{self._query.reveal()}"

    def __str__(self) -> str:
        return f"{self._url}?{self._query.reveal()}" if self._shown else str(self._url)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._url, name)


async def _send_with_query(
    request: aiohttp.ClientRequest,
    send: Callable[[Any], Awaitable[aiohttp.ClientResponse]],
    query: Secret,
    connection: Any,
) -> aiohttp.ClientResponse:
    """Let *request*, with *query*, *send* its head over *connection*."""
    url = request.url
    request.url = cast("yarl.URL", _WithQuery(url, query, shown=_by_plain_proxy(request)))
    try:
        return await send(connection)
    finally:
        request.url = url


def _by_plain_proxy(request: aiohttp.ClientRequest) -> bool:
    """Return whether *request* goes to a proxy that gets its whole URL."""
    return request.proxy is not None and not request.is_ssl()


class _NoRetryError(Exception):
    """
    Wraps an error of the engine, its ``__cause__``: aiohttp repeats a GET after errors of its own
    classes only.
    """


@cache
def _payload_class() -> Any:
    """Return a subclass of aiohttp's ``Payload``; made here, because aiohttp is loaded late."""
    import aiohttp  # noqa: PLC0415

    headers = aiohttp.BytesPayload(b"", content_type="application/json").headers

    class AsyncBody(aiohttp.payload.Payload):
        """
        Writes *outgoing* piece by piece.

        ``written`` says that it is done, ``error`` why a file or stream could not be read.
        """

        def __init__(self, outgoing: AsyncTimedOutgoing, request: Request) -> None:
            # Not by super(), which would build the headers for each request (aiohttp/payload.py,
            # Payload.__init__).
            self._value = self._encoding = self._filename = None
            self._headers = headers
            self._outgoing = outgoing
            self._write_timeout = request.endpoint.timeouts.write
            # Read by the engine for the Content-Length (aiohttp/payload.py, Payload.size).
            self._size = request.body.length if request.body else 0
            self.written = False
            self.error: PowerEmailError | None = None

        def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002  its interface
            raise TypeError("a body of the library is read once, by the engine")

        async def write(self, writer: Any) -> None:
            await self.write_with_length(writer, None)

        async def write_with_length(self, writer: Any, content_length: int | None) -> None:  # noqa: ARG002  the body has that length
            outgoing = self._outgoing
            outgoing.start()
            protocol = writer.protocol
            outgoing.transport = protocol.transport
            outgoing.use = link = _link(protocol, outgoing.asked)
            try:
                link.responded = False
                wait = link.begin(outgoing.asked)
                if wait:
                    writer.send_headers()
                    await asyncio.sleep(wait)
                if link.responded:
                    return  # the engine reads it; the body is held back
                link.check(outgoing)
                whole = outgoing.whole()
                if whole is None:
                    await _write_pieces(writer, outgoing, self._write_timeout)
                else:
                    # The usual case. The body fits into the buffers, so no timeout is needed.
                    try:
                        await writer.write(whole, drain=False)
                    finally:
                        # Nothing else has run since the engine wrote: if the connection is closing
                        # now, the system has refused the body.
                        if _is_closing(outgoing.transport):
                            outgoing.take_back()
                    outgoing.written = outgoing.left
            except PowerEmailError as error:
                self.error = error
                raise
            self.written = True

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


class AsyncLink(Use):
    """
    The use of the connection of *protocol*.

    ``responded``: whether the present request has its final response.
    """

    def __init__(self, protocol: Any, connect_seconds: float) -> None:
        import aiohttp  # noqa: PLC0415

        super().__init__(connect_seconds, protocol.transport.get_extra_info("socket"))
        self.responded = False
        self._protocol = protocol
        self._interim_count = 0
        self._feed = protocol.feed_data
        self._failure = aiohttp.ClientConnectionError
        # The engine has no hook for it: see aiohttp/client_proto.py, ResponseHandler.data_received.
        protocol.feed_data = self.note_message

    def check(self, outgoing: AsyncOutgoing) -> None:
        """Raise `TransportError` if the server has closed it, before *outgoing* leaves."""
        if self.requests > 1 and (_is_closing(self._protocol.transport) or self.is_dead()):
            raise TransportError("the server closed the connection", body_left=outgoing.left)

    def is_dead(self) -> bool:
        """Return whether the connection, which is open on this side, is at its end."""
        return self._protocol.should_close or self.has_closed()

    def note_message(self, message: Any, *rest: Any) -> None:
        """Note that the head of a response has arrived."""
        if self._interim_count > MAX_INTERIM_RESPONSES:
            return
        if 100 <= message[0].code < 200:  # noqa: PLR2004
            self._interim_count += 1
            if self._interim_count > MAX_INTERIM_RESPONSES:
                reason = f"more than {MAX_INTERIM_RESPONSES} interim responses"
                self._protocol.set_exception(self._failure(reason))
                return
        else:
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
def _connector_class() -> Any:
    """Return a subclass of aiohttp's connector; made here, because aiohttp is loaded late."""
    import aiohttp  # noqa: PLC0415

    class AsyncConnector(aiohttp.TCPConnector):
        """Hands out no connection that is at its end."""

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
                if not link.requests or not link.is_dead():
                    return connection
                connection.close()

    return AsyncConnector


def _check_on_asyncio() -> None:
    if quick_connection_scope() is None:
        raise UsageError(
            "aiohttp runs on asyncio only",
            field="transport",
            advice="on trio, use transport='httpx' or 'httpx2'",
        )


def _url(url: str) -> yarl.URL:
    import yarl  # noqa: PLC0415

    # The URL is encoded already.
    return yarl.URL(url, encoded=True)
