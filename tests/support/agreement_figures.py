"""
A plugin of pytest, ``-p support.agreement_figures``: prints what the proof that outcomes and reality agree has tried.

How many scripts are drawn is told by POWEREMAIL_PROOF: then they are others each time. Without it they are a few, and always the same.
"""

from __future__ import annotations

import os
from collections import Counter

from hypothesis import HealthCheck, Phase, settings

__all__ = ["PROOF", "effort", "pytest_terminal_summary"]

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


def effort(scripts: int) -> settings:
    """Try so many *scripts*, or as many as the environment says."""
    return settings(
        max_examples=PROOF or scripts,
        derandomize=not PROOF,
        database=None,
        deadline=None,
        print_blob=True,
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        # The fixtures are made ready for each script by the test itself.
        suppress_health_check=(HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.differing_executors),
    )


def pytest_terminal_summary(terminalreporter) -> None:
    """Print the figures that the tests have left in their reports."""
    rows = {
        report.nodeid.partition("::")[0].split("/")[-2] + "::" + report.nodeid.partition("::")[2]: dict(report.user_properties)[
            "figures"
        ]
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "teardown" and "figures" in dict(report.user_properties)
    }
    if not rows:
        return
    total: Counter[str] = Counter()
    terminalreporter.section("outcomes and reality")
    for name, figures in [*sorted(rows.items()), ("all", total)]:
        terminalreporter.line(f"{name}: {', '.join(f'{column} {figures.get(column, 0):,}' for column in _COLUMNS)}")
        if figures is not total:
            total.update(figures)
