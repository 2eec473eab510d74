"""
The budget of rate limits in memory, for both the async and the sync client.

A budget books one request at a time and never waits for a window; the limiter waits. The subclass
`FileBudget` keeps the bookings in a file.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

from poweremail._policy.limits import SlidingLog, Window


class Budget:
    """
    The bookings of each SMTP user. Safe to use from several threads and event loops.

    *clock*: returns seconds that never decrease.
    """

    blocks: ClassVar[bool] = False
    """True if `acquire` and `expected_wait` may wait for a disk or for other processes."""

    def __init__(
        self, windows: Sequence[Window], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._windows = tuple(windows)
        self._clock = clock
        # Held for a few microseconds of arithmetic only, so an event loop may wait for it.
        self._lock = threading.Lock()
        self._logs: defaultdict[str, SlidingLog] = defaultdict(partial(SlidingLog, self._windows))

    def acquire(self, smtp_user_name: str) -> float:
        """Book a request and return 0.0, or return the seconds until one may be sent."""
        with self._lock:
            return self._logs[smtp_user_name].acquire(self._clock())

    def expected_wait(self, smtp_user_name: str, ahead: int) -> float:
        """Return the seconds until a request with *ahead* others before it may be sent."""
        return self.estimate(smtp_user_name, ahead)

    def estimate(self, smtp_user_name: str, ahead: int) -> float:
        """As `expected_wait`, but without blocking: by the bookings that this process knows."""
        with self._lock:
            return self._logs[smtp_user_name].wait(self._now(), ahead)

    def _now(self) -> float:
        return self._clock()
