"""
What is answered, and which events are handed over how often: without await, and with it on asyncio
and trio.
"""

from __future__ import annotations

import functools
import threading

import anyio
import pytest
from anyio import to_thread

from poweremail import UsageError
from poweremail.webhooks import MemorySeenStore, SqliteSeenStore, WebhookReceiver
from support.webhooks import FORM, HEADER, HELLO, KEY, URL, event, form, signed

SETTINGS = {"url": URL, "keys": KEY, "scheme": "form-base64"}


class Handler:
    """Takes events, and fails for those that it is told to."""

    def __init__(self) -> None:
        self.taken: list[str | None] = []
        self.failing: set[str | None] = set()

    def __call__(self, event) -> None:
        self.taken.append(event.id)
        if event.id in self.failing:
            raise RuntimeError(f"cannot take {event.id}")


class AsyncHandler(Handler):
    async def __call__(self, event) -> None:
        await anyio.lowlevel.checkpoint()
        super().__call__(event)


class Sync:
    handler = Handler

    def __init__(self, **changes) -> None:
        self.handled = self.handler()
        self.receiver = WebhookReceiver(self.handled, **SETTINGS | changes)

    async def post(self, body, headers=None, method="POST"):
        return self.receiver.respond(method, signed(body) if headers is None else headers, body)


class SyncOnALoop(Sync):
    async def post(self, body, headers=None, method="POST"):
        return await self.receiver.arespond(
            method, signed(body) if headers is None else headers, body
        )


class Async(SyncOnALoop):
    handler = AsyncHandler


@pytest.fixture(params=[Sync, SyncOnALoop, Async])
def way(request):
    return request.param


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


pytestmark = pytest.mark.anyio


async def test_each_event_is_handed_over_once(way):
    ours = way()
    body = form(event(1), event(2), event(1))
    for _ in range(2):
        response = await ours.post(body)
        assert (response.status, response.body) == (200, HELLO)
    assert ours.handled.taken == ["e1", "e2"]


async def test_an_event_without_an_id_is_handed_over_each_time(way):
    ours = way()
    for _ in range(2):
        assert (await ours.post(form(event(_id=None)))).status == 200
    assert ours.handled.taken == [None, None]


async def test_only_the_failed_event_is_handed_over_again(way, caplog):
    ours = way()
    ours.handled.failing = {"e1", None}
    body = form(event(1), event(2), event(3, _id=None))
    assert (await ours.post(body)).status == 503
    ours.handled.failing = set()
    assert (await ours.post(body)).status == 200
    assert ours.handled.taken == ["e1", "e2", None, "e1", None]
    assert "cannot take e1" in caplog.text
    assert "'open' with the id 'e1' was not handled" in caplog.text


async def test_unreadable_members_are_left_out_and_reported(way, caplog):
    ours = way()
    assert (await ours.post(form(event(1), 5, event(2)))).status == 200
    assert ours.handled.taken == ["e1", "e2"]
    assert "1 members of a batch are not events" in caplog.text


@pytest.mark.parametrize(
    ("method", "body", "headers"),
    [
        ("GET", b"", {}),
        ("get", b"anything", {}),
        ("HEAD", b"", {}),
        ("POST", b"", {}),
        ("POST", b"\r\n", {"Content-Type": FORM}),
        ("POST", b"PowerEmailtes_events=%5B%5D", {"Content-Type": FORM}),
        ("POST", b"[]", {HEADER: "by a key that nobody knows yet"}),
    ],
)
async def test_the_handshake_needs_no_signature(way, method, body, headers):
    ours = way(keys=[])
    response = await ours.post(body, headers, method)
    assert (response.status, response.body) == (200, HELLO)
    assert dict(response.headers)["Content-Type"] == "text/plain; charset=utf-8"
    assert ours.handled.taken == []


@pytest.mark.parametrize(
    ("method", "body", "headers", "status"),
    [
        ("PUT", b"x", {}, 405),
        ("DELETE", b"", {}, 405),
        ("POST", form(event()), {}, 403),
        ("POST", b"a=b", {"Content-Type": FORM}, 403),
        ("POST", b"[5]", {}, 403),
        ("POST", b"{}", {}, 403),
        ("POST", b"null", {}, 403),
        ("POST", form(event()), signed(form(event()), key="wrong"), 403),
        ("POST", b"[]" + b" " * 2_000, {}, 403),
        ("POST", b"a=b", signed(b"a=b"), 400),
        ("POST", b"tes_events=[", signed(b"tes_events=["), 400),
        ("POST", b"x" * 3_000, signed(b"x" * 3_000), 413),
    ],
)
async def test_rejected_requests(way, method, body, headers, status):
    ours = way(max_body=2_500)
    response = await ours.post(body, headers, method)
    assert response.status == status
    # Nothing about why.
    assert response.body.decode().strip() in (
        "Method Not Allowed",
        "Forbidden",
        "Bad Request",
        "Request Entity Too Large",
        "Content Too Large",
    )
    assert ours.handled.taken == []


async def test_the_log_has_the_reason_and_not_the_key(way, caplog):
    ours = way()
    await ours.post(form(event()), signed(form(event()), key="wrong"))
    assert "responded 403: the signature is wrong" in caplog.text
    for text in (
        caplog.text,
        repr(ours.receiver),
        repr(vars(ours.receiver)),
        repr(ours.receiver._reader),
    ):
        assert KEY not in text


async def test_a_failing_key_function_loses_no_event(way, caplog):
    def nobody():
        raise LookupError("the vault is sealed")

    for keys in (nobody, lambda: [""]):
        assert (await way(keys=keys).post(form(event()))).status == 503
    assert "the vault is sealed" in caplog.text


async def test_a_store_that_fails_loses_no_event(way, tmp_path, caplog):
    ours = way(store=SqliteSeenStore(tmp_path / "no" / "directory"))
    assert (await ours.post(form(event()))).status == 503
    assert ours.handled.taken == []
    assert "cannot use" in caplog.text


async def test_a_file_remembers_events_for_the_next_process(way, tmp_path):
    for taken in (["e1"], []):
        with SqliteSeenStore(tmp_path / "seen.db") as store:
            ours = way(store=store)
            assert (await ours.post(form(event(1)))).status == 200
            assert ours.handled.taken == taken


async def test_an_event_that_another_process_handles_comes_again():
    """Answered 200 it would be lost, if the other one fails."""
    began, go_on = anyio.Event(), anyio.Event()
    taken = []

    async def slow(event):
        taken.append(event.id)
        began.set()
        await go_on.wait()

    receiver = WebhookReceiver(slow, **SETTINGS)
    body = form(event(1))
    statuses = []

    async def first():
        statuses.append((await receiver.arespond("POST", signed(body), body)).status)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first)
        await began.wait()
        assert (await receiver.arespond("POST", signed(body), body)).status == 503
        go_on.set()
    assert (await receiver.arespond("POST", signed(body), body)).status == 200
    assert (taken, statuses) == (["e1"], [200])


async def test_a_cancelled_handler_has_not_handled_the_event():
    store = MemorySeenStore()
    began = anyio.Event()

    async def never(event):
        began.set()
        await anyio.sleep_forever()

    receiver = WebhookReceiver(never, **SETTINGS, store=store)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receiver.arespond, "POST", signed(form(event(1))), form(event(1)))
        await began.wait()
        tasks.cancel_scope.cancel()
    assert store.claim("e1") == "new"


async def test_a_blocking_handler_does_not_block_the_loop():
    inside, go_on = threading.Event(), threading.Event()

    def blocks(event):
        inside.set()
        assert go_on.wait(30)

    receiver = WebhookReceiver(blocks, **SETTINGS)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(receiver.arespond, "POST", signed(form(event(1))), form(event(1)))
        await to_thread.run_sync(inside.wait)
        go_on.set()


def test_many_threads_hand_an_event_over_once():
    ours = Sync()
    body = form(*(event(number) for number in range(30)))
    statuses = []

    def again_and_again():
        while (status := ours.receiver.respond("POST", signed(body), body).status) != 200:
            statuses.append(status)
        statuses.append(status)

    threads = [threading.Thread(target=again_and_again) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ours.handled.taken) == sorted(f"e{number}" for number in range(30))
    assert set(statuses) <= {200, 503}


async def test_a_wrapped_async_handler_loses_no_event(caplog):
    async def handle(event):
        pytest.fail("nobody can have awaited it")

    hidden = WebhookReceiver(lambda event: handle(event), **SETTINGS)
    assert not hidden.is_async
    assert hidden.respond("POST", signed(form(event())), form(event())).status == 503
    assert (await hidden.arespond("POST", signed(form(event())), form(event()))).status == 503
    assert "declare it as async def" in caplog.text
    assert WebhookReceiver(functools.partial(handle), **SETTINGS).is_async


async def test_an_awaitable_from_a_sync_handler_is_reported(caplog):
    class Later:
        def __await__(self):
            yield

    assert (
        WebhookReceiver(lambda event: Later(), **SETTINGS)
        .respond("POST", signed(form(event())), form(event()))
        .status
        == 503
    )


def test_invalid_handlers():
    with pytest.raises(UsageError, match="handler: must be a function"):
        WebhookReceiver(None, **SETTINGS)
    ours = Async()
    with pytest.raises(UsageError, match="arespond"):
        ours.receiver.respond("GET", {}, b"")


def test_a_signal_in_a_handler_releases_the_event(caplog):
    store = MemorySeenStore()

    def interrupted(event):
        raise KeyboardInterrupt

    receiver = WebhookReceiver(interrupted, **SETTINGS, store=store)
    with pytest.raises(KeyboardInterrupt):
        receiver.respond("POST", signed(form(event(1))), form(event(1)))
    assert store.claim("e1") == "new"
