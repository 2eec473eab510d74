# Generated from src/poweremail/_async/transports/httpcore.py; do not edit.
"""
The connections of httpcore, which is below httpx, and of httpcore2, which is below httpx2.

Theory of operation. For each call, the client of httpx builds a request with its headers and its
URL, and its pool examines all connections and all waiting requests: with hundreds of callers most
of the time is spent there. So, if the user brings no client, none is used. `Connections`
drives the connections of httpcore by their public interface. Each connection belongs to a slot, a
slot to one request at a time, and `Slots` limits their number; with a hundred callers a call costs
no more than with one. A connection that was closed, has expired or was left in the middle of an
exchange is replaced when its slot is used next.

httpcore reads and writes through a network stream, and takes a backend that makes it. Ours,
`Stream`, wraps that of the engine. It is the one place that sees each read and write of an
attempt, in threads too, where nothing else could interrupt a read. So it does three things:

- It shortens each wait to the time that the attempt has left (`Timeouts.response` and ``total``),
  and counts interim responses.
- It looks whether the connection is still alive. The server may have closed it, or have responded
  with 408, while the head was on its way. A head alone sends no mail, so it leaves first if the
  connection was idle; that gives a FIN on its way more time to arrive. Before the first piece of
  the body is read, `Stream.look` finds what the server sent meanwhile. If that is the end of
  the connection or a response, the body is held back, and the engine reads the response instead:
  the outcome is *not sent*, and the send is repeated. On a busy or new connection the head waits
  for the first piece, and both leave in one write; a write costs more than the look. If the server
  closes connections frequently (`Closings`), an idle one is not used again at all.
- If the engine cannot write the last piece, some of its bytes have not left. The engine goes on to
  read a response, and ``left`` says that the service cannot have the whole mail.

A readable socket proves nothing over TLS: it may be a session ticket. So, unless the connection is
busy, the stream reads for a short time, and keeps what comes for the engine. Of a busy connection
it only asks the system for the state, which costs a microsecond (`Use`).

The tests are in ``tests/_sync/test_timeouts.py`` and ``test_stale.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from time import monotonic
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import SplitResult, unquote, urlsplit

from poweremail._runtime._closings import closings_by_server
from poweremail._runtime._engines import load_engine
from poweremail._runtime._environment import proxy_for, tls_context
from poweremail._runtime._sync import in_thread
from poweremail._runtime._sync_slots import Slots
from poweremail._sync.transports.base import (
    MAX_INTERIM_RESPONSES,
    Engine,
    Outgoing,
    Use,
)
from poweremail._sync.transports.head import PROXY_METHOD, follow_head
from poweremail._sync.transports.outgoing import outgoing_in_use
from poweremail._types.secret import Secret
from poweremail._wire.http import ACCEPT_ENCODING, Request

if TYPE_CHECKING:
    import ssl

    import httpcore

MAX_URLS_CACHED = 32
"""A handful of URLs are in use."""

_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")

_PROXY_REQUESTS = (PROXY_METHOD, b"\x05", b"\x01")
"""How requests to proxies begin: the two others are those of SOCKS (RFC 1928, RFC 1929)."""

_SECONDS_TO_READ_WAITING = 0.05
"""For reading what has arrived already; over TLS it may be nothing but a session ticket."""


class Connections(Engine):
    """
    At most *limit* connections of httpcore, or of httpcore2 if *engine* is ``"httpx2"``.

    They lead through the proxy that the environment names.
    """

    def __init__(self, engine: str, limit: int, keepalive_expiry: float) -> None:
        self._name = engine
        self._keepalive_expiry = keepalive_expiry
        core = self._core = load_engine("httpcore2" if engine == "httpx2" else "httpcore", engine)
        self.errors = (
            core.NetworkError,
            core.TimeoutException,
            core.ProtocolError,
            core.ProxyError,
            core.UnsupportedProtocol,
            core.ConnectionNotAvailable,
        )
        self._backend = Backend(core, _backend(core))
        self._all_slots: list[_Slot] = []
        self.slots = Slots(limit, self._make_slot)
        self._target: Callable[[str], _Target] = lru_cache(MAX_URLS_CACHED)(self._read_url)
        self._proxy = lru_cache(MAX_URLS_CACHED)(proxy_for)
        self._context: ssl.SSLContext | None = None

    def prepare(self, base_url: str) -> None:
        """Find the proxy for *base_url*, and make the TLS context."""
        proxy = self._proxy(base_url, _PROXY_SCHEMES)
        speaks_tls = base_url.startswith("https:") or (
            proxy is not None and proxy.reveal().startswith("https:")
        )
        if speaks_tls and self._context is None:
            engine = load_engine(self._name, self._name)
            self._context = in_thread(tls_context, self._name, engine.create_ssl_context)

    def send(self, request: Request, outgoing: Outgoing, slot: _Slot) -> ConnectionReply:
        """Send *request* over the connection of *slot*, or over a new one."""
        target = self._target(request.url)
        connection = slot.connection
        if connection is None or not _is_usable(connection, target.origin):
            connection = self._connect(slot, target.origin, request.endpoint.base_url)
        response = connection.handle_request(self._build(request, target, outgoing))
        return ConnectionReply(response)

    def close(self) -> None:
        """Close all connections."""
        for slot in self._all_slots:
            connection, slot.connection = slot.connection, None
            if connection is not None:
                connection.close()

    def _make_slot(self) -> _Slot:
        slot = _Slot()
        self._all_slots.append(slot)
        return slot

    def _connect(
        self, slot: _Slot, origin: httpcore.Origin, base_url: str
    ) -> httpcore.ConnectionInterface:
        """Replace the connection of *slot* by a new one; it connects when it is used."""
        stale, slot.connection = slot.connection, None
        if stale is not None:
            stale.close()
        self.prepare(base_url)
        proxy = self._proxy(base_url, _PROXY_SCHEMES)
        # The pool of httpcore is not used; it knows which connection leads through which proxy.
        pool: httpcore.ConnectionPool = self._core.ConnectionPool(
            self._context,
            None if proxy is None else self._core_proxy(proxy),
            keepalive_expiry=self._keepalive_expiry,
            network_backend=self._backend,
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

    def _build(self, request: Request, target: _Target, outgoing: Outgoing) -> httpcore.Request:
        """Return the engine's request."""
        timeouts = request.endpoint.timeouts
        extensions: dict[str, Any] = {
            "timeout": {"connect": timeouts.connect, "read": timeouts.read, "write": timeouts.write}
        }
        if request.body is None:
            extensions["trace"] = follow_head(outgoing, request.query)
        headers = [*target.headers, *((n.encode(), v.encode()) for n, v in request.headers)]
        # httpcore's own class would check each name and value again (httpcore/_models.py,
        # enforce_headers), and a connection reads nothing but these attributes.
        return cast(
            "httpcore.Request",
            SimpleNamespace(
                method=request.method.encode(),
                url=target.url,
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

    connection: httpcore.ConnectionInterface | None = None


def _is_usable(connection: httpcore.ConnectionInterface, origin: httpcore.Origin) -> bool:
    return (
        connection.is_idle()
        and connection.can_handle_request(origin)
        and not connection.has_expired()
    )


class ConnectionReply:
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
    def chunks(self) -> Iterable[bytes]:
        """The body as it comes."""
        return cast("Iterable[bytes]", self._response.stream)

    def close(self) -> None:
        """Let go of the connection."""
        self._response.close()


def _decode_header(header: tuple[bytes, bytes]) -> tuple[str, str]:
    # Latin-1 reads any bytes; the headers of this API are ASCII.
    name, value = header
    try:
        return name.decode("ascii"), value.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1"), value.decode("latin-1")


def _backend(core: ModuleType) -> Any:
    """Return the engine's own backend."""
    return core.SyncBackend()


class Backend:
    """A network backend of httpcore, or of httpcore2, around *backend*."""

    def __init__(self, core: ModuleType, backend: Any) -> None:
        self._core = core
        self._backend = backend
        self._closings = closings_by_server()

    def connect_tcp(self, *, timeout: float | None = None, **address: Any) -> Stream:
        """Connect to a host and a port."""
        return self._connect(self._backend.connect_tcp, timeout, address)

    def connect_unix_socket(
        self,
        *,
        timeout: float | None = None,
        **address: Any,
    ) -> Stream:
        """Connect to the socket at a path."""
        return self._connect(self._backend.connect_unix_socket, timeout, address)

    def sleep(self, seconds: float) -> None:
        """Wait *seconds*."""
        self._backend.sleep(seconds)

    def _connect(
        self, connect: Callable[..., Any], limit: float | None, address: dict[str, Any]
    ) -> Stream:
        started = monotonic()
        if outgoing := outgoing_in_use.get():
            outgoing.start()
            limit = outgoing.time_left(limit, self._core.ConnectTimeout)
        stream = connect(timeout=limit, **address)
        connect_by = None if limit is None else started + limit
        server = address.get("host"), address.get("port"), address.get("path")
        use = Use(monotonic() - started, stream.get_extra_info("socket"), self._closings(server))
        made = Stream(self._core, stream, use, connect_by)
        if outgoing:
            outgoing.unready = made
        return made


def _drop_frames(error: BaseException | None, handled: BaseException | None) -> None:
    """
    Take the frames out of *error* and what led to it: through their callers, they would keep the
    mail until the next garbage collection. *handled*: what the caller was handling before.
    """
    while error is not None and error is not handled:
        error.__traceback__ = None
        error = error.__context__


class Stream:
    """
    A network stream of httpcore around *stream*.

    *use*: what it was used for.
    *connect_by*: the time by which TLS and a proxy's CONNECT must be done; None is no limit.
    """

    def __init__(self, core: ModuleType, stream: Any, use: Use, connect_by: float | None) -> None:
        self._core = core
        self._stream = stream
        self._use = use
        self._connect_by = connect_by
        self._in_proxy_request = False
        self._wait_for_end = 0.0
        self._head = b""
        self._unread = b""
        self._interim_count = 0
        self._interim: bytes | None = None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write all of *buffer*."""
        outgoing = outgoing_in_use.get()
        if outgoing is None or not (buffer or self._head):
            self._stream.write(buffer, timeout)
            return
        if outgoing.stream is not self or self._in_proxy_request:
            self._begin(outgoing, buffer)
            if outgoing.has_body and not self._in_proxy_request and not self._wait_for_end:
                self._head = buffer
                return
        elif self._head:
            buffer, self._head = self._head + buffer, b""
        try:
            self._stream.write(buffer, outgoing.time_left(timeout, self._core.WriteTimeout))
        except self._core.WriteError:
            outgoing.take_back()
            raise
        outgoing.note_left()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return some bytes, none at the end."""
        data, self._unread = self._unread[:max_bytes], self._unread[max_bytes:]
        if not data:
            outgoing = outgoing_in_use.get()
            if outgoing is None:
                return cast("bytes", self._stream.read(max_bytes, timeout))
            if self._head:
                self.write(b"", timeout)
            if self._in_proxy_request:
                timeout = self._left_to_connect(None)
            seconds = outgoing.time_left(timeout, self._core.ReadTimeout)
            try:
                data = self._stream.read(max_bytes, seconds)
            except self._core.ReadTimeout:
                if self._in_proxy_request:
                    raise self._core.ConnectTimeout from None
                raise
        if self._interim is not None:
            self._count_interim(data)
        self._use.idle_since = monotonic()
        return data

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Return the stream that speaks TLS over this one."""
        stream = self._stream.start_tls(
            ssl_context, server_hostname, self._left_to_connect(timeout)
        )
        ssl_object = stream.get_extra_info("ssl_object")
        if ssl_object is not None and ssl_object.selected_alpn_protocol() == "h2":
            if outgoing := outgoing_in_use.get():
                outgoing.unready = None
            return stream  # it carries several attempts at once
        use = Use(self._use.connect_seconds, stream.get_extra_info("socket"), self._use.closings)
        return Stream(self._core, stream, use, self._connect_by)

    def get_extra_info(self, info: str) -> Any:
        """Return what the engine's stream says about *info*."""
        if info == "is_readable":
            # httpcore asks for it before it uses an idle connection, and closes it if so.
            return self._use.is_spent(closed=self._use.has_sent())
        return self._stream.get_extra_info(info)

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def look(self) -> None:
        """
        Look whether the server has closed the connection, or has responded already.

        Raises the engine's ``WriteError`` if so: the engine then goes on to read the response.
        """
        wait = self._wait_for_end
        if not wait and not self._use.has_closed():
            return
        self._head = b""
        handled = sys.exception()
        try:
            self._unread = self._stream.read(65536, wait or _SECONDS_TO_READ_WAITING)
        except self._core.ReadTimeout as error:
            _drop_frames(error, handled)
            if wait:
                return
        except self._core.ReadError:
            pass
        if not self._unread.startswith(b"HTTP/1.1 1"):
            self._use.note_closed()
            raise self._core.WriteError("the server closed the connection or responded already")

    def _begin(self, outgoing: Outgoing, head: bytes) -> None:
        """Note that a request of *outgoing*, or one to a proxy on its way, begins with *head*."""
        outgoing.stream = self
        self._in_proxy_request = head.startswith(_PROXY_REQUESTS)
        if self._in_proxy_request:
            return
        outgoing.unready = None
        self._interim, self._interim_count = b"", 0
        outgoing.use = self._use
        self._wait_for_end = self._use.begin(outgoing.asked)
        outgoing.look = self.look

    def _left_to_connect(self, limit: float | None) -> float | None:
        if self._connect_by is None:
            return limit
        left = self._connect_by - monotonic()
        if left <= 0:
            raise self._core.ConnectTimeout
        return left if limit is None else min(left, limit)

    def _count_interim(self, data: bytes) -> None:
        """Count the interim responses in *data*. Raises the engine's error if they are too many."""
        head = (self._interim or b"") + data
        while head[9:10] == b"1":
            _, end, rest = head.partition(b"\r\n\r\n")
            if not end:
                break
            head = rest
            self._interim_count += 1
            if self._interim_count > MAX_INTERIM_RESPONSES:
                raise self._core.RemoteProtocolError(
                    f"more than {MAX_INTERIM_RESPONSES} interim responses"
                )
        self._interim = head if head[9:10] in (b"", b"1") else None
