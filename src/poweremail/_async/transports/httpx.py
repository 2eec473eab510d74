"""
The adapter to httpx, the default engine, and to httpx2, which has the same interface.

Theory of operation. For each call, the client of httpx builds a request with its headers and its
URL, and its pool examines all connections and all waiting requests: with hundreds of callers most
of the time is spent there. So, if the user brings no client, none is used. `AsyncConnections`
drives the connections of httpcore, which is below httpx (httpcore2 below httpx2), by their public
interface. Each connection belongs to a slot, a slot to one request at a time, and `Slots` limits
their number; with a hundred callers a call costs no more than with one. A connection that was
closed, has expired or was left in the middle of an exchange is replaced when its slot is used next.

`AsyncClientEngine` sends through an ``AsyncClient`` that the user configured, because its proxies,
hooks and authentication must see every request.

The body itself shows how much of it has left (``base.py``). If a request has none, the trace events
of httpx show it: the head has not left before ``send_request_headers.started``.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterable, AsyncIterator, Callable
from functools import lru_cache
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, cast
from urllib.parse import SplitResult, unquote, urlsplit

from poweremail._async.transports.base import (
    MAX_CONNECTIONS,
    AsyncAdapter,
    AsyncEngine,
    AsyncOutgoing,
    check_installed,
    check_open,
    checked_limit,
    load_engine,
)
from poweremail._runtime._async import in_thread
from poweremail._runtime._async_slots import Slots
from poweremail._runtime._environment import proxy_for, tls_context
from poweremail._types.secret import Secret
from poweremail._wire.http import ACCEPT_ENCODING, Request
from poweremail.errors import ConfigurationError

if TYPE_CHECKING:
    import ssl

    import httpcore
    import httpx

__all__ = ["AsyncHttpxTransport"]

_KEEP_ALIVE_SECONDS = 5.0
"""An idle connection is not used for longer, as in httpx: many servers close it soon after."""

_PROXY_METHOD = b"CONNECT"
"""The request that opens a tunnel through a proxy; its head is not that of the call."""

_MAX_URLS_CACHED = 32
"""A handful of URLs are in use. One with a query has the token, and is not cached."""

_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")


class AsyncHttpxTransport(AsyncAdapter):
    """
    Send through httpx or httpx2.

    - *client*: an ``AsyncClient`` of your own, configured as you like: proxies, TLS context,
      HTTP/2, limits. It stays yours: closing the transport does not close it. Without one the
      transport makes its own connections and closes them; then TLS is verified, and the proxy
      variables of the environment are honoured.
    - *engine*: the package to use if there is no *client*.
    - *max_connections*: the limit on connections if there is no *client*.

    Raises `ConfigurationError` if *client* is not an ``AsyncClient`` of either package, or the
    *engine* is not installed.
    """

    def __init__(
        self,
        client: object | None = None,
        *,
        engine: Literal["httpx", "httpx2"] = "httpx",
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self._limit = checked_limit(max_connections)
        self._name: str = engine
        if client is None:
            if engine not in ("httpx", "httpx2"):
                raise ConfigurationError(
                    f"must be 'httpx' or 'httpx2', not {engine!r}", field="engine"
                )
            check_installed(engine)
        super().__init__(None if client is None else AsyncClientEngine(client))

    def _open(self) -> AsyncEngine:
        return AsyncConnections(self._name, self._limit)


class AsyncConnections(AsyncEngine):
    """
    At most *limit* connections of httpcore, or of httpcore2 if *engine* is ``"httpx2"``.

    They lead through the proxy that the environment names.
    """

    def __init__(self, engine: str, limit: int) -> None:
        self._name = engine
        core = self._core = load_engine("httpcore2" if engine == "httpx2" else "httpcore", engine)
        self.errors = (
            core.NetworkError,
            core.TimeoutException,
            core.ProtocolError,
            core.ProxyError,
            core.UnsupportedProtocol,
            core.ConnectionNotAvailable,
        )
        self._all_slots: list[_Slot] = []
        self.slots = Slots(limit, self._make_slot)
        self._target: Callable[[str], _Target] = lru_cache(_MAX_URLS_CACHED)(self._read_url)
        self._proxy = lru_cache(_MAX_URLS_CACHED)(proxy_for)
        self._context: ssl.SSLContext | None = None

    async def prepare(self, base_url: str) -> None:
        """Find the proxy for *base_url*, and make the TLS context."""
        proxy = self._proxy(base_url, _PROXY_SCHEMES)
        speaks_tls = base_url.startswith("https:") or (
            proxy is not None and proxy.reveal().startswith("https:")
        )
        if speaks_tls and self._context is None:
            engine = load_engine(self._name, self._name)
            self._context = await in_thread(tls_context, self._name, engine.create_ssl_context)

    async def send(
        self, request: Request, outgoing: AsyncOutgoing, slot: _Slot
    ) -> AsyncConnectionReply:
        """Send *request* over the connection of *slot*, or over a new one."""
        target = self._target(request.url)
        connection = slot.connection
        if connection is None or not _is_usable(connection, target.origin):
            connection = await self._connect(slot, target.origin, request.endpoint.base_url)
        response = await connection.handle_async_request(self._build(request, target, outgoing))
        return AsyncConnectionReply(response)

    async def aclose(self) -> None:
        """Close all connections."""
        for slot in self._all_slots:
            connection, slot.connection = slot.connection, None
            if connection is not None:
                await connection.aclose()

    def _make_slot(self) -> _Slot:
        slot = _Slot()
        self._all_slots.append(slot)
        return slot

    async def _connect(
        self, slot: _Slot, origin: httpcore.Origin, base_url: str
    ) -> httpcore.AsyncConnectionInterface:
        """Replace the connection of *slot* by a new one; it connects when it is used."""
        stale, slot.connection = slot.connection, None
        if stale is not None:
            await stale.aclose()
        await self.prepare(base_url)
        proxy = self._proxy(base_url, _PROXY_SCHEMES)
        # The pool of httpcore is not used; it knows which connection leads through which proxy.
        pool: httpcore.AsyncConnectionPool = self._core.AsyncConnectionPool(
            self._context,
            None if proxy is None else self._core_proxy(proxy),
            keepalive_expiry=_KEEP_ALIVE_SECONDS,
        )
        slot.connection = pool.create_connection(origin)
        return slot.connection

    def _core_proxy(self, proxy: Secret) -> httpcore.Proxy:
        parts = urlsplit(proxy.reveal())
        user = unquote(parts.username or "").encode(), unquote(parts.password or "").encode()
        made: httpcore.Proxy = self._core.Proxy(
            self._core_url(parts._replace(path="", query="")),
            user if any(user) else None,
            ssl_context=self._context if parts.scheme == "https" else None,
        )
        return made

    def _build(
        self, request: Request, target: _Target, outgoing: AsyncOutgoing
    ) -> httpcore.Request:
        """
        Return the engine's request.

        Its URL may have the token, so no frame that can fail holds it in a variable.
        """
        timeouts = request.endpoint.timeouts
        extensions: dict[str, Any] = {
            "timeout": {"connect": timeouts.connect, "read": timeouts.read, "write": timeouts.write}
        }
        url = target.url
        if request.body is None:
            extensions["trace"] = _follow_head(outgoing)
        if request.query is not None:
            url = self._core.URL(
                scheme=url.scheme,
                host=url.host,
                port=url.port,
                target=url.target + b"?" + request.query.reveal().encode(),
            )
        headers = [*target.headers, *((n.encode(), v.encode()) for n, v in request.headers)]
        # httpcore's own class would check each name and value again (httpcore/_models.py,
        # enforce_headers), and a connection reads nothing but these attributes.
        return cast(
            "httpcore.Request",
            SimpleNamespace(
                method=request.method.encode(),
                url=url,
                headers=headers,
                stream=outgoing,
                extensions=extensions,
            ),
        )

    def _core_url(self, parts: SplitResult) -> httpcore.URL:
        url: httpcore.URL = self._core.URL(
            scheme=parts.scheme.encode(),
            host=(parts.hostname or "").encode("idna"),
            port=parts.port,
            target=(f"{parts.path}?{parts.query}" if parts.query else parts.path).encode(),
        )
        return url

    def _read_url(self, url: str) -> _Target:
        parts = urlsplit(url)
        core_url = self._core_url(parts)
        name, value = ACCEPT_ENCODING
        headers = [(b"Host", parts.netloc.encode()), (name.encode(), value.encode())]
        return _Target(core_url.origin, core_url, headers)


class _Target(NamedTuple):
    """A URL for httpcore, and the headers that each request for it has."""

    origin: httpcore.Origin
    url: httpcore.URL
    headers: list[tuple[bytes, bytes]]


class _Slot:
    """One place in the pool: the request that holds it is the only user of its connection."""

    connection: httpcore.AsyncConnectionInterface | None = None


def _is_usable(connection: httpcore.AsyncConnectionInterface, origin: httpcore.Origin) -> bool:
    return (
        connection.is_idle()
        and connection.can_handle_request(origin)
        and not connection.has_expired()
    )


class AsyncConnectionReply:
    """A response of httpcore."""

    def __init__(self, response: httpcore.Response) -> None:
        self._response = response
        self.status = response.status
        try:
            self.headers = tuple([(n.decode("ascii"), v.decode()) for n, v in response.headers])
        except UnicodeDecodeError:
            self.headers = tuple(map(_decode_header, response.headers))
        self.encoding: str | None = None
        for name, value in self.headers:
            if name.lower() == "content-encoding":
                self.encoding = value
                break

    @property
    def chunks(self) -> AsyncIterable[bytes]:
        """The body as it comes."""
        return cast("AsyncIterable[bytes]", self._response.stream)

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._response.aclose()


def _decode_header(header: tuple[bytes, bytes]) -> tuple[str, str]:
    # Latin-1 reads any bytes; the headers of this API are ASCII.
    name, value = header
    try:
        return name.decode("ascii"), value.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1"), value.decode("latin-1")


class AsyncClientEngine(AsyncEngine):
    """
    Sends through an ``AsyncClient`` of httpx or httpx2, so that its proxies, hooks and
    authentication see each request.
    """

    def __init__(self, client: object) -> None:
        self._engine = _engine_of(client)
        self._client = cast("httpx.AsyncClient", client)
        self.errors = (self._engine.HTTPError, self._engine.InvalidURL, self._engine.StreamError)
        # The engine accepts streams of its own class only.
        self.outgoing = type("Stream", (AsyncOutgoing, self._engine.AsyncByteStream), {})
        # Parsing the URL would take a third of the time for building a request.
        self._url: Callable[[str], httpx.URL] = lru_cache(_MAX_URLS_CACHED)(self._engine.URL)

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

    def _build(self, request: Request, outgoing: AsyncOutgoing) -> httpx.Request:
        """
        Return the engine's request.

        Its repr shows the whole URL, so no frame that can fail holds it in a variable.
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
        if request.body is None:
            extensions["trace"] = _follow_head(outgoing)
        built = self._client.build_request(
            request.method,
            self._url(request.url) if request.query is None else request.full_url(),
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


def _follow_head(outgoing: AsyncOutgoing) -> Callable[..., Any]:
    """
    Return a trace function for a request without a body, which sets ``outgoing.left``.

    ``left`` is True at first, and stays so if the engine reports no event: that proves nothing.
    """
    head_started = False

    async def trace(event: str, info: dict[str, Any]) -> None:
        nonlocal head_started
        if event.endswith(".send_request_headers.started"):
            is_proxy_request = getattr(info.get("request"), "method", b"") == _PROXY_METHOD
            head_started = head_started or not is_proxy_request
        outgoing.left = head_started

    return trace


def _engine_of(client: object) -> ModuleType:
    for base in type(client).__mro__:
        package = base.__module__.partition(".")[0]
        if package in ("httpx", "httpx2") and base.__name__ == "AsyncClient":
            return importlib.import_module(package)
    raise ConfigurationError(
        f"must be an AsyncClient of httpx or httpx2, not {type(client).__qualname__}",
        field="client",
    )
