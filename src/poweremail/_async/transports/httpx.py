"""
The adapter to httpx, the default engine, and to httpx2, which has the same interface.

Without a client of the user, `AsyncConnections` (``httpcore.py``) drives the engine's connections
below its client.

`AsyncClientEngine` sends through an ``AsyncClient`` that the user configured, because its proxies,
hooks and authentication must see every request.

The body itself shows how much of it has left (``base.py``). If a request has none, the trace events
of httpx show it: the head has not left before ``send_request_headers.started``. With that event the
query of a GET is put into its URL, too: it has the token, and instrumentations of httpx, such as
those of OpenTelemetry and Sentry, report URLs. A transport without these events cannot send a GET.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator, Callable, Iterator
from functools import lru_cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, cast

from poweremail._async.transports.base import (
    AsyncAdapter,
    AsyncEngine,
    AsyncOutgoing,
    check_open,
)
from poweremail._async.transports.head import follow_head
from poweremail._async.transports.httpcore import (
    MAX_URLS_CACHED,
    AsyncBackend,
    AsyncConnections,
)
from poweremail._runtime._engines import (
    KEEPALIVE_EXPIRY,
    MAX_CONNECTIONS,
    check_installed,
    checked_expiry,
    checked_limit,
)
from poweremail._wire.http import ACCEPT_ENCODING, Request
from poweremail.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    import httpx


class AsyncHttpxTransport(AsyncAdapter):
    """
    Send through httpx or httpx2.

    - *client*: an ``AsyncClient`` of your own, configured as you like: proxies, TLS context,
      HTTP/2, limits. It stays yours: closing the transport does not close it. Without one the
      transport makes its own connections and closes them; then TLS is verified, and the proxy
      variables of the environment are honoured. ``send_template_http_get``, whose URL has the
      token, needs a client with httpx's own transport, which hides it from instrumentations.
    - *engine*: the package to use if there is no *client*.
    - *max_connections*: the limit on connections if there is no *client*.
    - *keepalive_expiry*: the seconds for which an idle connection is kept, if there is no *client*.
      The default is below the 5 seconds after which Node, Apache and uvicorn close it.

    Raises `ConfigurationError` if *client* is not an ``AsyncClient`` of either package, or the
    *engine* is not installed.
    """

    def __init__(
        self,
        client: object | None = None,
        *,
        engine: Literal["httpx", "httpx2"] = "httpx",
        max_connections: int = MAX_CONNECTIONS,
        keepalive_expiry: float = KEEPALIVE_EXPIRY,
    ) -> None:
        self._limit = checked_limit(max_connections)
        self._keepalive_expiry = checked_expiry(keepalive_expiry)
        self._name: str = engine
        if client is None:
            if engine not in ("httpx", "httpx2"):
                raise ConfigurationError(
                    f"must be 'httpx' or 'httpx2', not {engine!r}", field="engine"
                )
            check_installed(engine)
        super().__init__(None if client is None else AsyncClientEngine(client))

    def _open(self) -> AsyncEngine:
        return AsyncConnections(self._name, self._limit, self._keepalive_expiry)


class AsyncClientEngine(AsyncEngine):
    """
    Sends through an ``AsyncClient`` of httpx or httpx2, so that its proxies, hooks and
    authentication see each request.
    """

    def __init__(self, client: object) -> None:
        self._engine = _engine_of(client)
        self._client = cast("httpx.AsyncClient", client)
        self.errors = (self._engine.HTTPError, self._engine.InvalidURL, self._engine.StreamError)
        _watch_connections(client)
        # The engine accepts streams of its own class only.
        self.outgoing = type("Stream", (AsyncOutgoing, self._engine.AsyncByteStream), {})
        # Parsing the URL would take a third of the time for building a request.
        self._url: Callable[[str], httpx.URL] = lru_cache(MAX_URLS_CACHED)(self._engine.URL)

    def check_open(self) -> None:
        """Raise `UsageError` if the client has been closed."""
        check_open(self._client.is_closed)

    async def send(
        self,
        request: Request,
        outgoing: AsyncOutgoing,
        slot: None,  # noqa: ARG002
    ) -> AsyncClientReply:
        """Send *request* through the client."""
        if request.query is not None:
            self._check_hides_query()
        try:
            response = await self._client.send(
                self._build(request, outgoing), stream=True, follow_redirects=False
            )
        except self._engine.PoolTimeout:
            # Without a connection there is no trace event, and the head has not left.
            outgoing.left = outgoing.left and request.body is not None
            raise
        return AsyncClientReply(response)

    async def aclose(self) -> None:
        """Close the client."""
        await self._client.aclose()

    def _check_hides_query(self) -> None:
        """Raise `UsageError` if a transport of the client cannot hide the query of a GET."""
        for transport in _transports(self._client):
            if _pool_below(transport) is None:
                kind = type(transport).__qualname__
                raise UsageError(
                    f"a GET has the token in its URL, and {kind}, a transport of the client, may "
                    "show that to others",
                    field="client",
                    advice="use send_template, or a client with the transport of httpx",
                )

    def _build(self, request: Request, outgoing: AsyncOutgoing) -> httpx.Request:
        """Return the engine's request."""
        timeouts = request.endpoint.timeouts
        extensions: dict[str, Any] = {
            "timeout": {
                "connect": timeouts.connect,
                "read": timeouts.read,
                "write": timeouts.write,
                "pool": timeouts.pool,
            }
        }
        if request.body is None:
            extensions["trace"] = follow_head(outgoing, request.query)
        built = self._client.build_request(
            request.method,
            self._url(request.url),
            headers=(*request.headers, ACCEPT_ENCODING),
            extensions=extensions,
        )
        if request.body is None:
            return built
        # As the argument content=, the body would be wrapped in a generator, which stays open if
        # the connection breaks.
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


class AsyncClientReply:
    """A response of httpx."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.headers = tuple(response.headers.multi_items())
        # A hook of the user's client may have read the body, and so decompressed it.
        self.encoding = (
            None if response.is_stream_consumed else response.headers.get("Content-Encoding")
        )

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes."""
        if self._response.is_stream_consumed:
            return self._response.aiter_bytes()
        return self._response.aiter_raw()

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._response.aclose()


def _engine_of(client: object) -> ModuleType:
    for base in type(client).__mro__:
        package = base.__module__.partition(".")[0]
        if package in ("httpx", "httpx2") and base.__name__ == "AsyncClient":
            return importlib.import_module(package)
    raise ConfigurationError(
        f"must be an AsyncClient of httpx or httpx2, not {type(client).__qualname__}",
        field="client",
    )


def _transports(client: object) -> Iterator[object]:
    """The transports of *client*; httpx has no name for them (httpx/_client.py, AsyncClient)."""
    mounts = getattr(client, "_mounts", {})
    candidates = (getattr(client, "_transport", None), *mounts.values())
    # A mount of None means the transport of the client.
    return (transport for transport in candidates if transport is not None)


def _pool_below(transport: Any) -> Any:
    """Return the pool of httpcore that *transport* sends through; None if it has none."""
    # httpx/_transports/default.py. Instrumentations wrap a transport, and keep it as _transport.
    while not hasattr(transport, "_pool") and hasattr(transport, "_transport"):
        transport = transport._transport  # noqa: SLF001
    return getattr(transport, "_pool", None)


def _watch_connections(client: object) -> None:
    """Let the pools of *client* make streams of ours (theory of operation in ``httpcore.py``)."""
    # httpx has no option for it: in httpcore, see _async/connection_pool.py. A transport of another
    # class keeps its own streams.
    for transport in _transports(client):
        pool = _pool_below(transport)
        backend = getattr(pool, "_network_backend", None)
        if pool is not None and backend is not None and not isinstance(backend, AsyncBackend):
            core = importlib.import_module(type(pool).__module__.partition(".")[0])
            pool._network_backend = AsyncBackend(core, backend)  # noqa: SLF001
