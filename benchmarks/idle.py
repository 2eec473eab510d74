"""
Measure what idle workers cost PostgreSQL: ``python -m benchmarks.idle [--workers 200]`` from the
root of the checkout.

Each worker is a thread that does what ``poweremail batch work --forever`` does, with connections of
its own. First the ledger has no work at all; then it has a batch whose SMTP users have used up
their limits, so every worker waits for them. It prints the server's CPU, in milliseconds a second,
its transactions a second, and its connections.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any, NamedTuple

from benchmarks import contestants
from benchmarks.contestants import Setting
from benchmarks.cpu import parent_of, seconds_of_server
from benchmarks.server import served
from sqlalchemy import Connection, create_engine, text

from poweremail import RateLimits
from poweremail._cli.batch_forever import Slices, Worker
from poweremail._cli.service import Service
from poweremail.batch import Ledger

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support.postgresql import running_server

FEW = RateLimits(per_minute=1, per_hour=None, per_day=None)
_TRANSACTIONS = "SELECT sum(xact_commit + xact_rollback)::int FROM pg_stat_database"
_TURNS = "SELECT COALESCE(sum(turn), 0)::int FROM poweremail_lanes"
_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'poweremail'"


class Figures(NamedTuple):
    """The milliseconds of CPU a second, the transactions a second, and the connections."""

    cpu_ms: float
    transactions: float
    connections: int


@contextmanager
def idle_workers(number: int, setting: Setting, poll: float) -> Iterator[None]:
    """Let so many workers wait for work until the end of the block."""
    options: dict[str, Any] = {"smtp_users": setting.smtp_users, "limits": FEW}
    slices = Slices(names=(), seconds=20.0, poll=poll, forever=True)
    out: Any = SimpleNamespace(result=lambda *_: None, warn=print)
    with setting.client() as client, ExitStack() as stack:
        workers = []
        for _ in range(number):
            ledger = Ledger(setting.database)
            stack.callback(ledger.close)
            workers.append(Worker(client, ledger, options, slices, out, Service(None)))
        threads = [Thread(target=worker.work) for worker in workers]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            for worker in workers:
                worker.stop()
            for thread in threads:
                thread.join()


def measure(connection: Connection, server: int, seconds: float) -> Figures:
    """Measure the server for so many *seconds*."""

    def now() -> tuple[float, int]:
        connection.execute(text("SELECT pg_stat_clear_snapshot()"))
        return seconds_of_server(server), connection.execute(text(_TRANSACTIONS)).scalar_one()

    cpu, transactions = now()
    time.sleep(seconds)
    later, more = now()
    return Figures(
        1000 * (later - cpu) / seconds,
        (more - transactions) / seconds,
        connection.execute(text(_CONNECTIONS)).scalar_one(),
    )


def main(arguments: Sequence[str] | None = None) -> dict[str, Figures]:
    """Measure both, and print a row for each."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle", description=__doc__)
    parser.add_argument("--workers", type=int, default=20, help="20")
    parser.add_argument("--poll", type=float, default=10.0, help="as of `batch work`, 10")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each is measured, 20")
    parser.add_argument("--users", type=int, default=10, help="SMTP users, 10")
    given = parser.parse_args(arguments)
    found: dict[str, Figures] = {}
    connections = 20 + 2 * given.workers
    with served() as ports, running_server(fsync=True, connections=connections) as server:
        base_url = f"http://127.0.0.1:{ports.fast}"
        setting = Setting(base_url, server.url, "", given.users, limited=True, workers=1)
        engine = create_engine(server.url.replace("://", "+psycopg://"))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
            for name, mails in (("no work", 0), ("waiting for limits", given.users * 10)):
                if mails:
                    contestants.fill_ledger(setting._replace(workers=given.workers), mails)
                with idle_workers(given.workers, setting, given.poll):
                    while mails and connection.execute(text(_TURNS)).scalar_one() < given.workers:
                        time.sleep(0.1)  # each has worked once
                    time.sleep(2.0 * given.poll)  # it waits, and the server has counted what it did
                    found[name] = measure(connection, parent_of(backend), given.seconds)
        engine.dispose()
    print(f"{'':20}  CPU ms/s  transactions/s  connections")
    for name, row in found.items():
        print(f"{name:20}  {row.cpu_ms:8.1f}  {row.transactions:14.1f}  {row.connections:11}")
    return found


if __name__ == "__main__":
    main()
