"""The pages behind the links: who asks for them, how, and what happens."""

from __future__ import annotations

import io
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.validate import validator

import httpx
import pytest

from poweremail import ConfigurationError, Message, UsageError
from poweremail.sandbox import Sandbox
from poweremail.suppression import SqliteSuppressionStore, SuppressedError
from poweremail.unsubscribe import (
    BUTTON,
    LinkError,
    UnsubscribeASGI,
    UnsubscribeLinks,
    UnsubscribeReceiver,
    UnsubscribeWSGI,
)

ADA = "ada@example.org"
ONE_CLICK = b"List-Unsubscribe=One-Click"
FORM = "application/x-www-form-urlencoded"
MULTIPART = (
    b"--b1\r\nContent-Disposition: form-data; "
    b'name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--b1--\r\n'
)


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def links(clock):
    return UnsubscribeLinks("https://example.com/unsubscribe", "k" * 32, clock=clock)


@pytest.fixture
def store(tmp_path):
    with SqliteSuppressionStore(tmp_path / "list.db") as store:
        yield store


def listed(store):
    return [(entry.address, entry.stream, entry.reason) for entry in store.entries()]


@pytest.fixture
def path(links):
    return "/unsubscribe/" + links.token("Ada <ADA@example.org>", "news")


async def ask(app, method: str, path: str, body: bytes = b"", content_type: str | None = FORM):
    transport = httpx.ASGITransport(app)
    headers = {} if content_type is None else {"Content-Type": content_type}
    async with httpx.AsyncClient(transport=transport, base_url="https://example.com") as client:
        return await client.request(method, path, content=body, headers=headers)


def ask_wsgi(app, method: str, path: str, body: bytes = b"", content_type: str | None = FORM):
    headers = {} if content_type is None else {"Content-Type": content_type}
    transport = httpx.WSGITransport(validator(app))
    with httpx.Client(transport=transport, base_url="https://example.com") as client:
        return client.request(method, path, content=body, headers=headers)


REQUESTS = [
    # a scanner, a preview, a browser
    ("GET", b"", None, 200, False),
    ("HEAD", b"", None, 200, False),
    ("GET", ONE_CLICK, FORM, 200, False),
    # what services post, and the button of the page
    ("POST", ONE_CLICK, FORM, 200, True),
    ("POST", ONE_CLICK, f"{FORM}; charset=utf-8", 200, True),
    ("POST", ONE_CLICK + b"\r\n", FORM, 200, True),
    ("POST", ONE_CLICK, None, 200, True),
    ("POST", ONE_CLICK, "text/plain", 200, True),
    ("POST", MULTIPART, "multipart/form-data; boundary=b1", 200, True),
    ("POST", MULTIPART, 'Multipart/Form-Data; boundary="b1"', 200, True),
    # what is something else
    ("POST", b"", FORM, 400, False),
    ("POST", b"List-Unsubscribe=Two-Clicks", FORM, 400, False),
    ("POST", b"list-unsubscribe=one-click", FORM, 400, False),
    ("POST", ONE_CLICK, "application/json", 400, False),
    ("POST", b'{"List-Unsubscribe": "One-Click"}', "application/json", 400, False),
    ("POST", MULTIPART, "multipart/form-data; boundary=other", 400, False),
    ("POST", MULTIPART, "multipart/form-data", 400, False),
    ("POST", b"\xff\xfe", FORM, 400, False),
    ("POST", b"&".join([b"a=b"] * 100), FORM, 400, False),
    ("POST", b"x" * 5_000, FORM, 413, False),
    ("PUT", ONE_CLICK, FORM, 405, False),
    ("DELETE", b"", None, 405, False),
]


@pytest.mark.parametrize(("method", "body", "content_type", "status", "unsubscribes"), REQUESTS)
@pytest.mark.parametrize("kind", ["ASGI", "WSGI"])
async def test_only_the_post_of_rfc_8058_unsubscribes(
    links, store, path, kind, method, body, content_type, status, unsubscribes
):
    if kind == "ASGI":
        response = await ask(UnsubscribeASGI(links, store), method, path, body, content_type)
    else:
        response = ask_wsgi(UnsubscribeWSGI(links, store), method, path, body, content_type)
    assert response.status_code == status
    assert listed(store) == ([(ADA, "news", "unsubscribe")] if unsubscribes else [])
    assert not response.is_redirect
    if method == "HEAD":
        assert response.content == b""
    if method == "GET":
        assert BUTTON in response.text
        assert ADA in response.text
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


async def test_a_post_may_come_twice(links, store, path):
    for _ in range(2):
        response = await ask(UnsubscribeASGI(links, store), "POST", path, ONE_CLICK)
        assert response.status_code == 200
    assert listed(store) == [(ADA, "news", "unsubscribe")]


async def test_links_that_are_not_genuine_change_nothing(links, store, path, clock):
    app = UnsubscribeASGI(links, store)
    other = UnsubscribeLinks("https://example.com/u", "another-key-of-others", clock=clock)
    for bad in (
        path[:-1],
        path[:-3] + "AAA",
        "/unsubscribe/" + other.token(ADA, "news"),
        "/unsubscribe/",
        "/",
        "/" + "x" * 1_500,
    ):
        response = await ask(app, "POST", bad, ONE_CLICK)
        assert response.status_code == 404
        assert ADA not in response.text
    assert (await ask(app, "POST", "/" + "x" * 3_000, ONE_CLICK)).status_code == 414
    clock.now += 400 * 24 * 3_600
    for method in ("GET", "POST"):
        response = await ask(app, method, path, ONE_CLICK)
        assert response.status_code == 410
        assert "reply to the mail" in response.text
    assert listed(store) == []


async def test_no_address_steers_the_page(store, clock):
    links = UnsubscribeLinks("https://example.com/u", "k" * 32, clock=clock)
    token = links.token('"<b>&"@example.org', "news")
    response = await ask(UnsubscribeASGI(links, store), "GET", f"/u/{token}")
    assert "<b>" not in response.text
    assert "&lt;b&gt;&amp;" in response.text


class Gone:
    def find(self, addresses, /):
        return ()

    def add(self, entries, /):
        raise OSError("the disk is full")


class GoneAsync(Gone):
    async def add(self, entries, /):
        raise OSError("the disk is full")


@pytest.mark.parametrize("kind", [Gone, GoneAsync])
async def test_a_post_is_not_confirmed_if_it_was_not_stored(links, path, kind, caplog):
    response = await ask(UnsubscribeASGI(links, kind()), "POST", path, ONE_CLICK)
    assert response.status_code == 503
    assert "Nothing was changed" in response.text
    assert "the disk is full" in caplog.text


async def test_the_file_of_the_list_may_be_unusable(links, path, tmp_path):
    (tmp_path / "list.db").mkdir()
    store = SqliteSuppressionStore(tmp_path / "list.db")
    assert (await ask(UnsubscribeASGI(links, store), "POST", path, ONE_CLICK)).status_code == 503
    assert ask_wsgi(UnsubscribeWSGI(links, store), "POST", path, ONE_CLICK).status_code == 503


async def test_a_store_may_be_async(links, path):
    class Own:
        def __init__(self):
            self.kept = []

        async def find(self, addresses, /):
            return ()

        async def add(self, entries, /):
            self.kept += entries

    own = Own()
    assert (await ask(UnsubscribeASGI(links, own), "POST", path, ONE_CLICK)).status_code == 200
    assert [entry.address for entry in own.kept] == [ADA]
    with pytest.raises(UsageError, match="store: has async methods"):
        UnsubscribeWSGI(links, own)


async def test_mails_to_the_mailto_unsubscribe_too(links, store, path, clock):
    receiver = UnsubscribeReceiver(links, store)
    token = path.rpartition("/")[2]
    assert receiver.unsubscribe(f" {token}\r\n").address == ADA
    assert (await receiver.aunsubscribe(token)).stream == "news"
    assert listed(store) == [(ADA, "news", "unsubscribe")]
    with pytest.raises(LinkError):
        receiver.unsubscribe("unsubscribe")


async def test_the_page_can_be_your_own(links, store, path):
    def page(state, asked):
        return f"<!doctype html><p>{state} {asked and asked.address}</p>"

    app = UnsubscribeASGI(links, store, page=page)
    assert f"ask {ADA}" in (await ask(app, "GET", path)).text
    assert "invalid None" in (await ask(app, "GET", "/u/x")).text
    assert f"done {ADA}" in (await ask(app, "POST", path, ONE_CLICK)).text


async def test_a_body_that_never_ends_is_not_waited_for(links, store, path):
    sent = []

    async def receive():
        import anyio

        await anyio.sleep_forever()

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": []}
    await UnsubscribeASGI(links, store, body_timeout=0.05)(scope, receive, send)
    assert sent[0]["status"] == 408


@pytest.mark.parametrize("seconds", [0, -1, True, "5", None])
def test_an_invalid_body_timeout_is_rejected(links, store, seconds):
    with pytest.raises(ConfigurationError, match="body_timeout: must be a number of seconds above"):
        UnsubscribeASGI(links, store, body_timeout=seconds)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def test_a_mail_can_be_left_with_one_click(store):
    """The whole way over a socket: a mail, its header, a scanner, a click, no further mail."""
    server = make_server("127.0.0.1", 0, lambda *_: [], handler_class=_Quiet)
    url = f"http://127.0.0.1:{server.server_port}/u"
    links = UnsubscribeLinks(url, "k" * 32)
    server.set_app(UnsubscribeWSGI(links, store))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    common = {"from_email": "o@example.com", "to": ADA, "text": "t"}
    mail = Message(subject="News", stream="news", unsubscribe=links, **common)
    try:
        with Sandbox() as sandbox, sandbox.client(suppression=store) as client:
            client.messages.send_mail(mail)
            headers = sandbox.outbox[0].headers
            link = headers["List-Unsubscribe"].strip("<>")
            name, _, value = headers["List-Unsubscribe-Post"].partition("=")
            for _ in range(3):  # a scanner, a preview, another scanner
                assert httpx.get(link).status_code == 200
                assert httpx.head(link).status_code == 200
            client.messages.send_mail(mail)
            assert httpx.post(link, data={name: value}).status_code == 200
            with pytest.raises(SuppressedError):
                client.messages.send_mail(mail)
            client.messages.send_mail(Message(subject="Reset", **common))
            assert len(sandbox.outbox) == 3
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_body_that_ends_early_is_no_click(links, store, path):
    started = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_TYPE": FORM,
        "CONTENT_LENGTH": "100",
        "wsgi.input": io.BytesIO(ONE_CLICK),
    }
    list(UnsubscribeWSGI(links, store)(environ, lambda status, _: started.append(status)))
    assert started == ["400 Bad Request"]
    assert listed(store) == []
