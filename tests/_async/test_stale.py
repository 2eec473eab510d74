"""
A connection that the server is closing costs no mail its outcome.

The server of `support.closing_server` closes in six ways while the client wants to use its
connections again, and counts what arrived. ``nox -s proof`` makes many sends in each way, and
demands that few of them are unknown.
"""

from __future__ import annotations

import random
import socket
import ssl
import threading
from contextlib import asynccontextmanager

import aiohttp  # async only
import httpx
import httpx2
import pytest
import trustme

from _async.ways import ENGINES, OPTIONS, TOKEN, client_of, until
from poweremail import (
    AsyncPowerEmail,
    ConfigurationError,
    DeliveryUnknownError,
    NotSentError,
    PowerEmailError,
    RetryPolicy,
    Timeouts,
)
from poweremail._async.transports import base
from poweremail._runtime._async import sleep
from poweremail._runtime._async_many import BoundedMap
from poweremail.transports import (
    AsyncAiohttpTransport,  # async only
    AsyncHttpxTransport,
)
from support.agreement_figures import PROOF
from support.closing_server import WAYS, closing_server
from support.fault_server import FaultServer, reset_in_body, respond
from support.messages import large, message, template

LENT_SESSION = "a session of aiohttp"
OWN = [engine for engine in ENGINES if not engine.startswith("a ")]
CALLERS = 20
SENDS = 200 if PROOF else 40
SEEDS = range(3 if PROOF else 1)
MAX_UNKNOWN = 0.002
"""Of the sends of all seeds: this is demanded of the long run only."""
AUTHORITY = trustme.CA()


@pytest.mark.parametrize("closes", WAYS)
@pytest.mark.parametrize("engine", OWN)
async def test_reported_outcomes_match_the_mails_that_arrived(engine, closes, record_property):
    unknown = 0
    for seed in SEEDS:
        outcomes, arrived = await send_many(engine, closes, seed)
        for subject, outcome in outcomes.items():
            assert arrived[subject] <= 1
            if isinstance(outcome, DeliveryUnknownError):
                unknown += 1
            else:
                assert arrived[subject] == (not isinstance(outcome, NotSentError))
    record_property("unknown", unknown)
    if PROOF:
        assert unknown <= MAX_UNKNOWN * SENDS * len(SEEDS)


async def send_many(engine, closes, seed):
    """Send from several callers that pause in between; return the outcomes and what arrived."""
    random_pause = random.Random(seed)
    outcomes = {}
    with closing_server(closes, seed) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with client_of(engine, url, retry=RetryPolicy(8, first_wait=0.01)) as client:

            async def send(number, _) -> None:
                await sleep(random_pause.uniform(0, 0.06))
                subject = f"mail {number}"
                try:
                    outcomes[subject] = await client.messages.send_mail(message(subject=subject))
                except PowerEmailError as error:
                    outcomes[subject] = error

            async with BoundedMap(send, range(SENDS), CALLERS) as done:
                async for _ in done:
                    pass
    return outcomes, server.arrived


def close_at_head(connection) -> bool:
    """Close before the body has been read."""
    return False


def reset_at_head(connection) -> bool:
    return connection.reset()


def respond_late(connection) -> bool:
    """Say that no request came in time, as some servers do before they close."""
    connection.send(408, b"", [("Connection", "close")])
    connection.socket.shutdown(socket.SHUT_WR)
    connection.socket.recv(1 << 16)
    return False


def close_notify(connection) -> bool:
    """Say goodbye as TLS does, but keep the TCP connection open."""
    connection.socket.settimeout(0.1)
    try:
        connection.socket.unwrap()
    except OSError:
        connection.server.stopped.wait()
    return False


def interim_at_head(connection) -> bool:
    connection.socket.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n")
    return respond()(connection)


@pytest.fixture
def patient(monkeypatch):
    """Wait so long between head and body that a busy machine delivers what the server sends."""
    monkeypatch.setattr(base, "_WAIT_SECONDS", 2.0)


@pytest.mark.parametrize("closes", [close_at_head, reset_at_head, respond_late])
@pytest.mark.parametrize("size", [message, large])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.usefixtures("patient")
async def test_no_body_is_sent_over_a_closed_connection(engine, size, closes):
    with FaultServer(respond(), closes, respond()) as server:
        async with client_of(engine, server.url) as client:
            await client.messages.send_mail(message())
            assert (await client.messages.send_mail(size())).attempts == 2
    assert (server.posts, server.connections) == (2, 2)


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_interim_response_does_not_hold_the_body_back(engine, monkeypatch):
    monkeypatch.setattr(base, "_WAIT_SECONDS", 0.2)  # aiohttp waits for all of it
    with FaultServer(respond(), interim_at_head) as server:
        async with client_of(engine, server.url) as client:
            await client.messages.send_mail(message())
            assert (await client.messages.send_mail(message())).attempts == 1
    assert (server.posts, server.connections) == (2, 1)


@pytest.mark.parametrize("engine", ENGINES)
async def test_a_busy_connection_that_ends_unseen_costs_no_outcome(engine, monkeypatch):
    """It ends while the program does something else between two sends."""
    monkeypatch.setattr(base, "_IDLE_SECONDS", 60.0)  # however slow the machine, it is busy
    may_end, has_ended = threading.Event(), threading.Event()

    def respond_and_end(connection) -> bool:
        respond()(connection)
        may_end.wait(60)
        connection.socket.shutdown(socket.SHUT_WR)
        has_ended.set()
        return False

    with FaultServer(respond(), respond_and_end, respond()) as server:
        async with client_of(engine, server.url) as client:
            await client.messages.send_mail(message())
            await client.messages.send_mail(message())
            may_end.set()
            assert has_ended.wait(60)
            assert (await client.messages.send_mail(message())).status == "success"
    assert (server.posts, server.connections) == (3, 2)


@pytest.mark.parametrize("engine", ENGINES)
async def test_no_body_is_sent_over_a_new_connection_that_has_ended(engine, monkeypatch):
    closed = threading.Event()
    begin = base.Use.begin

    def begin_late(use, asked) -> float:
        assert closed.wait(60)
        return begin(use, asked)

    monkeypatch.setattr(base.Use, "begin", begin_late)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def close() -> None:
            listener.accept()[0].close()
            closed.set()

        closing = threading.Thread(target=close)
        closing.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with client_of(engine, url, retry=RetryPolicy(1)) as client:
            with pytest.raises(NotSentError):
                await client.messages.send_mail(message())
        closing.join()


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine != LENT_SESSION])
async def test_connections_that_a_server_keeps_closing_are_used_once(engine, monkeypatch):
    """
    Until it has kept ten to twenty of them. The pool of a client may be done with a connection
    before the server has closed it.
    """
    monkeypatch.setattr(base, "_LONG_IDLE_SECONDS", 60.0)  # however slow the machine
    ended = threading.Semaphore(0)

    def respond_and_end(connection) -> bool:
        respond()(connection)
        connection.socket.shutdown(socket.SHUT_WR)
        ended.release()
        return False

    with FaultServer(*[respond_and_end] * 4, respond()) as server:
        async with client_of(engine, server.url) as client:
            for _ in range(4):
                assert (await client.messages.send_mail(message())).attempts == 1
                assert ended.acquire(timeout=60)
            made = []
            for _ in range(30):
                connections = server.connections
                assert (await client.messages.send_mail(message())).attempts == 1
                made.append(server.connections - connections)
    new = sum(made)
    assert 8 <= new <= 21
    assert made == [1] * new + [0] * (30 - new)
    assert server.posts == 34


@pytest.mark.parametrize("engine", ENGINES)
async def test_one_connection_that_a_server_closes_costs_no_other(engine):
    def respond_and_end(connection) -> bool:
        respond()(connection)
        connection.socket.shutdown(socket.SHUT_WR)
        ended.set()
        return False

    ended = threading.Event()
    with FaultServer(respond_and_end, respond()) as server:
        async with client_of(engine, server.url) as client:
            await client.messages.send_mail(message())
            assert ended.wait(60)
            for _ in range(5):
                await client.messages.send_mail(message())
    assert (server.posts, server.connections) == (6, 2)


@asynccontextmanager
async def secure(engine: str):
    """A transport over a client of one's own that trusts `AUTHORITY`."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    if engine == "aiohttp":  # async only
        connector = aiohttp.TCPConnector(ssl=context)  # async only
        async with aiohttp.ClientSession(connector=connector) as session:  # async only
            yield AsyncAiohttpTransport(session)
        return  # async only
    async with {"httpx": httpx, "httpx2": httpx2}[engine].AsyncClient(verify=context) as client:
        yield AsyncHttpxTransport(client)


@pytest.mark.parametrize("closes", [close_at_head, reset_at_head, respond_late, close_notify])
@pytest.mark.parametrize("engine", OWN)
@pytest.mark.usefixtures("patient")
async def test_a_closed_connection_is_detected_over_tls(engine, closes, monkeypatch):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(tls)
    with FaultServer(respond(), closes, respond(), tls=tls) as server:
        async with (
            secure(engine) as transport,
            AsyncPowerEmail(
                "owner", TOKEN, base_url=server.url, transport=transport, **OPTIONS
            ) as client,
        ):
            await client.messages.send_mail(message())
            assert (await client.messages.send_mail(message())).attempts == 2
            monkeypatch.setattr(base, "_WAIT_SECONDS", 0.01)  # there is no end to wait for
            assert (await client.messages.send_mail(message())).attempts == 1
    assert (server.posts, server.connections) == (3, 2)


@pytest.mark.parametrize("engine", OWN)
async def test_a_large_mail_that_breaks_off_over_tls_is_sent_again(engine):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(tls)
    with FaultServer(reset_in_body, respond(), tls=tls) as server:
        async with (
            secure(engine) as transport,
            AsyncPowerEmail(
                "owner", TOKEN, base_url=server.url, transport=transport, **OPTIONS
            ) as client,
        ):
            assert (await client.messages.send_mail(large())).attempts == 2
    assert server.posts == 1


@pytest.mark.parametrize("engine", OWN)
async def test_an_idle_connection_is_used_until_it_expires(engine):
    kind = AsyncHttpxTransport
    options = {"engine": engine}
    if engine == "aiohttp":  # async only
        kind, options = AsyncAiohttpTransport, {}  # async only
    with FaultServer(respond()) as server:
        for seconds, connections in ((4.0, 1), (0.05, 2)):
            server.connections = 0
            async with AsyncPowerEmail(
                "owner",
                TOKEN,
                base_url=server.url,
                transport=kind(keepalive_expiry=seconds, **options),
                **OPTIONS,
            ) as client:
                await client.messages.send_mail(message())
                await sleep(0.1)
                await client.messages.send_mail(message())
            assert server.connections == connections


def test_an_invalid_keepalive_expiry_is_rejected():
    with pytest.raises(ConfigurationError, match="keepalive_expiry: must be a number of seconds"):
        AsyncHttpxTransport(keepalive_expiry=-1)
    with pytest.raises(ConfigurationError, match="keepalive_expiry: .* not 'x'"):  # async only
        AsyncAiohttpTransport(keepalive_expiry="x")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.mark.parametrize("engine", ENGINES)
async def test_failed_connects_release_their_place_in_the_pool(engine):
    """More of them than the twenty connections that there may be at once."""
    port = free_port()
    timeouts = Timeouts(pool=1)
    async with client_of(
        engine, f"http://127.0.0.1:{port}", timeouts=timeouts, retry=RetryPolicy(1)
    ) as client:
        for _ in range(25):
            with pytest.raises(NotSentError, match="(?i)connect"):
                await client.messages.send_mail(message())
            with pytest.raises(NotSentError, match="(?i)connect"):
                await client.messages.send_template_http_get(template())
        with FaultServer(respond(), port=port) as server:
            await client.messages.send_mail(message())
    assert server.posts == 1


def refuse_tunnel(connection) -> bool:
    connection.send(407, b"", [("Connection", "close")])
    return False


@pytest.mark.parametrize("engine", OWN)
async def test_failed_tunnels_release_their_place_in_the_pool(engine, monkeypatch):
    with FaultServer(refuse_tunnel) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        async with client_of(
            engine, "https://api.example.com", timeouts=Timeouts(pool=1), retry=RetryPolicy(1)
        ) as client:
            for _ in range(25):
                with pytest.raises(NotSentError, match="407"):
                    await client.messages.send_mail(message())


@asynccontextmanager
async def narrow(engine: str):
    """A transport over a client of one's own that has a single connection."""
    if engine == "aiohttp":  # async only
        connector = aiohttp.TCPConnector(limit=1)  # async only
        async with aiohttp.ClientSession(connector=connector) as session:  # async only
            yield AsyncAiohttpTransport(session)
        return  # async only
    package = {"httpx": httpx, "httpx2": httpx2}[engine]
    async with package.AsyncClient(limits=package.Limits(max_connections=1)) as client:
        yield AsyncHttpxTransport(client)


async def sends_beside_a_held_connection(engine: str, timeouts: Timeouts, use) -> int:
    """
    Let a send hold the single connection of a client while *use* has a client with *timeouts* over
    it, and what releases it. Send once more, and return the number of sends that arrived.
    """
    released = threading.Event()

    def hold(connection) -> bool:
        released.wait(60)
        return respond()(connection)

    with FaultServer(hold, respond()) as server:
        async with (
            narrow(engine) as transport,
            AsyncPowerEmail(
                "owner", TOKEN, base_url=server.url, transport=transport, **OPTIONS
            ) as client,
        ):
            other = client.with_options(timeouts=timeouts, retry=RetryPolicy(1))

            async def send(index, _) -> None:
                if index == 0:
                    await client.messages.send_mail(message())
                else:
                    await until(lambda: server.connections)
                    await use(other, released.set)

            async with BoundedMap(send, range(2), 2) as done:
                assert len([result async for result in done]) == 2
            await client.messages.send_mail(message())
    assert server.connections == 1
    return server.posts


@pytest.mark.parametrize("engine", OWN)
async def test_the_pool_of_the_users_client_is_waited_for_up_to_the_timeout(engine):
    async def wait_in_vain(client, release) -> None:
        try:
            with pytest.raises(NotSentError):
                await client.messages.send_mail(message())
            with pytest.raises(NotSentError):
                await client.messages.send_template_http_get(template())
        finally:
            release()

    hurried = Timeouts(connect=0.1, pool=0.1)
    assert await sends_beside_a_held_connection(engine, hurried, wait_in_vain) == 2


@pytest.mark.parametrize("engine", OWN)
async def test_the_pool_of_the_users_client_is_waited_for_longer_than_to_connect(engine):
    async def wait(client, release) -> None:
        threading.Timer(0.3, release).start()
        await client.messages.send_mail(message())

    patient = Timeouts(connect=0.1, pool=60)
    assert await sends_beside_a_held_connection(engine, patient, wait) == 3
