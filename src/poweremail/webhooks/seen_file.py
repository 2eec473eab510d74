"""Which events have been handled already, in a file that the processes of a machine share."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from poweremail.errors import UsageError
from poweremail.webhooks.seen import WEEK, Claim

__all__ = ["SqliteSeenStore"]

# "PoES" in ASCII: tells such a file from every other SQLite database, and the next version of it from this one.
_APPLICATION_ID = 0x506F4553

# An id is kept as bytes: what is text in JSON need not be UTF-8. *until* is when to forget it, or when its claim runs out.
_SCHEMA = """
CREATE TABLE events (id BLOB PRIMARY KEY, handled INTEGER NOT NULL, until REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX events_until ON events (until)
"""
# Claims between two rounds of forgetting.
_ROUND = 1_000


class SqliteSeenStore:
    """
    The events that all processes with the same file have handled, for *ttl* seconds each.

    A process that dies while it handles an event keeps it claimed for *lease* seconds; give more than the slowest handler takes.
    *clock* answers epoch seconds. The file must be on a local disk. Every method raises `UsageError` where it cannot be used.
    Closing it is optional: it opens again when it is asked again, as it does in a child after a fork.
    """

    def __init__(
        self, path: str | os.PathLike[str], ttl: float = WEEK, lease: float = 300.0, *, clock: Callable[[], float] = time.time
    ) -> None:
        for name, value in (("ttl", ttl), ("lease", lease)):
            if not value > 0:
                raise UsageError(f"must be more than 0, not {value!r}", field=name, mail_state=None)
        # The working directory may change; and SQLite would take some names, such as ":memory:", for something else than a file.
        self._path = Path(path).absolute()
        self._ttl = ttl
        self._lease = lease
        self._clock = clock
        self._in_use = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._claims = 0
        with _forking:
            _stores.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def claim(self, event_id: str, /) -> Claim:
        """See `SeenStore`."""
        key, now = _key(event_id), self._clock()
        with self._opened() as connection:
            if self._claims % _ROUND == 0:
                connection.execute("DELETE FROM events WHERE until <= ?", (now,))
            self._claims += 1
            # One statement, so that no other process comes between the question and the answer.
            taken = connection.execute(
                "INSERT INTO events VALUES (?, 0, ?) ON CONFLICT (id) DO UPDATE SET handled = 0, until = excluded.until"
                " WHERE events.until <= ?",
                (key, now + self._lease, now),
            ).rowcount
            if taken:
                return "new"
            found = connection.execute("SELECT handled FROM events WHERE id = ?", (key,)).fetchone()
            return "seen" if found and found[0] else "busy"

    def confirm(self, event_id: str, /) -> None:
        """See `SeenStore`."""
        with self._opened() as connection:
            connection.execute("INSERT OR REPLACE INTO events VALUES (?, 1, ?)", (_key(event_id), self._clock() + self._ttl))

    def release(self, event_id: str, /) -> None:
        """See `SeenStore`."""
        with self._opened() as connection:
            connection.execute("DELETE FROM events WHERE id = ? AND NOT handled", (_key(event_id),))

    def close(self) -> None:
        """Close the file."""
        with self._in_use:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection = None
            self._close_connection()

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with self._in_use:
            try:
                yield self._connection or self._open()
            except sqlite3.Error as error:
                self._close()
                raise UsageError(
                    f"cannot use {str(self._path)!r}: {error}",
                    field="store",
                    mail_state=None,
                    advice="name a file on a local disk that this process may write and that is used for nothing else",
                ) from error

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=5.0, isolation_level=None, check_same_thread=False)
        # Whoever forgets the store is not to be told so by a ResourceWarning, out of place and out of time.
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
            raise sqlite3.DatabaseError("it is not a file of seen events")
        connection.execute("COMMIT")
        # With a log, a commit need not wait for the disk: after a power cut the last events may be handled again.
        with suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection


def _key(event_id: str) -> bytes:
    return event_id.encode("utf-8", "surrogatepass")


# SQLite's locks do not survive a fork, so every file is closed before one, and opened again by whoever asks next.
_forking = threading.Lock()
_stores: weakref.WeakSet[SqliteSeenStore] = weakref.WeakSet()
_held: list[SqliteSeenStore] = []


def _before_fork() -> None:
    _forking.acquire()
    for store in _stores:
        store._in_use.acquire()  # noqa: SLF001  they are one thing
        _held.append(store)
        store._close()  # noqa: SLF001


def _after_fork() -> None:
    while _held:
        _held.pop()._in_use.release()  # noqa: SLF001
    _forking.release()


if hasattr(os, "register_at_fork"):  # pragma: no branch  Windows has no fork
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)
