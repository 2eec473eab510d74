# Generated from tests/_async/test_task_queues.py; do not edit.
"""`Mail` over a queue that is a list: what is put into it, and what a task makes of it."""

from __future__ import annotations

import logging

import pytest
from sqlalchemy import update

from poweremail import RateLimits
from poweremail._ledger.schema import batches, lanes, messages
from poweremail.batch import Batch, Entry
from poweremail.engines import Mail
from poweremail.sandbox import Sandbox
from support.messages import message


class Queue(Mail):
    """*kicks* has what was sent: a kick, and the seconds until it is to be delivered."""

    broken = False

    def send_kick(self, kick, delay):
        if self.broken:
            raise OSError("no broker")
        self.kicks.append((kick, delay))

    def work_off(self, most: int = 50) -> list[str]:
        """Let tasks take the kicks one by one, and return why each ended."""
        reasons = []
        while self.kicks and len(reasons) < most:
            reasons.append(self.drive(self.kicks.pop(0)[0]).reason)
        return reasons


@pytest.fixture
def sandbox():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def place(tmp_path) -> str:
    return str(tmp_path / "ledger.db")


def queue(sandbox, place, **options) -> Queue:
    mail = Queue(place, client=sandbox.client, **options)
    mail.kicks = []
    return mail


def fill(place, count: int = 5, **options) -> None:
    with Batch(None, place, "news") as batch:
        batch.add(
            [Entry(message=message(to=f"user{n}@example.com"), key=f"k{n}") for n in range(count)]
        )
        if options:
            batch.set_options(**options)


def test_a_batch_is_sent_by_as_many_tasks_as_it_may_have(sandbox, place):
    fill(place)
    mail = queue(sandbox, place)
    mail.start("news", runners=2)
    assert [(kick.batch, kick.lane, delay) for kick, delay in mail.kicks] == [
        ("news", 1, 0.0),
        ("news", 2, 0.0),
    ]
    assert "finished" in mail.work_off()
    assert len(sandbox.outbox) == 5
    assert mail.workers("news") == []


def test_a_kick_that_comes_twice_is_spent_once(sandbox, place):
    fill(place)
    mail = queue(sandbox, place)
    mail.start("news", runners=1)
    ((kick, _),) = mail.kicks
    assert mail.drive(kick).reason == "finished"
    assert mail.drive(kick).reason == "runners"
    assert len(sandbox.outbox) == 5


def test_the_kick_of_a_batch_that_was_purged_ends(sandbox, place):
    mail = queue(sandbox, place)
    fill(place)
    mail.start("news", runners=1)
    assert mail.work_off() == ["finished"]
    mail.start("news")
    with mail.ledger.database.transaction() as connection:
        connection.execute(update(batches).values(added=batches.c.added - 60))
        connection.execute(update(messages).values(settled=messages.c.settled - 60))
    assert mail.ledger.purge(older_than=30.0).batches == 1
    assert mail.work_off() == ["finished"]
    assert mail.kicks == []


def test_outcomes_whose_hook_has_failed_are_work_for_the_beat(sandbox, place):
    mail = queue(sandbox, place)
    fill(place, 1, lease=1.0)
    seen = []

    def hook(event):
        seen.append(event.state)
        if len(seen) == 1:
            raise OSError("not yet")

    mail.ledger.on_outcome(hook)
    mail.start("news", runners=1)
    mail.work_off(1)
    mail.kicks.clear()  # they are lost
    for _ in range(2):
        with mail.ledger.database.transaction() as connection:
            an_hour_ago = {"kicked": lanes.c.kicked - 3600, "due": lanes.c.due - 3600}
            connection.execute(update(lanes).values(an_hour_ago))
            connection.execute(update(messages).values(unreported=messages.c.unreported - 3600))
        mail.beat()
        mail.work_off()
    assert seen == ["accepted", "accepted"]
    assert mail.kicks == []


def test_the_next_kick_is_for_the_time_when_there_is_more_to_do(sandbox, place):
    fill(place, 2, limits={"smtp1": RateLimits(per_minute=None, per_hour=1)})
    mail = queue(sandbox, place, smtp_users=["smtp1"])
    mail.start("news", runners=1)
    ((kick, _),) = mail.kicks
    mail.kicks.clear()
    worked = mail.drive(kick)
    assert worked.reason == "waiting"
    assert worked.again_in > 3000
    # A longer delay would be kept by a worker, or be delivered again by the broker.
    assert mail.kicks == [(worked.kick, 60.0)]


def test_a_lost_kick_is_replaced_by_the_beat(sandbox, place):
    fill(place)
    mail = queue(sandbox, place)
    mail.start("news", runners=1)
    mail.kicks.clear()
    mail.beat()
    assert mail.kicks == []  # it may be on its way
    with mail.ledger.database.transaction() as connection:
        connection.execute(update(lanes).values(kicked=lanes.c.kicked - 30, due=lanes.c.due - 30))
    mail.beat()
    assert mail.work_off() == ["finished"]
    assert len(sandbox.outbox) == 5


def test_a_broker_that_is_gone_harms_nothing(sandbox, place, caplog):
    fill(place)
    mail = queue(sandbox, place)
    mail.broken = True
    with caplog.at_level(logging.ERROR):
        mail.start("news", runners=1)
    assert "a kick could not be sent" in caplog.text


def test_kick_raises_nothing(sandbox, place, caplog):
    mail = queue(sandbox, place)
    mail.kick()  # there is no outbox yet
    assert "the outbox was not kicked" in caplog.text
    assert mail.kicks == []


def test_a_task_ends_when_its_worker_does(sandbox, place):
    fill(place)
    mail = queue(sandbox, place, is_stopping=lambda: True)
    mail.start("news", runners=1)
    ((kick, _),) = mail.kicks
    mail.kicks.clear()
    assert mail.drive(kick).reason == "stopped"
    assert len(sandbox.outbox) == 0
    assert mail.kicks == [(kick, 0.0)]  # for another host


def test_a_drain_holds_until_its_end(sandbox, place):
    fill(place)
    mail = queue(sandbox, place)
    mail.start("news", runners=1)
    mail.drain("news")
    assert mail.drive(mail.kicks[0][0]).reason == "drained"
    mail.undrain("news")
    assert "finished" in mail.work_off()
