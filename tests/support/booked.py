"""Records the bookings of the rate limits."""

from __future__ import annotations

from poweremail._policy.limits import SlidingLog


def record(monkeypatch) -> list[float]:
    """Return a list of the times that the budgets of this process book, each by its own clock."""
    booked: list[float] = []
    acquire = SlidingLog.acquire

    def recording(log, now):
        wait = acquire(log, now)
        if not wait:
            booked.append(now)
        return wait

    monkeypatch.setattr(SlidingLog, "acquire", recording)
    return booked


def exceeds(times, windows) -> bool:
    """Return whether more of *times* are in any window than its limit."""
    times = sorted(times)
    # Sums of seconds since 1970 are exact to less than a microsecond.
    return any(
        b - a < window.seconds - 1e-6
        for window in windows
        for a, b in zip(times, times[window.limit :], strict=False)
    )
