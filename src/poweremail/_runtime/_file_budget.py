"""What the SMTP users have sent lately, in a file that the processes of a machine share; the blocking part."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from poweremail._runtime._budget import Budget
from poweremail.errors import MailState, UsageError
from poweremail.policy.limits import SlidingLog, Window

__all__ = ["FileBudget"]

# "PoEL" in ASCII: tells a budget from every other SQLite database, and the next version of it from this one.
_APPLICATION_ID = 0x506F454C

# The numbers of one SMTP user have no gaps. The clock is that of the bookings: the wall's, and *ahead* of it by so many seconds.
_SCHEMA = """
CREATE TABLE bookings (
    smtp_user_name TEXT,
    number INTEGER,
    time REAL NOT NULL,
    PRIMARY KEY (smtp_user_name, number)
) WITHOUT ROWID;
CREATE TABLE clock (latest REAL NOT NULL, ahead REAL NOT NULL);
INSERT INTO clock VALUES (0.0, 0.0)
"""


class FileBudget(Budget):
    """
    One budget for all processes that name the same file: an SQLite database with the bookings of the longest window.

    *clock* answers seconds, the same in all processes. Where it has been set back, the time since the last booking counts as none:
    a request may then wait for up to one window more, and no longer. *patience* is how many seconds to wait for a file that is in
    use: a transaction takes less than a millisecond, so one that is held for five seconds is held by something else.

    Every method but `estimate` raises `UsageError` for a file that cannot be used.
    """

    blocks = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        windows: Sequence[Window],
        clock: Callable[[], float] = time.time,
        patience: float = 5.0,
    ) -> None:
        super().__init__(windows, clock)
        # The working directory may change; and SQLite would take some names, such as ":memory:", for something else than a file.
        self._path = Path(path).absolute()
        self._patience = patience
        self._longest = max(window.seconds for window in self._windows)
        self._in_use = threading.Lock()  # held during a transaction
        self._connection: sqlite3.Connection | None = None
        # The logs are copies of what the file has, up to these numbers.
        self._copied: dict[str, int] = {}
        self._latest = self._ahead = 0.0
        with _forking:
            _budgets.add(self)

    def take(self, smtp_user_name: str) -> float:
        """Book a request and return 0.0; or return in how many seconds to ask again."""
        with self._transaction("not_sent") as connection:
            log, now = self._read(connection, smtp_user_name)
            with self._lock:
                wait = self._take(log, now)
            if not wait:
                self._write(connection, smtp_user_name, now)
        return wait

    def look(self, smtp_user_name: str, ahead: int) -> float:
        """Return in how many seconds a request may go that has *ahead* others before it, if no other process makes any."""
        with self._transaction(None) as connection:
            self._read(connection, smtp_user_name)
        return self.estimate(smtp_user_name, ahead)

    def close(self) -> None:
        """Close the file and forget what was read from it. The next question opens it again."""
        with self._lock:
            self._logs.clear()
            self._copied.clear()
        if self._connection is not None:
            self._connection = None
            self._close_connection()

    def _now(self) -> float:
        return max(self._clock() + self._ahead, self._latest)

    def _read(self, connection: sqlite3.Connection, smtp_user_name: str) -> tuple[SlidingLog, float]:
        """Bring the log of one SMTP user up to date, and return it and the time."""
        copied = self._copied.get(smtp_user_name, 0)
        rows = connection.execute(
            "SELECT number, time FROM bookings WHERE smtp_user_name = ? AND number > ? ORDER BY number", (smtp_user_name, copied)
        ).fetchall()
        # The clock is read now that no other process can book: none can be later than this.
        latest, ahead = connection.execute("SELECT latest, ahead FROM clock").fetchone()
        wall = self._clock()
        if wall + ahead < latest:
            ahead = latest - wall
            # Kept even where nothing is booked: the next question must find that time goes on.
            connection.execute("UPDATE clock SET ahead = ?", (ahead,))
        with self._lock:
            log = self._log(smtp_user_name)
            for number, booked in rows:
                log.book(booked)
                self._copied[smtp_user_name] = number
            self._latest, self._ahead = latest, ahead
        return log, max(wall + ahead, latest)

    def _write(self, connection: sqlite3.Connection, smtp_user_name: str, now: float) -> None:
        number = self._copied.get(smtp_user_name, 0) + 1
        connection.execute("INSERT INTO bookings VALUES (?, ?, ?)", (smtp_user_name, number, now))
        connection.execute("UPDATE clock SET latest = ?", (now,))
        # Two go for each that comes, so that the file gets smaller again after a busy day; the last one always stays.
        connection.execute(
            "DELETE FROM bookings WHERE smtp_user_name = ? AND time <= ? AND number IN"
            " (SELECT number FROM bookings WHERE smtp_user_name = ? ORDER BY number LIMIT 2)",
            (smtp_user_name, now - self._longest, smtp_user_name),
        )
        self._copied[smtp_user_name] = number

    @contextmanager
    def _transaction(self, mail_state: MailState | None) -> Iterator[sqlite3.Connection]:
        with self._in_use:
            done = False
            try:
                connection = self._connection or self._open()
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
                done = True
            except sqlite3.Error as error:
                raise UsageError(
                    f"cannot use {str(self._path)!r}: {error}",
                    field="limits.path",
                    mail_state=mail_state,
                    advice="name a file on a local disk that this process may write and that is used for nothing else",
                ) from error
            finally:
                # Whatever went wrong, Ctrl-C included: the other processes must not wait for this transaction.
                if not done:
                    self.close()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=self._patience, isolation_level=None, check_same_thread=False)
        # Whoever forgets the budget is not to be told so by a ResourceWarning, out of place and out of time.
        self._close_connection = weakref.finalize(self, connection.close)
        self._connection = connection
        connection.execute("BEGIN IMMEDIATE")
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (application_id, tables) == (0, 0):
            for statement in _SCHEMA.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
        elif application_id != _APPLICATION_ID:
            raise sqlite3.DatabaseError("it is not a file of rate limits")
        connection.execute("COMMIT")
        # With a log, a commit need not wait for the disk: a power cut may cost the last bookings, and nothing else. That another
        # process is at the same change or at work is no failure: what one of them changes is changed for all.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection


# SQLite's locks do not survive a fork: a child that had an open database in its memory would take itself for the owner of locks
# that are its parent's. So all are closed before a fork, and opened again by whoever asks next.
_forking = threading.Lock()
_budgets: weakref.WeakSet[FileBudget] = weakref.WeakSet()
_held: list[FileBudget] = []


def _before_fork() -> None:
    _forking.acquire()
    for budget in _budgets:
        budget._in_use.acquire()  # noqa: SLF001  they are one thing
        _held.append(budget)
        budget.close()


def _after_fork() -> None:
    while _held:
        _held.pop()._in_use.release()  # noqa: SLF001
    _forking.release()


if hasattr(os, "register_at_fork"):  # pragma: no branch  Windows has no fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
