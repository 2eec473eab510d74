"""Which events have been handled already, in a file that the processes of a machine share."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Self

from poweremail._runtime._sqlite_file import Kind, SqliteFile
from poweremail.errors import UsageError
from poweremail.webhooks._seen import WEEK, Claim

__all__ = ["SqliteSeenStore"]

_KIND = Kind(
    name="seen events",
    field="store",
    application_id=0x506F4553,  # "PoES" in ASCII
    # An id is kept as bytes: what is text in JSON need not be UTF-8. *until* is when to forget it,
    # or when its claim runs out.
    schema="""
        CREATE TABLE events (
            id BLOB PRIMARY KEY, handled INTEGER NOT NULL, until REAL NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX events_until ON events (until)
    """,
)

# Claims between two rounds of forgetting.
_ROUND = 1_000


class SqliteSeenStore:
    """
    The events that all processes with the same file have handled, for *ttl* seconds each.

    A process that dies while it handles an event keeps it claimed for *lease* seconds; give more
    than the slowest handler takes. *clock* answers epoch seconds. The file must be on a local disk.
    Every method raises `UsageError` where it cannot be used. Closing it is optional: it opens again
    when it is asked again, as it does in a child after a fork.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        ttl: float = WEEK,
        lease: float = 300.0,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        for name, value in (("ttl", ttl), ("lease", lease)):
            if not value > 0:
                raise UsageError(f"must be more than 0, not {value!r}", field=name, mail_state=None)
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
        """See `SeenStore`."""
        key, now = _key(event_id), self._clock()
        with self._file.transaction() as connection:
            if self._claims % _ROUND == 0:
                connection.execute("DELETE FROM events WHERE until <= ?", (now,))
            self._claims += 1
            taken = connection.execute(
                "INSERT INTO events VALUES (?, 0, ?) ON CONFLICT (id) DO UPDATE SET handled = 0, "
                "until = excluded.until"
                " WHERE events.until <= ?",
                (key, now + self._lease, now),
            ).rowcount
            if taken:
                return "new"
            found = connection.execute("SELECT handled FROM events WHERE id = ?", (key,)).fetchone()
            return "seen" if found and found[0] else "busy"

    def confirm(self, event_id: str, /) -> None:
        """See `SeenStore`."""
        with self._file.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO events VALUES (?, 1, ?)",
                (_key(event_id), self._clock() + self._ttl),
            )

    def release(self, event_id: str, /) -> None:
        """See `SeenStore`."""
        with self._file.transaction() as connection:
            connection.execute("DELETE FROM events WHERE id = ? AND NOT handled", (_key(event_id),))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _key(event_id: str) -> bytes:
    return event_id.encode("utf-8", "surrogatepass")
