"""A password for the page and the control API, and none for programs and the health check."""

import threading
from base64 import b64encode

import bcrypt
import httpx
import pytest

from poweremail import ConfigurationError
from poweremail.sandbox._server.app import create_app
from poweremail.sandbox._server.auth import Users, hash_password
from support.plain_http import PLAIN_HTTP

SEND = "/v1.0/messages/sendMail"


def cheap(password):
    """A hash of the least cost, as `htpasswd -B` spells it."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")


@pytest.fixture
def users(tmp_path):
    file = tmp_path / "users"
    file.write_text(f"# the team\n\nada:{cheap('pässword:x')}\nbob:{cheap('other')}\n", "utf-8")
    return Users(file)


@pytest.fixture
async def client(sandbox, users):
    app = create_app(sandbox.service, users=users)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://localhost"
    ) as client:
        yield client


def basic(text):
    return {"Authorization": f"Basic {b64encode(text.encode()).decode()}"}


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        (basic("ada:pässword:x"), True),
        (basic("bob:other"), True),
        ({"Authorization": basic("bob:other")["Authorization"].replace("Basic", "bAsIc")}, True),
        ({}, False),
        (basic("ada:other"), False),
        (basic("bob:pässword:x"), False),
        (basic("nobody:other"), False),
        (basic("ada:"), False),
        (basic("ada"), False),
        (basic(":"), False),
        (basic("bob:other" + "x" * 100), False),
        (basic("bob:" + "x" * 100), False),
        (basic("bob:ot\0her"), False),
        ({"Authorization": "Basic ???"}, False),
        ({"Authorization": "Basic /w=="}, False),
        ({"Authorization": "Basic " + b64encode(b"\xff:other").decode()}, False),
        ({"Authorization": "Bearer other"}, False),
    ],
)
async def test_who_gets_in(client, headers, allowed):
    for path in ("/", "/_sandbox/messages", "/_sandbox/static/main.js", "/_sandbox/docs"):
        for _ in range(2):  # the second time, a right password is known
            response = await client.get(path, headers=headers)
            assert response.status_code == (200 if allowed else 401)
    if not allowed:
        assert response.headers["www-authenticate"].startswith('Basic realm="PowerEmail sandbox"')
        assert response.json() == {"error": "This needs a user and a password."}


@pytest.mark.parametrize(
    "path", ["/mail/_sandbox/messages", "//_sandbox/messages", "/_sandbox", "/_sandbox/", "/mail/"]
)
async def test_no_path_goes_around_it(client, path):
    response = await client.get(path, headers={"Accept": "text/html"})
    assert response.status_code == 401


async def test_a_foreign_page_is_refused_before_anybody_is_asked(client):
    headers = basic("bob:other") | {"Origin": "http://evil.example"}
    assert (await client.delete("/_sandbox/messages", headers=headers)).status_code == 403
    assert (await client.get("/", headers={"Host": "evil.example"})).status_code == 403


async def test_programs_and_the_health_check_need_no_password(client):
    assert (await client.post(SEND, json={})).json()["status"] == "error"
    for path in ("", "/mail"):  # a proxy may leave its path
        assert (await client.get(f"{path}/_sandbox/health")).json()["status"] == "ok"


def test_a_right_password_is_checked_once(users, monkeypatch):
    assert users.check("bob", b"other")
    assert users.knows("bob", b"other")
    assert not users.knows("bob", b"another")
    assert not users.knows("ada", b"other")
    assert not users.check("bob", b"another")
    assert users.knows("bob", b"other")


@pytest.mark.parametrize("name", ["quick", "slow", "nobody"])
def test_the_time_that_it_takes_does_not_tell_who_is_a_user(tmp_path, monkeypatch, name):
    slow = bcrypt.hashpw(b"right", bcrypt.gensalt(6))
    file = tmp_path / "users"
    file.write_text(f"quick:{cheap('right')}\nslow:{slow.decode()}\n")
    users = Users(file)
    check, checked = bcrypt.checkpw, []

    def record(password, hashed):
        checked.append(hashed)
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", record)
    assert not users.check(name, b"wrong")
    assert checked.count(slow) == 1
    assert users.check(name, b"right") is (name != "nobody")


def test_many_wrong_passwords_do_not_stop_the_api(sandbox, tmp_path):
    """A check takes a tenth of a second of a processor: at most two run at once."""
    file = tmp_path / "users"
    file.write_text(f"ada:{hash_password('right')}\n")
    with sandbox.server(auth=file) as server:
        guesses = [
            threading.Thread(
                target=lambda: httpx.get(server.url, auth=("ada", "wrong"), **PLAIN_HTTP)
            )
            for _ in range(6)
        ]
        for each in guesses:
            each.start()
        answered = httpx.post(f"{server.url}{SEND}", json={}, **PLAIN_HTTP).elapsed.total_seconds()
        still = sum(each.is_alive() for each in guesses)
        for each in guesses:
            each.join()
    assert still > 0, answered


HASH = "$2y$04$qaZCZAGnIdbc8IJDivZtqusZ8kvf22ZQt7g5hoHANzmr8YLr1ni4e"
"""Of `x`. It is a constant because each worker of xdist has to give a test the same name."""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "has no user"),
        ("# nobody\n", "has no user"),
        ("ada:secret\n", "line 1 of"),
        ("ada\n", "line 1 of"),
        (f"bob:{HASH}\n:{HASH}\n", "line 2 of"),
        ("ada:$apr1$r31.....$HqJZimcKQFAMYayBlzkrA/\n", "a bcrypt hash"),
        ("ada:$2y$03$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", "a bcrypt hash"),
        ("ada:$2y$99$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n", "a bcrypt hash"),
        ("ada:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n", "a bcrypt hash"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path, content, reason):
    file = tmp_path / "users"
    file.write_text(content)
    with pytest.raises(ConfigurationError, match=reason) as raised:
        Users(file)
    assert "secret" not in str(raised.value)
    assert raised.value.field == "auth"


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        Users(tmp_path / "nowhere")
    file = tmp_path / "latin"
    file.write_bytes(b"\xe4:x")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        Users(file)


def test_a_file_as_windows_writes_it(tmp_path):
    file = tmp_path / "users"
    file.write_bytes(f"\ufeffada:{cheap('x')}\r\n".encode())
    assert Users(file).check("ada", b"x")


def test_hashes():
    assert bcrypt.checkpw("ä".encode(), hash_password("ä").encode())
    for password in ("", "x" * 73, "ä" * 37, "a\0b"):
        with pytest.raises(ConfigurationError, match="from 1 to 72 bytes"):
            hash_password(password)
    with pytest.raises(ConfigurationError, match="not UTF-8") as raised:
        hash_password("secret\udcff")
    assert raised.value.__cause__ is None
    assert "secret" not in str(raised.value)
