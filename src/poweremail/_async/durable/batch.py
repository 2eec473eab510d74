"""The user's view of a batch in a ledger."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Unpack

from poweremail._async.client import AsyncPowerEmail
from poweremail._async.durable import AsyncLedgerUser
from poweremail._async.durable.report import AsyncBatchReport, AsyncDryRun, ReadPage
from poweremail._async.durable.run import AsyncBatchRun
from poweremail._ledger import State
from poweremail._ledger.entries import Added, BatchItem
from poweremail._ledger.values import BatchStatus, Kick, LaneStatus, Planned, Record, Worked
from poweremail._policy.limits import RateLimits
from poweremail._policy.rehearsal import Rehearsal
from poweremail._policy.retry import RetryPolicy
from poweremail._runtime._async import each, finish, in_thread
from poweremail.batch._options import ChangedOptions, RunOptions
from poweremail.batch._slice import ENDLESS, Slice
from poweremail.errors import ConfigurationError

if TYPE_CHECKING:
    from poweremail._ledger.adding import Adding
    from poweremail._ledger.demand import Demand
    from poweremail._ledger.ledger import Ledger


class AsyncBatch(AsyncLedgerUser):
    """
    The batch called *name* in *ledger*, sent by *client*.

    *client*
        The client. Its own retries are not used. Give limits to the batch rather than to the
        client: a mail that waits for the limits of the client is *sending* meanwhile. None for a
        batch that is filled, looked at or paused, but not sent.
    *ledger*
        The path of a file (SQLite), a URL such as ``postgresql://host/name``, or a `Ledger`. It is
        created if it is missing.
    *smtp_users*
        The names of the SMTP users that send; by default that of the client. The SMTP user that is
        free first sends the next mail.
    *concurrency*
        The number of mails in work at once: 16. A crash leaves at most so many unknown.
    *redirect_to*, *allow*
        Make the batch a rehearsal: all mails go to one address, or only to those that match a
        pattern such as ``*@example.com``. A batch that is a rehearsal stays one.

    The other options are shared by all workers of the batch, on all hosts: the first run that gives
    one stores it in the ledger. Later runs give the same or leave it out; `set_options` changes it.

    *limits*
        `RateLimits` for each SMTP user, or a mapping from name to limits. They belong to the SMTP
        user, and are counted for all batches and processes of the ledger. No limits by default;
        after a 429 the batch waits in any case.
    *retry*
        How often, and after which waits, a mail that was provably not sent is tried again; by
        default ``RetryPolicy(attempts=5, first_wait=5, max_wait=60)``. Its other options have no
        meaning here. A mapping such as ``{"attempts": 3}`` gives some of these and leaves out the
        others.
    *visibility*, *resend_after*
        The seconds for which a mail with an unknown outcome is looked up: 30. It is never sent
        again, unless *resend_after* gives the seconds after which a mail that getMessageInfo does
        not show was certainly never accepted.
    *lease*
        The seconds after which the mails of a worker that shows no sign of life are given to
        another worker: 30.
    *errors_in_a_row*
        The number of failures of all its workers, without a success between them, that pauses the
        batch: 20.

    Raises `ConfigurationError` if an option is invalid. Every method raises `LedgerError` if the
    ledger cannot be used. All but `add`, `check`, `least_seconds` and `stop` raise
    `ConfigurationError` as long as there is no batch of this *name*: `add` creates it. `run`,
    `dry_run` and `report` do so when they begin.
    """

    def __init__(
        self,
        client: AsyncPowerEmail | None,
        ledger: str | os.PathLike[str] | Ledger,
        name: str,
        *,
        smtp_users: Iterable[str] = (),
        concurrency: int = 16,
        limits: RateLimits | Mapping[str, RateLimits | None] | None = None,
        retry: RetryPolicy | Mapping[str, float] | None = None,
        visibility: float | None = None,
        resend_after: float | None = None,
        lease: float | None = None,
        errors_in_a_row: int | None = None,
        redirect_to: str | None = None,
        allow: Iterable[str] | None = None,
    ) -> None:
        super().__init__(ledger, name)
        self._client = client
        self._stopped = False
        self._rehearsal = Rehearsal.from_options(redirect_to, allow)
        self._options = RunOptions.from_options(
            smtp_users=smtp_users,
            concurrency=concurrency,
            limits=limits,
            retry=retry,
            visibility=visibility,
            resend_after=resend_after,
            lease=lease,
            errors_in_a_row=errors_in_a_row,
        )

    async def add(self, messages: AsyncIterable[BatchItem] | Iterable[BatchItem]) -> Added:
        """
        Add *messages*, in any number, and count them. The batch is created if it is missing.

        A message whose key (see `Entry`) is in the batch already is not added again, so a source
        that was interrupted can simply be added once more. Two messages with the same content and
        without keys are one. An invalid row is stored as *invalid*, and the next one is added.
        """
        number = await in_thread(self._ledger.create, self.name)
        await self._rehearse(number)
        return await _fill(self._ledger.adding(number), messages)

    async def check(self, messages: AsyncIterable[BatchItem] | Iterable[BatchItem]) -> Added:
        """
        Check *messages* as `add` does, and add none. Messages that are in the batch already are
        not recognized.
        """
        return await _fill(self._ledger.adding(None), messages)

    def run(self) -> AsyncBatchRun:
        """
        Send the planned messages and look up the unknown ones: use it as a context manager, and
        iterate over it.

        Several runs, in one process or in many, may share a batch. See `AsyncBatchRun`.
        """
        return self._run(ENDLESS)

    async def work(
        self,
        seconds: float = 20.0,
        idle: float = 0.0,
        kick: Kick | None = None,
        *,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> Worked:
        """
        Work on the batch for up to so many *seconds*, and return what was done and when to come
        again: a bounded `run`, for a task queue.

        After the *seconds* no mail is begun, and those in work are finished. Where `run` waits, for
        limits or for mails that are due later, this ends, after *idle* seconds, at most 2. Mails
        that stayed unknown are not looked up anew. *kick*: the turn to spend, as the `Worked`
        before, `start` or the ledger's ``lanes.beat`` gave it; None takes any free lane.
        *is_stopped*: called at least once a second; if it returns True, no more mails are begun.
        """
        return await self._run(Slice.checked(seconds, idle, kick), is_stopped).work()

    def stop(self) -> None:
        """
        Let every `run` and `work` of this object end after the mails in work, now and from now on.
        It can be called by the handler of a signal.
        """
        self._stopped = True

    async def start(self, runners: int | None = None) -> list[Kick]:
        """
        Let up to *runners* workers, on all hosts together, work on the batch, and end its drain;
        None keeps the number.

        It sends nothing itself: it returns a kick for each lane that nobody holds, for a task
        queue. Raises `ConfigurationError` if no number was ever given.
        """
        return await in_thread(self._ledger.lanes.start, await self._number(), runners)

    async def workers(self) -> list[LaneStatus]:
        """Return all workers of the batch, on all hosts."""
        return await in_thread(self._ledger.lanes.workers, await self._number())

    async def drain(self, host: str | None = None) -> None:
        """
        Let the workers of the batch, on *host* if it is given, end after the mails in work, and
        none begin, until `undrain` or `start`.
        """
        await in_thread(self._ledger.lanes.drain, await self._number(), host)

    async def undrain(self, host: str | None = None) -> None:
        """End the drain that was begun with the same *host*."""
        await in_thread(self._ledger.lanes.undrain, await self._number(), host)

    def dry_run(self) -> AsyncDryRun:
        """
        Prepare every planned message and send none: iterate over pairs of a message's place and the
        error that would prevent its sending, or None.

        If the options set a rehearsal, it is applied, but the batch does not become one. If the
        batch has a client, its rehearsal is applied, too.
        """

        async def begin() -> ReadPage[Planned]:
            number = await self._number()
            rows.rehearsal = await self._rehearse(number, keep=False)
            return partial(self._ledger.planned, number)

        smtp_user_name = next(iter(self._options.smtp_users), None)
        rows = AsyncDryRun(begin, self._client, smtp_user_name)
        return rows

    async def pause(self, reason: str = "paused by hand") -> None:
        """
        Make every run of the batch end after the mails in work. Nothing more is sent until
        `resume`.
        """
        await in_thread(self._ledger.pause, await self._number(), reason)

    async def resume(self) -> None:
        """End the pause. It does not send; `run` does."""
        await in_thread(self._ledger.resume, await self._number())

    async def set_options(self, **changes: Unpack[ChangedOptions]) -> None:
        """
        Change options that all workers of the batch share: *limits*, *retry*, *visibility*,
        *resend_after*, *lease*, *errors_in_a_row*, and for an outbox *bulk_share*. None gives an
        option its default.

        Running workers take the change over within a few seconds.

        *limits* without names are for the SMTP users of the batch, or that of the client. They hold
        for all batches of the ledger.

        Raises `ConfigurationError` if an option is invalid, or the options do not fit together.
        """
        name = None if self._client is None else self._client.smtp_user_name
        options, values, limits = self._options.changed(changes, name)
        await in_thread(self._ledger.change_options, await self._number(), values, limits)
        self._options = options

    async def retry(
        self, *, not_sent: bool = True, rejected: bool = False, unknown: bool = False
    ) -> int:
        """
        Plan failed mails again, and return their number: those that were *not_sent*, and on request
        those that were *rejected* or are *unknown*.

        Unknown mails are included once their lookup has ended without a result. They may have been
        accepted: then the recipient gets two.
        """
        wanted = ((State.NOT_SENT, not_sent), (State.REJECTED, rejected), (State.UNKNOWN, unknown))
        states = frozenset(state for state, included in wanted if included)
        return await in_thread(self._ledger.retry, await self._number(), states)

    async def status(self) -> BatchStatus:
        """Return the progress of the batch, even if another process runs it."""
        return await in_thread(self._ledger.status, await self._number())

    async def least_seconds(self, mails: int) -> float:
        """
        Return the earliest time, in seconds from now, at which so many *mails* can have begun
        within the limits; 0.0 without limits.

        All mails that the SMTP users have sent for this ledger count. Raises `ConfigurationError`
        if the batch has no client.
        """
        options = self._options.sent_as(self._required_client().smtp_user_name)
        return await in_thread(
            self._ledger.least_seconds, mails, options.smtp_users, options.limits_by_user()
        )

    async def demand(
        self, *, within: float = 60.0, seconds_per_mail: float | None = None
    ) -> Demand:
        """
        Return how many runners of this *concurrency* the batch can use now, for an autoscaler.

        *within*: the seconds in which the mails that are due should be sent.
        *seconds_per_mail*: how long a mail takes; by default the median of those that were sent
        last, and 0.5 before any was sent.

        The mails to be done are those in work, those to be looked up now, and of those that are due
        to be sent as many as the limits allow *within* that time. It takes that number times
        *seconds_per_mail* / (*concurrency* * *within*) runners, rounded up, and no more than the
        batch may have. It is 0 if the batch is paused or nothing can be done.

        The limits are those of the batch's SMTP users, or the client's. If neither names one, all
        that the ledger knows count.
        """
        options = self._options
        if not options.smtp_users and self._client is not None and self._client.smtp_user_name:
            options = options.sent_as(self._client.smtp_user_name)
        return await in_thread(
            partial(
                self._ledger.demand,
                concurrency=options.concurrency,
                within=within,
                seconds_per_mail=seconds_per_mail,
            ),
            await self._number(),
            options.smtp_users,
            options.limits_by_user(),
        )

    def report(self, states: Iterable[str] | None = None) -> AsyncBatchReport:
        """
        Return an iterator over the messages of the batch as `Record`, in the order in which they
        were added; *states* restricts it to messages in these states.
        """
        wanted = None if states is None else frozenset(_state(state) for state in states)

        async def begin() -> ReadPage[Record]:
            return partial(self._ledger.page, await self._number(), states=wanted)

        return AsyncBatchReport(begin)

    def _run(self, within: Slice, is_stopped: Callable[[], bool] = lambda: False) -> AsyncBatchRun:
        async def begin() -> int:
            number = await self._number()
            await self._rehearse(number)
            return number

        return AsyncBatchRun(
            self._required_client(),
            self._ledger,
            self._options,
            begin,
            is_stopped=lambda: self._stopped or is_stopped(),
            within=within,
        )

    def _required_client(self) -> AsyncPowerEmail:
        if self._client is None:
            raise ConfigurationError("a batch without one cannot be run", field="client")
        return self._client

    async def _number(self) -> int:
        return await in_thread(self._ledger.find, self.name)

    async def _rehearse(self, number: int, *, keep: bool = True) -> Rehearsal | None:
        wanted = None if self._rehearsal is None else self._rehearsal.to_dict()
        stored = await in_thread(partial(self._ledger.rehearse, keep=keep), number, wanted)
        return None if stored is None else Rehearsal.from_dict(stored)


def _state(name: str) -> State:
    try:
        return State(name)
    except ValueError:
        raise ConfigurationError(
            f"must be one of {', '.join(State)}, not {name!r}", field="states"
        ) from None


async def _fill(adding: Adding, messages: AsyncIterable[BatchItem] | Iterable[BatchItem]) -> Added:
    """
    Add *messages* by *adding*, some hundred in a transaction, and count them.

    If the source raises, the messages before the error are kept, so adding the source again skips
    them. Raises `ConfigurationError` if *messages* cannot be a source.
    """
    if isinstance(messages, str | bytes | dict) or not isinstance(
        messages, AsyncIterable | Iterable
    ):
        raise ConfigurationError(
            f"must be an iterable of messages, not {type(messages).__name__}", field="messages"
        )
    source = each(messages)
    try:
        async for item in source:
            adding.append(item)
            if adding.is_full:
                await in_thread(adding.flush)
    finally:
        await finish(source)
        await in_thread(adding.flush)
    return adding.total
