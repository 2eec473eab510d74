"""One sandbox, and every way to reach it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp  # async only
import httpx
import httpx2

from poweremail import AsyncPowerEmail, RetryPolicy, Timeouts
from poweremail._runtime._async import sleep
from poweremail.transports import (
    AsyncAiohttpTransport,  # async only
    AsyncHttpxTransport,
)
from support.served import ServedSandbox

WAYS = (
    "in-process",
    "httpx",
    "httpx2",
    "a client of httpx",
    "a client of httpx2",
    "aiohttp",  # async only
    "a session of aiohttp",  # async only
)
ENGINES = WAYS[1:]

OPTIONS = {
    "smtp_user_name": "smtp12345",
    "timeouts": Timeouts(read=20),
    "retry": RetryPolicy(first_wait=0.001),
}
TOKEN = "canary+token/with 9 odd=characters"
# Made once: it takes longer than most tests.
TLS = ssl.create_default_context()


@asynccontextmanager
async def client_of(way: str, base_url: str, **options) -> AsyncIterator[AsyncPowerEmail]:
    """A client that reaches *base_url* by *way*."""
    async with AsyncExitStack() as stack:
        transport = way
        if way == "a session of aiohttp":  # async only
            session = await stack.enter_async_context(aiohttp.ClientSession())
            transport = AsyncAiohttpTransport(session)
        if way.startswith("a client of"):
            engine = httpx2 if way.endswith("httpx2") else httpx
            transport = AsyncHttpxTransport(
                await stack.enter_async_context(engine.AsyncClient(verify=TLS))
            )
        client = AsyncPowerEmail(
            "owner", TOKEN, base_url=base_url, transport=transport, **(OPTIONS | options)
        )
        yield await stack.enter_async_context(client)


@asynccontextmanager
async def reached(way: str, sandbox: ServedSandbox, **options) -> AsyncIterator[AsyncPowerEmail]:
    """A client that reaches *sandbox* by *way*."""
    if way == "in-process":
        async with sandbox.async_client(**(OPTIONS | options)) as client:
            yield client
    else:
        async with client_of(way, sandbox.url, **options) as client:
            yield client


async def until(condition: Callable[[], object]) -> None:
    """Wait for *condition*, for a minute at most."""
    for _ in range(6_000):
        if condition():
            return
        await sleep(0.01)
    raise TimeoutError
