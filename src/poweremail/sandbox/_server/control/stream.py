"""What happens to the mails, as it happens: server-sent events."""

from __future__ import annotations

import json
import time

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from poweremail.sandbox._server.connection import gone
from poweremail.sandbox._server.control.headers import DATA_HEADERS
from poweremail.sandbox._server.control.operations import error
from poweremail.sandbox._store.changes import Changes

__all__ = ["MOST_STREAMS", "Stream"]

MOST_STREAMS = 32
"""So many may listen at the same time."""

_LOOK_EVERY = 0.1
"""
Seconds between two looks: what came meanwhile goes out together. It is noted on any thread, and
nobody is woken up for it.
"""

_SILENCE = 15.0
"""
Seconds after which something is said, so that whoever is between does not take the connection for
dead.
"""


class Stream:
    """
    The *changes* as events named after their kind, each with the mail's number, if it is about one.

    Who comes back with the id of the last event it got is told what it missed, or, where that is
    forgotten, ``refetch``.
    """

    def __init__(self, changes: Changes) -> None:
        self._changes = changes
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell until the client goes away."""
        if scope["method"] != "GET":
            await error(405, "this path takes GET", {"Allow": "GET"})(scope, receive, send)
        elif self._open >= MOST_STREAMS:
            await error(503, f"{MOST_STREAMS} streams are open already")(scope, receive, send)
        else:
            self._open += 1
            try:
                await self._tell(Headers(scope=scope).get("last-event-id", ""), receive, send)
            finally:
                self._open -= 1

    async def _tell(self, last_id: str, receive: Receive, send: Send) -> None:
        headers = {**DATA_HEADERS, "Content-Type": "text/event-stream"}
        encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        # Before the listener can know that it listens: what it then makes happen is news.
        position = self._position(last_id)
        await send({"type": "http.response.start", "status": 200, "headers": encoded})
        # The empty event gives an id to who has none yet.
        text = (
            f"retry: 1000\nid: {self._id(position)}\ndata:\n\n"
            if not last_id
            else "retry: 1000\n\n"
        )
        said = time.monotonic()
        while True:
            if self._changes.last != position:
                position, news = self._news(position)
                text += news
            elif time.monotonic() - said > _SILENCE:
                text += ": still here\n\n"
            if text:
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
                said, text = time.monotonic(), ""
            if await gone(receive, _LOOK_EVERY):
                return

    def _position(self, last_id: str) -> int:
        """Where to go on: -1, which nobody remembers, where the id is of another run."""
        if not last_id:
            return self._changes.last
        run, _, position = last_id.partition("-")
        known = (
            run == self._changes.run
            and position.isascii()
            and position.isdecimal()
            and len(position) < 16  # noqa: PLR2004
        )
        return int(position) if known else -1

    def _news(self, position: int) -> tuple[int, str]:
        changes = self._changes.since(position)
        if changes is None:
            last = self._changes.last
            return last, f"id: {self._id(last)}\nevent: refetch\ndata: {{}}\n\n"
        texts = [
            f"id: {self._id(change.position)}\nevent: {change.kind}\ndata: "
            f"{json.dumps({'number': change.number})}\n\n"
            for change in changes
        ]
        return changes[-1].position if changes else position, "".join(texts)

    def _id(self, position: int) -> str:
        return f"{self._changes.run}-{position}"
