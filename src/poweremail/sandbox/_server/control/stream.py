"""
The changes of the mails: as server-sent events while they happen, or by a poll.

A proxy may hold back a stream until so many bytes have come, or until it ends. The header
``X-Accel-Buffering`` switches that off in nginx. Elsewhere the page notices that the stream is
silent, and polls.
"""

from __future__ import annotations

import json
import re
import time
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Query
from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from poweremail.sandbox._server.control import Control, replies
from poweremail.sandbox._server.control.requests import ControlOf, ControlRoute, ServiceOf
from poweremail.sandbox._server.headers import DATA_HEADERS
from poweremail.sandbox._server.protocol import disconnected
from poweremail.sandbox._store.changes import Change, Changes

MAX_STREAMS = 32

# Changes are noted on any thread, and none of them wakes a stream.
_POLL_SECONDS = 0.1
# A proxy in between would take a silent connection for a dead one, and so does the page.
_HEARTBEAT_SECONDS = 15.0

_HEADERS = Headers({**DATA_HEADERS, "Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})

router = APIRouter(tags=["Messages"], route_class=ControlRoute)


@router.get(
    "/stream",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def stream(control: ControlOf, last_event_id: Annotated[str, Header()] = "") -> Response:
    """
    Follow the mails by server-sent events: caught, changed, deleted (with the mail's number),
    cleared, and refetch if some were missed. A heartbeat comes every 15 seconds.
    """
    if control.streams >= MAX_STREAMS:
        raise HTTPException(503, f"{MAX_STREAMS} streams are open already")
    return _Stream(control, last_event_id)


@router.get("/changes", response_model=replies.Changes)
async def changes(
    service: ServiceOf,
    since: Annotated[str, Query(description="the last of the previous response")] = "",
) -> Any:
    """
    Return the changes of the mails since the previous call, for clients that cannot use a stream.
    """
    noted = service.store.changes
    last, found = _since(noted, _position(noted, since))
    return {"last": f"{noted.run}-{last}", "changes": found}


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
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS.raw})
        # The first event goes out at once: it shows that no proxy holds the stream back. It has no
        # data, but an id to go on from.
        sent_at, text = time.monotonic(), ": stream\nretry: 1000\n"
        if position >= 0:
            text += f"id: {changes.run}-{position}\n"
        text += "data:\n\n"
        while True:
            if changes.last != position:
                position, found = _since(changes, position)
                for change in found:
                    data = json.dumps({"number": change.number})
                    text += f"id: {changes.run}-{change.position}\n"
                    text += f"event: {change.kind}\ndata: {data}\n\n"
            elif time.monotonic() - sent_at > _HEARTBEAT_SECONDS:
                text += "event: heartbeat\ndata:\n\n"
            if text:
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
                sent_at, text = time.monotonic(), ""
            if await disconnected(receive, _POLL_SECONDS):
                return


def _since(changes: Changes, position: int) -> tuple[int, list[Change]]:
    """Return the last position, and the changes after *position*, or one that says ``refetch``."""
    found = changes.since(position)
    if found is None:
        found = [Change(changes.last, "refetch", None)]
    return (found[-1].position if found else position), found


def _position(changes: Changes, last_id: str) -> int:
    """Return the position to go on from: -1, which is forgotten, if the id is not of this run."""
    if not last_id:
        return changes.last
    found = re.fullmatch(rf"{re.escape(changes.run)}-([0-9]{{1,15}})", last_id)
    position = int(found[1]) if found else -1
    return position if position <= changes.last else -1
