"""The hooks of a ledger: called at least once for each outcome, after the commit."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel
import pytest
from sqlalchemy import select, update

from poweremail import ConfigurationError, OutcomeEvent
from poweremail._ledger.schema import messages
from poweremail.batch import AsyncBatch, Batch, Ledger, Outbox
from poweremail.sandbox import Fault, Sandbox
from support.ledgers import fill
from support.messages import message


def run(ledger: Ledger, name: str = "news", *faults: Fault, **options) -> list:
    with Sandbox() as sandbox, sandbox.client(smtp_user_name="smtp1") as client:
        for fault in faults:
            sandbox.faults.add(fault, times=1)
        with Batch(client, ledger, name, **options) as batch, batch.run() as outcomes:
            return list(outcomes)


def left(ledger: Ledger) -> list[int]:
    """The rows that hooks must still be called for."""
    with ledger.database.reading() as connection:
        return list(connection.scalars(select(messages.c.id).where(messages.c.unreported > 0)))


def test_each_outcome_is_reported_once_it_is_in_the_ledger(ledger):
    events: list[OutcomeEvent] = []

    @ledger.on_outcome
    def note(event: OutcomeEvent) -> None:
        # Other connections see it: the commit is over.
        with Ledger(ledger.database._engine.url.render_as_string(False)).database.reading() as each:
            state = each.scalar(
                select(messages.c.state).where(messages.c.unique_id == event.unique_id)
            )
        assert state == event.state
        events.append(event)

    fill(ledger, 5)
    run(ledger, "news", Fault.error("ValidationError", "no such template"))
    assert Counter(event.state for event in events) == {"accepted": 4, "rejected": 1}
    assert {event.key for event in events} == {f"k{n}" for n in range(5)}
    assert len({event.id for event in events}) == 5
    (rejected,) = (event for event in events if event.state == "rejected")
    assert (rejected.error_kind, rejected.batch, rejected.attempts, rejected.smtp_user_name) == (
        "ValidationError",
        "news",
        1,
        "smtp1",
    )
    assert "no such template" in rejected.error
    assert rejected.recipients == (f"user{rejected.key[1:]}@example.com",)
    assert left(ledger) == []


def test_a_mail_of_an_outbox_that_expires_is_reported(ledger):
    events: list[OutcomeEvent] = []
    ledger.on_outcome(events.append)
    outbox = Outbox(ledger)
    with ledger.database.transaction() as connection:
        late = datetime.now(UTC) - timedelta(seconds=5)
        outbox.add(connection, message(), key="late", expires=late)
        outbox.add(connection, message(), key="cancelled")
    assert outbox.cancel("cancelled")  # the caller knows
    run(ledger, "outbox")
    assert [(event.key, event.state, event.error_kind) for event in events] == [
        ("late", "not_sent", "Expired")
    ]


def test_a_hook_that_raises_harms_no_mail_and_is_called_again(ledger, caplog):
    calls: list[OutcomeEvent] = []

    def fails_once(event: OutcomeEvent) -> None:
        calls.append(event)
        if len(calls) == 1:
            raise RuntimeError("the caller's database is away")

    ledger.on_outcome(fails_once)
    fill(ledger, 2)
    assert [outcome.state for outcome in run(ledger)] == ["accepted", "accepted"]
    assert len(left(ledger)) == 1
    assert "a hook failed for outcome" in caplog.text
    with ledger.database.transaction() as connection:  # let its grace period end
        noted = messages.c.unreported.is_not(None)
        connection.execute(update(messages).where(noted).values(unreported=1.0))
    run(ledger)
    assert [event.id for event in calls].count(calls[0].id) == 2
    assert len(calls) == 3
    assert left(ledger) == []


def test_without_a_hook_nothing_is_noted(ledger):
    fill(ledger, 2)
    run(ledger)
    assert left(ledger) == []


def test_what_cannot_be_called_is_refused(ledger):
    with pytest.raises(ConfigurationError, match="must be a function"):
        ledger.on_outcome("print")

    async def waits(event: OutcomeEvent) -> None: ...

    fill(ledger, 1)
    ledger.on_outcome(waits)
    with pytest.raises(ConfigurationError, match="use AsyncBatch"):
        run(ledger)


@pytest.mark.parametrize("kind", ["async", "plain"])
async def test_an_async_batch_calls_both_kinds(tmp_path, kind):
    threads: list[threading.Thread] = []

    def plain(event: OutcomeEvent) -> None:
        threads.append(threading.current_thread())

    async def waits(event: OutcomeEvent) -> None:
        await anyio.lowlevel.checkpoint()
        plain(event)

    ledger = Ledger(tmp_path / "ledger.db", on_outcome=plain if kind == "plain" else waits)
    fill(ledger, 2)
    with Sandbox() as sandbox:
        async with sandbox.async_client(smtp_user_name="smtp1") as client:
            async with AsyncBatch(client, ledger, "news").run() as outcomes:
                assert [outcome.state async for outcome in outcomes] == ["accepted"] * 2
    assert [each is threading.main_thread() for each in threads] == [kind == "async"] * 2
    assert left(ledger) == []
    ledger.close()


DYING = """
import os, signal, sys
from poweremail.batch import Batch, Ledger
from poweremail.sandbox import Sandbox

def die(event):
    print(event.id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)

with Sandbox() as sandbox, sandbox.client(smtp_user_name="smtp1") as client:
    with Batch(client, Ledger(sys.argv[1], on_outcome=die), "news", lease=1.0) as batch:
        with batch.run() as outcomes:
            list(outcomes)
"""


def test_the_hook_of_a_killed_worker_is_called_by_another(place):
    ledger = Ledger(place)
    fill(ledger, 3)
    done = subprocess.run(
        [sys.executable, "-c", DYING, place], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    events: list[OutcomeEvent] = []
    ledger.on_outcome(events.append)
    run(ledger, lease=1.0)  # it waits until the worker counts as gone
    assert done.stdout.strip() in {event.id for event in events}
    accepted = [
        record.key
        for record in ledger.report(ledger.find("news"), None)
        if record.state == "accepted"
    ]
    assert {event.key for event in events} >= set(accepted)
    assert left(ledger) == []
    ledger.close()
