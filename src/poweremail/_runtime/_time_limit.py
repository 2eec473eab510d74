"""A limit for all that a connection does: a peer that drips resets the timeout of each read."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import httpx

_CONNECTED = (".connect_tcp.complete", ".start_tls.complete")
"""The ends of the names of events; what is before them says whether there is a proxy."""


class TimeLimit:
    """
    A block in which the connection that it watches is shut down after *seconds*.

    Errors of the block after that become a `TimeoutError`.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._socket: socket.socket | None = None
        self._has_passed = False
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._timer.cancel()
        if self._has_passed and isinstance(error, Exception):
            raise TimeoutError(f"it took longer than {self._seconds:g} seconds") from None

    def watch(self, connected: socket.socket) -> None:
        """Watch *connected*, in place of what was watched before."""
        self._socket = connected
        if self._has_passed:
            self._shut_down()

    def send(
        self, client: httpx.Client, request: httpx.Request, *, stream: bool = False
    ) -> httpx.Response:
        """Send *request* by *client*, and watch its connection."""
        request.extensions["trace"] = self._trace
        return client.send(request, stream=stream)

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(_CONNECTED):
            self.watch(info["return_value"].get_extra_info("socket"))

    def _end(self) -> None:
        self._has_passed = True
        self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            with suppress(OSError):
                # Not the method of an SSLSocket, which would go on in plain text.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
