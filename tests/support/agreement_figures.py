"""
A plugin of pytest, ``-p support.agreement_figures``: prints the figures of the proof that outcomes
and reality agree.

POWEREMAIL_PROOF is the number of scripts to draw; they are different in each run. Without it a few
scripts are drawn, always the same.
"""

from __future__ import annotations

import os
from collections import Counter

from hypothesis import HealthCheck, Phase, settings

__all__ = ["Figures", "effort", "pytest_terminal_summary"]

PROOF = int(os.environ.get("POWEREMAIL_PROOF", "0"))

_COLUMNS = (
    "scripts",
    "mails",
    "requests",
    "accepted",
    "reconciled",
    "rejected",
    "not_sent",
    "unknown",
    "stored",
    "duplicates that were asked for",
    "late by chance",
    "duplicates",
    "losses",
    "disagreements",
)


class Figures(Counter[str]):
    """The number of scripts, mails, outcomes and faults by name."""

    def __repr__(self) -> str:
        # Short, so that a failing test shows its script and not these numbers.
        return "Figures()"


def effort(scripts: int) -> settings:
    """Return settings that try so many *scripts*, or as many as the environment says."""
    return settings(
        max_examples=PROOF or scripts,
        derandomize=not PROOF,
        database=None,
        print_blob=True,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        # The test itself clears its fixtures before each script.
        suppress_health_check=(
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.differing_executors,
        ),
    )


def pytest_terminal_summary(terminalreporter) -> None:
    """Print the figures that the tests recorded in their reports."""
    rows: dict[str, Figures] = {}
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        left = dict(getattr(report, "user_properties", ()))
        if "figures" in left and report.when == "teardown":
            file, _, test = report.nodeid.partition("::")
            rows[f"{file.split('/')[-2]} {test}"] = Figures(left["figures"])
    if not rows:
        return
    terminalreporter.section("outcomes and reality")
    rows = dict(sorted(rows.items())) | {"all": sum(rows.values(), Figures())}
    for name, figures in rows.items():
        terminalreporter.line(
            f"{name}: {', '.join(f'{column} {figures[column]:,}' for column in _COLUMNS)}"
        )
    struck = sorted((kind, count) for kind, count in rows["all"].items() if kind not in _COLUMNS)
    terminalreporter.line(
        f"faults that struck: {', '.join(f'{kind} {count:,}' for kind, count in struck)}"
    )
