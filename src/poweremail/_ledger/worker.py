"""
A worker on a batch: it takes rows under a lease, and writes their results.

Theory of operation. A worker has one operation, `Worker.step`, and each step is one transaction. It
writes the results of finished rows, renews the leases of the rows in work, turns rows whose lease
has ended into unknown ones, and takes new rows. When it returns, all of that is on the disk. So the
caller may send what the step returned, and report what it recorded. A transaction costs a wait for
the disk; many rows share it, the more the slower the disk is.

The invariant: at most one worker may write to a row. Each change of owner increases the row's
fence, and a result is written only if the fence, in the row that the transaction has locked, is
still that of its worker. The caller learns which results were lost. A process that stood still does
not begin a request after half of its lease (`Work.is_stale`), because its rows may have another
owner soon.

If the database is out of reach, the step is repeated for half a lease: leases were renewed a
quarter of a lease ago at most, so they last until then. A lost connection may hide whether the
commit took place, and a step may be repeated in either case. A row that has its result already, as
the fence and the columns show, is recorded. A row that was taken, but whose taking was never
reported, is among those whose lease is renewed, without being held: it is released.

How it is tested: `tests/batch/test_states.py` drives workers at random against a model, and the
crash test kills real ones between any two of the lines that are logged here.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
from sqlalchemy import Connection

from poweremail._ledger import State
from poweremail._ledger.bookings import Bookings
from poweremail._ledger.clock import elapsed
from poweremail._ledger.database import Database
from poweremail._ledger.options import SharedOptions
from poweremail._ledger.results import Results, record
from poweremail._ledger.schema import OUTBOX
from poweremail._ledger.statements import LOCK, LOOK, RELEASE, RENEW, REOPEN
from poweremail._ledger.taking import Taker
from poweremail._ledger.values import BatchOutcome, Finished, Step, Work, boot_time
from poweremail._ledger.verdicts import Verdicts
from poweremail._policy.limits import RateLimits
from poweremail._policy.retry import RetryPolicy
from poweremail.errors import LedgerError

_log = logging.getLogger("poweremail.batch")

_REPEATS = RetryPolicy(first_wait=0.1, max_wait=1.0)


class Worker:
    """
    One worker on the batch with the number *batch*, sending as *smtp_users* within *limits*.

    A worker that does not renew its leases for *lease* seconds of the ledger's clock has lost them:
    its rows become unknown, and its results for them are not written any more.

    ``options`` and ``verdicts`` are those of the batch at the last step. *reports*: whether hooks
    are called for outcomes.
    """

    def __init__(
        self,
        database: Database,
        batch: int,
        smtp_users: Sequence[str],
        limits: Mapping[str, RateLimits],
        *,
        lease: float,
        reports: bool = False,
    ) -> None:
        self.owner: str = uuid.uuid4().hex
        self._database = database
        self._batch = batch
        self._lease = lease
        self.options: SharedOptions = SharedOptions(lease=lease)
        self.verdicts: Verdicts = self.options.verdicts
        self._reports = reports
        self._options_stored: str | None = None
        self._bookings = Bookings(database, batch, smtp_users, limits)
        self._taker = Taker(batch, self.owner, self._bookings)
        self._held: dict[int, Work] = {}
        self._step_lock = threading.Lock()
        self._retired = False
        self._gives_up_at: float | None = None  # by `boot_time`, while the database is away
        self._renewed = 0.0

    def retire(self) -> tuple[Work, ...]:
        """Take no more rows, not even in a step that waits to begin; return the rows in work."""
        self._retired = True
        with self._step_lock:
            return tuple(self._held.values())

    def adopt_lease(self) -> float:
        """
        Let the lease of ``options`` be that of the rows from the next step on.

        Returns the seconds within which the next step must renew the leases, those of rows that
        have the former lease included.
        """
        shorter = min(self._lease, self.options.lease)
        if self._lease != self.options.lease:
            self._lease, self._renewed = self.options.lease, 0.0
        return shorter / 4

    def begin(self, *, reopen: bool = True) -> None:
        """Register the SMTP users. *reopen*: have every unknown mail looked up once more."""
        with self._database.transaction() as connection:
            self._bookings.register(connection)
            if reopen:
                connection.execute(REOPEN, {"of": self._batch})

    def step(self, finished: Sequence[Finished], room: int) -> Step:
        """
        Write the results *finished*, and take up to *room* rows.

        It is repeated for half a lease if the database is out of reach. Raises `LedgerError` after
        that, or for another reason; then it may have happened nevertheless, and the next step with
        these results finds out.
        """
        # If the caller of a step is cancelled, the step goes on in its thread, beside the one that
        # cleans up.
        with self._step_lock:
            attempt = 0
            while True:
                attempt += 1
                try:
                    step = self._step(finished, 0 if self._retired else room)
                except LedgerError as error:
                    if not error.temporary or not self._is_patient(error):
                        raise
                    time.sleep(_REPEATS.wait(attempt, None))
                else:
                    self._gives_up_at = None
                    return step

    def _is_patient(self, error: LedgerError) -> bool:
        """Return whether to try again after *error*. Each outage is waited for once."""
        if self._gives_up_at is None:
            self._gives_up_at = boot_time() + self._lease / 2
            _log.warning(
                "nothing is sent until the ledger is back, for %g seconds at most: %s",
                self._lease / 2,
                error,
            )
        return boot_time() < self._gives_up_at

    def _step(self, finished: Sequence[Finished], room: int) -> Step:
        valid_until = boot_time() + self._lease / 2
        self._database.files.check()
        if room > 0:
            self._database.files.check_room(room + len(self._held))
        bookings = self._bookings
        try:
            bookings.before_step(finished, room, self._held.values())
            with self._database.transaction() as connection:
                step = self._transact(connection, finished, room, valid_until)
                _log.debug("uncommitted")
        except BaseException:
            bookings.step_failed()
            self._renewed = 0.0
            raise
        bookings.after_step()
        for each in finished:
            self._held.pop(each.work.id, None)
        self._held |= {work.id: work for work in step.work}
        return step

    def _transact(
        self, connection: Connection, finished: Sequence[Finished], room: int, valid_until: float
    ) -> Step:
        batch = self._look(connection, finished)
        results = Results.of(connection, finished, batch.now)
        paused = record(
            connection,
            self._batch,
            results.held,
            batch.now,
            reports=self._reports,
            failures=batch.failures_in_a_row,
            max_failures=self.options.errors_in_a_row,
        )
        paused = paused or batch.pause_reason
        is_unknown_due = batch.first_unknown is not None and batch.first_unknown <= batch.now
        is_unknown_due = self._renew(connection, batch.now) or is_unknown_due
        room = room if paused is None else 0
        self._bookings.in_step(connection, finished, room, self._held.values())
        expired: list[tuple[int, BatchOutcome]] = []
        if room:
            expired = self._taker.end_expired(connection, batch, reported=self._reports)
        work, wait = self._taker.take(
            connection,
            batch,
            room,
            lease=self._lease,
            valid_until=valid_until,
            is_unknown_due=is_unknown_due,
        )
        self._bookings.end_step(connection)
        settled = [each.work.id for each in results.held if each.verdict.is_final]
        return Step(
            recorded=(*results.held, *results.written),
            lost=results.lost,
            work=tuple(work),
            expired=tuple(outcome for _, outcome in expired),
            settled=(*settled, *(row for row, _ in expired)),
            wait=wait,
            rests=self._taker.rests,
            paused=paused,
            rehearsal=batch.rehearsal,
            options=batch.options,
        )

    def _look(self, connection: Connection, finished: Sequence[Finished]) -> Any:
        """
        Read the time and the properties of the batch. Its row is locked only if *finished* may
        change it: never while all goes well, so that no worker waits for another.
        """
        of_batch = {"of": self._batch}
        batch = connection.execute(LOOK, of_batch).one()
        verdicts = [each.verdict for each in finished]
        if any(each.bad or each.pause for each in verdicts) or (
            batch.failures_in_a_row and any(each.state is State.ACCEPTED for each in verdicts)
        ):
            batch = connection.execute(LOCK, of_batch).one()
        if batch.options != self._options_stored:
            self._options_stored = batch.options
            self.options = SharedOptions.from_json(batch.options)
        self.verdicts = attrs.evolve(self.options.verdicts, keeps_trying=batch.kind == OUTBOX)
        return batch

    def _renew(self, connection: Connection, now: float) -> bool:
        """
        Renew the leases, if it is time to. Returns whether rows were released whose taking was
        never reported.
        """
        if not elapsed(self._renewed, now, self._lease / 4):
            return False
        self._renewed = now
        own = {"of": self._batch, "owner": self.owner, "lease_until": now + self._lease}
        unreported = set(connection.scalars(RENEW, own)) - self._held.keys()
        if unreported:
            connection.execute(RELEASE, {"rows": sorted(unreported), "now": now})
        return bool(unreported)
