"""
Many calls at once, in the sync twin: on threads.

The calls run in a pool, and the source is pulled in the caller's thread, because iterators of users
expect that. The results come through a `SimpleQueue`, because Ctrl-C interrupts its lock, unlike
that of a future.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, Self, TypeVar

from poweremail._runtime._sync import finish

__all__ = ["BoundedMap", "Jobs", "Repeated"]

T = TypeVar("T")
R = TypeVar("R")


def _pool(limit: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(limit, thread_name_prefix="poweremail")


class BoundedMap(Generic[T, R]):
    """
    Calls *function* with the index and the item of each item of *source*, at most *limit* at once;
    iterate over the results in the order in which the calls end.

    The source is pulled no faster than results are collected. Leaving the block early stops
    pulling, and waits for the calls that have begun. An error of the source is raised after the
    results of its items; an error of *function* is raised in place of its result.
    """

    def __init__(self, function: Callable[[int, T], R], source: Iterable[T], limit: int) -> None:
        self._function = function
        self._items = source
        self._source: Iterator[T] | None = None
        self._limit = limit
        self._index = 0
        self._in_flight = 0
        self._done: SimpleQueue[Future[R]] = SimpleQueue()
        self._results: list[R] = []
        self._source_error: Exception | None = None

    def __enter__(self) -> Self:
        self._source = iter(self._items)
        self._threads = _pool(self._limit)
        return self

    def __exit__(self, *error: object) -> None:
        source, self._source = self._source, None
        self._in_flight = 0
        self._threads.shutdown(wait=True)
        if source is not None:
            finish(source)

    def __iter__(self) -> BoundedMap[T, R]:
        return self

    def __next__(self) -> R:
        while self._source is not None and self._in_flight < self._limit:
            self._pull(self._source)
        if self._in_flight:
            future = self._done.get()
            self._in_flight -= 1
            return future.result()
        error, self._source_error = self._source_error or StopIteration(), None
        raise error

    def _pull(self, source: Iterator[T]) -> None:
        try:
            item = next(source)
        except StopIteration:
            self._source = None
            return
        except Exception as error:  # noqa: BLE001  raised to the caller at the end, by __next__
            self._source = None
            self._source_error = error
            return
        self._threads.submit(self._function, self._index, item).add_done_callback(self._done.put)
        self._index += 1
        self._in_flight += 1


class Jobs(Generic[T, R]):
    """
    Calls *function* with each item that is given to `start`; `ended` returns the results.

    The calls run on *limit* threads. One thread uses the object. Leaving its block waits for the
    calls that have begun. `ended` raises an error of *function*.
    """

    def __init__(self, function: Callable[[T], R], limit: int) -> None:
        self._function = function
        self._limit = limit
        self._done: SimpleQueue[Future[R]] = SimpleQueue()
        self._results: list[R] = []
        self.under_way = 0

    def __enter__(self) -> Self:
        self._threads = _pool(self._limit)
        return self

    def __exit__(self, *error: object) -> None:
        self._threads.shutdown(wait=True)

    def start(self, item: T) -> None:
        """Begin to call *function* with *item*."""
        self.under_way += 1
        self._threads.submit(self._function, item).add_done_callback(self._done.put)

    def ended(self, seconds: float, *, enough: int = 1, linger: float = 0.0) -> list[R]:
        """
        Wait up to *seconds* for a call to end, and *linger* seconds more, until *enough* have;
        return the results of those that have.
        """
        # Kept in the object meanwhile: an exception of a signal handler must not drop them.
        with suppress(Empty):
            if not self._results:
                self._results.append(self._done.get(timeout=seconds).result())
            until = time.monotonic() + linger
            while True:
                left = until - time.monotonic() if len(self._results) < enough else 0.0
                self._results.append(self._done.get(timeout=max(0.0, left)).result())
        results, self._results = self._results, []
        self.under_way -= len(results)
        return results


class Repeated:
    """
    Calls *function* every *seconds* while its block runs, on a thread. An error of it goes to
    `threading.excepthook`.

    ``seconds`` may be changed at any time; it holds from the next call on.
    """

    def __init__(self, function: Callable[[], None], seconds: float) -> None:
        self._function = function
        self.seconds = seconds
        self._ended = threading.Event()

    def __enter__(self) -> None:
        self._thread = threading.Thread(
            target=self._repeat, name="poweremail-repeated", daemon=True
        )
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _repeat(self) -> None:
        while not self._ended.wait(self.seconds):
            self._function()
