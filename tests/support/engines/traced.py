"""
What a worker of the proof adds to an application: it notes what it does, and its kicks are unsafe.
"""

from __future__ import annotations

import contextvars
import itertools
import logging
import os
import random
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

from poweremail._ledger import lane_conditions
from support.engines import network
from support.engines.settings import (
    BEAT_SECONDS,
    CONCURRENCY,
    KICK_AGAIN_SECONDS,
    OUTBOX_RUNNERS,
    SLICE_SECONDS,
    SMTP_USERS,
)

if not network.is_inside():
    # The workers of all hosts of the proof run on one machine.
    socket.gethostname = lambda: os.environ["ENGINES_HOST"]
lane_conditions._KICK_AGAIN_SECONDS = KICK_AGAIN_SECONDS

LEDGER = os.environ["ENGINES_LEDGER"]
BROKER = os.environ["ENGINES_BROKER"]
OPTIONS = {
    "seconds": SLICE_SECONDS,
    "concurrency": CONCURRENCY,
    "smtp_users": SMTP_USERS,
    "outbox_runners": OUTBOX_RUNNERS,
    "beat": BEAT_SECONDS,
}

_LOST = 0.2
_DOUBLED = 0.2

_slice: contextvars.ContextVar[str] = contextvars.ContextVar("slice")
_slices = itertools.count()
_latest = "0"
_file = os.open(os.environ["ENGINES_TRACE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def note(*words: object) -> None:
    """Append a line to the trace: the time, this process, and the words."""
    line = " ".join(map(str, (time.time(), os.getpid(), *words)))
    os.write(_file, f"{line}\n".encode())  # one write, so that a kill leaves no half of a line


class _Noting(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        note("log", _slice.get(_latest), record.getMessage().replace("\n", " "))


log = logging.getLogger("poweremail.batch")
log.setLevel(logging.DEBUG)
log.addHandler(_Noting())
log.propagate = False


@contextmanager
def slice_of(kick) -> Iterator[None]:
    """Note the beginning and the end of a slice of work."""
    global _latest  # noqa: PLW0603  threads of a sync client do not inherit the variable above
    _latest = f"{os.getpid()}-{next(_slices)}"
    _slice.set(_latest)
    note("begin", _latest, kick)
    try:
        yield
    finally:
        note("end", _slice.get())


def copies() -> range:
    """Return how many copies of a kick arrive."""
    chance = random.random()
    return range(0 if chance < _LOST else 2 if chance < _LOST + _DOUBLED else 1)
