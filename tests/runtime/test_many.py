"""Calls that end together go on together, and nothing piles up where nobody takes their results."""

from __future__ import annotations

import threading

import anyio
import pytest

from poweremail._runtime._async_many import BoundedMap, Jobs
from poweremail._runtime._sync_many import Jobs as JobsOnThreads


@pytest.mark.parametrize(("limit", "most"), [(1, 2), (4, 6), (8, 12)])
async def test_at_most_half_as_many_results_as_calls_wait_to_be_consumed(limit, most):
    begun = []

    async def call(index, item):
        begun.append(index)
        return item

    async with BoundedMap(call, range(100), limit) as results:
        await anyio.wait_all_tasks_blocked()
        assert begun == list(range(most))
        for taken in range(1, 10):
            await anext(results)
            await anyio.wait_all_tasks_blocked()
            assert len(begun) == most + taken


async def test_results_that_end_soon_after_the_first_are_collected_with_it():
    events = [anyio.Event() for _ in range(4)]

    async def call(number):
        await events[number].wait()
        return number

    async with Jobs(call, 4) as jobs, anyio.create_task_group() as tasks:
        for number in range(4):
            jobs.start(number)
        assert await jobs.ended(0.0, enough=2, linger=60.0) == []
        events[0].set()

        async def end_another():
            await anyio.wait_all_tasks_blocked()
            events[1].set()

        tasks.start_soon(end_another)
        # It ends with the second one, not after a minute.
        assert await jobs.ended(60.0, enough=2, linger=60.0) == [0, 1]
        events[2].set()
        assert await jobs.ended(60.0, enough=2, linger=0.01) == [2]
        events[3].set()
        assert await jobs.ended(60.0) == [3]
        assert jobs.under_way == 0


def test_results_that_end_soon_after_the_first_are_collected_with_it_on_threads():
    events = [threading.Event() for _ in range(4)]

    def call(number):
        events[number].wait()
        if number == 0:
            events[1].set()
        return number

    with JobsOnThreads(call, 4) as jobs:
        for number in range(4):
            jobs.start(number)
        assert jobs.ended(0.0, enough=2, linger=60.0) == []
        events[0].set()
        assert sorted(jobs.ended(60.0, enough=2, linger=60.0)) == [0, 1]
        events[2].set()
        assert jobs.ended(60.0, enough=2, linger=0.01) == [2]
        events[3].set()
        assert jobs.ended(60.0) == [3]
        assert jobs.under_way == 0
