"""The page about performance says what was measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import idle, report, workers  # noqa: E402
from benchmarks.goals import GOALS, judged  # noqa: E402
from benchmarks.hosts import Simulation  # noqa: E402

pytestmark = pytest.mark.usefixtures("uncovered")


def test_the_page_has_the_figures_of_the_file():
    page, figures = report.PAGE.read_text(), json.loads(report.FIGURES.read_text())
    assert report.filled(page, figures) == page
    assert page.count(report.END) == len(report.TABLES)


def test_every_goal_was_measured_and_every_miss_is_explained():
    figures = json.loads(report.FIGURES.read_text())
    found = judged(figures)
    assert [goal for goal, _ in found] == list(GOALS)
    assert all(part["rounds"] >= 5 for part in figures["parts"])
    if any(not goal.reached(value) for goal, value in found):
        assert "## Understand the missed goals" in report.PAGE.read_text()


def test_simulated_hosts_use_the_limits_and_never_exceed_them():
    simulation = Simulation(hosts=20, users=5, concurrency=4, per_minute=10)
    figures = simulation.run(130.0)
    # The budget of a minute goes three times in so many seconds.
    assert figures.mails == 3 * 5 * 10
    assert figures.fullest_minute == 10
    assert figures.lost  # the hosts did meet each other


def test_workers_are_measured():
    found = workers.main(
        ["--only", "run", "--workers", "1", "--seconds", "0.2", "--rounds", "1", "--users", "2"]
    )
    assert {str(case) for case in found} == {"run, 1", "run limited, 1"}
    assert all(figures.rate > 0.0 for figures in found.values())


def test_idle_workers_are_measured():
    found = idle.main(["--workers", "2", "--poll", "0.2", "--seconds", "1", "--users", "2"])
    assert set(found) == {"no work", "waiting for limits"}
    assert all(figures.connections >= 2 for figures in found.values())
    assert all(figures.transactions > 0.0 for figures in found.values())
