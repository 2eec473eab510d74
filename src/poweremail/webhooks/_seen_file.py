"""Remember which events have been handled, in a file that the processes of a machine share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Self

from poweremail._runtime._sqlite_file import Kind, SqliteFile
from poweremail._types.checks import require_seconds
from poweremail.webhooks._seen import WEEK, Claim

_KIND = Kind(
    name="seen events",
    field="store",
    application_id=0x506F4553,  # "PoES" in ASCII
    # Ids are bytes, because text in JSON need not be valid UTF-8. *until* is the epoch second at
    # which an id is forgotten, or its claim expires.
    schema="""
        CREATE TABLE events (
            id BLOB PRIMARY KEY, handled INTEGER NOT NULL, until REAL NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX events_until ON events (until)
    """,
)

_CLAIMS_BETWEEN_CLEANUPS = 1_000


class SqliteSeenStore:
    """
    Remembers the events that all processes with the same file have handled.

    - *path*: the file, on a local disk. It is created if it is missing.
    - *ttl*: the seconds for which an event is remembered, a week by default.
    - *lease*: the seconds for which a claim is valid, 300 by default. A process that dies while it
      handles an event keeps the claim until then, so give more than the slowest handler takes.
    - *clock*: returns epoch seconds.

    Raises `ConfigurationError` if *ttl* or *lease* is no number above 0; every method does so if
    the file cannot be used. ``close`` is optional: the file is opened again on the next use, also
    in a child process after a fork.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        ttl: float = WEEK,
        lease: float = 300.0,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        require_seconds("ttl", ttl)
        require_seconds("lease", lease)
        self._file = SqliteFile(path, _KIND)
        self._ttl = ttl
        self._lease = lease
        self._clock = clock
        self._claims = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def claim(self, event_id: str, /) -> Claim:
        """Implement `SeenStore`."""
        key, now = _key(event_id), self._clock()
        with self._file.transaction() as connection:
            if self._claims % _CLAIMS_BETWEEN_CLEANUPS == 0:
                connection.execute("DELETE FROM events WHERE until <= ?", (now,))
            self._claims += 1
            claimed = connection.execute(
                "INSERT INTO events VALUES (?, 0, ?) ON CONFLICT (id) DO UPDATE SET handled = 0, "
                "until = excluded.until"
                " WHERE events.until <= ?",
                (key, now + self._lease, now),
            ).rowcount
            if claimed:
                return "new"
            row = connection.execute("SELECT handled FROM events WHERE id = ?", (key,)).fetchone()
            return "seen" if row and row[0] else "busy"

    def confirm(self, event_id: str, /) -> None:
        """Implement `SeenStore`."""
        with self._file.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO events VALUES (?, 1, ?)",
                (_key(event_id), self._clock() + self._ttl),
            )

    def release(self, event_id: str, /) -> None:
        """Implement `SeenStore`."""
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM events WHERE id = ? AND NOT handled", (_key(event_id),))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _key(event_id: str) -> bytes:
    return event_id.encode("utf-8", "surrogatepass")
