"""
The sandbox as an ASGI application: the service's API, the control API below ``/_sandbox``, and the
page at ``/``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import anyio.to_thread
import attrs
from starlette.routing import Mount, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from poweremail._response import Response
from poweremail.errors import WebhookPayloadError
from poweremail.sandbox._api import Call, Reply
from poweremail.sandbox._api.responses import Refusal
from poweremail.sandbox._server.auth import PasswordGate, Users
from poweremail.sandbox._server.control import control_app
from poweremail.sandbox._server.guard import Guard
from poweremail.sandbox._server.headers import DATA_HEADERS, with_headers
from poweremail.sandbox._server.protocol import Wire, disconnected
from poweremail.sandbox._server.target import Target
from poweremail.sandbox._server.ui import Page
from poweremail.sandbox._service import Service
from poweremail.sandbox._webhooks.posting import answers_handshake
from poweremail.webhooks._asgi import read_body

MAX_BODY = 64 * 1024 * 1024
"""The largest body that the API reads, in bytes: twice what mail servers commonly accept."""

# In these calls the service sends a request to the URL that is to become a webhook.
_HANDSHAKE_CALLS = ("addWebhook", "editWebhook")

_MINIMAL_HEADERS = {
    name: DATA_HEADERS[name] for name in ("Content-Security-Policy", "X-Content-Type-Options")
}


def create_app(
    service: Service,
    *,
    max_body: int = MAX_BODY,
    allowed_hosts: Iterable[str] = (),
    users: Users | None = None,
) -> ASGIApp:
    """
    Make the application of *service*.

    - *max_body*: the largest body in bytes; a larger one gets an error of the API.
    - *allowed_hosts*: names, or patterns of names, under which the page and the control API
      respond, beside loopback names and IP addresses: see `Guard`.
    - *users*: those who may use the page and the control API; None is everybody.

    Faults that break a connection need the server of `poweremail.sandbox._server.serving` below.
    """
    page, api = Page(service.own_owner_id, service.own_token), _Api(service, max_body)

    async def page_or_api(scope: Scope, receive: Receive, send: Send) -> None:
        is_page = scope["path"] == "/" and scope["method"] in ("GET", "HEAD")
        await (page if is_page else api)(scope, receive, send)

    router = Router(
        [Mount("/_sandbox", control_app(service))], default=page_or_api, redirect_slashes=False
    )
    opened = router if users is None else PasswordGate(router, users)
    guarded = Guard(opened, allowed_hosts=allowed_hosts)
    return with_headers(Target(guarded), _MINIMAL_HEADERS)


@attrs.frozen
class _Api:
    service: Service
    max_body: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = await self._reply(scope, receive)
        if reply is None or (reply.latency and await disconnected(receive, reply.latency)):
            return
        if reply.response is not None:
            await _send(reply.response, reply, receive, send)
        if reply.broken is not None:
            await _break(reply, scope, receive)

    async def _reply(self, scope: Scope, receive: Receive) -> Reply | None:
        """Return the reply to a request; None if the client disconnects in its body."""
        arrival = self.service.arrive(scope["path"])
        body: bytes | None = b""
        if not arrival.effect.before_body:
            try:
                body = await read_body(scope, receive, self.max_body)
            except WebhookPayloadError:
                return Reply(Refusal(f"The body is larger than {self.max_body} bytes").response)
        if body is None:
            return None
        call = Call(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), body)
        if arrival.call not in _HANDSHAKE_CALLS:
            return self.service.handle(call, arrival)
        # A service that was given its own way to verify a URL keeps it.
        verify = self.service.verify_webhook or partial(
            answers_handshake, brand=self.service.brand, ca=self.service.webhook_ca
        )
        # In a thread, because the URL may be one of this very server.
        return await anyio.to_thread.run_sync(
            partial(self.service.handle, call, arrival, verify_webhook=verify)
        )


async def _send(response: Response, reply: Reply, receive: Receive, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.headers]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    # A response that a fault cuts short has a Content-Length that is never reached.
    end = {"type": "http.response.body", "more_body": reply.broken is not None}
    if not reply.drip:
        await send({**end, "body": response.body})
        return
    for byte in response.body:
        await send({"type": "http.response.body", "body": bytes([byte]), "more_body": True})
        if await disconnected(receive, reply.drip):
            return
    await send({**end, "body": b""})


async def _break(reply: Reply, scope: Scope, receive: Receive) -> None:
    wire: Wire | None = scope.get("state", {}).get("wire")
    if wire is None:
        raise RuntimeError(
            "the server below cannot break a connection: use poweremail.sandbox._server.serving"
        )
    if reply.response is None and reply.broken != "stalled":
        wire.reset()
    else:
        wire.close()
    # uvicorn logs an error if an application ends without a response, unless the client is gone.
    await disconnected(receive, None)
