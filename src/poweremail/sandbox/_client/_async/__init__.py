"""The transport into a sandbox of this process: no socket, and faults look as they do on one."""

from __future__ import annotations

from urllib.parse import urlsplit

import attrs

from poweremail._async.transports.base import AsyncOutgoing
from poweremail._response import Response
from poweremail._runtime._async import sleep
from poweremail._wire.http import Request, ResponseBody
from poweremail.errors import TransportError
from poweremail.sandbox._api import Broken, Call
from poweremail.sandbox._service import Service

_REASONS: dict[Broken | None, str] = {
    "refused": "connection refused",
    "reset_before": "connection reset before the body was read",
    "reset_after": "connection reset before a response came",
    "stalled": "connection closed without a response",
    "truncated": "connection closed in the middle of the response",
    None: "no response",
}


class AsyncSandboxTransport:
    """Carries requests to the *service* of a `poweremail.sandbox.Sandbox`."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def handle(self, request: Request) -> Response:
        """Return the response of the service; wait, break off and time out as its reply says."""
        outgoing = AsyncOutgoing(request.body)
        arrival = self._service.arrive(urlsplit(request.url).path)
        try:
            body = (
                b"" if arrival.effect.before_body else b"".join([piece async for piece in outgoing])
            )
        finally:
            await outgoing.aclose()
        reply = self._service.handle(_call(request, body), arrival)
        whole_response = 0 if reply.response is None or reply.broken else len(reply.response.body)
        seconds = reply.latency + reply.drip * whole_response
        timeouts = request.endpoint.timeouts
        limits = (
            # As on a socket, the read timeout counts from one byte to the next.
            (timeouts.read, max(reply.latency, reply.drip)),
            (timeouts.response, seconds),
            (timeouts.total, seconds),
        )
        exceeded = [limit for limit, needed in limits if limit is not None and needed > limit]
        if exceeded:
            await sleep(min(exceeded))
            raise TransportError(f"no whole response within {min(exceeded)} s")
        await sleep(reply.latency)
        if reply.response is None or reply.broken is not None:
            if reply.broken == "reset_before":
                # The reset comes when the first piece has left; of a small mail, that is all of it.
                outgoing = AsyncOutgoing(request.body)
                await anext(outgoing.__aiter__(), None)
                await outgoing.aclose()
            raise TransportError(
                _REASONS[reply.broken], body_left=reply.broken != "refused" and outgoing.left
            )
        await sleep(reply.drip * len(reply.response.body))
        received = ResponseBody(None, request.endpoint.max_response_bytes)
        received.feed(reply.response.body)
        return attrs.evolve(reply.response, body=received.finish())

    async def aclose(self) -> None:
        """Do nothing: the sandbox belongs to its maker."""


def _call(request: Request, body: bytes) -> Call:
    # A function of its own: the query holds the token, and no frame that may fail shall hold it.
    parts = urlsplit(request.full_url())
    return Call(request.method, parts.path, parts.query, body)
