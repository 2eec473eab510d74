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
directly, and a cancel scope around each wait costs several times as much as the future that
`_LoopWaiter` uses on asyncio, with one `Alarm` for all. Nothing here needs a lock, since no state
changes across an await.

``tests/runtime/test_slots.py`` shows the order, the limit, and that no item is lost when a timeout
or a cancellation meets a notification.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from contextvars import Context
from time import monotonic
from typing import Any, Generic, TypeVar

import anyio

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
        self._alarm = Alarm(self._end_waits)

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
            if timeout is None:
                return await queued.wait()
            return await queued.wait_until(monotonic() + timeout, self._alarm)
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

    def _end_waits(self) -> None:
        now = monotonic()
        for queued in self._queue:
            if queued.ends <= now:
                queued.end()
            else:
                self._alarm.ring_by(queued.ends)


class Waiter(Generic[T]):
    """
    A single-use waiter: one task waits, `notify` wakes it with an *item*. Make one by `waiter`.

    ``ready`` says whether it has been notified, ``ends`` when to `end` its wait, at the latest.
    """

    ends: float = math.inf

    def __init__(self) -> None:
        self.ready = False
        self.item: T | None = None
        self._event = anyio.Event()

    async def wait(self) -> T:
        """Wait to be notified, and return the item."""
        await self._event.wait()
        return self.item  # type: ignore[return-value]

    async def wait_until(self, time: float, alarm: Alarm) -> T:  # noqa: ARG002
        """
        Do the same, but raise TimeoutError at *time*, on the monotonic clock. On asyncio *alarm*,
        which then goes off, has to `end` the wait.
        """
        with anyio.fail_after(time - monotonic()):
            return await self.wait()

    def notify(self, item: T | None = None) -> None:
        """Wake the task that waits."""
        self.ready, self.item = True, item
        self.end()

    def end(self) -> None:
        """End the wait."""
        self._event.set()


class Alarm:
    """
    Calls *ring* in time, on asyncio; one for many waits.

    Hardly any wait takes as long as it may, and a timer for each would be set and cancelled for
    nothing. So an alarm goes off when the first of them could be over, and *ring* sets it again for
    those that are not.
    """

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._rings = math.inf

    def ring_by(self, time: float) -> None:
        """Go off at *time*, on the monotonic clock, at the latest."""
        if time < self._rings:
            self.stop()
            self._rings = time
            # The context of the caller has the mail, which would be kept as long as the timer.
            self._timer = asyncio.get_running_loop().call_later(
                time - monotonic(), self._go_off, context=Context()
            )

    def stop(self) -> None:
        """Do not go off."""
        if self._timer is not None:
            self._timer.cancel()
        self._rings = math.inf

    def _go_off(self) -> None:
        self._rings = math.inf
        self._ring()


class _LoopWaiter(Waiter[T]):
    """A `Waiter` on asyncio, made of a future, which is several times as fast."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.ready = False
        self.item = None
        self._ended = loop.create_future()

    async def wait(self) -> T:
        await self._ended
        if not self.ready:
            raise TimeoutError
        return self.item  # type: ignore[return-value]

    async def wait_until(self, time: float, alarm: Alarm) -> T:
        self.ends = time
        alarm.ring_by(time)
        return await self.wait()

    def end(self) -> None:
        if not self._ended.done():
            self._ended.set_result(None)


def waiter() -> Waiter[Any]:
    """Return a new waiter for this event loop."""
    try:
        return _LoopWaiter(asyncio.get_running_loop())
    except RuntimeError:
        return Waiter()
