"""
The rate limits of a batch, counted in the ledger: one budget for each SMTP user, shared by all
processes and hosts.

Theory of operation. Each worker keeps the sliding logs of its SMTP users in memory, as copies of
the bookings in the ledger. Each of its transactions first locks the rows of the limited SMTP users,
then reads the bookings that others have added since, and then books its own. So no two workers book
at once, and a step reads only what is new. If a transaction fails, its bookings do not exist, and
the copies are discarded. The arithmetic of windows is that of `SlidingLog`.

A 429 is shared in the same way: the SMTP user waits until a time that is in its row, for twice as
long after each refusal in a row, until a mail is accepted again.

The invariant: in no window do the committed bookings of an SMTP user exceed its limit, whoever
books. Why not a budget for each worker: their number changes, and a share that its worker does not
use would be lost.

How it is tested: `tests/batch/test_ledger.py` (``TestBudget``) moves bookings and refusals by hand,
`tests/batch/test_processes.py` has processes book at the same time.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import attrs
from sqlalchemy import Connection, delete, insert, select, update

from poweremail._ledger.database import Clock, elapsed
from poweremail._ledger.options import limits_of
from poweremail._ledger.schema import bookings, insert_new, smtp_users
from poweremail._policy.limits import RateLimits, SlidingLog, Window

__all__ = ["MARGIN_SECONDS", "BudgetUsed", "Budgets", "least_seconds", "read_used"]

MARGIN_SECONDS = 0.5
"""
By how much the windows of the ledger are longer than those of the service.

A request is booked when its row is taken, and the service counts it when it arrives: after the
commit, and after the connection was made. If it arrives later than that, the service may respond
429, and the batch sends it again.
"""

_LONGEST_WINDOW_SECONDS = 86_400.0 + MARGIN_SECONDS
_REFUSALS_READ_INTERVAL_SECONDS = 0.2
_MAX_BACKOFF_SECONDS = 60.0  # the shortest window of the service is a minute
_MAX_REFUSALS_COUNTED = 16  # the backoff has reached its maximum long before
_ETA_PRECISION_SECONDS = 0.01


@attrs.frozen
class BudgetUsed:
    """
    The used part of an SMTP user's *windows*.

    *ages*: how many seconds ago each request was booked, the latest first.
    """

    windows: tuple[Window, ...]
    ages: tuple[float, ...]


def read_used(
    connection: Connection, now: float, name: str, limits: RateLimits | None
) -> BudgetUsed:
    """Read how much of its *limits* the SMTP user *name* has used, in all batches."""
    windows = _windows(limits)
    since = now - max((window.seconds for window in windows), default=0.0)
    found = select(bookings.c.time, bookings.c.count).where(
        bookings.c.smtp_user_name == name, bookings.c.time > since
    )
    ages = [max(0.0, now - time) for time, count in connection.execute(found) for _ in range(count)]
    return BudgetUsed(windows, tuple(sorted(ages)))


def least_seconds(mails: int, used: Sequence[BudgetUsed]) -> float:
    """
    Return the earliest time, in seconds from now, at which so many *mails* can have begun.

    Each window is considered alone: with several windows it may take longer, but never shorter.
    """
    if mails <= 0 or not used or not all(each.windows for each in used):
        return 0.0

    def mails_after(seconds: float) -> int:
        return sum(
            min(_room(window, each.ages, seconds) for window in each.windows) for each in used
        )

    low, high = 0.0, 0.0
    while mails_after(high) < mails:
        low, high = high, 2 * high or 1.0
    while high - low > _ETA_PRECISION_SECONDS:
        middle = (low + high) / 2
        low, high = (low, middle) if mails_after(middle) >= mails else (middle, high)
    return high


def _room(window: Window, ages: Sequence[float], seconds: float) -> int:
    """Return how many requests can begin within *seconds*, after those of the given *ages*."""
    whole_windows, rest_seconds = divmod(seconds, window.seconds)
    used = bisect_left(ages, window.seconds - rest_seconds, hi=min(window.limit, len(ages)))
    return (int(whole_windows) + 1) * window.limit - used


def _windows(limits: RateLimits | None) -> tuple[Window, ...]:
    windows = () if limits is None else limits.windows
    return tuple(Window(each.limit, each.seconds + MARGIN_SECONDS) for each in windows)


@attrs.define
class _SmtpUser:
    """
    The copy of an SMTP user's row and bookings.

    *last_booking*: the id of the last booking in *log*.
    *time*: the time of the log. It stands still while a clock that was set back catches up.
    *stored*: its limits as the ledger stores them.
    """

    windows: tuple[Window, ...]
    log: SlidingLog
    last_booking: int = 0
    time: float = 0.0
    refused_until: float = 0.0
    refusals: int = 0
    stored: str | None = None

    def wait(self, now: float) -> float:
        return max(self.refused_until - now, self.log.wait(self.time))


class Budgets:
    """
    Decides which of the SMTP users *names* sends next, and books it, within a transaction of the
    caller.

    Among those that may send, the one with the fewest mails in work is next.
    """

    def __init__(self, names: Sequence[str], limits: Mapping[str, RateLimits]) -> None:
        self._limits = {name: _windows(limits.get(name)) for name in names}
        self._limited = sorted(name for name, windows in self._limits.items() if windows)
        self.discard_copies()

    def discard_copies(self) -> None:
        """Discard the copies: the bookings of a transaction that failed do not exist."""
        self._users = {
            name: _SmtpUser(windows, SlidingLog(windows)) for name, windows in self._limits.items()
        }
        self._read_at = 0.0

    def register(self, connection: Connection) -> None:
        """Create the rows of the SMTP users, and delete bookings that no window includes."""
        for name in sorted(self._users):
            connection.execute(insert_new(connection, smtp_users).values(name=name))
        old = bookings.c.time < Clock() - _LONGEST_WINDOW_SECONDS
        connection.execute(delete(bookings).where(old))

    def read(self, connection: Connection, now: float) -> None:
        """
        Bring the copies up to date. Without limits only refusals matter, and they are read a few
        times a second.
        """
        if not self._limited and not elapsed(self._read_at, now, _REFUSALS_READ_INTERVAL_SECONDS):
            return
        self._read_at = now
        rows = select(smtp_users).order_by(smtp_users.c.name)
        if self._limited:
            # Locked in one order, so that no two processes wait for each other.
            locked = rows.where(smtp_users.c.name.in_(self._limited))
            connection.execute(locked.with_for_update())
        for row in connection.execute(rows.where(smtp_users.c.name.in_(self._users))):
            user = self._users[row.name]
            if row.limits != user.stored:
                user = self._adopt(row.name, row.limits)
            user.refused_until, user.refusals = row.refused_until, row.refusals
        for name in self._limited:
            user = self._users[name]
            found = select(bookings.c.id, bookings.c.time, bookings.c.count).where(
                bookings.c.smtp_user_name == name, bookings.c.id > user.last_booking
            )
            for number, time, count in connection.execute(found.order_by(bookings.c.id)):
                for _ in range(count):
                    user.log.book(time)
                user.last_booking, user.time = number, time
            user.time = max(now, user.time)

    def _adopt(self, name: str, stored: str | None) -> _SmtpUser:
        """Adopt limits that were stored meanwhile. All bookings are read again."""
        windows = self._limits[name] = _windows(limits_of(json.loads(stored or "{}")))
        self._limited = sorted(name for name, windows in self._limits.items() if windows)
        user = self._users[name] = _SmtpUser(windows, SlidingLog(windows), stored=stored)
        return user

    def assign(
        self, connection: Connection, now: float, wanted: int, in_work: Mapping[str, int]
    ) -> list[str]:
        """
        Book up to *wanted* requests, fewer if limits or refusals do not allow more.

        Returns the name of the SMTP user for each. *in_work*: the number of mails of each.
        """
        load = {name: in_work.get(name, 0) for name in self._users}
        assigned: list[str] = []
        while len(assigned) < wanted and load:
            name = min(load, key=load.__getitem__)
            user = self._users[name]
            if user.refused_until > now or user.log.acquire(user.time) > 0.0:
                del load[name]
                continue
            assigned.append(name)
            load[name] += 1
        for name, count in Counter(assigned).items():
            if name in self._limited:
                user = self._users[name]
                values = {"smtp_user_name": name, "time": user.time, "count": count}
                number = connection.execute(insert(bookings).values(values)).inserted_primary_key
                if number is not None:
                    user.last_booking = number[0]
        return assigned

    def wait(self, now: float) -> float:
        """Return the seconds until the first SMTP user may send."""
        return max(0.0, min((user.wait(now) for user in self._users.values()), default=0.0))

    def record_refusal(
        self, connection: Connection, now: float, refused: Mapping[str, float]
    ) -> None:
        """
        Record a 429 for each name in *refused*, with the seconds of its Retry-After (0.0 without
        one).
        """
        for name in sorted(refused):
            row = connection.execute(
                select(smtp_users).where(smtp_users.c.name == name).with_for_update()
            ).one()
            if row.refused_until > now:
                # The refusals of one burst count once, but one of them may have a longer wait.
                until, refusals = max(row.refused_until, now + refused[name]), row.refusals
            else:
                backoff = min(2.0**row.refusals, _MAX_BACKOFF_SECONDS)
                until = now + max(refused[name], backoff)
                refusals = min(row.refusals + 1, _MAX_REFUSALS_COUNTED)
            self._write(connection, name, until, refusals)

    def record_success(self, connection: Connection, now: float, names: Iterable[str]) -> None:
        """
        Record that the service accepted mails of *names*. Mails that were in work when another one
        was refused do not end its wait.
        """
        for name in sorted(names):
            user = self._users[name]
            if user.refusals and user.refused_until <= now:
                self._write(connection, name, 0.0, 0)

    def _write(self, connection: Connection, name: str, until: float, refusals: int) -> None:
        connection.execute(
            update(smtp_users)
            .where(smtp_users.c.name == name)
            .values(refused_until=until, refusals=refusals)
        )
        user = self._users[name]
        user.refused_until, user.refusals = until, refusals
