"""
Remember which events have been handled.

The service sends a batch again until the response is 200, and signs no time, so a repeated event is
recognised by its id alone. An event counts as handled only after its handler has ended: if it
counted earlier, a crash would lose it. So a store has two steps:

- `claim`, before the handler. ``"new"``: handle the event. ``"seen"``: it was handled. ``"busy"``:
  another thread or process is handling it. Its outcome is not certain, so the response makes the
  service send the POST again.
- `confirm` after the handler, or `release` if the handler failed.

The promise is *at least once*. An event is handled again if a crash stopped its handler, or if the
store could not be written afterwards. An event that was not handled never counts as handled.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, Protocol

from poweremail._types.checks import is_whole, require, require_seconds

Claim = Literal["new", "busy", "seen"]
"""The reply of a store: the event is yours, another process has it, or it was handled."""

WEEK = 7 * 24 * 3600.0
"""Seconds for which an event is remembered by default: longer than senders commonly retry."""


class SeenStore(Protocol):
    """
    The store of a receiver. One store serves one webhook, in any number of threads.

    A store may block: a receiver on an event loop calls it in a thread. If a method raises, the
    error is logged and the service sends the event again.
    """

    def claim(self, event_id: str, /) -> Claim:
        """Claim the event with this id, unless it is handled or claimed already."""
        ...

    def confirm(self, event_id: str, /) -> None:
        """Remember a claimed event as handled."""
        ...

    def release(self, event_id: str, /) -> None:
        """Release a claimed event that was not handled."""
        ...


class MemorySeenStore:
    """
    Remembers the events of this process. It forgets them at a restart, and processes do not share
    them; `SqliteSeenStore` is for that.

    - *max_ids*: the most events that are remembered, 100,000 by default; the oldest go first.
    - *ttl*: the seconds for which an event is remembered, a week by default.
    - *clock*: returns seconds that never decrease.

    Raises `ConfigurationError` if *max_ids* or *ttl* is no number above 0.
    """

    def __init__(
        self,
        max_ids: int = 100_000,
        ttl: float = WEEK,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        require("max_ids", max_ids, "1 or more", is_whole(max_ids, 1))
        require_seconds("ttl", ttl)
        self._max_ids = max_ids
        self._ttl = ttl
        self._clock = clock
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._seen: OrderedDict[str, float] = OrderedDict()  # id -> expiry, oldest first

    def __len__(self) -> int:
        """Return how many events are remembered as handled."""
        return len(self._seen)

    def claim(self, event_id: str, /) -> Claim:
        """Implement `SeenStore`."""
        with self._lock:
            self._forget_expired()
            if event_id in self._seen:
                return "seen"
            if event_id in self._busy:
                return "busy"
            self._busy.add(event_id)
            return "new"

    def confirm(self, event_id: str, /) -> None:
        """Implement `SeenStore`."""
        with self._lock:
            self._busy.discard(event_id)
            self._seen[event_id] = self._clock() + self._ttl
            self._seen.move_to_end(event_id)
            if len(self._seen) > self._max_ids:
                self._seen.popitem(last=False)

    def release(self, event_id: str, /) -> None:
        """Implement `SeenStore`."""
        with self._lock:
            self._busy.discard(event_id)

    def _forget_expired(self) -> None:
        now = self._clock()
        while self._seen and next(iter(self._seen.values())) <= now:
            self._seen.popitem(last=False)
