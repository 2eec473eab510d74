"""
Sending: against the bare engine, against what the vendor's own library does, and against ourselves.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self

import anyio
from benchmarks import samples
from benchmarks.contest import Clock, Contest, Cost, Peer
from benchmarks.engines import ASYNC_ENGINES, ENGINES, bare, sync_bare, sync_popular, sync_vendor

from poweremail import AsyncPowerEmail, Message, PowerEmail, RateLimits, Response, RetryPolicy

Send = Callable[[], Awaitable[object]]
Way = tuple[Callable[[], Any], Callable[[Any], Callable[[], Any]]]
"""A function that makes a client, and one that returns the send function of a client."""

CALLS = {"httpx": 200, "httpx2": 400, "aiohttp": 1_000}
"""
Sends in a round of a quick run, by the engine: a round of the quick ones would be over before it
was under way.
"""
AT_ONCE = 8
"""Mails that are under way at once, where several are."""
MANY = 100
CROWD = 500


def contests(port: int, scale: int) -> Iterator[Contest]:
    """The parts, against the server at *port*; *scale* is 1 for a quick run."""
    for engine in ASYNC_ENGINES:
        for at_once in (1, 10, MANY, CROWD):
            calls = max(CALLS[engine] * scale, at_once)
            # With so many callers the bare pool takes tens of milliseconds a call.
            count = CROWD if engine == "httpx" and at_once == CROWD else calls
            yield Contest(
                f"send/asyncio/{engine}/{at_once}",
                _async_peer("asyncio", _ours(engine, port), calls, at_once),
                _async_peer("asyncio", bare(engine, port), count, at_once),
            )
    for engine in ("httpx", "httpx2"):
        calls = CALLS[engine] * scale
        for at_once in (1, 10, MANY):
            yield Contest(
                f"send/trio/{engine}/{at_once}",
                _async_peer("trio", _ours(engine, port), calls, at_once),
                _async_peer("trio", bare(engine, port), calls, at_once),
            )
    for engine in ENGINES:
        calls = CALLS[engine] * scale
        for threads in (1, AT_ONCE):
            yield Contest(
                f"send/threads/{engine}/{threads}",
                _sync_peer(_sync_ours(engine, port), calls, threads),
                _sync_peer(sync_bare(engine, port), calls, threads),
            )
    yield from _vendor(port, scale)
    calls = CALLS["httpx"] * scale
    yield Contest(
        f"growth/asyncio/httpx/{CROWD}",
        _async_peer("asyncio", _ours("httpx", port), max(calls, CROWD), CROWD),
        _async_peer("asyncio", _ours("httpx", port), max(calls, CROWD), 10),
    )
    yield from _own_cost(scale)
    yield from _many(port, scale)


def _vendor(port: int, scale: int) -> Iterator[Contest]:
    """
    Against requests with one session, which is what the vendor's library uses, and against a
    popular library for mail.
    """
    theirs = CALLS["httpx"] * scale
    for engine in ENGINES:
        for threads in (1, AT_ONCE):
            yield Contest(
                f"vendor/threads/{engine}/{threads}",
                _sync_peer(_sync_ours(engine, port), CALLS[engine] * scale, threads),
                _sync_peer(sync_vendor(port), theirs, threads),
            )
    for backend, engine in (
        *(("asyncio", engine) for engine in ASYNC_ENGINES),
        ("uvloop", "aiohttp"),
    ):
        yield Contest(
            f"vendor/{backend}/{engine}/{MANY}",
            _async_peer(backend, _ours(engine, port), CALLS[engine] * scale, MANY),
            _sync_peer(sync_vendor(port), theirs, MANY),
        )
    yield Contest(
        "popular/threads/httpx/1",
        _sync_peer(_sync_ours("httpx", port), theirs, 1),
        _sync_peer(sync_popular(port), theirs, 1),
    )


class _Nowhere:
    """A transport that has the response already, so only the library costs time."""

    response = Response(
        200,
        (("Content-Type", "application/json"),),
        b'{"status":"success","message":"message have been Queued ..."}',
    )

    async def handle(self, _: object) -> Response:
        return self.response

    async def aclose(self) -> None:
        pass


def _own_cost(scale: int) -> Iterator[Contest]:
    """The cost of the library itself, and of limits and retries for a send that succeeds."""
    calls = 3_000 * scale

    def ours(**options: Any) -> Peer:
        mail = samples.small_mail()

        def make() -> AsyncPowerEmail:
            return AsyncPowerEmail(
                samples.OWNER_ID, samples.TOKEN, transport=_Nowhere(), **_options(1), **options
            )

        return _async_peer(
            "asyncio", (make, lambda client: lambda: client.messages.send_mail(mail)), calls, 1
        )

    plain = ours(retry=RetryPolicy(1))
    yield Contest(
        "own/send", plain, _async_peer("asyncio", (_Null, lambda client: client.send), calls, 1)
    )
    yield Contest("own/retry", ours(), plain)
    limits = RateLimits(per_minute=10_000_000, per_hour=None, per_day=None)
    yield Contest("own/limits", ours(limits=limits, retry=RetryPolicy(1)), plain)


class _Null:
    """A client that does nothing."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def send(self) -> None:
        """Do nothing."""


def _many(port: int, scale: int) -> Iterator[Contest]:
    mails = [samples.small_mail()] * (1_000 * scale)
    for at_once in (1, AT_ONCE):
        for backend in ("asyncio", "trio"):
            yield Contest(
                f"send_many/{backend}/{at_once}",
                _async_many(backend, port, mails, at_once),
                _async_loop(backend, port, mails, at_once),
            )
        yield Contest(
            f"send_many/threads/{at_once}",
            _sync_many(port, mails, at_once),
            _sync_loop(port, mails, at_once),
        )


def _options(port: int) -> dict[str, Any]:
    return {"smtp_user_name": samples.SMTP_USER, "base_url": f"http://127.0.0.1:{port}"}


def async_client(port: int, engine: Any = "httpx") -> AsyncPowerEmail:
    """Our async client over *engine*."""
    return AsyncPowerEmail(samples.OWNER_ID, samples.TOKEN, transport=engine, **_options(port))


def sync_client(port: int, engine: Any = "httpx") -> PowerEmail:
    """Our sync client over *engine*."""
    return PowerEmail(samples.OWNER_ID, samples.TOKEN, transport=engine, **_options(port))


def _ours(engine: str, port: int) -> Way:
    mail = samples.small_mail()
    return lambda: async_client(
        port, engine
    ), lambda client: lambda: client.messages.send_mail(mail)


def _sync_ours(engine: str, port: int) -> Way:
    mail = samples.small_mail()
    return lambda: sync_client(port, engine), lambda client: lambda: client.messages.send_mail(mail)


def run(backend: str, function: Callable[[], Awaitable[Cost]]) -> Cost:
    """Run *function* on *backend*: asyncio, trio, or asyncio on the loop of uvloop."""
    if backend != "uvloop":
        return anyio.run(function, backend=backend)
    with asyncio.Runner(loop_factory=importlib.import_module("uvloop").new_event_loop) as runner:
        return runner.run(function())  # type: ignore[arg-type]


def _async_peer(backend: str, way: Way, calls: int, at_once: int) -> Peer:
    make, sender = way

    async def measure() -> Cost:
        async with make() as client:
            send = sender(client)

            async def work(count: int) -> None:
                for _ in range(count):
                    await send()

            async def all_of(count: int) -> None:
                async with anyio.create_task_group() as tasks:
                    for _ in range(at_once):
                        tasks.start_soon(work, count // at_once)

            await all_of(at_once if at_once == CROWD else 2 * at_once)
            with Clock() as clock:
                await all_of(calls)
        return clock.cost(calls // at_once * at_once)

    return lambda: run(backend, measure)


def _sync_peer(way: Way, calls: int, threads: int) -> Peer:
    make, sender = way

    def measure() -> Cost:
        with make() as client, ThreadPoolExecutor(threads) as pool:
            send = sender(client)

            def work(count: int) -> None:
                for _ in range(count):
                    send()

            list(pool.map(work, [2] * threads))
            with Clock() as clock:
                list(pool.map(work, [calls // threads] * threads))
        return clock.cost(calls // threads * threads)

    return measure


def _async_many(backend: str, port: int, mails: list[Message], at_once: int) -> Peer:
    async def measure() -> Cost:
        async with async_client(port) as client:
            await client.messages.send_mail(mails[0])
            with Clock() as clock:
                async with client.messages.send_many(mails, concurrency=at_once) as outcomes:
                    sent = [outcome.result async for outcome in outcomes]
        return clock.cost(len(sent))

    return lambda: run(backend, measure)


def _async_loop(backend: str, port: int, mails: list[Message], at_once: int) -> Peer:
    async def measure() -> Cost:
        async with async_client(port) as client:
            await client.messages.send_mail(mails[0])
            rest, sent = iter(mails), []

            async def work() -> None:
                sent.extend([await client.messages.send_mail(mail) for mail in rest])

            with Clock() as clock:
                async with anyio.create_task_group() as tasks:
                    for _ in range(at_once):
                        tasks.start_soon(work)
        return clock.cost(len(sent))

    return lambda: run(backend, measure)


def _sync_many(port: int, mails: list[Message], at_once: int) -> Peer:
    def measure() -> Cost:
        with sync_client(port) as client:
            client.messages.send_mail(mails[0])
            with (
                Clock() as clock,
                client.messages.send_many(mails, concurrency=at_once) as outcomes,
            ):
                sent = [outcome.result for outcome in outcomes]
        return clock.cost(len(sent))

    return measure


def _sync_loop(port: int, mails: list[Message], at_once: int) -> Peer:
    def measure() -> Cost:
        with sync_client(port) as client:
            client.messages.send_mail(mails[0])
            rest, sent = iter(mails), []

            def work(_: int) -> None:
                sent.extend([client.messages.send_mail(mail) for mail in rest])

            with Clock() as clock, ThreadPoolExecutor(at_once) as pool:
                list(pool.map(work, range(at_once)))
        return clock.cost(len(sent))

    return measure
