"""A socket to listen on, and uvicorn on it until somebody ends it."""

from __future__ import annotations

import ipaddress
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

__all__ = ["listener_url", "open_listener", "quiet_config", "run_until_stopped"]


def open_listener(host: str, port: int) -> socket.socket:
    """
    Open the socket here and hand it over: a port that was only looked up could be taken by the time
    it is used.
    """
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET  # noqa: PLR2004
    except ValueError:
        family = socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    # Inherited by its connections; without it, head and body of an answer come 40 ms apart. asyncio
    # sees to its own sockets only.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def listener_url(listener: socket.socket) -> str:
    """Return the URL at which it is reached, without a slash at its end."""
    host, port = listener.getsockname()[:2]
    # Who listens everywhere is found here, too.
    if host in ("0.0.0.0", "::"):  # noqa: S104
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def quiet_config(application: Any, **options: Any) -> uvicorn.Config:
    """
    Settings of uvicorn for an ASGI *application* that is alone on its port and speaks for itself;
    *options* are further ones.
    """
    return uvicorn.Config(
        application,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        # Below this level uvicorn logs whole requests, and URLs with the token in them.
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        **options,
    )


def run_until_stopped(server: uvicorn.Server, listener: socket.socket) -> None:
    """
    Run *server* in the foreground: until SIGTERM, after which this returns, or SIGINT, which then
    raises KeyboardInterrupt.
    """
    with _told_by_sigterm(server):
        server.run([listener])


@contextmanager
def _told_by_sigterm(server: uvicorn.Server) -> Iterator[None]:
    """
    Let SIGTERM end *server*, and not the process.

    uvicorn stops in order by itself, but then raises the signal once more, for whoever handled it
    before: that is this function, which also takes the signal that comes before uvicorn is ready
    for it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
