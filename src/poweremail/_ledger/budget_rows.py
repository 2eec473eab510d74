"""
The rows of SMTP users, in which budgets and refusals are: what `rate_limits` reads and writes.

Each method is one statement, so that on a server it can be a transaction of its own.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any

import attrs
from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Float,
    bindparam,
    case,
    func,
    or_,
    select,
    update,
)

from poweremail._ledger.clock import Clock, Unflushed
from poweremail._ledger.options import BULK_SHARE
from poweremail._ledger.schema import OUTBOX, batches, insert_new, smtp_users
from poweremail._ledger.usage import MARGIN_SECONDS, Usage

_MAX_BOOKING_SECONDS = MARGIN_SECONDS / 2
"""A booking that takes longer fails, because its requests would be later than it says."""

_MAX_BACKOFF_SECONDS = 60.0  # the shortest window of the service is a minute
_MAX_REFUSALS_COUNTED = 16  # the backoff has reached its maximum long before

_user = smtp_users.c
_of_user = _user.name == bindparam("user")


def _larger(one: ColumnElement[float], other: ColumnElement[float]) -> ColumnElement[float]:
    return case((one > other, one), else_=other)


def _free_in(column: ColumnElement[float]) -> ColumnElement[float]:
    """
    The seconds until an SMTP user is free, as its *column* says.

    After the clock was set back, a time that was written before is not known.
    """
    free_at = case((_user.booked > Clock(), 0.0), else_=column)
    return _larger(_larger(free_at, _user.refused_until) - Clock(), 0.0 * Clock())


_is_named = _user.name.in_(bindparam("names", expanding=True))


def _first_free(column: ColumnElement[float]) -> Any:
    """Reads those of *names* that are free, in any order, and then those that are free soonest."""
    return (
        select(_user.name, _free_in(column).label("free_in"), _user.refusals, _user.limits)
        .where(_is_named)
        .order_by("free_in", func.random())
        .limit(bindparam("most"))
    )


_KNOWN = select(_user.name).where(_is_named)

_FREE = _first_free(_user.free_at)
_BULK_FREE = _first_free(_user.bulk_free_at)

_WAIT = select(func.count(), func.min(_free_in(_user.free_at))).where(_is_named)
_BULK_WAIT = select(func.count(), func.min(_free_in(_user.bulk_free_at))).where(_is_named)

_READ = select(Clock().label("now"), smtp_users).where(_of_user)

_BOOK = (
    update(smtp_users)
    .where(
        *(_of_user, _user.revision == bindparam("read")),
        Clock().between(bindparam("now"), bindparam("now") + _MAX_BOOKING_SECONDS),
        Unflushed(),
    )
    .values(
        used=bindparam("new"),
        revision=_user.revision + 1,
        booked=bindparam("now"),
        free_at=bindparam("free"),
        bulk_free_at=bindparam("bulk_free"),
    )
)

_backoff = case(
    *((_user.refusals == count, min(2.0**count, _MAX_BACKOFF_SECONDS)) for count in range(7)),
    else_=_MAX_BACKOFF_SECONDS,
)
_given: BindParameter[float] = bindparam("seconds", type_=Float())
_is_waiting = _user.refused_until > Clock()

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
class FreeRow:
    """An SMTP user that may send in *free_in* seconds, if its *limits* allow what they allowed."""

    name: str
    free_in: float
    refusals: int
    limits: str | None


@attrs.frozen
class Shares:
    """How much of each limit a batch may use: *own* for this one, and *bulk* for no outbox."""

    own: float = 1.0
    bulk: float = 1.0


class BudgetRows:
    """The rows of SMTP users, read and written on *connection*."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def register(self, names: Collection[str]) -> None:
        """Make the rows that are missing."""
        known = self._connection.scalars(_KNOWN, {"names": list(names)})
        if rows := [{"name": name} for name in sorted(set(names) - set(known))]:
            self._connection.execute(insert_new(self._connection, smtp_users), rows)

    def first_free(self, names: Collection[str], most: int, *, bulk: bool) -> list[FreeRow]:
        """
        Return those of *names* that are free, in any order, and then those that are free soonest,
        *most* of them. *bulk*: for a batch that is no outbox.
        """
        query = _BULK_FREE if bulk else _FREE
        rows = self._connection.execute(query, {"names": list(names), "most": most})
        return [FreeRow(**row._asdict()) for row in rows]

    def wait(self, names: Collection[str], *, bulk: bool) -> float:
        """
        Return the seconds until the first of *names* is free, 0.0 if one was never registered.
        *bulk*: for a batch that is no outbox.
        """
        query = _BULK_WAIT if bulk else _WAIT
        known, wait = self._connection.execute(query, {"names": list(names)}).one()
        return float(wait) if known and known == len(names) else 0.0

    def read(self, name: str) -> Any:
        """Read the row of the SMTP user *name*, and the time as ``now``."""
        return self._connection.execute(_READ, {"user": name}).one()

    def write(self, row: Any, usage: Usage, free_in: float, bulk_free_in: float) -> bool:
        """
        Write *usage*, after which the SMTP user is free in so many seconds. Return False if *row*
        was read too long ago, or has changed since.
        """
        values = {"user": row.name, "read": row.revision, "now": row.now, "new": usage.to_json()}
        values |= {"free": row.now + free_in, "bulk_free": row.now + bulk_free_in}
        return self._connection.execute(_BOOK, values).rowcount > 0

    def refuse(self, name: str, seconds: float) -> Sequence[Any]:
        """
        Write a 429 with the *seconds* of its Retry-After. Return for how long the SMTP user must
        wait now, and how often it was refused in a row.
        """
        return self._connection.execute(_REFUSE, {"user": name, "seconds": seconds}).one()

    def accept(self, name: str) -> None:
        """Write that a mail was accepted, if the wait after the last 429 is over."""
        self._connection.execute(_ACCEPT, {"user": name})

    def shares(self, batch: int) -> Shares:
        """Read how much of each limit *batch* may use: an outbox has all of it."""
        columns = select(batches.c.id, batches.c.options)
        outboxes = self._connection.execute(columns.where(batches.c.kind == OUTBOX)).all()
        stored = [json.loads(row.options or "{}").get("bulk_share", BULK_SHARE) for row in outboxes]
        bulk = float(min(stored, default=1.0))
        return Shares(1.0 if batch in [row.id for row in outboxes] else bulk, bulk)
