"""What all engines do alike, although each of them would do it in a way of its own."""

from __future__ import annotations

import gzip
import json
import socket
import time

import aiohttp  # async only
import pytest

from _async.ways import ENGINES, OPTIONS, TOKEN, client_of
from poweremail import (
    AsyncPowerEmail,
    ConfigurationError,
    DeliveryUnknownError,
    NotSentError,
    ProtocolError,
    RetryPolicy,
    Timeouts,
    UsageError,
    ValidationError,  # async only
)
from poweremail._async.transports import base  # async only
from poweremail.transports import (
    AsyncAiohttpTransport,  # async only
    AsyncHttpxTransport,
)
from support.fault_server import (
    SUCCESS,
    FaultServer,
    close_after_body,
    reset_after_body,
    reset_before_body,  # async only
    respond,
    stall,
)
from support.messages import large, message, template

OWN = [engine for engine in ENGINES if not engine.startswith("a ")]


ENCODED = {
    "gzip": (gzip.compress(json.dumps(SUCCESS).encode()), "gzip", None),
    "none": (json.dumps(SUCCESS).encode(), "identity", None),
    "not gzip": (b"this is no gzip", "gzip", "cannot be inflated"),
    "half of it": (
        gzip.compress(json.dumps(SUCCESS).encode())[:30],
        "gzip",
        "ends before its compressed content does",
    ),
    "not asked for": (b"whatever", "br", "encoded as 'br'"),
    "a bomb": (gzip.compress(bytes(100_000_000)), "gzip", "larger than 16777216 bytes"),
}


@pytest.mark.parametrize(("body", "encoding", "error"), ENCODED.values(), ids=ENCODED)
@pytest.mark.parametrize("engine", ENGINES)
async def test_compressed_responses(engine, body, encoding, error):
    with FaultServer(respond(body, headers=[("Content-Encoding", encoding)]), respond()) as server:
        async with client_of(engine, server.url) as client:
            if error is None:
                assert (await client.messages.send_mail(message())).status == "success"
            else:
                with pytest.raises(DeliveryUnknownError, match=error) as caught:
                    await client.messages.send_mail(message())
                assert isinstance(caught.value.cause, ProtocolError)
            await client.messages.send_mail(message())
    assert server.posts == 2


def success_before_the_body(connection) -> bool:
    """Answer as if the mail had been accepted, before it can have been read."""
    connection.send(200, json.dumps(SUCCESS).encode(), [("Connection", "close")])
    return connection.reset()


@pytest.mark.parametrize("engine", ENGINES)
async def test_an_early_success_does_not_count(engine):
    with FaultServer(success_before_the_body, respond()) as server:
        async with client_of(engine, server.url) as client:
            assert (await client.messages.send_mail(large())).attempts == 2
    assert server.posts == 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("broken", [close_after_body, reset_after_body])
@pytest.mark.parametrize("call", ["send_mail", "send_template_http_get"])
async def test_a_mail_that_may_have_arrived_is_not_sent_again(engine, broken, call):
    """
    Engines repeat a GET, and forget what they have sent, when a connection that was kept breaks.
    """
    with FaultServer(respond(), broken, respond()) as server:
        async with client_of(engine, server.url) as client:
            await client.messages.send_mail(message())
            with pytest.raises(DeliveryUnknownError):
                await getattr(client.messages, call)(
                    message() if call == "send_mail" else template()
                )
    assert server.posts == 2


@pytest.mark.parametrize("engine", OWN)
async def test_a_mail_without_a_server_is_not_sent(engine):
    async with client_of(engine, "http://127.0.0.1:1", retry=RetryPolicy(1)) as client:
        for call, mail in (
            (client.messages.send_mail, message()),
            (client.messages.send_template_http_get, template()),
            (client.messages.send_mail, large()),
        ):
            with pytest.raises(NotSentError, match="(?i)connect"):
                await call(mail)


@pytest.mark.parametrize("engine", OWN)
async def test_the_proxy_of_the_environment_is_used(engine, monkeypatch):
    with FaultServer(respond()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        async with client_of(engine, "http://127.0.0.1:1") as client:
            await client.messages.send_mail(message())
            await client.messages.send_template_http_get(template())
    assert [request.target.partition("?")[0] for request in proxy.seen] == [
        "http://127.0.0.1:1/v1.0/messages/sendMail",
        "http://127.0.0.1:1/v1.0/messages/sendTemplateHTTPGet",
    ]


def slowly(connection) -> bool:
    """
    Take a large body in its time, and let no more of it wait on this side: its last byte leaves
    when most of it is read.
    """
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    for _ in range(8):
        connection._read(400_000)
        time.sleep(0.2)
    # The rest at once, so that a busy machine is not taken for a server that does not answer.
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    connection.headers["content-length"] = str(
        int(connection.headers["content-length"]) - 8 * 400_000
    )
    return respond()(connection)


@pytest.mark.parametrize("engine", OWN)
async def test_the_read_timeout_does_not_count_while_a_large_mail_goes_out(engine):
    with FaultServer(slowly) as server:
        async with client_of(
            engine, server.url, timeouts=Timeouts(read=1.2), retry=RetryPolicy(1)
        ) as client:
            await client.messages.send_mail(large())
    assert server.posts == 1


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_read_timeout_counts_when_a_large_mail_has_gone_out(engine):
    with FaultServer(stall) as server:
        async with client_of(engine, server.url, timeouts=Timeouts(read=0.3)) as client:
            with pytest.raises(DeliveryUnknownError):
                await client.messages.send_mail(large())
    assert server.posts == 1


def never(connection) -> bool:
    """Read nothing."""
    connection.server.stopped.wait()
    return False


@pytest.mark.parametrize("engine", ENGINES)
async def test_the_write_timeout_counts_while_a_large_mail_goes_out(engine):
    with FaultServer(never) as server:
        async with client_of(
            engine, server.url, timeouts=Timeouts(read=20, write=0.3), retry=RetryPolicy(1)
        ) as client:
            with pytest.raises(NotSentError):
                await client.messages.send_mail(large())
    assert server.posts == 0


@pytest.mark.parametrize("engine", OWN)
async def test_callers_beyond_the_connections_are_queued(engine):
    with FaultServer(respond()) as server:
        async with client_of(engine, server.url) as client:
            async with client.messages.send_many(
                [message() for _ in range(100)], concurrency=50
            ) as outcomes:
                assert {outcome.state async for outcome in outcomes} == {"accepted"}
    assert (server.posts, server.connections <= 20) == (100, True)


def test_the_number_of_connections_is_checked():
    with pytest.raises(ConfigurationError, match="max_connections: must be 1 or more, not 0"):
        AsyncHttpxTransport(max_connections=0)
    with pytest.raises(ConfigurationError, match="must be 1 or more, not True"):  # async only
        AsyncAiohttpTransport(max_connections=True)


def test_a_client_of_another_package_is_rejected():
    class AsyncClient:
        """Has the name of the class of httpx only."""

    with pytest.raises(ConfigurationError, match=r"^client: must be .*Client of httpx or httpx2"):
        AsyncHttpxTransport(AsyncClient())


def test_pyreqwest_names_its_replacements():
    with pytest.raises(ConfigurationError, match=r"pyreqwest was removed.*'aiohttp'.*'httpx'"):
        AsyncPowerEmail("owner", TOKEN, "example.com", transport="pyreqwest")
    with pytest.raises(ImportError, match=r"was removed: pyreqwest.*aiohttp.*httpx"):
        from poweremail.transports import AsyncPyreqwestTransport  # noqa: F401


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("mail", [message, large])
async def test_a_middleware_that_repeats_a_mail_leaves_it_unknown(mail, monkeypatch):  # async only
    """The service had the whole mail once; that the second one broke off says nothing of it."""
    monkeypatch.setattr(base, "_WAIT_SECONDS", 2.0)

    async def repeat(request, handler):
        response = await handler(request)
        if response.status == 503:
            response.release()
            response = await handler(request)
        return response

    with FaultServer(respond(status=503), reset_before_body) as server:
        async with aiohttp.ClientSession(middlewares=(repeat,)) as session:
            transport = AsyncAiohttpTransport(session)
            options = {"base_url": server.url, "transport": transport, **OPTIONS}
            async with AsyncPowerEmail("owner", TOKEN, **options) as client:
                with pytest.raises(DeliveryUnknownError):
                    await client.messages.send_mail(mail())
    assert server.posts == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_options_of_a_session_change_no_outcome():  # async only
    """Neither a time limit of its own, nor that it raises for a response that reports an error."""
    invalid = {"status": "error", "name": "ValidationError", "message": "no subject"}
    with FaultServer(
        respond(invalid, status=400), respond(), respond(invalid, status=400)
    ) as server:
        given = {"raise_for_status": True, "timeout": aiohttp.ClientTimeout(total=1e-9)}
        async with aiohttp.ClientSession(**given) as session:
            transport = AsyncAiohttpTransport(session)
            options = {"base_url": server.url, "transport": transport, **OPTIONS}
            async with AsyncPowerEmail("owner", TOKEN, **options) as client:
                with pytest.raises(ValidationError):
                    await client.messages.send_mail(message())
                await client.messages.send_mail(message())
                with pytest.raises(ValidationError):
                    await client.messages.send_template_http_get(template())
    assert server.posts == 3


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_session_of_aiohttp_keeps_its_options():  # async only
    seen = []

    async def middleware(request, handler):
        seen.append(request.method)
        return await handler(request)

    with FaultServer(respond()) as server:
        given = {"middlewares": (middleware,), "headers": {"X-Trace": "t1"}}
        async with aiohttp.ClientSession(**given) as session:
            transport = AsyncAiohttpTransport(session)
            options = {"base_url": server.url, "transport": transport, **OPTIONS}
            async with AsyncPowerEmail("owner", TOKEN, **options) as client:
                await client.messages.send_mail(message())
                await client.messages.send_template_http_get(template())
            assert not session.closed
    assert seen == ["POST", "GET"]
    assert [request.headers["x-trace"] for request in server.seen] == ["t1", "t1"]
    refusal = "session: must be a ClientSession of aiohttp, not str"
    with pytest.raises(UsageError, match=refusal):
        AsyncAiohttpTransport("session")
