"""A line in which nobody is walked past and nothing is lost, and a time limit that can be moved."""

from __future__ import annotations

import threading
import time

import anyio
import pytest

from poweremail._runtime import _async, _async_slots, _sync, _sync_slots


async def test_what_was_given_back_last_is_taken_first():
    slots = _async_slots.Slots[str](2)
    assert [await slots.take(None), await slots.take(None)] == [None, None]
    slots.give("a")
    slots.give("b")
    assert [await slots.take(0), await slots.take(0)] == ["b", "a"]
    with pytest.raises(TimeoutError):
        await slots.take(0.01)
    slots.give(None)
    assert await slots.take(0) is None


async def test_the_line_is_kept_and_who_leaves_it_takes_nothing_along():
    slots, got = _async_slots.Slots[int](1), []
    await slots.take(None)
    scopes = []

    async def wait(number: int) -> None:
        with anyio.CancelScope() as scope:
            scopes.append(scope)
            thing = await slots.take(None)
            got.append(number)
            slots.give(thing)

    async with anyio.create_task_group() as tasks:
        for number in range(4):
            tasks.start_soon(wait, number)
            await anyio.wait_all_tasks_blocked()
        scopes[1].cancel()
        await anyio.wait_all_tasks_blocked()
        slots.give(7)
        # Its turn has come at the moment in which it is cancelled: it is served, or passes it on.
        scopes[0].cancel()
    assert [number for number in got if number] == [2, 3]
    assert await slots.take(0) == 7


async def test_a_turn_that_comes_as_its_time_ends_is_not_lost():
    slots, got = _async_slots.Slots[int](1), []
    await slots.take(None)

    async def wait() -> None:
        try:
            got.append(await slots.take(0.01))
        except TimeoutError:
            got.append(await slots.take(0))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        time.sleep(0.02)  # noqa: ASYNC251  the loop is to find the time over and the turn come at once
        slots.give(3)
    assert got == [3]
    slots.give(3)
    assert await slots.take(0) == 3


def test_threads_stand_in_line():
    slots, got = _sync_slots.Slots[int](1), []
    slots.take(None)
    threads = []
    for number in range(5):
        threads.append(
            threading.Thread(target=lambda number=number: got.append((number, slots.take(5))))
        )
        threads[-1].start()
        while len(slots._line) <= number:
            time.sleep(0.001)
    with pytest.raises(TimeoutError):
        slots.take(0.01)
    for number in range(5):
        slots.give(number)
        threads[number].join()
    assert got == [(number, number) for number in range(5)]


async def test_a_deadline_can_be_moved():
    async def never() -> None:
        raise AssertionError("a task is cancelled")

    with pytest.raises(TimeoutError):
        async with _async.Deadline(never) as deadline:
            deadline.move(60)
            deadline.move(0.01)
            await anyio.sleep_forever()
    async with _async.Deadline(never) as deadline:
        deadline.move(0.01)
        deadline.move(None)
        await anyio.sleep(0.05)
    with pytest.raises(LookupError):
        async with _async.Deadline(never) as deadline:
            raise LookupError


def test_a_deadline_makes_a_thread_fail():
    expired = threading.Event()
    with pytest.raises(TimeoutError):
        with _sync.Deadline(expired.set) as deadline:
            deadline.move(60)
            deadline.move(0.01)
            expired.wait(5)
            raise LookupError("what expire made of it")
    with _sync.Deadline(expired.clear) as deadline:
        deadline.move(0.01)
        deadline.move(None)
        time.sleep(0.05)
    assert expired.is_set()
    with pytest.raises(LookupError):
        with _sync.Deadline(expired.clear) as deadline:
            deadline.move(60)
            raise LookupError
    # What was finished in time is finished, though late.
    with _sync.Deadline(lambda: None) as deadline:
        deadline.move(0)
        time.sleep(0.02)
