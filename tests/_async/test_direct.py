# async only: aiohttp has no sync client
"""A send by aiohttp below its session writes the same, and ends the same, as one through it."""

from __future__ import annotations

import asyncio
import functools
import re
from contextlib import asynccontextmanager
from unittest.mock import create_autospec

import aiohttp
import pytest
import wrapt

from _async.ways import OPTIONS
from poweremail import (
    AsyncPowerEmail,
    DeliveryUnknownError,
    PowerEmailError,
    RetryPolicy,
    Timeouts,
    UsageError,
)
from poweremail._async.transports import aiohttp_direct
from support.fault_server import FaultServer, respond
from support.messages import large, message, template

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]

ACCEPTED = b'{"status":"success","message":"message have been Queued ..."}'
HEAD = b"HTTP/1.1 200 OK\r\n"
RESPONSES = {
    "accepted": HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(ACCEPTED), ACCEPTED),
    "chunked": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(ACCEPTED), ACCEPTED),
    "up to the end": HEAD + b"Connection: close\r\n\r\n" + ACCEPTED,
    "interim ones before": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3
    + HEAD
    + b"Content-Length: %d\r\n\r\n%b" % (len(ACCEPTED), ACCEPTED),
    "too many interim ones": b"HTTP/1.1 100 Continue\r\n\r\n" * 30,
    "switching protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: no\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
    "too many requests": b"HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
    "no HTTP": b"220 mail.example.com ESMTP\r\n\r\n",
    "a long header": HEAD + b"X: " + b"a" * 10_000 + b"\r\n\r\n",
    "half a head": HEAD + b"Content-Le",
    "half a body": HEAD + b"Content-Length: 1000\r\n\r\n" + ACCEPTED,
    "half a chunk": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1000\r\n" + ACCEPTED,
    "no gzip": HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnone",
    "nothing": b"",
    "more than is read": HEAD + b"Content-Length: 99999\r\n\r\n" + bytes(9_000),
    "more than is read, in chunks": HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n2328\r\n"
    + bytes(9_000)
    + b"\r\n",
}


@pytest.fixture
def through(monkeypatch):
    """The requests that went through the session."""
    made: list[str] = []
    request = aiohttp.ClientSession.request

    def note(self, method, url, **options):
        made.append(method)
        return request(self, method, url, **options)

    monkeypatch.setattr(aiohttp.ClientSession, "request", note)
    return made


@asynccontextmanager
async def served(response: bytes):
    """A server that gives *response* to each request and then closes, and what it received."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
        received.append(head + await reader.readexactly(length))
        writer.write(response)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/api", received
    finally:
        server.close()


def client(url: str, **options) -> AsyncPowerEmail:
    once = {"retry": RetryPolicy(1), "timeouts": Timeouts(read=5)}
    return AsyncPowerEmail(
        "owner", "token", base_url=url, transport="aiohttp", **(OPTIONS | once | options)
    )


@pytest.mark.parametrize("case", RESPONSES)
async def test_both_ways_write_and_end_the_same(case, monkeypatch, through):
    found = []
    for releases in (aiohttp_direct.RELEASES, ()):
        monkeypatch.setattr(aiohttp_direct, "RELEASES", releases)
        async with (
            served(RESPONSES[case]) as (url, received),
            client(url, max_response_bytes=5_000) as sender,
        ):
            try:
                outcome: object = await sender.messages.send_mail(message(unique_id="u-1"))
            except PowerEmailError as error:
                outcome = type(error), error.mail_state, error.args, type(error.__cause__)
        port = re.compile(rf":{url.split(':')[2].split('/')[0]}\b")
        found.append(
            (port.sub("", repr(outcome)), [port.sub("", each.decode()) for each in received])
        )
    below, otherwise = found
    assert below == otherwise
    assert through == ["POST"]


@pytest.mark.parametrize("releases", [aiohttp_direct.RELEASES, ()], ids=["below", "through"])
async def test_a_client_that_is_closed_ends_its_sends(releases, monkeypatch):
    monkeypatch.setattr(aiohttp_direct, "RELEASES", releases)
    begun = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + b"Content-Length: 1000\r\n\r\n{")
        begun.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1")
    sender = client(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    sending = asyncio.create_task(sender.messages.send_mail(message()))
    await begun.wait()
    for _ in range(10):  # the rounds of the loop in which the response arrives and is read
        await asyncio.sleep(0)
    await sender.aclose()
    with pytest.raises(DeliveryUnknownError, match="the client was closed"):
        async with asyncio.timeout(10):
            await sending
    with pytest.raises(UsageError, match="closed"):
        await sender.messages.send_mail(message())
    server.close()


async def test_all_else_goes_through_the_session(through, monkeypatch):
    with FaultServer(respond()) as server:
        async with client(server.url) as sender:
            await sender.messages.send_mail(message())
            assert through == []
            await sender.messages.send_mail(large())
            await sender.messages.send_template_http_get(template())
        assert through == ["POST", "GET"]
        monkeypatch.setenv("http_proxy", server.url)
        monkeypatch.setenv("no_proxy", "")
        async with client("http://127.0.0.1:1") as sender:
            await sender.messages.send_mail(message())
        assert through == ["POST", "GET", "POST"]
        assert server.seen[-1].target == "http://127.0.0.1:1/v1.0/messages/sendMail"


def by_functools(request):
    @functools.wraps(request)
    async def watched(self, *args, **options):
        return await request(self, *args, **options)

    return watched


def by_wrapt(request):
    return wrapt.FunctionWrapper(request, lambda call, _, args, options: call(*args, **options))


def by_mock(request):
    return create_autospec(request, side_effect=request)


@pytest.mark.parametrize("replace", [by_functools, by_wrapt, by_mock])
@pytest.mark.parametrize("early", [True, False], ids=["before the client", "after it"])
async def test_who_replaces_the_function_of_the_session_sees_its_requests(replace, early, through):
    replaced = replace(aiohttp.ClientSession._request)
    with FaultServer(respond()) as server, pytest.MonkeyPatch.context() as patch:
        if early:
            patch.setattr(aiohttp.ClientSession, "_request", replaced)
        async with client(server.url) as sender:
            if not early:
                await sender.messages.send_mail(message())
                assert through == []
                patch.setattr(aiohttp.ClientSession, "_request", replaced)
            await sender.messages.send_mail(message())
            assert through == ["POST"]
            patch.undo()
            await sender.messages.send_mail(message())
            assert len(through) == 1 + early  # who was there first is still expected


async def test_who_replaces_the_session_sees_its_requests(through, monkeypatch):
    with pytest.warns(DeprecationWarning, match="discouraged"):

        class Watched(aiohttp.ClientSession):
            async def _request(self, *args, **options):
                return await super()._request(*args, **options)

    monkeypatch.setattr(aiohttp, "ClientSession", Watched)
    with FaultServer(respond()) as server:
        async with client(server.url) as sender:
            await sender.messages.send_mail(message())
    assert through == ["POST"]


async def test_a_session_that_is_traced_shows_its_requests(through, monkeypatch):
    make = aiohttp.ClientSession.__init__

    def instrument(self, *args, **options):
        make(self, *args, **options, trace_configs=[aiohttp.TraceConfig()])

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", instrument)
    with FaultServer(respond()) as server:
        async with client(server.url) as sender:
            await sender.messages.send_mail(message())
    assert through == ["POST"]
