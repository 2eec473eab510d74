"""Packages that are loaded on demand, when a signal handler raises meanwhile."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import signal, sys, time

from poweremail._lazy import import_undisturbed


class Interrupted(Exception):
    pass


def interrupt(*_):
    raise Interrupted


signal.signal(signal.SIGALRM, interrupt)
seconds = 0.0
while "tenacity" not in sys.modules:
    seconds += 0.001
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        import_undisturbed("tenacity")
        time.sleep(1)
    except Interrupted:
        pass
import tenacity

print(tenacity.Retrying.__name__, seconds)
"""


def test_a_package_is_imported_whole_although_a_signal_handler_raises():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.startswith("Retrying "), done.stderr
