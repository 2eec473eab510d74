"""
The short form of ``nox -s crash``: the real command, killed at durable steps and at random moments.
"""

from __future__ import annotations

import pytest

from support.crash import Crash

pytestmark = pytest.mark.usefixtures("uncovered")


def test_after_kills_no_mail_is_doubled_or_missing(tmp_path):
    crash = Crash(tmp_path, str(tmp_path / "ledger.db"), mails=40, kills=3, seed=9)
    assert crash.run() == []
    # Their number before the batch is done depends on the machine. Without any, this is no test.
    assert crash.figures["kills"] >= 1


def test_two_workers_on_a_server_survive_kills(tmp_path, postgresql):
    crash = Crash(tmp_path, postgresql, mails=40, kills=2, processes=2, seed=2)
    assert crash.run() == []
    assert crash.figures["kills"] >= 1
