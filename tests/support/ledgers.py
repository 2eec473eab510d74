"""Helpers of the ledger's tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, update

from poweremail import RateLimits
from poweremail._ledger import State
from poweremail._ledger.lanes import Lanes
from poweremail._ledger.schema import batches, lanes, messages
from poweremail._ledger.values import Finished, Step, Verdict
from poweremail._ledger.verdicts import ACCEPTED
from poweremail._ledger.worker import Worker
from poweremail.batch import Entry, Ledger
from poweremail.errors import LedgerError
from support.messages import message

__all__ = [
    "ACCEPTED",
    "Verdict",
    "connection_lost",
    "entries",
    "fill",
    "finish",
    "keep_kicks_fresh",
    "lanes_on",
    "let_leases_end",
    "states",
    "worker",
]


def entries(count: int, first: int = 0) -> list[Entry]:
    return [
        Entry(message=message(to=f"user{n}@example.com"), key=f"k{n}")
        for n in range(first, first + count)
    ]


def fill(ledger: Ledger, count: int, name: str = "news") -> int:
    batch = ledger.create(name)
    ledger.adding(batch).add(entries(count))
    return batch


def lanes_on(ledger: Ledger, host: str, process: int = 7) -> Lanes:
    """The lanes of *ledger* as a process on *host* has them, without hooks."""
    return Lanes(ledger.database, here=lambda: (host, process))


def worker(
    ledger: Ledger, batch: int, *users: str, limits: RateLimits | None = None, lease: float = 60.0
) -> Worker:
    names = users or ("smtp1",)
    made = ledger.worker(
        batch, names, {} if limits is None else dict.fromkeys(names, limits), lease=lease
    )
    made.begin()
    return made


def finish(step: Step, verdict: Verdict = ACCEPTED) -> list[Finished]:
    return [Finished(work=work, verdict=verdict, value=work.key) for work in step.work]


def let_leases_end(ledger: Ledger, owner: str | None = None) -> None:
    """
    End the leases of *owner*, or all of them, as if they had not been renewed. The next step of a
    worker searches for them.
    """
    ended = update(messages).where(messages.c.lease_owner.is_not(None)).values(lease_until=0.0)
    with ledger.database.transaction() as connection:
        connection.execute(update(batches).values(swept=0.0))
        connection.execute(ended if owner is None else ended.where(messages.c.lease_owner == owner))


def keep_kicks_fresh(ledger: Ledger) -> None:
    """For a minute, let the kicks that were sent count as just sent, however slow the machine."""
    with ledger.database.transaction() as connection:
        connection.execute(update(lanes).values(kicked=lanes.c.kicked + 60.0))


@contextmanager
def connection_lost(ledger: Ledger, *, committed: bool, times: int = 1) -> Iterator[None]:
    """
    In this block the first *times* transactions lose their connection: before their commit, or
    when they were *committed* and nobody heard of it.
    """
    begin = ledger.database.transaction
    left = times

    @contextmanager
    def transaction() -> Iterator[Connection]:
        nonlocal left
        left -= 1
        with begin() as connection:
            yield connection
            if left >= 0 and not committed:
                raise LedgerError("the connection is lost", temporary=True)
        if left >= 0:
            raise LedgerError("the connection is lost", temporary=True)

    ledger.database.transaction = transaction
    try:
        yield
    finally:
        del ledger.database.transaction


def states(ledger: Ledger, batch: int) -> dict[str, str]:
    return {record.key: str(State(record.state)) for record in ledger.report(batch)}
