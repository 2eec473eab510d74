"""The sandbox's database, in memory or in a file; with it templates, SMTP users and the clock."""

from __future__ import annotations

import json
import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import attrs
from cattrs import Converter

from poweremail._runtime._sqlite_file import open_database
from poweremail._types.secret import Secret
from poweremail.errors import ConfigurationError
from poweremail.sandbox._store import schema
from poweremail.sandbox._store.changes import Changes
from poweremail.sandbox._store.limits import (
    UNLIMITED,
    SmtpLimits,
    SmtpUsage,
    Tally,
    check,
    usage,
)
from poweremail.sandbox._store.mail import Template

T = TypeVar("T")

Row = dict[str, Any]
"""A row of a result: its values by the names of the columns."""

END_OF_TIME = 2**62
"""Greater than every number and every time that the store keeps."""

_MIN_FREE_PAGES = 1_000  # 4 MB

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The column ``added``: 0 if the user has only sent, 1 if it was added, 2 if the API drew it.
_ADDED_BY_API = 2
_ADDED = "added AND added = 1"  # the words of the index on it
_KNOWN = f"(added OR NOT EXISTS (SELECT 1 FROM smtp_users WHERE {_ADDED}))"  # noqa: S608


def at(milliseconds: int) -> datetime:
    """Return the time that the store keeps as *milliseconds*, in UTC."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


# How columns hold what is not a plain value.
_READERS: dict[Any, Callable[[Any], object]] = {
    datetime: at,
    Secret: Secret,
    tuple[str, ...]: lambda text: tuple(text.split(",")),
    tuple[tuple[str, str], ...]: lambda text: tuple(map(tuple, json.loads(text))),
    Mapping[str, str]: json.loads,
    Mapping[str, Any]: json.loads,
}
_converter = Converter(detailed_validation=False)
_converter.register_structure_hook_func(
    lambda kind: kind in _READERS, lambda value, kind: _READERS[kind](value)
)


def value_of(kind: type[T], row: Row, **others: object) -> T:
    """Return the *kind* whose fields are the columns of *row*, and *others*."""
    return _converter.structure(row | others, kind)


def _row(cursor: sqlite3.Cursor, values: tuple[Any, ...]) -> Row:
    return dict(zip([column[0] for column in cursor.description], values, strict=True))


class Store:
    """
    The database. `MailStore` and `AccountStore` work on it, too.

    *path* is the file, created if it is missing; None keeps all in memory. Raises
    `ConfigurationError` if the file is not a sandbox's. Times are whole milliseconds since the
    epoch. Credentials are never stored. Names of tables and columns come from this package, never
    from a request. Safe to use from several threads.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self._lock = threading.RLock()
        self.changes: Changes = Changes()
        try:
            self._connection, self._close = (
                open_database(self, ":memory:", schema.prepare_in_memory)
                if path is None
                else open_database(self, path, schema.prepare)
            )
        except sqlite3.Error as error:
            raise ConfigurationError(f"cannot use {str(path)!r}: {error}", field="path") from None
        self._connection.row_factory = _row

    def close(self) -> None:
        """Close the database, once no other thread uses it. A second call does nothing."""
        with self._lock:
            self._close()

    def shrink(self) -> None:
        """Give free pages back to the disk, if they are many; but not while a transaction runs."""
        with self._lock:
            pages, free = (
                self.rows(f"PRAGMA {name}")[0][name] for name in ("page_count", "freelist_count")
            )
            if self._connection.in_transaction or free < max(_MIN_FREE_PAGES, pages // 5):
                return
            # Another process may hold the file: then the next call does it.
            with suppress(sqlite3.OperationalError):
                if self.rows("PRAGMA auto_vacuum")[0]["auto_vacuum"] == 0:
                    # The file of an older version learns it once.
                    self.rows("PRAGMA auto_vacuum = INCREMENTAL")
                    self.rows("VACUUM")
                # Each step frees a page, and `execute` takes only the first.
                self._connection.executescript("PRAGMA incremental_vacuum")
                self.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def reading(self) -> AbstractContextManager[object]:
        """Return a context in which no other thread changes what is read."""
        return self._lock

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """
        Make all changes or none, undisturbed by other threads and processes. A transaction within
        another is a part of it.
        """
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                yield

    def rows(self, query: str, *values: object) -> list[Row]:
        """Return the rows that *query* finds."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def row(self, query: str, *values: object) -> Row | None:
        """Return the first row that *query* finds, or None."""
        return next(iter(self.rows(query, *values)), None)

    def change(self, statement: str, *values: object) -> int:
        """Execute *statement* in a transaction, and return how many rows it changed."""
        with self.transaction():
            return self._connection.execute(statement, values).rowcount

    def change_each(self, statement: str, each: Iterable[tuple[object, ...]]) -> None:
        """Execute *statement* with the values of *each*, in a transaction."""
        with self.transaction():
            self._connection.executemany(statement, each)

    def insert(self, insert_into: str, **columns: object) -> int:
        """
        Insert a row in a transaction, and return its number.

        *insert_into* is the statement up to the name of the table: ``INSERT INTO mails``.
        """
        marks = ", ".join("?" * len(columns))
        statement = f"{insert_into} ({', '.join(columns)}) VALUES ({marks})"
        with self.transaction():
            return self._connection.execute(statement, tuple(columns.values())).lastrowid or 0

    def clear(self) -> None:
        """Delete everything but the advance of the clock."""
        with self.transaction():
            for table in schema.TABLES:
                self.change(f"DELETE FROM {table}")  # noqa: S608  a constant
        self.shrink()
        self.changes.note("cleared")

    def put_template(self, template: Template) -> None:
        """Keep *template*, in place of one of the same id."""
        self.insert("INSERT OR REPLACE INTO templates", **attrs.asdict(template))

    def templates(self) -> list[Template]:
        """Return all templates, by id."""
        return [
            Template(**row) for row in self.rows("SELECT * FROM templates ORDER BY template_id")
        ]

    def template(self, template_id: str) -> Template | None:
        """Return the template of that id, or None."""
        row = self.row("SELECT * FROM templates WHERE template_id = ?", template_id)
        return Template(**row) if row else None

    def book(self, name: str, mails: int, *, now: int, limits: SmtpLimits) -> None:
        """
        Count a request of the SMTP user *name*, in the transaction that keeps its mail.

        *mails*
            How many mails it sends.
        *limits*
            Those of SMTP users without limits of their own.

        Raises `LimitReached` if the request exceeds a limit.
        """
        if row := self.row("SELECT * FROM smtp_users WHERE name = ?", name):
            limits = limits.override(SmtpLimits.from_columns(row))
        latest = self._tally(name, END_OF_TIME)
        # Tallies never go back in time. If the clock does, they stand still until it catches up.
        now = max(now, latest.at)
        if limits.limited:
            check(limits, usage(now, partial(self._tally, name)), mails)
        self.change(
            "INSERT INTO tallies VALUES (?, ?, ?, ?)",
            *(name, now, latest.requests + 1, latest.mails + mails),
        )
        self.note_smtp_user(name)

    def _tally(self, name: str, time: int) -> Tally:
        row = self.row(
            "SELECT at, requests, mails FROM tallies WHERE smtp_user_name = ? AND at <= ?"
            " ORDER BY at DESC, requests DESC LIMIT 1",
            *(name, time),
        )
        return Tally(**row) if row else Tally(-END_OF_TIME, 0, 0)

    def usage(self, name: str, now: int) -> SmtpUsage:
        """Return the part of its limits that the SMTP user *name* has used at the time *now*."""
        with self.reading():
            return usage(max(now, self._tally(name, END_OF_TIME).at), partial(self._tally, name))

    def put_smtp_user(self, name: str, *, enabled: bool, limits: SmtpLimits = UNLIMITED) -> None:
        """
        Keep an SMTP user, in place of one of the same name. Its usage stays.

        After the first call only users that were added may send. *limits* are its own; None is the
        limit of the sandbox.
        """
        self.insert(
            "INSERT OR REPLACE INTO smtp_users",
            **{"name": name, "enabled": enabled, "added": 1, **limits.to_dict()},
        )

    def note_smtp_user(self, name: str) -> None:
        """List an SMTP user as if it had sent; this changes nothing for other users."""
        self.change(
            "INSERT OR IGNORE INTO smtp_users (name, enabled, added) VALUES (?, 1, 0)", name
        )

    def draw_smtp_user(self, limits: SmtpLimits) -> str:
        """Keep an SMTP user with *limits* under a random name, and return the name."""
        while True:
            name = f"smtp{secrets.randbelow(90_000_000) + 10_000_000}"
            if self.change(
                "INSERT OR IGNORE INTO smtp_users (name, enabled, added, hourly_limit, total_limit)"
                " VALUES (?, 1, ?, ?, ?)",
                *(name, _ADDED_BY_API, limits.hourly_limit, limits.total_limit),
            ):
                return name

    def edit_smtp_user(self, name: str, *, enabled: bool | None, limits: SmtpLimits) -> bool:
        """Change an SMTP user; None changes nothing. Returns whether there is one of that name."""
        return bool(
            self.change(
                "UPDATE smtp_users SET enabled = coalesce(?, enabled),"  # noqa: S608
                " hourly_limit = coalesce(?, hourly_limit),"
                f" total_limit = coalesce(?, total_limit) WHERE name = ? AND {_KNOWN}",
                *(enabled, limits.hourly_limit, limits.total_limit, name),
            )
        )

    def may_send(self, name: str) -> bool | None:
        """Return whether an SMTP user may send; None if others were added, and this one not."""
        user = self.row(f"SELECT enabled FROM smtp_users WHERE name = ? AND {_KNOWN}", name)  # noqa: S608
        if user:
            return bool(user["enabled"])
        return None if self.row(f"SELECT 1 FROM smtp_users WHERE {_ADDED}") else True  # noqa: S608

    def smtp_users(self) -> list[tuple[str, bool, SmtpLimits]]:
        """
        Return name, enabled and own limits of every SMTP user, by name.

        They are those that were added, here or by the API. If none was added here, they are also
        those that have sent.
        """
        query = f"SELECT * FROM smtp_users WHERE {_KNOWN} ORDER BY name"  # noqa: S608
        return [
            (row["name"], bool(row["enabled"]), SmtpLimits.from_columns(row))
            for row in self.rows(query)
        ]
