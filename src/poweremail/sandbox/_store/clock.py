"""The time in the sandbox, which can be moved."""

from __future__ import annotations

import threading
from collections.abc import Callable

from poweremail.errors import UsageError
from poweremail.sandbox._store.database import Store

__all__ = ["Clock"]

_END = 253_402_300_800
"""Seconds from the epoch to the year 10000, which no datetime can hold."""


class Clock:
    """
    The clock of a sandbox: that of the machine, or the one it was given, and what it was advanced
    beyond that.

    By it limits are counted, mails are received, and late mails become visible. How far it was
    advanced is kept with the mails, so that time does not go back where a file is opened again.
    Safe to use from several threads.
    """

    def __init__(self, base: Callable[[], float], store: Store) -> None:
        self._base = base
        self._store = store
        self._lock = threading.Lock()
        self._advanced = store.advanced()

    def now(self) -> float:
        """The time, in seconds since the epoch."""
        return self._base() + self._advanced / 1000

    @property
    def advanced(self) -> float:
        """How many seconds this clock is ahead of the one below it."""
        return self._advanced / 1000

    def advance(self, seconds: float) -> None:
        """
        Let *seconds* pass, to the millisecond. Raises `UsageError` for less than none, and beyond
        the year 9999.
        """
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
            raise UsageError(
                f"must be a number of seconds from 0 on, not {seconds!r}",
                field="advance",
                mail_state=None,
            )
        with self._lock:
            if seconds >= _END or self.now() + seconds >= _END:
                raise UsageError("must end before the year 10000", field="advance", mail_state=None)
            advanced = self._advanced + round(seconds * 1000)
            self._store.put_advanced(advanced)
            self._advanced = advanced

    def reset(self) -> None:
        """Go by the clock below again."""
        with self._lock:
            self._store.put_advanced(0)
            self._advanced = 0

    def milliseconds(self) -> int:
        """
        The time in whole milliseconds: what was advanced is added exactly, as no sum of floats
        would.
        """
        return int(self._base() * 1000) + self._advanced
