"""Two and four processes on one ledger: one of them claims each row, and they share one budget."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from poweremail.batch import Ledger
from support.ledgers import fill

pytestmark = pytest.mark.usefixtures("uncovered")

CLAIM = """
import sys, time
from poweremail.batch import Ledger
from poweremail._ledger.values import Finished
from poweremail._ledger.verdicts import ACCEPTED
from poweremail._policy.limits import RateLimits

place, per_minute = sys.argv[1], int(sys.argv[2])
ledger = Ledger(place, timeout=60.0)
limits = {}
if per_minute:
    limits["smtp1"] = RateLimits(per_minute=per_minute, per_hour=None, per_day=None)
worker = ledger.worker(ledger.find("news"), ["smtp1"], limits, lease=60.0)
worker.begin()
finished, until = [], time.monotonic() + 60
while time.monotonic() < until:
    step = worker.step(finished, 7)
    assert not step.lost
    finished = [Finished(work=work, verdict=ACCEPTED) for work in step.work]
    print(*(work.key for work in step.work), sep="\\n", flush=True)
    if not step.work and (step.wait is None or per_minute):
        break
    if not step.work:
        time.sleep(min(step.wait, 0.05))
ledger.close()
"""


def claim(place: str, processes: int, per_minute: int = 0) -> list[list[str]]:
    command = [sys.executable, "-W", "error", "-c", CLAIM, place, str(per_minute)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    done = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [0] * processes, done
    return [out.split() for out, _ in done]


@pytest.mark.parametrize("processes", [2, 4])
def test_two_processes_claim_each_row_once(place, processes):
    ledger = Ledger(place)
    batch = fill(ledger, 400)
    claimed = Counter(key for keys in claim(place, processes) for key in keys)
    assert claimed == {f"k{n}": 1 for n in range(400)}
    assert ledger.status(batch).all_accepted
    ledger.close()


def test_two_processes_share_one_budget(place):
    ledger = Ledger(place)
    fill(ledger, 100)
    assert sum(map(len, claim(place, 2, per_minute=40))) == 40
    ledger.close()
