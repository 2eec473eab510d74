# Generated from src/poweremail/_async/transports/httpcore.py; do not edit.
"""
What is below the client of httpx: httpcore, and httpcore2 below httpx2.

The client of httpx builds a request, its headers and its URL anew for each call, and its pool walks
all connections and all who wait, for each of them: with hundreds of callers that is where the time
goes. Here every connection is used by one caller at a time, and who comes when all are busy waits
in a line that nobody walks.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from poweremail._response import Response
from poweremail._runtime._sync import in_thread
from poweremail._runtime._sync_slots import Slots
from poweremail._sync.transports.base import Outgoing, failure, load_engine, pool_timeout
from poweremail._wire.http import ACCEPT_ENCODING, Request, ResponseBody

if TYPE_CHECKING:
    import ssl

    import httpcore

__all__ = ["Connections", "Head"]

_KEEP_ALIVE = 5.0
"""
Seconds after which an idle connection is not used again, as in httpx: many servers close it soon
after.
"""

_TO_A_PROXY = b"CONNECT"


class Connections:
    """At most *limit* connections of *engine*, ``"httpx"`` or ``"httpx2"``, in one world."""

    def __init__(self, engine: str, limit: int) -> None:
        self._engine = engine
        self._core = load_engine("httpcore2" if engine == "httpx2" else "httpcore", engine)
        self._errors = (
            *(
                self._core.NetworkError,
                self._core.TimeoutException,
                self._core.ProtocolError,
                self._core.ProxyError,
            ),
            *(self._core.UnsupportedProtocol, self._core.ConnectionNotAvailable),
        )
        self._slots: Slots[httpcore.HTTPConnection] = Slots(limit)
        self._open: set[httpcore.HTTPConnection] = set()
        # A handful of URLs are in use; one with a query is not kept.
        self._target = lru_cache(maxsize=32)(self._read_url)

    def handle(self, request: Request) -> Response:
        """Send *request* and return the answer, read whole."""
        outgoing = Outgoing(request.body)
        head = Head()
        try:
            return self._exchange(request, outgoing, head)
        except self._errors as error:
            # A request without a body shows by what the engine reports whether its head has left.
            failed = failure(error, request, body_left=outgoing.left if request.body else head.left)
        finally:
            outgoing.close()
        raise failed

    def close(self) -> None:
        """Close all connections."""
        while self._open:
            self._open.pop().close()

    def _exchange(self, request: Request, outgoing: Outgoing, head: Head) -> Response:
        patience = request.endpoint.timeouts.pool
        connection: httpcore.HTTPConnection | None = None
        try:
            connection = self._slots.take(patience)
        except TimeoutError:
            raise pool_timeout(patience) from None
        try:
            connection = self._fresh(connection, request.endpoint.base_url)
            answer = connection.handle_request(self._build(request, outgoing, head))
            try:
                body = self._read(answer, request)
            finally:
                answer.close()
            return Response(
                answer.status,
                tuple(map(_decoded, answer.headers)),
                body,
                request_left=outgoing.left,
            )
        finally:
            if connection is not None and (connection.is_closed() or not connection.is_idle()):
                # It has failed, or was left in the middle of something: the engine has closed it.
                self._open.discard(connection)
                connection = None
            self._slots.give(connection)

    def _fresh(
        self, connection: httpcore.HTTPConnection | None, base_url: str
    ) -> httpcore.HTTPConnection:
        """Return *connection* if it is as good as new, or a new one."""
        origin, _, _ = self._target(base_url)
        if connection is not None:
            if connection.can_handle_request(origin) and not connection.has_expired():
                return connection
            self._open.discard(connection)
            connection.close()
        context = tls_context(self._engine) if origin.scheme == b"https" else None
        made: httpcore.HTTPConnection = self._core.HTTPConnection(
            origin, context, keepalive_expiry=_KEEP_ALIVE
        )
        self._open.add(made)
        return made

    def _build(self, request: Request, outgoing: Outgoing, head: Head) -> httpcore.Request:
        """
        Make the engine's request; its URL may have the token, so it is in no variable of a frame
        that can fail.
        """
        timeouts = request.endpoint.timeouts
        extensions: dict[str, Any] = {
            "timeout": {"connect": timeouts.connect, "read": timeouts.read, "write": timeouts.write}
        }
        if not request.body:
            extensions["trace"] = head.trace
        _, url, headers = (
            self._target(request.url)
            if request.query is None
            else self._read_url(request.full_url())
        )
        headers = [*headers, *((name.encode(), value.encode()) for name, value in request.headers)]
        content = outgoing if request.body else None
        made: httpcore.Request = self._core.Request(
            request.method, url, headers=headers, content=content, extensions=extensions
        )
        return made

    def _read_url(
        self, url: str
    ) -> tuple[httpcore.Origin, httpcore.URL, list[tuple[bytes, bytes]]]:
        """
        The origin, the engine's URL, and the headers that are the same in every request for it.
        """
        parts = urlsplit(url)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        made = self._core.URL(
            scheme=parts.scheme.encode(),
            host=(parts.hostname or "").encode(),
            port=parts.port,
            target=target.encode(),
        )
        name, value = ACCEPT_ENCODING
        return (
            made.origin,
            made,
            [(b"Host", parts.netloc.encode()), (name.encode(), value.encode())],
        )

    def _read(self, answer: httpcore.Response, request: Request) -> bytes:
        encoding = next(
            (
                value.decode("latin-1")
                for name, value in answer.headers
                if name.lower() == b"content-encoding"
            ),
            None,
        )
        body = ResponseBody(encoding, request.endpoint.max_response_bytes)
        try:
            for chunk in cast("Iterable[bytes]", answer.stream):
                if not body.feed(chunk):
                    # Leaving the loop would leave the engine's generators open; reading on from
                    # what is closed ends them all.
                    answer.close()
                # It may hold a password, and the next one may fail.
                del chunk
        except self._errors:
            if body.failure is None:
                raise
        return body.finish()


class Head:
    """
    Follows the engine's trace of a request without a body, to know whether its head may have left.
    """

    def __init__(self) -> None:
        # An engine that reports nothing proves nothing.
        self.left = True
        self._sending = False

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Take note of *event*, such as ``connection.connect_tcp.started``."""
        if (
            event.endswith(".send_request_headers.started")
            and getattr(info.get("request"), "method", b"") != _TO_A_PROXY
        ):
            self._sending = True
        self.left = self._sending


def _decoded(header: tuple[bytes, bytes]) -> tuple[str, str]:
    name, value = header
    try:
        return name.decode("ascii"), value.decode()
    except UnicodeDecodeError:
        return name.decode("latin-1"), value.decode("latin-1")


_contexts: dict[str, ssl.SSLContext] = {}
_making = threading.Lock()


def tls_context(engine: str) -> ssl.SSLContext:
    """
    Return the engine's own TLS context, which verifies. It takes up to 100 ms to make, so it is
    made once, and in a thread.
    """
    return _contexts[engine] if engine in _contexts else in_thread(_make_context, engine)


def _make_context(engine: str) -> ssl.SSLContext:
    with _making:
        if engine not in _contexts:
            _contexts[engine] = load_engine(engine, engine).create_ssl_context()
        return _contexts[engine]
