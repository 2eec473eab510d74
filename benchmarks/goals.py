"""What the figures are meant to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Figures = Mapping[str, Any]


class Goal(NamedTuple):
    """A figure that *found* makes of the results, and the *limit* that it is to keep."""

    what: str
    limit: float
    at_least: bool
    unit: str
    found: Callable[[Figures], float]

    def reached(self, value: float) -> bool:
        """Whether *value* is as good as meant."""
        return value >= self.limit if self.at_least else value <= self.limit


def _part(figures: Figures, name: str) -> Any:
    return next(part for part in figures["parts"] if part["part"] == name)


def _per_cpu(name: str) -> Callable[[Figures], float]:
    """Sends per CPU second, ours over theirs."""
    return lambda figures: 1 / _part(figures, name)["cpu"]["middle"]


def _cpu(name: str) -> Callable[[Figures], float]:
    return lambda figures: float(_part(figures, name)["cpu"]["middle"])


def _difference(name: str, unit: float = 1.0) -> Callable[[Figures], float]:
    """
    Microseconds of CPU per call that ours takes more than theirs, as the difference of the medians.
    """

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


GOALS = (
    Goal(
        "the library itself, a send of 1.5 KB, µs of CPU", 30, False, "µs", _difference("own/send")
    ),
    Goal(
        "above bare httpx, one at a time, µs", 30, False, "µs", _difference("send/asyncio/httpx/1")
    ),
    Goal(
        "above bare httpx2, one at a time, µs",
        30,
        False,
        "µs",
        _difference("send/asyncio/httpx2/1"),
    ),
    Goal(
        "above bare aiohttp, one at a time, µs",
        30,
        False,
        "µs",
        _difference("send/asyncio/aiohttp/1"),
    ),
    Goal(
        "above bare aiohttp, 100 at a time, µs",
        30,
        False,
        "µs",
        _difference("send/asyncio/aiohttp/100"),
    ),
    Goal(
        "sends per CPU second against bare httpx, 100 at a time",
        3,
        True,
        "×",
        _per_cpu("send/asyncio/httpx/100"),
    ),
    Goal(
        "sends per CPU second against bare httpx, 500 at a time",
        3,
        True,
        "×",
        _per_cpu("send/asyncio/httpx/500"),
    ),
    Goal(
        "CPU per send at 500 callers over that at 10",
        1.25,
        False,
        "×",
        _cpu("growth/asyncio/httpx/500"),
    ),
    Goal(
        "httpx against the vendor's library, 8 threads",
        1.0,
        True,
        "×",
        _per_cpu("vendor/threads/httpx/8"),
    ),
    Goal(
        "httpx2 against the vendor's library, 8 threads",
        1.1,
        True,
        "×",
        _per_cpu("vendor/threads/httpx2/8"),
    ),
    Goal(
        "httpx against the vendor's library, 100 at a time",
        1.0,
        True,
        "×",
        _per_cpu("vendor/asyncio/httpx/100"),
    ),
    Goal(
        "httpx2 against the vendor's library, 100 at a time",
        1.1,
        True,
        "×",
        _per_cpu("vendor/asyncio/httpx2/100"),
    ),
    Goal(
        "aiohttp against the vendor's library, 100 at a time",
        4.5,
        True,
        "×",
        _per_cpu("vendor/asyncio/aiohttp/100"),
    ),
    Goal(
        "httpx against the vendor's library, one thread",
        1.1,
        True,
        "×",
        _per_cpu("vendor/threads/httpx/1"),
    ),
    Goal(
        "decode of a page over json.loads, with orjson", 1.5, False, "×", _cpu("decode/page/orjson")
    ),
    Goal("decode of a page over json.loads, without", 2.5, False, "×", _cpu("decode/page/json")),
    Goal("encode of 10 MB over base64 alone", 1.5, False, "×", _cpu("encode/10MB/threads")),
    Goal("extra memory of 10 MB from a path, MB", 8, False, "MB", _peak),
    Goal(
        "import of poweremail over attrs, ms", 10, False, "ms", _difference("import/attrs", 1_000)
    ),
    Goal(
        "a far walk that looks 8 pages ahead, speed over a plain one",
        6,
        True,
        "×",
        _throughput("walk/far/asyncio"),
    ),
    Goal(
        "send_many over a hand-written loop, throughput",
        0.85,
        True,
        "×",
        _throughput("send_many/asyncio/8"),
    ),
    Goal(
        "memory of a process at the end of a batch over that after a tenth of it",
        1.05,
        False,
        "×",
        _growth,
    ),
)


def judged(figures: Figures) -> list[tuple[Goal, float]]:
    """Each goal for which *figures* has what it takes, and its value."""
    found = []
    for goal in GOALS:
        try:
            found.append((goal, goal.found(figures)))
        except (StopIteration, KeyError):
            continue
    return found
