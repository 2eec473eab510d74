"""A queue in which nobody is overtaken and no item is lost."""

from __future__ import annotations

import threading
import time

import anyio
import pytest

from poweremail._runtime import _async_slots, _sync_slots


async def test_the_item_released_last_is_acquired_first():
    made = iter("abc")
    slots = _async_slots.Slots[str](2, lambda: next(made))
    assert [await slots.acquire(None), await slots.acquire(None)] == ["a", "b"]
    slots.release("a")
    slots.release("b")
    assert [await slots.acquire(0), await slots.acquire(0)] == ["b", "a"]
    with pytest.raises(TimeoutError):
        await slots.acquire(0.01)
    slots.release("a")
    assert await slots.acquire(0) == "a"
    assert next(made) == "c"


async def test_the_queue_is_kept_and_a_waiter_that_leaves_takes_no_item_along():
    slots, got = _async_slots.Slots[int](1, int), []
    await slots.acquire(None)
    scopes = []

    async def wait(number: int) -> None:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            item = await slots.acquire(None)
            got.append(number)
            slots.release(item)

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(wait, number)
            await anyio.wait_all_tasks_blocked()
        scopes[1].cancel()
        await anyio.wait_all_tasks_blocked()
        slots.release(7)
        # Notified in the moment in which it is cancelled: it is served, or passes the item on.
        scopes[0].cancel()
    assert [number for number in got if number] == [2, 3]
    assert await slots.acquire(0) == 7


async def test_an_item_released_as_the_timeout_ends_is_not_lost():
    slots, got = _async_slots.Slots[int](1, int), []
    await slots.acquire(None)

    async def wait() -> None:
        try:
            got.append(await slots.acquire(0.01))
        except TimeoutError:
            got.append(await slots.acquire(0))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        time.sleep(0.02)  # noqa: ASYNC251  the loop is to find the timeout over and the waiter notified at once
        slots.release(3)
    assert got == [3]
    slots.release(3)
    assert await slots.acquire(0) == 3


async def test_each_wait_ends_in_its_own_time():
    slots, ended, got = _async_slots.Slots[int](1, int), [], []
    await slots.acquire(None)

    async def wait(seconds: float | None) -> None:
        began = time.monotonic()
        try:
            got.append(await slots.acquire(seconds))
        except TimeoutError:
            ended.append((seconds, time.monotonic() - began >= seconds))

    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as limited:
                tasks.start_soon(wait, None)
                for seconds in (0.2, 0.05, 0.1):
                    limited.start_soon(wait, seconds)
        slots.release(7)
    assert sorted(ended) == [(0.05, True), (0.1, True), (0.2, True)]
    assert got == [7]


def test_threads_are_served_in_order():
    slots, got = _sync_slots.Slots[int](1, int), []
    slots.acquire(None)
    threads = []
    for number in range(5):
        threads.append(
            threading.Thread(target=lambda number=number: got.append((number, slots.acquire(5))))
        )
        threads[-1].start()
        while len(slots._queue) <= number:
            time.sleep(0.001)
    with pytest.raises(TimeoutError):
        slots.acquire(0.01)
    for number in range(5):
        slots.release(number)
        threads[number].join()
    assert got == [(number, number) for number in range(5)]
