"""
What a transport makes for itself, once in each world: connections belong to where they were made.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from poweremail._runtime._async import AtEnd, ThreadLock, shielded, world
from poweremail.errors import UsageError

__all__ = ["AsyncWorlds", "check_open"]

E = TypeVar("E")


def check_open(closed: bool) -> None:  # noqa: FBT001
    """Raise `UsageError` where the engine is *closed*."""
    if closed:
        raise UsageError("the HTTP client has been closed", field="transport")


class AsyncWorlds(Generic[E]):
    """
    What *make* makes, once in each world, and *close* closes, in `aclose` or when the world ends.
    """

    def __init__(self, make: Callable[[], E], close: Callable[[E], Awaitable[None]]) -> None:
        self._make = make
        self._close = close
        self._made: dict[object, tuple[E, AtEnd]] = {}
        self._lock = ThreadLock()
        self._closed = False

    def check_open(self) -> None:
        """Raise `UsageError` after `aclose`."""
        check_open(self._closed)

    async def here(self) -> E:
        """Return that of this world. Raises `UsageError` after `aclose`."""
        here = world()
        made = self._made.get(here)
        if made and not self._closed:
            return made[0]
        self.check_open()
        with self._lock:
            if made := self._made.get(here):
                return made[0]
            engine = self._make()

            async def close() -> None:
                self._made.pop(here, None)
                with shielded():
                    await self._close(engine)

            at_end = AtEnd(close)
            self._made[here] = engine, at_end
        await at_end.arm()
        return engine

    async def aclose(self) -> None:
        """Close that of this world, and make none any more."""
        self._closed = True
        if made := self._made.get(world()):
            await made[1].disarm()
