"""
Two builds of the library against each other: this one, and a wheel of another version.

One process cannot have both, so each build has a process of its own, which runs ``python -m
benchmarks.builds`` and measures the parts that it is given, one after the other. The two take
turns, round by round, so that what else happens on the machine concerns both. They have the same
dependencies: the wheel is unpacked into a folder, which comes first on the path of its process.

Parts that need modules of the library that are not public are left out if the other build has not
got them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks import sends, walks
from benchmarks.contest import Contest, Cost, Peer, Result, quiet_collector
from benchmarks.server import Ports


def compare(
    wheel: Path, ports: Ports, scale: int, wanted: tuple[str, ...], rounds: int
) -> Iterator[Result]:
    """Measure each *wanted* part, this build as "ours" and that of *wheel* as "theirs"."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        path = os.pathsep.join((folder, os.environ.get("PYTHONPATH", "")))
        with _build(ports, scale) as ours, _build(ports, scale, path) as theirs:
            for part in ours.parts:
                if part in theirs.parts and part.startswith(wanted):
                    yield Contest(part, ours.peer(part), theirs.peer(part)).run(rounds)


class Build:
    """A build in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self._output = process.stdin, process.stdout
        self.parts: Sequence[str] = json.loads(self._output.readline())

    def peer(self, part: str) -> Peer:
        """Return what measures *part* there."""

        def measure() -> Cost:
            print(part, file=self._input, flush=True)
            return Cost(*json.loads(self._output.readline()))

        return measure


@contextmanager
def _build(ports: Ports, scale: int, path: str | None = None) -> Iterator[Build]:
    environment = os.environ if path is None else os.environ | {"PYTHONPATH": path}
    command = [sys.executable, "-m", "benchmarks.builds", *map(str, ports), str(scale)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield Build(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()


def _contests(ports: Ports, scale: int, folder: Path) -> Iterator[Contest]:
    yield from sends.contests(ports.fast, scale)
    yield from walks.contests(ports, scale)
    try:
        from benchmarks import codec
    except ImportError:
        return
    yield from codec.contests(folder, scale)


def main() -> None:
    """Measure this build's side of the parts named on standard input."""
    fast, slow, scale = map(int, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder, quiet_collector():
        measures = {
            contest.part: contest.ours
            for contest in _contests(Ports(fast, slow), scale, Path(folder))
        }
        print(json.dumps(list(measures)), flush=True)
        for line in sys.stdin:
            print(json.dumps(measures[line.strip()]()), flush=True)


if __name__ == "__main__":
    main()
