# Generated from src/poweremail/_async/durable/run.py; do not edit.
"""
One worker on a batch.

The ledger is written by one step after another, each a transaction; requests run beside them. A
step writes what has ended meanwhile and takes what there is room for, so the slower the disk, the
more rows share a step.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Self

import attrs

from poweremail._ledger.rehearsal import Rehearsal
from poweremail._ledger.states import State
from poweremail._ledger.values import BatchOutcome, Finished, Verdict, Work
from poweremail._ledger.verdicts import RELEASED, Verdicts
from poweremail._policy.limits import RateLimits
from poweremail._runtime._sync import FairLock, in_thread, shielded, sleep
from poweremail._runtime._sync_many import Jobs, Repeated
from poweremail._sync.client import PowerEmail
from poweremail._sync.durable.send import Sender
from poweremail.errors import DeliveryUnknownError, LedgerError, UsageError

if TYPE_CHECKING:
    from poweremail._ledger.ledger import Ledger
    from poweremail._ledger.worker import Worker

__all__ = ["BatchRun", "RunOptions"]

_log = logging.getLogger("poweremail.batch")

_POLL = 1.0
"""How many seconds pass at most until a pause by somebody else is noticed."""

_RESCUES = 3
"""
How often it is tried, at growing intervals, to write down what was under way when the ledger
failed.
"""


@attrs.frozen(kw_only=True)
class RunOptions:
    """How a batch is run: see `Batch`."""

    smtp_users: tuple[str, ...]
    concurrency: int
    limits: RateLimits | Mapping[str, RateLimits] | None
    verdicts: Verdicts
    lease: float
    errors_in_a_row: int

    def sent_by(self, client: PowerEmail) -> RunOptions:
        """
        The same, with the SMTP user of *client* where none is named. Raises `UsageError` where it
        has none either.
        """
        users = self.smtp_users or (
            (client.smtp_user_name,) if client.smtp_user_name is not None else ()
        )
        if not users:
            raise UsageError(
                "give one to the client, or some to the batch", field="smtp_users", mail_state=None
            )
        return attrs.evolve(self, smtp_users=users)

    def limits_by_user(self) -> dict[str, RateLimits]:
        """
        The limits of each SMTP user that has some. Raises `UsageError` for what cannot be meant.
        """
        given = self.limits
        limits = (
            dict.fromkeys(self.smtp_users, given)
            if isinstance(given, RateLimits)
            else dict(given or {})
        )
        for name, each in limits.items():
            if not isinstance(each, RateLimits):
                raise UsageError(
                    f"must be a RateLimits, not {type(each).__name__}",
                    field=f"limits[{name!r}]",
                    mail_state=None,
                )
            if each.path is not None:
                raise UsageError(
                    "has no use here: the ledger counts", field="limits.path", mail_state=None
                )
        return limits


class BatchRun:
    """
    Runs a batch, and hands out a `BatchOutcome` for each message that it settles, once it is on the
    disk.

    To be used as a context manager and iterated over, by one task or thread. It sends no faster
    than outcomes are taken. It ends when nothing is left to do, for it or for any other worker;
    when the batch is paused; and soon after `stop`. Leaving early lets what is under way finish.
    ``paused`` is then the reason for which the batch is paused, or None.
    """

    def __init__(
        self,
        client: PowerEmail,
        ledger: Ledger,
        name: str,
        options: RunOptions,
        rehearse: Callable[[int], Rehearsal | None],
    ) -> None:
        self.paused: str | None = None
        self._sender = Sender(client, options.verdicts)
        self._ledger = ledger
        self._name = name
        self._options = options.sent_by(client)
        self._rehearse = rehearse
        self._state = "new"
        self._stopping = False
        self._over = False
        self._failure: LedgerError | None = None
        self._ended: list[Finished] = []
        self._ready: deque[BatchOutcome] = deque()
        self._errors = 0
        self._wait = 0.0
        self._writing = FairLock()
        self._jobs: Jobs[Work, Finished] = Jobs(self._sender.attend, options.concurrency)
        self._beating = Repeated(self._beat, options.lease / 4)

    def __enter__(self) -> Self:
        self._expect("new", "it can be entered only once; call run() again")
        number = in_thread(self._ledger.find, self._name)
        self._rehearse(number)
        self._worker = _worker(self._ledger, number, self._options)
        in_thread(self._worker.begin)
        in_thread(self._ledger.database.reserve, self._options.concurrency)
        self._state = "open"
        self._jobs.__enter__()
        self._beating.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._state = "closed"
        self._stopping = True
        # By hand: where both raise the same cancellation, an exit stack makes it a context of
        # itself, and who follows that chain never comes to its end.
        try:
            try:
                self._beating.__exit__(kind, error, trace)
            finally:
                self._jobs.__exit__(kind, error, trace)
        finally:
            with shielded():
                self._leave(raising=kind is None)

    def __iter__(self) -> BatchRun:
        return self

    def __next__(self) -> BatchOutcome:
        self._expect("open", "iterate inside its block: `with batch.run() as outcomes:`")
        while not self._ready:
            if self._over:
                failure, self._failure = self._failure, None
                raise failure or StopIteration
            self._advance()
        return self._ready.popleft()

    def stop(self) -> None:
        """
        Begin no further mail; the iteration ends when those that are under way have. The batch can
        be run again.
        """
        self._stopping = True

    def _advance(self) -> None:
        # Kept before anything is waited for: whoever cancels the wait must not lose them.
        self._ended += [self._counted(each) for each in self._jobs.ended(self._wait)]
        with self._writing:
            room = 0 if self._stopping else self._options.concurrency - self._jobs.under_way
            try:
                self._step(room)
            except LedgerError as error:
                self._stopping = True
                if self._failure is None:
                    self._failure = error
                    _log.warning("the ledger failed, nothing more is sent: %s", error)
        if self._stopping and not self._jobs.under_way:
            if self._ended:
                self._rescue()
            self._over = True

    def _step(self, room: int) -> None:
        """Write what has ended, and begin what may begin. Raises `LedgerError`."""
        if not self._ended and self._stopping and not self._jobs.under_way:
            return
        _log.debug("step")
        step = in_thread(self._worker.step, self._ended, room)
        _log.debug("committed")
        self._sender.begun.difference_update([each.work.id for each in self._ended])
        self._ended = []
        for each in step.lost:
            _log.warning(
                "row %d had been given to another worker; what became of it is found out there",
                each.work.id,
            )
        self._ready.extend(each.value for each in step.recorded if each.value is not None)
        # Until the first row is taken, another process may make a rehearsal of the batch.
        self._sender.rehearsal = Rehearsal.parse(step.rehearsal)
        for work in step.work:
            self._jobs.start(work)
        if step.paused is not None:
            self.paused = step.paused
            self._stopping = True
        if step.wait is None and not self._jobs.under_way:
            self._stopping = True
        self._wait = (
            _POLL
            if step.wait is None or self._jobs.under_way == self._options.concurrency
            else min(step.wait, _POLL)
        )

    def _beat(self) -> None:
        """Show that this worker is alive, however slow the taker of its outcomes is."""
        with self._writing:
            try:
                in_thread(self._worker.step, (), 0)
            except LedgerError as error:
                _log.warning("the leases could not be prolonged: %s", error)

    def _rescue(self) -> None:
        """Write down what ended after the ledger failed: better late than looked up."""
        in_thread(self._ledger.database.spend_reserve)
        for attempt in range(_RESCUES):
            sleep(float(attempt))
            try:
                self._step(0)
            except LedgerError as error:
                _log.warning("%d outcomes could not be written yet: %s", len(self._ended), error)
            else:
                return

    def _leave(self, *, raising: bool) -> None:
        """Write what has ended since the last step; what was broken off may have been sent."""
        ended = [*self._ended, *self._jobs.ended(0.0)]
        known = {(each.work.id, each.work.fence) for each in ended}
        broken_off = [
            work for work in in_thread(self._worker.retire) if (work.id, work.fence) not in known
        ]
        unknown = Verdict(
            state=State.UNKNOWN, error=DeliveryUnknownError("the run was broken off"), delay=0.0
        )
        # What was taken, and not begun when the run was cancelled, is known not to have been sent.
        doubted = {
            work.id for work in broken_off if work.state is State.UNKNOWN
        } | self._sender.begun
        verdicts = {work.id: unknown if work.id in doubted else RELEASED for work in broken_off}
        finished = [
            *ended,
            *(Finished(work=work, verdict=verdicts[work.id]) for work in broken_off),
        ]
        if finished:
            try:
                in_thread(self._worker.step, finished, 0)
            except LedgerError as error:
                _log.warning(
                    "%d outcomes could not be written: they will be looked up", len(finished)
                )
                if raising and self._failure is None:
                    self._failure = error
        failure, self._failure = self._failure, None
        if raising and failure is not None:
            raise failure

    def _counted(self, each: Finished) -> Finished:
        """The same; the last of too many failures in a row pauses the batch."""
        if each.verdict.state is State.ACCEPTED:
            self._errors = 0
        if not each.verdict.bad:
            return each
        self._errors += 1
        if self._errors < self._options.errors_in_a_row or each.verdict.pause is not None:
            return each
        self._errors = 0
        why = f"{self._options.errors_in_a_row} failures in a row, the last: {each.verdict.error}"
        return attrs.evolve(each, verdict=attrs.evolve(each.verdict, pause=why))

    def _expect(self, state: str, advice: str) -> None:
        # Without its block nothing is sent, and to say nothing about it would be a silent loss.
        if self._state != state:
            raise UsageError(
                f"the run is {self._state}", field="run", advice=advice, mail_state=None
            )


def _worker(ledger: Ledger, number: int, options: RunOptions) -> Worker:
    from poweremail._ledger.worker import Worker  # noqa: PLC0415  SQLAlchemy only for those who keep a ledger

    return Worker(ledger, number, options.smtp_users, options.limits_by_user(), lease=options.lease)
