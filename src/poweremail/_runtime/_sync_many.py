"""Many calls at once, in the sync twin: on threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar, cast

from poweremail._runtime._sync import finish

__all__ = ["BoundedMap", "Jobs", "Repeated", "together"]

T = TypeVar("T")
R = TypeVar("R")


class BoundedMap(Generic[T, R]):
    """
    Call *function* with index and item of each item of *source*, at most *limit* at once; iterate
    over the results as they come.

    The calls run on threads; the source is pulled in the caller's thread, and no faster than
    results are taken: nothing piles up. Leaving early stops pulling and waits for the calls that
    have begun. An error of the source is raised after the results of what it gave; an error of
    *function* is raised in place of its result.
    """

    def __init__(self, function: Callable[[int, T], R], source: Iterable[T], limit: int) -> None:
        self._function = function
        self._source: Iterator[T] | None = None
        self._given = source
        self._limit = limit
        self._index = 0
        self._in_flight = 0
        self._done: SimpleQueue[Future[R]] = SimpleQueue()
        self._source_error: Exception | None = None

    def __enter__(self) -> BoundedMap[T, R]:
        self._source = iter(self._given)
        self._threads = ThreadPoolExecutor(self._limit, thread_name_prefix="poweremail")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
            # The queue's lock, unlike a future's, can be interrupted by Ctrl-C.
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


def together(
    function: Callable[[T], R], items: Iterable[T], limit: int, is_last: Callable[[R], bool]
) -> list[R | Exception]:
    """
    Call *function* with each of *items*, at most *limit* at once, and return in their order what it
    returned or raised.

    When a call has raised, or *is_last* says so of its result, no further one is begun.
    """
    done: list[R | Exception | None] = []
    rest = enumerate(items)
    ended = threading.Event()
    lock = threading.Lock()
    over: SimpleQueue[None] = SimpleQueue()

    def work() -> None:
        try:
            while not ended.is_set():
                with lock:
                    taken = next(rest, None)
                    if taken is None:
                        return
                    done.append(None)
                at, item = taken
                try:
                    result = done[at] = function(item)
                    if is_last(result):
                        ended.set()
                except Exception as error:  # noqa: BLE001  the caller's, in its place
                    done[at] = error
                    ended.set()
        finally:
            over.put(None)

    with ThreadPoolExecutor(limit, thread_name_prefix="poweremail") as threads:
        for _ in range(limit):
            threads.submit(work)
        try:
            for _ in range(limit):
                # The queue's lock, unlike a future's, can be interrupted by Ctrl-C.
                over.get()
        finally:
            ended.set()
    return cast("list[R | Exception]", done)


class Jobs(Generic[T, R]):
    """
    Call *function* with each item that is given to `start`; `ended` hands out what it returned.
    *limit* is how many there may be.

    The calls run on so many threads. It is used by one thread. Leaving its block waits for the
    calls that have begun. An error of *function* is raised by `ended`.
    """

    def __init__(self, function: Callable[[T], R], limit: int) -> None:
        self._function = function
        self._limit = limit
        self._done: SimpleQueue[Future[R]] = SimpleQueue()
        self.under_way = 0

    def __enter__(self) -> Jobs[T, R]:
        self._threads = ThreadPoolExecutor(self._limit, thread_name_prefix="poweremail")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(wait=True)

    def start(self, item: T) -> None:
        """Begin to call *function* with *item*."""
        self.under_way += 1
        self._threads.submit(self._function, item).add_done_callback(self._done.put)

    def ended(self, seconds: float) -> list[R]:
        """
        Wait up to *seconds* for a call to end, and return what those returned that have ended.
        """
        ended: list[R] = []
        with suppress(Empty):
            # The queue's lock, unlike a future's, can be interrupted by Ctrl-C.
            ended.append(self._done.get(timeout=seconds).result())
            while True:
                ended.append(self._done.get_nowait().result())
        self.under_way -= len(ended)
        return ended


class Repeated:
    """
    Call *function* every so many *seconds* while its block lasts, on a thread. What it raises goes
    to the thread's hook.
    """

    def __init__(self, function: Callable[[], None], seconds: float) -> None:
        self._function = function
        self._seconds = seconds
        self._over = threading.Event()

    def __enter__(self) -> None:
        self._thread = threading.Thread(
            target=self._repeat, name="poweremail-repeated", daemon=True
        )
        self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _repeat(self) -> None:
        while not self._over.wait(self._seconds):
            self._function()
