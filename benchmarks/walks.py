"""Walking over pages, with and without looking ahead, and the memory of a large batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks import samples
from benchmarks.contest import Clock, Contest, Cost, Peer
from benchmarks.sends import async_client, run, sync_client
from benchmarks.server import LAST_PAGE, Ports

LOOK_AHEAD = 8


def contests(ports: Ports, scale: int) -> Iterator[Contest]:
    """The parts; *scale* is 1 for a quick run, which walks over the last pages only."""
    pages = 100 if scale == 1 else LAST_PAGE
    for name, port in (("far", ports.slow), ("near", ports.fast)):
        for backend in ("asyncio", "trio"):
            yield Contest(
                f"walk/{name}/{backend}",
                _walk(backend, port, pages, LOOK_AHEAD),
                _walk(backend, port, pages, 0),
            )
        yield Contest(
            f"walk/{name}/threads", _sync_walk(port, pages, LOOK_AHEAD), _sync_walk(port, pages, 0)
        )


def _walk(backend: str, port: int, pages: int, look_ahead: int) -> Peer:
    async def measure() -> Cost:
        async with async_client(port) as client:
            with Clock() as clock:
                walk = client.messages.iter_message_info(
                    "u1", skip_page=LAST_PAGE - pages, look_ahead=look_ahead
                )
                count = 0
                async for _ in walk:
                    count += 1
        assert count == pages * 100 + 1
        return clock.cost(pages)

    return lambda: run(backend, measure)


def _sync_walk(port: int, pages: int, look_ahead: int) -> Peer:
    def measure() -> Cost:
        with sync_client(port) as client, Clock() as clock:
            count = 0
            for _ in client.messages.iter_message_info(
                "u1", skip_page=LAST_PAGE - pages, look_ahead=look_ahead
            ):
                count += 1
        assert count == pages * 100 + 1
        return clock.cost(pages)

    return measure


def memory(port: int, messages: int) -> dict[str, Any]:
    """
    Send *messages*, made one by one, and return how much memory the process had after a tenth of
    them and at the end.

    Through the fastest engine, because the memory is a matter of the batch and not of the engine.
    """
    sizes: dict[int, int] = {}

    def source() -> Iterator[Any]:
        for _ in range(messages):
            yield samples.small_mail()

    async def measure() -> Cost:
        async with async_client(port, "aiohttp") as client:
            with Clock() as clock:
                async with client.messages.send_many(source(), concurrency=20) as outcomes:
                    async for outcome in outcomes:
                        assert outcome.error is None
                        if outcome.index in (messages // 10, messages - 1):
                            sizes[outcome.index] = resident()
        return clock.cost(messages)

    cost = run("asyncio", measure)
    first, last = (sizes[index] for index in sorted(sizes))
    return {
        "messages": messages,
        "per_second": messages / cost.wall,
        "resident_bytes_after_a_tenth": first,
        "resident_bytes_at_the_end": last,
    }


def resident() -> int:
    """The resident memory of this process in bytes; on Linux."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
