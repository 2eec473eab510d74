"""The ledger: the batches in a database, and all that can be done to them, a transaction each."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import iscoroutinefunction
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import select, update

from poweremail._ledger import RETRYABLE, State, stored_options
from poweremail._ledger.adding import Adding
from poweremail._ledger.clock import Clock
from poweremail._ledger.database import Database
from poweremail._ledger.demand import Demand, read_demand
from poweremail._ledger.forecast import least_seconds, read_used
from poweremail._ledger.holder import Holder
from poweremail._ledger.housekeeping import Purged, has_content, purge
from poweremail._ledger.lanes import Lanes
from poweremail._ledger.options import SharedOptions
from poweremail._ledger.pages import read_planned, read_records
from poweremail._ledger.reports import Reports
from poweremail._ledger.schema import batches, insert_new, messages
from poweremail._ledger.statements import change_batch, is_open, pause_batch
from poweremail._ledger.status import read_status
from poweremail._ledger.values import BatchStatus, Kick, Planned, Record
from poweremail._ledger.worker import Worker
from poweremail._policy.limits import RateLimits
from poweremail._types.checks import is_number, require
from poweremail._types.outcome_event import OutcomeEvent
from poweremail.errors import ConfigurationError

Hook: TypeAlias = Callable[[OutcomeEvent], object]
H = TypeVar("H", bound=Hook)

_row = messages.c


class Ledger:
    """
    The ledger at *place*: the path of a file, a URL such as ``postgresql://host/name``, or
    ``django:default``, a database of Django's settings. It is created if it is missing.

    *timeout*: the seconds to wait for a file that another process is writing.
    *schema*: the schema of its tables in PostgreSQL, which is created if it is missing; by default
    the first one of the search path.
    *on_outcome*: called with each outcome, see `on_outcome`.

    It may be used from several threads. Every method raises `LedgerError` if the database cannot be
    used, and `ConfigurationError` for a batch that does not exist.
    """

    def __init__(
        self,
        place: str | os.PathLike[str],
        *,
        timeout: float = 10.0,
        patience: float | None = None,
        schema: str | None = None,
        on_outcome: Hook | None = None,
    ) -> None:
        if patience is not None:
            warnings.warn("patience= is called timeout= now", DeprecationWarning, stacklevel=2)
            timeout = patience
        self.database: Database = Database(place, timeout=timeout, schema=schema)
        self.hooks: list[Hook] = []
        self.lanes: Lanes = Lanes(self.database, reports=lambda: bool(self.hooks))
        if on_outcome is not None:
            self.on_outcome(on_outcome)

    def __repr__(self) -> str:
        return repr(self.database).replace("Database", "Ledger", 1)

    def close(self) -> None:
        """Close the connections. The next call opens others."""
        self.database.close()

    def on_outcome(self, hook: H) -> H:
        """
        Let the workers that use this object call *hook* with an `OutcomeEvent` for each outcome,
        after it is on the disk. Returns *hook*, so it can be a decorator.

        It is called at least once for each outcome: if the worker is killed before it returned,
        another worker with a hook calls it again after a lease. If it raises, that is logged, and
        it is called again later; nothing happens to the mail.

        `AsyncBatch` calls a plain function in a worker thread, and awaits an async one; `Batch`
        takes plain functions only. The batch goes on when it has returned. A mail that was
        cancelled calls no hook.
        """
        require("on_outcome", hook, "a function", callable(hook))
        self.hooks.append(hook)
        return hook

    def plain_hooks(self) -> tuple[Hook, ...]:
        """The hooks. Raises `ConfigurationError` if one is an async function."""
        if any(map(iscoroutinefunction, self.hooks)):
            raise ConfigurationError(
                "a Batch cannot await it", field="on_outcome", advice="use AsyncBatch"
            )
        return tuple(self.hooks)

    def reports(self, batch: int, grace: float) -> Reports:
        """
        The outcomes of *batch* that hooks must still be called for. If that has not happened after
        *grace* seconds, another worker calls them.
        """
        return Reports(self.database, batch, grace)

    def create(self, name: str) -> int:
        """Return the number of the batch called *name*, which is created if it is missing."""
        require("name", name, "a name", isinstance(name, str) and name.strip())
        with self.database.transaction() as connection:
            connection.execute(insert_new(connection, batches).values(name=name, added=Clock()))
            number = select(batches.c.id).where(batches.c.name == name)
            return int(connection.execute(number).scalar_one())

    def find_any(self, name: str) -> int | None:
        """Return the number of the batch called *name*, None if there is none."""
        with self.database.reading() as connection:
            return connection.scalar(select(batches.c.id).where(batches.c.name == name))

    def find(self, name: str) -> int:
        """
        Return the number of the batch called *name*. Raises `ConfigurationError` if there is none.
        """
        number = self.find_any(name)
        if number is None:
            raise ConfigurationError(
                f"there is no batch called {name!r}",
                field="name",
                advice="`poweremail batch list` lists the batches",
            )
        return int(number)

    def names(self) -> list[str]:
        """The names of the batches, oldest first."""
        with self.database.reading() as connection:
            return list(connection.scalars(select(batches.c.name).order_by(batches.c.id)))

    def adding(self, batch: int | None) -> Adding:
        """Begin to add messages to *batch*; None checks them only."""
        return Adding(self.database, batch)

    def worker(
        self,
        batch: int,
        smtp_users: Sequence[str],
        limits: Mapping[str, RateLimits],
        *,
        lease: float,
    ) -> Worker:
        """Return a new worker on *batch*."""
        reports = bool(self.hooks)
        return Worker(self.database, batch, smtp_users, limits, lease=lease, reports=reports)

    def settle_options(
        self, batch: int, given: Mapping[str, Any], limits: Mapping[str, RateLimits | None]
    ) -> SharedOptions:
        """
        Store the options that are *given* for *batch*, and the *limits* by SMTP user, None if none
        are given. Returns the options that the workers of the batch share.

        Raises `ConfigurationError`, and stores nothing, if one has another value already.
        """
        wanted = {name: each for name, each in limits.items() if each is not None}
        # Slices of work come here all the time, and seldom with something new: they lock nothing.
        with self.database.reading() as connection:
            if stored_options.are_stored(connection, batch, given, wanted):
                return stored_options.read(connection, batch)
        with self.database.transaction() as connection:
            return stored_options.settle(connection, batch, given, wanted)

    def change_options(
        self,
        batch: int,
        changes: Mapping[str, Any],
        limits: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        """
        Change options that the workers of *batch* share, and *limits* by SMTP user. None gives an
        option its default, and disables a window. Running workers see it in their next step.
        """
        with self.database.transaction() as connection:
            stored_options.change(connection, batch, changes, limits)

    def limits(self, smtp_users: Sequence[str]) -> dict[str, RateLimits]:
        """The limits of those *smtp_users* that have some."""
        with self.database.reading() as connection:
            return stored_options.read_limits(connection, smtp_users)

    def holder(self, batch: int, kick: Kick | None, *, lease: float) -> Holder:
        """Return what takes and keeps a lane of *batch* for a worker."""
        return Holder(self.lanes, batch, kick, lease=lease)

    def rehearse(
        self, batch: int, rehearsal: Mapping[str, Any] | None, *, keep: bool = True
    ) -> Mapping[str, Any] | None:
        """
        Make *batch* a rehearsal, and return its options. None changes nothing.

        The options belong to the batch, so every later run is a rehearsal as well. With *keep*
        False nothing is written. Raises `ConfigurationError` if mails were sent already, or the
        batch is another rehearsal.
        """
        keep = keep and rehearsal is not None
        with self.database.transaction() if keep else self.database.reading() as connection:
            return stored_options.rehearse(connection, batch, rehearsal, keep=keep)

    def pause(self, batch: int, reason: str) -> None:
        """Let no worker begin another mail of *batch*. The reason of an earlier pause stays."""
        with self.database.transaction() as connection:
            pause_batch(connection, batch, reason)

    def resume(self, batch: int) -> None:
        """End the pause. Failures in a row are counted from here on."""
        with self.database.transaction() as connection:
            change_batch(connection, batch, paused=None, pause_reason=None, failures_in_a_row=0)

    def retry(self, batch: int, states: frozenset[State]) -> int:
        """
        Plan the messages in *states* again, and return their number.

        Unknown messages that are still being looked up are left out, because they may be found. So
        are cancelled ones, and those whose content was purged.
        """
        if not states <= set(RETRYABLE):
            raise ConfigurationError(
                f"only {', '.join(RETRYABLE)} can be tried again", field="states"
            )
        statement = update(messages).where(
            _row.batch == batch,
            _row.state.in_(sorted(states)),
            ~is_open(),
            _row.error_kind.is_distinct_from("Cancelled"),
            has_content(),
        )
        statement = statement.values(
            fence=_row.fence + 1,
            state=State.PLANNED,
            due=0.0,
            attempts=0,
            looks=0,
            settled=None,
            unknown_since=None,
        )
        with self.database.transaction() as connection:
            return int(connection.execute(statement).rowcount)

    def purge(
        self,
        *,
        older_than: float,
        batch: int | None = None,
        unknown: bool = False,
        only_payloads: bool = False,
    ) -> Purged:
        """
        Delete the messages that were settled more than *older_than* seconds ago: of *batch*, or of
        all batches. Workers may run meanwhile.

        A batch keeps its messages until none of them is left to be sent or looked up; the messages
        of an outbox go one by one. Messages that stayed unknown are kept, unless *unknown* includes
        them. A batch without messages, and files without a message, are deleted, too.

        A message whose key is deleted is new if it is added again, and would be sent again. With
        *only_payloads* the key and the outcome stay, and only the content goes: the addresses, the
        fields, the files and the text of an error. Such a message cannot be planned again.
        """
        require("older_than", older_than, "a number of seconds", is_number(older_than))
        return purge(self.database, older_than, batch, unknown=unknown, only_payloads=only_payloads)

    def status(self, batch: int) -> BatchStatus:
        """The progress of *batch*."""
        return read_status(self.database, batch)

    def least_seconds(
        self, mails: int, smtp_users: Sequence[str], limits: Mapping[str, RateLimits | None]
    ) -> float:
        """
        The earliest time, in seconds from now, at which *smtp_users* can have begun so many *mails*
        within their limits, after all that they have sent for any batch. *limits* are those of
        SMTP users that have none yet.
        """
        with self.database.reading() as connection:
            limits = {**limits, **stored_options.read_limits(connection, smtp_users)}
            used = [read_used(connection, name, limits.get(name)) for name in smtp_users]
        return least_seconds(mails, used)

    def demand(
        self,
        batch: int,
        smtp_users: Sequence[str],
        limits: Mapping[str, RateLimits | None],
        *,
        concurrency: int,
        within: float,
        seconds_per_mail: float | None,
    ) -> Demand:
        """
        How many runners *batch* can use now, as `Batch.demand` describes it. Without *smtp_users*,
        all that the ledger knows count. *limits* are those of SMTP users that have none yet.
        """
        for name, seconds in (("within", within), ("seconds_per_mail", seconds_per_mail)):
            is_valid = seconds is None or (is_number(seconds) and seconds > 0)
            require(name, seconds, "a number of seconds above 0", is_valid)
        return read_demand(
            self.database,
            batch,
            smtp_users,
            limits,
            concurrency=concurrency,
            within=within,
            seconds_per_mail=seconds_per_mail,
        )

    def report(self, batch: int, states: frozenset[State] | None = None) -> Iterator[Record]:
        """
        Every message of *batch*, in the order in which they were added; only those in *states*, if
        given. It is read in pages, so that a million messages need no memory.
        """
        last = 0
        while page := self.page(batch, last, states):
            yield from (record for _, record in page)
            last = page[-1][0]

    def page(
        self, batch: int, after: int, states: frozenset[State] | None = None
    ) -> list[tuple[int, Record]]:
        """The next messages of `report`, with their numbers, after the one with number *after*."""
        return read_records(self.database, batch, after, states)

    def planned(self, batch: int, after: int) -> list[tuple[int, Planned]]:
        """The next planned messages, with their numbers, after the one with number *after*."""
        return read_planned(self.database, batch, after)
