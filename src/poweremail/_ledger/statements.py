"""
The statements of every step of a worker, built once: to build them costs more than to execute them.
Each has bound parameters, which the worker fills in.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Executable,
    and_,
    bindparam,
    or_,
    select,
    update,
)

from poweremail._ledger.database import Clock
from poweremail._ledger.schema import batches, messages
from poweremail._ledger.states import State
from poweremail._ledger.values import Finished

__all__ = [
    "EXPIRED",
    "LOOK",
    "PLANNED",
    "RENEW",
    "TAKE",
    "UNKNOWN",
    "WRITE",
    "is_open",
    "pause_batch",
    "write_parameters",
]

_MAX_ERROR_CHARS = 500

_row = messages.c


def is_open() -> ColumnElement[bool]:
    """Whether an unknown row is still being looked up: it is due some time, or a worker has it."""
    return or_(_row.due.is_not(None), _row.lease_owner.is_not(None))


def pause_batch(connection: Connection, batch: int, now: float, reason: str) -> None:
    """Pause *batch*. If it is paused already, the earlier reason stays."""
    running = and_(batches.c.id == batch, batches.c.paused.is_(None))
    connection.execute(update(batches).where(running).values(paused=now, pause_reason=reason))


LOOK = select(Clock(), batches.c.pause_reason, batches.c.rehearsal).where(
    batches.c.id == bindparam("of")
)
"""Reads the time, the reason of a pause, and the rehearsal of batch *of*."""

_in_work = and_(
    _row.batch == bindparam("of"),
    _row.state.in_([State.SENDING.value, State.UNKNOWN.value]),
)

RENEW = (
    update(messages)
    .where(_in_work, _row.lease_owner == bindparam("owner"))
    .values(lease_until=bindparam("until"))
)
"""Renews the leases of *owner* on rows of batch *of*."""


def _skip_locked(query: Any) -> Executable:
    """*query*, locking its rows. Rows that another worker is just taking are skipped."""
    locking: Executable = query.with_for_update(skip_locked=True)
    return locking


EXPIRED = _skip_locked(
    select(_row.id, _row.state).where(_in_work, _row.lease_until < bindparam("now"))
)
"""Finds the rows of batch *of* whose lease ended before *now*."""


def _due(state: State, *conditions: ColumnElement[bool]) -> Executable:
    columns = (
        *(_row.id, _row.fence, _row.key, _row.unique_id, _row.payload, _row.files, _row.attempts),
        *(_row.looks, _row.smtp_user_name, _row.source, _row.line, _row.unknown_since),
    )
    found = select(*columns).where(
        _row.batch == bindparam("of"),
        _row.state == state.value,
        _row.due <= bindparam("now"),
        *conditions,
    )
    return _skip_locked(found.order_by(_row.due, _row.id).limit(bindparam("room")))


PLANNED = _due(State.PLANNED)
"""Finds the next rows to send: at most *room* of batch *of*, at the time *now*."""

UNKNOWN = _due(State.UNKNOWN, _row.lease_owner.is_(None))
"""Finds the next rows to look up, as `PLANNED` does for rows to send."""

TAKE = (
    update(messages)
    .where(_row.id == bindparam("row"))
    .values(
        state=State.SENDING.value,
        taken=bindparam("at"),
        due=None,
        fence=_row.fence + 1,
        lease_owner=bindparam("owner"),
        lease_until=bindparam("until"),
        smtp_user_name=bindparam("name"),
    )
)
"""Gives *row* to *owner* until the time *until*, to be sent as the SMTP user *name*."""

WRITE = (
    update(messages)
    .where(_row.id == bindparam("row"), _row.fence == bindparam("held"))
    .values(
        state=bindparam("to_state"),
        due=bindparam("to_due"),
        attempts=_row.attempts + bindparam("attempted"),
        looks=bindparam("to_looks"),
        fence=_row.fence + 1,
        lease_owner=None,
        lease_until=None,
        error_kind=bindparam("kind"),
        error=bindparam("reason"),
        unknown_since=bindparam("since"),
        settled=bindparam("at"),
    )
)
"""Writes the result of a row, unless another worker has it by now."""


def write_parameters(finished: Finished, now: float) -> dict[str, Any]:
    """The parameters of `WRITE`."""
    verdict, work = finished.verdict, finished.work
    unknown_since = work.unknown_since if work.state is State.UNKNOWN else now
    kind = reason = None
    if verdict.error is not None:
        kind, reason = type(verdict.error).__name__, verdict.error.explanation
        if len(reason) > _MAX_ERROR_CHARS:
            reason = f"{reason[: _MAX_ERROR_CHARS - 1]}…"
    return {
        "row": work.id,
        "held": work.fence,
        "to_state": verdict.state.value,
        "to_due": None if verdict.delay is None else now + verdict.delay,
        "attempted": int(verdict.attempted),
        "to_looks": work.looks + 1 if verdict.looked else 0,
        "kind": kind,
        "reason": reason,
        "since": unknown_since if verdict.state is State.UNKNOWN else None,
        "at": now if verdict.is_final else None,
    }
