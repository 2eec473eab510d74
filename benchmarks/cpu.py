"""The CPU that processes use, of whatever program: user and system time, from ``/proc``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["family", "parent_of", "seconds_of", "seconds_of_server"]

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def _stat(process: int) -> Sequence[str]:
    """The fields of a process after its name: state, parent and so on."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def parent_of(process: int) -> int:
    """The process that has started *process*."""
    return int(_stat(process)[1])


def family(*processes: int) -> list[int]:
    """The *processes* and all that they have started."""
    parents: dict[int, int] = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = parent_of(int(place.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    found = list(processes)
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def seconds_of(processes: Iterable[int]) -> float:
    """The seconds of CPU of *processes*, and of those that they have started and that ended."""
    ticks = 0
    for process in processes:
        try:
            ticks += sum(map(int, _stat(process)[11:15]))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return ticks / _TICKS_PER_SECOND


def seconds_of_server(main: int) -> float:
    """
    The seconds of CPU of a server with a process of one thread for each connection, *main* the
    first one.

    Of those that are alive it is known to the nanosecond: many connections do little each.
    """
    nanoseconds = 0
    for process in family(main):
        try:
            nanoseconds += int(Path(f"/proc/{process}/schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue
    ended = sum(map(int, _stat(main)[13:15]))
    return nanoseconds / 1e9 + ended / _TICKS_PER_SECOND
