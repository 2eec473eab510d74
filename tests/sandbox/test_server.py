"""The sandbox on a socket, and faults as they are on one."""

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import httpx
import jinja2
import pytest

import poweremail
from poweremail import ConfigurationError
from poweremail.sandbox import Fault, Sandbox
from poweremail.sandbox._server.app import create_app
from poweremail.sandbox._server.serving import SandboxServer
from support.plain_http import PLAIN_HTTP

SUCCESS = b'{"status": "success", "message": "message have been Queued ..."}'


@pytest.fixture(scope="module")
def shared():
    with Sandbox() as sandbox, sandbox.server() as server:
        yield sandbox, server


@pytest.mark.parametrize("host", ["exa mple", "http://localhost", "[::1]", ""])
def test_a_host_that_can_be_none(host):
    with Sandbox() as sandbox, pytest.raises(ConfigurationError, match=r"host: must be") as raised:
        SandboxServer(sandbox.service, host=host).__enter__()
    assert raised.value.field == "host"


def test_the_templates_are_compiled_once_a_process(monkeypatch):
    compiled = []
    with Sandbox() as sandbox:
        create_app(sandbox.service)
        compile_ = jinja2.Environment.compile
        monkeypatch.setattr(
            jinja2.Environment, "compile", lambda *given: compiled.append(given) or compile_(*given)
        )
        create_app(sandbox.service)
    assert compiled == []


@pytest.mark.parametrize(
    ("own", "text", "sample"),
    [
        ({}, "Any owner id and token will do", '"me", "any-token"'),
        (
            {"token": "canary"},
            "It accepts only the token that it was started with",
            '"me", "your-token"',
        ),
        (
            {"owner_id": "canary"},
            "It accepts only the owner id that it was started with",
            '"your-owner-id", "any-token"',
        ),
        (
            {"owner_id": "canary", "token": "canary"},
            "It accepts only the owner id and the token",
            '"your-owner-id", "your-token"',
        ),
    ],
)
def test_the_page_says_which_credentials_are_accepted(client, own, text, sample):
    with Sandbox(**own) as sandbox, sandbox.server() as server:
        page = client.get(server.url).text
    assert text in page
    assert sample in page
    assert "canary" not in page


@pytest.fixture
def served(shared):
    sandbox, server = shared
    sandbox.clear()
    return sandbox, server


@pytest.fixture
def client():
    with httpx.Client(**PLAIN_HTTP) as client:
        yield client


@pytest.fixture
def body(api):
    return json.dumps(
        {"owner_id": "o", "token": "secret-token", "smtp_user_name": "s", "message": api.message()}
    ).encode()


def connect(server) -> socket.socket:
    host, port = server.url.removeprefix("http://").rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=60)


def head(length: int, path: str = "messages/sendMail") -> bytes:
    return f"POST /v1.0/{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def read_until(connection: socket.socket, text: bytes) -> None:
    received = b""
    while text not in received:
        piece = connection.recv(65536)
        assert piece, received
        received += piece


def test_a_call(served, client, body):
    sandbox, server = served
    response = client.post(server.base_url + "messages/sendMail", content=body)
    assert (response.status_code, response.content, response.headers["content-type"]) == (
        200,
        SUCCESS,
        "application/json",
    )
    assert sandbox.outbox[0].subject == "example subject"
    found = client.post(
        server.base_url + "messages/getMessageInfo",
        json={"owner_id": "o", "token": "t", "x_unique_id": "Id"},
    )
    assert len(found.json()["message_data"]) == 1


def test_the_librarys_own_client(served):
    sandbox, server = served
    message = poweremail.Message(
        subject="Hi", from_email="me@example.com", to="ada@example.com", text="Hello"
    )
    with poweremail.PowerEmail("o", "t", base_url=server.base_url, smtp_user_name="s") as client:
        result = client.messages.send_mail(message)
        assert [record.email for record in client.messages.get_message_info(result.unique_id)] == [
            "ada@example.com"
        ]
        sandbox.faults.add(Fault.truncated(), call="sendMail")
        with pytest.raises(poweremail.DeliveryUnknownError):
            client.messages.send_mail(message)
    assert len(sandbox.outbox) == 2


def test_a_get_with_a_long_query(served, client):
    sandbox, server = served
    sandbox.add_template("t1", text="{{A}}")
    query = {
        "owner_id": "o",
        "token": "t",
        "smtp_user_name": "s",
        "template_id": "t1",
        "subject": "s",
        "from_email": "a@example.com",
    }
    query |= {"to": "b@example.com", "dynamic_value[A]": "ä" * 10_000}
    assert (
        client.get(server.base_url + "messages/sendTemplateHTTPGet", params=query).json()["status"]
        == "queued"
    )
    assert sandbox.outbox[0].text == "ä" * 10_000


@pytest.mark.parametrize("path", ["/v1.0", "/v1.0/nothing", "/_other", "/docs"])
def test_unknown_pages(served, client, path):
    assert client.get(served[1].url + path).json() == {
        "status": "error",
        "message": "Page not found",
    }


@pytest.mark.parametrize("fault", [Fault.refuse(), Fault.reset_before_acceptance()])
def test_reset_before_the_body_is_read(served, fault):
    sandbox, server = served
    sandbox.faults.add(fault)
    with connect(server) as connection:
        connection.sendall(head(1000))
        # Not a byte of the body has left: only a server that does not wait for it can respond.
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert sandbox.outbox == []


@pytest.mark.parametrize("rule", [{}, {"recipient": "ada@example.com"}])
def test_reset_after_acceptance(served, body, rule):
    sandbox, server = served
    sandbox.faults.add(Fault.reset_after_acceptance(), **rule)
    with connect(server) as connection:
        connection.sendall(head(len(body)) + body)
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert len(sandbox.outbox) == 1


def test_a_stall_that_ends(served, body):
    sandbox, server = served
    sandbox.faults.add(Fault.stall(0.01))
    with connect(server) as connection:
        connection.sendall(head(len(body)) + body)
        assert connection.recv(1) == b""
    assert len(sandbox.outbox) == 1


def test_a_stall_without_end(served, client, body):
    sandbox, server = served
    sandbox.faults.add(Fault.stall(), times=1)
    with pytest.raises(httpx.ReadTimeout):
        client.post(server.base_url + "messages/sendMail", content=body, timeout=0.05)
    assert len(sandbox.outbox) == 1
    assert client.post(server.base_url + "messages/sendMail", content=body).content == SUCCESS


def test_truncated(served, client, body):
    sandbox, server = served
    sandbox.faults.add(Fault.truncated())
    with connect(server) as connection:
        connection.sendall(head(len(body)) + body)
        received_head, _, received = read_all(connection).partition(b"\r\n\r\n")
    assert f"content-length: {len(SUCCESS)}".encode() in received_head.lower()
    assert received == SUCCESS[: len(SUCCESS) // 2]
    sandbox.faults.clear()
    sandbox.faults.add(Fault.truncated(close=False))
    assert client.post(server.base_url + "messages/sendMail", content=body).content == received
    assert len(sandbox.outbox) == 2


def test_slow_drip(served, client, body):
    sandbox, server = served
    sandbox.faults.add(Fault.slow_drip(0.001))
    with client.stream("POST", server.base_url + "messages/sendMail", content=body) as response:
        pieces = list(response.iter_raw())
    assert b"".join(pieces) == SUCCESS
    assert len(pieces) > 1


def test_a_client_that_goes_away_while_it_drips(served, body):
    sandbox, server = served
    sandbox.faults.add(Fault.slow_drip(60))
    with connect(server) as connection:
        connection.sendall(head(len(body)) + body)
        assert connection.recv(1) == b"H"


def test_a_client_that_goes_away_in_its_body(served, client, body):
    sandbox, server = served
    with connect(server) as connection:
        connection.sendall(head(len(body)) + body[:-1])
    # The next call gets its response after the server has seen the end of the one before.
    assert client.post(server.base_url + "messages/sendMail", content=body).content == SUCCESS
    assert len(sandbox.outbox) == 1


def test_latency(served, client, body):
    sandbox, server = served
    sandbox.faults.add(Fault.latency(0.05))
    began = time.monotonic()
    assert client.post(server.base_url + "messages/sendMail", content=body).content == SUCCESS
    assert time.monotonic() - began >= 0.05


def test_responses_of_other_kinds(served, client, body):
    sandbox, server = served
    for fault, status, type in (
        (Fault.html(), 200, "text/html; charset=utf-8"),
        (Fault.wrong_content_type(), 200, "text/html; charset=utf-8"),
        (Fault.status(503), 503, "text/html; charset=utf-8"),
        (Fault.rate_limited(retry_after=3), 429, "application/json"),
    ):
        sandbox.faults.clear()
        sandbox.faults.add(fault)
        response = client.post(server.base_url + "messages/sendMail", content=body)
        assert (response.status_code, response.headers.get_list("content-type")) == (status, [type])


def test_a_body_that_is_too_large(client, body):
    with Sandbox() as sandbox, SandboxServer(sandbox.service, max_body=1000) as server:
        response = client.post(server.base_url + "messages/sendMail", content=b" " * 1_000_000)
        assert response.json()["message"] == "The body is larger than 1000 bytes"
        assert client.post(server.base_url + "messages/sendMail", content=body).content == SUCCESS


def test_a_body_of_the_control_api_that_is_too_large(served, client):
    response = client.post(
        f"{served[1].url}/_sandbox/templates", content=b" " * (8 * 1024 * 1024 + 1)
    )
    assert (response.status_code, response.json()) == (
        413,
        {"error": "the body is larger than 8388608 bytes"},
    )


def test_nothing_is_logged(served, client, body, caplog, capfd):
    caplog.set_level(1)
    caplog.set_level(logging.WARNING, "httpx")
    caplog.set_level(logging.WARNING, "httpcore")
    _, server = served
    client.get(server.base_url + "messages/sendTemplateHTTPGet?owner_id=o&token=secret-token")
    client.post(server.base_url + "messages/sendMail", content=body)
    assert "secret-token" not in caplog.text
    assert capfd.readouterr() == ("", "")


def server_threads():
    return {each for each in threading.enumerate() if each.name == "poweremail-sandbox"}


def test_stopping_does_not_wait_for_open_connections(body):
    before = server_threads()
    with Sandbox() as sandbox:
        sandbox.faults.add(Fault.stall(), call="sendMail")
        with sandbox.server() as server:
            stalled, idle = connect(server), connect(server)
            stalled.sendall(head(len(body)) + body)
            idle.sendall(head(2, "nothing") + b"{}")
            read_until(idle, b"Page not found")
            assert server_threads() > before
        with stalled, idle:
            for connection in (stalled, idle):
                with contextlib.suppress(ConnectionResetError):
                    assert connection.recv(1) == b""
    assert server_threads() == before


def test_a_port_that_is_taken(served):
    sandbox, server = served
    port = int(server.url.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="in use"), sandbox.server(port=port):
        pass


def test_a_server_that_was_not_started_can_be_left(served):
    served[0].server().__exit__(None, None, None)


def test_a_server_that_cannot_start(sandbox, monkeypatch):
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: sockets[0].close())
    with pytest.raises(RuntimeError, match="did not start"), sandbox.server():
        pass


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6_and_names(sandbox, client):
    for host in ("::1", "localhost"):
        try:
            server = sandbox.server(host)
            server.__enter__()
        except OSError:
            pytest.skip(f"cannot listen on {host}")
        with server:
            pass
        assert server.url.startswith("http://[::1]:" if host == "::1" else "http://127.0.0.1:")


async def test_faults_that_break_need_the_server(sandbox):
    sandbox.faults.add(Fault.refuse())
    transport = httpx.ASGITransport(create_app(sandbox.service))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        with pytest.raises(RuntimeError, match="cannot break"):
            await client.post("/v1.0/messages/sendMail")
        assert (await client.get("/_sandbox/health")).status_code == 200


def test_fastapi_is_loaded_by_the_first_request_to_the_control_api():
    """It takes longer to import than the rest of the server, and many programs never need it."""
    program = (
        "import sys, httpx\n"
        "from poweremail.sandbox import Sandbox\n"
        "with Sandbox() as sandbox, sandbox.server() as server:\n"
        "    for path in ('/', '/v1.0/messages/sendMail', '/_sandbox/health'):\n"
        "        response = httpx.get(server.url + path, trust_env=False, timeout=60)\n"
        "        assert response.status_code == 200\n"
        "        print('fastapi' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "False", "True"]


@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 7), (signal.SIGTERM, 8)])
def test_serve_until_told_to_stop(number, code):
    program = (
        "from poweremail.sandbox import Sandbox\n"
        "from poweremail.sandbox._server.serving import serve\n"
        "try:\n"
        "    serve(Sandbox().service, port=0, on_ready=lambda url: print(url, flush=True))\n"
        "except KeyboardInterrupt:\n"
        "    raise SystemExit(7)\n"
        "raise SystemExit(8)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        url = process.stdout.readline().strip()
        assert httpx.get(f"{url}/_sandbox/health", **PLAIN_HTTP).json()["status"] == "ok"
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (code, "")
