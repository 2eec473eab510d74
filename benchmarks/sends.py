"""Sending, against the engine's own client and against a loop written by hand."""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
from benchmarks import samples
from benchmarks.contest import Clock, Contest, Cost, Peer

from poweremail import AsyncPowerEmail, Message, PowerEmail

Send = Callable[[], Awaitable[object]]

CONNECTIONS = 20
"""How many connections the library's own client opens at most; the bare one gets as many."""

AT_ONCE = 8
"""Mails that are under way at once, where several are."""


def contests(port: int, scale: int) -> Iterator[Contest]:
    """The parts, against the server at *port*; *scale* is 1 for a quick run."""
    calls = 200 * scale
    for engine in ("httpx", "httpx2"):
        for world in ("asyncio", "trio"):
            for at_once in (1, 10, 100):
                yield Contest(
                    f"send/{world}/{engine}/{at_once}",
                    _async_peer(world, _ours(engine, port), calls, at_once),
                    _async_peer(world, _bare(engine, port), calls, at_once),
                )
        for threads in (1, AT_ONCE):
            yield Contest(
                f"send/threads/{engine}/{threads}",
                _sync_peer(_sync_ours(engine, port), calls, threads),
                _sync_peer(_sync_bare(engine, port), calls, threads),
            )
    mails = [samples.small_mail()] * (400 * scale)
    for at_once in (1, AT_ONCE):
        for world in ("asyncio", "trio"):
            yield Contest(
                f"send_many/{world}/{at_once}", _async_many(world, port, mails, at_once), _async_loop(world, port, mails, at_once)
            )
        yield Contest(f"send_many/threads/{at_once}", _sync_many(port, mails, at_once), _sync_loop(port, mails, at_once))


def _options(port: int) -> dict[str, Any]:
    return {"smtp_user_name": samples.SMTP_USER, "base_url": f"http://127.0.0.1:{port}"}


def _client(port: int, engine: Any = "httpx") -> AsyncPowerEmail:
    return AsyncPowerEmail(samples.OWNER_ID, samples.TOKEN, transport=engine, **_options(port))


def _sync_client(port: int, engine: Any = "httpx") -> PowerEmail:
    return PowerEmail(samples.OWNER_ID, samples.TOKEN, transport=engine, **_options(port))


def _post(engine: str, port: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a bare client is made with, and what it is called with."""
    limits = importlib.import_module(engine).Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    url = f"http://127.0.0.1:{port}/v1.0/messages/sendMail"
    content = samples.content(samples.small_mail())
    return {"limits": limits}, {"url": url, "content": content, "headers": {"Content-Type": "application/json"}}


def _ours(engine: str, port: int) -> tuple[Callable[[], Any], Callable[[Any], Send]]:
    mail = samples.small_mail()
    return lambda: _client(port, engine), lambda client: lambda: client.messages.send_mail(mail)


def _bare(engine: str, port: int) -> tuple[Callable[[], Any], Callable[[Any], Send]]:
    made, called = _post(engine, port)
    client_of = importlib.import_module(engine).AsyncClient
    return lambda: client_of(**made), lambda client: lambda: client.post(**called)


def _sync_ours(engine: str, port: int) -> tuple[Callable[[], Any], Callable[[Any], Callable[[], object]]]:
    mail = samples.small_mail()
    return lambda: _sync_client(port, engine), lambda client: lambda: client.messages.send_mail(mail)


def _sync_bare(engine: str, port: int) -> tuple[Callable[[], Any], Callable[[Any], Callable[[], object]]]:
    made, called = _post(engine, port)
    client_of = importlib.import_module(engine).Client
    return lambda: client_of(**made), lambda client: lambda: client.post(**called)


def _async_peer(world: str, how: tuple[Callable[[], Any], Callable[[Any], Send]], calls: int, at_once: int) -> Peer:
    make, sender = how

    async def run() -> Cost:
        async with make() as client:
            send = sender(client)

            async def work(count: int) -> None:
                for _ in range(count):
                    await send()

            async def all_of(count: int) -> None:
                async with anyio.create_task_group() as tasks:
                    for _ in range(at_once):
                        tasks.start_soon(work, count // at_once)

            await all_of(2 * at_once)
            with Clock() as clock:
                await all_of(calls)
        return clock.cost(calls)

    return lambda: anyio.run(run, backend=world)


def _sync_peer(how: tuple[Callable[[], Any], Callable[[Any], Callable[[], object]]], calls: int, threads: int) -> Peer:
    make, sender = how

    def run() -> Cost:
        with make() as client, ThreadPoolExecutor(threads) as pool:
            send = sender(client)

            def work(count: int) -> None:
                for _ in range(count):
                    send()

            list(pool.map(work, [2] * threads))
            with Clock() as clock:
                list(pool.map(work, [calls // threads] * threads))
        return clock.cost(calls)

    return run


def _async_many(world: str, port: int, mails: list[Message], at_once: int) -> Peer:
    async def run() -> Cost:
        async with _client(port) as client:
            await client.messages.send_mail(mails[0])
            with Clock() as clock:
                async with client.messages.send_many(mails, concurrency=at_once) as outcomes:
                    sent = [outcome.result async for outcome in outcomes]
        return clock.cost(len(sent))

    return lambda: anyio.run(run, backend=world)


def _async_loop(world: str, port: int, mails: list[Message], at_once: int) -> Peer:
    async def run() -> Cost:
        async with _client(port) as client:
            await client.messages.send_mail(mails[0])
            rest, sent = iter(mails), []

            async def work() -> None:
                sent.extend([await client.messages.send_mail(mail) for mail in rest])

            with Clock() as clock:
                async with anyio.create_task_group() as tasks:
                    for _ in range(at_once):
                        tasks.start_soon(work)
        return clock.cost(len(sent))

    return lambda: anyio.run(run, backend=world)


def _sync_many(port: int, mails: list[Message], at_once: int) -> Peer:
    def run() -> Cost:
        with _sync_client(port) as client:
            client.messages.send_mail(mails[0])
            with Clock() as clock, client.messages.send_many(mails, concurrency=at_once) as outcomes:
                sent = [outcome.result for outcome in outcomes]
        return clock.cost(len(sent))

    return run


def _sync_loop(port: int, mails: list[Message], at_once: int) -> Peer:
    def run() -> Cost:
        with _sync_client(port) as client:
            client.messages.send_mail(mails[0])
            rest, sent = iter(mails), []

            def work(_: int) -> None:
                sent.extend([client.messages.send_mail(mail) for mail in rest])

            with Clock() as clock, ThreadPoolExecutor(at_once) as pool:
                list(pool.map(work, range(at_once)))
        return clock.cost(len(sent))

    return run
