"""The values that a ledger and its workers exchange with their callers. None knows a message."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import attrs

from poweremail._ledger import SETTLED, State
from poweremail._policy.limits import RateLimits
from poweremail._types.result import SendResult
from poweremail.errors import PowerEmailError


def boot_time() -> float:
    """
    Seconds on a clock of this machine that also counts while the machine sleeps.

    `time.monotonic` stops then, but leases do not.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.time() if clock is None else time.clock_gettime(clock)


@attrs.frozen(kw_only=True)
class Planned:
    """
    A message that is to be sent, as the ledger stores it.

    *contents*: the contents of its files by their digests, perhaps with those of other messages.
    """

    key: str
    unique_id: str
    payload: str
    contents: Mapping[str, bytes] = attrs.field(repr=False)
    source: str | None
    line: int | None


@attrs.frozen(kw_only=True)
class Work(Planned):
    """
    A row that a worker holds, to send it (*state* is sending) or to look it up (unknown).

    *fence*: the number that allows its holder to write to the row.
    *taken*, *unknown_since*: when the worker took it and when it became unknown, by the ledger's
    clock.
    *trace_context*: the span that added the message, as W3C Trace Context writes it.
    *valid_until*: the `boot_time` from which on no request may be begun.
    """

    id: int
    fence: int
    state: State
    attempts: int
    looks: int
    smtp_user_name: str
    taken: float
    unknown_since: float
    trace_context: str | None
    valid_until: float

    @property
    def is_stale(self) -> bool:
        """True if this process was stopped for so long that another worker may have the row."""
        return boot_time() > self.valid_until


@attrs.frozen(kw_only=True)
class Verdict:
    """
    The change to be written to a row.

    *delay*: the seconds until the row is due again, None if it is not.
    *attempted*, *looked*: whether to count an attempt or a lookup.
    *refused*: after a 429, the seconds of its Retry-After, 0.0 without one.
    *pause*: why the whole batch must stop.
    *bad*: whether it counts as one of the failures in a row.
    """

    state: State
    error: PowerEmailError | None = None
    delay: float | None = None
    attempted: bool = False
    looked: bool = False
    refused: float | None = None
    pause: str | None = None
    bad: bool = False

    @property
    def is_final(self) -> bool:
        """True if the row no longer changes by itself."""
        return self.state in SETTLED or (self.state is State.UNKNOWN and self.delay is None)


@attrs.frozen(kw_only=True)
class BatchOutcome:
    """
    The outcome of one message of a batch, once it is in the ledger.

    *state*: ``accepted``, ``rejected``, ``not_sent`` or ``unknown``.
    *result*: the response of the service if it accepted the mail.
    *error*: the reason if it did not.
    """

    key: str
    unique_id: str
    recipients: tuple[str, ...]
    state: str
    attempts: int
    smtp_user_name: str
    source: str | None = None
    line: int | None = None
    result: SendResult | None = attrs.field(default=None, repr=False)
    error: PowerEmailError | None = None


@attrs.frozen(kw_only=True)
class Finished:
    """A row and the change to be written to it. *value* belongs to the caller."""

    work: Work
    verdict: Verdict
    value: Any = None


@attrs.frozen(kw_only=True)
class Step:
    """
    The result of one step of a worker.

    *recorded*: the changes that are on the disk now.
    *lost*: the changes that were not written, because another worker holds the row.
    *work*: the rows to send or to look up next.
    *expired*: the outcomes of rows that were not sent before they expired.
    *settled*: the ids of the rows that have a final outcome since this step.
    *wait*: the seconds until there may be more to do, None if nothing is left to do.
    *rests*: whether only mails that are due later are left, in an outbox: nobody waits for them.
    *paused*: why the batch is paused.
    *rehearsal*: the rehearsal at the time when *work* was taken, as the ledger stores it.
    *options*: the options of the batch, as the ledger stores them.
    """

    recorded: tuple[Finished, ...] = ()
    lost: tuple[Finished, ...] = ()
    work: tuple[Work, ...] = ()
    expired: tuple[BatchOutcome, ...] = ()
    settled: tuple[int, ...] = ()
    wait: float | None = 0.0
    rests: bool = False
    paused: str | None = None
    rehearsal: str | None = None
    options: str | None = None


@attrs.frozen(kw_only=True)
class BatchStatus:
    """
    The progress of a batch.

    *counts*: the number of messages in each state.
    *errors*: the number of failed messages by the kind of their error.
    *open_unknown*: the number of unknown messages that are still being looked up.
    *paused*: why it is paused, None if it is not.
    *rehearsal*: the options of the rehearsal, None if it is none.
    *options*: the options that all its workers share, as far as they were given.
    *limits*: the limits of the SMTP users, which all batches of the ledger share.
    *workers*: the number of workers that hold a lane of it.
    *runners*: the most workers that it may have, None for any number.
    *drained*: whether its workers are to end, on all hosts.
    """

    name: str
    counts: Mapping[str, int]
    errors: Mapping[str, int]
    open_unknown: int
    paused: str | None
    rehearsal: Mapping[str, Any] | None
    options: Mapping[str, Any]
    limits: Mapping[str, RateLimits]
    added: float
    workers: int = 0
    runners: int | None = None
    drained: bool = False

    @property
    def total(self) -> int:
        """The number of messages, without invalid rows."""
        return sum(self.counts.values()) - self.counts[State.INVALID]

    @property
    def left(self) -> int:
        """The number of messages whose outcome is not final yet."""
        return self.counts[State.PLANNED] + self.counts[State.SENDING] + self.open_unknown

    @property
    def finished(self) -> bool:
        """True if nothing is left to do, except by `retry`."""
        return self.left == 0

    @property
    def all_accepted(self) -> bool:
        """True if the service accepted every message, and no row was invalid."""
        return self.finished and self.counts[State.ACCEPTED] == sum(self.counts.values())


@attrs.frozen(kw_only=True)
class Record:
    """One message as the ledger has it. Times are seconds since the epoch by the ledger's clock."""

    key: str
    unique_id: str | None
    recipients: tuple[str, ...]
    state: str
    attempts: int
    smtp_user_name: str | None
    error_kind: str | None
    error: str | None
    source: str | None
    line: int | None
    added: float
    taken: float | None
    settled: float | None


@attrs.frozen
class Kick:
    """
    The permission to work on a batch once, for a task queue: the name of the *batch*, a *lane* of
    it, and the *turn* of that lane.

    It may come twice, late or never. Who takes the lane spends the turn; an older turn is worth
    nothing.
    """

    batch: str
    lane: int
    turn: int


@attrs.frozen(kw_only=True)
class LaneStatus:
    """
    A worker of a batch. Times are seconds since the epoch by the ledger's clock.

    *lane*: the number of the lane that it holds.
    *host*, *process*: where it runs, and the number of its process.
    *taken*, *lease_until*: when it took the lane, and until when it has it unless it renews it.
    *lost*: whether it has not been heard of for so long that another may take the lane.
    *drained*: whether it was told to end.
    """

    lane: int
    host: str
    process: int
    taken: float
    lease_until: float
    lost: bool
    drained: bool


@attrs.frozen(kw_only=True)
class Worked:
    """
    What a slice of work did, and when to come again.

    *counts*: the number of mails that it settled, by state.
    *reason*: why it ended: ``finished`` (nothing is left to do, for any worker), ``paused``,
    ``time`` (its seconds are over), ``waiting`` (for limits, for mails that are due later, or for
    those of other workers), ``runners`` (other workers hold all lanes, or the turn is spent),
    ``drained`` or ``stopped``.
    *again_in*: the seconds after which there may be more to do, 0.0 for at once, with no maximum;
    None if there is no reason to come again by itself.
    *kick*: what to give to the next `work` after so long; None if *again_in* is None, or the turn
    was spent.
    """

    counts: Mapping[str, int]
    reason: str
    again_in: float | None = None
    kick: Kick | None = None
