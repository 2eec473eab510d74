"""
The signals that end a command: Ctrl-C, SIGTERM and the end of the terminal.

All raise KeyboardInterrupt, so that a command ends in order. To load the command takes a moment, in
which an exception could only become a traceback: a signal that arrives then waits until the command
runs.
"""

from __future__ import annotations

import signal
from types import FrameType

# Windows has no SIGHUP.
STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)

_delayed: list[int] = []


def delay_signals() -> None:
    """Let the signals wait for `let_signals_interrupt`."""
    for number in STOP_SIGNALS:
        # A signal that is ignored stays so: that is what `nohup` sets.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _note)


def let_signals_interrupt() -> None:
    """
    From now on a delayed signal raises KeyboardInterrupt; raise it if one has arrived.

    Does nothing if the signals were not delayed.
    """
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is _note:
            signal.signal(number, signal.default_int_handler)
    if _delayed:
        _delayed.clear()
        raise KeyboardInterrupt


def _note(number: int, _: FrameType | None) -> None:
    _delayed.append(number)
