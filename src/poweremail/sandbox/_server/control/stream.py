"""The changes of the mails as server-sent events, while they happen."""

from __future__ import annotations

import json
import re
import time
from typing import Annotated

from fastapi import APIRouter, Header, HTTPException
from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from poweremail.sandbox._server.control import Control
from poweremail.sandbox._server.control.requests import ControlOf, ControlRoute
from poweremail.sandbox._server.headers import DATA_HEADERS
from poweremail.sandbox._server.protocol import disconnected
from poweremail.sandbox._store.changes import Change, Changes

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
        self._last_id = last_id

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the client disconnects."""
        self._control.streams += 1
        try:
            await self._follow(self._control.service.store.changes, receive, send)
        finally:
            self._control.streams -= 1

    async def _follow(self, changes: Changes, receive: Receive, send: Send) -> None:
        # Before the client can know that it listens: it may then make changes at once.
        position = _position(changes, self._last_id)
        headers = Headers({**DATA_HEADERS, "Content-Type": "text/event-stream"})
        await send({"type": "http.response.start", "status": 200, "headers": headers.raw})
        sent_at, text = time.monotonic(), "retry: 1000\n\n"
        if not self._last_id:
            # An event without data gives the client an id.
            text += f"id: {changes.run}-{position}\ndata:\n\n"
        while True:
            if changes.last != position:
                found = changes.since(position)
                if found is None:
                    found = [Change(changes.last, "refetch", None)]
                for change in found:
                    position, data = change.position, json.dumps({"number": change.number})
                    text += f"id: {changes.run}-{position}\nevent: {change.kind}\ndata: {data}\n\n"
            elif time.monotonic() - sent_at > _HEARTBEAT_SECONDS:
                text += ": heartbeat\n\n"
            if text:
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
                sent_at, text = time.monotonic(), ""
            if await disconnected(receive, _POLL_SECONDS):
                return


def _position(changes: Changes, last_id: str) -> int:
    """Return the position to go on from: -1, which is forgotten, if the id is of another run."""
    if not last_id:
        return changes.last
    found = re.fullmatch(rf"{re.escape(changes.run)}-([0-9]{{1,15}})", last_id)
    return int(found[1]) if found else -1
