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
from collections.abc import Callable
from functools import cache, lru_cache, partial
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from poweremail._async.transports.aiohttp_body import (
    AsyncAiohttpReply,
    AsyncTimedOutgoing,
    body_class,
    connector_class,
)
from poweremail._async.transports.aiohttp_direct import AsyncDirect, direct_way
from poweremail._async.transports.aiohttp_head import AsyncHeadProgress, NoRetryError
from poweremail._async.transports.base import (
    AsyncAdapter,
    AsyncEngine,
    AsyncOutgoing,
    check_open,
)
from poweremail._response import Response
from poweremail._runtime._async import in_thread, quick_connection_scope
from poweremail._runtime._async_slots import Alarm, Slots
from poweremail._runtime._engines import (
    KEEPALIVE_EXPIRY,
    MAX_CONNECTIONS,
    checked_expiry,
    checked_limit,
    load_engine,
)
from poweremail._runtime._environment import proxy_for, tls_context, tls_settings
from poweremail._types.options import Timeouts
from poweremail._wire.http import ACCEPT_ENCODING, CONSTANT_HEADERS, Request
from poweremail.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    import aiohttp
    import yarl

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


class AsyncDeadlines:
    """
    Ends the attempts of a session in time.

    The end of an attempt moves with each piece that leaves or arrives, and hardly any attempt gets
    there, so one `Alarm` serves all. ``attempts`` are those that are being made.
    """

    def __init__(self) -> None:
        self.attempts: set[AsyncTimedOutgoing] = set()
        self._alarm = Alarm(self._check)
        self.check_by = self._alarm.ring_by

    def end_all(self) -> None:
        """End all attempts now, since the client is closed."""
        self._alarm.stop()
        for outgoing in tuple(self.attempts):
            outgoing.closed = True
            self._end(outgoing)

    def _check(self) -> None:
        now = monotonic()
        for outgoing in tuple(self.attempts):
            if outgoing.next_end > now:
                self.check_by(outgoing.next_end)
            else:
                outgoing.silent = outgoing.expired is None
                self._end(outgoing)

    def _end(self, outgoing: AsyncTimedOutgoing) -> None:
        self.attempts.discard(outgoing)
        if outgoing.task is not None:
            outgoing.task.cancel()


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
        self._body_class = body_class()
        # Only a handful of URLs and timeouts are in use, but a lookup has timeouts of its own.
        self._url: Callable[[str], yarl.URL] = cache(_url)
        self._timeout: Callable[[Timeouts, bool], aiohttp.ClientTimeout] = lru_cache(
            _MAX_TIMEOUTS_CACHED
        )(self._make_timeout)

    async def send(
        self,
        request: Request,
        outgoing: AsyncOutgoing,
        slot: None,  # noqa: ARG002
    ) -> AsyncAiohttpReply:
        """Send *request* through the session."""
        payload = None if request.body is None else self._body_class(outgoing, request)
        options = self._options(request)
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
            response = await self._session.request(
                request.method,
                self._url(request.url),
                data=payload,
                timeout=self._timeout(request.endpoint.timeouts, payload is None),
                allow_redirects=False,
                auto_decompress=False,
                raise_for_status=False,
                **options,
            )
            end = partial(_end, response, outgoing)
            return AsyncAiohttpReply(response.status, response.headers, response.content, end)
        except NoRetryError as wrapper:
            error = wrapper.__cause__
        except self.errors as engine_error:
            error = engine_error
        if payload is not None and payload.error is not None:
            raise payload.error from None
        raise cast("BaseException", error)

    async def exchange(self, request: Request, outgoing: AsyncOutgoing, slot: None) -> Response:
        """Send *request*, with the body *outgoing*, and return the whole response."""
        timed: AsyncTimedOutgoing = outgoing  # type: ignore[assignment]
        attempts = self._deadlines.attempts
        timed.end_by = self._deadlines.check_by
        timed.task = task = cast("asyncio.Task[Any]", asyncio.current_task())
        cancels = task.cancelling()
        attempts.add(timed)
        try:
            if outgoing.ends < math.inf:
                timed.end_by(outgoing.ends)
            return await super().exchange(request, outgoing, slot)
        except BaseException as error:
            # The engine would close it when the server has read what is on its way: perhaps never.
            if timed.transport is not None:
                timed.transport.abort()
            # As asyncio.timeout does, at half its cost: any other cancellation goes on.
            if (
                isinstance(error, asyncio.CancelledError)
                and timed not in attempts
                and task.cancelling() <= cancels + 1
            ):
                raise TimeoutError from error
            raise
        finally:
            if timed in attempts:
                attempts.remove(timed)
            else:
                task.uncancel()

    async def aclose(self) -> None:
        """Close the session, and end its requests: the engine lets some of them wait for ever."""
        self._deadlines.end_all()
        await self._session.close()

    @abstractmethod
    def _options(self, request: Request) -> dict[str, Any]:
        """Return further options of *request*."""

    def _make_timeout(self, timeouts: Timeouts, by_engine: bool) -> aiohttp.ClientTimeout:  # noqa: FBT001
        import aiohttp  # noqa: PLC0415

        return aiohttp.ClientTimeout(
            total=None,
            connect=self._until_connected(timeouts),
            sock_connect=timeouts.connect,
            # With a body, `AsyncDeadlines` sees to it.
            sock_read=timeouts.read if by_engine else None,
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
        connector = connector_class()(limit=0, keepalive_timeout=keepalive_expiry)
        super().__init__(
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=(*CONSTANT_HEADERS, ACCEPT_ENCODING),
            )
        )
        self.slots = Slots(limit, lambda: None)
        self._routes: dict[str, tuple[dict[str, Any], AsyncDirect | None]] = {}

    async def send(
        self, request: Request, outgoing: AsyncOutgoing, slot: None
    ) -> AsyncAiohttpReply:
        """Send *request* below the session if that is possible, else through it."""
        base_url = request.endpoint.base_url
        if base_url not in self._routes:
            await self.prepare(base_url)
        _, direct = self._routes[base_url]
        if direct is None or not direct.can_send(request):
            return await super().send(request, outgoing, slot)
        timed = cast("AsyncTimedOutgoing", outgoing)
        timeout = self._timeout(request.endpoint.timeouts, False)
        return await direct.send(self._url(request.url), request, timed, timeout)

    async def prepare(self, base_url: str) -> None:
        """Find the proxy for *base_url*, and make the TLS context if the environment has a say."""
        proxy = proxy_for(base_url, ("http", "https"))
        tls: dict[str, Any] = {}
        if tls_settings():
            tls["ssl"] = await in_thread(tls_context, "aiohttp", ssl.create_default_context)
        check_open(self._session.closed)  # meanwhile
        options = {"proxy": None if proxy is None else proxy.reveal(), **tls}
        self._routes[base_url] = options, direct_way(self._session, options)

    def _options(self, request: Request) -> dict[str, Any]:
        return self._routes[request.endpoint.base_url][0]


def _end(response: aiohttp.ClientResponse, outgoing: AsyncOutgoing) -> None:
    """Release the connection of *response*, or close it if the engine is still writing the body."""
    if outgoing.has_body and not outgoing.written:
        response.close()
    elif not response.closed:  # the engine releases it at the end of the response
        response.release()


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
