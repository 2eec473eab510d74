# Generated from tests/_async/ways.py; do not edit.
"""One sandbox, and every way to reach it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Callable
from contextlib import ExitStack, contextmanager

import httpx
import httpx2

from poweremail import PowerEmail, RetryPolicy, Timeouts
from poweremail._runtime._sync import sleep
from poweremail.transports import (
    HttpxTransport,
)
from support.served import ServedSandbox

WAYS = (
    "in-process",
    "httpx",
    "httpx2",
    "a client of httpx",
    "a client of httpx2",
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


@contextmanager
def client_of(way: str, base_url: str, **options) -> Iterator[PowerEmail]:
    """A client that reaches *base_url* by *way*."""
    with ExitStack() as stack:
        transport = way
        if way.startswith("a client of"):
            engine = httpx2 if way.endswith("httpx2") else httpx
            transport = HttpxTransport(stack.enter_context(engine.Client(verify=TLS)))
        client = PowerEmail(
            "owner", TOKEN, base_url=base_url, transport=transport, **(OPTIONS | options)
        )
        yield stack.enter_context(client)


@contextmanager
def reached(way: str, sandbox: ServedSandbox, **options) -> Iterator[PowerEmail]:
    """A client that reaches *sandbox* by *way*."""
    if way == "in-process":
        with sandbox.client(**(OPTIONS | options)) as client:
            yield client
    else:
        with client_of(way, sandbox.url, **options) as client:
            yield client


def until(condition: Callable[[], object]) -> None:
    """Wait for *condition*, for a minute at most."""
    for _ in range(6_000):
        if condition():
            return
        sleep(0.01)
    raise TimeoutError
