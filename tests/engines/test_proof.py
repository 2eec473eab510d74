"""The short form of ``nox -s engines``: some faults for each engine, all kinds together."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from support.engines import network
from support.engines.loop import Loop
from support.engines.site import WORKERS

pytestmark = pytest.mark.usefixtures("uncovered")


@pytest.mark.parametrize(("seed", "engine"), list(enumerate(WORKERS)))
def test_no_mail_is_doubled_or_missing(seed, engine):
    # Not in pytest's folder: PostgreSQL runs as another user, who may not enter it.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        loop = Loop(engine, Path(name), kills=3, seed=seed)
        assert loop.run() == []
    assert loop.figures["caught"] > 100


def test_a_host_that_is_cut_off_from_the_database_loses_only_what_it_had_in_flight():
    """Three hosts in network namespaces: packets vanish, shortly in both directions, then long."""
    if lack := network.lack():
        pytest.skip(lack)
    command = [sys.executable, "-m", "support.engines", "--namespaces", "--only", "cut_off"]
    done = subprocess.run(
        [*command, "--kills", "2", "--seed", "1", "celery"],
        env=os.environ | {"PYTHONPATH": "tests"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures = {
        name: int(number.replace(",", ""))
        for number, _, name in (
            line.strip().partition("  ") for line in done.stdout.splitlines()[1:] if line
        )
    }
    assert figures["cut_off"] == 2
    assert figures["begun by other hosts during cuts"] > 0
    assert figures["caught"] > 100
    # A connection is given up after 5 seconds, and so is another one; TCP would try for 15 minutes.
    assert 0 < figures["slowest to notice a cut, in ms"] < 20_000
