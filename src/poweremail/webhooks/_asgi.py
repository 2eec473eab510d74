"""A receiver as an ASGI application, for uvicorn, hypercorn and others, on asyncio or trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from poweremail.errors import WebhookPayloadError
from poweremail.webhooks._receiver import WebhookAnswer, WebhookReceiver

__all__ = ["Receive", "Scope", "Send", "WebhookASGI", "read_body", "send_answer"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class WebhookASGI:
    """
    *receiver* as an application of its own, or below a path of another one:
    ``app.mount("/hooks/mail", WebhookASGI(receiver))``.

    Which path it is reached by makes no difference: the URL that is signed is the receiver's.
    """

    def __init__(self, receiver: WebhookReceiver) -> None:
        self._receiver = receiver

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the life of the server."""
        match scope["type"]:
            case "http":
                await self._respond(scope, receive, send)
            case "lifespan":
                await _live(receive, send)
            case "websocket":
                await send({"type": "websocket.close", "code": 1000})
            case kind:
                raise ValueError(f"a webhook cannot serve {kind!r}")

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(scope, receive, self._receiver.max_body)
        except WebhookPayloadError as error:
            await send_answer(
                scope, send, self._receiver.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
            )
            return
        if body is not None:
            await send_answer(
                scope, send, await self._receiver.arespond(scope["method"], scope["headers"], body)
            )


async def read_body(scope: Scope, receive: Receive, max_body: int) -> bytes | None:
    """
    Return the body of a request; None where the client went away before its end.

    Raises `WebhookPayloadError` as soon as it is certain to have more than *max_body* bytes.
    """
    announced = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
    body = bytearray()
    too_large = any(value.isdigit() and int(value[:20]) > max_body for value in announced)
    while not too_large:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        too_large = len(body) > max_body
        if not too_large and not message.get("more_body", False):
            return bytes(body)
    raise WebhookPayloadError(f"the body has more than {max_body} bytes")


async def send_answer(scope: Scope, send: Send, answer: WebhookAnswer) -> None:
    """Send *answer*; to HEAD without its body."""
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers
    ]
    await send({"type": "http.response.start", "status": int(answer.status), "headers": headers})
    await send(
        {"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else answer.body}
    )


async def _live(receive: Receive, send: Send) -> None:
    """There is nothing to start and nothing to stop, but servers want to be told so."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
