"""
The command, killed by SIGKILL at a step of a batch: ``python kill_at.py STEP NTH batch run ...``.

A batch logs its steps at level DEBUG. STEP is the beginning of such a line, and the process ends at
the NTH of them.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

from poweremail._cli import main

STEPS = (
    "step",
    "uncommitted",
    "committed",
    "sending row",
    "response for row",
    "looking up row",
    "looked up row",
)
"""
Before a transaction; before and after its commit; before and after a request; before and after a
lookup.
"""


class KillAt(logging.Handler):
    def __init__(self, step: str, nth: int) -> None:
        super().__init__(logging.DEBUG)
        self._step = step
        self._left = nth
        self._counting = threading.Lock()

    def emit(self, record: logging.LogRecord) -> None:
        if str(record.msg).startswith(self._step):
            with self._counting:
                self._left -= 1
                if not self._left:
                    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    log = logging.getLogger("poweremail.batch")
    log.setLevel(logging.DEBUG)
    log.propagate = False
    log.addHandler(KillAt(sys.argv[1], int(sys.argv[2])))
    sys.argv[1:] = sys.argv[3:]
    main()
