"""
The statements of every step of a worker, built once: to build them costs more than to execute them.
Each has bound parameters, which the worker fills in.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Executable,
    ScalarSelect,
    and_,
    bindparam,
    case,
    func,
    literal_column,
    or_,
    select,
    update,
)

from poweremail._ledger import State
from poweremail._ledger.clock import Clock
from poweremail._ledger.schema import batches, messages, payloads
from poweremail._ledger.values import Finished

_MAX_ERROR_CHARS = 500

_row = messages.c
_of_batch = _row.batch == bindparam("of")
_now: BindParameter[float] = bindparam("now")


def is_open() -> ColumnElement[bool]:
    """True for an unknown row that is still looked up: it is due some time, or a worker has it."""
    return or_(_row.due.is_not(None), _row.lease_owner.is_not(None))


def change_batch(connection: Connection, batch: int, **columns: Any) -> None:
    """Change these *columns* of *batch*."""
    connection.execute(update(batches).where(batches.c.id == batch).values(columns))


def pause_batch(connection: Connection, batch: int, reason: str) -> None:
    """Pause *batch*. If it is paused already, the earlier reason stays."""
    running = and_(batches.c.id == batch, batches.c.paused.is_(None))
    connection.execute(update(batches).where(running).values(paused=Clock(), pause_reason=reason))


_properties = (
    *(Clock().label("now"), batches.c.pause_reason, batches.c.rehearsal),
    *(batches.c.options, batches.c.failures_in_a_row, batches.c.swept, batches.c.kind),
)

_in_work = and_(_of_batch, _row.lease_until.is_not(None))


def is_in(state: State) -> ColumnElement[bool]:
    """True for a row in *state*: a literal, as in the conditions of the indexes."""
    return _row.state == literal_column(f"'{state.value}'")


def _in(state: State) -> ColumnElement[bool]:
    return and_(_of_batch, is_in(state))


def _first_due(state: State) -> ScalarSelect[Any]:
    return select(func.min(_row.due)).where(_in(state), _row.due.is_not(None)).scalar_subquery()


LOOK = select(*_properties, _first_due(State.UNKNOWN).label("first_unknown")).where(
    batches.c.id == bindparam("of")
)
"""Reads the time, the properties of batch *of*, and when its first unknown row is due."""

LOCK = LOOK.with_for_update(key_share=True, of=batches)
"""
As `LOOK`, and locks the row. It comes before all other locks of a step, so that no two steps wait
for each other. The key stays free: mails that are added meanwhile refer to it.
"""

RENEW = update(messages).where(_in_work, _row.lease_owner == bindparam("owner")).returning(_row.id)
"""Changes the rows of batch *of* that *owner* holds, as `CHANGE` does, and reads their ids."""


def _skip_locked(query: Any) -> Any:
    """*query*, locking its rows. Rows that another worker is just taking are skipped."""
    return query.with_for_update(skip_locked=True, of=messages)


def _if_sending(value: str, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((_row.state == State.SENDING.value, value), else_=column)


SWEEP = (
    update(batches)
    .where(
        batches.c.id.in_(
            select(batches.c.id)
            .where(batches.c.id == bindparam("of"), batches.c.swept == bindparam("last"))
            # Another worker that is just claiming the sweep is not waited for.
            .with_for_update(key_share=True, skip_locked=True)
        )
    )
    .values(swept=_now)
)
"""Claims the sweep of batch *of* for a worker that knows the time of the *last* one."""

EXPIRE = (
    update(messages)
    .where(_row.id.in_(_skip_locked(select(_row.id).where(_in_work, _row.lease_until < _now))))
    .values(
        state=State.UNKNOWN.value,
        due=_now,
        fence=_row.fence + 1,
        lease_owner=None,
        lease_until=None,
        unknown_since=func.coalesce(_row.unknown_since, _now),
        error_kind=_if_sending("LeaseExpired", _row.error_kind),
        error=_if_sending(
            "the worker that had it was gone before it reported the outcome", _row.error
        ),
    )
)
"""
Releases the rows of batch *of* whose lease ended before *now*: a mail that was being sent becomes
unknown, a lookup becomes due again.
"""


RELEASE = (
    update(messages)
    .where(_row.id.in_(bindparam("rows")))
    .values(
        state=_if_sending(State.PLANNED.value, _row.state),
        due=_now,
        fence=_row.fence + 1,
        lease_owner=None,
        lease_until=None,
    )
)
"""Gives back *rows* whose work was never begun."""


def _due(state: State, *conditions: ColumnElement[bool]) -> Executable:
    columns = (
        *(_row.id, _row.key, _row.unique_id),
        *(payloads.c.payload, payloads.c.files.label("contents"), payloads.c.trace_context),
        *(_row.source, _row.line, _row.attempts, _row.looks, _row.smtp_user_name),
        (_row.fence + 1).label("fence"),
        func.coalesce(_row.unknown_since, _now).label("unknown_since"),
    )
    found = (
        select(*columns)
        .join_from(messages, payloads)
        .where(_in(state), _row.due <= _now, *conditions)
    )
    query: Executable = _skip_locked(found.order_by(_row.due, _row.id).limit(bindparam("room")))
    return query


PLANNED = _due(State.PLANNED, or_(_row.expires.is_(None), _row.expires > _now))
"""Finds the next rows to send: at most *room* of batch *of*, at the time *now*."""

UNKNOWN = _due(State.UNKNOWN, _row.lease_owner.is_(None))
"""Finds the next rows to look up, as `PLANNED` does for rows to send."""

COUNT_DUE = select(func.count()).select_from(
    select(_row.id)
    .join_from(messages, batches)
    .where(_in(State.PLANNED), _row.due <= Clock(), batches.c.paused.is_(None))
    .limit(bindparam("room"))
    .subquery()
)
"""Counts the next rows to send of batch *of*, up to *room*; none if it is paused."""

CHANGE = update(messages).where(_row.id == bindparam("row"))
"""Changes *row*: its other parameters are the columns to be written."""

FENCES = (
    select(_row.id, _row.fence)
    .where(_row.id.in_(bindparam("rows")))
    .order_by(_row.id)
    .with_for_update()
)
"""Locks *rows*, in one order, so that no two processes wait for each other."""


RESULTS = select(
    *(_row.id.label("row"), _row.fence, _row.state, _row.attempts, _row.looks),
    *(_row.lease_owner, _row.error_kind),
).where(_row.id.in_(bindparam("rows")))
"""Reads from *rows* what shows whether a result was written to them, as `result_columns` has it."""


LEFT = select(
    _first_due(State.PLANNED),
    _first_due(State.UNKNOWN),
    select(func.min(_row.lease_until)).where(_in_work).scalar_subquery(),
)
"""
Reads when the first row of batch *of* is due to be sent, when the first to be looked up, and when
the first lease of a row in work ends.
"""

REOPEN = (
    update(messages)
    .where(_in(State.UNKNOWN), _row.due.is_(None), _row.lease_owner.is_(None))
    .values(due=Clock())
)
"""Has the rows of batch *of* looked up once more whose lookup has ended."""


def result_columns(finished: Finished, now: float) -> dict[str, Any]:
    """The parameters of `CHANGE` that write a result."""
    verdict, work = finished.verdict, finished.work
    unknown_since = work.unknown_since if work.state is State.UNKNOWN else now
    kind = reason = None
    if verdict.error is not None:
        kind, reason = type(verdict.error).__name__, verdict.error.explanation
        if len(reason) > _MAX_ERROR_CHARS:
            reason = f"{reason[: _MAX_ERROR_CHARS - 1]}…"
    return {
        "row": work.id,
        "state": verdict.state,
        "due": None if verdict.delay is None else now + verdict.delay,
        "attempts": work.attempts + verdict.attempted,
        "looks": work.looks + 1 if verdict.looked else 0,
        "fence": work.fence + 1,
        "lease_owner": None,
        "lease_until": None,
        "error_kind": kind,
        "error": reason,
        "unknown_since": unknown_since if verdict.state is State.UNKNOWN else None,
        "settled": now if verdict.is_final else None,
    }
