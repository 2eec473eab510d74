"""
Which events have been handled already.

The service sends a batch again until it is answered 200, and signs no time: an event that comes
twice is known by its id alone. It counts as seen once its handler has come to its end, not before:
a crash in between would lose it. So a store is asked twice:

- `claim` before the handler. ``"new"`` means: handle it; ``"seen"``: it was handled; ``"busy"``:
  another thread or process is at it, so it is neither handled nor certain to be, and the POST is
  answered such that it comes again.
- `confirm` after it, or `release` where it failed.

What is promised is *at least once*: an event whose handler was cut off by a crash, or came to its
end while the store could not be written, is handled again. Never is one taken for handled that was
not.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, Protocol

from poweremail.errors import UsageError

__all__ = ["WEEK", "Claim", "MemorySeenStore", "SeenStore"]

Claim = Literal["new", "busy", "seen"]

WEEK = 7 * 24 * 3600.0
"""
Seconds for which an event is remembered, unless told otherwise: longer than senders commonly try.
"""


class SeenStore(Protocol):
    """
    What a receiver needs to know an event again. One store serves one webhook, in any number of
    threads.

    A store may block; a receiver on an event loop calls it from a thread. What it raises is logged,
    and the event comes again.
    """

    def claim(self, event_id: str, /) -> Claim:
        """Take the event with this id, if nobody has it."""
        ...

    def confirm(self, event_id: str, /) -> None:
        """Remember a claimed event as handled."""
        ...

    def release(self, event_id: str, /) -> None:
        """Give a claimed event back: it has not been handled."""
        ...


class MemorySeenStore:
    """
    The last events of this process: at most *max_ids*, for at most *ttl* seconds.

    A restart forgets them, and processes do not know of each other; `SqliteSeenStore` is for these.
    *clock* answers seconds that only grow.
    """

    def __init__(
        self,
        max_ids: int = 100_000,
        ttl: float = WEEK,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        for name, value in (("max_ids", max_ids), ("ttl", ttl)):
            if not value > 0:
                raise UsageError(f"must be more than 0, not {value!r}", field=name, mail_state=None)
        self._max_ids = max_ids
        self._ttl = ttl
        self._clock = clock
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._seen: OrderedDict[str, float] = OrderedDict()  # id -> until when, the oldest first

    def __len__(self) -> int:
        """How many events are remembered as handled."""
        return len(self._seen)

    def claim(self, event_id: str, /) -> Claim:
        """See `SeenStore`."""
        with self._lock:
            self._forget_the_old()
            if event_id in self._seen:
                return "seen"
            if event_id in self._busy:
                return "busy"
            self._busy.add(event_id)
            return "new"

    def confirm(self, event_id: str, /) -> None:
        """See `SeenStore`."""
        with self._lock:
            self._busy.discard(event_id)
            self._seen[event_id] = self._clock() + self._ttl
            self._seen.move_to_end(event_id)
            if len(self._seen) > self._max_ids:
                self._seen.popitem(last=False)

    def release(self, event_id: str, /) -> None:
        """See `SeenStore`."""
        with self._lock:
            self._busy.discard(event_id)

    def _forget_the_old(self) -> None:
        now = self._clock()
        while self._seen and next(iter(self._seen.values())) <= now:
            self._seen.popitem(last=False)
