"""Listening sockets, and uvicorn on them until a signal stops it."""

from __future__ import annotations

import errno
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

# Errors of a machine that has no IPv6, or has it switched off.
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPROTONOSUPPORT)


def open_listeners(host: str, port: int) -> list[socket.socket]:
    """
    Return the listening sockets for *host* and *port*, 0 for a free one.

    ``localhost`` is IPv4 and, if the machine has it, IPv6: clients differ in which they try. ``::``
    is every address of both.

    uvicorn gets the sockets and not the number, because a port that was free a moment ago may be
    taken. Raises OSError if one of the addresses cannot be used.
    """
    if host.lower() != "localhost":
        return [_open(host, port)]
    first = _open("127.0.0.1", port)
    try:
        return [first, _open("::1", first.getsockname()[1])]
    except OSError as error:
        if error.errno in _NO_IPV6:
            return [first]
        first.close()
        if error.errno == errno.EADDRINUSE and not port:
            return open_listeners(host, port)  # another free port may be free on both
        raise


def _open(host: str, port: int) -> socket.socket:
    everywhere = host == "::" and socket.has_dualstack_ipv6()
    if host == "::" and not everywhere:
        host = "0.0.0.0"  # noqa: S104  the user asked for every address
    listener = socket.create_server(
        (host, port),
        family=socket.AF_INET6 if ":" in host else socket.AF_INET,
        dualstack_ipv6=everywhere,
    )
    # Connections inherit it. Without it, head and body of a response arrive 40 ms apart; asyncio
    # sets it for the sockets that it opens itself only.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def listener_url(listener: socket.socket) -> str:
    """Return the URL of *listener*, without a slash at its end."""
    bound, port = listener.getsockname()[:2]
    # These mean all addresses, and are none to connect to. Where there is IPv6, there is IPv4.
    host: str = {"0.0.0.0": "127.0.0.1", "::": "127.0.0.1"}.get(bound) or bound  # noqa: S104
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


def run_until_stopped(server: uvicorn.Server, listeners: Sequence[socket.socket]) -> None:
    """
    Run *server* in the foreground: until SIGTERM, after which this returns, or SIGINT, which then
    raises KeyboardInterrupt.
    """
    with _stopped_by_sigterm(server):
        server.run([*listeners])


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
