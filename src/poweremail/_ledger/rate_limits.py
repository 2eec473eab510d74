"""
The rate limits of a batch, counted in the ledger: one budget for each SMTP user, shared by all
processes and hosts.

Theory of operation. An SMTP user is one row, which has the used part of its limits (`Usage`). A
worker asks for a number of requests before it takes rows: it reads the row, and books as many as
the limits allow, if nobody else has changed the row meanwhile. What it did not use is given back.

On PostgreSQL each of these is a transaction of its own, a single statement that does not wait for
the disk: so a row is never locked while somebody waits, be it for a disk or for a process that
stands still. The commit of the step that follows writes the booking to the disk as well, because
the log of the server has one order: a mail is never sent before its booking is on the disk. On
SQLite, where there is one writer at a time anyway, the booking is a part of the step, because a
second commit would cost a second wait for the disk.

A booking also writes when the SMTP user is free again. So one query tells a worker which of its
SMTP users are free, or when the first one is, whoever used them up: it asks only those. The time is
advice, and the row decides. Because advice can be too late, after a change of shares for example,
each worker asks one SMTP user a minute against it.

If there are more workers than the limits allow mails for, all of them wait for the same SMTP user,
and all but one of them ask in vain. Such a worker backs off: the next time it asks a little later,
at random, so that few ask at once; one that gets something asks earlier again. A worker that is
alone never asks in vain, so it waits for no longer than it must.

A 429 is shared in the same way: the SMTP user waits until a time that is in its row, for twice as
long after each refusal in a row, until a mail is accepted again.

The invariant: in no window do the booked requests of an SMTP user exceed its limit, whoever books.
A booking that takes longer than a part of the margin fails. Why not a budget for each worker: their
number changes, and a share that its worker does not use would be lost.

How it is tested: `tests/batch/test_budgets.py` compares budgets and workers with a model,
`tests/batch/test_processes.py` has processes book at the same time, and `benchmarks/hosts.py`
simulates hundreds of hosts.
"""

from __future__ import annotations

import heapq
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs

from poweremail._ledger.budget_rows import BudgetRows, Shares
from poweremail._ledger.options import limits_of
from poweremail._ledger.usage import Usage, windows_with_margin
from poweremail._ledger.values import boot_time
from poweremail._policy.limits import RateLimits, Window

_REFRESH_SECONDS = 1.0
"""How often limits, and the refusals of other workers, are read while mails are sent."""

_IDLE_REFRESH_SECONDS = 5.0
"""The same while no SMTP user is free: so soon a change of limits is noticed."""

_SHARE_READ_SECONDS = 10.0
"""How often it is read how much of the limits is kept for an outbox."""

_RECHECK_SECONDS = 60.0
"""How often an SMTP user is asked that is not free, as far as the ledger says."""

_MAX_READ = 32
"""The most SMTP users of which it is read at once whether they are free."""

_MAX_TRIES = 3
_BUSY_SECONDS = 0.02
"""The wait for an SMTP user that others were faster to book, each time."""

_MAX_ASKED = 8
"""The most limited SMTP users that are asked in a step."""

_SPREAD = 4
"""
Up to so many limited SMTP users share the rows of a step. Of more, as many do as get so many rows
each: asking costs as much for one row as for many.
"""

_MIN_BACKOFF_SECONDS = 0.02
_MAX_BACKOFF_SECONDS = 2.0
"""The longest backoff of a worker that asked in vain: it doubles each time, up to this."""


@attrs.frozen
class Grant:
    """
    So many requests that an SMTP user may begin. *time* and *set_backs* find the booking again;
    they are None if it has no limits.
    """

    name: str
    count: int
    time: float | None = None
    set_backs: int = 0


@attrs.define
class _SmtpUser:
    """
    What a worker knows of an SMTP user.

    *limits*: its limits, None if it has none. *stored*: the same, as the ledger stores them.
    *windows*: those of *limits* that the batch may use. *bulk*: those that no outbox may use.
    *free_at*: when it may send again, by the clock of the worker.
    """

    limits: RateLimits | None
    windows: tuple[Window, ...]
    bulk: tuple[Window, ...]
    stored: str | None = None
    free_at: float = 0.0
    refusals: int = 0


class Budgets:
    """
    Decides which of the SMTP users *names* sends next, and books it.

    Among those that may send, the one with the fewest mails in work is next. Each method needs the
    rows on a connection on which a statement is a transaction of its own, or on SQLite on one that
    is in the transaction of the caller. If that transaction fails, call `forget`.
    """

    def __init__(
        self,
        names: Sequence[str],
        limits: Mapping[str, RateLimits],
        clock: Callable[[], float] = boot_time,
    ) -> None:
        self._clock = clock
        self._shares = Shares()
        self._users: dict[str, _SmtpUser] = {}
        for name in names:
            windows = windows_with_margin(limits.get(name))
            self._users[name] = _SmtpUser(limits.get(name), windows, windows)
        self._misses = 0
        self._backoff = 0.0
        self._recheck_at = clock() + _RECHECK_SECONDS
        self.forget()

    @property
    def is_limited(self) -> bool:
        """True if an SMTP user has limits."""
        return any(user.windows for user in self._users.values())

    def forget(self) -> None:
        """Forget what was read, and read it again."""
        self._read_at = self._shares_read_at = 0.0
        for user in self._users.values():
            user.free_at = 0.0

    def register(self, rows: BudgetRows) -> None:
        """Make the rows of the SMTP users."""
        rows.register(self._users)

    def wait(self) -> float:
        """Return the seconds until the first SMTP user may send, or it is worth asking again."""
        come_at = min(map(self._come_at, self._users.values()), default=0.0)
        return max(0.0, come_at - self._clock())

    def _come_at(self, user: _SmtpUser) -> float:
        return user.free_at + (self._backoff if user.windows else 0.0)

    def needs_rows(self) -> bool:
        """Return whether `read` would read, or `grant` would book."""
        now = self._clock()
        limited = (user for user in self._users.values() if user.windows)
        return now >= self._read_at or any(self._come_at(user) <= now for user in limited)

    def read(self, rows: BudgetRows, batch: int) -> None:
        """Read the limits and refusals of the SMTP users, and who is free, if it is time to."""
        now = self._clock()
        if now < self._read_at:
            return
        if now >= self._shares_read_at:
            self._shares_read_at = now + _SHARE_READ_SECONDS
            self._shares = rows.shares(batch)
        was_free = self._is_free()
        self._read_free(rows)
        if was_free and not self._is_free():
            self._note_try(missed=True)
        self._read_at = self._clock() + (
            _REFRESH_SECONDS if self._is_free() else min(self.wait(), _IDLE_REFRESH_SECONDS)
        )

    def _is_free(self) -> bool:
        now = self._clock()
        return any(user.free_at <= now for user in self._users.values())

    def _note_try(self, *, missed: bool) -> None:
        """Adapt the backoff: an SMTP user that should be free was, or *missed*, was not."""
        self._misses = self._misses + 1 if missed else self._misses // 2
        longest = min(_MIN_BACKOFF_SECONDS * (2.0**self._misses - 1), _MAX_BACKOFF_SECONDS)
        self._backoff = random.uniform(0.0, longest)  # noqa: S311  no secret

    def _read_free(self, rows: BudgetRows) -> None:
        found = rows.first_free(self._users, _MAX_READ, bulk=self._shares.own < 1.0)
        now = self._clock()
        for each in found:
            self._adopt(each.name, each.refusals, each.limits).free_at = now + each.free_in
        if found and found[-1].free_in > 0.0:
            # The others are free still later.
            for name in self._users.keys() - {each.name for each in found}:
                user = self._users[name]
                user.free_at = max(user.free_at, now + found[-1].free_in)
        if now >= self._recheck_at:
            self._recheck_at = now + _RECHECK_SECONDS
            # Only one with limits: its row is read before it sends.
            if limited := [user for user in self._users.values() if user.windows]:
                random.choice(limited).free_at = now  # noqa: S311  no secret

    def _adopt(self, name: str, refusals: int, stored: str | None) -> _SmtpUser:
        user = self._users[name]
        user.refusals = refusals
        if stored != user.stored:
            user.stored, user.limits = stored, limits_of(json.loads(stored or "{}"))
        user.windows = windows_with_margin(user.limits, self._shares.own)
        user.bulk = windows_with_margin(user.limits, self._shares.bulk)
        return user

    def grant(
        self, rows: BudgetRows | None, wanted: int, in_work: Mapping[str, int]
    ) -> list[Grant]:
        """
        Book up to *wanted* requests, fewer if limits or refusals do not allow more.

        *in_work*: the number of mails of each SMTP user. *rows* may be None unless it
        `needs_rows`.
        """
        grants: list[Grant] = []
        load = Counter(in_work)
        used_up: set[str] = set()
        asked = 0
        was_read = False
        while wanted > 0 and asked < _MAX_ASKED:
            free = [name for name in self._free(limited=rows is not None) if name not in used_up]
            if not free:
                break
            most = len(free)
            if rows is not None and most > _SPREAD:
                most = max(1, min(wanted // _SPREAD, _MAX_ASKED - asked))
            chosen = heapq.nsmallest(most, free, key=load.__getitem__)
            for name, count in _spread(wanted, {name: load[name] for name in chosen}).items():
                grant = Grant(name, count)
                if rows is not None and self._users[name].windows:
                    asked += 1
                    grant = self.take(rows, name, count)
                load[name] += grant.count
                wanted -= grant.count
                if grant.count:
                    grants.append(grant)
                if grant.count < count:
                    used_up.add(name)
            if rows is not None and asked and not grants and not was_read:
                # What is known of the others is as old.
                was_read = True
                self._read_free(rows)
        if asked:
            self._note_try(missed=not grants)
        return grants

    def _free(self, *, limited: bool) -> list[str]:
        """Those that may send now, in any order, so that workers do not all ask the same ones."""
        now = self._clock()
        free = [
            name
            for name, user in self._users.items()
            if user.free_at <= now and (limited or not user.windows)
        ]
        random.shuffle(free)
        return free

    def take(self, rows: BudgetRows, name: str, wanted: int) -> Grant:
        """Book up to *wanted* requests of the SMTP user *name*."""
        user = self._users[name]
        for attempt in range(_MAX_TRIES):
            row = rows.read(name)
            self._adopt(name, row.refusals, row.limits)
            if row.refused_until > row.now:
                self._wait(user, row.refused_until - row.now)
                return Grant(name, 0)
            usage = Usage(row.used, row.now)
            count = usage.room(user.windows, wanted)
            if count:
                usage.book(count)
            self._wait(user, usage.wait(user.windows))
            if not count or self._write(rows, row, usage):
                return Grant(name, count, row.now, usage.set_backs)
            self._wait(user, _BUSY_SECONDS * (attempt + 1))
        return Grant(name, 0)

    def give_back(self, rows: BudgetRows, grants: Iterable[Grant]) -> None:
        """Undo the bookings of *grants*. One that is not found stays: that is the safe side."""
        for grant in grants:
            for _ in range(_MAX_TRIES):
                if grant.time is None:
                    break
                row = rows.read(grant.name)
                usage = Usage(row.used, row.now)
                if not usage.give_back(grant.time, grant.count, grant.set_backs):
                    break
                if self._write(rows, row, usage):
                    self._wait(self._users[grant.name], max(0.0, row.refused_until - row.now))
                    break

    def _write(self, rows: BudgetRows, row: Any, usage: Usage) -> bool:
        user = self._users[row.name]
        limits = windows_with_margin(user.limits)
        return rows.write(row, usage, usage.wait(limits), usage.wait(user.bulk))

    def _wait(self, user: _SmtpUser, seconds: float) -> None:
        user.free_at = self._clock() + seconds

    def refuse(self, rows: BudgetRows, name: str, seconds: float) -> None:
        """Record a 429, with the *seconds* of its Retry-After, 0.0 without one."""
        wait, refusals = rows.refuse(name, seconds)
        user = self._users[name]
        user.refusals = refusals
        self._wait(user, max(wait, user.free_at - self._clock()))

    def was_refused(self, name: str) -> bool:
        """Return whether `accept` would change something."""
        user = self._users[name]
        return user.refusals > 0 and user.free_at <= self._clock()

    def accept(self, rows: BudgetRows, name: str) -> None:
        """
        Record that the service accepted a mail. One that was in work when another one was refused
        does not end its wait.
        """
        rows.accept(name)
        self._users[name].refusals = 0


def _spread(wanted: int, load: Mapping[str, int]) -> Counter[str]:
    """Return how many of the *wanted* requests each one gets, so that their loads become equal."""
    queue = [(count, number, name) for number, (name, count) in enumerate(load.items())]
    heapq.heapify(queue)
    shares: Counter[str] = Counter()
    for _ in range(wanted):
        count, number, name = queue[0]
        shares[name] += 1
        heapq.heapreplace(queue, (count + 1, number, name))
    return shares
