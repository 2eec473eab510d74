"""Which request is meant, below a path of a proxy, and by a client whose proxy is the sandbox."""

import json
import socket

import httpx
import pytest

from support.plain_http import PLAIN_HTTP

SEND = {
    "owner_id": "a",
    "token": "b",
    "smtp_user_name": "s",
    "message": {
        "subject": "Hi",
        "text": "t",
        "from_email": "me@example.com",
        "to": [{"email": "ada@example.com"}],
    },
}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def server(sandbox):
    with sandbox.server() as server:
        yield server


def raw(server, request):
    """Send the bytes of a *request* as they are, and return the status line and the body."""
    address = server.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=10) as connection:
        connection.sendall(request.encode())
        response = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = response.partition(b"\r\n\r\n")
    return head.partition(b"\r\n")[0].decode(), body.decode()


@pytest.mark.parametrize(
    "target", ["http://localhost%2f@evil.example", "http%3a//localhost", "http:%2f%2flocalhost"]
)
def test_what_is_encoded_makes_no_other_host(server, target):
    request = f"GET {target}/_sandbox/messages HTTP/1.1\r\nHost: evil.example\r\n"
    assert " 403 " in raw(server, request + "Connection: close\r\n\r\n")[0]


@pytest.mark.parametrize("path", ["", "/mail", "/a/b/", "/mail/"])
def test_the_api_is_below_any_path(server, sandbox, path):
    url = f"{server.url}{path}/v1.0/messages/sendMail"
    assert httpx.post(url, json=SEND, **PLAIN_HTTP).json()["status"] == "success"
    for name in ("health", "static/main.js", "docs"):
        assert httpx.get(f"{server.url}{path}/_sandbox/{name}", **PLAIN_HTTP).status_code == 200
    assert len(sandbox.outbox) == 1


@pytest.mark.parametrize("path", ["/", "/mail/", "/mail", "//", "//mail/"])
def test_a_browser_finds_the_page_below_any_path(server, path):
    response = httpx.get(f"{server.url}{path}", headers=BROWSER, **PLAIN_HTTP)
    assert "<title>PowerEmail sandbox</title>" in response.text


def test_a_program_that_asks_for_another_path_gets_the_response_of_the_service(server):
    assert httpx.get(f"{server.url}/mail/", **PLAIN_HTTP).json() == {
        "status": "error",
        "message": "Page not found",
    }


def test_a_client_whose_proxy_is_the_sandbox_sends_to_it(server, sandbox):
    with httpx.Client(proxy=server.url) as client:
        url = "http://api.tes.example.com/v1.0/messages/sendMail"
        assert client.post(url, json=SEND).json()["status"] == "success"
        # Whoever surfs through it gets its page under no foreign name.
        assert client.get("http://evil.example/", headers=BROWSER).status_code == 403
        assert client.get("http://evil.example/_sandbox/messages").status_code == 403
        short = "http://api.tes.example.com/messages/sendMail"
        assert client.post(short, json={}).json()["status"] == "error"
        # What the program asks of other hosts is not answered in their place.
        other = client.post("http://payments.example/charge")
        assert (other.status_code, "NO_PROXY" in other.text) == (502, True)
        unknown = client.post("http://api.tes.example.com/v1.0/nothing").json()
        assert unknown == {"status": "error", "message": "Page not found"}
    assert len(sandbox.outbox) == 1


@pytest.mark.parametrize("scheme", ["http", "https", "HTTP"])
def test_the_host_of_the_target_counts(server, scheme):
    request = f"GET {scheme}://evil.example/_sandbox/messages HTTP/1.1\r\nHost: localhost\r\n"
    status, body = raw(server, f"{request}Connection: close\r\n\r\n")
    assert status.startswith("HTTP/1.1 403")
    assert "not one of the sandbox's" in body
    request = f"GET {scheme}://localhost HTTP/1.1\r\nHost: evil.example\r\n{'Accept: text/html'}"
    assert raw(server, f"{request}\r\nConnection: close\r\n\r\n")[0].startswith("HTTP/1.1 200")


def test_connect_is_refused(server):
    request = "CONNECT api.tes.example.com:443 HTTP/1.1\r\nHost: api.tes.example.com:443\r\n"
    status, body = raw(server, f"{request}Connection: close\r\n\r\n")
    assert status.startswith("HTTP/1.1 405")
    assert "no tunnel" in json.loads(body)["error"]
    with httpx.Client(proxy=server.url) as client, pytest.raises(httpx.ProxyError, match="405"):
        client.get("https://api.tes.example.com/")
