"""A database that is out of reach for a while: what is sent, and what is known, afterwards."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy import text

from poweremail import PowerEmail
from poweremail._ledger import State
from poweremail.batch import Batch, Ledger, LedgerError
from poweremail.sandbox import Fault
from support.ledgers import Verdict, connection_lost, entries, fill, finish, states, worker
from support.pgbouncer import running_pooler
from support.postgresql import running_server

SECONDS_AWAY = 10.0
"""A failover takes about so long."""


@pytest.fixture(scope="module")
def server():
    with running_server() as server:
        yield server


class TestRepeatedSteps:
    @pytest.mark.parametrize("committed", [False, True])
    def test_nothing_is_lost_or_done_twice(self, ledger, committed):
        batch = fill(ledger, 4)
        it = worker(ledger, batch)
        first = it.step((), 2)
        with connection_lost(ledger, committed=committed, times=2):
            step = it.step(finish(first), 2)
        assert [each.value for each in step.recorded] == ["k0", "k1"]
        assert step.lost == ()
        assert [work.key for work in step.work] == ["k2", "k3"]
        assert len(it.step(finish(step), 2).recorded) == 2
        assert ledger.status(batch).all_accepted

    def test_rows_of_an_interrupted_step_are_released(self, ledger):
        batch = fill(ledger, 3)
        it = worker(ledger, batch, lease=1.0)
        it._gives_up_at = 0.0
        with connection_lost(ledger, committed=True), pytest.raises(LedgerError):
            it.step((), 3)
        assert set(states(ledger, batch).values()) == {"sending"}
        assert it.retire() == ()
        assert it.step((), 3).work == ()
        assert set(states(ledger, batch).values()) == {"planned"}

    def test_an_interrupted_lookup_is_due_again(self, ledger):
        batch = fill(ledger, 1)
        it = worker(ledger, batch)
        unknown = finish(it.step((), 1), Verdict(state=State.UNKNOWN, attempted=True, delay=0.0))
        it.step(unknown, 0)
        with connection_lost(ledger, committed=True):
            (work,) = it.step((), 1).work
        assert work.state is State.UNKNOWN

    def test_patience_ends(self, ledger, caplog):
        it = worker(ledger, fill(ledger, 1), lease=1.0)
        began = time.monotonic()
        with (
            connection_lost(ledger, committed=False, times=1000),
            pytest.raises(LedgerError, match="the connection is lost"),
        ):
            it.step((), 1)
        assert time.monotonic() - began >= 0.5
        assert "nothing is sent until the ledger is back, for 0.5 seconds at most" in caplog.text

    def test_a_file_that_is_locked_for_a_while(self, tmp_path):
        ledger = Ledger(tmp_path / "ledger.db", timeout=0.0)
        it = worker(ledger, fill(ledger, 2))
        writer = sqlite3.connect(
            tmp_path / "ledger.db", isolation_level=None, check_same_thread=False
        )
        writer.execute("BEGIN IMMEDIATE")
        later = threading.Timer(0.3, writer.execute, ["ROLLBACK"])
        later.start()
        assert len(it.step((), 2).work) == 2
        later.join()
        writer.close()
        ledger.close()


class Run(threading.Thread):
    """
    Runs a new batch of *mails* in the ledger *url*; ``started`` is set after the first outcomes.
    """

    def __init__(self, served, url: str, mails: int) -> None:
        super().__init__()
        self.name = uuid.uuid4().hex
        self.mails = mails
        self.started = threading.Event()
        self.outcomes: Counter[str] = Counter()
        self.failure: Exception | None = None
        self._client = PowerEmail("o", "t", base_url=served.url, smtp_user_name="smtp1")
        self._batch = Batch(self._client, url, self.name, concurrency=8, visibility=2.0)
        self._batch.add(entries(mails))

    def run(self) -> None:
        try:
            with self._client, self._batch, self._batch.run() as outcomes:
                for outcome in outcomes:
                    self.outcomes[outcome.state] += 1
                    if sum(self.outcomes.values()) == 20:
                        self.started.set()
        except LedgerError as error:
            self.failure = error
            self.started.set()


def received(served) -> Counter[str]:
    return Counter(recipient.email for mail in served.outbox for recipient in mail.recipients)


def check(run: Run, served, url: str) -> None:
    """Check that *run* has ended by itself, and that each mail was sent once."""
    run.join(120.0)
    assert run.failure is None
    assert run.outcomes == {"accepted": run.mails}
    assert received(served) == {f"user{n}@example.com": 1 for n in range(run.mails)}
    ledger = Ledger(url)
    assert ledger.status(ledger.find(run.name)).all_accepted
    ledger.close()


def test_a_failover_loses_and_doubles_nothing(served, server):
    served.faults.add(Fault.latency(0.1), call="sendMail")
    run = Run(served, server.url, 300)
    run.start()
    assert run.started.wait(60.0)
    server.stop()
    time.sleep(1.0)
    sent = len(served.outbox)  # those that were in flight
    time.sleep(SECONDS_AWAY - 1.0)
    assert len(served.outbox) == sent < 300
    server.start()
    check(run, served, server.url)


@pytest.fixture(scope="module")
def pooler(server):
    with running_pooler(server, connections=2) as pooler:
        yield pooler


@pytest.mark.parametrize("which", ["pooler", "server"])
def test_a_pooler_or_the_server_behind_it_may_restart(served, server, pooler, which):
    served.faults.add(Fault.latency(0.1), call="sendMail")
    run = Run(served, pooler.url, 200)
    run.start()
    assert run.started.wait(60.0)
    restarted = {"pooler": pooler, "server": server}[which]
    for _ in range(2):
        restarted.stop()
        time.sleep(1.0)
        restarted.start()
        time.sleep(0.5)
    check(run, served, server.url)


def test_workers_share_the_connections_of_a_pooler(served, server, pooler):
    runs = [Run(served, pooler.url, 50) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(120.0)
        assert run.failure is None
        assert run.outcomes == {"accepted": run.mails}
    assert received(served) == {f"user{n}@example.com": 4 for n in range(50)}


@pytest.mark.parametrize("place", ["server", "pooler"])
def test_no_setting_stays_in_a_connection(request, place):
    ledger = Ledger(request.getfixturevalue(place).url)
    settings = "SELECT current_setting('enable_sort'), current_setting('application_name')"
    for _ in range(20):  # so often that it would become a prepared statement
        with ledger.database.transaction() as connection:
            assert connection.execute(text(settings)).one() == ("off", "poweremail")
    with ledger.database._engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver.execute(settings).fetchone() == ("on", "poweremail")
        prepared = driver.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()
        assert prepared == ((0,) if place == "pooler" else (1,))
    ledger.close()


def test_a_connection_that_was_lost_while_idle_is_replaced(server):
    ledger = Ledger(server.url)
    for use in ("reading", "statements", "transaction"):
        ledger.create("news")
        with psycopg.connect(server.url, autocommit=True) as other:
            ended = other.execute(
                "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity "
                "WHERE application_name = 'poweremail'"
            ).fetchone()
        assert ended != (0,)
        with getattr(ledger.database, use)() as connection:
            assert connection.scalar(text("SELECT 1")) == 1
    ledger.close()


def test_a_commit_waits_for_the_disk_whatever_the_default_is(server):
    ledger = Ledger(f"{server.url}?options=-csynchronous_commit%3Doff")
    with ledger.database.transaction() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
    ledger.close()


def test_a_worker_that_stands_still_in_a_transaction_keeps_nothing(server, caplog):
    """As one that is cut off from the server, or suspended with its machine."""
    ledger = Ledger(server.url)
    batch = fill(ledger, 2, uuid.uuid4().hex)
    first, second = worker(ledger, batch), worker(ledger, batch)
    stands, goes_on = threading.Event(), threading.Event()

    def stand_still(record: logging.LogRecord) -> bool:
        if record.msg == "uncommitted" and not stands.is_set():
            stands.set()
            assert goes_on.wait(60.0)
        return True

    log = logging.getLogger("poweremail.batch")
    caplog.set_level(logging.DEBUG, log.name)
    log.addFilter(stand_still)
    try:
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(first.step, (), 2)
            assert stands.wait(30.0)
            until = time.monotonic() + 30.0
            while len(taken := second.step((), 2).work) < 2:
                assert time.monotonic() < until
                time.sleep(0.1)
            goes_on.set()
            assert late.result(30.0).work == ()
    finally:
        goes_on.set()
        log.removeFilter(stand_still)
    assert "nothing is sent until the ledger is back" in caplog.text
    assert [work.key for work in taken] == ["k0", "k1"]
    ledger.close()


@pytest.mark.parametrize(("use", "last"), [("transaction", ";"), ("statements", "SELECT ")])
def test_the_limit_is_set_again_only_where_a_transaction_goes_on(server, use, last):
    ledger = Ledger(server.url)
    ledger.create("news")
    with getattr(ledger.database, use)() as connection:
        connection.execute(text("SELECT CAST(:number AS int)"), [{"number": 1}, {"number": 2}])
        with psycopg.connect(server.url, autocommit=True) as other:
            (seen,) = other.execute(
                "SELECT query FROM pg_stat_activity WHERE application_name = 'poweremail'"
            ).fetchall()
    assert seen[0].startswith(last)
    ledger.close()


def test_the_server_may_have_another_limit_for_idle_transactions(server):
    for options, limit in (
        ("", "10s"),
        ("?options=-cidle_in_transaction_session_timeout%3D3s", "3s"),
    ):
        ledger = Ledger(f"{server.url}{options}")
        with ledger.database.transaction() as connection:
            shown = connection.execute(text("SHOW idle_in_transaction_session_timeout"))
            assert shown.scalar() == limit
        ledger.close()
