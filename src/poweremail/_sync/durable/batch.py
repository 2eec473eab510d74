# Generated from src/poweremail/_async/durable/batch.py; do not edit.
"""A batch in a ledger, as users see it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from poweremail._ledger.eta import least_seconds
from poweremail._ledger.payload import Group
from poweremail._ledger.rehearsal import Rehearsal
from poweremail._ledger.states import State
from poweremail._ledger.values import Added, BadEntry, BatchItem, BatchStatus, Entry
from poweremail._ledger.verdicts import Verdicts
from poweremail._policy.limits import RateLimits
from poweremail._policy.outcome import UnknownPolicy
from poweremail._policy.retry import RetryPolicy
from poweremail._runtime._sync import each, finish, in_thread
from poweremail._sync.client import PowerEmail
from poweremail._sync.durable.report import BatchReport, DryRun
from poweremail._sync.durable.run import BatchRun, RunOptions
from poweremail._types.checks import is_number, is_whole
from poweremail.errors import UsageError

if TYPE_CHECKING:
    from poweremail._ledger.adding import Adding
    from poweremail._ledger.ledger import Ledger

__all__ = ["Batch"]

_VISIBILITY = 30.0
# Five attempts span about a minute and a half: what is still not sent then has a cause that
# somebody has to look at.
_RETRY = RetryPolicy(attempts=5, first_wait=5.0, max_wait=60.0, max_total=None)


class Batch:
    """
    The batch called *name* in *ledger*, sent by *client*.

    *client*
        Its own retries are not used, and limits are better given to the batch: a mail that waits
        for those of the client is *sending* meanwhile. None to fill, look at and pause a batch
        without sending.
    *ledger*
        The path of a file (SQLite), a URL such as ``postgresql://host/name``, or an `open_ledger`.
        It is made where it is missing.
    *smtp_users*
        The names of the SMTP users that send; the client's unless given. The next mail goes to
        whoever is free first.
    *concurrency*
        How many mails are under way at once: 16. A crash leaves so many in doubt at most.
    *limits*
        `RateLimits` of each SMTP user, or a mapping from name to them. They are counted in the
        ledger, for all who work on it. None by default; a 429 is waited for in any case.
    *retry*
        How often and how patiently a mail is tried again that was provably not sent.
    *visibility*, *resend_after*
        For how many seconds a mail whose outcome is unknown is looked for: 30. It is never sent
        again, unless *resend_after* says after how many seconds a mail that getMessageInfo does not
        show was certainly never taken.
    *lease*
        After how many seconds without a sign of life the mails in a worker's hands are given to
        another: 30.
    *errors_in_a_row*
        So many failures with no success between them pause the batch: 20.
    *redirect_to*, *allow*
        Make the batch a rehearsal: all mails go to one address, or only to those that match a
        pattern such as ``*@example.com``. A batch that rehearses does so for good.

    Raises `UsageError` for an option that cannot be meant; every method, `LedgerError` where the
    ledger cannot be used.
    """

    def __init__(
        self,
        client: PowerEmail | None,
        ledger: str | os.PathLike[str] | Ledger,
        name: str,
        *,
        smtp_users: Iterable[str] = (),
        concurrency: int = 16,
        limits: RateLimits | Mapping[str, RateLimits] | None = None,
        retry: RetryPolicy = _RETRY,
        visibility: float | None = None,
        resend_after: float | None = None,
        lease: float = 30.0,
        errors_in_a_row: int = 20,
        redirect_to: str | None = None,
        allow: Iterable[str] | None = None,
    ) -> None:
        self.name = name
        self._client = client
        self._owns_ledger = isinstance(ledger, str | os.PathLike)
        self._ledger: Ledger = _open(ledger) if isinstance(ledger, str | os.PathLike) else ledger
        self._rehearsal = Rehearsal.of(redirect_to, allow)
        if visibility is None:
            visibility = _VISIBILITY if resend_after is None else min(_VISIBILITY, resend_after)
        _check_whole("concurrency", concurrency)
        _check_whole("errors_in_a_row", errors_in_a_row)
        if not is_number(lease, 1.0):
            raise _usage(f"must be a number of seconds, 1 or more, not {lease!r}", "lease")
        if not isinstance(retry, RetryPolicy):
            raise _usage(f"must be a RetryPolicy, not {type(retry).__name__}", "retry")
        names = (smtp_users,) if isinstance(smtp_users, str) else tuple(dict.fromkeys(smtp_users))
        self._options = RunOptions(
            smtp_users=names,
            concurrency=concurrency,
            limits=limits,
            verdicts=Verdicts(retry, UnknownPolicy("reconcile", visibility, resend_after)),
            lease=lease,
            errors_in_a_row=errors_in_a_row,
        )

    def add(
        self,
        messages: Iterable[BatchItem],
    ) -> Added:
        """
        Add *messages*, in any number, and return how many of them were new. The batch is made where
        it is missing.

        What is there already is not added again, told by its key (see `Entry`): a source that broke
        off in the middle is simply added once more. Two messages of the same content and without
        keys are one. A row that is no message is kept as *invalid*, and stops nothing.
        """
        number = in_thread(self._ledger.create, self.name)
        self._rehearse(number)
        return self._fill(in_thread(self._ledger.adding, number), messages)

    def check(
        self,
        messages: Iterable[BatchItem],
    ) -> Added:
        """
        Do as `add` does, and add nothing: to see which rows are no messages. What is in the batch
        already is not looked at.
        """
        return self._fill(in_thread(self._ledger.adding, None), messages)

    def run(self) -> BatchRun:
        """
        Send what is planned, and look up what is unknown; to be used as a context manager and
        iterated over.

        Several may run at once, in one process or in many. See `BatchRun`.
        """
        return BatchRun(self._sending(), self._ledger, self.name, self._options, self._rehearse)

    def dry_run(self) -> DryRun:
        """
        Make every planned message ready to be sent, and send none: iterate over where it stands,
        and what is wrong with it.

        A rehearsal that is asked for is tried, and the batch does not become one.
        """
        return DryRun(self._ledger, self._number, self._try_rehearsal)

    def pause(self, reason: str = "paused by hand") -> None:
        """
        Let whoever runs the batch finish what is under way and end; nothing more is sent until
        `resume`.
        """
        in_thread(self._ledger.pause, self._number(), reason)

    def resume(self) -> None:
        """Take the pause back. It does not send; `run` does."""
        in_thread(self._ledger.resume, self._number())

    def retry(self, *, not_sent: bool = True, rejected: bool = False, unknown: bool = False) -> int:
        """
        Plan again what failed, and return how many mails that are: what was *not_sent*, and
        *rejected* or *unknown* ones if asked.

        Of the unknown ones these are those that were looked up in vain. They may have been taken
        all the same: then the recipient gets two.
        """
        wanted = ((State.NOT_SENT, not_sent), (State.REJECTED, rejected), (State.UNKNOWN, unknown))
        return in_thread(
            self._ledger.retry,
            self._number(),
            frozenset(state for state, asked in wanted if asked),
        )

    def status(self) -> BatchStatus:
        """How the batch is doing, whoever runs it."""
        return in_thread(self._ledger.status, self._number())

    def least_seconds(self, mails: int) -> float:
        """
        In how many seconds so many *mails* can have begun at the earliest, within the limits; 0.0
        without any.

        What the SMTP users have sent lately counts, whoever sent it for this ledger. Raises
        `UsageError` where no client is given.
        """
        options = self._options.sent_by(self._sending())
        return least_seconds(
            mails,
            in_thread(self._ledger.budgets, options.smtp_users, options.limits_by_user()),
        )

    def report(self, states: Iterable[str] | None = None) -> BatchReport:
        """
        Every message of the batch as a `Record`, in the order in which they were added; only those
        in *states*, if given.
        """
        wanted = None if states is None else frozenset(_state(state) for state in states)
        return BatchReport(self._ledger, self._number, wanted)

    def close(self) -> None:
        """Close the ledger, where the batch has opened it. The client stays open."""
        if self._owns_ledger:
            in_thread(self._ledger.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} in {self._ledger!r}>"

    def _sending(self) -> PowerEmail:
        if self._client is None:
            raise _usage("a batch without one cannot be run", "client")
        return self._client

    def _number(self) -> int:
        return in_thread(self._ledger.find, self.name)

    def _rehearse(self, number: int, *, keep: bool = True) -> Rehearsal | None:
        wanted = None if self._rehearsal is None else self._rehearsal.members()
        return Rehearsal.read(in_thread(partial(self._ledger.rehearse, keep=keep), number, wanted))

    def _try_rehearsal(self, number: int) -> Rehearsal | None:
        return self._rehearse(number, keep=False)

    def _fill(self, adding: Adding, messages: Iterable[Any]) -> Added:
        if isinstance(messages, str | bytes | dict) or not isinstance(messages, Iterable):
            raise _usage(
                f"must be an iterable of messages, not {type(messages).__name__}", "messages"
            )
        group = Group()
        source = each(messages)
        try:
            for item in source:
                group.append(item if isinstance(item, Entry | BadEntry) else Entry(message=item))
                if group.full:
                    in_thread(adding.add, group.entries)
                    group = Group()
        finally:
            finish(source)
            # What came before an error of the source is kept: the next time it is known.
            in_thread(adding.add, group.entries)
        return adding.total


def _open(place: str | os.PathLike[str]) -> Ledger:
    try:
        from poweremail._ledger.ledger import Ledger  # noqa: PLC0415  SQLAlchemy only for those who keep a ledger
    except ModuleNotFoundError as error:
        raise _usage(
            f"{error.name} is not installed; pip install 'poweremail[batch]'", "ledger"
        ) from None
    return Ledger(place)


def _state(name: str) -> State:
    try:
        return State(name)
    except ValueError:
        raise _usage(f"must be one of {', '.join(State)}, not {name!r}", "states") from None


def _check_whole(field: str, value: object) -> None:
    if not is_whole(value, 1):
        raise _usage(f"must be 1 or more, not {value!r}", field)


def _usage(reason: str, field: str) -> UsageError:
    return UsageError(reason, field=field, mail_state=None)
