"""Suppressed addresses in a file of their own; and the store at a place, which is one or not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from poweremail._lazy import extras_needed
from poweremail._runtime._sqlite_file import Kind, SqliteFile
from poweremail._types.suppression import Reason, Suppression, lookup_form, on_lists

if TYPE_CHECKING:
    from poweremail._ledger.suppressions import LedgerSuppressionStore

_KIND = Kind(
    name="suppressed addresses",
    field="suppression",
    application_id=0x506F4573,  # "PoEs" in ASCII
    # *since*: epoch seconds.
    schema="""
        CREATE TABLE suppressions (
            address TEXT NOT NULL, stream TEXT NOT NULL, reason TEXT NOT NULL,
            since REAL NOT NULL, note TEXT,
            PRIMARY KEY (address, stream, reason)
        ) WITHOUT ROWID
    """,
    durable=True,  # who has unsubscribed must not get mail after a power cut
)
_COLUMNS = "address, stream, reason, since, note"
_ADDRESSES_A_QUERY = 500
_ROWS_A_TRANSACTION = 10_000
_ROWS_A_PAGE = 1_000


class SqliteSuppressionStore:
    """
    A `SuppressionStore` in a file of SQLite that the processes of a machine share.

    *path*: the file, on a local disk. It is created if it is missing.

    Methods raise `UsageError` if the file cannot be used. `close` is optional: the next use opens
    the file again, also in a child process after a fork.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._file = SqliteFile(path, _KIND)

    def find(self, addresses: Sequence[str], /) -> tuple[Suppression, ...]:
        """Implement `SuppressionStore`."""
        rows: list[Any] = []
        with self._file.transaction(reads=True) as connection:
            for start in range(0, len(addresses), _ADDRESSES_A_QUERY):
                wanted = addresses[start : start + _ADDRESSES_A_QUERY]
                marks = ", ".join("?" * len(wanted))
                rows += connection.execute(
                    f"SELECT {_COLUMNS} FROM suppressions WHERE address IN ({marks})",  # noqa: S608  marks only
                    wanted,
                )
        return tuple(map(_entry, rows))

    def add(self, entries: Iterable[Suppression], /) -> int:
        """Implement `SuppressionStore`, and return the number of entries that are new."""
        source, added = iter(entries), 0
        while rows := [_row(entry) for entry in islice(source, _ROWS_A_TRANSACTION)]:
            with self._file.transaction() as connection:
                added += connection.executemany(
                    "INSERT OR IGNORE INTO suppressions VALUES (?, ?, ?, ?, ?)", rows
                ).rowcount
        return added

    def remove(
        self, address: str, *, stream: str | None = None, reason: Reason | None = None
    ) -> int:
        """
        Remove the entries of *address*, on the list of *stream* and with *reason* if they are
        given, and return their number.

        Raises `UsageError` if *address*, *stream* or *reason* is none.
        """
        where, values = _where({"address": lookup_form(address)} | on_lists(stream, reason))
        with self._file.transaction() as connection:
            return connection.execute(f"DELETE FROM suppressions {where}", values).rowcount  # noqa: S608  names only

    def entries(
        self, *, stream: str | None = None, reason: Reason | None = None
    ) -> Iterator[Suppression]:
        """
        Iterate over all entries by address, or those on the list of *stream* and with *reason*.

        What changes meanwhile may be seen or not. Raises `UsageError` if *stream* or *reason* is
        none.
        """
        return self._entries(*_where(on_lists(stream, reason)))

    def _entries(self, where: str, values: tuple[str, ...]) -> Iterator[Suppression]:
        last = ("", "", "")
        while True:
            with self._file.transaction(reads=True) as connection:
                rows = connection.execute(
                    f"SELECT {_COLUMNS} FROM suppressions {where} AND (address, stream, reason)"  # noqa: S608  names only
                    " > (?, ?, ?) ORDER BY address, stream, reason LIMIT ?",
                    (*values, *last, _ROWS_A_PAGE),
                ).fetchall()
            yield from map(_entry, rows)
            if len(rows) < _ROWS_A_PAGE:
                return
            last = rows[-1][:3]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path!r}>"


def open_store(
    place: str | os.PathLike[str],
) -> SqliteSuppressionStore | LedgerSuppressionStore:
    """
    Return the store at *place*: a URL, such as ``postgresql://host/name`` or
    ``sqlite:///ledger.db``, is the database of a ledger, and a path is a file of its own.

    Raises `ConfigurationError` if it is a URL that no ledger can have.
    """
    if isinstance(place, str) and "://" in place:
        with extras_needed("store"):
            from poweremail._ledger.suppressions import (  # noqa: PLC0415  it loads SQLAlchemy
                LedgerSuppressionStore,
            )
        return LedgerSuppressionStore(place)
    return SqliteSuppressionStore(place)


def _where(given: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    return "WHERE " + " AND ".join(("TRUE", *(f"{name} = ?" for name in given))), (*given.values(),)


def _row(entry: Suppression) -> tuple[object, ...]:
    return entry.address, entry.stream, entry.reason, entry.since.timestamp(), entry.note


def _entry(row: Sequence[Any]) -> Suppression:
    address, stream, reason, since, note = row
    since = datetime.fromtimestamp(since, UTC)
    return Suppression(address, stream, reason=reason, since=since, note=note)
