"""The progress of a batch."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, select

from poweremail._ledger import RETRYABLE, State, stored_options
from poweremail._ledger.database import Database
from poweremail._ledger.lane_conditions import is_drained, is_free
from poweremail._ledger.schema import batches, lanes, messages
from poweremail._ledger.statements import is_open
from poweremail._ledger.values import BatchStatus

_row = messages.c


def read_status(database: Database, batch: int) -> BatchStatus:
    """Read the progress of *batch*, all of it at one moment."""
    failed = _row.state.in_([*RETRYABLE, State.INVALID])
    held = select(func.count()).where(lanes.c.batch == batch, ~is_free())
    unknown = select(func.count()).where(
        _row.batch == batch, _row.state == State.UNKNOWN, is_open()
    )
    with database.reading() as connection:
        row = connection.execute(select(batches).where(batches.c.id == batch)).one()
        return BatchStatus(
            name=row.name,
            counts=dict.fromkeys(map(str, State), 0) | _counts(connection, batch, _row.state),
            errors=_counts(connection, batch, _row.error_kind, failed),
            open_unknown=connection.execute(unknown).scalar_one(),
            paused=row.pause_reason,
            rehearsal=None if row.rehearsal is None else json.loads(row.rehearsal),
            options=json.loads(row.options or "{}"),
            limits=stored_options.read_limits(connection),
            added=row.added,
            workers=connection.execute(held).scalar_one(),
            runners=row.runners,
            drained=bool(connection.scalar(select(is_drained(batch, None)))),
        )


def _counts(
    connection: Connection, batch: int, column: ColumnElement[Any], *conditions: ColumnElement[bool]
) -> dict[str, int]:
    """Count the messages of *batch* by the values of *column*."""
    counted = select(column, func.count()).where(_row.batch == batch, *conditions)
    return {key or "": count for key, count in connection.execute(counted.group_by(column))}
