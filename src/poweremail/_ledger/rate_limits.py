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

A worker asks few SMTP users in a step, and one whose budget is used up not before its wait is over,
or a minute has passed: others may have given something back.

A 429 is shared in the same way: the SMTP user waits until a time that is in its row, for twice as
long after each refusal in a row, until a mail is accepted again.

The invariant: in no window do the booked requests of an SMTP user exceed its limit, whoever books.
A booking that takes longer than a part of the margin fails. Why not a budget for each worker: their
number changes, and a share that its worker does not use would be lost.

How it is tested: `tests/batch/test_budgets.py` compares budgets and workers with a model,
`tests/batch/test_processes.py` has processes book at the same time.
"""

from __future__ import annotations

import heapq
import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import attrs
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Float,
    Row,
    bindparam,
    case,
    or_,
    select,
    update,
)

from poweremail._ledger.clock import Clock, Unflushed
from poweremail._ledger.options import limits_of
from poweremail._ledger.schema import OUTBOX, batches, insert_new, smtp_users
from poweremail._ledger.usage import MARGIN_SECONDS, Usage, windows_with_margin
from poweremail._ledger.values import boot_time
from poweremail._policy.limits import RateLimits, Window

__all__ = ["Budgets", "Grant"]

_REFRESH_SECONDS = 1.0
"""How often limits, and the refusals of other workers, are read."""

_SHARE_READ_SECONDS = 10.0
"""How often it is read how much of the limits is kept for an outbox."""

_ASK_AGAIN_SECONDS = 60.0
_MAX_BOOKING_SECONDS = MARGIN_SECONDS / 2
"""A booking that takes longer fails, because its requests would be later than it says."""

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

_MAX_BACKOFF_SECONDS = 60.0  # the shortest window of the service is a minute
_MAX_REFUSALS_COUNTED = 16  # the backoff has reached its maximum long before

_user = smtp_users.c
_of_user = _user.name == bindparam("user")

_READ = select(Clock().label("now"), smtp_users).where(_of_user)

_BOOK = (
    update(smtp_users)
    .where(
        *(_of_user, _user.revision == bindparam("read")),
        Clock().between(bindparam("now"), bindparam("now") + _MAX_BOOKING_SECONDS),
        Unflushed(),
    )
    .values(used=bindparam("new"), revision=_user.revision + 1)
)

_backoff = case(
    *((_user.refusals == count, min(2.0**count, _MAX_BACKOFF_SECONDS)) for count in range(7)),
    else_=_MAX_BACKOFF_SECONDS,
)
_given: BindParameter[float] = bindparam("seconds", type_=Float())
_is_waiting = _user.refused_until > Clock()


def _larger(one: ColumnElement[float], other: ColumnElement[float]) -> ColumnElement[float]:
    return case((one > other, one), else_=other)


_REFUSE = (
    update(smtp_users)
    .where(_of_user, Unflushed())
    .values(
        # The refusals of one burst count once, but one of them may have a longer wait.
        refused_until=case(
            (_is_waiting, _larger(_user.refused_until, Clock() + _given)),
            else_=Clock() + _larger(_backoff, _given),
        ),
        refusals=case(
            (or_(_is_waiting, _user.refusals >= _MAX_REFUSALS_COUNTED), _user.refusals),
            else_=_user.refusals + 1,
        ),
    )
    .returning(_user.refused_until - Clock(), _user.refusals)
)

_ACCEPT = (
    update(smtp_users)
    .where(_of_user, _user.refused_until <= Clock(), Unflushed())
    .values(refused_until=0.0, refusals=0)
)


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
    What a worker knows of an SMTP user. Times are those of `boot_time`.

    *limits*: its limits, None if it has none. *stored*: the same, as the ledger stores them.
    *free_at*: when it may send again. *ask_at*: when to ask it again.
    *windows*: those of *limits* that the batch may use.
    """

    limits: RateLimits | None
    windows: tuple[Window, ...]
    stored: str | None = None
    free_at: float = 0.0
    ask_at: float = 0.0
    refusals: int = 0

    def wait(self, seconds: float) -> None:
        now = boot_time()
        self.free_at = now + seconds
        self.ask_at = now + min(seconds, _ASK_AGAIN_SECONDS)


class Budgets:
    """
    Decides which of the SMTP users *names* sends next, and books it.

    Among those that may send, the one with the fewest mails in work is next. Each method needs a
    *connection* on which a statement is a transaction of its own, or on SQLite one that is in the
    transaction of the caller. If that transaction fails, call `forget`.
    """

    def __init__(self, names: Sequence[str], limits: Mapping[str, RateLimits]) -> None:
        self._users = {
            name: _SmtpUser(limits.get(name), windows_with_margin(limits.get(name)))
            for name in names
        }
        self._share = 1.0
        self.forget()

    @property
    def is_limited(self) -> bool:
        """True if an SMTP user has limits."""
        return any(user.windows for user in self._users.values())

    def forget(self) -> None:
        """Forget what was read, and read it again."""
        self._read_at = self._share_read_at = 0.0
        for user in self._users.values():
            user.wait(0.0)

    def register(self, connection: Connection) -> None:
        """Create the rows of the SMTP users."""
        rows = [{"name": name} for name in sorted(self._users)]
        if rows:
            connection.execute(insert_new(connection, smtp_users), rows)

    def needs_to_read(self) -> bool:
        """Return whether `read` would read."""
        return boot_time() >= self._read_at

    def read(self, connection: Connection, batch: int) -> None:
        """Read the limits and refusals of the SMTP users, once a second."""
        now = boot_time()
        if now < self._read_at:
            return
        self._read_at = now + _REFRESH_SECONDS
        if now >= self._share_read_at:
            self._share_read_at = now + _SHARE_READ_SECONDS
            self._share = _read_share(connection, batch)
        columns = (_user.name, _user.refused_until - Clock(), _user.refusals, _user.limits)
        rows = connection.execute(select(*columns).where(_user.name.in_(self._users)))
        for name, refused, refusals, limits in rows:
            self._adopt(name, refused, refusals, limits)

    def _adopt(self, name: str, refused: float, refusals: int, stored: str | None) -> _SmtpUser:
        user = self._users[name]
        user.refusals = refusals
        if stored != user.stored:
            user.stored, user.limits = stored, limits_of(json.loads(stored or "{}"))
        windows = windows_with_margin(user.limits, self._share)
        if windows != user.windows:
            user.windows = windows
            user.wait(0.0)
        if boot_time() + refused > user.free_at:
            user.wait(refused)
        return user

    def grant(
        self, connection: Connection | None, wanted: int, in_work: Mapping[str, int]
    ) -> list[Grant]:
        """
        Book up to *wanted* requests, fewer if limits or refusals do not allow more.

        *in_work*: the number of mails of each SMTP user. *connection* may be None if none of them
        `is_limited`.
        """
        now = boot_time()
        names = [name for name, user in self._users.items() if user.ask_at <= now]
        # In any order, so that the workers do not all ask the same ones.
        random.shuffle(names)
        load = {name: in_work.get(name, 0) for name in names}
        grants: list[Grant] = []
        asked = 0
        while wanted > 0 and load and asked < _MAX_ASKED:
            most = len(load)
            if connection is not None and most > _SPREAD:
                most = max(1, min(wanted // _SPREAD, _MAX_ASKED - asked))
            chosen = heapq.nsmallest(most, load, key=load.__getitem__)
            for name, count in _spread(wanted, {name: load[name] for name in chosen}).items():
                grant = Grant(name, count)
                if connection is not None and self._users[name].windows:
                    asked += 1
                    grant = self.take(connection, name, count)
                load[name] += grant.count
                wanted -= grant.count
                if grant.count < count:
                    del load[name]
                if grant.count:
                    grants.append(grant)
        return grants

    def take(self, connection: Connection, name: str, wanted: int) -> Grant:
        """Book up to *wanted* requests of the SMTP user *name*."""
        for attempt in range(_MAX_TRIES):
            row = connection.execute(_READ, {"user": name}).one()
            user = self._adopt(name, row.refused_until - row.now, row.refusals, row.limits)
            if row.refused_until > row.now:
                return Grant(name, 0)
            usage = Usage(row.used, row.now)
            count = usage.room(user.windows, wanted)
            if count:
                usage.book(count)
                if not _write(connection, name, row, usage):
                    user.wait(_BUSY_SECONDS * (attempt + 1))
                    continue
            user.wait(usage.wait(user.windows))
            return Grant(name, count, row.now, usage.set_backs)
        return Grant(name, 0)

    def give_back(self, connection: Connection, grants: Iterable[Grant]) -> None:
        """Undo the bookings of *grants*. One that is not found stays: that is the safe side."""
        for grant in grants:
            for _ in range(_MAX_TRIES):
                if grant.time is None:
                    break
                row = connection.execute(_READ, {"user": grant.name}).one()
                usage = Usage(row.used, row.now)
                if not usage.give_back(grant.time, grant.count, grant.set_backs):
                    break
                if _write(connection, grant.name, row, usage):
                    self._users[grant.name].wait(max(0.0, row.refused_until - row.now))
                    break

    def wait(self) -> float:
        """Return the seconds until the first SMTP user may send."""
        free_at = min((user.free_at for user in self._users.values()), default=0.0)
        return max(0.0, free_at - boot_time())

    def refuse(self, connection: Connection, name: str, seconds: float) -> None:
        """Record a 429, with the *seconds* of its Retry-After, 0.0 without one."""
        wait, refusals = connection.execute(_REFUSE, {"user": name, "seconds": seconds}).one()
        user = self._users[name]
        user.refusals = refusals
        user.wait(max(wait, user.free_at - boot_time()))

    def was_refused(self, name: str) -> bool:
        """Return whether `accept` would change something."""
        user = self._users[name]
        return user.refusals > 0 and user.free_at <= boot_time()

    def accept(self, connection: Connection, name: str) -> None:
        """
        Record that the service accepted a mail. One that was in work when another one was refused
        does not end its wait.
        """
        connection.execute(_ACCEPT, {"user": name})
        self._users[name].refusals = 0


def _write(connection: Connection, name: str, row: Row[Any], usage: Usage) -> bool:
    """Write *usage*, and return False if the *row* has changed since it was read."""
    values = {"user": name, "read": row.revision, "now": row.now, "new": usage.to_json()}
    return connection.execute(_BOOK, values).rowcount > 0


def _read_share(connection: Connection, batch: int) -> float:
    """Read how much of each limit *batch* may use: an outbox has all of it."""
    columns = select(batches.c.id, batches.c.options)
    outboxes = connection.execute(columns.where(batches.c.kind == OUTBOX)).all()
    if batch in [row.id for row in outboxes]:
        return 1.0
    shares = [json.loads(row.options or "{}").get("bulk_share", 1.0) for row in outboxes]
    return float(min(shares, default=1.0))


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
