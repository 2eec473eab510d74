"""
An attempt ends in time, whatever the server does, and says whether the mail may have left.

Each server here would hold the client for ever. With most of them `Timeouts.read` never runs out,
because bytes come all the time.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time

import httpx
import httpx2
import pytest

from _async.ways import ENGINES, OPTIONS, TLS, TOKEN, client_of, until
from poweremail import (
    AsyncPowerEmail,
    ConfigurationError,
    DeliveryUnknownError,
    NotSentError,
    RetryPolicy,
    Timeouts,
)
from poweremail._runtime._async import sleep
from poweremail._runtime._async_many import BoundedMap
from poweremail.sandbox import AsyncSandboxTransport, Fault, Sandbox
from poweremail.transports import AsyncHttpxTransport
from support.fault_server import SUCCESS, FaultServer, respond
from support.messages import large, message, template

OWN = [engine for engine in ENGINES if not engine.startswith("a ")]
SOCKS = [(engine, "socks5") for engine in OWN if engine != "aiohttp"]
ONCE = RetryPolicy(1)
SHORT = Timeouts(connect=5, read=20, response=0.2)


def repeat(connection, data: bytes, seconds: float) -> bool:
    """Send *data* again and again until the client has gone."""
    with contextlib.suppress(OSError):
        while not connection.server.stopped.wait(seconds):
            connection.socket.sendall(data)
    return False


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_error_says_in_words_that_time_ran_out(engine):
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host = f"127.0.0.1:{silent.getsockname()[1]}"
        for scheme, timeouts, error in (
            ("http", Timeouts(read=0.1), DeliveryUnknownError),
            ("https", Timeouts(connect=0.1), NotSentError),
        ):
            async with client_of(
                engine, f"{scheme}://{host}", timeouts=timeouts, retry=ONCE
            ) as client:
                with pytest.raises(error, match="(?i)time(d )?out|deadline") as caught:
                    await client.messages.send_mail(message())
            assert "scope" not in str(caught.value)
            assert "0x" not in str(caught.value)
    assert time.monotonic() - began < 30  # the wait for a connection in the pool may be longer


@pytest.mark.parametrize("engine", OWN)
async def test_an_error_shows_no_address_in_memory(engine):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"https://127.0.0.1:{closed.getsockname()[1]}"
    async with client_of(engine, url, retry=ONCE) as client:
        with pytest.raises(NotSentError, match="(?i)connect") as caught:
            await client.messages.send_mail(message())
    assert "0x" not in str(caught.value)


@contextlib.contextmanager
def full_queue():
    """The URL of a server whose queue of connections is full: the system answers no further one."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):
            caller = stack.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_wait_for_a_connection_ends_in_time(engine):
    began = time.monotonic()
    with full_queue() as url:
        timeouts = Timeouts(connect=0.2, read=60)
        async with client_of(engine, url, timeouts=timeouts, retry=ONCE) as client:
            with pytest.raises(NotSentError, match="(?i)time(d )?out"):
                await client.messages.send_mail(message())
            with pytest.raises(NotSentError, match="(?i)time(d )?out"):
                await client.messages.send_template_http_get(template())
    assert time.monotonic() - began < 30  # the system would try for minutes


def drip_body(connection) -> bool:
    connection.read_body()
    connection.send(200, b"", length=1_000_000)
    return repeat(connection, b" ", 0.02)


def drip_head(connection) -> bool:
    connection.read_body()
    connection.socket.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    return repeat(connection, b"a", 0.02)


def drip_interim(connection) -> bool:
    connection.read_body()
    return repeat(connection, b"HTTP/1.1 102 Processing\r\n\r\n", 0.05)


def in_pieces(connection) -> bool:
    """Respond in pieces with pauses, which together take longer than one may."""
    connection.read_body()
    body = json.dumps(SUCCESS).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    for piece in (head[:9], head[9:20], head[20:], body[:5], body[5:9], body[9:]):
        connection.server.stopped.wait(0.25)
        connection.socket.sendall(piece)
    return True


def stop_in_the_head(connection) -> bool:
    connection.read_body()
    connection.socket.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    connection.server.stopped.wait()
    return False


def stop_in_the_body(connection) -> bool:
    connection.read_body()
    connection.send(200, b"{", length=20)
    connection.server.stopped.wait()
    return False


@pytest.mark.parametrize("engine", ENGINES)
async def test_each_piece_of_a_response_has_time(engine):
    timeouts = Timeouts(connect=5, read=1, response=60)
    with FaultServer(in_pieces) as server:
        async with client_of(engine, server.url, timeouts=timeouts, retry=ONCE) as client:
            await client.messages.send_mail(message())


@pytest.mark.parametrize("behave", [stop_in_the_head, stop_in_the_body])
@pytest.mark.parametrize("engine", ENGINES)
async def test_a_response_that_stops_is_cut_off(engine, behave):
    timeouts = Timeouts(connect=5, read=0.2, response=60)
    began = time.monotonic()
    with FaultServer(behave) as server:
        async with client_of(engine, server.url, timeouts=timeouts, retry=ONCE) as client:
            with pytest.raises(DeliveryUnknownError, match="(?i)time(d )?out"):
                await client.messages.send_mail(message())
    assert time.monotonic() - began < 30  # the response as a whole has 60


def pour_interim(connection) -> bool:
    connection.read_body()
    return repeat(connection, b"HTTP/1.1 102 Processing\r\n\r\n" * 1000, 0)


@pytest.mark.parametrize("behave", [drip_body, drip_head, drip_interim])
@pytest.mark.parametrize("engine", ENGINES)
async def test_a_slow_response_is_cut_off(engine, behave):
    with FaultServer(behave) as server:
        async with client_of(engine, server.url, timeouts=SHORT, retry=ONCE) as client:
            with pytest.raises(DeliveryUnknownError, match="did not end within 0.2 s"):
                await client.messages.send_mail(message())
        await until(lambda: server.posts == 1)


@pytest.mark.parametrize("behave", [drip_body, drip_head, drip_interim])
@pytest.mark.parametrize("engine", OWN)
async def test_a_slow_response_to_a_get_is_cut_off(engine, behave):
    timeouts = Timeouts(connect=0.5, read=20, response=0.2)
    with FaultServer(behave) as server:
        async with client_of(engine, server.url, timeouts=timeouts, retry=ONCE) as client:
            with pytest.raises(DeliveryUnknownError, match="did not end within 0.2 s"):
                await client.messages.send_template_http_get(template())


@pytest.mark.parametrize("engine", ENGINES)
async def test_endless_interim_responses_are_cut_off(engine):
    with FaultServer(pour_interim) as server:
        async with client_of(engine, server.url, timeouts=Timeouts(), retry=ONCE) as client:
            with pytest.raises(DeliveryUnknownError, match="more than 20 interim responses"):
                await client.messages.send_mail(message())


def interim(count: int):
    """Respond after *count* interim responses, with those of two in one piece."""

    def behave(connection) -> bool:
        connection.read_body()
        pieces = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * count
        for start in range(0, len(pieces), 61):
            connection.socket.sendall(pieces[start : start + 61])
        connection.send(200, json.dumps(SUCCESS).encode())
        return True

    return behave


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_few_interim_responses_are_skipped(engine):
    with FaultServer(interim(20), interim(20), interim(21)) as server:
        async with client_of(engine, server.url, retry=ONCE) as client:
            await client.messages.send_mail(message())
            await client.messages.send_mail(message())
            with pytest.raises(DeliveryUnknownError, match="more than 20 interim responses"):
                await client.messages.send_mail(message())
    assert (server.posts, server.connections) == (3, 1)


def read_nothing(connection) -> bool:
    connection.server.stopped.wait()
    return False


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("behave", "outcome"), [(read_nothing, NotSentError), (drip_head, DeliveryUnknownError)]
)
async def test_the_outcome_of_a_total_timeout_follows_the_body(engine, behave, outcome):
    timeouts = Timeouts(connect=5, read=60, write=60, total=0.5)
    with FaultServer(behave) as server:
        async with client_of(engine, server.url, timeouts=timeouts, retry=ONCE) as client:
            began = time.monotonic()
            with pytest.raises(outcome, match="TotalTimeout: the attempt did not end within 0.5 s"):
                await client.messages.send_mail(large())
            assert time.monotonic() - began < 30  # another timeout would have ended it later


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("engine", ENGINES)
async def test_the_total_time_counts_for_a_get(engine, kept):
    timeouts = Timeouts(connect=5, read=20, response=5, total=0.3)
    with FaultServer(*[respond()] * kept, drip_head) as server:
        async with client_of(engine, server.url, retry=ONCE) as client:
            if kept:
                await client.messages.send_mail(message())
            hurried = client.with_options(timeouts=timeouts)
            with pytest.raises(DeliveryUnknownError, match="did not end within 0.3 s"):
                await hurried.messages.send_template_http_get(template())
    assert server.connections == 1


@pytest.mark.parametrize("engine", OWN)
async def test_the_total_time_counts_no_wait_for_a_connection(engine):
    """The last mail waits until one of the twenty connections is free, for longer than its time."""
    is_over = threading.Event()

    def hold(connection) -> bool:
        is_over.wait(60)
        return respond()(connection)

    with FaultServer(*[hold] * 20, respond()) as server:
        async with client_of(engine, server.url, retry=ONCE) as client:
            hurried = client.with_options(timeouts=Timeouts(total=1))

            async def send(index, _) -> None:
                if index < 20:
                    await client.messages.send_mail(message())
                else:
                    await until(lambda: server.connections == 20)
                    threading.Timer(1.1, is_over.set).start()
                    await hurried.messages.send_mail(message())

            async with BoundedMap(send, range(21), 21) as done:
                assert len([result async for result in done]) == 21
    assert server.posts == 21


@pytest.mark.parametrize(("engine", "scheme"), [*((engine, "http") for engine in OWN), *SOCKS])
async def test_a_proxy_that_keeps_silent_counts_as_connecting(engine, scheme, monkeypatch):
    if scheme == "socks5":
        pytest.importorskip("socksio")
    timeouts = Timeouts(connect=0.3, read=60)
    with FaultServer(read_nothing) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.replace("http", scheme))
        monkeypatch.setenv("no_proxy", "")
        async with client_of(
            engine, "https://api.example.com", timeouts=timeouts, retry=ONCE
        ) as client:
            with pytest.raises(NotSentError, match="(?i)connect"):
                await client.messages.send_mail(message())
            with pytest.raises(NotSentError, match="(?i)connect"):
                await client.messages.send_template_http_get(template())


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # async only
@pytest.mark.parametrize("package", [httpx, httpx2], ids=["httpx", "httpx2"])
async def test_a_foreign_transport_is_checked_between_two_pieces(package):
    """httpx lets a client have any transport: this one has no stream of ours."""

    class Drip(package.AsyncByteStream):
        def __aiter__(self):
            return self

        async def __anext__(self) -> bytes:
            await sleep(0.02)
            return b" "

    transport = package.MockTransport(lambda _: package.Response(200, stream=Drip()))
    async with package.AsyncClient(transport=transport, verify=TLS) as own:
        options = OPTIONS | {"timeouts": Timeouts(total=0.4), "retry": ONCE}
        async with AsyncPowerEmail(
            "owner", TOKEN, "example.com", transport=AsyncHttpxTransport(own), **options
        ) as client:
            with pytest.raises(DeliveryUnknownError):
                await client.messages.send_mail(message())


@pytest.mark.parametrize("field", ["response", "total"])
async def test_the_sandbox_in_process_keeps_to_the_timeouts(field):
    timeouts = Timeouts(read=60, **{field: 0.05})
    with Sandbox() as sandbox:
        sandbox.faults.add(Fault.slow_drip(0.01))
        client = AsyncPowerEmail(
            "owner",
            TOKEN,
            "example.com",
            transport=AsyncSandboxTransport(sandbox.service),
            **OPTIONS | {"timeouts": timeouts, "retry": ONCE},
        )
        async with client:
            with pytest.raises(DeliveryUnknownError, match="no whole response within 0.05 s"):
                await client.messages.send_mail(message())


def test_the_time_for_a_response_follows_the_read_timeout():
    assert Timeouts().response == 120
    assert Timeouts(read=2).response == 8
    assert Timeouts(read=None).response is None
    assert Timeouts(read=2, response=None).response is None
    assert Timeouts().total is None
    with pytest.raises(ConfigurationError, match="timeouts.total: must be a positive number"):
        Timeouts(total=0)
