"""Serve a receiver as an ASGI application: uvicorn, hypercorn and others, on asyncio or trio."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from poweremail._types.checks import require_seconds
from poweremail.errors import WebhookPayloadError
from poweremail.webhooks._receiver import HttpResponse, WebhookReceiver, WebhookResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


# No server sends a body twice: for a body that is gone, ``receive`` waits until the client leaves.
_OR_READ = "; or a middleware has read it: let this application take it first"


class AsgiApplication(ABC):
    """An ASGI application that serves requests, and needs no start and no end."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the start and the end of the server."""
        match scope["type"]:
            case "http":
                response = await self._respond(scope, receive)
                if response is not None:
                    await _send_response(scope, send, response)
            case "lifespan":
                await _complete_lifespan(receive, send)
            case "websocket":
                await send({"type": "websocket.close", "code": 1000})
            case kind:
                raise ValueError(f"{type(self).__name__} cannot serve {kind!r}")

    @abstractmethod
    async def _respond(self, scope: Scope, receive: Receive) -> HttpResponse | None:
        """Return the response to a request; None if the client has gone."""


class WebhookASGI(AsgiApplication):
    """
    *receiver* as an application of its own, or mounted below a path of another one:
    ``app.mount("/hooks/mail", WebhookASGI(receiver))``.

    - *receiver*: its URL is the one that is signed, whatever the path of the request is.
    - *body_timeout*: seconds for the whole body to arrive, 30 by default. If they run out, the
      response is 408, and the service sends the events again.

    Raises `ConfigurationError` if *body_timeout* is no number above 0.
    """

    def __init__(self, receiver: WebhookReceiver, *, body_timeout: float = 30.0) -> None:
        require_seconds("body_timeout", body_timeout)
        self._receiver = receiver
        self._body_timeout = body_timeout

    async def _respond(self, scope: Scope, receive: Receive) -> HttpResponse | None:
        from anyio import fail_after  # noqa: PLC0415  only a server needs it

        try:
            with fail_after(self._body_timeout):
                body = await read_body(scope, receive, self._receiver.max_body)
        except WebhookPayloadError as error:
            return self._receiver.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
        except TimeoutError:
            reason = f"the body did not arrive whole within {self._body_timeout:g} s{_OR_READ}"
            return self._receiver.refuse(HTTPStatus.REQUEST_TIMEOUT, reason)
        if body is None:
            reason = f"the client disconnected before the end of the body{_OR_READ}"
            self._receiver.refuse(HTTPStatus.BAD_REQUEST, reason)
            return None
        return await self._handle(scope, body)

    async def _handle(self, scope: Scope, body: bytes) -> WebhookResponse:
        return await self._receiver.arespond(scope["method"], scope["headers"], body)


async def read_body(scope: Scope, receive: Receive, max_body: int) -> bytes | None:
    """
    Return the body of a request; None if the client disconnected before its end.

    Raises `WebhookPayloadError` as soon as the body is known to have more than *max_body* bytes.
    """
    lengths = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
    body = bytearray()
    too_large = any(value.isdigit() and int(value[:20]) > max_body for value in lengths)
    while not too_large:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        too_large = len(body) > max_body
        if not too_large and not message.get("more_body", False):
            return bytes(body)
    raise WebhookPayloadError(f"the body has more than {max_body} bytes")


async def _send_response(scope: Scope, send: Send, response: HttpResponse) -> None:
    """Send *response*, without its body if the method is HEAD."""
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers
    ]
    await send({"type": "http.response.start", "status": int(response.status), "headers": headers})
    body = b"" if scope["method"] == "HEAD" else response.body
    await send({"type": "http.response.body", "body": body})


async def _complete_lifespan(receive: Receive, send: Send) -> None:
    """Confirm start and end: there is nothing to do, but servers wait for it."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
