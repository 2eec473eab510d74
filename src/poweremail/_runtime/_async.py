"""The async twin, on anyio: asyncio and trio."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
)
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Generic, Self, TypeVar, TypeVarTuple
from weakref import WeakKeyDictionary

import anyio
import anyio.lowlevel
import anyio.to_thread

from poweremail.errors import UsageError

__all__ = [
    "AtEnd",
    "Deadline",
    "FairLock",
    "ThreadLock",
    "cancellable",
    "check_world",
    "each",
    "finish",
    "in_thread",
    "shielded",
    "sleep",
    "waits",
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

    A cancel scope that is cancelled waits until it has returned. A task that asyncio itself cancels
    does not: the function runs on.
    """
    return await anyio.to_thread.run_sync(function, *args)


def shielded() -> AbstractContextManager[object]:
    """
    Return a block that is not cancelled: for what must be closed although the world comes to its
    end.
    """
    return anyio.CancelScope(shield=True)


def world() -> object:
    """
    Return what the connections of this moment belong to: they must not outlive it, nor be used in
    another.
    """
    try:
        # The quick way, where it leads somewhere. A process that was forked has no running loop
        # until it makes one.
        return asyncio.get_running_loop()
    except RuntimeError:
        return (os.getpid(), anyio.lowlevel.current_token())


def check_world(engine: str) -> None:
    """Raise `UsageError` where *engine*, which runs on asyncio alone, cannot run: on trio."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        advice = "on trio, take transport='httpx' or 'httpx2'"
        raise UsageError(
            f"{engine} runs on asyncio only", field="transport", advice=advice
        ) from None


class ThreadLock:
    """
    Guards state that is atomic between two awaits, but not between two threads: here there is
    nothing to guard.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class FairLock:
    """
    A lock that is passed on in the order in which it was asked for; who is cancelled leaves the
    line.

    Each run of an event loop has a line of its own, so that one object serves several.
    """

    async def __aenter__(self) -> None:
        await self._lock().acquire()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
            # A lock that is free is taken without letting another task run first, which costs more
            # than the lock.
            lock = locks[self] = anyio.Lock(fast_acquire=True)
        return lock


_locks: anyio.lowlevel.RunVar[WeakKeyDictionary[FairLock, anyio.Lock]] = anyio.lowlevel.RunVar(
    "poweremail_locks"
)


class Deadline:
    """
    A block that ends with a TimeoutError when its time is over; `move` sets the time anew. *expire*
    is for the other world.

    At first it has no end.
    """

    def __init__(self, expire: Callable[[], Awaitable[None]]) -> None:  # noqa: ARG002  the twin needs it
        self._scope = anyio.CancelScope()

    def move(self, seconds: float | None) -> None:
        """From this moment on, leave *seconds*; None leaves all the time in the world."""
        self._scope.deadline = math.inf if seconds is None else anyio.current_time() + seconds

    async def __aenter__(self) -> Self:
        self._scope.__enter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._scope.__exit__(kind, error, trace) and self._scope.cancelled_caught:
            raise TimeoutError


class cancellable:  # noqa: N801  reads as an adjective: async with cancellable(): ...
    """
    A block around an engine that raises a cancellation of its own making: a cancel scope would not
    know it for its own.

    What was cancelled by asyncio itself goes on as it came.
    """

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None and issubclass(kind, anyio.get_cancelled_exc_class()):
            # Raises the scope's own, where there is one.
            await anyio.lowlevel.checkpoint_if_cancelled()


class AtEnd:
    """
    Have *close* awaited before the world ends, should nobody have done so: `asyncio.run` and
    `trio.run` close the async generators that are still open, and this keeps one open for them.
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


class _FromIterable(Generic[T]):
    def __init__(self, source: Iterable[T]) -> None:
        self.source = iter(source)

    def __aiter__(self) -> _FromIterable[T]:
        return self

    async def __anext__(self) -> T:
        for item in self.source:
            return item
        raise StopAsyncIteration


def waits(source: AsyncIterator[T]) -> bool:
    """
    Say whether the next item of what `each` returned may be waited for, while other tasks run.
    """
    return not isinstance(source, _FromIterable)


async def finish(source: AsyncIterator[T]) -> None:
    """
    Close what `each` returned, where a generator is behind it: one that is left early would stay
    open.
    """
    behind = source.source if isinstance(source, _FromIterable) else source
    if isinstance(behind, AsyncGenerator):
        await behind.aclose()
    elif isinstance(behind, Generator):
        behind.close()


def each(source: AsyncIterable[T] | Iterable[T]) -> AsyncIterator[T]:
    """Iterate over *source*, whichever kind it is."""
    return aiter(source) if isinstance(source, AsyncIterable) else _FromIterable(source)
