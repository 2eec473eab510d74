"""
Run the benchmarks: ``python -m benchmarks [--quick] [--against WHEEL] [PART ...]`` from the root
of the checkout.

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
from typing import Any

from benchmarks import builds, codec, report, sends, walks
from benchmarks.capacity import capacity
from benchmarks.contest import HEADING, Result, quiet_collector
from benchmarks.server import served

ROUNDS = 5
QUICK_SCALE, SCALE = 1, 5
QUICK_MANY, MANY = 5_000, 100_000
QUICK_PARTS = (
    *(
        "own",
        "growth",
        "decode",
        "encode",
        "import",
        "send/asyncio/httpx/100",
        "send/asyncio/aiohttp/100",
    ),
    *(
        "send/threads/httpx/8",
        "vendor/threads/httpx/1",
        "vendor/asyncio",
        "vendor/uvloop/aiohttp",
    ),
    *("walk/far/asyncio", "send_many/asyncio/8", "memory"),
)
"""The parts of a quick run, unless others are named: enough for the goals that changes may miss."""
LIBRARIES = (
    "poweremail",
    "httpx",
    "httpx2",
    "aiohttp",
    "requests",
    "resend",
    "uvloop",
    "orjson",
    "anyio",
    "attrs",
)


def main() -> None:
    """Run the parts that are named, print the table and write the JSON file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the library against what it is made of."
    )
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help="run the parts whose names begin so; all unless given",
    )
    parser.add_argument("--quick", action="store_true", help="fewer calls and parts")
    parser.add_argument(
        "--scale",
        type=int,
        default=SCALE,
        help=f"how many times the calls of a quick run are made, {SCALE}",
    )
    parser.add_argument(
        "--json", type=Path, default=Path("build/benchmarks.json"), help="where the figures go"
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="WHEEL",
        help="compare this build with that of WHEEL, instead of with the engines",
    )
    options = parser.parse_args()
    scale = QUICK_SCALE if options.quick else options.scale
    wanted = tuple(options.parts or (QUICK_PARTS if options.quick else ("",)))

    if options.against is not None:
        print(f"ours: this build; theirs: {options.against.name}\n\n{HEADING}")
        with served() as ports:
            for result in builds.compare(options.against, ports, scale, wanted, ROUNDS):
                print(result.row(), flush=True)
        return
    results: list[Result] = []
    memory: dict[str, Any] = {}
    with served() as ports, tempfile.TemporaryDirectory() as name, quiet_collector():
        folder = Path(name)
        most = capacity(ports.fast)
        print(f"server alone: {most:,.0f} requests/s\n\n{HEADING}")
        for contest in (
            *sends.contests(ports.fast, scale),
            *codec.contests(folder, scale),
            *walks.contests(ports, scale),
        ):
            if contest.part.startswith(wanted):
                results.append(contest.run(ROUNDS))
                print(results[-1].row(), flush=True)
        if "memory".startswith(wanted):
            memory["encode"] = codec.memory(folder)
            memory["send_many"] = walks.memory(ports.fast, QUICK_MANY if options.quick else MANY)
    fastest = max(
        (result.fastest for result in results if result.part.startswith(("send", "vendor"))),
        default=0.0,
    )
    print(
        f"\nfastest client: {fastest:,.0f} requests/s, {fastest / most:.0%} of what the server can "
        "do"
    )

    figures = {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "libraries": {name: version(name) for name in LIBRARIES},
        "server_requests_per_second": most,
        "fastest_client": fastest,
        "parts": [result.as_json() for result in results],
        "memory": memory,
    }
    print(f"\n{report.goals(figures)}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    print(f"\nwritten to {options.json}")


if __name__ == "__main__":
    main()
