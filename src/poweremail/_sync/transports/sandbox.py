# Generated from src/poweremail/_async/transports/sandbox.py; do not edit.
"""The adapter to a sandbox in this process: no socket, and faults that look as they do on one."""

from __future__ import annotations

import math
from typing import Protocol
from urllib.parse import urlsplit

import attrs

from poweremail._response import Response
from poweremail._runtime._sync import sleep
from poweremail._sync.transports.base import Outgoing
from poweremail._wire.http import Request, ResponseBody
from poweremail.errors import TransportError
from poweremail.sandbox._api.call import Call, Reply
from poweremail.sandbox._faults.rules import Turn

__all__ = ["SandboxTransport"]


class _Service(Protocol):
    def arrive(self, path: str) -> Turn: ...

    def handle(self, call: Call, turn: Turn | None = None) -> Reply: ...


class SandboxTransport:
    """Hand requests to the *service* of a `poweremail.sandbox.Sandbox`."""

    def __init__(self, service: _Service) -> None:
        self._service = service

    def handle(self, request: Request) -> Response:
        """Let the service answer *request*; wait, break off and time out as its reply says."""
        outgoing = Outgoing(request.body)
        turn = self._service.arrive(urlsplit(request.url).path)
        try:
            body = b"" if turn.effect.before_body else b"".join(list(outgoing))
        finally:
            outgoing.close()
        reply = self._service.handle(_call(request, body), turn)
        patience = request.endpoint.timeouts.read
        limit = math.inf if patience is None else patience
        # As on a socket, the read timeout counts from one byte to the next.
        if max(reply.latency, reply.drip) > limit:
            sleep(limit)
            raise TransportError(f"no answer within {limit} s")
        sleep(reply.latency)
        if reply.response is None or reply.broken is not None:
            if reply.broken == "reset_before":
                # By the time the reset comes, the first piece is under way; of a small mail that is
                # all of it.
                next(outgoing.__iter__(), None)
                outgoing.close()
            raise TransportError(
                _BROKEN[reply.broken], body_left=reply.broken != "refused" and outgoing.left
            )
        sleep(reply.drip * len(reply.response.body))
        answer = ResponseBody(None, request.endpoint.max_response_bytes)
        answer.feed(reply.response.body)
        return attrs.evolve(reply.response, body=answer.finish())

    def close(self) -> None:
        """Do nothing: the sandbox belongs to whoever made it."""


_BROKEN = {
    "refused": "connection refused",
    "reset_before": "connection reset before the body was read",
    "reset_after": "connection reset before an answer came",
    "stalled": "connection closed without an answer",
    "truncated": "connection closed in the middle of the answer",
    None: "no answer",
}


def _call(request: Request, body: bytes) -> Call:
    """
    What arrives at the service; a function of its own, so that the query with the token is in no
    frame that can fail.
    """
    parts = urlsplit(request.full_url())
    return Call(request.method, parts.path, parts.query, body)
