"""What becomes of the mails of an outbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from poweremail import (
    ApiError,
    ConfigurationError,
    DeliveryUnknownError,
    NotSentError,
    RateLimitError,
)
from poweremail._ledger import State
from poweremail._ledger.options import SharedOptions
from poweremail._ledger.schema import messages
from poweremail.batch import Batch, Ledger, Outbox
from poweremail.sandbox import Fault, Sandbox
from support.ledgers import finish, let_leases_end, worker
from support.messages import message

PAST = datetime.now(UTC) - timedelta(seconds=60)
LATER = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def outbox(ledger) -> Outbox:
    return Outbox(ledger)


def add(ledger: Ledger, outbox: Outbox, key: str, **options) -> None:
    with ledger.database.transaction() as connection:
        outbox.add(connection, message(to=f"{key}@example.com"), key=key, **options)


def run(ledger: Ledger, *faults, **options) -> list:
    with Sandbox() as sandbox, sandbox.client(smtp_user_name="smtp1") as client:
        for fault in faults:
            sandbox.faults.add(fault, times=1)
        with Batch(client, ledger, "outbox", **options) as batch, batch.run() as outcomes:
            return list(outcomes)


def make_due(ledger: Ledger) -> None:
    with ledger.database.transaction() as connection:
        connection.execute(update(messages).values(due=0.0).where(messages.c.due.is_not(None)))


def test_a_mail_that_has_expired_is_not_sent(ledger, outbox):
    add(ledger, outbox, "late", expires=PAST)
    add(ledger, outbox, "good", expires=LATER)
    outcomes = {outcome.key: outcome for outcome in run(ledger)}
    assert {key: outcome.state for key, outcome in outcomes.items()} == {
        "late": "not_sent",
        "good": "accepted",
    }
    assert outcomes["late"].recipients == ("late@example.com",)
    assert "expired before it was sent" in str(outcomes["late"].error)
    record = outbox.find("late")
    assert (record.state, record.error_kind, record.attempts) == ("not_sent", "Expired", 0)


def test_a_mail_expires_between_two_attempts(ledger, outbox):
    add(ledger, outbox, "k", expires=LATER)
    assert run(ledger, Fault.refuse()) == []
    assert outbox.find("k").state == "planned"
    with ledger.database.transaction() as connection:
        connection.execute(update(messages).values(expires=1.0))
    (outcome,) = run(ledger)
    assert outcome.state == "not_sent"
    record = outbox.find("k")
    assert record.error.startswith("it expired before it was sent: ")
    assert record.attempts == 1


def test_a_mail_that_was_not_sent_is_tried_until_it_expires(ledger, outbox):
    add(ledger, outbox, "k")
    waits = []
    for _ in range(12):
        work = worker(ledger, ledger.find("outbox"))
        step = work.step([], 1)
        verdict = work.verdicts.of_send(step.work[0], NotSentError("no route"))
        assert (verdict.state, verdict.bad) == (State.PLANNED, False)
        waits.append(verdict.delay)
        work.step(finish(step, verdict), 0)
        make_due(ledger)
    assert waits[0] <= 5.0
    assert 450.0 <= waits[-1] <= 900.0
    assert outbox.find("k").attempts == 12
    assert (
        SharedOptions(attempts=1).verdicts.of_send(step.work[0], NotSentError("no route")).state
        == State.NOT_SENT
    )


def test_a_run_of_an_outbox_waits_for_no_mail_that_is_due_later(ledger, outbox):
    add(ledger, outbox, "later", not_before=LATER)
    add(ledger, outbox, "now")
    assert [outcome.key for outcome in run(ledger)] == ["now"]
    with Sandbox() as sandbox, sandbox.client(smtp_user_name="smtp1") as client:
        with Batch(client, ledger, "outbox") as batch:
            worked = batch.work()
    assert worked.reason == "waiting"
    assert 80_000 < worked.again_in < 90_000


def test_a_slice_comes_again_when_the_first_mail_expires(ledger, outbox):
    add(ledger, outbox, "later", not_before=LATER, expires=LATER + timedelta(days=1))
    soon = datetime.now(UTC) + timedelta(hours=1)
    add(ledger, outbox, "waits", expires=soon)
    assert run(ledger, Fault.refuse()) == []
    with ledger.database.transaction() as connection:
        connection.execute(
            update(messages).values(due=LATER.timestamp()).where(messages.c.key == "waits")
        )
    with Sandbox() as sandbox, sandbox.client(smtp_user_name="smtp1") as client:
        with Batch(client, ledger, "outbox") as batch:
            assert 3000 < batch.work().again_in <= 3600


def test_a_mail_that_is_unknown_is_looked_up_and_never_sent_again(ledger, outbox):
    add(ledger, outbox, "k")
    batch = ledger.find("outbox")
    dead = worker(ledger, batch)
    dead.step([], 1)
    let_leases_end(ledger, dead.owner)
    other = worker(ledger, batch)
    (work,) = other.step([], 1).work
    assert work.state is State.UNKNOWN
    verdict = other.verdicts.of_look(work, DeliveryUnknownError("not there"))
    assert verdict.state is State.UNKNOWN
    for options in ({"resend_after": 60.0}, {"resend_after": 60.0, "visibility": 5.0}):
        with pytest.raises(ConfigurationError, match="never sent again"):
            run(ledger, **options)
    with Batch(None, ledger, "outbox") as given, pytest.raises(ConfigurationError):
        given.set_options(resend_after=60.0)


@pytest.mark.parametrize(
    ("error", "state", "bad"),
    [
        (RateLimitError("too many"), State.PLANNED, False),
        (ApiError("no", mail_state="rejected"), State.REJECTED, True),
        (DeliveryUnknownError("no response"), State.UNKNOWN, True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_outcomes_are_as_in_a_batch(ledger, outbox, error, state, bad):
    add(ledger, outbox, "k")
    made = worker(ledger, ledger.find("outbox"))
    (work,) = made.step([], 1).work
    verdict = made.verdicts.of_send(work, error)
    assert (verdict.state, verdict.bad) == (state, bad)


def test_a_refused_account_pauses_the_outbox_and_no_mail_is_lost(ledger, outbox):
    add(ledger, outbox, "k")
    assert run(ledger, Fault.error("AuthenticationError", "Invalid token")) == []
    with Batch(None, ledger, "outbox") as batch:
        assert "the service refuses the account" in batch.status().paused
        assert outbox.find("k").state == "planned"
        batch.resume()
    assert [outcome.state for outcome in run(ledger)] == ["accepted"]


def test_a_lost_kick_for_a_new_mail_is_replaced(ledger, outbox):
    """Also while the lane is not due before the mails that were there when it was left."""
    add(ledger, outbox, "later", not_before=LATER)
    with Sandbox() as sandbox, sandbox.client(smtp_user_name="smtp1") as client:
        with Batch(client, ledger, "outbox") as batch:
            (kick,) = batch.start(1)
            worked = batch.work(kick=kick)
            assert worked.again_in > 80_000
            assert ledger.lanes.beat() == []
            add(ledger, outbox, "new", not_before=PAST)
            assert ledger.lanes.beat() == [worked.kick]
            assert batch.work(kick=worked.kick).counts == {"accepted": 1}
