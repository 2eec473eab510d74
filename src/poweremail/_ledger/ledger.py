"""The ledger: the batches in a database, and all that can be done to them, a transaction each."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs
from sqlalchemy import func, or_, select, update

from poweremail._ledger.adding import Adding
from poweremail._ledger.database import Database
from poweremail._ledger.payload import recipients
from poweremail._ledger.rate_limits import least_seconds, read_used
from poweremail._ledger.schema import batches, contents, insert_new, messages
from poweremail._ledger.statements import is_open, pause_batch
from poweremail._ledger.states import RETRYABLE, State
from poweremail._ledger.values import BatchStatus, Planned, Record
from poweremail._ledger.worker import Worker
from poweremail._policy.limits import RateLimits
from poweremail.errors import ConfigurationError

__all__ = ["Ledger"]

_PAGE_SIZE = 500
_MAX_PAGE_FILE_BYTES = 16 * 1024 * 1024

_RECORD_COLUMNS = [
    messages.c[field.name] for field in attrs.fields(Record) if field.name != "recipients"
]
_PLANNED_COLUMNS = [
    messages.c[field.name] for field in attrs.fields(Planned) if field.name != "contents"
]


class Ledger:
    """
    The ledger at *place*: the path of a file, or a URL such as ``postgresql://host/name``. It is
    created if it is missing.

    *timeout*: the seconds to wait for a file that another process is writing.

    It may be used from several threads. Every method raises `LedgerError` if the database cannot be
    used, and `ConfigurationError` for a batch that does not exist.
    """

    def __init__(
        self,
        place: str | os.PathLike[str],
        *,
        timeout: float = 10.0,
        patience: float | None = None,
    ) -> None:
        if patience is not None:
            warnings.warn("patience= is called timeout= now", DeprecationWarning, stacklevel=2)
            timeout = patience
        self.database: Database = Database(place, timeout=timeout)

    def __repr__(self) -> str:
        return repr(self.database).replace("Database", "Ledger", 1)

    def close(self) -> None:
        """Close the connections. The next call opens others."""
        self.database.close()

    def create(self, name: str) -> int:
        """Return the number of the batch called *name*, which is created if it is missing."""
        if not isinstance(name, str) or not name.strip():
            raise ConfigurationError(f"must be a name, not {name!r}", field="name")
        with self.database.transaction() as connection:
            connection.execute(
                insert_new(connection, batches).values(
                    name=name, added=self.database.now(connection)
                )
            )
            return int(
                connection.execute(select(batches.c.id).where(batches.c.name == name)).scalar_one()
            )

    def find(self, name: str) -> int:
        """Return the number of the batch called *name*."""
        with self.database.reading() as connection:
            number = connection.execute(select(batches.c.id).where(batches.c.name == name)).scalar()
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
        return Worker(self.database, batch, smtp_users, limits, lease=lease)

    def rehearse(
        self, batch: int, rehearsal: Mapping[str, Any] | None, *, keep: bool = True
    ) -> Mapping[str, Any] | None:
        """
        Make *batch* a rehearsal, and return its options. None changes nothing.

        The options belong to the batch, so every later run is a rehearsal as well. With *keep*
        False nothing is written. Raises `ConfigurationError` if mails were sent already, or the
        batch is another rehearsal.
        """
        block = self.database.transaction if keep else self.database.reading
        with block() as connection:
            stored = connection.execute(
                select(batches.c.rehearsal).where(batches.c.id == batch)
            ).scalar()
            given = None if rehearsal is None else json.dumps(rehearsal, sort_keys=True)
            if given is None or given == stored:
                return None if stored is None else dict(json.loads(stored))
            # A planned row may have been sent before as well: after a 429, or by `retry`.
            sent = select(messages.c.id).where(
                messages.c.batch == batch,
                or_(
                    messages.c.state.not_in([State.PLANNED, State.INVALID]),
                    messages.c.taken.is_not(None),
                ),
            )
            reason = None
            if stored is not None:
                reason = "it is another rehearsal already"
            elif connection.execute(sent.limit(1)).first() is not None:
                reason = "mails of it were sent already"
            if reason is not None:
                raise ConfigurationError(
                    f"the batch cannot become this rehearsal: {reason}",
                    field="redirect_to",
                    advice="make another batch",
                )
            if keep:
                connection.execute(
                    update(batches).where(batches.c.id == batch).values(rehearsal=given)
                )
            return rehearsal

    def pause(self, batch: int, reason: str) -> None:
        """Let no worker begin another mail of *batch*. The reason of an earlier pause stays."""
        with self.database.transaction() as connection:
            pause_batch(connection, batch, self.database.now(connection), reason)

    def resume(self, batch: int) -> None:
        """End the pause."""
        with self.database.transaction() as connection:
            connection.execute(
                update(batches).where(batches.c.id == batch).values(paused=None, pause_reason=None)
            )

    def retry(self, batch: int, states: frozenset[State]) -> int:
        """
        Plan the messages in *states* again, and return their number.

        Unknown messages that are still being looked up are left out, because they may be found.
        """
        if not states <= set(RETRYABLE):
            raise ConfigurationError(
                f"only {', '.join(RETRYABLE)} can be tried again", field="states"
            )
        statement = update(messages).where(
            messages.c.batch == batch, messages.c.state.in_(sorted(states)), ~is_open()
        )
        statement = statement.values(
            fence=messages.c.fence + 1,
            state=State.PLANNED,
            due=0.0,
            attempts=0,
            looks=0,
            settled=None,
            unknown_since=None,
        )
        with self.database.transaction() as connection:
            return int(connection.execute(statement).rowcount)

    def status(self, batch: int) -> BatchStatus:
        """The progress of *batch*."""
        of_batch = messages.c.batch == batch
        failed = messages.c.state.in_(
            [State.REJECTED, State.NOT_SENT, State.UNKNOWN, State.INVALID]
        )
        states = select(messages.c.state, func.count()).where(of_batch)
        kinds = select(messages.c.error_kind, func.count()).where(of_batch, failed)
        unknown = select(func.count()).where(of_batch, messages.c.state == State.UNKNOWN, is_open())
        with self.database.reading() as connection:
            row = connection.execute(select(batches).where(batches.c.id == batch)).one()
            counted = connection.execute(states.group_by(messages.c.state)).all()
            errors = connection.execute(kinds.group_by(messages.c.error_kind)).all()
            open_unknown = connection.execute(unknown).scalar_one()
        counts = {str(state): count for state, count in counted}
        return BatchStatus(
            name=row.name,
            counts={state.value: counts.get(state, 0) for state in State},
            errors={kind or "": count for kind, count in errors},
            open_unknown=open_unknown,
            paused=row.pause_reason,
            rehearsal=None if row.rehearsal is None else json.loads(row.rehearsal),
            added=row.added,
        )

    def least_seconds(
        self, mails: int, smtp_users: Sequence[str], limits: Mapping[str, RateLimits]
    ) -> float:
        """
        The earliest time, in seconds from now, at which *smtp_users* can have begun so many *mails*
        within their *limits*, after all that they have sent for any batch.
        """
        with self.database.reading() as connection:
            now = self.database.now(connection)
            used = [read_used(connection, now, name, limits.get(name)) for name in smtp_users]
        return least_seconds(mails, used)

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
        wanted = select(messages.c.id, messages.c.payload, *_RECORD_COLUMNS).where(
            messages.c.batch == batch, messages.c.id > after
        )
        if states is not None:
            wanted = wanted.where(messages.c.state.in_(sorted(states)))
        with self.database.reading() as connection:
            rows = connection.execute(wanted.order_by(messages.c.id).limit(_PAGE_SIZE)).all()
        return [
            (number, Record(recipients=recipients(payload), **_members(_RECORD_COLUMNS, columns)))
            for number, payload, *columns in rows
        ]

    def planned(self, batch: int, after: int) -> list[tuple[int, Planned]]:
        """The next planned messages, with their numbers, after the one with number *after*."""
        wanted = select(messages.c.id, messages.c.files, *_PLANNED_COLUMNS).where(
            messages.c.batch == batch, messages.c.id > after, messages.c.state == State.PLANNED
        )
        with self.database.reading() as connection:
            rows = connection.execute(wanted.order_by(messages.c.id).limit(_PAGE_SIZE)).all()
            read: dict[str, bytes] = {}
            page: list[tuple[int, Planned]] = []
            for number, files, *columns in rows:
                if files and (missing := set(json.loads(files)) - read.keys()):
                    if sum(map(len, read.values())) > _MAX_PAGE_FILE_BYTES:
                        break
                    found = select(contents.c.digest, contents.c.content).where(
                        contents.c.digest.in_(missing)
                    )
                    read |= {each.digest: each.content for each in connection.execute(found)}
                members = _members(_PLANNED_COLUMNS, columns)
                page.append((number, Planned(contents=read, **members)))
        return page


def _members(columns: Sequence[Any], values: Sequence[Any]) -> dict[str, Any]:
    return {column.name: value for column, value in zip(columns, values, strict=True)}
