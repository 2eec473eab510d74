"""How long a batch will take: as fast as it goes, and no faster than the limits allow."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from poweremail._ledger.rate_limits import Spent
    from poweremail._policy.limits import Window

__all__ = ["Pace", "least_seconds"]

_LOOKED_BACK = 60.0
_EXACT = 0.01


def least_seconds(mails: int, budgets: Sequence[Spent]) -> float:
    """
    In how many seconds so many *mails* can have begun at the earliest, where SMTP users have used
    so much of their *budgets*.

    Each window is looked at alone: where several hold it may take longer, never shorter.
    """
    if mails <= 0 or not all(each.windows for each in budgets):
        return 0.0

    def enough(seconds: float) -> bool:
        return (
            sum(
                min(_room(window, each.ages, seconds) for window in each.windows)
                for each in budgets
            )
            >= mails
        )

    if not budgets or enough(0.0):
        return 0.0
    least, most = 0.0, 1.0
    while not enough(most):
        least, most = most, 2 * most
    while most - least > _EXACT:
        middle = (least + most) / 2
        least, most = (least, middle) if enough(middle) else (middle, most)
    return most


def _room(window: Window, ages: Sequence[float], seconds: float) -> int:
    """
    How many requests can have gone in so many *seconds*, after those that went at *ages*, the
    latest first.
    """
    whole, rest = divmod(seconds, window.seconds)
    used = bisect_left(ages, window.seconds - rest, hi=min(window.limit, len(ages)))
    return (int(whole) + 1) * window.limit - used


class Pace:
    """
    How fast a number grows, over the last minute: it is told the time in seconds, and the number.
    """

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def note(self, now: float, number: int) -> None:
        """The number is so much *now*."""
        self._seen.append((now, number))
        while len(self._seen) > 2 and now - self._seen[0][0] > _LOOKED_BACK:  # noqa: PLR2004  a pace is between two
            self._seen.popleft()

    @property
    def per_second(self) -> float:
        """By how much it grew each second; 0.0 as long as that cannot be said."""
        if not self._seen or self._seen[-1][0] <= self._seen[0][0]:
            return 0.0
        return max(
            0.0, (self._seen[-1][1] - self._seen[0][1]) / (self._seen[-1][0] - self._seen[0][0])
        )

    def seconds_for(self, more: int) -> float | None:
        """In how many seconds it will have grown by so much; None where nothing moves."""
        return more / self.per_second if self.per_second else None
