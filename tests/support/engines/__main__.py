"""``python -m support.engines [--kills 200] [--seed N] [--folder F] [ENGINE ...]``."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

from support.engines import network
from support.engines.loop import Loop
from support.engines.site import WORKERS


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="nox -s engines --",
        description="Kill the workers of task queues, and count the mails.",
    )
    parser.add_argument("engine", nargs="*", help=f"of {', '.join(WORKERS)}; by default all")
    parser.add_argument("--kills", type=int, default=200, help="faults of all kinds: 200")
    parser.add_argument("--only", metavar="FAULT", help="no other faults, such as cut_off")
    parser.add_argument(
        "--namespaces", action="store_true", help="each host in a network namespace; needs root"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--folder", type=Path, help="keep all files here, or go on with them")
    options = parser.parse_args()
    if options.namespaces and not network.is_inside():
        if lack := network.lack():
            parser.error(lack)
        return network.entering("support.engines", sys.argv[1:])
    # Its servers and workers end with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if unknown := set(options.engine) - WORKERS.keys():
        parser.error(f"no engine: {', '.join(sorted(unknown))}")
    return max(prove(engine, options) for engine in options.engine or WORKERS)


def prove(engine: str, options: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name) if options.folder is None else options.folder / engine
        folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        loop = Loop(engine, folder, kills=options.kills, seed=options.seed, only=options.only)
        problems = loop.run()
    print(f"{engine}: seed {options.seed}, {time.monotonic() - began:.0f} s")
    for figure, number in sorted(loop.figures.items()):
        print(f"{number:8,}  {figure}")
    print(*problems[:20], sep="\n", flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
