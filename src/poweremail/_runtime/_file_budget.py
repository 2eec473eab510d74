"""
The budget of rate limits in an SQLite file that the processes of a machine share.

Theory of operation. The file has the bookings; each process has a copy of them as `SlidingLog`
objects. Every query is one short transaction (``BEGIN IMMEDIATE``): read the bookings since the
last query, query the copy, and write a booking if the request may be sent. Since only one process
is inside a transaction, no two can book the same slot. A transaction that fails closes the
connection, and the copy is discarded when a new connection is made, so it never has a booking that
the file does not have.

Processes share no monotonic clock, so bookings carry the time of day. If that clock is set back,
the file records by how much (*ahead*), and time continues from the last booking: a request may then
wait for up to one window more, and no longer.

Tests: ``tests/runtime/test_limiter`` runs several processes, kills them in the middle of a
transaction, and sets the clock.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence

from poweremail._policy.limits import SlidingLog, Window
from poweremail._runtime._budget import Budget
from poweremail._runtime._sqlite_file import Kind, SqliteFile

_KIND = Kind(
    name="rate limits",
    field="limits.path",
    application_id=0x506F454C,  # "PoEL" in ASCII
    # The numbers of one SMTP user have no gaps. The clock has the time of the last booking, and how
    # many seconds it is ahead of the time of day.
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
    One budget for all processes that name the same file.

    *clock*: returns seconds, the same in all processes.
    *timeout*: the seconds to wait for a file that another process has locked.

    `acquire` and `expected_wait` raise `UsageError` if the file cannot be used.
    """

    blocks = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        windows: Sequence[Window],
        clock: Callable[[], float] = time.time,
        timeout: float = 5.0,
    ) -> None:
        super().__init__(windows, clock)
        self._file = SqliteFile(path, _KIND, timeout)
        self._longest_window = max(window.seconds for window in self._windows)
        # The number of the last booking that was copied, by SMTP user, and the connection over
        # which it was read.
        self._copied: dict[str, int] = {}
        self._copied_over: sqlite3.Connection | None = None
        self._latest = self._ahead = 0.0

    def acquire(self, smtp_user_name: str) -> float:
        """Book a request and return 0.0, or return the seconds until one may be sent."""
        with self._file.transaction("not_sent") as connection:
            log, now = self._read(connection, smtp_user_name)
            with self._lock:
                wait = log.acquire(now)
            if not wait:
                self._write(connection, smtp_user_name, now)
        return wait

    def expected_wait(self, smtp_user_name: str, ahead: int) -> float:
        """
        Return the seconds until a request with *ahead* others before it may be sent, if no other
        process makes any.
        """
        with self._file.transaction() as connection:
            self._read(connection, smtp_user_name)
        return self.estimate(smtp_user_name, ahead)

    def close(self) -> None:
        """Close the file. The next query opens it again and copies it from the beginning."""
        self._file.close()

    def _now(self) -> float:
        return max(self._clock() + self._ahead, self._latest)

    def _read(
        self, connection: sqlite3.Connection, smtp_user_name: str
    ) -> tuple[SlidingLog, float]:
        """Bring the copy of one SMTP user up to date, and return it and the time."""
        if connection is not self._copied_over:
            with self._lock:
                self._logs.clear()
                self._copied.clear()
            self._copied_over = connection
        rows = connection.execute(
            "SELECT number, time FROM bookings WHERE smtp_user_name = ? AND number > ?"
            " ORDER BY number",
            (smtp_user_name, self._copied.get(smtp_user_name, 0)),
        ).fetchall()
        # No other process can book now, so the time that is read next is not before any booking.
        latest, ahead = connection.execute("SELECT latest, ahead FROM clock").fetchone()
        time_of_day = self._clock()
        if time_of_day + ahead < latest:
            ahead = latest - time_of_day
            # Written even if nothing is booked: for the next query, time must go on.
            connection.execute("UPDATE clock SET ahead = ?", (ahead,))
        with self._lock:
            log = self._logs[smtp_user_name]
            for number, booked in rows:
                log.book(booked)
                self._copied[smtp_user_name] = number
            self._latest, self._ahead = latest, ahead
        return log, max(time_of_day + ahead, latest)

    def _write(self, connection: sqlite3.Connection, smtp_user_name: str, now: float) -> None:
        number = self._copied.get(smtp_user_name, 0) + 1
        connection.execute("INSERT INTO bookings VALUES (?, ?, ?)", (smtp_user_name, number, now))
        connection.execute("UPDATE clock SET latest = ?", (now,))
        # Two old bookings are deleted for each new one, so that the file shrinks after a busy day;
        # the last one always stays.
        connection.execute(
            "DELETE FROM bookings WHERE smtp_user_name = ? AND time <= ? AND number IN"
            " (SELECT number FROM bookings WHERE smtp_user_name = ? ORDER BY number LIMIT 2)",
            (smtp_user_name, now - self._longest_window, smtp_user_name),
        )
        self._copied[smtp_user_name] = number
