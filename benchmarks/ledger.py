"""
Measure the ledger of a batch on PostgreSQL: ``python -m benchmarks.ledger [--quick]`` from the root
of the checkout.

Each worker is a process that makes the steps of a run: the responses take 100 ms and are simulated,
so the figures are those of the ledger alone. CPU is user and system time, of all processes of the
server, or of the workers, divided by the mails. Believe ratios and CPU: the throughput is that of
the machine.
"""

from __future__ import annotations

import argparse
import heapq
import multiprocessing
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.cpu import parent_of, seconds_of_server
from sqlalchemy import text

from poweremail import RateLimits
from poweremail._ledger.values import Finished, Work
from poweremail._ledger.verdicts import ACCEPTED
from poweremail.batch import Ledger

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support.postgresql import running_server

RESPONSE_SECONDS = 0.1
LINGER_SECONDS = 0.01
WAY_ABOVE = RateLimits(per_minute=1_000_000, per_hour=10_000_000, per_day=100_000_000)
"""Limits that never bind."""

FRESH, OLD = 100_000, 1_400_000
SHORT = 20_000
"""The rows of a batch in the other cases: more than are sent."""

_ADD_ROWS = """
WITH added AS (
    INSERT INTO poweremail_messages
        (batch, key, unique_id, state, due, attempts, looks, fence, added)
    SELECT :batch, md5(:batch || '/' || n), md5(:batch || '-' || n), :state, :due, 0, 0, 0, 0
    FROM generate_series(1, :rows) AS n
    RETURNING id
)
INSERT INTO poweremail_payloads (message, payload)
SELECT id, '{"to":[["' || id || '@example.com"]],"text":"' || repeat('x', 500) || '"}' FROM added
"""


class Case(NamedTuple):
    """*users* SMTP users, with limits that never bind or without, and *concurrency* a worker."""

    workers: int
    users: int
    limited: bool
    concurrency: int = 4

    def __str__(self) -> str:
        limits = "limited" if self.limited else "unlimited"
        return f"{self.workers:2} workers × {self.concurrency:2}, {self.users:3} users {limits}"


class Tally(NamedTuple):
    """The *rows* and *steps* of a worker, and the seconds of CPU that it used."""

    rows: int
    steps: int
    cpu: float


def main() -> None:
    """Run the cases and print a row for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer cases and rows")
    parser.add_argument("--seconds", type=float, default=6.0, help="how long a case takes, 6")
    parser.add_argument("--old", type=int, help=f"rows of older batches, {OLD:,}")
    options = parser.parse_args()
    old = options.old if options.old is not None else OLD // 10 if options.quick else OLD
    with running_server(fsync=True) as server:
        bench = Bench(server.url, options.seconds)
        print(f"{'':40}  rows/s  rows/step  PostgreSQL ms/mail  worker ms/mail")
        for case in _cases(quick=options.quick):
            bench.measure(str(case), case)
        add_rows(bench.ledger, "old", old, state="accepted", due=None)
        bench.analyze()
        for name, analyzed in (("fresh beside old", False), ("the same, analysed", True)):
            bench.measure(
                f"{name}, {FRESH:,} of {FRESH + old:,}", Case(4, 1, False), analyzed=analyzed
            )
        bench.close()


def _cases(*, quick: bool) -> Iterator[Case]:
    for users, limited in ((1, False), (1, True), (100, False), (100, True)):
        for workers in (1, 8) if quick else (1, 4, 8):
            yield Case(workers, users, limited)
    yield Case(1, 1, limited=False, concurrency=16)
    yield Case(1, 1, limited=True, concurrency=16)


def add_rows(
    ledger: Ledger, name: str, rows: int, *, state: str = "planned", due: float | None = 0.0
) -> None:
    """Make a batch of so many *rows*, without statistics."""
    values = {"batch": ledger.create(name), "rows": rows, "state": state, "due": due}
    with ledger.database.transaction() as connection:
        connection.execute(text(_ADD_ROWS), values)


class Bench:
    """A ledger at *url*; a case takes *seconds*."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        self._seconds = seconds
        self.ledger = Ledger(url)
        self._batches = 0
        with self.ledger.database.transaction() as connection:
            backend = connection.scalar(text("SELECT pg_backend_pid()"))
            # Statistics are what a case says, not what the server finds out in the middle of it.
            for table in ("messages", "payloads"):
                connection.execute(
                    text(f"ALTER TABLE poweremail_{table} SET (autovacuum_enabled = off)")
                )
        self._server = parent_of(backend)

    def analyze(self) -> None:
        """Bring the statistics up to date."""
        with self.ledger.database.transaction() as connection:
            connection.execute(text("ANALYZE"))

    def measure(self, name: str, case: Case, rows: int = SHORT, *, analyzed: bool = True) -> None:
        """Run *case* on a new batch of so many *rows*, and print its figures."""
        self._batches += 1
        batch = f"batch {self._batches}"
        add_rows(self.ledger, batch, rows)
        if analyzed:
            self.analyze()
        cpu = seconds_of_server(self._server)
        with multiprocessing.get_context("spawn").Pool(case.workers) as pool:
            arguments = [(self._url, batch, case, self._seconds)] * case.workers
            tallies = pool.starmap(work, arguments, chunksize=1)
        cpu = seconds_of_server(self._server) - cpu
        rows, steps, own = (sum(column) for column in zip(*tallies, strict=True))
        print(
            f"{name:40}  {rows / self._seconds:6.0f}  {rows / max(steps, 1):9.1f}"
            f"  {1000 * cpu / max(rows, 1):18.2f}  {1000 * own / max(rows, 1):14.2f}",
            flush=True,
        )

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()


def work(url: str, batch: str, case: Case, seconds: float) -> Tally:
    """Make the steps of a run for so many *seconds*, with simulated responses."""
    ledger = Ledger(url)
    names = [f"smtp{number}" for number in range(case.users)]
    limits = dict.fromkeys(names, WAY_ABOVE) if case.limited else {}
    worker = ledger.worker(ledger.find(batch), names, limits, lease=30.0)
    worker.begin()
    in_work: list[tuple[float, int, Work]] = []
    rows = steps = 0
    cpu, until, wait = time.process_time(), time.monotonic() + seconds, 0.0
    while time.monotonic() < until:
        finished = _ended(in_work, wait, max(case.concurrency // 4, 1))
        room = case.concurrency - len(in_work)
        step = worker.step(finished, room)
        steps += 1
        rows += len(step.recorded)
        ready = time.monotonic() + RESPONSE_SECONDS
        for each in step.work:
            heapq.heappush(in_work, (ready, each.id, each))
        wait = 1.0 if step.wait is None or len(in_work) == case.concurrency else min(step.wait, 1.0)
    cpu = time.process_time() - cpu
    worker.step([Finished(work=each, verdict=ACCEPTED) for _, _, each in in_work], 0)
    ledger.close()
    return Tally(rows, steps, cpu)


def _ended(in_work: list[tuple[float, int, Work]], wait: float, enough: int) -> list[Finished]:
    """Wait for the responses of the next step, as a run does, and return them."""
    now = time.monotonic()
    until = now + wait
    if in_work:
        first = in_work[0][0]
        enough_at = heapq.nsmallest(enough, in_work)[-1][0]
        until = min(
            until,
            max(first, now)
            if enough_at <= now
            else min(enough_at, max(first, now) + LINGER_SECONDS),
        )
    time.sleep(max(0.0, until - now))
    ended = []
    while in_work and in_work[0][0] <= time.monotonic():
        ended.append(Finished(work=heapq.heappop(in_work)[2], verdict=ACCEPTED))
    return ended


if __name__ == "__main__":
    main()
