"""
The progress of a batch while it runs, on standard error: one line that changes on a terminal, a new
line now and then elsewhere.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from poweremail._cli.output import Output, is_terminal
from poweremail.errors import LedgerError

if TYPE_CHECKING:
    from poweremail.batch import BatchStatus

_PACE_SECONDS = 60.0
_TERMINAL_SECONDS, _LOG_SECONDS = 1.0, 15.0
"""The interval of the line, on a terminal and elsewhere."""

_MAX_SHARE_OF_TIME = 1 / 20
"""
The share of the time for queries of the ledger: a query counts all rows, which takes long in a
large batch.
"""


@contextmanager
def progress_shown(
    out: Output, status: Callable[[], BatchStatus], least_seconds: Callable[[int], float]
) -> Iterator[None]:
    """
    Print the progress from a thread until the block ends.

    - *status*: returns the status of the batch.
    - *least_seconds*: returns the seconds that a number of mails takes at least, because of the
      rate limits.
    """
    pace, ended = Pace(), threading.Event()

    def show(show_line: Callable[[str], None]) -> None:
        now = status()
        pace.note(time.monotonic(), now.total - now.left)
        seconds = pace.seconds_for(now.left)
        # Mails that are being sent are within the limits already.
        least = least_seconds(now.counts["planned"])
        left = None if seconds is None and not least else max(seconds or 0.0, least)
        show_line(progress_line(now, pace.per_second, left))

    def watch(interval: float, show_line: Callable[[str], None]) -> None:
        wait = 0.0
        while not ended.wait(wait):
            began = time.monotonic()
            # The run meets the same error, and reports it.
            with suppress(LedgerError):
                show(show_line)
            wait = max(interval, (time.monotonic() - began) / _MAX_SHARE_OF_TIME)

    with ExitStack() as stack:
        way: tuple[float, Callable[[str], None]] = (_LOG_SECONDS, out.say)
        if is_terminal(sys.stderr):
            from rich.console import Console  # noqa: PLC0415  only a terminal needs it
            from rich.live import Live  # noqa: PLC0415
            from rich.text import Text  # noqa: PLC0415

            console = Console(stderr=True, highlight=False)
            live = stack.enter_context(Live(console=console, refresh_per_second=4, transient=True))
            way = (_TERMINAL_SECONDS, lambda line: live.update(Text(line)))
        thread = threading.Thread(target=watch, args=way, name="poweremail-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


class Pace:
    """The growth of a number over the last minute."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()  # (time in seconds, number)

    def note(self, now: float, number: int) -> None:
        """Note the *number* at the time *now*, in seconds."""
        self._samples.append((now, number))
        while len(self._samples) > 2 and now - self._samples[0][0] > _PACE_SECONDS:  # noqa: PLR2004  a pace needs two
            self._samples.popleft()

    @property
    def per_second(self) -> float:
        """The growth per second, 0.0 as long as it is not known."""
        if not self._samples or self._samples[-1][0] <= self._samples[0][0]:
            return 0.0
        (first_time, first_number), (last_time, last_number) = self._samples[0], self._samples[-1]
        return max(0.0, (last_number - first_number) / (last_time - first_time))

    def seconds_for(self, more: int) -> float | None:
        """Return the seconds until the number has grown by *more*; None if it does not grow."""
        return more / self.per_second if self.per_second else None


def progress_line(
    status: BatchStatus, per_second: float = 0.0, seconds_left: float | None = None
) -> str:
    """Return *status* in one line: the mails done, the pace, the time left, the errors."""
    done = status.total - status.left
    share = f" ({done / status.total:.0%})" if status.total else ""
    parts = [f"{status.name}: {done:,} of {status.total:,}{share}"]
    if per_second:
        parts.append(f"{per_second * 60:,.0f} a minute")
    if seconds_left is not None and status.left:
        parts.append(f"{timedelta(seconds=round(seconds_left))} left")
    parts += [
        f"{count:,} {state.replace('_', ' ')}" for state, count in status.counts.items() if count
    ]
    if status.errors:
        errors = sorted(status.errors.items())
        parts.append(", ".join(f"{kind} {count:,}" for kind, count in errors))
    if status.paused is not None:
        parts.append(f"paused: {status.paused}")
    if status.rehearsal is not None:
        parts.append("a rehearsal")
    return "; ".join(parts)
