"""
The connection below a request: breaking it on purpose, and noticing that the client has left.

An ASGI application can only respond. Here it finds a `Wire` in ``scope["state"]["wire"]`` and can
end the connection in the ways in which networks do.
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Any

import anyio
from starlette.types import Receive
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

# struct linger: switched on, zero seconds. Its members are shorts on Windows.
_LINGER_ZERO_SECONDS = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Wire(H11Protocol):
    """uvicorn's own protocol, which the application can break, and without an access log."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: Any = None,
    ) -> None:
        super().__init__(config, server_state, {**app_state, "wire": self}, _loop)
        # The URL of a GET contains the token.
        self.access_log = False

    def reset(self) -> None:
        """End the connection by a TCP reset; what was not read or not sent yet is lost."""
        self.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO_SECONDS
        )
        self.transport.abort()

    def close(self) -> None:
        """Send what was written, then end the connection."""
        self.transport.close()


async def disconnected(receive: Receive, seconds: float | None) -> bool:
    """
    Wait for *seconds*, or forever if None; return True as soon as the client disconnects.

    The body must have been read: parts of it that arrive meanwhile are lost.
    """
    with anyio.move_on_after(seconds):
        while (await receive())["type"] != "http.disconnect":
            pass
        return True
    return False
