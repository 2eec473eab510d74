"""
The service as an ASGI application: the API as the vendor serves it, a control API below
``/_sandbox``, and a page at ``/``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import anyio
from starlette.routing import Mount, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from poweremail._response import Response
from poweremail.sandbox._api.call import Call, Reply
from poweremail.sandbox._api.responses import Refusal
from poweremail.sandbox._server.connection import (
    BodyTooLargeError,
    ClientGoneError,
    gone,
    read_body,
)
from poweremail.sandbox._server.control import control_router, operations
from poweremail.sandbox._server.control.headers import DATA_HEADERS
from poweremail.sandbox._server.guard import Guard
from poweremail.sandbox._server.protocol import Wire
from poweremail.sandbox._server.ui import Page, ui_routes
from poweremail.sandbox._service import Service
from poweremail.sandbox._webhooks.posting import answers_handshake

__all__ = ["MAX_BODY", "create_app"]

_ASKING = ("addWebhook", "editWebhook")
"""The calls for which the service asks a URL."""

MAX_BODY = 64 * 1024 * 1024
"""The largest body that is read, in bytes: twice what mail servers commonly take."""


def create_app(
    service: Service, *, max_body: int = MAX_BODY, allowed_hosts: Iterable[str] = ()
) -> ASGIApp:
    """
    Make the application of *service*. A body of more than *max_body* bytes is answered with an
    error of the API.

    The page and the control API answer under loopback names and under *allowed_hosts*: see `Guard`.
    Faults that break a connection need the server of `poweremail.sandbox._server.serving` below it.
    """
    calls = operations(service)
    control = control_router(service, calls, ui_routes(calls))
    default = _page_or(
        Page(own_owner_id=service.own_owner_id, own_token=service.own_token),
        _api(service, max_body),
    )
    router = Router([Mount("/_sandbox", control)], default=default, redirect_slashes=False)
    return _sealed(Guard(router, allowed_hosts=allowed_hosts))


_CSP = b"content-security-policy"
_SEAL = [
    (name.lower().encode(), DATA_HEADERS[name].encode())
    for name in ("Content-Security-Policy", "X-Content-Type-Options")
]


def _sealed(app: ASGIApp) -> ASGIApp:
    """
    Let everything that does not say so itself, answers of the API and refusals, be able to do
    nothing in a browser.
    """

    async def sealed(scope: Scope, receive: Receive, send: Send) -> None:
        async def seal(message: Message) -> None:
            if message["type"] == "http.response.start" and all(
                name.lower() != _CSP for name, _ in message["headers"]
            ):
                message["headers"] = [*message["headers"], *_SEAL]
            await send(message)

        await app(scope, receive, seal)

    return sealed


def _page_or(page: Page, api: ASGIApp) -> ASGIApp:
    async def page_or_api(scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["path"] == "/" and scope["method"] in ("GET", "HEAD")
        await (page if is_page else api)(scope, receive, send)

    return page_or_api


def _api(service: Service, max_body: int) -> ASGIApp:
    # Where the service has its own way to ask a URL, that is the one.
    verify = service.verify_webhook or partial(answers_handshake, brand=service.brand)

    async def api(scope: Scope, receive: Receive, send: Send) -> None:
        arrival = service.arrive(scope["path"])
        body = b""
        if not arrival.effect.before_body:
            try:
                body = await read_body(receive, max_body)
            except ClientGoneError:
                return
            except BodyTooLargeError:
                await _send(
                    Reply(Refusal(f"The body is larger than {max_body} bytes").response),
                    scope,
                    receive,
                    send,
                )
                return
        call = Call(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), body)
        if arrival.call in _ASKING:
            # It waits for an answer from elsewhere, which may be this very server.
            reply = await anyio.to_thread.run_sync(
                partial(service.handle, call, arrival, verify_webhook=verify)
            )
        else:
            reply = service.handle(call, arrival)
        await _send(reply, scope, receive, send)

    return api


async def _send(reply: Reply, scope: Scope, receive: Receive, send: Send) -> None:
    if reply.latency and await gone(receive, reply.latency):
        return
    if reply.response is not None:
        await _respond(reply.response, reply, receive, send)
    if reply.broken is not None:
        wire: Wire | None = scope.get("state", {}).get("wire")
        if wire is None:
            raise RuntimeError(
                "the server below cannot break a connection: use poweremail.sandbox._server.serving"
            )
        if reply.response is None and reply.broken != "stalled":
            wire.reset()
        else:
            wire.close()
        # The server takes a request without an answer for a mistake unless the connection is known
        # to be gone.
        await gone(receive, None)


async def _respond(response: Response, reply: Reply, receive: Receive, send: Send) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if reply.drip:
        for index in range(len(response.body)):
            await send(
                {
                    "type": "http.response.body",
                    "body": response.body[index : index + 1],
                    "more_body": True,
                }
            )
            if await gone(receive, reply.drip):
                return
        await send(
            {"type": "http.response.body", "body": b"", "more_body": reply.broken is not None}
        )
    else:
        await send(
            {
                "type": "http.response.body",
                "body": response.body,
                "more_body": reply.broken is not None,
            }
        )
