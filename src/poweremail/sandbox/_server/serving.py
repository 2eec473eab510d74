"""The sandbox on a socket: uvicorn, on a thread of its own or in the foreground."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

import anyio.to_thread
import uvicorn

from poweremail.sandbox._server.app import MAX_BODY, create_app
from poweremail.sandbox._server.listener import (
    listener_url,
    open_listener,
    quiet_config,
    run_until_stopped,
)
from poweremail.sandbox._server.protocol import BreakableProtocol
from poweremail.sandbox._service import Service
from poweremail.sandbox._webhooks.delivering import DeliveryThread

__all__ = ["SandboxServer", "serve"]

_LONGEST_HEAD = 256 * 1024
"""Bytes of request line and headers: the values of a sendTemplateHTTPGet stand in its URL."""


class SandboxServer:
    """
    An HTTP server of *service*, to be used as a context manager.

    It listens on *host* and *port*, 0 for a free one; *max_body* is the largest request body that
    it reads, in bytes. Its page and control API answer under *host*, loopback names and
    *allowed_hosts* only: no name that somebody else points at this machine. ``url`` is where it
    listens; the API is below ``base_url``, a control API below ``/_sandbox``. Inside the ``with``
    block it answers. Raises OSError where the port is taken. When it stops, requests that are still
    being answered are cut off.
    """

    def __init__(
        self,
        service: Service,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        max_body: int = MAX_BODY,
        allowed_hosts: Iterable[str] = (),
    ) -> None:
        self._service = service
        self._address = (host, port)
        self._max_body = max_body
        self._hosts = (host, *allowed_hosts)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self.url: str = ""

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL."""
        return f"{self.url}/v1.0/"

    def __enter__(self) -> Self:
        listener = open_listener(*self._address)
        self.url = listener_url(listener)
        ready = threading.Event()
        server = self._server = _Server(self._service, self._max_body, self._hosts, ready.set)

        def run() -> None:
            try:
                server.run([listener])
            finally:
                ready.set()

        self._thread = threading.Thread(target=run, name="poweremail-sandbox", daemon=True)
        self._thread.start()
        ready.wait()
        if not server.started:
            raise RuntimeError("the server did not start; its thread has said why")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()


def serve(
    service: Service,
    *,
    host: str = "127.0.0.1",
    port: int = 8025,
    max_body: int = MAX_BODY,
    allowed_hosts: Iterable[str] = (),
    on_ready: Callable[[str], object] = lambda _url: None,
) -> None:
    """
    Serve *service* in the foreground until SIGTERM, or SIGINT, which then raises KeyboardInterrupt.

    *host*, *port*, *max_body* and *allowed_hosts* are those of `SandboxServer`. *on_ready* is
    called with the URL once the server answers. Raises OSError where the port is taken.
    """
    listener = open_listener(host, port)
    server = _Server(
        service, max_body, (host, *allowed_hosts), lambda: on_ready(listener_url(listener))
    )
    run_until_stopped(server, listener)


class _Server(uvicorn.Server):
    """
    uvicorn, told to say when it answers, and not to wait for those who hang on.

    *on_ready* is called on its event loop.
    """

    def __init__(
        self, service: Service, max_body: int, hosts: Iterable[str], on_ready: Callable[[], object]
    ) -> None:
        super().__init__(
            quiet_config(
                create_app(service, max_body=max_body, allowed_hosts=hosts),
                http=BreakableProtocol,
                date_header=False,
                h11_max_incomplete_event_size=_LONGEST_HEAD,
            )
        )
        self._on_ready = on_ready
        self._worker = DeliveryThread(service.deliverer)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._worker.start()
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            # A stalled answer would be waited for for ever.
            connection.transport.abort()
        await super().shutdown(sockets)
        # It may be waiting for a receiver, and has to end before the database is closed.
        await anyio.to_thread.run_sync(self._worker.stop)
