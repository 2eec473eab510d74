"""Time in the sandbox."""

import math
import threading
import time
from datetime import timedelta

import pytest

from poweremail.errors import UsageError
from poweremail.sandbox import Fault, Sandbox


def test_the_clock_starts_at_the_time_of_the_machine():
    with Sandbox() as sandbox:
        before = time.time()
        assert before <= sandbox.clock.now() <= time.time()
        sandbox.clock.advance(100)
        assert before + 100 <= sandbox.clock.now() <= time.time() + 100


def test_mails_carry_the_time_of_the_clock(api, sandbox, clock):
    api.send()
    sandbox.clock.advance(0.001)
    api.send()
    clock.now += 3600
    api.send()
    first, second, third = (mail.received for mail in sandbox.outbox)
    assert (second - first, third - second) == (timedelta(milliseconds=1), timedelta(hours=1))
    assert [record["time"] for record in api.info("Id")] == [
        1458034022169,
        1458034022170,
        1458037622170,
    ]


def test_late_mails_become_visible_by_the_clock(api, sandbox):
    sandbox.faults.add(Fault.late_visibility(30))
    api.send()
    sandbox.clock.advance(29.999)
    assert api.info("Id") == []
    sandbox.clock.advance(0.001)
    assert len(api.info("Id")) == 1


def test_a_file_keeps_the_advanced_time(tmp_path):
    path = tmp_path / "caught.db"
    with Sandbox(path, clock=lambda: 1000.0) as sandbox:
        sandbox.clock.advance(5)
        sandbox.clock.advance(0.25)
    with Sandbox(path, clock=lambda: 1000.0) as sandbox:
        assert (sandbox.clock.now(), sandbox.clock.advanced) == (1005.25, 5.25)
        sandbox.clear()
        assert (sandbox.clock.now(), sandbox.clock.advanced) == (1000, 0)
    with Sandbox(path, clock=lambda: 1000.0) as sandbox:
        assert sandbox.clock.now() == 1000


@pytest.mark.parametrize(
    "seconds", [-1, math.nan, math.inf, "1", None, True, 253_402_300_800, 251_944_266_778, 10**400]
)
def test_invalid_advances_are_rejected(api, sandbox, seconds):
    with pytest.raises(UsageError, match="advance: must "):
        sandbox.clock.advance(seconds)
    assert sandbox.clock.advanced == 0


def test_the_clock_stops_at_the_largest_date(api, sandbox, clock):
    sandbox.clock.advance(251_944_266_777)
    api.send()
    assert sandbox.outbox[0].received.year == 9999
    with pytest.raises(UsageError, match="advance: must end before the year 10000"):
        sandbox.clock.advance(1)


def test_many_threads_advance_the_clock(sandbox):
    threads = [
        threading.Thread(target=lambda: [sandbox.clock.advance(0.001) for _ in range(50)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sandbox.clock.advanced == 0.4
