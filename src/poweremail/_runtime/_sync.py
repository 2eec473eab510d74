"""The sync twin, on threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Generic, TypeVar

from poweremail._runtime._files import read_piece

__all__ = ["AtEnd", "BoundedMap", "ThreadLock", "file_piece", "sleep", "world"]

T = TypeVar("T")
R = TypeVar("R")


def sleep(seconds: float) -> None:
    """Wait *seconds*."""
    time.sleep(seconds)


def file_piece(path: Path, offset: int, size: int) -> bytes:
    """Read a piece of a file."""
    return read_piece(path, offset, size)


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
        if isinstance(source, Generator):
            source.close()

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
