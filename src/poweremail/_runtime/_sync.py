"""The sync twin, on threads."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import AsyncIterable, Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar, TypeVarTuple

from poweremail._runtime._sync_slots import Slots
from poweremail.errors import UsageError

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


def sleep(seconds: float) -> None:
    """Wait *seconds*."""
    time.sleep(seconds)


def in_thread(function: Callable[[*Arguments], R], *args: *Arguments) -> R:
    """Call *function*, which may block: other threads run on."""
    return function(*args)


def read_in_thread(function: Callable[[*Arguments], R], *args: *Arguments) -> R:
    """Do the same."""
    return function(*args)


def time_limit(seconds: float | None) -> AbstractContextManager[object]:  # noqa: ARG001
    """Return a block without a limit: what runs in the caller's thread cannot be cancelled."""
    return nullcontext()


def shielded() -> AbstractContextManager[object]:
    """Return a block that does nothing: threads are not cancelled."""
    return nullcontext()


def connection_scope() -> object:
    """
    Return the scope of connections that are made now: the process.

    They must not be used in another one.
    """
    return os.getpid()


quick_connection_scope = os.getpid
"""The same, but faster, since every send calls it."""


class ThreadLock:
    """Guards state that is atomic between two awaits, but not between two threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


class FairLock:
    """
    A lock whose waiters are served first come, first served; one that is interrupted leaves the
    queue.

    Each process has a queue of its own: after a fork, the threads that are in the old one are gone.
    """

    def __init__(self) -> None:
        self._pools: dict[object, Slots[None]] = {}

    def __enter__(self) -> None:
        self._pool().acquire(None)

    def __exit__(self, *_: object) -> None:
        self._pool().release(None)

    @property
    def queued(self) -> int:
        """The number of threads that have the lock or wait for it."""
        return self._pool().queued

    def _pool(self) -> Slots[None]:
        scope = connection_scope()
        return self._pools.get(scope) or self._pools.setdefault(scope, Slots(1, lambda: None))


class AtScopeEnd:
    """Calls *close* in `close_now` only: the sockets of a process close when it ends."""

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close

    def arm(self) -> None:
        """Do nothing."""

    def close_now(self) -> None:
        """Close."""
        self._close()


def each(source: AsyncIterable[T] | Iterable[T]) -> Iterator[T]:
    """Iterate over *source*. Raises `UsageError` if it is for the async client."""
    if not isinstance(source, Iterable):
        raise UsageError(
            f"cannot iterate over {type(source).__name__}: an async iterable is for the async "
            "client"
        )
    return iter(source)


def waits(source: Iterator[T]) -> bool:  # noqa: ARG001  the twin needs it
    """Return False: only the calling thread waits for the next item of an `each`."""
    return False


def finish(source: Iterator[T]) -> None:
    """Close the generator behind an `each`, if there is one: left early, it would stay open."""
    if isinstance(source, Generator):
        source.close()
