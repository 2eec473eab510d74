"""The goals of the benchmark."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Figures = Mapping[str, Any]


class Goal(NamedTuple):
    """A figure, which *found* computes from all figures, and its *limit*."""

    what: str
    limit: float
    at_least: bool
    unit: str
    found: Callable[[Figures], float]

    def reached(self, value: float) -> bool:
        """Whether *value* reaches the goal."""
        return value >= self.limit if self.at_least else value <= self.limit


def _part(figures: Figures, name: str) -> Any:
    return next(part for part in figures["parts"] if part["part"] == name)


def _per_cpu(name: str) -> Callable[[Figures], float]:
    """Sends per CPU second, ours over theirs."""
    return lambda figures: 1 / _part(figures, name)["cpu"]["middle"]


def _cpu(name: str) -> Callable[[Figures], float]:
    return lambda figures: float(_part(figures, name)["cpu"]["middle"])


def _difference(name: str, unit: float = 1.0) -> Callable[[Figures], float]:
    """Microseconds of CPU per call that ours takes more than theirs: a difference of medians."""

    def found(figures: Figures) -> float:
        micros = _part(figures, name)["cpu_us_per_call"]
        return float(micros["ours"] - micros["theirs"]) / unit

    return found


def _throughput(name: str) -> Callable[[Figures], float]:
    return lambda figures: float(_part(figures, name)["throughput"]["middle"])


def _peak(figures: Figures) -> float:
    return float(figures["memory"]["encode"]["peak_bytes"]) / 1e6


def _growth(figures: Figures) -> float:
    many = figures["memory"]["send_many"]
    return float(many["resident_bytes_at_the_end"] / many["resident_bytes_after_a_tenth"])


def _at_most(what: str, limit: float, unit: str, found: Callable[[Figures], float]) -> Goal:
    return Goal(what, limit, at_least=False, unit=unit, found=found)


def _at_least(what: str, limit: float, found: Callable[[Figures], float]) -> Goal:
    return Goal(what, limit, at_least=True, unit="×", found=found)


GOALS = (
    _at_most("the library itself, a send of 1.5 KB, µs of CPU", 30, "µs", _difference("own/send")),
    _at_most("above bare httpx, one at a time, µs", 30, "µs", _difference("send/asyncio/httpx/1")),
    _at_most(
        "above bare httpx2, one at a time, µs", 30, "µs", _difference("send/asyncio/httpx2/1")
    ),
    _at_most(
        "above bare aiohttp, one at a time, µs", 25, "µs", _difference("send/asyncio/aiohttp/1")
    ),
    _at_most(
        "above bare aiohttp, 100 at a time, µs", 25, "µs", _difference("send/asyncio/aiohttp/100")
    ),
    _at_least(
        "sends per CPU second against bare httpx, 100 at a time",
        3,
        _per_cpu("send/asyncio/httpx/100"),
    ),
    _at_least(
        "sends per CPU second against bare httpx, 500 at a time",
        3,
        _per_cpu("send/asyncio/httpx/500"),
    ),
    _at_most(
        "CPU per send at 500 callers over that at 10", 1.25, "×", _cpu("growth/asyncio/httpx/500")
    ),
    _at_least(
        "httpx against the vendor's library, 8 threads", 1.0, _per_cpu("vendor/threads/httpx/8")
    ),
    _at_least(
        "httpx2 against the vendor's library, 8 threads", 1.1, _per_cpu("vendor/threads/httpx2/8")
    ),
    _at_least(
        "httpx against the vendor's library, 100 at a time",
        1.0,
        _per_cpu("vendor/asyncio/httpx/100"),
    ),
    _at_least(
        "httpx2 against the vendor's library, 100 at a time",
        1.1,
        _per_cpu("vendor/asyncio/httpx2/100"),
    ),
    _at_least(
        "aiohttp against the vendor's library, 100 at a time",
        9.5,
        _per_cpu("vendor/asyncio/aiohttp/100"),
    ),
    _at_least("the same with uvloop", 11, _per_cpu("vendor/uvloop/aiohttp/100")),
    _at_least(
        "httpx against the vendor's library, one thread", 2.8, _per_cpu("vendor/threads/httpx/1")
    ),
    _at_most("decode of a page over json.loads, with orjson", 1.5, "×", _cpu("decode/page/orjson")),
    _at_most("decode of a page over json.loads, without", 2.5, "×", _cpu("decode/page/json")),
    _at_most("encode of 10 MB over base64 alone", 1.5, "×", _cpu("encode/10MB/threads")),
    _at_most(
        "encode of 100 KB from a path over base64 alone, asyncio",
        1.6,
        "×",
        _cpu("encode/100KB/asyncio"),
    ),
    _at_most("extra memory of 10 MB from a path, MB", 8, "MB", _peak),
    _at_most(
        "import of poweremail over attrs, ms", 10, "ms", _difference("import/attrs", unit=1_000)
    ),
    _at_least(
        "a far walk that looks 8 pages ahead, speed over a plain one",
        6,
        _throughput("walk/far/asyncio"),
    ),
    _at_least(
        "send_many over a hand-written loop, throughput", 0.85, _throughput("send_many/asyncio/8")
    ),
    _at_most(
        "memory of a process at the end of a batch over that after a tenth of it",
        1.05,
        "×",
        _growth,
    ),
)


def judged(figures: Figures) -> list[tuple[Goal, float]]:
    """Each goal whose parts are in *figures*, and its value."""
    found = []
    for goal in GOALS:
        try:
            found.append((goal, goal.found(figures)))
        except (StopIteration, KeyError):
            continue
    return found
