"""
What the sandbox remembers beside mails and the account's settings; and the database of it all, in
memory or in a file.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

from poweremail.errors import UsageError
from poweremail.sandbox._api.template import Template
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

__all__ = ["Store", "at"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 2**62
"""A time after all that can be."""

_NOTHING = Tally(-_LAST, 0, 0)

# In the column ``added``: 0 is an SMTP user that has sent and that nobody added. The words are
# those of the index on it.
_DRAWN = 2
_ADDED = "added AND added = 1"
_KNOWN = f"(added OR NOT EXISTS (SELECT 1 FROM smtp_users WHERE {_ADDED}))"  # noqa: S608


def at(milliseconds: int) -> datetime:
    """Return the time that the store keeps as *milliseconds*, in UTC."""
    return _EPOCH + timedelta(milliseconds=milliseconds)


class Store:
    """
    Templates, SMTP users and what they have used of their limits, and how far the clock was
    advanced. Its database also holds what `MailStore` and `AccountStore` know.

    *path* is the file, made where it is missing; None keeps all in memory. Raises `UsageError` for
    a file that is not a sandbox's. Safe to use from several threads. Times are whole milliseconds
    since the epoch. Credentials never get here.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self._lock = threading.Lock()
        self.changes = Changes()
        try:
            self._connection = sqlite3.connect(
                ":memory:" if path is None else path, check_same_thread=False
            )
            # Whoever forgets to close the store is not to be told so by a ResourceWarning, out of
            # place and out of time.
            self.close = weakref.finalize(self, self._connection.close)
            self._prepare()
        except sqlite3.Error as error:
            raise UsageError(
                f"cannot use {str(path)!r}: {error}", field="path", mail_state=None
            ) from None

    def _prepare(self) -> None:
        schema.prepare(self._connection)
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the last mails of a sandbox; waiting for the disk at each would cost
        # more.
        self._connection.execute("PRAGMA synchronous = NORMAL")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read, undisturbed by other threads."""
        with self._lock:
            yield self._connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """
        The database, for changes that are made all or not at all; nobody else changes it meanwhile.
        """
        with self._lock, self._connection:
            # From the first look on: another process may have the same file open.
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """What *query* finds."""
        with self.reading() as connection:
            return connection.execute(query, values).fetchall()

    def book(
        self, connection: sqlite3.Connection, name: str, mails: int, *, now: int, limits: SmtpLimits
    ) -> None:
        """
        Count a request with so many *mails* in the transaction that keeps them, and list the SMTP
        user *name* as one that has sent.

        *limits* are those of SMTP users that have none of their own. Raises `LimitReached` where it
        is too much.
        """
        row = connection.execute("SELECT * FROM smtp_users WHERE name = ?", (name,)).fetchone()
        if row is not None:
            limits = limits.override(_own_limits(row))
        latest = self._tally(name, _LAST)
        # Tallies never go back in time, even where the clock does: until it has caught up, it
        # stands still for them.
        now = max(now, latest.at)
        if limits.limited:
            check(limits, usage(now, partial(self._tally, name)), mails)
        tally = latest.and_one_more(now, mails)
        connection.execute(
            "INSERT INTO tallies VALUES (?, ?, ?, ?)", (name, tally.at, tally.requests, tally.mails)
        )
        self._note_smtp_user(connection, name)

    def _tally(self, name: str, at: int) -> Tally:
        row = self._connection.execute(
            "SELECT at, requests, mails FROM tallies WHERE smtp_user_name = ? AND at <= ? ORDER BY "
            "at DESC, requests DESC LIMIT 1",
            (name, at),
        ).fetchone()
        return _NOTHING if row is None else Tally(*row)

    def clear(self) -> None:
        """Forget everything but how far the clock was advanced."""
        with self.transaction() as connection:
            for table in schema.TABLES:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant
        self.changes.note("cleared")

    def put_template(self, template: Template) -> None:
        """Keep *template*, in place of one of the same id."""
        with self.transaction() as connection:
            values = (template.template_id, template.subject, template.html, template.text)
            connection.execute("INSERT OR REPLACE INTO templates VALUES (?, ?, ?, ?)", values)

    def templates(self) -> list[Template]:
        """All templates, by id."""
        return [Template(*row) for row in self.rows("SELECT * FROM templates ORDER BY template_id")]

    def template(self, template_id: str) -> Template | None:
        """The template of that id, or None."""
        return next(
            (
                Template(*row)
                for row in self.rows("SELECT * FROM templates WHERE template_id = ?", template_id)
            ),
            None,
        )

    def put_smtp_user(self, name: str, *, enabled: bool, limits: SmtpLimits = UNLIMITED) -> None:
        """
        Keep an SMTP user, in place of one of the same name. From the first one on, only those that
        are kept may send.

        *limits* are its own, None where it has those of all. What it has used stays used.
        """
        values = (name, enabled, *limits.to_dict().values())
        with self.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO smtp_users"
                " (name, enabled, added, per_minute, per_hour, per_day, hourly_limit, total_limit) "
                "VALUES (?, ?, 1, ?, ?, ?, ?, ?)",
                values,
            )

    def note_smtp_user(self, name: str) -> None:
        """List an SMTP user as if it had sent; who may send stays as it is."""
        with self.transaction() as connection:
            self._note_smtp_user(connection, name)

    def _note_smtp_user(self, connection: sqlite3.Connection, name: str) -> None:
        connection.execute(
            "INSERT OR IGNORE INTO smtp_users (name, enabled, added) VALUES (?, 1, 0)", (name,)
        )

    def draw_smtp_user(self, limits: SmtpLimits) -> str:
        """
        Keep an SMTP user with *limits* of its own under a name that is drawn; who else may send
        stays as it is.
        """
        with self.transaction() as connection:
            while True:
                name = f"smtp{secrets.randbelow(90_000_000) + 10_000_000}"
                added = connection.execute(
                    "INSERT OR IGNORE INTO smtp_users (name, enabled, added, hourly_limit, "
                    "total_limit) VALUES (?, 1, ?, ?, ?)",
                    (name, _DRAWN, limits.hourly_limit, limits.total_limit),
                )
                if added.rowcount:
                    return name

    def edit_smtp_user(self, name: str, *, enabled: bool | None, limits: SmtpLimits) -> bool:
        """
        Change an SMTP user: None, also in *limits*, leaves things as they are. False where there is
        none of that name.
        """
        values = (enabled, limits.hourly_limit, limits.total_limit, name)
        with self.transaction() as connection:
            changed = connection.execute(
                "UPDATE smtp_users SET enabled = coalesce(?, enabled), hourly_limit = coalesce(?, "  # noqa: S608
                "hourly_limit),"
                f" total_limit = coalesce(?, total_limit) WHERE name = ? AND {_KNOWN}",
                values,
            )
            return changed.rowcount == 1

    def may_send(self, name: str) -> bool | None:
        """
        Whether the SMTP user *name* may send; None where it was not added, though others were.
        """
        with self._lock:
            row = self._connection.execute(
                f"SELECT enabled FROM smtp_users WHERE name = ? AND {_KNOWN}",  # noqa: S608
                (name,),
            ).fetchone()
            if row is not None:
                return bool(row["enabled"])
            others = self._connection.execute(
                f"SELECT 1 FROM smtp_users WHERE {_ADDED} LIMIT 1"  # noqa: S608
            ).fetchone()
        return None if others else True

    def smtp_users(self) -> list[tuple[str, bool, SmtpLimits]]:
        """
        Every SMTP user by name, whether it is enabled, and its own limits.

        They are those that were added and those that the service has drawn; where none was added,
        also those that have sent.
        """
        query = f"SELECT * FROM smtp_users WHERE {_KNOWN} ORDER BY name"  # noqa: S608
        return [(row["name"], bool(row["enabled"]), _own_limits(row)) for row in self.rows(query)]

    def usage(self, name: str, now: int) -> SmtpUsage:
        """What the SMTP user *name* has used of its limits at the time *now*."""
        with self._lock:
            return usage(max(now, self._tally(name, _LAST).at), partial(self._tally, name))

    def advanced(self) -> int:
        """How many milliseconds the clock was advanced."""
        [(advanced,)] = self.rows("SELECT advanced FROM clock")
        return int(advanced)

    def put_advanced(self, milliseconds: int) -> None:
        """Keep how many milliseconds the clock was advanced."""
        with self.transaction() as connection:
            connection.execute("UPDATE clock SET advanced = ?", (milliseconds,))


def _own_limits(row: sqlite3.Row) -> SmtpLimits:
    return SmtpLimits(**{name: row[name] for name in LIMITS})
