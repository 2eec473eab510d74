"""
What the SMTP users have sent lately, in the ledger: one budget for every process and host that
works on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import attrs
from sqlalchemy import Connection, delete, insert, select, update

from poweremail._ledger.clock import passed
from poweremail._ledger.schema import bookings, insert_new, smtp_users
from poweremail._policy.limits import RateLimits, SlidingLog, Window

__all__ = ["MARGIN", "Budgets", "Spent", "spent"]

MARGIN = 0.5
"""
By how many seconds the ledger's windows are longer than the service's.

A request is booked when its row is taken, and the service counts it when it arrives: after the
commit, and the first one of a process after its connection was made, too. One that took longer than
those of the next window would otherwise meet them within one.
"""

_LONGEST_WINDOW = 86_400.0 + MARGIN
_STALE = 0.2
_LONGEST_REFUSAL = 60.0  # of what the service refuses, the shortest window is a minute


@attrs.frozen
class Spent:
    """
    What an SMTP user has used of its *windows*: how many seconds ago each request was booked, the
    latest first.
    """

    windows: tuple[Window, ...]
    ages: tuple[float, ...]


def spent(connection: Connection, now: float, name: str, limits: RateLimits | None) -> Spent:
    """What *name* has used of its *limits*, whoever booked it."""
    windows = _windows(limits)
    if not windows:
        return Spent((), ())
    since = bookings.c.time > now - max(window.seconds for window in windows)
    found = select(bookings.c.time, bookings.c.count).where(
        bookings.c.smtp_user_name == name, since
    )
    ages = [max(0.0, now - time) for time, count in connection.execute(found) for _ in range(count)]
    return Spent(windows, tuple(sorted(ages)))


def _windows(limits: RateLimits | None) -> tuple[Window, ...]:
    return (
        ()
        if limits is None
        else tuple(Window(each.limit, each.seconds + MARGIN) for each in limits.windows)
    )


class Budgets:
    """
    Says which of *names* may send next, and books it, within a transaction that the caller has
    begun.

    The logs in memory are copies of what the ledger has, brought up to date in each transaction;
    the row of an SMTP user is locked meanwhile, where there are limits. Between those that may
    send, the one with the fewest mails on the way goes first.
    """

    def __init__(self, names: Sequence[str], limits: Mapping[str, RateLimits]) -> None:
        self.names = tuple(names)
        self._windows = {name: windows for name in names if (windows := _windows(limits.get(name)))}
        self._logs: dict[str, SlidingLog] = {}
        self._copied: dict[str, int] = {}
        self._latest: dict[str, float] = {}
        self._refused: dict[str, tuple[float, int]] = {}
        self._read_at = 0.0

    def forget(self) -> None:
        """Forget the copies: what was booked in a transaction that failed was not."""
        self._logs.clear()
        self._copied.clear()
        self._latest.clear()
        self._read_at = 0.0

    def enrol(self, connection: Connection, now: float) -> None:
        """Make the rows of the SMTP users, and drop bookings that no window looks back to."""
        for name in sorted(self.names):
            connection.execute(insert_new(connection, smtp_users).values(name=name))
        connection.execute(delete(bookings).where(bookings.c.time < now - _LONGEST_WINDOW))

    def read(self, connection: Connection, now: float) -> None:
        """
        Bring the copies up to date. What others were refused is looked at now and then only, where
        nothing is limited.
        """
        limited = sorted(self._windows)
        if not limited and not passed(self._read_at, now, _STALE):
            return
        self._read_at = now
        if limited:
            # In one order, so that no two processes wait for each other.
            statement = (
                select(smtp_users.c.name)
                .where(smtp_users.c.name.in_(limited))
                .order_by(smtp_users.c.name)
            )
            connection.execute(statement.with_for_update())
        rows = connection.execute(
            select(smtp_users.c.name, smtp_users.c.refused_until, smtp_users.c.refusals).where(
                smtp_users.c.name.in_(self.names)
            )
        )
        self._refused = {name: (until, refusals) for name, until, refusals in rows}
        for name in limited:
            log = self._logs.setdefault(name, SlidingLog(self._windows[name]))
            since = bookings.c.id > self._copied.get(name, 0)
            found = select(bookings.c.id, bookings.c.time, bookings.c.count).where(
                bookings.c.smtp_user_name == name, since
            )
            for number, time, count in connection.execute(found.order_by(bookings.c.id)):
                for _ in range(count):
                    log.book(time)
                self._copied[name], self._latest[name] = number, time
            # A clock that was set back stands still here until it has caught up.
            self._latest[name] = max(now, self._latest.get(name, now))

    def assign(
        self, connection: Connection, now: float, wanted: int, on_the_way: Mapping[str, int]
    ) -> list[str]:
        """
        Book up to *wanted* requests and return who makes each; fewer where the windows or refusals
        allow no more.
        """
        load = {
            name: on_the_way.get(name, 0) for name in self.names if self._wait(name, now) <= 0.0
        }
        assigned: list[str] = []
        while len(assigned) < wanted and load:
            name = min(load, key=load.__getitem__)
            if (log := self._logs.get(name)) is not None and log.acquire(self._latest[name]) > 0.0:
                del load[name]
                continue
            assigned.append(name)
            load[name] += 1
        for name, count in Counter(assigned).items():
            if name in self._windows:
                values = {"smtp_user_name": name, "time": self._latest[name], "count": count}
                number = connection.execute(insert(bookings).values(values)).inserted_primary_key
                if number is not None:
                    self._copied[name] = number[0]
        return assigned

    def wait(self, now: float) -> float:
        """In how many seconds the first of them may send."""
        return max(0.0, min((self._wait(name, now) for name in self.names), default=0.0))

    def refuse(self, connection: Connection, now: float, refused: Mapping[str, float]) -> None:
        """
        The service answered 429 to these, and asked to wait so many seconds, or did not say (0.0).
        """
        for name in sorted(refused):
            until, refusals = self._row(connection, name)
            if until > now:
                # One burst is one refusal, however many mails it had; but one of them may have been
                # asked to wait for longer.
                longer = max(until, now + refused[name])
                if longer > until:
                    self._write(connection, name, longer, refusals)
                self._refused[name] = (longer, refusals)
                continue
            seconds = max(refused[name], min(2.0**refusals, _LONGEST_REFUSAL))
            self._write(connection, name, now + seconds, min(refusals + 1, 16))
            self._refused[name] = (now + seconds, refusals + 1)

    def welcome(self, connection: Connection, now: float, names: Iterable[str]) -> None:
        """
        The service took mails of these. Those that were on their way when another was refused do
        not end its wait.
        """
        for name in sorted(names):
            until, refusals = self._refused.get(name, (0.0, 0))
            if refusals and until <= now:
                self._write(connection, name, 0.0, 0)
                self._refused[name] = (0.0, 0)

    @staticmethod
    def _row(connection: Connection, name: str) -> tuple[float, int]:
        statement = select(smtp_users.c.refused_until, smtp_users.c.refusals).where(
            smtp_users.c.name == name
        )
        row = connection.execute(statement.with_for_update()).first()
        return (0.0, 0) if row is None else (row[0], row[1])

    @staticmethod
    def _write(connection: Connection, name: str, until: float, refusals: int) -> None:
        connection.execute(
            update(smtp_users)
            .where(smtp_users.c.name == name)
            .values(refused_until=until, refusals=refusals)
        )

    def _wait(self, name: str, now: float) -> float:
        log = self._logs.get(name)
        until, _ = self._refused.get(name, (0.0, 0))
        return max(until - now, 0.0 if log is None else log.wait(self._latest[name]))
