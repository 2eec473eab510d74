"""Slices of work on a batch: why they end, and when to come again."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import event

from poweremail import ConfigurationError, RateLimits, RetryPolicy
from poweremail.batch import AsyncBatch, Entry, Kick, Ledger
from poweremail.sandbox import Fault, Sandbox
from support.ledgers import keep_kicks_fresh, lanes_on, let_leases_end
from support.messages import message

RETRY = RetryPolicy(attempts=3, first_wait=120.0, max_wait=120.0, max_total=None)


@pytest.fixture
def sandbox():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request, tmp_path):
    on_disk = request.param == "sqlite"
    ledger = Ledger(tmp_path / "ledger.db" if on_disk else request.getfixturevalue("postgresql"))
    yield ledger
    ledger.close()


def many(count: int, first: int = 0) -> list[Entry]:
    return [
        Entry(message=message(to=f"user{n}@example.com"), key=f"k{n}")
        for n in range(first, first + count)
    ]


def received(sandbox) -> Counter[str]:
    return Counter(recipient.email for mail in sandbox.outbox for recipient in mail.recipients)


async def test_a_slice_of_a_batch_that_nothing_hinders_finishes_it(sandbox, ledger):
    async with sandbox.async_client() as client:
        batch = AsyncBatch(client, ledger, "news")
        await batch.add(many(40))
        worked = await batch.work()
        assert (worked.reason, worked.counts) == ("finished", {"accepted": 40})
        assert (worked.again_in, worked.kick) == (None, None)
        assert (await batch.work()).reason == "finished"
        assert set(received(sandbox).values()) == {1}
        assert await batch.workers() == []


async def test_a_slice_ends_after_its_seconds_with_the_mails_in_work(sandbox, ledger):
    sandbox.faults.add(Fault.latency(0.05), call="sendMail")
    async with sandbox.async_client() as client:
        batch = AsyncBatch(client, ledger, "news", concurrency=1)
        await batch.add(many(200))
        worked = await batch.work(0.3)
        assert (worked.reason, worked.again_in) == ("time", 0.0)
        status = await batch.status()
        assert 0 < status.counts["accepted"] == worked.counts["accepted"] < 200
        assert status.counts["sending"] == 0
        assert (worked.kick.batch, worked.kick.lane, worked.kick.turn) == ("news", 1, 1)


async def test_limits_are_not_waited_for(sandbox, ledger):
    limits = RateLimits(per_minute=3, per_hour=None, per_day=None)
    async with sandbox.async_client() as client:
        batch = AsyncBatch(client, ledger, "news", limits=limits)
        await batch.add(many(8))
        worked = await batch.work()
        assert (worked.reason, worked.counts) == ("waiting", {"accepted": 3})
        assert 1.0 < worked.again_in <= 61.0
        assert worked.kick is not None
        assert (await batch.status()).workers == 0


async def test_a_retry_that_is_due_later_is_not_waited_for(sandbox, ledger):
    sandbox.faults.add(Fault.refuse(), call="sendMail", nth=1)
    async with sandbox.async_client() as client:
        batch = AsyncBatch(client, ledger, "news", retry=RETRY)
        await batch.add(many(1))
        worked = await batch.work(idle=0.2)
        assert (worked.reason, worked.counts) == ("waiting", {})
        assert 60.0 <= worked.again_in <= 120.0


async def test_a_refusal_is_not_waited_for(sandbox, ledger):
    sandbox.faults.add(Fault.rate_limited(retry_after=50), call="sendMail", nth=1)
    async with sandbox.async_client() as client:
        batch = AsyncBatch(client, ledger, "news", concurrency=1)
        await batch.add(many(3))
        worked = await batch.work()
        assert (worked.reason, worked.counts) == ("waiting", {})
        assert 40.0 < worked.again_in <= 51.0


async def test_a_short_wait_is_waited_for(sandbox, ledger):
    sandbox.faults.add(Fault.rate_limited(retry_after=0.3), call="sendMail", nth=1)
    async with sandbox.async_client() as client:
        batch = AsyncBatch(client, ledger, "news", concurrency=1)
        await batch.add(many(3))
        worked = await batch.work(idle=2.0)
        assert (worked.reason, worked.counts) == ("finished", {"accepted": 3})


async def test_a_stop_is_looked_for_in_a_wait_without_a_transaction(sandbox, ledger):
    """The steps that a wait has are a second apart, and the looks a tenth of one."""
    sandbox.faults.add(Fault.rate_limited(retry_after=1.5), call="sendMail")
    events: list[str] = []
    event.listen(ledger.database._engine, "commit", lambda _: events.append("commit"))

    def is_stopped() -> bool:
        events.append("look")
        return events[-5:] == ["look"] * 5

    async with sandbox.async_client() as client:
        batch = AsyncBatch(client, ledger, "news", concurrency=1)
        await batch.add(many(3))
        worked = await batch.work(idle=2.0, is_stopped=is_stopped)
    assert (worked.reason, worked.counts, worked.again_in) == ("stopped", {}, 0.0)


async def test_the_mails_of_another_worker_are_not_waited_for(sandbox, ledger):
    async with sandbox.async_client() as client:
        batch = AsyncBatch(client, ledger, "news", visibility=0.0)
        await batch.add(many(2))
        dead = ledger.worker(ledger.find("news"), ["smtp12345"], {}, lease=60.0)
        assert len(dead.step((), 1).work) == 1
        worked = await batch.work()
        assert (worked.reason, worked.counts) == ("waiting", {"accepted": 1})
        # The dead worker's mail is looked up when its lease is over.
        assert 50.0 < worked.again_in <= 60.0
        let_leases_end(ledger, dead.owner)
        worked = await batch.work(kick=worked.kick)
        assert (worked.reason, worked.counts) == ("finished", {"unknown": 1})
        # A slice does not open it again, a run does.
        assert (await batch.work()).counts == {}
        async with batch.run() as outcomes:
            assert [outcome.state async for outcome in outcomes] == ["unknown"]


async def test_a_paused_batch_is_left(sandbox, ledger):
    async with sandbox.async_client() as client:
        batch = AsyncBatch(client, ledger, "news")
        await batch.add(many(2))
        await batch.pause()
        worked = await batch.work()
        assert (worked.reason, worked.again_in, worked.kick) == ("paused", None, None)
        assert sandbox.outbox == []


async def test_a_turn_is_spent_once(sandbox, ledger):
    async with sandbox.async_client() as client:
        batch = AsyncBatch(client, ledger, "news")
        await batch.add(many(2))
        (kick,) = await batch.start(runners=1)
        assert kick == Kick("news", 1, 0)
        assert (await batch.work(kick=kick)).reason == "finished"
        worked = await batch.work(kick=kick)
        assert (worked.reason, worked.counts, worked.again_in) == ("runners", {}, None)
        # More mail: the beat finds the lane, and its kick goes on.
        assert ledger.lanes.beat() == []
        await batch.add(many(2, first=2))
        (again,) = ledger.lanes.beat()
        assert again == Kick("news", 1, 1)
        assert ledger.lanes.beat() == []
        assert (await batch.work(kick=again)).counts == {"accepted": 2}


async def test_who_finds_no_lane_is_told_so(sandbox, ledger):
    async with sandbox.async_client() as client:
        batch = AsyncBatch(client, ledger, "news")
        await batch.add(many(2))
        await batch.start(runners=1)
        number = ledger.find("news")
        lane = lanes_on(ledger, "web-1").take_any(number, lease=60.0)
        assert (await batch.work()).reason == "runners"
        (worker,) = await batch.workers()
        assert (worker.lane, worker.host, worker.process) == (1, "web-1", 7)
        assert (worker.lost, worker.drained) == (False, False)
        status = await batch.status()
        assert (status.workers, status.runners, status.drained) == (1, 1, False)
        ledger.lanes.leave(lane, None)
        assert (await batch.work()).counts == {"accepted": 2}
        # Nothing is left: who finds no lane is told that.
        ledger.lanes.take_any(number, lease=60.0)
        assert (await batch.work()).reason == "finished"
        async with batch.run() as outcomes:
            assert [outcome async for outcome in outcomes] == []


async def test_a_run_waits_for_a_lane(sandbox, ledger):
    async with sandbox.async_client() as client:
        batch = AsyncBatch(client, ledger, "news")
        await batch.add(many(2))
        await batch.start(runners=1)
        number = ledger.find("news")
        ledger.lanes.take_any(number, lease=0.5)
        async with batch.run() as outcomes:
            assert len([outcome async for outcome in outcomes]) == 2


async def test_a_drain_ends_work_and_lets_none_begin(sandbox, ledger):
    sandbox.faults.add(Fault.latency(0.1), call="sendMail")
    async with sandbox.async_client() as client:
        batch = AsyncBatch(client, ledger, "news", concurrency=1, lease=1.0)
        await batch.add(many(40))
        await batch.start(runners=2)
        async with batch.run() as outcomes:
            assert (await anext(outcomes)).state == "accepted"
            await batch.drain()
            (worker,) = await batch.workers()
            assert worker.drained
            # The drain is seen within a quarter of the lease; until then it goes on.
            assert len([outcome async for outcome in outcomes]) < 39
        assert (await batch.status()).drained
        assert (await batch.work()).reason == "drained"
        assert ledger.lanes.beat() == []
        async with batch.run() as outcomes:
            assert [outcome async for outcome in outcomes] == []
        await batch.undrain()
        assert not (await batch.status()).drained
        sandbox.faults.clear()
        assert (await batch.work()).reason == "finished"


async def test_a_drain_of_this_host_ends_the_slice(sandbox, ledger):
    async with sandbox.async_client() as client:
        batch = AsyncBatch(client, ledger, "news")
        await batch.add(many(1))
        (kick,) = await batch.start(runners=1)
        lane = ledger.lanes.take(kick, lease=60.0)
        (worker,) = await batch.workers()
        ledger.lanes.leave(lane, 0.0)
        kick = Kick("news", 1, 1)
        await batch.drain(host=worker.host)
        assert (await batch.work(kick=kick)).reason == "drained"
        assert not (await batch.status()).drained
        # The turn was not spent: another host takes it.
        assert not isinstance(lanes_on(ledger, "elsewhere").take(kick, lease=60.0), str)


async def test_a_batch_that_is_stopped_begins_no_mail(sandbox, ledger):
    async with sandbox.async_client() as client:
        batch = AsyncBatch(client, ledger, "news", concurrency=1)
        await batch.add(many(5))
        async with batch.run() as outcomes:
            await anext(outcomes)
            batch.stop()
            assert len([outcome async for outcome in outcomes]) < 4
        worked = await batch.work()
        assert (worked.reason, worked.counts, worked.again_in) == ("stopped", {}, None)


async def test_mail_that_comes_while_a_worker_ends_is_not_left(sandbox, ledger):
    batch = ledger.create("news")
    (kick,) = ledger.lanes.start(batch, 1)
    keep_kicks_fresh(ledger)
    # It was kicked just now: another kick would only fill the queue.
    assert ledger.lanes.kick(batch, runners=1) is None
    lane = ledger.lanes.take(kick, lease=60.0)
    assert ledger.lanes.kick(batch, runners=1) is None
    assert ledger.lanes.leave(lane, None) == (0.0, Kick("news", 1, 1))
    assert ledger.lanes.kick(batch, runners=1) == Kick("news", 1, 1)


@pytest.mark.parametrize(
    "options", [{"seconds": -1}, {"idle": 3.0}, {"idle": None}, {"kick": "news"}, {"seconds": True}]
)
async def test_the_bounds_of_a_slice_are_checked(sandbox, ledger, options):
    async with sandbox.async_client() as client:
        batch = AsyncBatch(client, ledger, "news")
        with pytest.raises(ConfigurationError, match="must be"):
            await batch.work(**options)
        with pytest.raises(ConfigurationError, match="there is no batch"):
            await batch.work()
        await batch.add(many(1))
        for runners in (0, "8", True):
            with pytest.raises(ConfigurationError, match="runners"):
                await batch.start(runners)
        with pytest.raises(ConfigurationError, match="how many workers"):
            await batch.start()
