"""How long a batch will take: as fast as it goes, and no faster than the limits allow."""

from __future__ import annotations

import math
from collections import deque

from poweremail.policy.limits import RateLimits

__all__ = ["Pace", "least_seconds"]

_LOOKED_BACK = 60.0


def least_seconds(mails: int, limits: RateLimits | None, smtp_users: int = 1) -> float:
    """In how many seconds so many *mails* can have begun at the earliest, where each of the *smtp_users* has a fresh budget."""
    if limits is None or mails <= 0:
        return 0.0
    each = math.ceil(mails / max(smtp_users, 1))
    return max(((each - 1) // window.limit * window.seconds for window in limits.windows), default=0.0)


class Pace:
    """How fast a number grows, over the last minute: it is told the time in seconds, and the number."""

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
        return max(0.0, (self._seen[-1][1] - self._seen[0][1]) / (self._seen[-1][0] - self._seen[0][0]))

    def seconds_for(self, more: int) -> float | None:
        """In how many seconds it will have grown by so much; None where nothing moves."""
        return more / self.per_second if self.per_second else None
