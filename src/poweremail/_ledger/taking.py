"""
How a worker takes rows: unknown ones to look up, then planned ones to send, each under a lease.

In the same transaction rows whose lease has ended become unknown, and mails of an outbox that have
expired end. One worker does that for all of them, once a second.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select

from poweremail._ledger import State
from poweremail._ledger.bookings import Bookings
from poweremail._ledger.clock import elapsed
from poweremail._ledger.expiry import end_expired, first_expiry
from poweremail._ledger.schema import OUTBOX, contents
from poweremail._ledger.statements import CHANGE, EXPIRE, LEFT, PLANNED, SWEEP, UNKNOWN
from poweremail._ledger.values import BatchOutcome, Work

_SWEEP_SECONDS = 1.0
"""The time between two searches for leases that have ended: one search serves all workers."""

_MIN_WAIT_SECONDS = 0.01


class _FileCache:
    """The files that were used last, so that a file of many mails is read once."""

    _MAX_BYTES = 32 * 1024 * 1024

    def __init__(self) -> None:
        self._files: OrderedDict[str, bytes] = OrderedDict()

    def read(self, connection: Connection, digests: Iterable[str]) -> dict[str, bytes]:
        """Return the files with these *digests*."""
        wanted: dict[str, bytes] = {}
        for digest in digests:
            content = self._files.pop(digest, None)
            if content is None:
                content = connection.execute(
                    select(contents.c.content).where(contents.c.digest == digest)
                ).scalar_one()
            wanted[digest] = self._files[digest] = content
        while len(self._files) > 1 and sum(map(len, self._files.values())) > self._MAX_BYTES:
            self._files.popitem(last=False)
        return wanted


class Taker:
    """
    Takes rows of *batch* for the worker *owner*, as many as *bookings* allow.

    ``rests``: whether an outbox has no mail that is due, and none in work, since the last step.
    """

    def __init__(self, batch: int, owner: str, bookings: Bookings) -> None:
        self._batch = batch
        self._owner = owner
        self._bookings = bookings
        self._files = _FileCache()
        self._ended_expired = 0.0
        self.rests = False

    def end_expired(
        self, connection: Connection, batch: Any, *, reported: bool
    ) -> list[tuple[int, BatchOutcome]]:
        """End the planned mails that have expired, and return their rows and outcomes."""
        if batch.kind != OUTBOX or not elapsed(self._ended_expired, batch.now, _SWEEP_SECONDS):
            return []
        self._ended_expired = batch.now
        return end_expired(connection, self._batch, batch.now, reported=reported)

    def take(
        self,
        connection: Connection,
        batch: Any,
        room: int,
        *,
        lease: float,
        valid_until: float,
        is_unknown_due: bool,
    ) -> tuple[list[Work], float | None]:
        """
        Take up to *room* rows for *lease* seconds; until *valid_until* a request may begin.

        Returns them, and the seconds until there may be more to do: None if there will be nothing.
        """
        self.rests = False
        if room <= 0:
            return [], 0.0
        now: float = batch.now
        taken = {"taken": now, "valid_until": valid_until}
        leased = {"due": None, "lease_owner": self._owner, "lease_until": now + lease}
        due = {"of": self._batch, "now": now}
        work: list[Work] = []
        # Unknown rows are looked up before others are sent.
        if self._sweep(connection, batch) or is_unknown_due:
            rows = connection.execute(UNKNOWN, due | {"room": room}).all()
            names = [row.smtp_user_name for row in rows]
            unknown = {"state": State.UNKNOWN}
            work = self._lease(connection, rows, names, taken | unknown, leased | unknown)
        # The limits may allow fewer than there are rows.
        if names := self._bookings.names(room - len(work)):
            rows = connection.execute(PLANNED, due | {"room": len(names)}).all()
            sending = {"state": State.SENDING, "taken": now}
            work += self._lease(connection, rows, names, taken | sending, leased | sending)
            self._bookings.use(len(rows), len(names))
        return work, 0.0 if len(work) == room else self._wait(connection, batch)

    def _sweep(self, connection: Connection, batch: Any) -> bool:
        """Return whether leases have ended. Only one worker searches for them, once a second."""
        if not elapsed(batch.swept, batch.now, _SWEEP_SECONDS):
            return False
        claim = {"of": self._batch, "last": batch.swept, "now": batch.now}
        if not connection.execute(SWEEP, claim).rowcount:
            return False
        return connection.execute(EXPIRE, {"of": self._batch, "now": batch.now}).rowcount > 0

    def _lease(
        self,
        connection: Connection,
        rows: Sequence[Any],
        names: Iterable[str],
        members: dict[str, Any],
        columns: dict[str, Any],
    ) -> list[Work]:
        """
        Take the first *rows*, one for each of the *names* of SMTP users: with these *members* of
        their work, and these *columns* of the rows.
        """
        works = []
        for row, name in zip(rows, names, strict=False):
            files = self._files.read(connection, json.loads(row.contents or "[]"))
            given = members | {"smtp_user_name": name, "contents": files}
            works.append(Work(**row._asdict() | given))
        if works:
            changes = (
                {"row": work.id, "fence": work.fence, "smtp_user_name": work.smtp_user_name}
                for work in works
            )
            connection.execute(CHANGE, [columns | change for change in changes])
        return works

    def _wait(self, connection: Connection, batch: Any) -> float | None:
        """Return the seconds until there may be more to do; None if there will be nothing."""
        planned, unknown, lease_until = connection.execute(LEFT, {"of": self._batch}).one()
        times: list[float] = []
        is_outbox = batch.kind == OUTBOX
        self.rests = is_outbox and unknown is None and lease_until is None
        if planned is not None:
            self.rests = self.rests and planned > batch.now
            times.append(max(planned, batch.now + self._bookings.wait()))
        if unknown is not None:
            times.append(unknown)
        if lease_until is not None:
            times.append(max(lease_until, batch.swept + _SWEEP_SECONDS))
        if is_outbox and (expires := first_expiry(connection, self._batch)) is not None:
            times.append(max(expires, self._ended_expired + _SWEEP_SECONDS))
        return max(_MIN_WAIT_SECONDS, min(times) - batch.now) if times else None
