"""Many calls at once, in the async twin: on anyio, asyncio and trio."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Generic, TypeVar, cast

import anyio

from poweremail._runtime._async import each, finish, waits
from poweremail._runtime._async_slots import Turn, turn

__all__ = ["BoundedMap", "Jobs", "Repeated", "together"]

T = TypeVar("T")
R = TypeVar("R")


class BoundedMap(Generic[T, R]):
    """
    Call *function* with index and item of each item of *source*, at most *limit* at once; iterate
    over the results as they come.

    The source is pulled by whoever is free to make a call, and no faster than results are taken:
    half as many results as calls, one at least, may wait beside the calls. So nothing piles up, and
    calls that end together need not wait until they have been taken. Leaving early stops pulling
    and waits for the calls that have begun. An error of the source is raised after the results of
    what it gave; an error of *function* is raised in place of its result.
    """

    def __init__(
        self,
        function: Callable[[int, T], Awaitable[R]],
        source: AsyncIterable[T] | Iterable[T],
        limit: int,
    ) -> None:
        self._function = function
        self._given = source
        self._limit = limit
        self._most_untaken = limit + max(limit // 2, 1)
        self._index = 0
        self._untaken = 0
        self._ended = False
        self._results: deque[tuple[R | None, Exception | None]] = deque()
        self._source_error: Exception | None = None

    async def __aenter__(self) -> BoundedMap[T, R]:
        self._source = each(self._given)
        self._pulling: anyio.CancelScope | None = None
        self._pull_lock = anyio.Lock(fast_acquire=True)
        self._idle: deque[Turn[None]] = deque()
        self._wanted: Turn[None] | None = None
        self._workers = self._limit
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        for _ in range(self._limit):
            self._tasks.start_soon(self._work)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        if self._pulling is not None:
            self._pulling.cancel()
        try:
            if kind is not None and issubclass(kind, anyio.get_cancelled_exc_class()):
                await self._tasks.__aexit__(kind, error, trace)
            else:
                # The task group would wrap the error of the body in a group of its own; it is
                # raised plainly by leaving.
                await self._tasks.__aexit__(None, None, None)
        finally:
            await finish(self._source)

    def __aiter__(self) -> BoundedMap[T, R]:
        return self

    async def __anext__(self) -> R:
        while not self._results:
            if not self._workers:
                end, self._source_error = self._source_error or StopAsyncIteration(), None
                raise end
            self._wanted = turn()
            await self._wanted.wait()
        result, error = self._results.popleft()
        self._untaken -= 1
        if self._idle:
            self._idle.popleft().let()
        if error is not None:
            raise error
        return cast("R", result)

    async def _work(self) -> None:
        try:
            while not self._ended:
                if self._untaken >= self._most_untaken:
                    mine = turn()
                    self._idle.append(mine)
                    await mine.wait()
                    continue
                self._untaken += 1
                if not await self._call_next():
                    self._untaken -= 1
        finally:
            self._workers -= 1
            self._tell()

    async def _call_next(self) -> bool:
        """Pull an item and call the function with it; False says that there was none."""
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
        except Exception as error:  # noqa: BLE001  raised to the caller in place of the result, by __anext__
            self._results.append((None, error))
        self._tell()
        return True

    async def _pull(self) -> T:
        if not waits(self._source):
            # No other task runs meanwhile.
            return await anext(self._source)
        async with self._pull_lock:
            # Another one's pull may have been the last.
            if not self._ended:
                with anyio.CancelScope() as self._pulling:
                    return await anext(self._source)
        raise StopAsyncIteration

    def _end(self) -> None:
        self._ended = True
        for idle in self._idle:
            idle.let()

    def _tell(self) -> None:
        if self._wanted is not None:
            self._wanted.let()


async def together(
    function: Callable[[T], Awaitable[R]],
    items: Iterable[T],
    limit: int,
    is_last: Callable[[R], bool],
) -> list[R | Exception]:
    """
    Call *function* with each of *items*, at most *limit* at once, and return in their order what it
    returned or raised.

    When a call has raised, or *is_last* says so of its result, no further one is begun.
    """
    done: list[R | Exception | None] = []
    rest = iter(items)
    ended = False

    async def work() -> None:
        nonlocal ended
        for item in rest:
            at = len(done)
            done.append(None)
            try:
                result = done[at] = await function(item)
                ended = ended or is_last(result)
            except Exception as error:  # noqa: BLE001  the caller's, in its place
                done[at] = error
                ended = True
            if ended:
                return

    async with anyio.create_task_group() as tasks:
        for _ in range(limit):
            tasks.start_soon(work)
    return cast("list[R | Exception]", done)


class Jobs(Generic[T, R]):
    """
    Call *function* with each item that is given to `start`; `ended` hands out what it returned.
    *limit* is how many there may be.

    It is used by one task. Leaving its block waits for the calls that have begun; a cancelled block
    cancels them. An error of *function* is raised by `ended`.
    """

    def __init__(self, function: Callable[[T], Awaitable[R]], limit: int) -> None:
        self._function = function
        self._limit = limit
        self._ended: list[R] = []
        self._error: Exception | None = None
        self.under_way = 0

    async def __aenter__(self) -> Jobs[T, R]:
        self._news = anyio.Event()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and issubclass(kind, anyio.get_cancelled_exc_class()):
            await self._tasks.__aexit__(kind, error, trace)
        else:
            # The task group would wrap the error of the body in a group of its own; it is raised
            # plainly by leaving.
            await self._tasks.__aexit__(None, None, None)

    def start(self, item: T) -> None:
        """Begin to call *function* with *item*."""
        self.under_way += 1
        self._tasks.start_soon(self._call, item)

    async def ended(self, seconds: float) -> list[R]:
        """
        Wait up to *seconds* for a call to end, and return what those returned that have ended.
        """
        with anyio.move_on_after(seconds):
            await self._news.wait()
        if self._error is not None:
            raise self._error
        ended, self._ended, self._news = self._ended, [], anyio.Event()
        self.under_way -= len(ended)
        return ended

    async def _call(self, item: T) -> None:
        try:
            result = await self._function(item)
            # The list is looked up after the wait: meanwhile it may have been handed out.
            self._ended.append(result)
        except Exception as error:  # noqa: BLE001  raised to the caller, by ended
            self._error = error
        self._news.set()


class Repeated:
    """
    Call *function* every so many *seconds* while its block lasts. What it raises ends the block.
    """

    def __init__(self, function: Callable[[], Awaitable[None]], seconds: float) -> None:
        self._function = function
        self._seconds = seconds

    async def __aenter__(self) -> None:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._repeat)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Whatever the block ended in goes on its way; the tasks have nothing to do with it.
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    async def _repeat(self) -> None:
        while True:
            await anyio.sleep(self._seconds)
            with anyio.CancelScope(shield=True):
                await self._function()
