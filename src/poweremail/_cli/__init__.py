"""
The ``poweremail`` command.

SIGTERM and a closed terminal end a command in the same order as Ctrl-C does. To load the command
takes a moment, in which an exception could only become a traceback: a signal that arrives in it
waits until the command runs.
"""

from __future__ import annotations

import logging
import signal
import sys
from types import FrameType

__all__ = ["STOP_SIGNALS", "let_signals_interrupt", "main"]

STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)

_early: list[int] = []
"""The signals that arrived before a command could end in order."""


def main() -> None:
    """
    Run the command. Without the extra ``cli`` it says what to install and exits with status 1.
    """
    for number in STOP_SIGNALS:
        # A signal that is ignored stays so: that is what `nohup` sets.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _note)
    try:
        from poweremail._cli.app import app  # noqa: PLC0415  the library must be importable without typer and rich
    except ModuleNotFoundError as error:
        sys.exit(
            f"poweremail: {error.name} is not installed; pip install 'poweremail[cli,sandbox]'"
        )
    # The command itself reports what the library logs.
    logging.getLogger("poweremail").addHandler(logging.NullHandler())
    app()


def let_signals_interrupt() -> None:
    """
    From now on a signal raises KeyboardInterrupt; raise it if one arrived before.

    Does nothing if `main` did not start this process.
    """
    for number in STOP_SIGNALS:
        if signal.getsignal(number) is _note:
            signal.signal(number, signal.default_int_handler)
    if _early:
        _early.clear()
        raise KeyboardInterrupt


def _note(number: int, _: FrameType | None) -> None:
    _early.append(number)
