"""The sandbox's database, in memory or in a file; with it templates, SMTP users and the clock."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

from poweremail._runtime._sqlite_file import open_database
from poweremail.errors import ConfigurationError
from poweremail.sandbox._store import schema
from poweremail.sandbox._store.changes import Changes
from poweremail.sandbox._store.limits import (
    LIMITS,
    UNLIMITED,
    SmtpLimits,
    SmtpUsage,
    Tally,
    check,
    usage,
)
from poweremail.sandbox._store.mail import Template

__all__ = ["END_OF_TIME", "Store", "at", "insert"]

END_OF_TIME = 2**62
"""Greater than every number and every time that the store keeps."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# The column ``added``: 0 if the user has only sent, 1 if it was added, 2 if the API drew it.
_ADDED_BY_API = 2
_ADDED = "added AND added = 1"  # the words of the index on it
_KNOWN = f"(added OR NOT EXISTS (SELECT 1 FROM smtp_users WHERE {_ADDED}))"  # noqa: S608


def at(milliseconds: int) -> datetime:
    """Return the time that the store keeps as *milliseconds*, in UTC."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


def insert(connection: sqlite3.Connection, table: str, **columns: object) -> int:
    """Insert a row, and return its number. The names come from this package, never from a call."""
    marks = ", ".join("?" * len(columns))
    return (
        connection.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})",  # noqa: S608
            tuple(columns.values()),
        ).lastrowid
        or 0
    )


class Store:
    """
    The database. `MailStore` and `AccountStore` work on it, too.

    *path* is the file, created if it is missing; None keeps all in memory. Raises
    `ConfigurationError` if the file is not a sandbox's. Times are whole milliseconds since the
    epoch. Credentials are never stored. Safe to use from several threads.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self._lock = threading.Lock()
        self.changes: Changes = Changes()
        self.close: Callable[[], object]
        try:
            self._connection, self.close = open_database(
                self, ":memory:" if path is None else path, schema.prepare
            )
        except sqlite3.Error as error:
            raise ConfigurationError(f"cannot use {str(path)!r}: {error}", field="path") from None
        self._connection.row_factory = sqlite3.Row

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read, undisturbed by other threads."""
        with self._lock:
            yield self._connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Make all changes or none, undisturbed by other threads and processes."""
        with self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Return the rows that *query* finds."""
        with self.reading() as connection:
            return connection.execute(query, values).fetchall()

    def change(self, statement: str, *values: object) -> int:
        """Execute *statement* in a transaction of its own, and return how many rows it changed."""
        with self.transaction() as connection:
            return connection.execute(statement, values).rowcount

    def clear(self) -> None:
        """Delete everything but the advance of the clock."""
        with self.transaction() as connection:
            for table in schema.TABLES:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant
        self.changes.note("cleared")

    def put_template(self, template: Template) -> None:
        """Keep *template*, in place of one of the same id."""
        self.change(
            "INSERT OR REPLACE INTO templates VALUES (?, ?, ?, ?)",
            *(template.template_id, template.subject, template.html, template.text),
        )

    def templates(self) -> list[Template]:
        """Return all templates, by id."""
        return [Template(*row) for row in self.rows("SELECT * FROM templates ORDER BY template_id")]

    def template(self, template_id: str) -> Template | None:
        """Return the template of that id, or None."""
        found = self.rows("SELECT * FROM templates WHERE template_id = ?", template_id)
        return Template(*found[0]) if found else None

    def book(
        self, connection: sqlite3.Connection, name: str, mails: int, *, now: int, limits: SmtpLimits
    ) -> None:
        """
        Count a request of the SMTP user *name*, in the transaction that keeps its mail.

        *mails*
            How many mails it sends.
        *limits*
            Those of SMTP users without limits of their own.

        Raises `LimitReached` if the request exceeds a limit.
        """
        row = connection.execute("SELECT * FROM smtp_users WHERE name = ?", (name,)).fetchone()
        if row is not None:
            limits = limits.override(_own_limits(row))
        latest = self._tally(name, END_OF_TIME)
        # Tallies never go back in time. If the clock does, they stand still until it catches up.
        now = max(now, latest.at)
        if limits.limited:
            check(limits, usage(now, partial(self._tally, name)), mails)
        connection.execute(
            "INSERT INTO tallies VALUES (?, ?, ?, ?)",
            (name, now, latest.requests + 1, latest.mails + mails),
        )
        connection.execute(_NOTE_SMTP_USER, (name,))

    def _tally(self, name: str, time: int) -> Tally:
        row = self._connection.execute(
            "SELECT at, requests, mails FROM tallies WHERE smtp_user_name = ? AND at <= ?"
            " ORDER BY at DESC, requests DESC LIMIT 1",
            (name, time),
        ).fetchone()
        return Tally(-END_OF_TIME, 0, 0) if row is None else Tally(*row)

    def usage(self, name: str, now: int) -> SmtpUsage:
        """Return the part of its limits that the SMTP user *name* has used at the time *now*."""
        with self._lock:
            return usage(max(now, self._tally(name, END_OF_TIME).at), partial(self._tally, name))

    def put_smtp_user(self, name: str, *, enabled: bool, limits: SmtpLimits = UNLIMITED) -> None:
        """
        Keep an SMTP user, in place of one of the same name. Its usage stays.

        After the first call only users that were added may send. *limits* are its own; None is the
        limit of the sandbox.
        """
        columns = ", ".join(("name", "enabled", "added", *LIMITS))
        self.change(
            f"INSERT OR REPLACE INTO smtp_users ({columns}) VALUES (?, ?, 1, ?, ?, ?, ?, ?)",  # noqa: S608
            *(name, enabled, *limits.to_dict().values()),
        )

    def note_smtp_user(self, name: str) -> None:
        """List an SMTP user as if it had sent; this changes nothing for other users."""
        self.change(_NOTE_SMTP_USER, name)

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
        found = self.rows(
            f"SELECT enabled FROM smtp_users WHERE name = ? AND {_KNOWN}",  # noqa: S608
            name,
        )
        if found:
            return bool(found[0]["enabled"])
        others = self.rows(f"SELECT 1 FROM smtp_users WHERE {_ADDED} LIMIT 1")  # noqa: S608
        return None if others else True

    def smtp_users(self) -> list[tuple[str, bool, SmtpLimits]]:
        """
        Return name, enabled and own limits of every SMTP user, by name.

        They are those that were added, here or by the API. If none was added here, they are also
        those that have sent.
        """
        query = f"SELECT * FROM smtp_users WHERE {_KNOWN} ORDER BY name"  # noqa: S608
        return [(row["name"], bool(row["enabled"]), _own_limits(row)) for row in self.rows(query)]

    def advanced(self) -> int:
        """Return how many milliseconds the clock was advanced."""
        [(advanced,)] = self.rows("SELECT advanced FROM clock")
        return int(advanced)

    def put_advanced(self, milliseconds: int) -> None:
        """Keep how many milliseconds the clock was advanced."""
        self.change("UPDATE clock SET advanced = ?", milliseconds)


_NOTE_SMTP_USER = "INSERT OR IGNORE INTO smtp_users (name, enabled, added) VALUES (?, 1, 0)"


def _own_limits(row: sqlite3.Row) -> SmtpLimits:
    return SmtpLimits(**{name: row[name] for name in LIMITS})
