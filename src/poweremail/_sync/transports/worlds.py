# Generated from src/poweremail/_async/transports/worlds.py; do not edit.
"""
What a transport makes for itself, once in each world: connections belong to where they were made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from poweremail._runtime._sync import AtEnd, ThreadLock, shielded, world
from poweremail.errors import UsageError

__all__ = ["Worlds", "check_open"]

E = TypeVar("E")


def check_open(closed: bool) -> None:  # noqa: FBT001
    """Raise `UsageError` where the engine is *closed*."""
    if closed:
        raise UsageError("the HTTP client has been closed", field="transport")


class Worlds(Generic[E]):
    """
    What *make* makes, once in each world, and *close* closes, in `close` or when the world ends.
    """

    def __init__(self, make: Callable[[], E], close: Callable[[E], None]) -> None:
        self._make = make
        self._close = close
        self._made: dict[object, tuple[E, AtEnd]] = {}
        self._lock = ThreadLock()
        self._closed = False

    def check_open(self) -> None:
        """Raise `UsageError` after `close`."""
        check_open(self._closed)

    def here(self) -> E:
        """Return that of this world. Raises `UsageError` after `close`."""
        here = world()
        made = self._made.get(here)
        if made and not self._closed:
            return made[0]
        self.check_open()
        with self._lock:
            if made := self._made.get(here):
                return made[0]
            engine = self._make()

            def close() -> None:
                self._made.pop(here, None)
                with shielded():
                    self._close(engine)

            at_end = AtEnd(close)
            self._made[here] = engine, at_end
        at_end.arm()
        return engine

    def close(self) -> None:
        """Close that of this world, and make none any more."""
        self._closed = True
        if made := self._made.get(world()):
            made[1].disarm()
