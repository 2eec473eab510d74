"""The short form of ``nox -s engines``: some faults for each engine, all kinds together."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

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
