"""Packages that are loaded on demand: which, and when a signal handler raises meanwhile."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import signal, sys, time

from poweremail._lazy import import_undisturbed


# As KeyboardInterrupt is. Where an Exception interrupts the start of a thread, `threading` of some
# Pythons raises KeyError in its place.
class Interrupted(BaseException):
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


FAILING = """
import sys

from poweremail import Message, NotSentError, PowerEmail, RetryPolicy

mail = Message(subject="Hi", from_email="a@example.com", to="b@example.com", text="x")
options = {"base_url": "http://127.0.0.1:1", "smtp_user_name": "s", "retry": RetryPolicy(1)}
with PowerEmail("owner", "token", transport=sys.argv[1], **options) as client:
    try:
        client.messages.send_mail(mail)
    except NotSentError:
        engines = {"httpcore", "httpcore2", "httpx", "httpx2"}
        print(*sorted((engines | {"tenacity"}) & sys.modules.keys()))
"""


@pytest.mark.parametrize(("engine", "loaded"), [("httpx", "httpcore"), ("httpx2", "httpcore2")])
def test_a_send_loads_what_it_needs(engine, loaded):
    done = subprocess.run(
        [sys.executable, "-c", FAILING, engine],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout.split() == [loaded], done.stderr
