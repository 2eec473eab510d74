"""
The tables of docs/performance.md: ``python -m benchmarks.report [FIGURES]`` writes them into the
page.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from textwrap import fill
from typing import Any

from benchmarks.goals import judged

FIGURES = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- figures: {name} -->", "<!-- end of figures -->"


def ground(figures: dict[str, Any]) -> str:
    """The machine and the libraries of the figures."""
    libraries = ", ".join(
        f"{name} {version}"
        for name, version in figures["libraries"].items()
        if name != "poweremail"
    )
    return fill(
        f"Python {figures['python']} on {figures['machine']}; {libraries}. The server alone "
        f"handles {figures['server_requests_per_second']:,.0f} requests a second; the fastest "
        f"client made {figures['fastest_client']:,.0f}.",
        100,
        break_on_hyphens=False,
    )


def goals(figures: dict[str, Any]) -> str:
    """The goals, the values found, and whether they are reached."""
    lines = ["| goal | limit | found | |", "| --- | ---: | ---: | --- |"]
    for goal, value in judged(figures):
        sign = "≥" if goal.at_least else "≤"
        lines.append(
            f"| {goal.what} | {sign} {goal.limit:g} {goal.unit} | {value:,.2f} | "
            f"{'' if goal.reached(value) else '**missed**'} |"
        )
    return "\n".join(lines)


def parts(figures: dict[str, Any]) -> str:
    """
    All parts: CPU per call and throughput as ratios, with the ends of their rounds, and µs of CPU
    per call.
    """
    lines = [
        "| part | CPU, ours/theirs | throughput, ours/theirs | ours µs | theirs µs |",
        "| --- | --- | --- | ---: | ---: |",
    ]
    for part in figures["parts"]:
        ratios = [
            f"{part[what]['middle']:.2f} ({part[what]['low']:.2f} to {part[what]['high']:.2f})"
            for what in ("cpu", "throughput")
        ]
        micros = [f"{part['cpu_us_per_call'][who]:,.0f}" for who in ("ours", "theirs")]
        lines.append(f"| `{part['part']}` | {' | '.join((*ratios, *micros))} |")
    return "\n".join(lines)


TABLES = {"ground": ground, "goals": goals, "parts": parts}


def filled(page: str, figures: dict[str, Any]) -> str:
    """Return *page* with the tables of *figures* between its marks."""
    for name, table in TABLES.items():
        begin = BEGIN.format(name=name)
        head, found, rest = page.partition(begin)
        if found:
            _, end, tail = rest.partition(END)
            page = f"{head}{begin}\n\n{table(figures)}\n\n{end}{tail}"
    return page


def main() -> None:
    """Write the tables into the page."""
    figures = json.loads(
        Path(sys.argv[1] if len(sys.argv) > 1 else FIGURES).read_text(encoding="utf-8")
    )
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")


if __name__ == "__main__":
    main()
