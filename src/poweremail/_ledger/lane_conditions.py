"""Which lane may be taken by whom, as conditions of statements. `lanes` has the theory."""

from __future__ import annotations

from typing import Any

import attrs
from sqlalchemy import ColumnElement, and_, exists, func, or_, select

from poweremail._ledger import State
from poweremail._ledger.clock import Clock
from poweremail._ledger.schema import OUTBOX, batches, drains, lanes, messages
from poweremail._ledger.statements import is_open

_KICK_AGAIN_SECONDS = 20.0
"""The time between two kicks of a lane that nobody takes, at least; it doubles..."""

_MAX_KICK_AGAIN_SECONDS = 300.0
"""... up to this."""

_GRACE_SECONDS = 2.0
"""So much later than it is due, the kick of a lane counts as lost."""

_lane = lanes.c


@attrs.frozen
class Lane:
    """A lane that is held by *owner*. *turn*: the next one."""

    batch: int
    lane: int
    turn: int
    owner: str


def is_free() -> ColumnElement[bool]:
    """Nobody holds the lane, or its lease has ended."""
    return or_(_lane.owner.is_(None), _lane.lease_until < Clock())


def is_allowed() -> ColumnElement[bool]:
    """The number of the lane is one of those that its batch may have."""
    runners = select(batches.c.runners).where(batches.c.id == _lane.batch).scalar_subquery()
    return _lane.lane <= func.coalesce(runners, _lane.lane)


def is_drained(batch: Any, host: Any) -> ColumnElement[bool]:
    """Workers of *batch* on *host* are to end. Host None: on all hosts."""
    on_host: ColumnElement[bool] = drains.c.host.is_(None)
    if host is not None:
        on_host = or_(on_host, drains.c.host == host)
    return exists().where(or_(drains.c.batch.is_(None), drains.c.batch == batch), on_host)


def is_unfinished(batch: Any, *, reports: bool) -> ColumnElement[bool]:
    """
    Messages of *batch* are left to be sent or looked up; with *reports* also, to call hooks for.
    """
    row = messages.c
    return or_(
        *([exists().where(row.batch == batch, row.unreported.is_not(None))] if reports else []),
        exists().where(row.batch == batch, row.state == State.PLANNED),
        exists().where(row.batch == batch, row.state == State.SENDING),
        exists().where(row.batch == batch, row.state == State.UNKNOWN, is_open()),
    )


def has_work(host: str | None, *, reports: bool) -> ColumnElement[bool]:
    """
    A batch that workers on *host* (None: on any), which call hooks if *reports*, may work on now or
    later.
    """
    return and_(
        batches.c.paused.is_(None),
        ~is_drained(batches.c.id, host),
        is_unfinished(batches.c.id, reports=reports),
    )


def has_due(time: ColumnElement[float] | float) -> ColumnElement[bool]:
    """A batch has a mail that was due to be sent before *time*."""
    row = messages.c
    due = exists().where(row.batch == batches.c.id, row.state == State.PLANNED, row.due < time)
    return due.correlate(batches)


def held_by(lane: Lane) -> ColumnElement[bool]:
    """The row of *lane*, if its owner still holds it."""
    return and_(_lane.batch == lane.batch, _lane.lane == lane.lane, _lane.owner == lane.owner)


def is_same_drain(batch: int | None, host: str | None) -> tuple[ColumnElement[bool], ...]:
    """The drain that was begun with the same arguments."""
    return drains.c.batch.is_not_distinct_from(batch), drains.c.host.is_not_distinct_from(host)


def is_kick_lost(now: float) -> ColumnElement[bool]:
    """Somebody should have taken the lane by *now*, and the last kick was long enough ago."""
    late = now - _GRACE_SECONDS
    # A mail that was added to an outbox may be due before those that its worker has seen.
    has_mail = exists().where(batches.c.id == _lane.batch, batches.c.kind == OUTBOX, has_due(late))
    is_due = or_(_lane.due.is_(None), _lane.due < late, has_mail)
    since = now - _lane.kicked
    interval = _lane.kicked - func.coalesce(_lane.due, _lane.kicked)
    is_late = or_(
        _lane.kicked.is_(None),
        # A clock that was set back counts as well.
        since < 0.0,
        and_(
            since > _KICK_AGAIN_SECONDS,
            or_(since > interval, since > _MAX_KICK_AGAIN_SECONDS),
        ),
    )
    return and_(or_(_lane.owner.is_not(None), is_due), is_late)
