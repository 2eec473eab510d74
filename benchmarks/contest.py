"""Two peers that take turns, and the ratios of what they cost."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from typing import Any, NamedTuple, Self


class Cost(NamedTuple):
    """The cost of *calls* calls: seconds of the client's CPU, and seconds on the clock."""

    calls: int
    cpu: float
    wall: float


class Clock:
    """Measures the time within ``with``."""

    def __enter__(self) -> Self:
        gc.collect()
        self._wall, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu, self.wall = time.process_time() - self._cpu, time.perf_counter() - self._wall

    def cost(self, calls: int) -> Cost:
        """The cost of the *calls* that were made meanwhile."""
        return Cost(calls, self.cpu, self.wall)


Peer = Callable[[], Cost]
"""Makes the calls of one round, and returns their cost."""


def repeated(work: Callable[[], object], calls: int) -> Peer:
    """The peer that calls *work*."""

    def peer() -> Cost:
        work()
        with Clock() as clock:
            for _ in range(calls):
                work()
        return clock.cost(calls)

    return peer


class Contest(NamedTuple):
    """A *part* of the benchmark: two peers that do the same work."""

    part: str
    ours: Peer
    theirs: Peer

    def run(self, rounds: int) -> Result:
        """Let the peers take turns, the one that begins changing from round to round."""
        ours: list[Cost] = []
        theirs: list[Cost] = []
        for number in range(rounds):
            for peer, costs in _alternating(number, (self.ours, ours), (self.theirs, theirs)):
                costs.append(peer())
        return Result(self.part, ours, theirs)


def _alternating(number: int, *turns: tuple[Peer, list[Cost]]) -> Iterator[tuple[Peer, list[Cost]]]:
    yield from turns if number % 2 else reversed(turns)


class Ratio(NamedTuple):
    """The median (*middle*) of the ratios of the rounds, the lowest and the highest."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, ratios: list[float]) -> Ratio:
        """Of the ratio of each round."""
        return cls(median(ratios), min(ratios), max(ratios))

    def __str__(self) -> str:
        return f"{self.middle:5.2f} [{self.low:.2f} {self.high:.2f}]"


class Result(NamedTuple):
    """The costs of both peers, round by round."""

    part: str
    ours: list[Cost]
    theirs: list[Cost]

    @property
    def cpu(self) -> Ratio:
        """CPU time per call, ours over theirs."""
        return Ratio.of(
            [
                (a.cpu / a.calls) / (b.cpu / b.calls)
                for a, b in zip(self.ours, self.theirs, strict=True)
            ]
        )

    @property
    def throughput(self) -> Ratio:
        """Calls per second, ours over theirs."""
        return Ratio.of(
            [
                (a.calls / a.wall) / (b.calls / b.wall)
                for a, b in zip(self.ours, self.theirs, strict=True)
            ]
        )

    @property
    def fastest(self) -> float:
        """The highest number of calls per second of either peer."""
        return max(cost.calls / cost.wall for cost in (*self.ours, *self.theirs))

    def row(self) -> str:
        """One line of the table."""
        ours, theirs = (_micros(costs) for costs in (self.ours, self.theirs))
        return (
            f"{self.part:24}  {self.cpu!s:20}  {self.throughput!s:20}  {ours:10,.1f}  "
            f"{theirs:10,.1f}"
        )

    def as_json(self) -> dict[str, Any]:
        """All figures."""
        return {
            "part": self.part,
            "rounds": len(self.ours),
            "cpu": self.cpu._asdict(),
            "throughput": self.throughput._asdict(),
            "cpu_us_per_call": {"ours": _micros(self.ours), "theirs": _micros(self.theirs)},
            "calls_per_second": {"ours": _rate(self.ours), "theirs": _rate(self.theirs)},
        }


HEADING = f"{'part':24}  {'CPU':20}  {'throughput':20}  {'ours µs':>10}  {'theirs µs':>10}"


def _micros(costs: list[Cost]) -> float:
    return median(cost.cpu / cost.calls for cost in costs) * 1e6


def _rate(costs: list[Cost]) -> float:
    return median(cost.calls / cost.wall for cost in costs)


@contextmanager
def quiet_collector() -> Iterator[None]:
    """Keep what is loaded already out of every garbage collection that a peer sets off."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
