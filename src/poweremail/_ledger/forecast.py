"""How long mails take at least within the limits of their SMTP users, after all that was sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import repeat

import attrs
from sqlalchemy import Connection, bindparam, select

from poweremail._ledger.clock import Clock
from poweremail._ledger.schema import smtp_users
from poweremail._ledger.usage import Usage, windows_with_margin
from poweremail._policy.limits import RateLimits, Window

_ETA_PRECISION_SECONDS = 0.01

_READ_USED = select(Clock().label("now"), smtp_users.c.used).where(
    smtp_users.c.name == bindparam("user")
)


@attrs.frozen
class BudgetUsed:
    """
    The used part of an SMTP user's *windows*.

    *ages*: for each window, how many seconds ago how many requests were booked, the latest first.
    """

    windows: tuple[Window, ...]
    ages: tuple[Sequence[tuple[float, int]], ...]


def read_used(connection: Connection, name: str, limits: RateLimits | None) -> BudgetUsed:
    """Read how much of its *limits* the SMTP user *name* has used, in all batches."""
    windows = windows_with_margin(limits)
    row = connection.execute(_READ_USED, {"user": name}).one_or_none()
    usage = Usage(None, 0.0) if row is None else Usage(row.used, row.now)
    return BudgetUsed(windows, tuple(usage.ages(window) for window in windows))


def least_seconds(mails: int, used: Sequence[BudgetUsed]) -> float:
    """
    Return the earliest time, in seconds from now, at which so many *mails* can have begun.

    Each window is considered alone: with several windows it may take longer, but never shorter.
    """
    if mails <= 0 or not used or not all(each.windows for each in used):
        return 0.0

    def mails_after(seconds: float) -> int:
        return sum(min(map(_room, each.windows, each.ages, repeat(seconds))) for each in used)

    low, high = 0.0, 0.0
    while mails_after(high) < mails:
        low, high = high, 2 * high or 1.0
    while high - low > _ETA_PRECISION_SECONDS:
        middle = (low + high) / 2
        low, high = (low, middle) if mails_after(middle) >= mails else (middle, high)
    return high


def _room(window: Window, ages: Iterable[tuple[float, int]], seconds: float) -> int:
    """Return how many requests can begin within *seconds*, after those of the given *ages*."""
    whole_windows, rest_seconds = divmod(seconds, window.seconds)
    used = sum(count for age, count in ages if age < window.seconds - rest_seconds)
    return (int(whole_windows) + 1) * window.limit - min(used, window.limit)
