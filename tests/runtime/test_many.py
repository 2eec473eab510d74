"""Calls that end together go on together, and nothing piles up where nobody takes their results."""

from __future__ import annotations

import anyio
import pytest

from poweremail._runtime._async_many import BoundedMap


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
