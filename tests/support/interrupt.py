"""A signal handler of the user's program, in a module of its own."""

from __future__ import annotations

from typing import NoReturn


def handle_signal(kind: type[Exception]) -> NoReturn:
    """Raise as a handler does that runs in the middle of a call."""
    raise kind("from outside")
