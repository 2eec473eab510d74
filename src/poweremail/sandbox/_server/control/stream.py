"""The changes of the mails as server-sent events, while they happen."""

from __future__ import annotations

import json
import re
import time
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException
from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from poweremail.sandbox._server.control import Control
from poweremail.sandbox._server.control.requests import ControlOf, ControlRoute
from poweremail.sandbox._server.headers import DATA_HEADERS, encode_headers
from poweremail.sandbox._server.protocol import disconnected
from poweremail.sandbox._store.changes import Changes

__all__ = ["MAX_STREAMS", "router"]

MAX_STREAMS = 32

# Changes are noted on any thread, and none of them wakes a stream.
_POLL_SECONDS = 0.1
# A proxy in between would take a silent connection for a dead one.
_HEARTBEAT_SECONDS = 15.0

router = APIRouter(tags=["Messages"], route_class=ControlRoute)


@router.get(
    "/stream",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def stream(control: ControlOf, last_event_id: Annotated[str, Header()] = "") -> Response:
    """
    Follow the mails by server-sent events: caught, changed, deleted (with the mail's number),
    cleared, and refetch if some were missed.
    """
    if control.streams >= MAX_STREAMS:
        raise HTTPException(503, f"{MAX_STREAMS} streams are open already")
    return _Stream(control, last_event_id)


class _Stream(Response):
    """
    The changes since the event of *last_id*, or from now on if it is empty.

    If *last_id* is unknown, or so old that changes after it are forgotten, the first event is
    ``refetch``.
    """

    def __init__(self, control: Control, last_id: str) -> None:
        super().__init__()
        self._control = control
        self._changes = control.service.store.changes
        self._last_id = last_id

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client disconnects."""
        self._control.streams += 1
        try:
            await self._follow(receive, send)
        finally:
            self._control.streams -= 1

    async def _follow(self, receive: Receive, send: Send) -> None:
        headers = encode_headers({**DATA_HEADERS, "Content-Type": "text/event-stream"}.items())
        # Before the client can know that it listens: it may then make changes at once.
        position = _position(self._changes, self._last_id)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        # A client without an id gets one by an event without data.
        text = "retry: 1000\n\n" if self._last_id else f"retry: 1000\n{self._id(position)}data:\n\n"
        sent_at = time.monotonic()
        while True:
            if self._changes.last != position:
                changes = self._changes.since(position)
                position = self._changes.last if changes is None else changes[-1].position
                if changes is None:
                    text += self._event(position, "refetch", None)
                for change in changes or ():
                    text += self._event(change.position, change.kind, change.number)
            elif time.monotonic() - sent_at > _HEARTBEAT_SECONDS:
                text += ": heartbeat\n\n"
            if text:
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
                sent_at, text = time.monotonic(), ""
            if await disconnected(receive, _POLL_SECONDS):
                return

    def _event(self, position: int, kind: str, number: int | None) -> str:
        data = json.dumps({"number": number})
        return f"{self._id(position)}event: {kind}\ndata: {data}\n\n"

    def _id(self, position: int) -> str:
        return f"id: {self._changes.run}-{position}\n"


def _position(changes: Changes, last_id: str) -> int:
    """Return the position to go on from: -1, which is forgotten, if the id is of another run."""
    if not last_id:
        return changes.last
    found = re.fullmatch(rf"{re.escape(changes.run)}-([0-9]{{1,15}})", last_id)
    return int(found[1]) if found else -1
