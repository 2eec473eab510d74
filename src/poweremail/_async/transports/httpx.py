"""
The adapter to httpx, the default engine, and to httpx2, which has the same interface.

It carries bytes and says which side of "the last body byte left" it failed on. That is proven by what the engine has asked for or
has reported that it does, never by the name of its exception.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast

from poweremail._async.transports.base import AsyncOutgoing, too_large
from poweremail._runtime._async import AtEnd, ThreadLock, world
from poweremail._runtime._logs import redacting
from poweremail.errors import TransportError, UsageError
from poweremail.response import Response
from poweremail.wire.http import Request
from poweremail.wire.redact import Credentials

if TYPE_CHECKING:
    import httpx

__all__ = ["AsyncHttpxTransport"]

# Enough for a batch; httpx spends time on every connection of its pool, whatever it does.
_MAX_CONNECTIONS = 20


class AsyncHttpxTransport:
    """
    Send through httpx or httpx2.

    *client* is an ``AsyncClient`` of your own, configured as you like: proxies, TLS context, HTTP/2, limits. It stays yours:
    closing the transport does not close it. Without one the transport makes its own and closes it; *engine* names the package that
    it is taken from. Its own honours the proxy variables of the environment, verifies TLS and opens at most 20 connections.

    Raises `UsageError` where *client* is no ``AsyncClient`` of either package, or the *engine* is not installed.
    """

    def __init__(self, client: object | None = None, *, engine: Literal["httpx", "httpx2"] = "httpx") -> None:
        self._engine = _load(engine) if client is None else _engine_of(client)
        # The engine insists on streams of its own class.
        self._stream_type: type[AsyncOutgoing] = type("Stream", (AsyncOutgoing, self._engine.AsyncByteStream), {})
        # Parsing one costs more than all else that is done here for a request. The calls have a handful, without a query.
        self._url: Callable[[str], httpx.URL] = lru_cache(maxsize=32)(self._engine.URL)
        self._given = cast("httpx.AsyncClient | None", client)
        self._own: httpx.AsyncClient | None = None
        self._world: object = None
        self._at_end: AtEnd | None = None
        self._lock = ThreadLock()
        self._closed = False
        redacting.install()

    async def handle(self, request: Request) -> Response:
        """Send *request* and return the answer, read whole."""
        client = self._given or await self._client()
        if self._closed or client.is_closed:
            raise UsageError("the HTTP client has been closed", field="transport")
        outgoing = self._stream_type(request.body)
        head = AsyncHead()
        try:
            with redacting(request.endpoint.credentials):
                answer = await client.send(self._build(client, request, outgoing, head), stream=True, follow_redirects=False)
                try:
                    body = await self._read(answer, request)
                finally:
                    await answer.aclose()
            return Response(answer.status_code, tuple(answer.headers.multi_items()), body, request_left=outgoing.left)
        except (self._engine.RequestError, self._engine.InvalidURL) as error:
            # A request without a body shows by what the engine reports whether its head has left.
            left = outgoing.left if request.body else head.left and not isinstance(error, self._engine.PoolTimeout)
            failure = _failure(error, request.endpoint.credentials, body_left=left)
        # Outside the except block, so that the engine's error is no context either.
        raise failure

    async def aclose(self) -> None:
        """Close the client that this transport made; no request goes out afterwards."""
        self._closed = True
        if self._at_end is not None:
            at_end, self._at_end = self._at_end, None
            await at_end.disarm()

    async def _client(self) -> httpx.AsyncClient:
        here = world()
        with self._lock:
            client = self._own
            if client is not None and self._world == here:
                return client
            # The connections of another world cannot be used here; that world has closed them, or its process still has them.
            client = self._own = cast(
                "httpx.AsyncClient",
                self._engine.AsyncClient(
                    limits=self._engine.Limits(max_connections=_MAX_CONNECTIONS, max_keepalive_connections=_MAX_CONNECTIONS)
                ),
            )
            self._world = here
            at_end = self._at_end = AtEnd(client.aclose)
        await at_end.arm()
        return client

    def _build(self, client: httpx.AsyncClient, request: Request, outgoing: AsyncOutgoing, head: AsyncHead) -> httpx.Request:
        """Make the engine's request; its repr shows the whole URL, so it is in no variable of a frame that can fail."""
        timeouts = request.endpoint.timeouts
        extensions: dict[str, Any] = {
            "timeout": {"connect": timeouts.connect, "read": timeouts.read, "write": timeouts.write, "pool": timeouts.pool}
        }
        if not request.body:
            extensions["trace"] = head.trace
        built = client.build_request(
            request.method,
            # A query has the token, so it is not kept.
            self._url(request.url) if request.query is None else request.full_url(),
            headers=request.headers,
            extensions=extensions,
        )
        if request.body:
            # Given as content it would be wrapped in a generator, which a broken connection leaves open.
            built.stream = cast("httpx.AsyncByteStream", outgoing)
        return built

    async def _read(self, answer: httpx.Response, request: Request) -> bytes:
        limit = request.endpoint.max_response_bytes
        chunks: list[bytes] = []
        size = 0
        try:
            async for chunk in answer.aiter_bytes():
                size += len(chunk)
                if size <= limit:
                    chunks.append(chunk)
                else:
                    # Leaving the loop would leave the engine's generators open; reading on from what is closed ends them all.
                    await answer.aclose()
        except self._engine.RequestError:
            if size <= limit:
                raise
        if size > limit:
            raise too_large(request)
        return b"".join(chunks)


class AsyncHead:
    """Follows the engine's trace of a request without a body, to know whether its head may have left."""

    def __init__(self) -> None:
        # An engine that reports nothing proves nothing.
        self.left = True
        self._sending = False

    async def trace(self, event: str, _: dict[str, Any]) -> None:
        """Take note of *event*, such as ``connection.connect_tcp.started``."""
        self._sending = self._sending or event.endswith(".send_request_headers.started")
        self.left = self._sending


def _failure(error: Exception, credentials: Credentials, *, body_left: bool) -> TransportError:
    reason = type(error).__name__
    if text := _text(error):
        reason = f"{reason}: {text}"
    failure = TransportError(credentials.redact_text(reason), body_left=body_left)
    # An engine's error that echoes the token is not kept as the cause.
    failure.__cause__ = error if failure.reason == reason else None
    return failure


def _text(error: BaseException | None) -> str:
    """The first text in the chain of causes: that of the engine's error itself is often empty."""
    while error is not None and not str(error):
        error = error.__cause__ or error.__context__
    return str(error or "")


def _load(engine: str) -> ModuleType:
    if engine not in ("httpx", "httpx2"):
        raise UsageError(f"must be 'httpx' or 'httpx2', not {engine!r}", field="engine", mail_state=None)
    try:
        return importlib.import_module(engine)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{engine} is not installed", field="engine", mail_state=None, advice=f"pip install 'poweremail[{engine}]'"
        ) from error


def _engine_of(client: object) -> ModuleType:
    for base in type(client).__mro__:
        package = base.__module__.partition(".")[0]
        if package in ("httpx", "httpx2") and base.__name__ == "AsyncClient":
            return importlib.import_module(package)
    raise UsageError(f"must be an AsyncClient of httpx or httpx2, not {type(client).__qualname__}", field="client", mail_state=None)
