"""A run that is cancelled: a request that it interrupts may have been sent."""

from __future__ import annotations

import asyncio
import threading
import time

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from poweremail import AsyncPowerEmail
from poweremail._ledger.worker import Worker
from poweremail.batch import AsyncBatch, Entry
from support.messages import message


class Stuck:
    """A transport that never responds. *three* is set when three requests wait."""

    def __init__(self) -> None:
        self._waiting = 0
        self.three = anyio.Event()

    async def handle(self, request):
        self._waiting += 1
        if self._waiting == 3:
            self.three.set()
        await anyio.sleep_forever()

    async def aclose(self) -> None:
        pass


async def test_cancelled_sends_are_unknown_at_once(tmp_path):
    stuck = Stuck()

    async def run():
        async with batch.run() as outcomes:
            async for _ in outcomes:
                pass

    async with AsyncPowerEmail(
        "o", "t", "x.example", smtp_user_name="s", transport=stuck
    ) as client:
        async with AsyncBatch(client, tmp_path / "ledger.db", "news", concurrency=3) as batch:
            await batch.add(Entry(message=message(), key=f"k{n}") for n in range(10))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                await stuck.three.wait()
                tasks.cancel_scope.cancel()
            counts = (await batch.status()).counts
            assert (counts["sending"], counts["unknown"], counts["planned"]) == (0, 3, 7)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("where", ["step", "_step", "after"])
async def test_claimed_rows_that_did_not_begin_stay_planned(tmp_path, monkeypatch, where):
    """
    Cancelled by asyncio itself, as by Ctrl-C: the step runs on in its thread, whether it has not
    begun, is under way or over.
    """
    loop = asyncio.get_running_loop()
    name = "step" if where == "after" else where
    real = getattr(Worker, name)
    over = threading.Event()

    def slow(worker, finished, room):
        if not room:
            return real(worker, finished, room)
        if where != "after":
            loop.call_soon_threadsafe(task.cancel)
            time.sleep(0.3)  # so long it takes
        done = real(worker, finished, room)
        if where == "after":
            loop.call_soon_threadsafe(task.cancel)
        over.set()
        return done

    async def run():
        async with batch.run() as outcomes:
            async for _ in outcomes:
                pass

    async with AsyncPowerEmail(
        "o", "t", "x.example", smtp_user_name="s", transport=Stuck()
    ) as client:
        async with AsyncBatch(client, tmp_path / "ledger.db", "news", concurrency=3) as batch:
            await batch.add(Entry(message=message(), key=f"k{n}") for n in range(10))
            monkeypatch.setattr(Worker, name, slow)
            task = asyncio.create_task(run())
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(over.wait, 10.0)
            counts = (await batch.status()).counts
            assert (counts["sending"], counts["unknown"], counts["planned"]) == (0, 0, 10)


async def test_an_error_of_the_consumer_is_raised_in_no_group(tmp_path):
    async with AsyncBatch(None, tmp_path / "ledger.db", "news") as batch:
        await batch.add([message()])
    from poweremail.sandbox import Sandbox

    with Sandbox() as sandbox:
        async with (
            sandbox.async_client() as client,
            AsyncBatch(client, tmp_path / "ledger.db", "news") as batch,
        ):
            with pytest.raises(ZeroDivisionError):
                async with batch.run() as outcomes:
                    async for _ in outcomes:
                        _ = 1 / 0
            assert (await batch.status()).all_accepted


async def test_a_run_that_is_cancelled_while_it_renews_its_lease_ends(tmp_path, monkeypatch):
    """It waits for the renewal then, and is cancelled anew in this wait."""
    stuck = Stuck()
    real = Worker.step
    renewing, renewed = threading.Event(), threading.Event()

    def slow(worker, finished, room):
        if not finished and not room:
            renewing.set()
            renewed.wait(20.0)
        return real(worker, finished, room)

    async def run():
        async with batch.run() as outcomes:
            async for _ in outcomes:
                pass

    async with AsyncPowerEmail(
        "o", "t", "x.example", smtp_user_name="s", transport=stuck
    ) as client:
        async with AsyncBatch(
            client, tmp_path / "ledger.db", "news", concurrency=3, lease=1.0
        ) as batch:
            await batch.add(Entry(message=message(), key=f"k{n}") for n in range(10))
            monkeypatch.setattr(Worker, "step", slow)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run)
                await stuck.three.wait()
                assert await anyio.to_thread.run_sync(renewing.wait, 20.0)
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    for _ in range(10):
                        await anyio.lowlevel.checkpoint()
                    renewed.set()
            assert (await batch.status()).counts["sending"] == 0
