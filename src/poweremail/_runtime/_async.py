"""The async twin, on anyio: asyncio and trio."""

from __future__ import annotations

import asyncio
import os
from asyncio import _get_running_loop
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterable,
    Iterator,
)
from contextlib import AbstractContextManager, contextmanager
from typing import Generic, TypeVar, TypeVarTuple
from weakref import WeakKeyDictionary

import anyio
import anyio.lowlevel
import anyio.to_thread

from poweremail._runtime._async_slots import Slots

__all__ = [
    "AtScopeEnd",
    "FairLock",
    "ThreadLock",
    "connection_scope",
    "each",
    "finish",
    "in_thread",
    "quick_connection_scope",
    "read_in_thread",
    "shielded",
    "sleep",
    "time_limit",
    "waits",
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


_MAX_READS = 40
"""As many as `in_thread` calls functions at once."""

_readers: anyio.lowlevel.RunVar[anyio.CapacityLimiter] = anyio.lowlevel.RunVar("poweremail_readers")


async def read_in_thread(function: Callable[[*Arguments], R], *args: *Arguments) -> R:
    """
    Do the same with a *function* that only reads, and that may hang: a scope that is cancelled does
    not wait for it, and it takes no thread from `in_thread`.
    """
    limiter = _readers.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(_MAX_READS)
        _readers.set(limiter)
    return await anyio.to_thread.run_sync(function, *args, abandon_on_cancel=True, limiter=limiter)


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Cancel the block after *seconds* and raise TimeoutError. With None it has no limit."""
    with anyio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        raise TimeoutError(f"it took more than {seconds:g} s")


def shielded() -> AbstractContextManager[object]:
    """Return a block that is not cancelled, for closing connections although the loop is ending."""
    return anyio.CancelScope(shield=True)


def connection_scope() -> object:
    """
    Return the scope of connections that are made now: the event loop.

    They must not outlive it, nor be used in another one.
    """
    try:
        # A forked process has no running loop until it makes one, so it needs no process id.
        return asyncio.get_running_loop()
    except RuntimeError:
        return (os.getpid(), anyio.lowlevel.current_token())


quick_connection_scope = _get_running_loop
"""
The same, but faster, since every send calls it: None on trio, where `connection_scope` has to be
called.

asyncio exports the function for the implementations of loops (``asyncio/events.py``). Unlike
``get_running_loop`` it does not raise, and it is written in C.
"""


class ThreadLock:
    """
    Guards state that is atomic between two awaits, but not between two threads.

    Here there is nothing to guard.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


class FairLock:
    """
    A lock whose waiters are served first come, first served; one that is cancelled leaves the
    queue.

    Each event loop has a queue of its own, so that one object serves several.
    """

    async def __aenter__(self) -> None:
        await self._pool().acquire(None)

    async def __aexit__(self, *_: object) -> None:
        self._pool().release(None)

    @property
    def queued(self) -> int:
        """The number of tasks that have the lock or wait for it."""
        return self._pool().queued

    def _pool(self) -> Slots[None]:
        pools = _pools.get(None)
        if pools is None:
            pools = WeakKeyDictionary()
            _pools.set(pools)
        return pools.get(self) or pools.setdefault(self, Slots(1, lambda: None))


_pools: anyio.lowlevel.RunVar[WeakKeyDictionary[FairLock, Slots[None]]] = anyio.lowlevel.RunVar(
    "poweremail_pools"
)


class AtScopeEnd:
    """
    Awaits *close* when the event loop ends, unless `close_now` was called before.

    An event loop has no hook for its end, with one exception: `asyncio.run` and `trio.run` close
    the async generators that are still open. So this keeps one open, whose ``finally`` closes.
    """

    def __init__(self, close: Callable[[], Awaitable[None]]) -> None:
        self._close = close
        self._generator: AsyncGenerator[None, None] | None = None

    async def arm(self) -> None:
        """Start waiting for the end."""
        self._generator = self._wait()
        await anext(self._generator)

    async def close_now(self) -> None:
        """Close before the end."""
        if self._generator is not None:
            await self._generator.aclose()

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


def each(source: AsyncIterable[T] | Iterable[T]) -> AsyncIterator[T]:
    """Iterate over *source*, whichever kind it is."""
    return aiter(source) if isinstance(source, AsyncIterable) else _FromIterable(source)


def waits(source: AsyncIterator[T]) -> bool:
    """Return whether other tasks may run while the next item of an `each` is awaited."""
    return not isinstance(source, _FromIterable)


async def finish(source: AsyncIterator[T]) -> None:
    """Close the generator behind an `each`, if there is one: left early, it would stay open."""
    behind = source.source if isinstance(source, _FromIterable) else source
    if isinstance(behind, AsyncGenerator):
        await behind.aclose()
    elif isinstance(behind, Generator):
        behind.close()
