"""
A bounded pool and its queue, in the sync twin: for threads.

It works as its async twin does, whose module explains it. A waiter is a lock that is held until it
is notified, because waiting for a lock can be interrupted by Ctrl-C. One more lock guards the state
of the pool.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Slots(Generic[T]):
    """
    A pool of at most *limit* items, made by *make*; waiters are served first come, first served.

    An item is a resource that has one user at a time, such as a connection.
    """

    def __init__(self, limit: int, make: Callable[[], T]) -> None:
        self._limit = limit
        self._made = 0
        self._make = make
        self._free: list[T] = []
        self._queue: deque[_Waiter[T]] = deque()
        self._lock = threading.Lock()

    @property
    def queued(self) -> int:
        """The number of threads that have an item or wait for one."""
        with self._lock:
            return self._made - len(self._free) + len(self._queue)

    def acquire(self, timeout: float | None) -> T:
        """
        Return an item; `release` it afterwards.

        Raises TimeoutError if none becomes free within *timeout* seconds.
        """
        with self._lock:
            if self._free:
                return self._free.pop()
            if self._made < self._limit:
                self._made += 1
                return self._make()
            queued = _Waiter[T]()
            self._queue.append(queued)
        notified = False
        try:
            seconds = -1 if timeout is None else min(timeout, threading.TIMEOUT_MAX)
            notified = queued.gate.acquire(timeout=seconds)
        finally:
            if not notified:
                self._leave(queued)
        if not notified:
            raise TimeoutError
        return queued.item

    def release(self, item: T) -> None:
        """Give *item* to the first waiter, or keep it."""
        with self._lock:
            if self._queue:
                queued = self._queue.popleft()
                queued.item = item
                queued.gate.release()
            else:
                self._free.append(item)

    def _leave(self, queued: _Waiter[T]) -> None:
        with self._lock:
            waiting = queued in self._queue
            if waiting:
                self._queue.remove(queued)
        if not waiting:
            # It was notified between the end of its wait and this check.
            self.release(queued.item)


class _Waiter(Generic[T]):
    """A single-use waiter: its gate opens when it gets its *item*."""

    item: T

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.gate.acquire()
