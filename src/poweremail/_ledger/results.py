"""
The results of a step: who may write which, what is written, and when failures pause the batch.

A result is written if the fence of its row, in the row that the transaction has locked, is still
that of its worker.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
from sqlalchemy import Connection

from poweremail._ledger import TRANSITIONS, State
from poweremail._ledger.statements import (
    CHANGE,
    FENCES,
    RESULTS,
    change_batch,
    pause_batch,
    result_columns,
)
from poweremail._ledger.values import Finished, Verdict


@attrs.frozen
class Results:
    """
    The results of a step. *held*: those whose rows its worker still holds, so they are written.
    *written*: those that an interrupted commit has written already. *lost*: the others.
    """

    held: tuple[Finished, ...]
    written: tuple[Finished, ...]
    lost: tuple[Finished, ...]

    @classmethod
    def of(cls, connection: Connection, finished: Sequence[Finished], now: float) -> Results:
        """Lock the rows of *finished*, and tell the results apart."""
        fences: dict[int, int] = {}
        if finished:
            rows = connection.execute(FENCES, {"rows": [each.work.id for each in finished]})
            fences = {row.id: row.fence for row in rows}
        held = [each for each in finished if fences.get(each.work.id) == each.work.fence]
        others = [each for each in finished if fences.get(each.work.id) != each.work.fence]
        known = _written_before(connection, now, others)
        written = [each for each in others if each.work.id in known]
        lost = [each for each in others if each.work.id not in known]
        return cls(tuple(held), tuple(written), tuple(lost))


def _written_before(
    connection: Connection, now: float, finished: Sequence[Finished]
) -> frozenset[int]:
    """Return the ids of the rows that have the result of *finished*: a commit was interrupted."""
    if not finished:
        return frozenset()
    rows = connection.execute(RESULTS, {"rows": [each.work.id for each in finished]})
    stored = {row.row: row._asdict().items() for row in rows}
    return frozenset(
        each.work.id
        for each in finished
        if each.work.id in stored and stored[each.work.id] <= result_columns(each, now).items()
    )


def record(
    connection: Connection,
    batch: int,
    held: Sequence[Finished],
    now: float,
    *,
    reports: bool,
    failures: int,
    max_failures: int,
) -> str | None:
    """
    Write the results *held*. *reports*: whether hooks wait for them.

    So many *failures* in a row came before; the last one of *max_failures* pauses the batch.
    Returns why it must pause, None if it need not.
    """
    for work, verdict in ((each.work, each.verdict) for each in held):
        if verdict.state not in TRANSITIONS[work.state]:
            raise AssertionError(f"{work.state} cannot become {verdict.state}")
    if held:
        noted = now if reports else None
        connection.execute(
            CHANGE,
            [
                result_columns(each, now) | {"unreported": noted if each.verdict.is_final else None}
                for each in held
            ],
        )
    counted, pause = _count([each.verdict for each in held], failures, max_failures)
    if counted != failures:
        change_batch(connection, batch, failures_in_a_row=counted)
    if pause is not None:
        pause_batch(connection, batch, pause)
    return pause


def _count(verdicts: Sequence[Verdict], failures: int, max_failures: int) -> tuple[int, str | None]:
    """Return the failures in a row after *verdicts*, and why the batch must pause, if it must."""
    pause: str | None = None
    for verdict in verdicts:
        reason = verdict.pause
        if verdict.state is State.ACCEPTED:
            failures = 0
        failures += verdict.bad
        if verdict.bad and failures >= max_failures:
            reason = f"{failures} failures in a row, the last: {verdict.error}"
            failures = 0
        pause = pause or reason
    return failures, pause
