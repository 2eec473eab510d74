"""The sync twin, on threads."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import AsyncIterable, Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar, TypeVarTuple

from poweremail.errors import UsageError

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


def sleep(seconds: float) -> None:
    """Wait *seconds*."""
    time.sleep(seconds)


def in_thread(function: Callable[[*Arguments], R], *args: *Arguments) -> R:
    """Call *function*, which may block: here nobody else is held up by it."""
    return function(*args)


def finish(source: Iterator[T]) -> None:
    """Close what `each` returned, where it is a generator: one that is left early would stay open."""
    if isinstance(source, Generator):
        source.close()


def each(source: AsyncIterable[T] | Iterable[T]) -> Iterator[T]:
    """Iterate over *source*. Raises `UsageError` where it is for the other world."""
    if not isinstance(source, Iterable):
        raise UsageError(f"cannot iterate over {type(source).__name__}: an async iterable is for the async client")
    return iter(source)


def world() -> object:
    """Return what the connections of this moment belong to: they must not be used in another process."""
    return (os.getpid(), None)


class ThreadLock:
    """Guards state that is atomic between two awaits, but not between two threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.release()


class FairLock:
    """
    A lock that is passed on in the order in which it was asked for; who is interrupted leaves the line.

    Each process has a line of its own, so that a fork leaves none behind that nobody will pass on.
    """

    def __init__(self) -> None:
        self._lines: dict[object, _Line] = {}

    def __enter__(self) -> None:
        self._line().join()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        line = self._line()
        line.leave(line.gates[0])

    @property
    def queued(self) -> int:
        """How many have the lock or wait for it."""
        return len(self._line().gates)

    def _line(self) -> _Line:
        here = world()
        return self._lines.get(here) or self._lines.setdefault(here, _Line())


class _Line:
    """Who has a lock, and after it who waits for it: each before a gate of its own, which is opened by the one before."""

    def __init__(self) -> None:
        self.gates: deque[threading.Lock] = deque()
        self._lock = threading.Lock()

    def join(self) -> None:
        """Wait for the lock."""
        gate = threading.Lock()
        try:
            with self._lock:
                if self.gates:
                    gate.acquire()
                self.gates.append(gate)
            gate.acquire()
        except BaseException:
            # Ctrl-C, perhaps after the gate was opened: then the next one's is opened in its place.
            self.leave(gate)
            raise

    def leave(self, gate: threading.Lock) -> None:
        """Leave the line, be it with the lock or without."""
        with self._lock:
            had_lock = gate in self.gates and self.gates[0] is gate
            with suppress(ValueError):
                self.gates.remove(gate)
            if had_lock and self.gates:
                self.gates[0].release()


class AtEnd:
    """Call *close* in `disarm`: threads have no end that would have to be waited for."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close

    def arm(self) -> None:
        """Do nothing."""

    def disarm(self) -> None:
        """Close now."""
        self._close()


class BoundedMap(Generic[T, R]):
    """
    Call *function* with index and item of each item of *source*, at most *limit* at once; iterate over the results as they come.

    The calls run on threads; the source is pulled in the caller's thread, and no faster than results are taken: nothing piles up.
    Leaving early stops pulling and waits for the calls that have begun. An error of the source is raised after the results of what
    it gave; an error of *function* is raised in place of its result.
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

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
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


class Jobs(Generic[T, R]):
    """
    Call *function* with each item that is given to `start`; `ended` hands out what it returned. *limit* is how many there may be.

    The calls run on so many threads. It is used by one thread. Leaving its block waits for the calls that have begun. An error of
    *function* is raised by `ended`.
    """

    def __init__(self, function: Callable[[T], R], limit: int) -> None:
        self._function = function
        self._limit = limit
        self._done: SimpleQueue[Future[R]] = SimpleQueue()
        self.under_way = 0

    def __enter__(self) -> Jobs[T, R]:
        self._threads = ThreadPoolExecutor(self._limit, thread_name_prefix="poweremail")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._threads.shutdown(wait=True)

    def start(self, item: T) -> None:
        """Begin to call *function* with *item*."""
        self.under_way += 1
        self._threads.submit(self._function, item).add_done_callback(self._done.put)

    def ended(self, seconds: float) -> list[R]:
        """Wait up to *seconds* for a call to end, and return what those returned that have ended."""
        ended: list[R] = []
        with suppress(Empty):
            # The queue's lock, unlike a future's, can be interrupted by Ctrl-C.
            ended.append(self._done.get(timeout=seconds).result())
            while True:
                ended.append(self._done.get_nowait().result())
        self.under_way -= len(ended)
        return ended


class Repeated:
    """Call *function* every so many *seconds* while its block lasts, on a thread. What it raises goes to the thread's hook."""

    def __init__(self, function: Callable[[], None], seconds: float) -> None:
        self._function = function
        self._seconds = seconds
        self._over = threading.Event()

    def __enter__(self) -> None:
        self._thread = threading.Thread(target=self._repeat, name="poweremail-repeated", daemon=True)
        self._thread.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()

    def _repeat(self) -> None:
        while not self._over.wait(self._seconds):
            self._function()


def uninterrupted() -> AbstractContextManager[object]:
    """A block that a cancellation does not break off: there is none here."""
    return nullcontext()
