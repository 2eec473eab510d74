"""
Measure what a mail costs with 1 to 16 workers: ``python -m benchmarks.workers [--quick]`` from the
root of the checkout.

The contestants send the same mails to a server that responds after 100 ms: ``batch.run()`` and
``batch.work()`` with and without limits that never bind, a naive task of Celery for each mail over
Redis, and django-post_office, both by this library. A worker is a process; ours and those of
django-post_office have four mails in work at once, those of Celery one. They take turns, round by
round, so that what else happens on the machine concerns all of them. The table has medians: mails a
second, mails for each second of CPU of the workers, and milliseconds of CPU of the database (for
Celery, of Redis) a mail. What it takes to start the workers and to add the mails is not counted.
django-post_office writes all outcomes of a run at its end, in one statement: that is cheap, and a
run that is killed sends its mails again.

Celery, Redis and django-post_office are left out if they are not installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks import contestants
from benchmarks.contestants import Setting
from benchmarks.cpu import family, parent_of, seconds_of, seconds_of_server
from benchmarks.ledger import OLD, add_rows
from benchmarks.server import served
from sqlalchemy import create_engine, text

from poweremail.batch import Ledger

sys.path.append(str(Path(__file__).parents[1] / "tests"))

from support import postgresql, redis

RESPONSE_SECONDS = 0.1
PATIENCE_SECONDS = 300.0
OURS = ("run", "work")
ALL = (*OURS, "celery", "post_office")


class Case(NamedTuple):
    """A contestant with so many workers."""

    name: str
    workers: int
    limited: bool = False

    def __str__(self) -> str:
        limits = " limited" if self.limited else ""
        return f"{self.name}{limits}, {self.workers}"


class Figures(NamedTuple):
    """What was measured: mails a second, mails a second of CPU, and milliseconds of the server."""

    rate: float
    per_cpu_second: float
    server_ms: float


class Bench:
    """The servers, and what is running on them."""

    def __init__(self, base_url: str, database: str, broker: redis.Server | None) -> None:
        self.base_url = base_url
        self._database = database
        self._broker = broker
        self._engine = create_engine(database.replace("://", "+psycopg://"))
        with self._engine.connect() as connection:
            backend = connection.scalar(text("SELECT pg_backend_pid()"))
        self._postgresql = parent_of(backend)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def measure(self, case: Case, *, mails: int, users: int, old: int) -> Figures:
        """Let *case* send so many *mails*, beside so many *old* rows."""
        setting = Setting(
            self.base_url,
            self._database,
            "" if self._broker is None else self._broker.url,
            users,
            case.limited,
            case.workers,
        )
        self._fill(case, setting, mails, old)
        with ExitStack() as stack:
            count = 1 if case.name in ("celery", "post_office") else case.workers
            programs = [stack.enter_context(_program(case.name, setting)) for _ in range(count)]
            for program in programs:
                _expect(program, "ready")
            workers = family(*(program.pid for program in programs))
            first = self._sends()
            used, served_by = seconds_of(workers), self._server_seconds(case)
            began = time.monotonic()
            if case.name == "celery":
                contestants.fill_queue(setting, mails)
                began_at = self._wait_for(first + mails)
            else:
                for program in programs:
                    print("go", file=program.stdin, flush=True)
                began_at = self._wait_for(first + mails)
                for program in programs:
                    _expect(program, "done")
            seconds = began_at - began
            used = seconds_of(family(*(program.pid for program in programs))) - used
            server = self._server_seconds(case) - served_by
        return Figures(mails / seconds, mails / max(used, 0.001), 1000 * server / mails)

    def _fill(self, case: Case, setting: Setting, mails: int, old: int) -> None:
        if self._broker is not None:
            self._broker.flush()
        with self._engine.begin() as connection:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        if case.name == "post_office":
            command = _command("fill_post_office", setting)
            subprocess.run(command, input=f"{mails}\n", text=True, check=True)
        elif case.name in OURS:
            if old:
                ledger = Ledger(self._database)
                add_rows(ledger, "old", old, state="accepted", due=None)
                ledger.close()
            contestants.fill_ledger(setting, mails)

    def _server_seconds(self, case: Case) -> float:
        if case.name == "celery" and self._broker is not None:
            return seconds_of([self._broker.process])
        return seconds_of_server(self._postgresql)

    def _sends(self) -> int:
        with urllib.request.urlopen(f"{self.base_url}/count", timeout=10.0) as response:
            return int(response.read())

    def _wait_for(self, sends: int) -> float:
        until = time.monotonic() + PATIENCE_SECONDS
        while self._sends() < sends:
            assert time.monotonic() < until, "the mails do not come"
            time.sleep(0.05)
        return time.monotonic()


def _command(name: str, setting: Setting) -> list[str]:
    given = json.dumps(setting._asdict())
    return [sys.executable, "-m", "benchmarks.contestants", name, given]


@contextmanager
def _program(name: str, setting: Setting) -> Iterator[subprocess.Popen[str]]:
    """Run a contestant until the end of the block."""
    pipe = subprocess.PIPE
    with subprocess.Popen(_command(name, setting), stdin=pipe, stdout=pipe, text=True) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            if name == "celery":
                process.terminate()


def _expect(program: subprocess.Popen[str], word: str) -> None:
    assert program.stdout is not None
    for line in program.stdout:  # Celery prints a banner first
        if line.strip() == word:
            return
    raise AssertionError(f"the contestant has ended before it was {word}")


def cases(names: Sequence[str], workers: Sequence[int]) -> list[Case]:
    """Each contestant with each number of workers; ours with limits, too."""
    return [
        Case(name, number, limited)
        for number in workers
        for name in names
        for limited in ((False, True) if name in OURS else (False,))
    ]


def installed(names: Sequence[str]) -> list[str]:
    """Those of *names* whose library is installed."""
    return [name for name in names if name in OURS or importlib.util.find_spec(name) is not None]


@contextmanager
def bench(names: Sequence[str]) -> Iterator[Bench]:
    """Run the servers that *names* need."""
    with ExitStack() as stack:
        ports = stack.enter_context(served(RESPONSE_SECONDS))
        database = stack.enter_context(postgresql.running_server(fsync=True))
        broker = None
        if "celery" in names:
            broker = redis.Server(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            broker.start()
            stack.callback(broker.stop)
        made = Bench(f"http://127.0.0.1:{ports.slow}", database.url, broker)
        stack.callback(made.close)
        yield made


def main(arguments: Sequence[str] | None = None) -> dict[Case, Figures]:
    """Measure, and print a row for each case."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round, 1 and 4 workers")
    parser.add_argument("--only", nargs="+", choices=ALL, default=ALL, help="contestants")
    parser.add_argument("--workers", nargs="+", type=int, help="1 4 8 16")
    parser.add_argument("--seconds", type=float, help="a case takes at least, 5")
    parser.add_argument("--rounds", type=int, help="3")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no case after these")
    parser.add_argument("--users", type=int, default=100, help="SMTP users of ours, 100")
    parser.add_argument("--old", type=int, default=0, help=f"rows of older batches, such as {OLD}")
    given = parser.parse_args(arguments)
    quick = given.quick
    workers = given.workers or ([1, 4] if quick else [1, 4, 8, 16])
    rounds = given.rounds or (1 if quick else 3)
    seconds = given.seconds or (1.0 if quick else 5.0)
    until = time.monotonic() + 60.0 * given.minutes
    names = installed(given.only)
    wanted = cases(names, workers)
    found: dict[Case, list[Figures]] = {case: [] for case in wanted}
    with bench(names) as running:
        for _ in range(rounds):
            for case in random.sample(wanted, len(wanted)):
                if time.monotonic() >= until:
                    break
                at_once = 1 if case.name == "celery" else contestants.CONCURRENCY
                mails = max(4, int(case.workers * at_once * seconds / RESPONSE_SECONDS))
                figures = running.measure(case, mails=mails, users=given.users, old=given.old)
                found[case].append(figures)
                print(f"{case}: {figures.rate:.0f}/s", file=sys.stderr, flush=True)
    medians = {
        case: Figures(*(median(column) for column in zip(*rows, strict=True)))
        for case, rows in found.items()
        if rows
    }
    print(f"{'contestant, workers':24}  mails/s  mails/CPU second  server ms/mail")
    for case, row in medians.items():
        print(f"{case!s:24}  {row.rate:7.0f}  {row.per_cpu_second:16.0f}  {row.server_ms:14.2f}")
    return medians


if __name__ == "__main__":
    main()
