"""
Which batches have something to do, and when: a worker on many batches looks before it works.

To look is a short transaction that writes nothing and locks nothing, so many workers without work
cost the database little. A worker that looks and takes no row needs no lane.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, exists, func, or_, select

from poweremail._ledger import State
from poweremail._ledger.budget_rows import BudgetRows
from poweremail._ledger.clock import Clock
from poweremail._ledger.database import Database
from poweremail._ledger.lane_conditions import has_due, has_work, is_allowed, is_free
from poweremail._ledger.schema import OUTBOX, batches, lanes, messages
from poweremail._ledger.statements import is_in

_row = messages.c


def _first(column: ColumnElement[Any], condition: ColumnElement[bool]) -> ScalarSelect[Any]:
    """The smallest value of *column* in the rows of a batch that meet *condition*."""
    of_batch = select(func.min(column)).where(_row.batch == batches.c.id, condition)
    return of_batch.correlate(batches).scalar_subquery()


_COLUMNS = (
    batches.c.name,
    batches.c.kind,
    Clock().label("now"),
    _first(_row.due, is_in(State.PLANNED)).label("planned"),
    _first(_row.due, is_in(State.UNKNOWN)).label("unknown"),
    _first(_row.lease_until, _row.lease_until.is_not(None)).label("lease_until"),
    _first(_row.expires, is_in(State.PLANNED) & _row.expires.is_not(None)).label("expires"),
    _first(_row.unreported, _row.unreported.is_not(None)).label("unreported"),
)


def read_agenda(
    database: Database,
    smtp_users: Collection[str],
    host: str,
    *,
    reports: bool,
    urgent: bool,
) -> dict[str, float]:
    """
    As `Lanes.agenda` describes it. *reports*: whether the worker calls hooks.

    Mails that are due wait for the first SMTP user that is free.
    """
    has_lane = or_(
        batches.c.runners.is_(None),
        exists().where(lanes.c.batch == batches.c.id, is_allowed(), is_free()),
    )
    wanted = select(*_COLUMNS).where(has_work(host, reports=reports), has_lane)
    if urgent:
        wanted = wanted.where(batches.c.kind == OUTBOX, has_due(Clock()))
    waits: dict[bool, float] = {}
    found: dict[str, float] = {}
    with database.reading() as connection:
        rows = connection.execute(wanted.order_by(batches.c.kind.is_(None), batches.c.id)).all()
        for row in rows:
            times = [row.unknown, row.lease_until]
            if row.planned is not None:
                bulk = row.kind != OUTBOX
                if bulk not in waits:
                    waits[bulk] = BudgetRows(connection).wait(smtp_users, bulk=bulk)
                times.append(max(row.planned, row.now + waits[bulk]))
            if row.kind == OUTBOX:
                times.append(row.expires)
            if reports:
                times.append(row.unreported)
            first = min((each for each in times if each is not None), default=row.now)
            found[row.name] = max(0.0, first - row.now)
    return found
