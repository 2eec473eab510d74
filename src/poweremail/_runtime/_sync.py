"""The sync twin, on threads."""

from __future__ import annotations

import math
import os
import threading
import time
from collections import deque
from collections.abc import AsyncIterable, Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from types import TracebackType
from typing import Self, TypeVar, TypeVarTuple

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


def sleep(seconds: float) -> None:
    """Wait *seconds*."""
    time.sleep(seconds)


def in_thread(function: Callable[[*Arguments], R], *args: *Arguments) -> R:
    """Call *function*, which may block: here nobody else is held up by it."""
    return function(*args)


def finish(source: Iterator[T]) -> None:
    """
    Close what `each` returned, where it is a generator: one that is left early would stay open.
    """
    if isinstance(source, Generator):
        source.close()


def each(source: AsyncIterable[T] | Iterable[T]) -> Iterator[T]:
    """Iterate over *source*. Raises `UsageError` where it is for the other world."""
    if not isinstance(source, Iterable):
        raise UsageError(
            f"cannot iterate over {type(source).__name__}: an async iterable is for the async "
            "client"
        )
    return iter(source)


def shielded() -> AbstractContextManager[object]:
    """Return a block: threads are not cancelled."""
    return nullcontext()


def world() -> object:
    """
    Return what the connections of this moment belong to: they must not be used in another process.
    """
    return os.getpid()


def check_world(engine: str) -> None:
    """Do nothing: threads are a world in which every engine that is used here can run."""


class ThreadLock:
    """Guards state that is atomic between two awaits, but not between two threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()


class FairLock:
    """
    A lock that is passed on in the order in which it was asked for; who is interrupted leaves the
    line.

    Each process has a line of its own, so that a fork leaves none behind that nobody will pass on.
    """

    def __init__(self) -> None:
        self._lines: dict[object, _Line] = {}

    def __enter__(self) -> None:
        self._line().join()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
    """
    Who has a lock, and after it who waits for it: each before a gate of its own, which is opened by
    the one before.
    """

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


class Deadline:
    """
    A block that ends with a TimeoutError when its time is over; `move` sets the time anew.

    A thread cannot be cancelled: *expire* is called in another one, and is to make the block fail,
    in whichever way. At first the block has no end.
    """

    def __init__(self, expire: Callable[[], None]) -> None:
        self._expire = expire
        self._end = math.inf
        self._over = False
        self._expired = False
        self._changed = threading.Condition()

    def move(self, seconds: float | None) -> None:
        """From this moment on, leave *seconds*; None leaves all the time in the world."""
        with self._changed:
            self._end = math.inf if seconds is None else time.monotonic() + seconds
            self._changed.notify()

    def __enter__(self) -> Self:
        self._watcher = threading.Thread(
            target=self._watch, name="poweremail-deadline", daemon=True
        )
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._changed:
            self._over = True
            self._changed.notify()
        self._watcher.join()
        # What was finished at that very moment is finished.
        if self._expired and kind is not None and issubclass(kind, Exception):
            raise TimeoutError from error

    def _watch(self) -> None:
        with self._changed:
            while not self._over and (left := self._end - time.monotonic()) > 0:
                self._changed.wait(min(left, threading.TIMEOUT_MAX))
            self._expired = not self._over
        if self._expired:
            self._expire()


class cancellable:  # noqa: N801  reads as an adjective
    """A block: threads are not cancelled."""

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None


class AtEnd:
    """Call *close* in `disarm`: threads have no end that would have to be waited for."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close

    def arm(self) -> None:
        """Do nothing."""

    def disarm(self) -> None:
        """Close now."""
        self._close()


def waits(source: Iterator[T]) -> bool:  # noqa: ARG001  the twin needs it
    """Say that the next item of what `each` returned is waited for by this thread alone."""
    return False
