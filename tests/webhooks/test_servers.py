"""The ready applications: by their protocols, on real servers, and on both event loops."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from wsgiref.simple_server import make_server
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import anyio
import httpx
import pytest
import uvicorn
from hypothesis import given
from hypothesis import strategies as st

from poweremail import ConfigurationError, UsageError
from poweremail.webhooks import WebhookASGI, WebhookReceiver, WebhookWSGI
from support.plain_http import PLAIN_HTTP
from support.serving import Quiet, WSGIServerInThread
from support.webhooks import HELLO, KEY, URL, event, form, signed

BODY = form(event(1), event(2))


@pytest.fixture
def taken():
    return []


def receiver(handler, **changes) -> WebhookReceiver:
    return WebhookReceiver(handler, **{"url": URL, "keys": KEY, "scheme": "form-base64"} | changes)


def asynchronous(taken):
    async def handle(event):
        await anyio.lowlevel.checkpoint()
        taken.append(event.id)

    return handle


@contextlib.contextmanager
def on_uvicorn(application):
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(application, log_config=None, lifespan="on", ws="none"))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/hooks/mail"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextlib.contextmanager
def on_wsgiref(application):
    with make_server("127.0.0.1", 0, validator(application), WSGIServerInThread, Quiet) as server:
        yield f"http://127.0.0.1:{server.server_port}/hooks/mail"


@pytest.fixture(params=["uvicorn", "uvicorn, sync handler", "wsgiref"])
def server(request, taken):
    if request.param == "wsgiref":
        with on_wsgiref(
            WebhookWSGI(receiver(lambda event: taken.append(event.id), max_body=5_000))
        ) as url:
            yield url
    else:
        handler = (
            (lambda event: taken.append(event.id))
            if "sync" in request.param
            else asynchronous(taken)
        )
        with on_uvicorn(WebhookASGI(receiver(handler, max_body=5_000))) as url:
            yield url


def test_requests_over_http(server, taken):
    with httpx.Client(**PLAIN_HTTP) as client:
        assert client.get(server).content == HELLO
        assert client.head(server).content == b""
        assert client.post(server).content == HELLO
        for _ in range(2):
            response = client.post(server, content=BODY, headers=signed(BODY))
            assert (response.status_code, response.content) == (200, HELLO)
        assert (
            client.post(server, content=BODY, headers=signed(BODY, key="wrong")).status_code == 403
        )
        assert client.post(server, content=b"a=b", headers=signed(b"a=b")).status_code == 400
        assert client.put(server, content=b"a").status_code == 405
        assert client.put(server, content=b"a").headers["Allow"] == "GET, HEAD, POST"
    assert httpx.post(server, content=b"x" * 5_001, **PLAIN_HTTP).status_code == 413
    assert taken == ["e1", "e2"]


def test_a_body_may_arrive_in_pieces(taken):
    with on_uvicorn(WebhookASGI(receiver(asynchronous(taken), max_body=5_000))) as url:
        assert (
            httpx.post(
                url, content=iter([BODY[:10], BODY[10:]]), headers=signed(BODY), **PLAIN_HTTP
            ).status_code
            == 200
        )
        assert httpx.post(url, content=iter([b"x" * 3_000] * 2), **PLAIN_HTTP).status_code == 413
    assert taken == ["e1", "e2"]


@pytest.mark.parametrize("serve", [on_uvicorn, on_wsgiref])
def test_a_client_that_disconnects_does_not_disturb_the_server(serve, taken):
    kind = WebhookASGI if serve is on_uvicorn else WebhookWSGI
    with serve(kind(receiver(lambda event: taken.append(event.id)))) as url:
        with socket.create_connection(("127.0.0.1", httpx.URL(url).port)) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        assert httpx.post(url, content=BODY, headers=signed(BODY), **PLAIN_HTTP).status_code == 200
    assert taken == ["e1", "e2"]


# ASGI by its protocol


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


async def asgi(application, *messages, type="http", method="POST", headers=()):
    """Feed *messages*, and return what the application sends."""
    sent = []
    waiting = iter(messages)

    async def receive():
        await anyio.lowlevel.checkpoint()
        return next(waiting)

    async def send(message):
        await anyio.lowlevel.checkpoint()
        sent.append(message)

    scope = {
        "type": type,
        "method": method,
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        "path": "/",
        "root_path": "/below",
    }
    await application(scope, receive, send)
    return sent


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["async", "sync"])
async def test_asgi_on_both_loops(kind, taken):
    application = WebhookASGI(
        receiver(asynchronous(taken) if kind == "async" else lambda event: taken.append(event.id))
    )
    start, end = await asgi(
        application,
        {"type": "http.request", "body": BODY[:5], "more_body": True},
        {"type": "http.request", "body": b"", "more_body": True},
        {"type": "http.request", "body": BODY[5:]},
        headers=signed(BODY).items(),
    )
    assert start["status"] == 200
    assert (b"content-length", str(len(HELLO)).encode()) in start["headers"]
    assert end == {"type": "http.response.body", "body": HELLO}
    assert taken == ["e1", "e2"]


@pytest.mark.anyio
async def test_asgi_responds_to_any_request():
    application = WebhookASGI(receiver(print, max_body=10))
    assert (
        await asgi(
            application,
            {"type": "http.request", "body": b"x", "more_body": True},
            {"type": "http.disconnect"},
        )
        == []
    )
    # Told by its length, it need not be read.
    assert (await asgi(application, headers=[("Content-Length", "11")]))[0]["status"] == 413
    assert (await asgi(application, headers=[("Content-Length", "9" * 5_000)]))[0]["status"] == 413
    assert (await asgi(application, {"type": "http.request", "body": b"x" * 11}))[0][
        "status"
    ] == 413
    assert (await asgi(application, {"type": "http.request"}, method="HEAD"))[1]["body"] == b""
    live = await asgi(
        application, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}, type="lifespan"
    )
    assert [message["type"] for message in live] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert (await asgi(application, type="websocket"))[0]["type"] == "websocket.close"
    with pytest.raises(ValueError, match="smoke signals"):
        await asgi(application, type="smoke signals")


# WSGI by its protocol


def wsgi(application, body=b"", **environ):
    told = {}
    base = {
        "REQUEST_METHOD": "POST",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    } | environ
    base = {name: value for name, value in base.items() if value is not None}
    setup_testing_defaults(base)
    text = b"".join(
        application(base, lambda status, headers: told.update(status=status, headers=dict(headers)))
    )
    return int(told["status"][:3]), text


class Dripping(io.BytesIO):
    def read(self, size=-1):
        return super().read(min(size, 7))


class Broken(io.BytesIO):
    def read(self, size=-1):
        raise ConnectionResetError("reset")


def test_wsgi_responds_to_any_request(taken):
    application = WebhookWSGI(receiver(lambda event: taken.append(event.id), max_body=5_000))
    headers = {
        "CONTENT_TYPE": signed(BODY)["Content-Type"],
        "HTTP_X_POWEREMAILTES_SIGNATURE": signed(BODY)["X-PowerEmailTES-SIGNATURE"],
    }
    assert wsgi(application, BODY, **headers | {"wsgi.input": Dripping(BODY)}) == (200, HELLO)
    assert wsgi(
        application, BODY, **headers, CONTENT_LENGTH=None, **{"wsgi.input_terminated": True}
    ) == (200, HELLO)
    assert (
        wsgi(application, b"x" * 6_000, CONTENT_LENGTH=None, **{"wsgi.input_terminated": True})[0]
        == 413
    )
    # Without a length nobody knows where it ends: it has no body (PEP 3333).
    assert wsgi(application, BODY, CONTENT_LENGTH="") == (200, HELLO)
    assert wsgi(application, BODY, CONTENT_LENGTH=str(len(BODY) + 1))[0] == 400
    assert wsgi(application, BODY, **headers | {"wsgi.input": Broken()})[0] == 400
    assert wsgi(application, BODY, CONTENT_LENGTH="5001")[0] == 413
    for length in ("-1", "x", "1e3", "²", "0x10"):
        assert wsgi(application, BODY, CONTENT_LENGTH=length)[0] == 400
    assert wsgi(application, REQUEST_METHOD="HEAD") == (200, b"")
    assert taken == ["e1", "e2"]


def test_wsgi_rejects_an_async_handler():
    with pytest.raises(UsageError, match="has to be awaited"):
        WebhookWSGI(receiver(asynchronous([])))


@given(
    body=st.binary(max_size=100),
    signature=st.text(st.characters(codec="latin-1")),
    kind=st.text(st.characters(codec="latin-1"), max_size=30),
    right=st.booleans(),
)
def test_no_body_gets_a_server_error(body, signature, kind, right):
    application = WebhookWSGI(receiver(lambda event: None, scheme="body-hex"))
    given_ = signed(body, "body-hex")["X-PowerEmailTES-SIGNATURE"] if right else signature
    status, _ = wsgi(application, body, CONTENT_TYPE=kind, HTTP_X_POWEREMAILTES_SIGNATURE=given_)
    if not body and given_.strip():
        assert status == 503  # it was signed, so it had a body that did not come
    else:
        assert status in ((200, 400) if right else (200, 400, 403))


def post_headers(body, **more):
    return signed(body, "body-hex") | {"Content-Type": "application/json", **more}


@pytest.mark.parametrize(
    "headers",
    [
        post_headers(BODY, **{"Content-Length": str(len(BODY))}),
        post_headers(BODY, **{"Transfer-Encoding": "chunked"}),
        post_headers(BODY),
        {"Content-Length": "7"},
        {b"transfer-encoding": b"chunked"},
    ],
    ids=["length", "chunked", "signature", "length alone", "chunked alone"],
)
def test_a_body_that_somebody_else_has_read_is_not_lost(headers, caplog):
    """Flask after ``request.form``, a middleware that logs bodies, a proxy that drops them."""
    events = []
    response = receiver(events.append, scheme="body-hex").respond("POST", headers, b"")
    assert (response.status, events) == (503, [])
    assert "take it before anything reads it as a form" in caplog.text


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_handshake_may_have_any_headers(method):
    headers = post_headers(BODY, **{"Content-Length": "7"})
    assert receiver(print, scheme="body-hex").respond(method, headers, b"").status == 200


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "0"}, {"Content-Length": "00"}])
def test_a_post_that_announces_no_body_is_a_handshake(headers):
    assert receiver(print, scheme="body-hex").respond("POST", headers, b"").status == 200


def test_a_wsgi_server_that_does_not_mark_the_end_of_a_chunked_body_loses_nothing():
    application = WebhookWSGI(receiver(print, scheme="body-hex"))
    given_ = signed(BODY, "body-hex")["X-PowerEmailTES-SIGNATURE"]
    environ = {
        "REQUEST_METHOD": "POST",
        "wsgi.input": io.BytesIO(BODY),
        "HTTP_TRANSFER_ENCODING": "chunked",
        "HTTP_X_POWEREMAILTES_SIGNATURE": given_,
    }
    statuses = []
    list(application(environ, lambda status, _: statuses.append(status)))
    assert statuses == ["503 Service Unavailable"]


async def test_a_body_that_drips_ends_at_the_timeout(caplog):
    async def receive():
        await anyio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    sent = []

    async def send(message):
        sent.append(message)

    application = WebhookASGI(receiver(print, scheme="body-hex"), body_timeout=0.1)
    await application({"type": "http", "method": "POST", "headers": []}, receive, send)
    assert sent[0]["status"] == 408
    assert "within 0.1 s" in caplog.text


async def test_the_log_names_a_middleware_that_has_read_the_body(caplog):
    """What is left to read is then the end of the connection, when the client has lost patience."""
    body = form(event())
    messages = [{"type": "http.request", "body": body}, {"type": "http.disconnect"}]

    async def receive():
        return messages.pop(0)

    async def send(message):
        raise AssertionError(message)

    async def log_and_pass_on(scope, receive, send):
        assert (await receive())["body"] == body
        await WebhookASGI(receiver(print))(scope, receive, send)

    await log_and_pass_on({"type": "http", "method": "POST", "headers": []}, receive, send)
    assert "a middleware has read it" in caplog.text


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), True, "5", None])
def test_an_invalid_body_timeout_is_rejected(seconds):
    with pytest.raises(
        ConfigurationError, match="body_timeout: must be a number of seconds above 0"
    ):
        WebhookASGI(receiver(print, scheme="body-hex"), body_timeout=seconds)
