# Generated from src/poweremail/_async/transports/httpx.py; do not edit.
"""
The adapter to httpx, the default engine, and to httpx2, which has the same interface.

It carries bytes and says which side of "the last body byte left" it failed on. That is proven by
what the engine has asked for or has reported that it does, never by the name of its exception.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast

from poweremail._response import Response
from poweremail._runtime._logs import redacting
from poweremail._runtime._sync_slots import Slots
from poweremail._sync.transports.base import (
    MAX_CONNECTIONS,
    Outgoing,
    check_installed,
    checked_limit,
    failure,
    load_engine,
    pool_timeout,
)
from poweremail._sync.transports.httpcore import Connections, Head
from poweremail._sync.transports.worlds import Worlds, check_open
from poweremail._wire.http import ACCEPT_ENCODING, Request, ResponseBody
from poweremail.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx

__all__ = ["HttpxTransport"]


class HttpxTransport:
    """
    Send through httpx or httpx2.

    *client* is a ``Client`` of your own, configured as you like: proxies, TLS context,
    HTTP/2, limits. It stays yours: closing the transport does not close it. Without one the
    transport makes its own connections and closes them; *engine* names the package that they are
    taken from, *max_connections* how many there are at most. Then TLS is verified, and the proxy
    variables of the environment are honoured.

    Raises `UsageError` where *client* is no ``Client`` of either package, or the *engine* is
    not installed.
    """

    def __init__(
        self,
        client: object | None = None,
        *,
        engine: Literal["httpx", "httpx2"] = "httpx",
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        if client is None and engine not in ("httpx", "httpx2"):
            raise ConfigurationError(f"must be 'httpx' or 'httpx2', not {engine!r}", field="engine")
        self._limit = checked_limit(max_connections)
        self._given = ClientLayer(client) if client is not None else None
        self._name: str = engine
        if client is None:
            check_installed(engine)
        self._own: Worlds[Connections | ClientLayer] = Worlds(self._make, _close)
        redacting.install()

    def handle(self, request: Request) -> Response:
        """Send *request* and return the answer, read whole."""
        if self._given is not None:
            self._own.check_open()
            engine: Connections | ClientLayer = self._given
        else:
            engine = self._own.here()
        with redacting(request.endpoint.credentials):
            return engine.handle(request)

    def close(self) -> None:
        """Close what this transport made; no request goes out afterwards."""
        self._own.close()

    def _make(self) -> Connections | ClientLayer:
        from urllib.request import getproxies  # noqa: PLC0415  half of what is imported here, for one question

        if not getproxies():
            return Connections(self._name, self._limit)
        # Which proxy is for which host is known to the engine's client.
        engine = load_engine(self._name, self._name)
        limits = engine.Limits(max_connections=self._limit, max_keepalive_connections=self._limit)
        return ClientLayer(engine.Client(limits=limits), at_once=self._limit)


def _close(engine: Connections | ClientLayer) -> None:
    engine.close()


class ClientLayer:
    """
    A ``Client`` of httpx or httpx2, all of it: its proxies, hooks and authentication see
    every request.

    No more than *at_once* requests are handed to it at once, where that is given: its pool spends
    time on each that waits in it.
    """

    def __init__(self, client: object, *, at_once: int | None = None) -> None:
        self._engine = _engine_of(client)
        self._client = cast("httpx.Client", client)
        # The engine insists on streams of its own class.
        self._stream_type: type[Outgoing] = type(
            "Stream", (Outgoing, self._engine.SyncByteStream), {}
        )
        # Parsing it is a third of what building a request costs. A handful are in use; one with a
        # query is not kept.
        self._url: Callable[[str], httpx.URL] = lru_cache(maxsize=32)(self._engine.URL)
        self._slots: Slots[None] | None = None if at_once is None else Slots(at_once)

    def handle(self, request: Request) -> Response:
        """Send *request* and return the answer, read whole."""
        check_open(self._client.is_closed)
        if self._slots is None:
            return self._handle(request)
        patience = request.endpoint.timeouts.pool
        try:
            self._slots.take(patience)
        except TimeoutError:
            raise pool_timeout(patience) from None
        try:
            return self._handle(request)
        finally:
            self._slots.give(None)

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def _handle(self, request: Request) -> Response:
        outgoing = self._stream_type(request.body)
        head = Head()
        try:
            answer = self._client.send(
                self._build(request, outgoing, head), stream=True, follow_redirects=False
            )
            try:
                body = self._read(answer, request)
            finally:
                answer.close()
            return Response(
                answer.status_code,
                tuple(answer.headers.multi_items()),
                body,
                request_left=outgoing.left,
            )
        except (self._engine.HTTPError, self._engine.InvalidURL, self._engine.StreamError) as error:
            # A request without a body shows by what the engine reports whether its head has left.
            left = (
                outgoing.left
                if request.body
                else head.left and not isinstance(error, self._engine.PoolTimeout)
            )
            failed = failure(error, request, body_left=left)
        finally:
            outgoing.close()
        raise failed

    def _build(self, request: Request, outgoing: Outgoing, head: Head) -> httpx.Request:
        """
        Make the engine's request; its repr shows the whole URL, so it is in no variable of a frame
        that can fail.
        """
        timeouts = request.endpoint.timeouts
        extensions: dict[str, Any] = {
            "timeout": {
                "connect": timeouts.connect,
                "read": timeouts.read,
                "write": timeouts.write,
                "pool": timeouts.pool,
            }
        }
        if not request.body:
            extensions["trace"] = head.trace
        built = self._client.build_request(
            request.method,
            # A query has the token, so it is not kept.
            self._url(request.url) if request.query is None else request.full_url(),
            headers=(*request.headers, ACCEPT_ENCODING),
            extensions=extensions,
        )
        if not request.body:
            return built
        # Given as content, the body would be wrapped in a generator, which a broken connection
        # leaves open.
        return cast(
            "httpx.Request",
            self._engine.Request(
                built.method,
                built.url,
                headers=built.headers,
                stream=outgoing,
                extensions=built.extensions,
            ),
        )

    def _read(self, answer: httpx.Response, request: Request) -> bytes:
        body = ResponseBody(
            answer.headers.get("Content-Encoding"), request.endpoint.max_response_bytes
        )
        if answer.is_stream_consumed:
            # A hook of the user's client has read it, and inflated it.
            body = ResponseBody(None, request.endpoint.max_response_bytes)
            body.feed(answer.content)
            return body.finish()
        try:
            for chunk in answer.iter_raw():
                if not body.feed(chunk):
                    # Leaving the loop would leave the engine's generators open; reading on from
                    # what is closed ends them all.
                    answer.close()
                # It may hold a password, and the next one may fail.
                del chunk
        except (self._engine.HTTPError, self._engine.StreamError):
            if body.failure is None:
                raise
        return body.finish()


def _engine_of(client: object) -> ModuleType:
    for base in type(client).__mro__:
        package = base.__module__.partition(".")[0]
        if package in ("httpx", "httpx2") and base.__name__ == "Client":
            return importlib.import_module(package)
    raise ConfigurationError(
        f"must be a Client of httpx or httpx2, not {type(client).__qualname__}",
        field="client",
    )
