"""The time in the sandbox, which can be advanced."""

from __future__ import annotations

import threading
from collections.abc import Callable

from poweremail._types.checks import is_number, require
from poweremail.errors import ConfigurationError
from poweremail.sandbox._store.database import Store

_YEAR_10000 = 253_402_300_800
"""In seconds since the epoch; no datetime can hold it."""


class Clock:
    """
    The clock of a sandbox: *base* (seconds since the epoch), plus the time it was advanced.

    Limits, times of receipt and the visibility of mails follow it. The advance is kept in the
    *store*, so that time does not go back when a file is opened again. Safe to use from several
    threads.
    """

    def __init__(self, base: Callable[[], float], store: Store) -> None:
        self._base = base
        self._store = store
        self._lock = threading.Lock()
        [row] = store.rows("SELECT advanced FROM clock")
        self._advanced: int = row["advanced"]

    def now(self) -> float:
        """The time, in seconds since the epoch."""
        return self._base() + self.advanced

    @property
    def advanced(self) -> float:
        """How many seconds this clock is ahead of the one below it."""
        return self._advanced / 1000

    def advance(self, seconds: float) -> None:
        """
        Let *seconds* pass, to the millisecond.

        Raises `ConfigurationError` if they are negative or end beyond the year 9999.
        """
        require("advance", seconds, "a number of seconds from 0 on", is_number(seconds))
        with self._lock:
            # The first comparison keeps ints that no float can hold from the sum.
            if seconds >= _YEAR_10000 or self.now() + seconds >= _YEAR_10000:
                raise ConfigurationError("must end before the year 10000", field="advance")
            self._put(self._advanced + round(seconds * 1000))

    def reset(self) -> None:
        """Undo every advance."""
        with self._lock:
            self._put(0)

    def _put(self, milliseconds: int) -> None:
        self._store.change("UPDATE clock SET advanced = ?", milliseconds)
        self._advanced = milliseconds

    def milliseconds(self) -> int:
        """The time in whole milliseconds; the advance is added exactly, as no float sum would."""
        return int(self._base() * 1000) + self._advanced
