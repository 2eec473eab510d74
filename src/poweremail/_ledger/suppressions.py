"""Suppressed addresses in the database of a ledger."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from operator import itemgetter
from typing import Any, Self

import attrs
from sqlalchemy import Row, delete, select, tuple_

from poweremail._ledger.ledger import Ledger
from poweremail._ledger.schema import insert_new, suppressions
from poweremail._types.suppression import Reason, Suppression, lookup_form, on_lists

_ROWS_A_STATEMENT = 1_000
_KEY = (suppressions.c.address, suppressions.c.stream, suppressions.c.reason)


class LedgerSuppressionStore:
    """
    A `SuppressionStore` in the database of a ledger, PostgreSQL or SQLite: all hosts share it.

    *ledger*: a URL such as ``postgresql://host/name``, the path of a file (SQLite), or a `Ledger`.
    Its tables are created if they are missing.

    Methods raise `LedgerError` if the database cannot be used. `close` closes a ledger that was
    given by its place.
    """

    def __init__(self, ledger: str | os.PathLike[str] | Ledger) -> None:
        self._owns_ledger = not isinstance(ledger, Ledger)
        self._ledger = ledger if isinstance(ledger, Ledger) else Ledger(ledger)

    def find(self, addresses: Sequence[str], /) -> tuple[Suppression, ...]:
        """Implement `SuppressionStore`."""
        with self._ledger.database.reading() as connection:
            rows: list[Row[Any]] = []
            for start in range(0, len(addresses), _ROWS_A_STATEMENT):
                wanted = suppressions.c.address.in_(addresses[start : start + _ROWS_A_STATEMENT])
                rows += connection.execute(select(suppressions).where(wanted)).all()
        return tuple(map(_entry, rows))

    def add(self, entries: Iterable[Suppression], /) -> int:
        """Implement `SuppressionStore`, and return the number of entries that are new."""
        source, added = iter(entries), 0
        while rows := [_row(entry) for entry in islice(source, _ROWS_A_STATEMENT)]:
            # In one order, so that two statements which share rows do not wait for each other.
            rows.sort(key=itemgetter("address", "stream", "reason"))
            with self._ledger.database.transaction() as connection:
                insert = insert_new(connection, suppressions).returning(suppressions.c.reason)
                # Not `rowcount`, which psycopg does not know of every insert.
                added += len(connection.execute(insert, rows).all())
        return added

    def remove(
        self, address: str, *, stream: str | None = None, reason: Reason | None = None
    ) -> int:
        """
        Remove the entries of *address*, on the list of *stream* and with *reason* if they are
        given, and return their number.

        Raises `UsageError` if *address*, *stream* or *reason* is none.
        """
        wanted = {"address": lookup_form(address)} | on_lists(stream, reason)
        with self._ledger.database.transaction() as connection:
            removal = delete(suppressions).filter_by(**wanted).returning(suppressions.c.reason)
            return len(connection.execute(removal).all())

    def entries(
        self, *, stream: str | None = None, reason: Reason | None = None
    ) -> Iterator[Suppression]:
        """
        Iterate over all entries by address, or those on the list of *stream* and with *reason*.

        What changes meanwhile may be seen or not. Raises `UsageError` if *stream* or *reason* is
        none.
        """
        return self._entries(on_lists(stream, reason))

    def _entries(self, wanted: dict[str, str]) -> Iterator[Suppression]:
        query = select(suppressions).order_by(*_KEY).limit(_ROWS_A_STATEMENT).filter_by(**wanted)
        last: tuple[str, ...] | None = None
        while True:
            page = query if last is None else query.where(tuple_(*_KEY) > tuple_(*last))
            with self._ledger.database.reading() as connection:
                rows = connection.execute(page).all()
            yield from map(_entry, rows)
            if len(rows) < _ROWS_A_STATEMENT:
                return
            last = rows[-1].address, rows[-1].stream, rows[-1].reason

    def close(self) -> None:
        """Close the ledger, if the store has opened it. The next use opens it again."""
        if self._owns_ledger:
            self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} in {self._ledger!r}>"


def _row(entry: Suppression) -> dict[str, Any]:
    return attrs.asdict(entry) | {"since": entry.since.timestamp()}


def _entry(row: Row[Any]) -> Suppression:
    since = datetime.fromtimestamp(row.since, UTC)
    return Suppression(row.address, row.stream, reason=row.reason, since=since, note=row.note)
