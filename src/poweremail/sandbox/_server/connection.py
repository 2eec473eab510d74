"""What ASGI says of the client of a request: the body it sends, and that it went away."""

from __future__ import annotations

import anyio
from starlette.types import Receive

__all__ = ["BodyTooLargeError", "ClientGoneError", "gone", "read_body"]


class ClientGoneError(Exception):
    """The client went away before it had sent all."""


class BodyTooLargeError(Exception):
    """There is more of it than is read."""


async def read_body(receive: Receive, max_body: int) -> bytes:
    """
    Read the body. Raises `BodyTooLargeError` for more than *max_body* bytes, and `ClientGoneError`.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        body += message.get("body", b"")
        if len(body) > max_body:
            raise BodyTooLargeError
        if not message.get("more_body", False):
            return bytes(body)


async def gone(receive: Receive, seconds: float | None) -> bool:
    """
    Wait so many seconds, or for ever; return at once, and True, where the client goes away. The
    body must have been read.
    """
    with anyio.move_on_after(seconds):
        while (await receive())["type"] != "http.disconnect":
            pass
        return True
    return False
