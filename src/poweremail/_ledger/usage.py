"""
The used part of an SMTP user's rate limits, as the ledger stores it.

Theory of operation. Each window, the last minute, hour and day, is a ring of buckets: runs of
requests that were booked within one second, one minute or a quarter of an hour. A run has the time
of its latest request, rounded up, and all of it counts until that request leaves the window. So a
row of some hundred numbers holds any number of requests, and it errs on the safe side: a request
counts for at most the length of a bucket longer than it must, and never shorter. A burst counts
exactly, because its requests are of one time.

Times are those of the database's clock. If that clock was set back, some runs lie in its future.
They count as of now then: as the true age of a request is not known, it is as young as possible.

How it is tested: `tests/batch/test_budgets.py` compares it with true sliding windows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

import attrs

from poweremail._policy.limits import RateLimits, Window

MARGIN_SECONDS = 0.5
"""
By how much the windows of the ledger are longer than those of the service.

A request is booked before its row is taken, and the service counts it when it arrives: after the
commit, and after the connection was made. If it arrives later than that, the service may respond
429, and the batch sends it again.
"""


@attrs.frozen
class _Ring:
    """
    A window of so many *seconds*. A run of it is at most *bucket* ticks long, and its time is a
    whole number of *tick* seconds.
    """

    seconds: float
    bucket: int
    tick: float


_RINGS = {
    "minute": _Ring(60.0 + MARGIN_SECONDS, bucket=10, tick=0.1),
    "hour": _Ring(3_600.0 + MARGIN_SECONDS, bucket=60, tick=1.0),
    "day": _Ring(86_400.0 + MARGIN_SECONDS, bucket=90, tick=10.0),
}
_NAMES = {ring.seconds: name for name, ring in _RINGS.items()}


def windows_with_margin(limits: RateLimits | None, share: float = 1.0) -> tuple[Window, ...]:
    """The windows of *limits* in the ledger, of which a *share* may be used."""
    return tuple(
        Window(max(1, int(each.limit * share)), each.seconds + MARGIN_SECONDS)
        for each in (() if limits is None else limits.windows)
    )


class Usage:
    """
    The used part at the time *now*, read from the *text* that was stored.

    All windows are kept, also those without a limit, because one may be set later.
    ``set_backs`` is how often the clock was found to be set back.
    """

    def __init__(self, text: str | None, now: float) -> None:
        stored = json.loads(text or "{}")
        self.set_backs: int = stored.get("set_backs", 0)
        self._now = now
        self._runs = {name: _read(stored.get(name, ()), ring, now) for name, ring in _RINGS.items()}
        was_set_back = False
        for name, runs in self._runs.items():
            latest = math.ceil(now / _RINGS[name].tick)
            was_set_back = was_set_back or (bool(runs) and runs[-1][0] > latest)
            for run in runs:
                run[0] = min(run[0], latest)
        self.set_backs += was_set_back

    def to_json(self) -> str:
        """Return the text to be stored: times as differences, because most of them are small."""
        stored: dict[str, object] = {"set_backs": self.set_backs} if self.set_backs else {}
        for name, runs in self._runs.items():
            before = 0
            numbers: list[int] = []
            for time, count in runs:
                numbers += (time - before, count)
                before = time
            if numbers:
                stored[name] = numbers
        return json.dumps(stored, separators=(",", ":"))

    def book(self, count: int, at: float | None = None) -> None:
        """Book so many requests, now or *at* a time that is no earlier than those booked before."""
        moment = self._now if at is None else at
        for name, ring in _RINGS.items():
            runs, time = self._runs[name], math.ceil(moment / ring.tick)
            if moment <= self._now - ring.seconds:
                continue
            if runs and runs[-1][0] // ring.bucket >= time // ring.bucket:
                runs[-1][0] = max(runs[-1][0], time)
                runs[-1][1] += count
            else:
                runs.append([time, count])

    def give_back(self, time: float, count: int, set_backs: int) -> bool:
        """
        Undo a booking of so many requests at *time*, when ``set_backs`` was *set_backs*.

        Returns whether anything was undone: after the clock was set back, the run is not known.
        """
        if set_backs != self.set_backs:
            return False
        undone = False
        for name, ring in _RINGS.items():
            bucket = math.ceil(time / ring.tick) // ring.bucket
            for run in reversed(self._runs[name]):
                if run[0] // ring.bucket == bucket:
                    run[1] = max(0, run[1] - count)
                    undone = True
                    break
            self._runs[name] = [run for run in self._runs[name] if run[1]]
        return undone

    def room(self, windows: Iterable[Window], wanted: int) -> int:
        """Return how many of the *wanted* requests all *windows* allow now."""
        room = wanted
        for window in windows:
            used = sum(count for _, count in self._runs[_NAMES[window.seconds]])
            room = min(room, window.limit - used)
        return max(0, room)

    def wait(self, windows: Iterable[Window]) -> float:
        """Return the seconds until all *windows* allow a request."""
        wait = 0.0
        for window in windows:
            name = _NAMES[window.seconds]
            runs, tick = self._runs[name], _RINGS[name].tick
            used = sum(count for _, count in runs)
            for time, count in runs:
                if used < window.limit:
                    break
                used -= count
                wait = max(wait, time * tick + window.seconds - self._now)
        return wait

    def ages(self, window: Window) -> list[tuple[float, int]]:
        """The runs in *window*, the latest first: age in seconds and number of requests."""
        name = _NAMES[window.seconds]
        tick = _RINGS[name].tick
        return [
            (max(0.0, self._now - time * tick), count) for time, count in reversed(self._runs[name])
        ]


def _read(numbers: Sequence[int], ring: _Ring, now: float) -> list[list[int]]:
    """The runs that are still in the window of *ring*: pairs of time in ticks and count."""
    runs: list[list[int]] = []
    time = 0
    since = now - ring.seconds
    for difference, count in zip(numbers[::2], numbers[1::2], strict=True):
        time += difference
        if time * ring.tick > since:
            runs.append([time, count])
    return runs
