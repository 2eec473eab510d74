"""Places in a line, in the sync twin: for threads."""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

__all__ = ["Slots"]

T = TypeVar("T")


class Slots(Generic[T]):
    """
    At most *limit* things in use at once; who comes too late waits in line. What was given back
    last is taken first.

    A thing is whatever the users keep for each other, such as a connection.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._kept: list[T] = []
        self._line: deque[_Turn[T]] = deque()
        self._lock = threading.Lock()

    def take(self, seconds: float | None) -> T | None:
        """
        Return a thing that was given back, or None where a new one may be made; `give` it back
        afterwards in either case.

        Raises TimeoutError where none was free within *seconds*.
        """
        with self._lock:
            if self._free:
                self._free -= 1
                return self._kept.pop() if self._kept else None
            turn = _Turn[T]()
            self._line.append(turn)
        come = False
        try:
            come = turn.gate.acquire(
                timeout=-1 if seconds is None else min(seconds, threading.TIMEOUT_MAX)
            )
        finally:
            if not come:
                self._leave(turn)
        if not come:
            raise TimeoutError
        return turn.thing

    def give(self, thing: T | None) -> None:
        """Let the next one have *thing*, or make one where it is None."""
        with self._lock:
            if self._line:
                turn = self._line.popleft()
                turn.thing = thing
                turn.gate.release()
                return
            self._free += 1
            if thing is not None:
                self._kept.append(thing)

    def _leave(self, turn: _Turn[T]) -> None:
        with self._lock:
            waits = turn in self._line
            if waits:
                self._line.remove(turn)
        if not waits:
            # It came at the moment in which the wait ended.
            self.give(turn.thing)


class _Turn(Generic[T]):
    """A place in the line of `Slots`: a gate that opens when the turn has come."""

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.gate.acquire()
        self.thing: T | None = None
