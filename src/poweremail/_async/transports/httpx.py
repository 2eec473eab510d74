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

from poweremail._async.transports.base import AsyncOutgoing
from poweremail._runtime._async import AtEnd, ThreadLock, world
from poweremail._runtime._logs import redacting
from poweremail.errors import TransportError, UsageError
from poweremail.response import Response
from poweremail.wire.answer import ACCEPT_ENCODING, AnswerBody
from poweremail.wire.http import Request

if TYPE_CHECKING:
    import httpx

__all__ = ["AsyncHttpxTransport"]

# Enough for a batch; httpx spends time on every connection of its pool, whatever it does.
_MAX_CONNECTIONS = 20
_TO_A_PROXY = b"CONNECT"


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
        # Parsing it is a third of what building a request costs. A handful are in use; one with a query is not kept.
        self._url: Callable[[str], httpx.URL] = lru_cache(maxsize=32)(self._engine.URL)
        self._given = cast("httpx.AsyncClient | None", client)
        self._own: dict[object, tuple[httpx.AsyncClient, AtEnd]] = {}
        self._lock = ThreadLock()
        self._closed = False
        redacting.install()

    async def handle(self, request: Request) -> Response:
        """Send *request* and return the answer, read whole."""
        self._check_open(self._closed)
        client = self._given or await self._client()
        self._check_open(client.is_closed)
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
        except (self._engine.HTTPError, self._engine.InvalidURL, self._engine.StreamError) as error:
            # A request without a body shows by what the engine reports whether its head has left.
            left = outgoing.left if request.body else head.left and not isinstance(error, self._engine.PoolTimeout)
            failure = _failure(error, request, body_left=left)
        finally:
            await outgoing.aclose()
        # Outside the except block, so that the engine's error is no context either.
        raise failure

    async def aclose(self) -> None:
        """Close the client that this transport made; no request goes out afterwards."""
        self._closed = True
        if own := self._own.get(world()):
            await own[1].disarm()

    @staticmethod
    def _check_open(closed: bool) -> None:  # noqa: FBT001
        if closed:
            raise UsageError("the HTTP client has been closed", field="transport")

    async def _client(self) -> httpx.AsyncClient:
        # Connections belong to the world that they were made in, and are closed when it ends.
        here = world()
        if own := self._own.get(here):
            return own[0]
        with self._lock:
            if own := self._own.get(here):
                return own[0]
            limits = self._engine.Limits(max_connections=_MAX_CONNECTIONS, max_keepalive_connections=_MAX_CONNECTIONS)
            client = cast("httpx.AsyncClient", self._engine.AsyncClient(limits=limits))

            async def close() -> None:
                self._own.pop(here, None)
                await client.aclose()

            at_end = AtEnd(close)
            self._own[here] = client, at_end
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
            headers=(*request.headers, ACCEPT_ENCODING),
            extensions=extensions,
        )
        if not request.body:
            return built
        # Given as content, the body would be wrapped in a generator, which a broken connection leaves open.
        return cast(
            "httpx.Request",
            self._engine.Request(built.method, built.url, headers=built.headers, stream=outgoing, extensions=built.extensions),
        )

    async def _read(self, answer: httpx.Response, request: Request) -> bytes:
        body = AnswerBody(answer.headers.get("Content-Encoding"), request.endpoint.max_response_bytes)
        if answer.is_stream_consumed:
            # A hook of the user's client has read it, and inflated it.
            body = AnswerBody(None, request.endpoint.max_response_bytes)
            body.feed(answer.content)
            return body.finish()
        try:
            async for chunk in answer.aiter_raw():
                if not body.feed(chunk):
                    # Leaving the loop would leave the engine's generators open; reading on from what is closed ends them all.
                    await answer.aclose()
        except (self._engine.HTTPError, self._engine.StreamError):
            if body.failure is None:
                raise
        return body.finish()


class AsyncHead:
    """Follows the engine's trace of a request without a body, to know whether its head may have left."""

    def __init__(self) -> None:
        # An engine that reports nothing proves nothing.
        self.left = True
        self._sending = False

    async def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take note of *event*, such as ``connection.connect_tcp.started``."""
        if event.endswith(".send_request_headers.started") and getattr(info.get("request"), "method", b"") != _TO_A_PROXY:
            self._sending = True
        self.left = self._sending


def _failure(error: Exception, request: Request, *, body_left: bool) -> TransportError:
    reason = type(error).__name__
    if text := _text(error):
        reason = f"{reason}: {text}"
    failure = TransportError(request.endpoint.credentials.redact_text(reason), body_left=body_left)
    # An engine's error has the URL, and so the token of a GET; one that echoes the token is not kept either.
    failure.__cause__ = error if request.query is None and failure.reason == reason else None
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
