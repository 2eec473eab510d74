"""
How a batch is doing while it runs: one line that changes on a terminal, a line now and then
elsewhere.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

from poweremail._cli.output import Output
from poweremail._ledger.eta import Pace
from poweremail.errors import LedgerError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

    from poweremail.batch import BatchStatus

__all__ = ["Progress", "told"]

_ON_TERMINAL, _ELSEWHERE = 1.0, 15.0
_SHARE = 20
"""
Of the time, one part in so many is spent on asking the ledger at most: it counts the more slowly
the larger the batch is.
"""


class Progress:
    """
    Tells every few seconds what *status* says, on standard error; *least*, how many seconds so many
    mails take.
    """

    def __init__(
        self, out: Output, status: Callable[[], BatchStatus], least: Callable[[int], float]
    ) -> None:
        self._out = out
        self._status = status
        self._least = least
        self._pace = Pace()
        self._over = threading.Event()
        self._live: Live | None = None
        self._thread = threading.Thread(target=self._watch, name="poweremail-progress", daemon=True)

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.live import Live  # noqa: PLC0415  only terminals need it

            self._live = Live(console=_console(), refresh_per_second=4, transient=True)
            self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        if self._live is not None:
            self._live.stop()

    def _watch(self) -> None:
        interval = _ELSEWHERE if self._live is None else _ON_TERMINAL
        while True:
            began = time.monotonic()
            # Whoever runs the batch meets the failure, and tells of it.
            with suppress(LedgerError):
                self._tell(self._status())
            took = time.monotonic() - began
            if self._over.wait(max(interval, took * _SHARE)):
                return

    def _tell(self, status: BatchStatus) -> None:
        done = status.total - status.left
        self._pace.note(time.monotonic(), done)
        seconds = self._pace.seconds_for(status.left)
        # What has been taken is booked already.
        least = self._least(status.counts["planned"])
        left = None if seconds is None and not least else max(seconds or 0.0, least)
        line = told(status, self._pace.per_second, left)
        if self._live is None:
            self._out.say(line)
        else:
            from rich.text import Text  # noqa: PLC0415

            self._live.update(Text(line))


def told(status: BatchStatus, per_second: float = 0.0, seconds_left: float | None = None) -> str:
    """
    *status* in one line: how much is done, how fast, how long it will take, and what failed for
    which kind of error.
    """
    done = status.total - status.left
    parts = [
        f"{status.name}: {done:,} of {status.total:,}"
        + (f" ({done / status.total:.0%})" if status.total else "")
    ]
    if per_second:
        parts.append(f"{per_second * 60:,.0f} a minute")
    if seconds_left is not None and status.left:
        parts.append(f"{timedelta(seconds=round(seconds_left))} left")
    parts += [
        f"{count:,} {state.replace('_', ' ')}" for state, count in status.counts.items() if count
    ]
    if status.errors:
        parts.append(
            ", ".join(f"{kind} {count:,}" for kind, count in sorted(status.errors.items()))
        )
    if status.paused is not None:
        parts.append(f"paused: {status.paused}")
    if status.rehearsal is not None:
        parts.append("a rehearsal")
    return "; ".join(parts)


def _console() -> Console:
    from rich.console import Console  # noqa: PLC0415

    return Console(stderr=True, highlight=False)
