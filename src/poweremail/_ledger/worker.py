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

import json
import logging
import threading
import time
import uuid
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import attrs
from sqlalchemy import Connection, select, update

from poweremail._ledger.database import Database, elapsed
from poweremail._ledger.expiry import end_expired, first_expiry
from poweremail._ledger.options import SharedOptions
from poweremail._ledger.rate_limits import Budgets, Grant
from poweremail._ledger.schema import OUTBOX, batches, contents
from poweremail._ledger.statements import (
    CHANGE,
    COUNT_DUE,
    EXPIRE,
    FENCES,
    LEFT,
    LOCK,
    LOOK,
    PLANNED,
    RELEASE,
    RENEW,
    REOPEN,
    RESULTS,
    SWEEP,
    UNKNOWN,
    pause_batch,
    result_columns,
)
from poweremail._ledger.states import TRANSITIONS, State
from poweremail._ledger.values import BatchOutcome, Finished, Step, Verdict, Work, boot_time
from poweremail._ledger.verdicts import ACCEPTED, Verdicts
from poweremail._policy.limits import RateLimits
from poweremail._policy.retry import RetryPolicy
from poweremail.errors import LedgerError

__all__ = ["Worker"]

_log = logging.getLogger("poweremail.batch")

_SWEEP_SECONDS = 1.0
"""The time between two searches for leases that have ended: one search serves all workers."""

_MIN_WAIT_SECONDS = 0.01
_REPEATS = RetryPolicy(first_wait=0.1, max_wait=1.0)
_MAX_CACHED_FILE_BYTES = 32 * 1024 * 1024


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
        self._is_outbox = self._rests = False
        self._ended_expired = 0.0
        self._options_stored: str | None = None
        self._budgets = Budgets(smtp_users, limits)
        self._held: dict[int, Work] = {}
        self._step_lock = threading.Lock()
        self._retired = False
        self._gives_up_at: float | None = None  # by `boot_time`, while the database is away
        self._renewed = 0.0
        # What is booked for a step. On PostgreSQL, if a step failed: what is to be given back.
        self._grants: list[Grant] = []
        self._has_plenty = False  # whether the last step found as many rows as it wanted
        self._files: OrderedDict[str, bytes] = OrderedDict()

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
            self._budgets.register(connection)
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
        self._valid_until = boot_time() + self._lease / 2
        self._database.check_file()
        if room > 0:
            self._database.check_room(room + len(self._held))
        is_server = self._database.path is None
        booked: list[Grant] = []
        try:
            if is_server:
                self._book_before(finished, room)
                booked = self._grants
            with self._database.transaction() as connection:
                step = self._transact(connection, finished, room)
                _log.debug("uncommitted")
        except BaseException:
            self._budgets.forget()
            self._renewed = 0.0
            # On SQLite they were part of the transaction.
            self._grants = booked
            raise
        if any(each.time is not None for each in self._grants):
            # The step is done. If it cannot be given back now, that is done in the next one.
            with suppress(LedgerError), self._database.statements() as alone:
                self._give_back(alone)
        for each in finished:
            self._held.pop(each.work.id, None)
        self._held |= {work.id: work for work in step.work}
        return step

    def _transact(self, connection: Connection, finished: Sequence[Finished], room: int) -> Step:
        batch = self._look(connection, finished)
        now, paused = batch.now, batch.pause_reason
        fences = self._lock(connection, finished)
        held = [each for each in finished if fences.get(each.work.id) == each.work.fence]
        others = [each for each in finished if fences.get(each.work.id) != each.work.fence]
        written = _written_before(connection, now, others)
        paused = self._record(connection, now, held, batch.failures_in_a_row) or paused
        is_unknown_due = batch.first_unknown is not None and batch.first_unknown <= now
        if elapsed(self._renewed, now, self._lease / 4):
            own = {"of": self._batch, "owner": self.owner, "lease_until": now + self._lease}
            renewed = set(connection.scalars(RENEW, own))
            if unreported := sorted(renewed - self._held.keys()):
                connection.execute(RELEASE, {"rows": unreported, "now": now})
                is_unknown_due = True
            self._renewed = now
        room = room if paused is None else 0
        if self._database.path is not None:
            self._book(connection, finished, room)
        expired: list[tuple[int, BatchOutcome]] = []
        if self._is_outbox and room and elapsed(self._ended_expired, now, _SWEEP_SECONDS):
            expired = end_expired(connection, self._batch, now, reported=self._reports)
            self._ended_expired = now
        self._rests = False
        work, wait = self._take(connection, batch, room, is_unknown_due=is_unknown_due)
        settled = [each.work.id for each in held if each.verdict.is_final]
        settled += [id for id, _ in expired]
        if self._database.path is not None:
            self._give_back(connection)
        return Step(
            recorded=(*held, *(each for each in others if each.work.id in written)),
            lost=tuple(each for each in others if each.work.id not in written),
            work=tuple(work),
            expired=tuple(outcome for _, outcome in expired),
            settled=tuple(settled),
            wait=wait,
            rests=self._rests,
            paused=paused,
            rehearsal=batch.rehearsal,
            options=batch.options,
        )

    def _book_before(self, finished: Sequence[Finished], room: int) -> None:
        """Do as `_book` in transactions of its own, if anything is to be read or written."""
        refused, accepted = self._refusals(finished)
        reads = room > 0 and (self._budgets.is_limited or self._budgets.needs_to_read())
        if self._grants or refused or accepted or reads:
            with self._database.statements() as connection:
                self._book(connection, finished, room)
        else:
            self._grants = self._budgets.grant(None, room, self._in_work(finished))

    def _book(self, connection: Connection, finished: Sequence[Finished], room: int) -> None:
        """
        Write what *finished* says of the SMTP users, and book up to *room* requests: those of
        ``_grants``.
        """
        budgets = self._budgets
        self._give_back(connection)
        refused, accepted = self._refusals(finished)
        for name in sorted(refused):
            budgets.refuse(connection, name, refused[name])
        for name in sorted(accepted):
            budgets.accept(connection, name)
        if room <= 0:
            return
        budgets.read(connection, self._batch)
        if budgets.is_limited and not self._has_plenty:
            counted = connection.execute(COUNT_DUE, {"of": self._batch, "room": room})
            room = int(counted.scalar_one())
        self._grants = budgets.grant(connection, room, self._in_work(finished))

    def _give_back(self, connection: Connection) -> None:
        """Give back what was booked and is not needed."""
        self._budgets.give_back(connection, self._grants)
        self._grants = []

    def _refusals(self, finished: Sequence[Finished]) -> tuple[dict[str, float], set[str]]:
        """
        Return the SMTP users that got a 429, with the longest Retry-After, and those that may send
        again after one.
        """
        refused: dict[str, float] = {}
        accepted: set[str] = set()
        for work, verdict in ((each.work, each.verdict) for each in finished):
            name = work.smtp_user_name
            if verdict.refused is not None:
                refused[name] = max(verdict.refused, refused.get(name, 0.0))
            if verdict == ACCEPTED and self._budgets.was_refused(name):
                accepted.add(name)
        return refused, accepted - refused.keys()

    def _in_work(self, finished: Sequence[Finished]) -> Counter[str]:
        """Count the mails in work of each SMTP user, without those that have *finished*."""
        ended = {each.work.id for each in finished}
        return Counter(
            work.smtp_user_name
            for work in self._held.values()
            if work.state is State.SENDING and work.id not in ended
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
        self._is_outbox = batch.kind == OUTBOX
        self.verdicts = attrs.evolve(self.options.verdicts, keeps_trying=self._is_outbox)
        return batch

    @staticmethod
    def _lock(connection: Connection, finished: Sequence[Finished]) -> dict[int, int]:
        """Lock the rows of *finished*, and return their fences."""
        if not finished:
            return {}
        rows = connection.execute(FENCES, {"rows": [each.work.id for each in finished]})
        return {row.id: row.fence for row in rows}

    def _record(
        self, connection: Connection, now: float, held: Sequence[Finished], failures: int
    ) -> str | None:
        """
        Write the results *held*, after so many *failures* in a row. Returns why the batch must
        pause, None if it need not.
        """
        for work, verdict in ((each.work, each.verdict) for each in held):
            if verdict.state not in TRANSITIONS[work.state]:
                raise AssertionError(f"{work.state} cannot become {verdict.state}")
        if held:
            connection.execute(CHANGE, [self._columns(each, now) for each in held])
        return self._count_failures(connection, [each.verdict for each in held], failures)

    def _columns(self, finished: Finished, now: float) -> dict[str, Any]:
        noted = now if self._reports and finished.verdict.is_final else None
        return result_columns(finished, now) | {"unreported": noted}

    def _count_failures(
        self, connection: Connection, verdicts: Sequence[Verdict], failures: int
    ) -> str | None:
        """
        Count the failures in a row of all workers; the last one that is allowed pauses the batch.
        """
        pause: str | None = None
        counted = failures
        for verdict in verdicts:
            reason = verdict.pause
            if verdict.state is State.ACCEPTED:
                counted = 0
            counted += verdict.bad
            if verdict.bad and counted >= self.options.errors_in_a_row:
                reason = f"{counted} failures in a row, the last: {verdict.error}"
                counted = 0
            pause = pause or reason
        if counted != failures:
            row = update(batches).where(batches.c.id == self._batch)
            connection.execute(row.values(failures_in_a_row=counted))
        if pause is not None:
            pause_batch(connection, self._batch, pause)
        return pause

    def _take(
        self, connection: Connection, batch: Any, room: int, *, is_unknown_due: bool
    ) -> tuple[list[Work], float | None]:
        if room <= 0:
            return [], 0.0
        now: float = batch.now
        work: list[Work] = []
        due = {"of": self._batch, "now": now}
        # Unknown rows are looked up before others are sent.
        if self._sweep(connection, batch) or is_unknown_due:
            rows = connection.execute(UNKNOWN, due | {"room": room}).all()
            names = [row.smtp_user_name for row in rows]
            work = self._lease_rows(connection, now, State.UNKNOWN, rows, names)
        left = room - len(work)
        # The limits may allow fewer than there are rows.
        names = [each.name for each in self._grants for _ in range(each.count)][:left]
        if names:
            rows = connection.execute(PLANNED, due | {"room": len(names)}).all()
            work += self._lease_rows(connection, now, State.SENDING, rows, names)
            self._grants = _without(self._grants, len(rows))
            self._has_plenty = len(rows) == len(names)
        return work, 0.0 if len(work) == room else self._wait(connection, batch)

    def _sweep(self, connection: Connection, batch: Any) -> bool:
        """Return whether leases have ended. Only one worker searches for them, once a second."""
        if not elapsed(batch.swept, batch.now, _SWEEP_SECONDS):
            return False
        claim = {"of": self._batch, "last": batch.swept, "now": batch.now}
        if not connection.execute(SWEEP, claim).rowcount:
            return False
        return connection.execute(EXPIRE, {"of": self._batch, "now": batch.now}).rowcount > 0

    def _lease_rows(
        self,
        connection: Connection,
        now: float,
        state: State,
        rows: Sequence[Any],
        names: Iterable[str],
    ) -> list[Work]:
        """Take the first *rows*, one for each of the *names* of SMTP users, into *state*."""
        taken = {"state": state, "taken": now, "valid_until": self._valid_until}
        works = [
            Work(
                **row._asdict()
                | taken
                | {"smtp_user_name": name, "contents": self._contents(connection, row.contents)}
            )
            for row, name in zip(rows, names, strict=False)
        ]
        until = now + self._lease
        lease = {"state": state, "due": None, "lease_owner": self.owner, "lease_until": until}
        if state is State.SENDING:
            lease["taken"] = now
        changes = (
            {"row": work.id, "fence": work.fence, "smtp_user_name": work.smtp_user_name}
            for work in works
        )
        if works:
            connection.execute(CHANGE, [lease | change for change in changes])
        return works

    def _contents(self, connection: Connection, files: str | None) -> dict[str, bytes]:
        wanted: dict[str, bytes] = {}
        for digest in json.loads(files or "[]"):
            content = self._files.pop(digest, None)
            if content is None:
                content = connection.execute(
                    select(contents.c.content).where(contents.c.digest == digest)
                ).scalar_one()
            wanted[digest] = self._files[digest] = content
        # The files that were used last stay in the cache.
        while len(self._files) > 1 and sum(map(len, self._files.values())) > _MAX_CACHED_FILE_BYTES:
            self._files.popitem(last=False)
        return wanted

    def _wait(self, connection: Connection, batch: Any) -> float | None:
        """Return the seconds until there may be more to do; None if there will be nothing."""
        planned, unknown, lease_until = connection.execute(LEFT, {"of": self._batch}).one()
        times: list[float] = []
        self._rests = self._is_outbox and unknown is None and lease_until is None
        if planned is not None:
            self._rests = self._rests and planned > batch.now
            times.append(max(planned, batch.now + self._budgets.wait()))
        if unknown is not None:
            times.append(unknown)
        if lease_until is not None:
            times.append(max(lease_until, batch.swept + _SWEEP_SECONDS))
        if self._is_outbox and (expires := first_expiry(connection, self._batch)) is not None:
            times.append(max(expires, self._ended_expired + _SWEEP_SECONDS))
        return max(_MIN_WAIT_SECONDS, min(times) - batch.now) if times else None


def _without(grants: Sequence[Grant], used: int) -> list[Grant]:
    """Return what is left of *grants* after so many requests of the first ones."""
    left: list[Grant] = []
    for grant in grants:
        unused = max(0, grant.count - used)
        used -= grant.count - unused
        if unused:
            left.append(attrs.evolve(grant, count=unused))
    return left


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
