"""``poweremail webhook``: the listener in a process of its own, the others as typer runs them."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poweremail import UsageError
from poweremail._cli import webhook_trigger
from poweremail._cli.app import app
from poweremail._cli.webhook_diagnose import read_request
from support.command import Runner
from support.dripping import SECONDS, dripping
from support.plain_http import PLAIN_HTTP
from support.serving import HTTPServerInThread
from support.webhooks import FORM, HEADER, HELLO, KEY, URL, event, form, signed

ENVIRON = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("POWEREMAIL_", "FORCE_COLOR"))
} | {
    "COLUMNS": "80",
    "NO_COLOR": "1",
    "PYTHONUNBUFFERED": "1",
}
BODY = form(event(1), event(2, event="click"))


def command(*arguments: str, python: tuple[str, ...] = ("-m", "poweremail")) -> list[str]:
    return [sys.executable, "-W", "error", *python, "webhook", *arguments]


def run(*arguments: str, key: str | None = KEY, stdin: bytes | None = None):
    environ = {"POWEREMAIL_WEBHOOK_KEY": key, "COLUMNS": "80", "NO_COLOR": "1"}
    done = Runner().invoke(app, ["webhook", *arguments], env=environ, input=stdin)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert KEY not in done.output
    return done


class Listening:
    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process = process
        self.url = url
        self.said = ""

    def post(self, body: bytes = BODY, **changes) -> httpx.Response:
        return httpx.post(
            self.url,
            content=body,
            headers=signed(body, **{"url": self.url} | changes),
            **PLAIN_HTTP,
        )

    def stop(self, signal_: int = signal.SIGINT) -> list[str]:
        """What it printed, once it has come to its end as it should."""
        self.process.send_signal(signal_)
        # Not by communicate(), which would lose what was read together with the first line.
        printed, said = self.process.stdout.read(), self.process.stderr.read()
        self.process.wait(60)
        self.said += said
        assert self.process.returncode == 0, self.said
        assert "Traceback" not in self.said
        assert KEY not in printed + self.said
        return printed.splitlines()


@contextlib.contextmanager
def listening(
    *arguments: str, key: str = f"old,{KEY}", stdout: Any = subprocess.PIPE, **options: Any
):
    environ = ENVIRON | {"POWEREMAIL_WEBHOOK_KEY": key, "POWEREMAIL_WEBHOOK_SCHEME": "form-base64"}
    pipes = {"stdout": stdout, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        command("listen", "--port", "0", *arguments, **options), env=environ, **pipes
    ) as process:
        try:
            first = process.stderr.readline()
            ours = Listening(process, re.search(r"http://\S+", first)[0])
            ours.said = first
            yield ours
        finally:
            process.kill()


class Recorder(http.server.BaseHTTPRequestHandler):
    requests: list[tuple[str, list[tuple[str, str]], bytes]]
    status = 200

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.requests.append((self.path, self.headers.items(), body))
        self.send_response(self.status)
        self.send_header("Content-Type", "text/x-mine")
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"mine")

    def log_message(self, *_):
        pass


@pytest.fixture
def recorder():
    """A server that keeps what is posted to it, and answers the status that it is told."""
    handler = type("Handler", (Recorder,), {"requests": []})
    with HTTPServerInThread(("127.0.0.1", 0), handler) as server:
        handler.url = f"http://127.0.0.1:{server.server_port}/hook"
        yield handler


def test_listen_prints_events_with_a_valid_signature():
    with listening() as ours:
        cmdline = Path(f"/proc/{ours.process.pid}/cmdline").read_text()
        assert httpx.get(ours.url, **PLAIN_HTTP).content == HELLO
        assert (ours.post().status_code, ours.post().content) == (200, HELLO)
        assert ours.post(key="wrong").status_code == 403
        assert httpx.put(ours.url, **PLAIN_HTTP).status_code == 405
        assert (
            httpx.post(ours.url, content=b"x" * (10 * 1024 * 1024 + 1), **PLAIN_HTTP).status_code
            == 413
        )
        lines = ours.stop()
    # Twice: whoever listens wants to see that it came again.
    assert [line.split()[2:] for line in lines] == [
        ["open", "ada@example.com", "order-1"],
        ["click", "ada@example.com", "order-2"],
    ] * 2
    assert max(map(len, lines)) <= 80
    assert "responded 403: the signature is wrong: none of 2 keys makes it" in ours.said
    assert KEY not in cmdline


def test_listen_prints_json_without_control_characters():
    body = form(event(1, msg={"email": "\x1b[2J\ud800", "n": float("nan")}, colour="red"))
    with listening("--json", "--url", URL) as ours:
        assert ours.post(body, url=URL).status_code == 200
        (line,) = ours.stop()
    told = json.loads(line, parse_constant=lambda name: pytest.fail(name))
    assert (told["event"], told["id"], told["recipient"], told["extra"]) == (
        "open",
        "e1",
        "\x1b[2J\ud800",
        {"colour": "red"},
    )
    assert line.isascii()
    assert line.isprintable()
    with listening() as ours:
        assert ours.post(body).status_code == 200
        (line,) = ours.stop()
    assert line.isprintable()


def test_listen_ends_on_a_signal():
    with listening() as ours:
        httpx.get(ours.url, **PLAIN_HTTP)
        ours.stop(signal.SIGTERM)


def test_listen_ends_when_its_output_is_closed():
    with listening("--json") as ours:
        assert ours.post().status_code == 200
        assert json.loads(ours.process.stdout.readline())["id"] == "e1"
        # As `head -1` does. No further event comes.
        ours.process.stdout.close()
        said = ours.process.stderr.read()
        assert ours.process.wait(60) == 0
    assert "Traceback" not in said
    assert "cannot be written" not in said


def test_an_event_that_cannot_be_printed_is_left_for_another_listener():
    with Path("/dev/full").open("w") as full, listening(stdout=full) as ours:
        assert ours.post().status_code == 503
        said = ours.process.stderr.read()
        assert ours.process.wait(60) == 1
    assert said.endswith("poweremail: standard output cannot be written: No space left on device\n")
    assert "Traceback" not in said


def test_listen_without_a_key_responds_to_the_handshake_only():
    with listening(key="") as ours:
        assert httpx.get(ours.url, **PLAIN_HTTP).content == HELLO
        assert ours.post().status_code == 403
        assert ours.stop() == []
    assert "There is no key" in ours.said


def test_listen_forwards_requests(recorder):
    with listening("--forward", recorder.url) as ours:
        for status in (200, 503):
            recorder.status = status
            response = ours.post()
            assert (response.status_code, response.content, response.headers["Content-Type"]) == (
                status,
                b"mine",
                "text/x-mine",
            )
        assert ours.post(key="wrong").status_code == 403
        assert httpx.get(ours.url, **PLAIN_HTTP).content == HELLO
        assert len(ours.stop()) == 4
    assert f"status 503 from {recorder.url}" in ours.said
    (path, headers, body), _ = recorder.requests
    assert (path, body) == ("/hook", BODY)
    sent = {name.lower(): value for name, value in headers}
    assert sent[HEADER.lower()] == signed(BODY, url=ours.url)[HEADER]
    assert (sent["content-type"], sent["host"]) == (FORM, recorder.url.split("/")[2])
    assert sorted(sent) == [
        "accept",
        "accept-encoding",
        "content-length",
        "content-type",
        "host",
        "user-agent",
        HEADER.lower(),
    ]


def test_listen_is_not_held_by_a_server_that_drips():
    code = (
        "from poweremail._cli import main, webhook_listen; "
        f"webhook_listen._FORWARD_SECONDS = {SECONDS}; main()"
    )
    with dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n") as port:
        with listening("--forward", f"http://127.0.0.1:{port}/", python=("-c", code)) as ours:
            assert ours.post().status_code == 502
            ours.stop()
    assert "not forwarded: TimeoutError" in ours.said


def test_listen_reports_requests_that_it_could_not_forward():
    with listening("--forward", "http://127.0.0.1:1/") as ours:
        assert ours.post().status_code == 502
        ours.stop()
    assert "not forwarded: ConnectError" in ours.said


def test_diagnose_reads_what_listen_captured(tmp_path):
    with listening("--save", str(tmp_path / "kept"), "--url", URL) as ours:
        ours.post(url=URL)
        ours.post(url=f"{URL}/")
        assert len(ours.stop()) == 2
    right, nearly = sorted((tmp_path / "kept").iterdir())
    assert right.stat().st_mode & 0o077 == 0
    assert right.read_bytes().endswith(b"\r\n\r\n" + BODY)
    done = run("diagnose", "--file", str(right), "--url", URL)
    assert (done.exit_code, done.stdout) == (
        0,
        f"form-base64 fits: --scheme form-base64 --url {URL} (key 1)\n",
    )
    done = run("diagnose", "--file", str(nearly), "--url", URL)
    assert done.exit_code == 1
    assert "form-base64 would fit, but the signed URL has a slash at its end" in done.stdout
    done = run("diagnose", "--file", "-", "--url", URL, "--json", stdin=nearly.read_bytes())
    told = json.loads(done.stdout)
    assert (done.exit_code, told["fits"]) == (1, False)
    assert told["matches"][0]["url"] == f"{URL}/"


def captured(body: bytes = BODY, ending: bytes = b"\r\n", **headers: str) -> bytes:
    pairs = {**signed(body), **{name.replace("_", "-"): value for name, value in headers.items()}}
    return ending.join(
        [
            b"POST /hooks/mail HTTP/1.1",
            *(f"{name}: {value}".encode() for name, value in pairs.items()),
            b"",
            body,
        ]
    )


@pytest.mark.parametrize(
    "request_",
    [
        captured(),
        captured(ending=b"\n"),
        captured().partition(b"\r\n")[2],
        captured(Content_Length=str(len(BODY))) + b"\nHTTP/1.1 200 OK\r\n",
        captured(Transfer_Encoding="chunked").replace(
            BODY, b"5\r\n" + BODY[:5] + b"\r\n%X\r\n" % len(BODY[5:]) + BODY[5:] + b"\r\n0\r\n\r\n"
        ),
        captured(Transfer_Encoding="chunked"),
    ],
    ids=["whole", "LF", "no first line", "more after it", "chunked", "chunked, taken apart"],
)
def test_diagnose_reads_captured_requests(request_):
    assert run("diagnose", "--file", "-", "--url", URL, stdin=request_).exit_code == 0


@pytest.mark.parametrize(
    ("request_", "status", "text"),
    [
        (captured()[:-10], 1, "No scheme fits"),
        (captured(Content_Length="9999"), 0, "the capture is cut off"),
        (b"A: b\r\n\r\n", 1, "no header with a signature"),
        (b"", 2, "has no headers"),
        (b"{}", 2, "has no headers"),
    ],
)
def test_diagnose_reports_what_is_missing(request_, status, text):
    done = run("diagnose", "--file", "-", "--url", URL, stdin=request_)
    assert done.exit_code == status
    assert text in done.output


@given(
    request_=st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=100).map(lambda tail: captured(Transfer_Encoding="chunked") + tail),
    )
)
def test_diagnose_reads_any_bytes(request_):
    with contextlib.suppress(UsageError):
        headers, body, _ = read_request(request_)
        assert headers
        assert isinstance(body, bytes)


@pytest.mark.parametrize(
    ("scheme", "body_format"),
    [("form-base64", "form"), ("body-hex", "json"), ("url-body-base64", "form")],
)
def test_trigger_posts_events_that_a_receiver_accepts(scheme, body_format):
    with listening("--scheme", scheme, "--json") as ours:
        options = (
            "--scheme",
            scheme,
            "--body-format",
            body_format,
            "--count",
            "3",
            "--unique-id",
            "order-42",
        )
        done = run("trigger", "hard_bounce", "--to-url", ours.url, *options)
        assert (done.exit_code, done.stdout) == (0, "200 OK  God bless you, PowerEmail\n")
        assert done.stderr == f"3 hard_bounce events, signed by {scheme} for {ours.url}\n"
        done = run(
            "trigger", "open", "--to-url", ours.url, *options, "--json", key=f"{KEY},another"
        )
        events = [json.loads(line) for line in ours.stop()]
    assert (json.loads(done.stdout)["status"], done.exit_code) == (200, 0)
    assert [each["event"] for each in events] == ["hard_bounce"] * 3 + ["open"] * 3
    assert {(each["unique_id"], each["recipient"]) for each in events} == {
        ("order-42", "ada@example.com")
    }
    assert len({each["id"] for each in events}) == 6
    assert [each["id"] for each in events[3:]] == json.loads(done.stdout)["events"]


def test_trigger_reports_the_response(recorder):
    recorder.status = 403
    done = run("trigger", "open", "--to-url", recorder.url, "--scheme", "body-hex")
    assert (done.exit_code, done.stdout) == (3, "403 Forbidden  mine\n")


def test_trigger_is_not_held_by_a_server_that_drips(monkeypatch):
    monkeypatch.setattr(webhook_trigger, "_TIMEOUT_SECONDS", SECONDS)
    with dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n") as port:
        url = f"http://127.0.0.1:{port}/"
        done = run("trigger", "open", "--to-url", url, "--scheme", "body-hex")
    wanted = "no response came: TimeoutError: it took longer than 0.2 seconds\n"
    assert (done.exit_code, done.stdout) == (5, wanted)


def test_trigger_reports_posts_that_did_not_arrive():
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"

        def hang_up():
            connection, _ = server.accept()
            connection.recv(65_536)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        done = run("trigger", "open", "--to-url", url, "--scheme", "body-hex")
        thread.join()
        assert done.exit_code == 5
        assert done.stdout.startswith("no response came: ")
    for nowhere in (url, "gopher://x/", "http://"):
        done = run("trigger", "open", "--to-url", nowhere, "--scheme", "body-hex", "--json")
        assert done.exit_code == 4
        assert json.loads(done.stdout)["error"].startswith("not sent: ")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            ["trigger", "open", "--to-url", "http://127.0.0.1:1/", "--scheme", "any"],
            "none of form-base64",
        ),
        (
            [
                "trigger",
                "open",
                "--to-url",
                "http://127.0.0.1:1/",
                "--scheme",
                "body-hex",
                "--body-format",
                "xml",
            ],
            "none of form, json",
        ),
        (
            [
                "trigger",
                "open",
                "--to-url",
                "http://127.0.0.1:1/",
                "--scheme",
                "form-hex",
                "--body-format",
                "json",
            ],
            "cannot sign this",
        ),
        (["trigger", "open", "--to-url", "http://127.0.0.1:1/"], "--scheme"),
        (
            ["trigger", "hard-bounced", "--to-url", "http://127.0.0.1:1/", "--scheme", "body-hex"],
            "EVENT: 'hard-bounced' is none of send, open, click, soft_bounce, hard_bounce, spam; "
            "did you mean hard_bounce?",
        ),
        (
            ["trigger", "\x1b[2J", "--to-url", "http://127.0.0.1:1/", "--scheme", "body-hex"],
            "hard_bounce, spam\n",
        ),
        (["listen", "--scheme", "body-hex", "--url", "nowhere"], "not the URL of a webhook"),
        (
            ["listen", "--scheme", "body-hex", "--forward", "nowhere"],
            "--forward: 'nowhere' is not a URL",
        ),
        (
            ["listen", "--scheme", "body-hex", "--forward", "http://"],
            "--forward: 'http://' is not a URL",
        ),
        (
            ["listen", "--scheme", "body-hex", "--host", "bad!host"],
            "cannot listen on bad!host port 8026: ",
        ),
        (["listen", "--scheme", "body-hex", "--save", "/dev/null/x"], "/dev/null"),
        (["diagnose", "--file", "-", "--url", URL, "--key-file", "/nowhere"], "No such file"),
        (
            ["diagnose", "--file", "-", "--url", URL, "--brand", ""],
            "--brand: must consist of letters",
        ),
        (
            [
                "trigger",
                "open",
                "--to-url",
                "http://127.0.0.1:1/",
                "--scheme",
                "form-hex",
                "--brand",
                "",
            ],
            "--brand: must consist of letters",
        ),
        (["listen", "--scheme", "body-hex", "--brand", ""], "--brand: must consist of letters"),
    ],
)
def test_invalid_options_are_reported(arguments, text):
    done = run(*arguments, stdin=b"A: b\r\n\r\n")
    assert done.exit_code == 2
    assert text in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("arguments", "field", "reason"),
    [
        (["diagnose", "--file", "-", "--url", URL], "--file", "has no headers"),
        (
            ["diagnose", "--file", "/nowhere", "--url", URL],
            "--file",
            "/nowhere cannot be read: No such file",
        ),
        (
            ["diagnose", "--file", "-", "--url", URL, "--key-file", "/nowhere"],
            "--key-file",
            "No such file",
        ),
        (["listen", "--scheme", "body-hex", "--brand", ""], "brand", "must consist of letters"),
        (["listen", "--scheme", "plain"], "scheme", "'plain' is none of form-base64"),
        (["listen", "--scheme", "body-hex", "--save", "/dev/null/x"], "--save", "/dev/null"),
        (
            ["trigger", "hard-bounced", "--to-url", "http://127.0.0.1:1/", "--scheme", "body-hex"],
            "EVENT",
            "did you mean",
        ),
    ],
)
def test_invalid_options_are_reported_as_json(arguments, field, reason):
    done = run(*arguments, "--json", stdin=b"")
    assert done.exit_code == 2
    told = json.loads(done.stdout)
    assert (told["state"], told["error"]["field"]) == ("not_sent", field)
    assert told["error"]["type"] == "ConfigurationError"
    assert reason in told["error"]["reason"]
    assert reason in done.stderr


def test_keys_come_from_a_file(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"old\n\n{KEY}\n")
    done = run(
        "diagnose", "--file", "-", "--url", URL, "--key-file", str(file), stdin=captured(), key=None
    )
    assert (done.exit_code, "(key 2)" in done.stdout) == (0, True)
    for content, text in ((b"\n", "has no key"), (b"canary\xff", "is not UTF-8")):
        file.write_bytes(content)
        done = run(
            "diagnose",
            "--file",
            "-",
            "--url",
            URL,
            "--key-file",
            str(file),
            stdin=captured(),
            key=None,
        )
        assert done.exit_code == 2
        assert text in done.output
        assert "canary" not in done.output


def test_a_missing_key_without_a_terminal_is_reported():
    done = run("diagnose", "--file", "-", "--url", URL, stdin=captured(), key=None)
    assert done.exit_code == 2
    assert "set POWEREMAIL_WEBHOOK_KEY" in done.output


def test_the_key_is_read_from_the_terminal_without_echo(tmp_path):
    (tmp_path / "request.http").write_bytes(captured())
    ours, theirs = pty.openpty()
    arguments = command("diagnose", "--file", str(tmp_path / "request.http"), "--url", URL)
    pipes = {"stdin": theirs, "stdout": subprocess.PIPE, "stderr": theirs}
    with subprocess.Popen(arguments, env=ENVIRON, **pipes, start_new_session=True) as process:
        os.close(theirs)
        shown = b""
        # The space comes when nothing is shown any more. What is typed before that is thrown away.
        while b"key: " not in shown:
            shown += os.read(ours, 1_000)
        os.write(ours, f"{KEY}\n".encode())
        assert process.stdout.read().startswith(b"form-base64 fits")
        with contextlib.suppress(OSError):  # its end of the terminal is closed
            while piece := os.read(ours, 1_000):
                shown += piece
    os.close(ours)
    assert process.returncode == 0
    assert KEY.encode() not in shown


def test_help_fits_the_terminal():
    for name in ("listen", "trigger", "diagnose"):
        done = run(name, "--help")
        assert done.exit_code == 0
        assert max(map(len, done.stdout.splitlines())) <= 80
        assert "--json" in done.stdout
