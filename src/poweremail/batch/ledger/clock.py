"""A clock for how long this process has had something in hand."""

from __future__ import annotations

import time

__all__ = ["awake"]


def awake() -> float:
    """
    Seconds since some moment, on a clock that goes on while the machine sleeps.

    `time.monotonic` stands still then, and a lease does not.
    """
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() if boot is None else time.clock_gettime(boot)
