"""
Which outcomes the hooks of a ledger must still be called for.

Theory of operation. The step that settles a row notes the time in the row (``unreported``), in the
same transaction. The worker calls the hooks after the commit, and clears the note after they
returned. If it dies between the two, the note stays, and after a grace period another worker takes
the row over. So each hook is called at least once for each outcome.

An event carries the row's fence, which changes with each outcome: a note is only cleared by whoever
has reported that outcome.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import and_, bindparam, or_, select, update

from poweremail._ledger.clock import Clock
from poweremail._ledger.database import Database
from poweremail._ledger.payload import recipients
from poweremail._ledger.schema import batches, messages, payloads
from poweremail._types.outcome_event import OutcomeEvent

_MAX_ROWS = 100

_row = messages.c
_EVENTS = (
    select(
        *(_row.id, _row.fence, _row.state, _row.unique_id, _row.attempts, _row.smtp_user_name),
        *(_row.error_kind, _row.error, _row.key),
        batches.c.name.label("batch"),
        payloads.c.payload,
    )
    .join_from(messages, payloads)
    .join(batches)
    .where(_row.id.in_(bindparam("rows", expanding=True)), _row.unreported.is_not(None))
    .order_by(_row.id)
)


class Reports:
    """The outcomes of *batch* that must be reported. *grace*: see `overdue`."""

    def __init__(self, database: Database, batch: int, grace: float) -> None:
        self._database = database
        self._batch = batch
        self._grace = grace

    def read(self, rows: Sequence[int]) -> list[OutcomeEvent]:
        """The events of *rows* that are not reported yet."""
        with self._database.reading() as connection:
            return [_event(row) for row in connection.execute(_EVENTS, {"rows": rows})]

    def overdue(self) -> list[OutcomeEvent]:
        """
        Take over events that were not reported within the grace period: their worker is gone, or a
        hook has failed. No other worker takes them for as long.
        """
        now = Clock()
        with self._database.transaction() as connection:
            is_late = or_(_row.unreported < now - self._grace, _row.unreported > now + self._grace)
            late = (
                select(_row.id)
                .where(_row.batch == self._batch, _row.unreported.is_not(None), is_late)
                .order_by(_row.unreported)
                .limit(_MAX_ROWS)
                .with_for_update(skip_locked=True)
            )
            rows = list(connection.scalars(late))
            if not rows:
                return []
            connection.execute(update(messages).where(_row.id.in_(rows)).values(unreported=now))
            return [_event(row) for row in connection.execute(_EVENTS, {"rows": rows})]

    def clear(self, events: Sequence[OutcomeEvent]) -> None:
        """The hooks have returned for *events*."""
        marks = [tuple(map(int, event.id.split("-"))) for event in events]
        reported = or_(*(and_(_row.id == row, _row.fence == fence) for row, fence in marks))
        with self._database.transaction() as connection:
            connection.execute(update(messages).where(reported).values(unreported=None))

    def wait(self, failed: Collection[str]) -> float | None:
        """
        The seconds until `overdue` may return another event; None if all are reported, or are among
        the *failed* ids.
        """
        notes = select(_row.id, _row.fence, _row.unreported, Clock().label("now")).where(
            _row.batch == self._batch, _row.unreported.is_not(None)
        )
        limit = len(failed) + 1
        with self._database.reading() as connection:
            rows = connection.execute(notes.order_by(_row.unreported).limit(limit)).all()
        waits = [
            max(0.0, row.unreported + self._grace - row.now)
            for row in rows
            if f"{row.id}-{row.fence}" not in failed
        ]
        return min(waits, default=None)


def _event(row: Any) -> OutcomeEvent:
    members = row._asdict()
    id, fence, payload = (members.pop(name) for name in ("id", "fence", "payload"))
    return OutcomeEvent(id=f"{id}-{fence}", recipients=recipients(payload), **members)
