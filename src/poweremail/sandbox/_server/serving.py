"""The sandbox on a socket: uvicorn, on a thread of its own or in the foreground."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Self

import anyio.to_thread
import attrs
import uvicorn
from starlette.types import ASGIApp

from poweremail._types.checks import is_host, require
from poweremail.sandbox._server.app import MAX_BODY, create_app
from poweremail.sandbox._server.auth import Users
from poweremail.sandbox._server.listener import (
    listener_url,
    open_listeners,
    quiet_config,
    run_until_stopped,
)
from poweremail.sandbox._server.protocol import Wire
from poweremail.sandbox._service import Service
from poweremail.sandbox._webhooks.delivering import DeliveryThread

# Of request line and headers together: the values of a sendTemplateHTTPGet are in its URL.
_MAX_HEAD_BYTES = 256 * 1024


@attrs.define(kw_only=True, eq=False, repr=False)
class SandboxServer:
    """
    An HTTP server of *service* on a thread of its own: a context manager that serves inside its
    ``with`` block.

    - *host*, *port*: where it listens; port 0 is a free one. ``localhost`` is IPv4 and IPv6, ``::``
      all addresses of both.
    - *max_body*: the largest request body that it reads, in bytes.
    - *allowed_hosts*: names, or patterns such as ``*.example.com``, under which the page and the
      control API respond, beside *host*, loopback names and IP addresses. Any other name may be one
      that an attacker points at this machine.
    - *auth*: a file of users and bcrypt hashes of their passwords, without which the page and the
      control API show nothing: see `Users`.

    ``url`` is where it listens, ``base_url`` the base URL for clients; the control API is below
    ``/_sandbox``. Entering raises OSError if the port is taken. Leaving aborts the requests that
    are still being served.
    """

    service: Service = attrs.field(kw_only=False)
    host: str = "127.0.0.1"
    port: int = 0
    max_body: int = MAX_BODY
    allowed_hosts: Iterable[str] = attrs.field(default=(), converter=tuple[str, ...])
    auth: str | os.PathLike[str] | None = None
    url: str = attrs.field(default="", init=False)
    _running: tuple[_Server, threading.Thread] | None = attrs.field(default=None, init=False)

    @property
    def base_url(self) -> str:
        """The base URL for clients."""
        return f"{self.url}/v1.0/"

    def __enter__(self) -> Self:
        application = _application(
            self.service, self.host, self.max_body, self.allowed_hosts, self.auth
        )
        listeners = open_listeners(self.host, self.port)
        self.url = listener_url(listeners[0])
        ready = threading.Event()
        server = _Server(self.service, application, ready.set)

        def run() -> None:
            try:
                server.run([*listeners])
            finally:
                ready.set()

        thread = threading.Thread(target=run, name="poweremail-sandbox", daemon=True)
        self._running = server, thread
        thread.start()
        ready.wait()
        if not server.started:
            raise RuntimeError("the server did not start; the error of its thread says why")
        return self

    def __exit__(self, *_: object) -> None:
        if self._running is not None:
            server, thread = self._running
            server.should_exit = True
            thread.join()


def serve(
    service: Service,
    *,
    host: str = "127.0.0.1",
    port: int = 8025,
    allowed_hosts: Iterable[str] = (),
    auth: str | os.PathLike[str] | None = None,
    on_ready: Callable[[str], object] = lambda _url: None,
) -> None:
    """
    Serve *service* in the foreground until SIGTERM, or SIGINT, which then raises KeyboardInterrupt.

    *host*, *port*, *allowed_hosts* and *auth* are those of `SandboxServer`. *on_ready*
    is called with the URL as soon as the server responds. Raises OSError if the port is taken.
    """
    application = _application(service, host, MAX_BODY, allowed_hosts, auth)
    listeners = open_listeners(host, port)
    server = _Server(service, application, lambda: on_ready(listener_url(listeners[0])))
    run_until_stopped(server, listeners)


def _application(
    service: Service,
    host: str,
    max_body: int,
    allowed_hosts: Iterable[str],
    auth: str | os.PathLike[str] | None,
) -> ASGIApp:
    require("host", host, "a name or an IP address", is_host(host))
    users = None if auth is None else Users(auth)
    return create_app(service, max_body=max_body, allowed_hosts=(host, *allowed_hosts), users=users)


class _Server(uvicorn.Server):
    """
    uvicorn with the thread of the deliveries, which reports when it is ready, and which does not
    wait for open connections when it stops.

    *on_ready* is called on its event loop.
    """

    def __init__(
        self, service: Service, application: ASGIApp, on_ready: Callable[[], object]
    ) -> None:
        super().__init__(
            quiet_config(
                application,
                http=Wire,
                date_header=False,
                h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
            )
        )
        self._on_ready = on_ready
        self._delivery_thread = DeliveryThread(service.deliverer, service.retention.check_age)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._delivery_thread.start()
        self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            # uvicorn would wait for a stalled response forever.
            connection.transport.abort()
        await super().shutdown(sockets)
        # It must end before the database closes; in a thread, as it may be waiting for a receiver.
        await anyio.to_thread.run_sync(self._delivery_thread.stop)
