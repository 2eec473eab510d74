# Generated from tests/_async/test_every_engine.py; do not edit.
"""What all engines do alike, although each of them would do it in a way of its own."""

from __future__ import annotations

import gzip
import json
import socket
import time

import pytest

from _sync.ways import ENGINES, OPTIONS, TOKEN, client_of
from poweremail import (
    PowerEmail,
    ConfigurationError,
    DeliveryUnknownError,
    NotSentError,
    ProtocolError,
    RetryPolicy,
    Timeouts,
    UsageError,
)
from poweremail.transports import (
    HttpxTransport,
)
from support.fault_server import (
    SUCCESS,
    FaultServer,
    close_after_body,
    reset_after_body,
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
def test_compressed_responses(engine, body, encoding, error):
    with FaultServer(respond(body, headers=[("Content-Encoding", encoding)]), respond()) as server:
        with client_of(engine, server.url) as client:
            if error is None:
                assert client.messages.send_mail(message()).status == "success"
            else:
                with pytest.raises(DeliveryUnknownError, match=error) as caught:
                    client.messages.send_mail(message())
                assert isinstance(caught.value.cause, ProtocolError)
            client.messages.send_mail(message())
    assert server.posts == 2


def success_before_the_body(connection) -> bool:
    """Answer as if the mail had been accepted, before it can have been read."""
    connection.send(200, json.dumps(SUCCESS).encode(), [("Connection", "close")])
    return connection.reset()


@pytest.mark.parametrize("engine", ENGINES)
def test_an_early_success_does_not_count(engine):
    with FaultServer(success_before_the_body, respond()) as server:
        with client_of(engine, server.url) as client:
            assert client.messages.send_mail(large()).attempts == 2
    assert server.posts == 1


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("broken", [close_after_body, reset_after_body])
@pytest.mark.parametrize("call", ["send_mail", "send_template_http_get"])
def test_a_mail_that_may_have_arrived_is_not_sent_again(engine, broken, call):
    """
    Engines repeat a GET, and forget what they have sent, when a connection that was kept breaks.
    """
    with FaultServer(respond(), broken, respond()) as server:
        with client_of(engine, server.url) as client:
            client.messages.send_mail(message())
            with pytest.raises(DeliveryUnknownError):
                getattr(client.messages, call)(message() if call == "send_mail" else template())
    assert server.posts == 2


@pytest.mark.parametrize("engine", OWN)
def test_a_mail_without_a_server_is_not_sent(engine):
    with client_of(engine, "http://127.0.0.1:1", retry=RetryPolicy(1)) as client:
        for call, mail in (
            (client.messages.send_mail, message()),
            (client.messages.send_template_http_get, template()),
            (client.messages.send_mail, large()),
        ):
            with pytest.raises(NotSentError, match="(?i)connect"):
                call(mail)


@pytest.mark.parametrize("engine", OWN)
def test_the_proxy_of_the_environment_is_used(engine, monkeypatch):
    with FaultServer(respond()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        with client_of(engine, "http://127.0.0.1:1") as client:
            client.messages.send_mail(message())
            client.messages.send_template_http_get(template())
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
def test_the_read_timeout_does_not_count_while_a_large_mail_goes_out(engine):
    with FaultServer(slowly) as server:
        with client_of(
            engine, server.url, timeouts=Timeouts(read=1.2), retry=RetryPolicy(1)
        ) as client:
            client.messages.send_mail(large())
    assert server.posts == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_the_read_timeout_counts_when_a_large_mail_has_gone_out(engine):
    with FaultServer(stall) as server:
        with client_of(engine, server.url, timeouts=Timeouts(read=0.3)) as client:
            with pytest.raises(DeliveryUnknownError):
                client.messages.send_mail(large())
    assert server.posts == 1


def never(connection) -> bool:
    """Read nothing."""
    connection.server.stopped.wait()
    return False


@pytest.mark.parametrize("engine", ENGINES)
def test_the_write_timeout_counts_while_a_large_mail_goes_out(engine):
    with FaultServer(never) as server:
        with client_of(
            engine, server.url, timeouts=Timeouts(read=20, write=0.3), retry=RetryPolicy(1)
        ) as client:
            with pytest.raises(NotSentError):
                client.messages.send_mail(large())
    assert server.posts == 0


@pytest.mark.parametrize("engine", OWN)
def test_callers_beyond_the_connections_are_queued(engine):
    with FaultServer(respond()) as server:
        with client_of(engine, server.url) as client:
            with client.messages.send_many(
                [message() for _ in range(100)], concurrency=50
            ) as outcomes:
                assert {outcome.state for outcome in outcomes} == {"accepted"}
    assert (server.posts, server.connections <= 20) == (100, True)


def test_the_number_of_connections_is_checked():
    with pytest.raises(ConfigurationError, match="max_connections: must be 1 or more, not 0"):
        HttpxTransport(max_connections=0)


def test_a_client_of_another_package_is_rejected():
    class Client:
        """Has the name of the class of httpx only."""

    with pytest.raises(ConfigurationError, match=r"^client: must be .*Client of httpx or httpx2"):
        HttpxTransport(Client())


def test_pyreqwest_names_its_replacements():
    with pytest.raises(ConfigurationError, match=r"pyreqwest was removed.*'aiohttp'.*'httpx'"):
        PowerEmail("owner", TOKEN, "example.com", transport="pyreqwest")
    with pytest.raises(ImportError, match=r"was removed: pyreqwest.*aiohttp.*httpx"):
        from poweremail.transports import PyreqwestTransport  # noqa: F401
