"""The ledger: what a batch consists of, and what a worker does to it, one transaction at a time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from poweremail._ledger.adding import Adding
from poweremail._ledger.database import Database
from poweremail._ledger.payload import recipients
from poweremail._ledger.rate_limits import Spent, spent
from poweremail._ledger.schema import batches, contents, insert_new, messages
from poweremail._ledger.states import RETRIED, State
from poweremail._ledger.values import BatchStatus, Record
from poweremail._policy.limits import RateLimits
from poweremail.errors import UsageError

__all__ = ["Ledger"]

_PAGE = 500
_PAGE_BYTES = 16 * 1024 * 1024


class Planned(NamedTuple):
    """
    A message that is to be sent, as the ledger has it; *contents* has those of its files, and
    perhaps others.
    """

    key: str
    source: str | None
    line: int | None
    unique_id: str
    payload: str
    contents: Mapping[str, bytes]


class Ledger:
    """
    The ledger at *place*: the path of a file, or a URL such as ``postgresql://host/name``. It is
    made where it is missing.

    *patience* is how many seconds to wait for a file that another process is writing. Safe to use
    from several threads. Every method raises `LedgerError` where the database cannot be used, and
    `UsageError` for a batch that is not there.
    """

    def __init__(self, place: str | os.PathLike[str], *, patience: float = 10.0) -> None:
        self.database: Database = Database(place, patience=patience)

    def __repr__(self) -> str:
        return repr(self.database).replace("Database", "Ledger", 1)

    def close(self) -> None:
        """Close the connections; whoever asks next opens others."""
        self.database.close()

    def create(self, name: str) -> int:
        """Return the number of the batch called *name*, which is made where it is missing."""
        if not isinstance(name, str) or not name.strip():
            raise _usage(f"must be a name, not {name!r}", "name")
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
            raise _usage(
                f"there is no batch called {name!r}",
                "name",
                "`poweremail batch list` tells which there are",
            )
        return int(number)

    def names(self) -> list[str]:
        """The batches, oldest first."""
        with self.database.reading() as connection:
            return list(connection.scalars(select(batches.c.name).order_by(batches.c.id)))

    def adding(self, batch: int | None) -> Adding:
        """Begin to fill a batch."""
        return Adding(self.database, batch)

    def rehearse(
        self, batch: int, rehearsal: Mapping[str, Any] | None, *, keep: bool = True
    ) -> Mapping[str, Any] | None:
        """
        Make *batch* a rehearsal, and return what it rehearses with; None asks whether it is one.

        It is part of the batch, so that whoever runs it next rehearses, too; without *keep* it is
        only seen whether it could be. Raises `UsageError` where mails have gone out, or it
        rehearses otherwise.
        """
        with self.database.transaction() as connection:
            found = connection.execute(
                select(batches.c.rehearsal).where(batches.c.id == batch)
            ).scalar()
            given = None if rehearsal is None else json.dumps(rehearsal, sort_keys=True)
            if given is None or given == found:
                return None if found is None else dict(json.loads(found))
            # Planned ones, too, may have been on their way before: a 429, or `retry`.
            begun = or_(
                messages.c.state.not_in([State.PLANNED, State.INVALID]),
                messages.c.taken.is_not(None),
            )
            touched = select(messages.c.id).where(messages.c.batch == batch, begun)
            if found is not None or connection.execute(touched.limit(1)).first() is not None:
                why = (
                    "it rehearses otherwise already"
                    if found is not None
                    else "mails of it have gone out"
                )
                raise _usage(
                    f"the batch cannot become this rehearsal: {why}",
                    "redirect_to",
                    "make another batch",
                )
            if keep:
                connection.execute(
                    update(batches).where(batches.c.id == batch).values(rehearsal=given)
                )
            return rehearsal

    def pause(self, batch: int, reason: str) -> None:
        """Let nobody begin another mail of *batch*. A reason that is there already stays."""
        with self.database.transaction() as connection:
            pause(connection, batch, self.database.now(connection), reason)

    def resume(self, batch: int) -> None:
        """Take the pause back."""
        with self.database.transaction() as connection:
            connection.execute(
                update(batches).where(batches.c.id == batch).values(paused=None, pause_reason=None)
            )

    def retry(self, batch: int, states: frozenset[State]) -> int:
        """
        Plan what is in *states* again, and return how many that were. Of the unknown ones, those
        that were looked up in vain.
        """
        if not states <= set(RETRIED):
            raise _usage(f"only {', '.join(RETRIED)} can be tried again", "states")
        with self.database.transaction() as connection:
            # What is still being looked up may yet be found.
            found = update(messages).where(
                messages.c.batch == batch, messages.c.state.in_(sorted(states)), ~open_unknown()
            )
            values = {
                "state": State.PLANNED,
                "due": 0.0,
                "attempts": 0,
                "looks": 0,
                "settled": None,
                "unknown_since": None,
            }
            return int(
                connection.execute(found.values(fence=messages.c.fence + 1, **values)).rowcount
            )

    def status(self, batch: int) -> BatchStatus:
        """How *batch* is doing."""
        of_batch = messages.c.batch == batch
        with self.database.reading() as connection:
            row = connection.execute(select(batches).where(batches.c.id == batch)).one()
            counted = (
                select(messages.c.state, func.count()).where(of_batch).group_by(messages.c.state)
            )
            counts: dict[str, int] = {
                str(state): count for state, count in connection.execute(counted)
            }
            looked_for = select(func.count()).where(
                of_batch, messages.c.state == State.UNKNOWN, open_unknown()
            )
            open_count = connection.execute(looked_for).scalar_one()
            failed = messages.c.state.in_(
                [State.REJECTED, State.NOT_SENT, State.UNKNOWN, State.INVALID]
            )
            kinds = (
                select(messages.c.error_kind, func.count())
                .where(of_batch, failed)
                .group_by(messages.c.error_kind)
            )
            errors = {kind or "": count for kind, count in connection.execute(kinds)}
        return BatchStatus(
            name=row.name,
            counts={state.value: counts.get(state, 0) for state in State},
            errors=errors,
            open_unknown=open_count,
            paused=row.pause_reason,
            rehearsal=None if row.rehearsal is None else json.loads(row.rehearsal),
            added=row.added,
        )

    def budgets(self, smtp_users: Sequence[str], limits: Mapping[str, RateLimits]) -> list[Spent]:
        """What each of *smtp_users* has used of its *limits*, in all batches."""
        with self.database.reading() as connection:
            now = self.database.now(connection)
            return [spent(connection, now, name, limits.get(name)) for name in smtp_users]

    def report(self, batch: int, states: frozenset[State] | None = None) -> Iterator[Record]:
        """
        Every message of *batch*, in the order in which they were added; in pages, so that a million
        of them cost no memory.
        """
        above = 0
        while page := self.page(batch, above, states):
            for above, record in page:  # noqa: B007  the number of the last one begins the next page
                yield record

    def page(
        self, batch: int, above: int, states: frozenset[State] | None = None
    ) -> list[tuple[int, Record]]:
        """
        The next messages of `report` after the one with the number *above*, each with its number.
        """
        wanted = select(messages).where(messages.c.batch == batch, messages.c.id > above)
        if states is not None:
            wanted = wanted.where(messages.c.state.in_(sorted(states)))
        with self.database.reading() as connection:
            return [
                (row.id, _record(row))
                for row in connection.execute(wanted.order_by(messages.c.id).limit(_PAGE))
            ]

    def planned(self, batch: int, above: int) -> list[tuple[int, Planned]]:
        """The next planned messages after the one with the number *above*, each with its number."""
        wanted = select(messages).where(
            messages.c.batch == batch, messages.c.id > above, messages.c.state == State.PLANNED
        )
        with self.database.reading() as connection:
            rows = connection.execute(wanted.order_by(messages.c.id).limit(_PAGE)).all()
            files: dict[str, bytes] = {}
            page: list[tuple[int, Planned]] = []
            for row in rows:
                if row.files and (missing := set(json.loads(row.files)) - files.keys()):
                    if sum(map(len, files.values())) > _PAGE_BYTES:
                        break
                    found = select(contents.c.digest, contents.c.content).where(
                        contents.c.digest.in_(missing)
                    )
                    files |= {each.digest: each.content for each in connection.execute(found)}
                page.append(
                    (
                        row.id,
                        Planned(row.key, row.source, row.line, row.unique_id, row.payload, files),
                    )
                )
        return page


def pause(connection: Connection, batch: int, now: float, reason: str) -> None:
    """See `Ledger.pause`."""
    unpaused = and_(batches.c.id == batch, batches.c.paused.is_(None))
    connection.execute(update(batches).where(unpaused).values(paused=now, pause_reason=reason))


def open_unknown() -> ColumnElement[bool]:
    """
    Whether an unknown row is still being looked up: it is due some time, or somebody has it in
    hand.
    """
    return or_(messages.c.due.is_not(None), messages.c.lease_owner.is_not(None))


def _record(row: Any) -> Record:
    return Record(
        key=row.key,
        unique_id=row.unique_id,
        recipients=recipients(row.payload),
        state=row.state,
        attempts=row.attempts,
        smtp_user_name=row.smtp_user_name,
        error_kind=row.error_kind,
        error=row.error,
        source=row.source,
        line=row.line,
        added=row.added,
        taken=row.taken,
        settled=row.settled,
    )


def _usage(reason: str, field: str, advice: str | None = None) -> UsageError:
    return UsageError(reason, field=field, mail_state=None, advice=advice)
