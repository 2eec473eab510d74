"""
A bounded pool and its queue, in the async twin: on anyio, asyncio and trio.

Theory of operation. A client may have hundreds of callers and twenty connections, so most requests
wait for one. The work of a pool for each request must therefore not grow with the number of
waiters: httpx and httpcore examine every waiting request whenever one ends, which with 500 callers
takes more time than all the sending.

- A `Slots` makes at most *limit* items. It keeps those that are free, and a queue of waiters.
- ``acquire`` returns a free item, the one released last, because its connection is the freshest; or
  makes one; or appends a waiter to the queue.
- ``release`` hands the item directly to the first waiter. It is never free in between, so a caller
  that arrives at that moment cannot overtake.

The invariant: as long as the queue has a waiter, no item is free. An item is either free, held by a
caller, or in a waiter that has been notified. The item of a notified waiter is easily lost: the
waiter may time out, or its task may be cancelled, in the same step of the loop in which it is
notified. ``acquire`` then finds the waiter ready, and releases the item again.

Why not ``anyio.Semaphore`` or ``asyncio.Queue``: they hold no item, or do not hand it over
directly, and a cancel scope around each wait costs several times as much as the future and the
timer that `_LoopWaiter` uses on asyncio. Nothing here needs a lock, since no state changes across
an await.

``tests/runtime/test_slots.py`` shows the order, the limit, and that no item is lost when a timeout
or a cancellation meets a notification.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import anyio

__all__ = ["Slots", "Waiter", "waiter"]

T = TypeVar("T")


class Slots(Generic[T]):
    """
    A pool of at most *limit* items, made by *make*; waiters are served first come, first served.

    An item is a resource that has one user at a time, such as a connection. A pool belongs to one
    event loop.
    """

    def __init__(self, limit: int, make: Callable[[], T]) -> None:
        self._limit = limit
        self._made = 0
        self._make = make
        self._free: list[T] = []
        self._queue: deque[Waiter[T]] = deque()

    @property
    def queued(self) -> int:
        """The number of tasks that have an item or wait for one."""
        return self._made - len(self._free) + len(self._queue)

    async def acquire(self, timeout: float | None) -> T:  # noqa: ASYNC109  a cancel scope costs more
        """
        Return an item; `release` it afterwards.

        Raises TimeoutError if none becomes free within *timeout* seconds.
        """
        if self._free:
            return self._free.pop()
        if self._made < self._limit:
            self._made += 1
            return self._make()
        queued: Waiter[T] = waiter()
        self._queue.append(queued)
        try:
            return await queued.wait(timeout)
        except BaseException:
            if queued.ready:
                # It was notified in the same step of the loop in which its wait ended.
                self.release(queued.item)  # type: ignore[arg-type]
            else:
                self._queue.remove(queued)
            raise

    def release(self, item: T) -> None:
        """Give *item* to the first waiter, or keep it."""
        if self._queue:
            self._queue.popleft().notify(item)
        else:
            self._free.append(item)


class Waiter(Generic[T]):
    """
    A single-use waiter: one task waits, `notify` wakes it with an *item*. Make one by `waiter`.

    ``ready`` says whether it has been notified.
    """

    def __init__(self) -> None:
        self.ready = False
        self.item: T | None = None
        self._event = anyio.Event()

    async def wait(self, timeout: float | None = None) -> T:  # noqa: ASYNC109
        """Wait to be notified, and return the item. Raises TimeoutError after *timeout* seconds."""
        if timeout is None:
            await self._event.wait()
        else:
            with anyio.fail_after(timeout):
                await self._event.wait()
        return self.item  # type: ignore[return-value]

    def notify(self, item: T | None = None) -> None:
        """Wake the task that waits."""
        self.ready, self.item = True, item
        self._event.set()


class _LoopWaiter(Waiter[T]):
    """A `Waiter` on asyncio, made of a future and a timer, which is several times as fast."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ready = False
        self.item = None
        self._loop = loop
        self._ended = loop.create_future()

    async def wait(self, timeout: float | None = None) -> T:  # noqa: ASYNC109
        timer = None if timeout is None else self._loop.call_later(timeout, self._end)
        try:
            await self._ended
        finally:
            if timer is not None:
                timer.cancel()
        if not self.ready:
            raise TimeoutError
        return self.item  # type: ignore[return-value]

    def notify(self, item: T | None = None) -> None:
        self.ready, self.item = True, item
        self._end()

    def _end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


def waiter() -> Waiter[Any]:
    """Return a new waiter for this event loop."""
    try:
        return _LoopWaiter(asyncio.get_running_loop())
    except RuntimeError:
        return Waiter()
