"""The async twin, on anyio: asyncio and trio."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Generator, Iterable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Generic, TypeVar, TypeVarTuple, cast
from weakref import WeakKeyDictionary

import anyio
import anyio.abc
import anyio.lowlevel
import anyio.to_thread

__all__ = [
    "AtEnd",
    "BoundedMap",
    "FairLock",
    "Jobs",
    "Repeated",
    "ThreadLock",
    "each",
    "finish",
    "in_thread",
    "sleep",
    "uninterrupted",
    "world",
]

T = TypeVar("T")
R = TypeVar("R")
Arguments = TypeVarTuple("Arguments")


async def sleep(seconds: float) -> None:
    """Wait *seconds*."""
    await anyio.sleep(seconds)


async def in_thread(function: Callable[[*Arguments], R], *args: *Arguments) -> R:
    """
    Call *function*, which may block, without holding up the other tasks.

    A cancel scope that is cancelled waits until it has returned. A task that asyncio itself cancels does not: the function runs on.
    """
    return await anyio.to_thread.run_sync(function, *args)


def world() -> object:
    """Return what the connections of this moment belong to: they must not outlive it, nor be used in another."""
    return (os.getpid(), anyio.lowlevel.current_token())


class ThreadLock:
    """Guards state that is atomic between two awaits, but not between two threads: here there is nothing to guard."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None


class FairLock:
    """
    A lock that is passed on in the order in which it was asked for; who is cancelled leaves the line.

    Each run of an event loop has a line of its own, so that one object serves several.
    """

    async def __aenter__(self) -> None:
        await self._lock().acquire()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock().release()

    @property
    def queued(self) -> int:
        """How many have the lock or wait for it."""
        statistics = self._lock().statistics()
        return statistics.locked + statistics.tasks_waiting

    def _lock(self) -> anyio.Lock:
        locks = _locks.get(None)
        if locks is None:
            locks = WeakKeyDictionary()
            _locks.set(locks)
        lock = locks.get(self)
        if lock is None:
            # A lock that is free is taken without letting another task run first, which costs more than the lock.
            lock = locks[self] = anyio.Lock(fast_acquire=True)
        return lock


_locks: anyio.lowlevel.RunVar[WeakKeyDictionary[FairLock, anyio.Lock]] = anyio.lowlevel.RunVar("poweremail_locks")


class AtEnd:
    """
    Have *close* awaited before the world ends, should nobody have done so: `asyncio.run` and `trio.run` close the async generators
    that are still open, and this keeps one open for them.
    """

    def __init__(self, close: Callable[[], Awaitable[None]]) -> None:
        self._close = close
        self._waiting: AsyncGenerator[None, None] | None = None

    async def arm(self) -> None:
        """Begin to wait for the end."""
        self._waiting = self._wait()
        await anext(self._waiting)

    async def disarm(self) -> None:
        """Close now."""
        if self._waiting is not None:
            await self._waiting.aclose()

    async def _wait(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            await self._close()


class BoundedMap(Generic[T, R]):
    """
    Call *function* with index and item of each item of *source*, at most *limit* at once; iterate over the results as they come.

    The source is pulled by one task, and no faster than results are taken: nothing piles up. Leaving early stops pulling and waits
    for the calls that have begun. An error of the source is raised after the results of what it gave; an error of *function* is
    raised in place of its result.
    """

    def __init__(self, function: Callable[[int, T], Awaitable[R]], source: AsyncIterable[T] | Iterable[T], limit: int) -> None:
        self._function = function
        self._source = source
        self._limit = limit
        self._source_error: Exception | None = None

    async def __aenter__(self) -> BoundedMap[T, R]:
        # The streams are made outside the task group and cloned before a task starts, so that none is closed too early.
        send_items, items = anyio.create_memory_object_stream[tuple[int, T]](0)
        results, self._results = anyio.create_memory_object_stream[tuple[R | None, Exception | None]](0)
        self._feeding = anyio.CancelScope()
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        with items, results:
            self._tasks.start_soon(self._feed, send_items)
            for _ in range(self._limit):
                self._tasks.start_soon(self._work, items.clone(), results.clone())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._feeding.cancel()
        self._results.close()
        if kind is not None and issubclass(kind, anyio.get_cancelled_exc_class()):
            await self._tasks.__aexit__(kind, error, trace)
        else:
            # The task group would wrap the error of the body in a group of its own; it is raised plainly by leaving.
            await self._tasks.__aexit__(None, None, None)

    def __aiter__(self) -> BoundedMap[T, R]:
        return self

    async def __anext__(self) -> R:
        try:
            result, error = await self._results.receive()
        except (anyio.EndOfStream, anyio.ClosedResourceError):
            result, error = None, self._source_error or StopAsyncIteration()
            self._source_error = None
        if error is not None:
            raise error
        return cast("R", result)

    async def _feed(self, items: anyio.abc.ObjectSendStream[tuple[int, T]]) -> None:
        async with items:
            with self._feeding:
                source = each(self._source)
                index = 0
                try:
                    while True:
                        try:
                            item = await anext(source)
                        except StopAsyncIteration:
                            return
                        except Exception as error:  # noqa: BLE001  raised to the caller at the end, by __anext__
                            self._source_error = error
                            return
                        await items.send((index, item))
                        index += 1
                finally:
                    await finish(source)

    async def _work(
        self,
        items: anyio.abc.ObjectReceiveStream[tuple[int, T]],
        results: anyio.abc.ObjectSendStream[tuple[R | None, Exception | None]],
    ) -> None:
        async with items, results:
            async for index, item in items:
                try:
                    outcome: tuple[R | None, Exception | None] = (await self._function(index, item), None)
                except Exception as error:  # noqa: BLE001  raised to the caller in place of the result, by __anext__
                    outcome = (None, error)
                try:
                    await results.send(outcome)
                except anyio.BrokenResourceError:
                    # The caller has left; what was in flight has finished.
                    return


class Jobs(Generic[T, R]):
    """
    Call *function* with each item that is given to `start`; `ended` hands out what it returned. *limit* is how many there may be.

    It is used by one task. Leaving its block waits for the calls that have begun; a cancelled block cancels them. An error of
    *function* is raised by `ended`.
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

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is not None and issubclass(kind, anyio.get_cancelled_exc_class()):
            await self._tasks.__aexit__(kind, error, trace)
        else:
            # The task group would wrap the error of the body in a group of its own; it is raised plainly by leaving.
            await self._tasks.__aexit__(None, None, None)

    def start(self, item: T) -> None:
        """Begin to call *function* with *item*."""
        self.under_way += 1
        self._tasks.start_soon(self._call, item)

    async def ended(self, seconds: float) -> list[R]:
        """Wait up to *seconds* for a call to end, and return what those returned that have ended."""
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
    """Call *function* every so many *seconds* while its block lasts. What it raises ends the block."""

    def __init__(self, function: Callable[[], Awaitable[None]], seconds: float) -> None:
        self._function = function
        self._seconds = seconds

    async def __aenter__(self) -> None:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._repeat)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        # Whatever the block ended in goes on its way; the tasks have nothing to do with it.
        self._tasks.cancel_scope.cancel()
        await self._tasks.__aexit__(None, None, None)

    async def _repeat(self) -> None:
        while True:
            await anyio.sleep(self._seconds)
            with anyio.CancelScope(shield=True):
                await self._function()


def uninterrupted() -> AbstractContextManager[object]:
    """A block that a cancellation does not break off: it takes effect at the end."""
    return anyio.CancelScope(shield=True)


class _FromIterable(Generic[T]):
    def __init__(self, source: Iterable[T]) -> None:
        self.source = iter(source)

    def __aiter__(self) -> _FromIterable[T]:
        return self

    async def __anext__(self) -> T:
        for item in self.source:
            return item
        raise StopAsyncIteration


async def finish(source: AsyncIterator[T]) -> None:
    """Close what `each` returned, where a generator is behind it: one that is left early would stay open."""
    behind = source.source if isinstance(source, _FromIterable) else source
    if isinstance(behind, AsyncGenerator):
        await behind.aclose()
    elif isinstance(behind, Generator):
        behind.close()


def each(source: AsyncIterable[T] | Iterable[T]) -> AsyncIterator[T]:
    """Iterate over *source*, whichever kind it is."""
    return aiter(source) if isinstance(source, AsyncIterable) else _FromIterable(source)
