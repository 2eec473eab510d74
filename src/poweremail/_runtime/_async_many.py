"""
Many calls at once, in the async twin: on anyio, asyncio and trio.

Theory of operation of `BoundedMap`. Three numbers must be bounded at once: the running calls, the
results that have not been collected, and the items that were pulled from the source ahead of time.
A semaphore with a task for each item bounds the first only, and pulls the whole source into memory.
Here *limit* workers each pull an item, call the function and append the result, in a loop. A worker
pulls an item only when it is free to use it, so no item waits in between. A worker that finds too
many uncollected results waits until one is collected.

The bound on calls and results together is one and a half times *limit*. If it were *limit*, a
worker whose result has not been collected could not go on. Responses often arrive together, and
then all workers would stop although there is work.

The invariant: ``_uncollected`` counts results and running calls, and each idle worker is in
``_idle``. If the pulling ends (by the end of the source, an error, or leaving the block), all idle
workers wake, and the last worker to end wakes the consumer.

The consumer and the workers wait by `Waiter`, which on asyncio is a future: a memory stream of
anyio costs several times as much per item. ``tests/runtime/test_many.py`` shows the bounds,
``tests/_async/test_send_many.py`` the rest.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, Generic, Self, TypeVar, cast

import anyio
from anyio.abc import TaskGroup

from poweremail._runtime._async import each, finish, waits
from poweremail._runtime._async_slots import Waiter, waiter

__all__ = ["BoundedMap", "Jobs", "Repeated"]

T = TypeVar("T")
R = TypeVar("R")


async def _leave(tasks: TaskGroup, *error: Any) -> None:
    """Leave the block of *tasks*: wait for them, or cancel them if the block is cancelled."""
    if isinstance(error[1], anyio.get_cancelled_exc_class()):
        await tasks.__aexit__(*error)
    else:
        # If the task group got an error of the block, it would wrap it in a group. So it does not
        # get it, and the error goes on unwrapped.
        await tasks.__aexit__(None, None, None)


class BoundedMap(Generic[T, R]):
    """
    Calls *function* with the index and the item of each item of *source*, at most *limit* at once;
    iterate over the results in the order in which the calls end.

    The source is pulled no faster than results are collected: while *limit* calls run, at most half
    as many results wait, and at least one may. Leaving the block early stops pulling, and waits for
    the calls that have begun. An error of the source is raised after the results of its items; an
    error of *function* is raised in place of its result.
    """

    def __init__(
        self,
        function: Callable[[int, T], Awaitable[R]],
        source: AsyncIterable[T] | Iterable[T],
        limit: int,
    ) -> None:
        self._function = function
        self._items = source
        self._limit = limit
        self._max_uncollected = limit + max(limit // 2, 1)
        self._uncollected = 0
        self._index = 0
        self._ended = False
        self._results: deque[tuple[R | None, Exception | None]] = deque()
        self._source_error: Exception | None = None

    async def __aenter__(self) -> Self:
        self._source = each(self._items)
        self._pulling: anyio.CancelScope | None = None
        self._pull_lock = anyio.Lock(fast_acquire=True)
        self._idle: deque[Waiter[None]] = deque()
        self._consumer: Waiter[None] | None = None
        self._workers = self._limit
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        for _ in range(self._limit):
            self._tasks.start_soon(self._work)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._end()
        if self._pulling is not None:
            self._pulling.cancel()
        try:
            await _leave(self._tasks, *error)
        finally:
            await finish(self._source)

    def __aiter__(self) -> BoundedMap[T, R]:
        return self

    async def __anext__(self) -> R:
        while not self._results:
            if not self._workers:
                end, self._source_error = self._source_error or StopAsyncIteration(), None
                raise end
            self._consumer = waiter()
            await self._consumer.wait()
        result, error = self._results.popleft()
        self._uncollected -= 1
        if self._idle:
            self._idle.popleft().notify()
        if error is not None:
            raise error
        return cast("R", result)

    async def _work(self) -> None:
        try:
            while not self._ended:
                if self._uncollected >= self._max_uncollected:
                    idle = waiter()
                    self._idle.append(idle)
                    await idle.wait()
                    continue
                self._uncollected += 1
                if not await self._call_next():
                    self._uncollected -= 1
        finally:
            self._workers -= 1
            self._wake_consumer()

    async def _call_next(self) -> bool:
        """Pull an item and call the function with it; return False if there was none."""
        try:
            item = await self._pull()
            index, self._index = self._index, self._index + 1
        except StopAsyncIteration:
            self._end()
            return False
        except Exception as error:  # noqa: BLE001  raised to the caller at the end, by __anext__
            self._source_error = error
            self._end()
            return False
        try:
            self._results.append((await self._function(index, item), None))
        except Exception as error:  # noqa: BLE001  raised by __anext__, in place of the result
            self._results.append((None, error))
        self._wake_consumer()
        return True

    async def _pull(self) -> T:
        if not waits(self._source):
            # No other task runs while the source is pulled, so there is nothing to lock.
            return await anext(self._source)
        async with self._pull_lock:
            # While this worker waited for the lock, another one may have found the end.
            if not self._ended:
                with anyio.CancelScope() as self._pulling:
                    return await anext(self._source)
        raise StopAsyncIteration

    def _end(self) -> None:
        self._ended = True
        for idle in self._idle:
            idle.notify()

    def _wake_consumer(self) -> None:
        if self._consumer is not None:
            self._consumer.notify()


class Jobs(Generic[T, R]):
    """
    Calls *function* with each item that is given to `start`; `ended` returns the results.

    *limit* is the number of calls that the caller makes at once; only the sync twin needs it. One
    task uses the object. Leaving its block waits for the calls that have begun; a cancelled block
    cancels them. `ended` raises an error of *function*.
    """

    def __init__(self, function: Callable[[T], Awaitable[R]], limit: int) -> None:  # noqa: ARG002
        self._function = function
        self._results: list[R] = []
        self._error: Exception | None = None
        self.under_way = 0

    async def __aenter__(self) -> Self:
        self._news = anyio.Event()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await _leave(self._tasks, *error)

    def start(self, item: T) -> None:
        """Begin to call *function* with *item*."""
        self.under_way += 1
        self._tasks.start_soon(self._call, item)

    async def ended(self, seconds: float, *, enough: int = 1, linger: float = 0.0) -> list[R]:
        """
        Wait up to *seconds* for a call to end, and *linger* seconds more, until *enough* have;
        return the results of those that have.
        """
        with anyio.move_on_after(seconds):
            await self._news.wait()
        with anyio.move_on_after(linger):
            while 0 < len(self._results) < enough and self._error is None:
                self._news = anyio.Event()
                await self._news.wait()
        if self._error is not None:
            raise self._error
        results, self._results, self._news = self._results, [], anyio.Event()
        self.under_way -= len(results)
        return results

    async def _call(self, item: T) -> None:
        try:
            result = await self._function(item)
            # The list is looked up after the call: `ended` may have replaced it meanwhile.
            self._results.append(result)
        except Exception as error:  # noqa: BLE001  raised to the caller, by ended
            self._error = error
        self._news.set()


class Repeated:
    """
    Calls *function* every *seconds* while its block runs. An error of it ends the block.

    ``seconds`` may be changed at any time; it holds from the next call on.
    """

    def __init__(self, function: Callable[[], Awaitable[None]], seconds: float) -> None:
        self._function = function
        self.seconds = seconds

    async def __aenter__(self) -> None:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._repeat)

    async def __aexit__(self, *_: object) -> None:
        # The task group does not get an error of the block, so that it goes on unwrapped.
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    async def _repeat(self) -> None:
        while True:
            await anyio.sleep(self.seconds)
            with anyio.CancelScope(shield=True):
                await self._function()
