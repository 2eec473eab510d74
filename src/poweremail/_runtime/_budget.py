"""
What the SMTP users have sent lately, in memory; what both worlds share of it.

A budget is asked for one request at a time and answers at once: it never waits for a window.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import ClassVar

from poweremail._policy.limits import SlidingLog, Window

__all__ = ["Budget"]


class Budget:
    """
    The budget of this object, in memory.

    *clock* answers seconds and does not go back. Safe to use from several threads, and so from
    several loops.
    """

    blocks: ClassVar[bool] = False
    """Whether `take` and `look` may have to wait for a disk or for other processes."""

    def __init__(
        self, windows: Sequence[Window], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._windows = tuple(windows)
        self._clock = clock
        self._lock = (
            threading.Lock()
        )  # held for a moment's arithmetic only, so that a loop may take it
        self._logs: dict[str, SlidingLog] = {}

    def take(self, smtp_user_name: str) -> float:
        """Book a request and return 0.0; or return in how many seconds to ask again."""
        with self._lock:
            return self._take(self._log(smtp_user_name), self._clock())

    def look(self, smtp_user_name: str, ahead: int) -> float:
        """Return in how many seconds a request may go that has *ahead* others before it."""
        return self.estimate(smtp_user_name, ahead)

    def estimate(self, smtp_user_name: str, ahead: int) -> float:
        """As `look`, and never blocks: from what this process knows."""
        with self._lock:
            return self._log(smtp_user_name).wait(self._now(), ahead)

    def _now(self) -> float:
        return self._clock()

    def _log(self, smtp_user_name: str) -> SlidingLog:
        log = self._logs.get(smtp_user_name)
        if log is None:
            log = self._logs[smtp_user_name] = SlidingLog(self._windows)
        return log

    @staticmethod
    def _take(log: SlidingLog, now: float) -> float:
        wait = log.wait(now)
        if not wait:
            log.book(now)
        return wait
