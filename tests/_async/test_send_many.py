"""Many mails, a few at a time."""

from __future__ import annotations

import pytest

from _async.ways import client_of
from poweremail import DeliveryUnknownError, RetryPolicy, UsageError, ValidationError
from poweremail.sandbox import Fault, Sandbox
from poweremail.transports import AsyncOutgoing
from support.fault_server import FaultServer, respond
from support.messages import message, template


@pytest.fixture
def sandbox():
    with Sandbox() as sandbox:
        sandbox.add_template("t1", text="Dear {{NAME}}")
        yield sandbox


class Source:
    """Counts what is pulled from it."""

    def __init__(self, items) -> None:
        self.items = iter(items)
        self.pulled = 0

    def __aiter__(self):
        return self

    async def __anext__(self):
        for item in self.items:
            self.pulled += 1
            return item
        raise StopAsyncIteration


def many(count: int):
    return [message(to=f"user{number}@example.com") for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 100])
@pytest.mark.parametrize("concurrency", [1, 8])
async def test_every_message_has_its_outcome(sandbox, count, concurrency):
    messages = many(count)
    async with (
        sandbox.async_client() as client,
        client.messages.send_many(messages, concurrency=concurrency) as outcomes,
    ):
        got = [outcome async for outcome in outcomes]
        assert [outcome async for outcome in outcomes] == []
    assert sorted(outcome.index for outcome in got) == list(range(count))
    assert all(
        outcome.state == "accepted" and outcome.message is messages[outcome.index]
        for outcome in got
    )
    assert all(outcome.result.recipients == messages[outcome.index].recipients for outcome in got)
    assert sorted(mail.to[0] for mail in sandbox.outbox) == sorted(
        f"user{number}@example.com" for number in range(count)
    )


@pytest.mark.parametrize("kind", [list, iter, tuple, Source])
async def test_any_iterable_is_a_source(sandbox, kind):
    async with (
        sandbox.async_client() as client,
        client.messages.send_many(kind([message(), template()])) as outcomes,
    ):
        assert {outcome.state async for outcome in outcomes} == {"accepted"}
    assert sorted(mail.operation for mail in sandbox.outbox) == ["sendMail", "sendTemplate"]


async def test_one_bad_message_never_stops_the_rest(sandbox):
    sandbox.faults.add(Fault.error("ValidationError", "no"), recipient="user1@example.com")
    sandbox.faults.add(Fault.reset_after_acceptance(), recipient="user2@example.com")
    sandbox.faults.add(Fault.rate_limited(), recipient="user3@example.com")
    messages = [*many(5), {"not": "a message"}, None, template(template_id="unknown")]
    async with (
        sandbox.async_client(retry=RetryPolicy(1)) as client,
        client.messages.send_many(messages, concurrency=2) as outcomes,
    ):
        got = {outcome.index: outcome async for outcome in outcomes}
    states = [got[index].state for index in range(len(messages))]
    assert states == [
        "accepted",
        "rejected",
        "unknown",
        "not_sent",
        "accepted",
        "not_sent",
        "not_sent",
        "rejected",
    ]
    assert isinstance(got[1].error, ValidationError)
    assert isinstance(got[2].error, DeliveryUnknownError)
    assert isinstance(got[5].error, UsageError)
    assert got[1].result is None


async def test_the_source_is_pulled_no_faster_than_outcomes_are_consumed(sandbox):
    source = Source(many(1_000))
    async with (
        sandbox.async_client() as client,
        client.messages.send_many(source, concurrency=4) as outcomes,
    ):
        taken = 0
        async for _ in outcomes:
            taken += 1
            # Of what was pulled and not taken: one with each sender, half as many waiting to be
            # handed over.
            assert source.pulled <= taken + 4 + 2
            if taken == 100:
                break
    assert source.pulled <= 106
    assert len(sandbox.outbox) <= source.pulled


async def test_leaving_the_block_early_lets_running_sends_finish():
    source = Source(many(1_000))
    with FaultServer(respond()) as server:
        async with client_of("httpx", server.url) as client:
            with pytest.raises(LookupError, match="the caller's own"):
                async with client.messages.send_many(source, concurrency=4) as outcomes:
                    async for _ in outcomes:
                        raise LookupError("the caller's own")
            posted = server.posts
            assert 1 <= posted <= source.pulled <= 8
            # The client is as good as before.
            await client.messages.send_mail(message())
    assert server.posts == posted + 1


async def test_leaving_the_block_at_once_sends_little(sandbox):
    async with sandbox.async_client() as client:
        async with client.messages.send_many(many(10), concurrency=2):
            pass
        assert len(sandbox.outbox) <= 3


def failing():
    yield from many(3)
    raise LookupError("the source broke")


async def test_an_error_of_the_source_comes_after_the_outcomes(sandbox):
    got = []
    async with sandbox.async_client() as client, client.messages.send_many(failing()) as outcomes:
        with pytest.raises(LookupError, match="the source broke"):
            async for outcome in outcomes:
                got.append(outcome)
    assert sorted(outcome.index for outcome in got) == [0, 1, 2]
    assert len(sandbox.outbox) == 3


async def test_a_generator_is_closed_when_it_is_left_early(sandbox):
    closed = []

    async def source():
        try:
            for mail in many(100):
                yield mail
        finally:
            closed.append(True)

    async with (
        sandbox.async_client() as client,
        client.messages.send_many(source(), concurrency=2) as outcomes,
    ):
        async for _ in outcomes:
            break
    assert closed == [True]


class Broken:
    async def handle(self, request):
        async for _ in AsyncOutgoing(request.body):
            pass
        raise LookupError("a bug in a transport")

    async def aclose(self) -> None:
        pass


async def test_a_foreign_error_of_a_send_is_an_outcome(sandbox):
    async with (
        sandbox.async_client(transport=Broken()) as client,
        client.messages.send_many(many(3), concurrency=2) as outcomes,
    ):
        got = [outcome async for outcome in outcomes]
    assert [outcome.state for outcome in got] == ["unknown"] * 3
    assert all(isinstance(outcome.error.__cause__, LookupError) for outcome in got)


async def test_an_error_of_a_hook_is_raised_in_no_group(sandbox):
    def stop(event):
        raise LookupError("a bug in a hook")

    sandbox.faults.add(Fault.rate_limited())
    retry = RetryPolicy(on_retry=stop)
    async with (
        sandbox.async_client(retry=retry) as client,
        client.messages.send_many(many(3), concurrency=2) as outcomes,
    ):
        for _ in range(3):
            with pytest.raises(LookupError, match="a bug in a hook"):
                await anext(outcomes)
        with pytest.raises(StopAsyncIteration):
            await anext(outcomes)


async def test_outcomes_can_be_iterated_inside_the_block_only(sandbox):
    """Without it nothing would be sent, silently."""
    async with sandbox.async_client() as client:
        outcomes = client.messages.send_many(many(3))
        with pytest.raises(
            UsageError, match="not sent: send_many: the batch is new .*iterate inside its block"
        ):
            [outcome async for outcome in outcomes]
        async with outcomes:
            assert len([outcome async for outcome in outcomes]) == 3
        with pytest.raises(UsageError, match="not sent: send_many: the batch is closed"):
            await anext(outcomes)
        with pytest.raises(UsageError, match="the batch is closed .*only once"):
            async with outcomes:
                pass
        for what in ("abc", b"abc", {"a": 1}):
            with pytest.raises(UsageError, match="messages: must be an iterable of messages"):
                client.messages.send_many(what)
    assert len(sandbox.outbox) == 3


@pytest.mark.parametrize("concurrency", [0, -1, True, 1.5])
async def test_an_invalid_concurrency_is_rejected(sandbox, concurrency):
    async with sandbox.async_client() as client:
        with pytest.raises(UsageError, match="concurrency: must be 1 or more"):
            client.messages.send_many([], concurrency=concurrency)
        with pytest.raises(UsageError, match="messages: must be an iterable"):
            client.messages.send_many(message())
