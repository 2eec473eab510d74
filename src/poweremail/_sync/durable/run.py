# Generated from src/poweremail/_async/durable/run.py; do not edit.
"""
One run of a batch: it takes rows from the ledger, sends or looks them up, and yields outcomes.

Theory of operation. A run has one worker of the ledger, and holds a lane of the batch while it
takes rows. A slice of work is a run that has bounds, see `Slice`: it ends where another run would
wait. Steps of the worker, each a transaction in
a thread, follow each other; requests go on beside them. A step writes the results of the requests
that ended since the last one, and takes as many rows as may begin, so the slower the disk, the more
rows share a transaction. After the first result it waits a moment for others, so that rows share a
transaction even if the disk is fast. A second task makes an empty step from time to time, which
renews the leases even if the caller takes outcomes slowly. It renews the lane as well, and so
learns that the worker is to end.

The invariant: the outcome of a request is never dropped. It is in `_finished` from the moment it is
known until a step has written it, and the caller sees it only after that. So every exit (the end of
the batch, an error or a cancellation of the caller, a failed ledger) takes the same path: the calls
in work end, or are cancelled; the known outcomes are written; a row whose request may have left
becomes unknown, and a row whose request was never begun is planned again; the lane is left. If
nothing can be written, the leases end, and another run looks the rows up.

If the ledger fails, no further request begins. Those in work end, the reserved room on the disk is
freed, and their outcomes are written after all, in a few attempts.

How it is tested: runs are cancelled before, during and after a step (`test_cancel.py`), real ones
are killed at each step (`test_crash.py`), and disks fill up (`test_batches.py`).
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Self

from poweremail._ledger.values import BatchOutcome, Finished, Kick, Work, Worked
from poweremail._ledger.verdicts import of_interrupted
from poweremail._policy.rehearsal import Rehearsal
from poweremail._runtime._sync import FairLock, in_thread, shielded, sleep
from poweremail._runtime._sync_many import Jobs, Repeated
from poweremail._sync.client import PowerEmail
from poweremail._sync.durable.hooks import Hooks
from poweremail._sync.durable.send import Sender
from poweremail.batch._options import RunOptions
from poweremail.batch._slice import ENDLESS, Slice
from poweremail.errors import ConfigurationError, LedgerError

if TYPE_CHECKING:
    from poweremail._ledger.ledger import Ledger

_log = logging.getLogger("poweremail.batch")

_POLL_SECONDS = 1.0
"""The longest time until a pause by another process is noticed."""

_STOP_SECONDS = 0.1
"""The longest time until it is noticed that the run is to stop. To look costs no transaction."""

_HEARTBEAT_SECONDS = 2.0
"""The longest time until a drain is noticed."""

_LINGER_SECONDS = 0.01
"""
How long a step waits for more results after the first one, until a quarter of `concurrency` is
there: a transaction for each result would cost more than the wait.
"""

_MAX_RESCUES = 3
"""The number of attempts, at growing intervals, to write outcomes after the ledger has failed."""


class BatchRun:
    """
    Runs a batch, and yields a `BatchOutcome` for each message that it settles, once the outcome is
    on the disk.

    Use it as a context manager and iterate over it, in one task or thread. It sends no faster than
    outcomes are taken. It ends when nothing is left to do for any worker, when the batch is paused
    or drained, and soon after `stop`. If the block is left early, the mails in work are finished.
    Afterwards ``paused`` is the reason why the batch is paused, or None.

    It holds a lane of the batch, so `Batch.workers` lists it. If the batch has ``runners``, and all
    lanes are held, it waits for one.

    *begin*: called once, when the block is entered; returns the number of the batch.
    *is_stopped*: whether it is to end as after `stop`.
    """

    def __init__(
        self,
        client: PowerEmail,
        ledger: Ledger,
        options: RunOptions,
        begin: Callable[[], int],
        *,
        is_stopped: Callable[[], bool] = lambda: False,
        within: Slice = ENDLESS,
    ) -> None:
        self.paused: str | None = None
        self._client = client
        self._sender = Sender(client)
        self._ledger = ledger
        self._begin = begin
        self._is_stopped = is_stopped
        self._slice = within
        self._options = options.sent_as(client.smtp_user_name)
        self._state = "new"
        self._stopping = False
        self._reason: str | None = None
        self._again_in = 0.0
        self._is_over = False
        self._failure: LedgerError | None = None
        self._next: tuple[float | None, Kick | None] = (None, None)
        self._finished: list[Finished] = []
        self._settled: list[int] = []
        self._ready: deque[BatchOutcome] = deque()
        self._wait = 0.0
        self._step_lock = FairLock()
        self._jobs: Jobs[Work, Finished] = Jobs(self._sender.process, options.concurrency)

    def __enter__(self) -> Self:
        self._expect("new", "it can be entered only once; call run() again")
        options = self._options
        # Before a row is taken: no mail could be sent, and each would need its outcome.
        self._client.prepare()
        batch = self._begin()
        shared = in_thread(
            self._ledger.settle_options, batch, options.given, options.limits_by_user()
        )
        limits = in_thread(self._ledger.limits, options.smtp_users)
        self._worker = self._ledger.worker(batch, options.smtp_users, limits, lease=shared.lease)
        self._renewing = Repeated(self._renew, min(shared.lease / 4, _HEARTBEAT_SECONDS))
        self._hooks = Hooks(self._ledger, batch, shared.lease)
        self._holder = self._ledger.holder(batch, self._slice.kick, lease=shared.lease)
        # Slices follow each other: a mail that was given up is looked up again by a run only.
        reopen = self._slice.is_endless
        in_thread(partial(self._worker.begin, reopen=reopen))
        in_thread(self._ledger.database.files.reserve, options.concurrency)
        self._timer = self._slice.begin()
        self._state = "open"
        self._jobs.__enter__()
        self._renewing.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._state = "closed"
        self._stopping = True
        # Not by an exit stack: if both raise the same cancellation, it makes the exception its own
        # context, an endless chain.
        try:
            try:
                self._renewing.__exit__(*error)
            finally:
                self._jobs.__exit__(*error)
        finally:
            with shielded():
                self._leave(raising=error[0] is None)

    def __iter__(self) -> BatchRun:
        return self

    def __next__(self) -> BatchOutcome:
        self._expect("open", "iterate inside its block: `with batch.run() as outcomes:`")
        while not self._ready:
            if self._is_over:
                raise self._failed() or StopIteration
            self._advance()
        return self._ready.popleft()

    def stop(self) -> None:
        """
        Begin no further mail. The iteration ends after the mails in work, and the batch can be run
        again.
        """
        self._end("stopped")

    def work(self) -> Worked:
        """Run to the end of the slice. The object cannot be used for anything else."""
        counts: Counter[str] = Counter()
        with self:
            for outcome in self:
                counts[outcome.state] += 1
        again_in, kick = self._next
        return Worked(
            counts=dict(counts), reason=self._reason or "stopped", again_in=again_in, kick=kick
        )

    def _advance(self) -> None:
        # Kept before the next wait, so that a cancellation of that wait cannot drop them.
        self._finished += self._results()
        if not self._timer.left:
            self._end("time")
        with self._step_lock:
            try:
                self._step(self._room())
            except LedgerError as error:
                self._stopping = True
                if self._failure is None:
                    self._failure = error
                    _log.warning("the ledger failed, nothing more is sent: %s", error)
        self._report()
        if self._stopping and not self._jobs.under_way:
            if self._finished:
                self._rescue()
            self._is_over = True

    def _results(self) -> list[Finished]:
        """Wait for the results of the next step; to be stopped ends the wait."""
        enough = min(self._options.concurrency // 4, self._jobs.under_way)
        was_stopping, left = self._stopping, self._wait
        while True:
            seconds = min(left, _STOP_SECONDS)
            left -= seconds
            found = self._jobs.ended(seconds, enough=enough, linger=_LINGER_SECONDS)
            if self._is_stopped():
                self._end("stopped")
            if found or left <= 0.0 or self._stopping > was_stopping:
                return found

    def _report(self) -> None:
        """Call the hooks for what has been settled."""
        settled, self._settled = self._settled, []
        self._hooks.report(settled)

    def _end(self, reason: str) -> None:
        """Begin no further mail, for the first *reason* that is given."""
        self._stopping = True
        self._reason = self._reason or reason

    def _room(self) -> int:
        """Take a lane, or renew it, if need be. Returns how many rows may be taken."""
        if not self._stopping and not self._holder.is_held:
            try:
                refused = in_thread(self._holder.hold)
            except LedgerError as error:
                # A step is repeated for a while: whether the ledger comes back shows there.
                if not error.temporary:
                    raise
                return 0
            if refused is not None and not (refused == "runners" and self._slice.is_endless):
                self._end(refused)
        if self._stopping or not self._holder.is_held:
            return 0
        return self._options.concurrency - self._jobs.under_way

    def _step(self, room: int) -> None:
        """Write what has finished, and begin as many rows as there is *room* for."""
        if not self._finished and self._stopping and not self._jobs.under_way:
            return
        _log.debug("step")
        step = in_thread(self._worker.step, self._finished, room)
        _log.debug("committed")
        self._sender.begun.difference_update([each.work.id for each in self._finished])
        self._finished = []
        for each in step.lost:
            _log.warning(
                "another worker has row %d meanwhile; it finds out the outcome", each.work.id
            )
        self._settled += step.settled
        self._ready.extend(each.value for each in step.recorded if each.value is not None)
        self._ready.extend(step.expired)
        # Until the first row is taken, another process may make the batch a rehearsal.
        self._sender.rehearsal = Rehearsal.from_json(step.rehearsal)
        self._sender.verdicts = self._worker.verdicts
        for work in step.work:
            self._jobs.start(work)
        self.paused = self.paused if step.paused is None else step.paused
        if self._jobs.under_way:
            self._timer.note_work()
        wait, rests = step.wait, step.rests and self._slice.is_endless
        if (wait is None or rests) and not self._jobs.under_way:
            # Another worker may be gone before it has called its hooks.
            reports_in = self._hooks.wait()
            rests = rests and reports_in is None
            wait = min((each for each in (wait, reports_in) if each is not None), default=None)
        if step.paused is not None:
            self._end("paused")
        elif not self._jobs.under_way and wait is None:
            self._end("finished")
        elif not self._jobs.under_way and room and (rests or not self._timer.may_wait(wait or 0.0)):
            self._again_in = wait or 0.0
            self._end("waiting")
        may_take = room and self._jobs.under_way < self._options.concurrency
        self._wait = _POLL_SECONDS if wait is None or not may_take else wait
        if not self._stopping:
            self._wait = min(self._wait, _POLL_SECONDS, self._timer.left)

    def _renew(self) -> None:
        """Renew the leases, however slowly the caller takes outcomes."""
        with self._step_lock:
            try:
                in_thread(self._holder.renew)
                in_thread(self._worker.step, (), 0)
                renewed_within = self._worker.adopt_lease()
                self._holder.lease = self._worker.options.lease
                self._renewing.seconds = min(renewed_within, _HEARTBEAT_SECONDS)
            except LedgerError as error:
                _log.warning("the leases could not be renewed: %s", error)

    def _rescue(self) -> None:
        """Write the outcomes that came after the ledger failed: otherwise they are looked up."""
        in_thread(self._ledger.database.files.release)
        for attempt in range(_MAX_RESCUES):
            sleep(float(attempt))
            try:
                self._step(0)
            except LedgerError as error:
                _log.warning("%d outcomes could not be written yet: %s", len(self._finished), error)
            else:
                return

    def _leave(self, *, raising: bool) -> None:
        """Write all known outcomes. A row whose request was interrupted may have been sent."""
        finished = [*self._finished, *self._jobs.ended(0.0)]
        known = {(each.work.id, each.work.fence) for each in finished}
        for work in in_thread(self._worker.retire):
            if (work.id, work.fence) not in known:
                verdict = of_interrupted(work, begun=work.id in self._sender.begun)
                finished.append(Finished(work=work, verdict=verdict))
        if finished:
            try:
                step = in_thread(self._worker.step, finished, 0)
                self._settled += step.settled
            except LedgerError as error:
                _log.warning(
                    "%d outcomes could not be written: they will be looked up", len(finished)
                )
                self._failure = self._failure or error
        self._report()
        try:
            self._next = in_thread(self._holder.leave, self._come_again())
        except LedgerError as error:
            _log.warning("the lane could not be left, it is free when its lease ends: %s", error)
        failure = self._failed()
        if raising and failure is not None:
            raise failure

    def _come_again(self) -> float | None:
        if self._reason == "waiting":
            return self._again_in
        # Other workers may go on at once if this one did not come to an end.
        return None if self._reason in ("finished", "paused", "runners") else 0.0

    def _failed(self) -> LedgerError | None:
        """Return the failure of the ledger; it is raised once."""
        failure, self._failure = self._failure, None
        return failure

    def _expect(self, state: str, advice: str) -> None:
        # Outside its block the run sends nothing; without an error that would be a silent loss.
        if self._state != state:
            raise ConfigurationError(f"the run is {self._state}", field="run", advice=advice)
