"""
Run the benchmarks: ``python -m benchmarks [--quick] [--json FILE] [PART ...]`` from the root of the checkout.

The figures are explained in README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from importlib.metadata import version
from pathlib import Path

from benchmarks import codec, sends
from benchmarks.capacity import capacity
from benchmarks.contest import HEADING, Result, quiet_collector
from benchmarks.server import served

QUICK_ROUNDS, ROUNDS = 5, 7
QUICK_SCALE, SCALE = 1, 5
LIBRARIES = ("poweremail", "httpx", "httpx2", "anyio", "trio", "attrs", "cattrs")


def main() -> None:
    """Run the parts that are asked for, print the table and write the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure the library against what it is made of.")
    parser.add_argument("parts", nargs="*", metavar="PART", help="run the parts whose names begin so; all unless given")
    parser.add_argument("--quick", action="store_true", help="fewer calls and rounds")
    parser.add_argument("--json", type=Path, default=Path("build/benchmarks.json"), help="where the figures go")
    options = parser.parse_args()
    rounds, scale = (QUICK_ROUNDS, QUICK_SCALE) if options.quick else (ROUNDS, SCALE)

    results: list[Result] = []
    with served() as port, tempfile.TemporaryDirectory() as folder, quiet_collector():
        most = capacity(port)
        print(f"server alone: {most:,.0f} requests/s\n\n{HEADING}")
        for contest in (*sends.contests(port, scale), *codec.contests(Path(folder), scale)):
            if contest.part.startswith(tuple(options.parts) or ""):
                results.append(contest.run(rounds))
                print(results[-1].row(), flush=True)
    if busiest := [result.fastest for result in results if result.part.startswith("send")]:
        print(f"\nfastest client: {max(busiest):,.0f} requests/s, {max(busiest) / most:.0%} of what the server can do")

    figures = {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "libraries": {name: version(name) for name in LIBRARIES},
        "server_requests_per_second": most,
        "parts": [result.as_json() for result in results],
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(f"written to {options.json}")


if __name__ == "__main__":
    main()
