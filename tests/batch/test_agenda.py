"""When a worker has something to do: the earliest moment, and none before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from poweremail import RateLimits
from poweremail._ledger import State
from poweremail.batch import Outbox
from support.ledgers import Verdict, fill, finish, let_leases_end, worker
from support.messages import message

USERS = ("smtp1", "smtp2")


def agenda(ledger, *users: str, **options) -> dict[str, float]:
    return ledger.lanes.agenda(users or USERS, **options)


def test_mails_wait_for_the_first_smtp_user_that_is_free(ledger):
    batch = fill(ledger, 5)
    assert agenda(ledger) == {"news": 0.0}
    ours = worker(ledger, batch, *USERS, limits=RateLimits(per_minute=1))
    step = ours.step((), 5)
    assert len(step.work) == 2
    ours.step(finish(step), 0)
    assert agenda(ledger)["news"] == pytest.approx(60.5, abs=10.0)
    assert agenda(ledger, "smtp2")["news"] == pytest.approx(60.5, abs=10.0)
    # One that never sent has used nothing up.
    assert agenda(ledger, *USERS, "new") == {"news": 0.0}
    ledger.change_options(batch, {}, {"smtp1": {"per_minute": 5}})
    assert agenda(ledger) == {"news": 0.0}
    assert agenda(ledger, "smtp2")["news"] > 0.0


def test_a_refusal_counts(ledger):
    batch = fill(ledger, 5)
    ours = worker(ledger, batch)
    refused = Verdict(state=State.PLANNED, delay=0.0, refused=40.0)
    ours.step(finish(ours.step((), 1), refused), 0)
    assert agenda(ledger, "smtp1")["news"] == pytest.approx(40.0, abs=10.0)


@pytest.mark.parametrize(
    ("verdict", "seconds"),
    [
        (Verdict(state=State.PLANNED, delay=300.0), 300.0),
        (Verdict(state=State.UNKNOWN, delay=200.0), 200.0),
        (Verdict(state=State.UNKNOWN, delay=0.0), 0.0),
    ],
)
def test_a_mail_is_due_later(ledger, verdict, seconds):
    batch = fill(ledger, 1)
    ours = worker(ledger, batch)
    ours.step(finish(ours.step((), 1), verdict), 0)
    assert agenda(ledger)["news"] == pytest.approx(seconds, abs=10.0 if seconds else 0.0)


def test_mails_in_work_are_free_when_their_leases_end(ledger):
    batch = fill(ledger, 2)
    worker(ledger, batch).step((), 2)
    assert agenda(ledger)["news"] == pytest.approx(60.0, abs=10.0)
    let_leases_end(ledger)
    assert agenda(ledger) == {"news": 0.0}


def test_outboxes_are_first_and_their_mails_expire(ledger):
    fill(ledger, 1)
    fill(ledger, 1, "other")
    with Outbox(ledger) as outbox:
        outbox.create_tables()
        now = datetime.now(UTC)
        with ledger.database.transaction() as connection:
            outbox.add(
                connection,
                message(),
                key="reset",
                not_before=now + timedelta(hours=2),
                expires=now + timedelta(hours=3),
            )
        found = agenda(ledger)
        assert list(found) == ["outbox", "news", "other"]
        assert found["outbox"] == pytest.approx(7200.0, abs=10.0)
        assert agenda(ledger, urgent=True) == {}
        with ledger.database.transaction() as connection:
            outbox.add(connection, message(), key="now")
        assert agenda(ledger, urgent=True) == {"outbox": 0.0}


def test_only_a_worker_with_hooks_comes_for_outcomes_that_were_not_reported(ledger):
    batch = fill(ledger, 1)
    ledger.on_outcome(print)
    ours = worker(ledger, batch)
    ours.step(finish(ours.step((), 1)), 0)
    assert agenda(ledger) == {"news": 0.0}
    ledger.hooks.clear()
    assert agenda(ledger) == {}
