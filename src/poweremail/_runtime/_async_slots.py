"""Places in a line, in the async twin: on anyio, asyncio and trio."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Generic, TypeVar

import anyio

__all__ = ["Slots", "Turn", "turn"]

T = TypeVar("T")


class Slots(Generic[T]):
    """
    At most *limit* things in use at once; who comes too late waits in line. What was given back
    last is taken first.

    A thing is whatever the users keep for each other, such as a connection. All of it belongs to
    one run of an event loop.
    """

    def __init__(self, limit: int) -> None:
        self._free = limit
        self._kept: list[T] = []
        self._line: deque[Turn[T]] = deque()

    async def take(self, seconds: float | None) -> T | None:
        """
        Return a thing that was given back, or None where a new one may be made; `give` it back
        afterwards in either case.

        Raises TimeoutError where none was free within *seconds*.
        """
        if self._free:
            self._free -= 1
            return self._kept.pop() if self._kept else None
        mine: Turn[T] = turn()
        self._line.append(mine)
        try:
            await mine.wait(seconds)
        except BaseException:
            if mine.come:
                # It came at the moment in which the wait ended.
                self.give(mine.thing)
            else:
                self._line.remove(mine)
            raise
        return mine.thing

    def give(self, thing: T | None) -> None:
        """Let the next one have *thing*, or make one where it is None."""
        if self._line:
            self._line.popleft().let(thing)
            return
        self._free += 1
        if thing is not None:
            self._kept.append(thing)


class Turn(Generic[T]):
    """
    What a task waits for, alone: has it *come*, and with which *thing*?

    Make one by `turn`.
    """

    come = False
    thing: T | None = None

    def __init__(self) -> None:
        self._event = anyio.Event()

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until it comes. Raises TimeoutError after *seconds*."""
        if seconds is None:
            await self._event.wait()
        else:
            with anyio.fail_after(seconds):
                await self._event.wait()

    def let(self, thing: T | None = None) -> None:
        """It has come, with *thing*."""
        self.come, self.thing = True, thing
        self._event.set()


class _LoopTurn(Turn[T]):
    """
    The same on asyncio, of a future and a timer.

    Where there are more callers than connections every send waits; a cancel scope and an event
    would cost several times as much.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._over = loop.create_future()

    async def wait(self, seconds: float | None = None) -> None:
        timer = None if seconds is None else self._loop.call_later(seconds, self._end)
        try:
            await self._over
        finally:
            if timer is not None:
                timer.cancel()
        if not self.come:
            raise TimeoutError

    def let(self, thing: T | None = None) -> None:
        self.come, self.thing = True, thing
        self._end()

    def _end(self) -> None:
        if not self._over.done():
            self._over.set_result(None)


def turn() -> Turn[Any]:
    """Return a new `Turn` of this world."""
    try:
        return _LoopTurn(asyncio.get_running_loop())
    except RuntimeError:
        return Turn()
