"""Which requests the budgets have let go, and when."""

from __future__ import annotations

from poweremail._runtime._budget import Budget


def record(monkeypatch) -> list[float]:
    """
    Return a list that every budget of this process adds the moments to that it books, by its own
    clock.
    """
    booked: list[float] = []
    take = Budget._take

    def recording(log, now):
        wait = take(log, now)
        if not wait:
            booked.append(now)
        return wait

    monkeypatch.setattr(Budget, "_take", staticmethod(recording))
    return booked


def exceeds(times, windows) -> bool:
    """Whether any window has more of *times* than its limit."""
    times = sorted(times)
    # Sums of seconds since 1970 are exact to less than a microsecond.
    return any(
        b - a < window.seconds - 1e-6
        for window in windows
        for a, b in zip(times, times[window.limit :], strict=False)
    )
