"""How long something has taken: by a clock of this process, or by that of the database."""

from __future__ import annotations

import time

__all__ = ["awake", "passed"]


def awake() -> float:
    """
    Seconds since some moment, on a clock that goes on while the machine sleeps.

    `time.monotonic` stands still then, and a lease does not.
    """
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() if boot is None else time.clock_gettime(boot)


def passed(since: float, now: float, seconds: float) -> bool:
    """
    Whether more than so many *seconds* lie between two times of a clock that may be set back: then
    nobody knows, and it is time.

    Otherwise what is due every few seconds would not happen until the clock has caught up.
    """
    return abs(now - since) > seconds
