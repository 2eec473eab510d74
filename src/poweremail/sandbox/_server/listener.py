"""A listening socket, and uvicorn on it until a signal stops it."""

from __future__ import annotations

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
    Return a listening socket for *host* and *port*, 0 for a free one.

    uvicorn gets the socket and not the number, because a port that was free a moment ago may be
    taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family)
    # Connections inherit it. Without it, head and body of a response arrive 40 ms apart; asyncio
    # sets it for the sockets that it opens itself only.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def listener_url(listener: socket.socket) -> str:
    """Return the URL of *listener*, without a slash at its end."""
    bound, port = listener.getsockname()[:2]
    # These mean all addresses, and are none to connect to.
    host: str = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(bound) or bound  # noqa: S104
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def quiet_config(application: Any, **options: Any) -> uvicorn.Config:
    """
    Return the settings of uvicorn for an ASGI *application* that is alone on its port and logs for
    itself; *options* are further settings.
    """
    return uvicorn.Config(
        application,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        # Below this level uvicorn logs requests, whose URLs may contain the token.
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
    with _stopped_by_sigterm(server):
        server.run([listener])


@contextmanager
def _stopped_by_sigterm(server: uvicorn.Server) -> Iterator[None]:
    """
    Make SIGTERM stop *server* instead of the process.

    uvicorn stops by itself, but then raises the signal again for the handler that was there before.
    That is ours, which also handles a signal that arrives before uvicorn has installed its own.
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
