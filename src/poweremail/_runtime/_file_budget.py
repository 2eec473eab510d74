"""
What the SMTP users have sent lately, in a file that the processes of a machine share; the blocking
part.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence

from poweremail._policy.limits import SlidingLog, Window
from poweremail._runtime._budget import Budget
from poweremail._runtime._sqlite_file import Kind, SqliteFile

__all__ = ["FileBudget"]

_KIND = Kind(
    name="rate limits",
    field="limits.path",
    application_id=0x506F454C,  # "PoEL" in ASCII
    # The numbers of one SMTP user have no gaps. The clock is that of the bookings: the wall's, and
    # *ahead* of it by so many seconds.
    schema="""
        CREATE TABLE bookings (
            smtp_user_name TEXT,
            number INTEGER,
            time REAL NOT NULL,
            PRIMARY KEY (smtp_user_name, number)
        ) WITHOUT ROWID;
        CREATE TABLE clock (latest REAL NOT NULL, ahead REAL NOT NULL);
        INSERT INTO clock VALUES (0.0, 0.0)
    """,
)


class FileBudget(Budget):
    """
    One budget for all processes that name the same file: an SQLite database with the bookings of
    the longest window.

    *clock* answers seconds, the same in all processes. Where it has been set back, the time since
    the last booking counts as none: a request may then wait for up to one window more, and no
    longer. *patience* is that of `SqliteFile`.

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
        self._file = SqliteFile(path, _KIND, patience)
        self._longest = max(window.seconds for window in self._windows)
        # The logs are copies of what the file has, up to these numbers, as read over this
        # connection.
        self._copied: dict[str, int] = {}
        self._copied_over: sqlite3.Connection | None = None
        self._latest = self._ahead = 0.0

    def take(self, smtp_user_name: str) -> float:
        """Book a request and return 0.0; or return in how many seconds to ask again."""
        with self._file.transaction("not_sent") as connection:
            log, now = self._read(connection, smtp_user_name)
            with self._lock:
                wait = self._take(log, now)
            if not wait:
                self._write(connection, smtp_user_name, now)
        return wait

    def look(self, smtp_user_name: str, ahead: int) -> float:
        """
        Return in how many seconds a request may go that has *ahead* others before it, if no other
        process makes any.
        """
        with self._file.transaction() as connection:
            self._read(connection, smtp_user_name)
        return self.estimate(smtp_user_name, ahead)

    def close(self) -> None:
        """Close the file. The next question opens it again, and reads it from the beginning."""
        self._file.close()

    def _now(self) -> float:
        return max(self._clock() + self._ahead, self._latest)

    def _read(
        self, connection: sqlite3.Connection, smtp_user_name: str
    ) -> tuple[SlidingLog, float]:
        """Bring the log of one SMTP user up to date, and return it and the time."""
        if connection is not self._copied_over:
            # It may be another file by now, or lack what a transaction that failed has left in a
            # log.
            with self._lock:
                self._logs.clear()
                self._copied.clear()
            self._copied_over = connection
        copied = self._copied.get(smtp_user_name, 0)
        rows = connection.execute(
            "SELECT number, time FROM bookings WHERE smtp_user_name = ? AND number > ? ORDER BY "
            "number",
            (smtp_user_name, copied),
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
        # Two go for each that comes, so that the file gets smaller again after a busy day; the last
        # one always stays.
        connection.execute(
            "DELETE FROM bookings WHERE smtp_user_name = ? AND time <= ? AND number IN"
            " (SELECT number FROM bookings WHERE smtp_user_name = ? ORDER BY number LIMIT 2)",
            (smtp_user_name, now - self._longest, smtp_user_name),
        )
        self._copied[smtp_user_name] = number
