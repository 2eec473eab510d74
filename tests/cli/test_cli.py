"""The command, run as its users run it: in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest

from poweremail import (
    AuthenticationError,
    PowerEmail,
    ProtocolError,
    RateLimitError,
    RetryPolicy,
    __version__,
)
from poweremail._cli import demo, main
from poweremail._cli.app import app
from poweremail.sandbox import Fault, Sandbox
from support.command import Runner
from support.dripping import SECONDS, dripping
from support.messages import message
from support.plain_http import PLAIN_HTTP
from support.receiver import HANDSHAKE, Receiver
from support.smtp import SmtpReceiver

# A terminal of a known width, without colours.
ENVIRON = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("POWEREMAIL_", "FORCE_COLOR"))
} | {
    "COLUMNS": "80",
    "NO_COLOR": "1",
}


def run(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "poweremail", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env=ENVIRON, **options
    )


def run_here(*arguments: str):
    """In this process, for what another one would not show any better."""
    done = Runner().invoke(app, arguments, env={"COLUMNS": "80", "NO_COLOR": "1"})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


@contextmanager
def sandbox(*arguments: str, environ: dict[str, str] | None = None):
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "poweremail",
        "sandbox",
        "--port",
        "0",
        *arguments,
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRON | {"PYTHONUNBUFFERED": "1"} | (environ or {}),
    )
    with process:
        try:
            first = process.stdout.readline()
            yield process, re.search(r"http://\S+", first)[0]
        finally:
            process.terminate()


def test_the_demo_reports_what_happened_and_every_claim_is_true():
    done = run("demo")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert sum(line.startswith("ok ") for line in lines) == 8
    assert "250 accepted, 250 caught" in done.stdout
    assert "pages of 100, 100, 50; 250 recipients, all delivered" in done.stdout
    assert "ValidationError: Invalid Template Id; not repeated" in done.stdout
    assert "DeliveryUnknownError; posted once, not repeated" in done.stdout
    assert lines[-1].startswith("All of it is true. 8 steps in ")
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    "play", ["_mail", "_templates", "_batch", "_pages", "_rejected", "_unknown"]
)
def test_the_demo_fails_if_one_claim_is_false(monkeypatch, play):
    """
    Each claim is checked: with a service that loses what it caught, or rejects nothing, the demo
    must notice.
    """
    original = getattr(demo, play)

    async def spoiled(stage):
        if play in ("_rejected", "_unknown"):
            stage.sandbox.add_template("no such template", text="There is one after all")
            monkeypatch.setattr(Fault, "reset_after_acceptance", lambda: Fault.latency(0))
            return await original(stage)
        if play == "_pages":
            await stage.client.messages.send_mail(message(unique_id="news"))
            return await original(stage)
        monkeypatch.setattr(type(stage), "last_caught", lambda _: first)
        first = stage.sandbox.outbox[0] if stage.sandbox.outbox else None
        if first is None:
            await stage.client.messages.send_mail(message(text="another mail"))
            first = stage.sandbox.outbox[0]
        if play == "_batch":
            await stage.client.messages.send_mail(message(unique_id="news"))
        return await original(stage)

    before = (demo._batch,) if play == "_pages" else ()  # the pages are those of the batch
    monkeypatch.setattr(demo, "_PLAYS", (*before, spoiled))
    result = run_here("demo")
    assert result.exit_code == 1
    assert "FAILED" in result.stdout
    assert "went wrong" in result.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_sandbox_catches_what_is_sent_to_it(tmp_path, number):
    file = tmp_path / "caught.db"
    with (
        sandbox("--file", str(file)) as (process, url),
        PowerEmail("anybody", "anything", base_url=url, smtp_user_name="smtp12345") as client,
    ):
        examined = Runner().invoke(
            app,
            [
                "doctor",
                "--base-url",
                url,
                "--owner-id",
                "anybody",
                "--token",
                "any",
                "--smtp-user",
                "smtp12345",
            ],
        )
        assert (examined.exit_code, examined.stderr) == (0, "all is well\n")
        client.messages.send_mail(message(subject="Caught"))
        listed = httpx.get(f"{url}/_sandbox/messages", **PLAIN_HTTP).json()
        process.send_signal(number)
        assert process.wait(30) == 0
        assert process.stderr.read() == ""
    assert "Caught" in json.dumps(listed)
    # What it still had in its log is in the file: it was closed.
    assert list(tmp_path.iterdir()) == [file]
    with Sandbox(file) as kept:
        assert [mail.subject for mail in kept.outbox] == ["Caught"]


def test_the_sandbox_has_the_name_of_another_brand():
    with (
        Receiver({"GET": (200, "God bless you, Acme"), "POST": (200, "")}) as receiver,
        sandbox("--brand", "Acme") as (_, url),
        PowerEmail("me", "any", base_url=url, smtp_user_name="smtp12345") as client,
    ):
        client.settings.add_webhook(receiver.url)
        client.messages.send_mail(message())
        delivery = httpx.get(f"{url}/_sandbox/deliveries/1", **PLAIN_HTTP).json()
        assert "X-AcmeTES-SIGNATURE" in delivery["headers"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "any owner id and token"),
        (("--token", "canary"), "only the token given at the start, any owner id"),
        (
            ("--token", "canary", "--owner-id", "me"),
            "only the owner id and token given at the start",
        ),
    ],
)
def test_the_sandbox_says_which_credentials_it_accepts(options, told):
    with sandbox(*options) as (process, _):
        process.terminate()
        said = process.stdout.read()
    assert f"  accepts   {told}\n" in said
    assert "canary" not in said


def test_every_setting_of_the_sandbox_can_come_from_the_environment(tmp_path):
    environ = {
        "POWEREMAIL_SANDBOX_FILE": str(tmp_path / "caught.db"),
        "POWEREMAIL_SANDBOX_HOST": "127.0.0.1",
        "POWEREMAIL_SANDBOX_ALLOW_HOST": "mail.test, *.example.com",
        "POWEREMAIL_SANDBOX_EVENT": "open 30% within 5s\nclick 5%",
        "POWEREMAIL_SANDBOX_FAULT": '{"fault": {"kind": "html"}, "nth": 7}\n\n{"fault": '
        '{"kind": "error", "name": "E", "message": "a,  b"}, "nth": 8}',
        "POWEREMAIL_SANDBOX_LIMITS": "1",
        "POWEREMAIL_SANDBOX_PER_MINUTE": "2",
        "POWEREMAIL_SANDBOX_SEED": "",  # as compose passes a variable that is not set
    }
    with sandbox(environ=environ) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        with httpx.Client(base_url=f"{url}/_sandbox", **PLAIN_HTTP) as control:
            for host, status in (("mail.test", 200), ("a.example.com", 200), ("a.test", 403)):
                assert control.get("/health", headers={"Host": host}).status_code == status
            rules = control.get("/event_rules").json()["event_rules"]
            assert [each["rule"] for each in rules] == ["open 30% within 5s", "click 5%"]
            faults = control.get("/faults").json()["faults"]
            assert [each["nth"] for each in faults] == [7, 8]
            assert faults[1]["fault"]["message"] == "a,  b"
            (user,) = control.get("/smtp_users").json()["smtp_users"]
            assert (user["limits"]["per_minute"], user["limits"]["per_day"]) == (2, 50_000)
        process.terminate()
        assert process.stderr.read() == ""
    assert (tmp_path / "caught.db").exists()


@pytest.mark.parametrize("variable", ["AUTH", "AUTH_FILE"])
def test_a_sandbox_that_asks_for_no_password_says_so(tmp_path, variable):
    """Because the variable is empty, or because it has another name."""
    environ = {
        "POWEREMAIL_SANDBOX_HOST": "0.0.0.0",
        f"POWEREMAIL_SANDBOX_{variable}": "" if variable == "AUTH" else "users",
        # as Kubernetes sets them
        "POWEREMAIL_SANDBOX_SERVICE_PORT_HTTP": "80",
        "POWEREMAIL_SANDBOX_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    with sandbox(environ=environ) as (process, _):
        process.terminate()
        warnings = process.stderr.read()
    assert "nobody is asked for a password" in warnings
    unknown = re.findall(r"POWEREMAIL_SANDBOX_(\w+) is unknown", warnings)
    assert unknown == ([] if variable == "AUTH" else ["AUTH_FILE"])


def test_a_sandbox_that_asks_for_a_password_does_not_warn(tmp_path):
    users = tmp_path / "users"
    users.write_text(Runner().invoke(app, ["sandbox", "password", "ada"], input=b"secret\n").stdout)
    with sandbox("--host", "0.0.0.0", "--auth", str(users)) as (process, url):
        assert httpx.get(f"{url}/_sandbox/messages", **PLAIN_HTTP).status_code == 401
        process.terminate()
        assert process.stderr.read() == ""


def test_each_option_of_the_sandbox_names_its_variable():
    text = Runner().invoke(app, ["sandbox", "--help"], env={"COLUMNS": "300"}).stdout
    options = {flag for flag in re.findall(r"--([a-z-]+)", text) if f"--{flag} " in text}
    options -= {"help", "json", "quiet", "auth", "allow-host"}
    for flag in options | {"auth", "allow-host", "event", "fault", "host", "port", "file"}:
        assert f"POWEREMAIL_SANDBOX_{flag.replace('-', '_').upper()}]" in text.replace(
            ", POWEREMAIL_WEBHOOK_BRAND", ""
        )


@pytest.mark.parametrize("host", ["", "::1", "::"])
def test_health_says_whether_a_sandbox_answers(host):
    environ = {"POWEREMAIL_SANDBOX_HOST": host}
    with sandbox(environ=environ) as (process, url):
        environ["POWEREMAIL_SANDBOX_PORT"] = port = url.rpartition(":")[2]
        for address in ("::1",) if host == "::1" else ("127.0.0.1", "::1"):
            with socket.create_connection((address, int(port)), 10):
                pass
        well = Runner().invoke(app, ["sandbox", "health"], env=environ)
        assert (well.exit_code, well.stderr) == (0, f"ok: version {__version__}, messages: 0\n")
        process.terminate()
        process.wait(30)
        ill = Runner().invoke(app, ["sandbox", "health"], env=environ)
    assert ill.exit_code == 1
    assert "no sandbox answers at" in ill.stderr


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("8031", "port 8031:"),
        ("", "port 8025:"),
        ("tcp://10.0.0.1:80", "port 8025:"),  # as Kubernetes sets it for a service of this name
    ],
)
def test_the_variable_of_the_port(monkeypatch, value, shown):
    monkeypatch.setenv("POWEREMAIL_SANDBOX_PORT", value)
    # An address where nothing listens.
    done = run_here("sandbox", "health", "--host", "127.9.9.9")
    assert shown in done.stderr


def test_health_is_not_deceived_by_another_server():
    with Receiver({"GET": (200, "<html>")}) as other:
        done = run_here(
            "sandbox", "health", "--port", str(other.server_port), "--host", "127.0.0.1"
        )
    assert (done.exit_code, "no sandbox answers" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    "greeting", [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n{"], ids=["head", "body"]
)
def test_health_is_not_held_by_a_server_that_drips(greeting):
    with dripping(greeting, b"X-A: b\r\n") as port:
        done = run_here(
            *("sandbox", "health", "--host", "127.0.0.1"),
            *("--port", str(port), "--timeout", str(SECONDS)),
        )
    assert done.exit_code == 1
    assert f"no sandbox answers at 127.0.0.1 port {port}: it took longer than 0.2" in done.stderr


def test_each_caught_mail_is_a_line():
    with (
        sandbox() as (process, url),
        PowerEmail("me", "any", base_url=url, smtp_user_name="smtp12345") as client,
    ):
        hostile = "Hi \x1b[31m\u202e" + "x" * 200
        client.messages.send_mail(message(subject="Hi", to=["ada@example.com", "bob@example.com"]))
        httpx.post(f"{url}/_sandbox/reset", **PLAIN_HTTP)
        client.call("messages/sendMail", raw_send(hostile))
        for number in range(250):
            client.messages.send_mail(message(subject=f"Mail {number}"))
        process.terminate()
        lines = process.stdout.read().splitlines()
        assert process.stderr.read() == ""
    lines = [line for line in lines if re.match(r"\d\d:\d\d:\d\d  #\d+  ", line)]
    assert lines[-1].endswith(": Mail 249")
    assert len({line for line in lines if ": Mail " in line}) == 250
    (shown,) = [line for line in lines if "x" * 50 in line]
    assert "Hi \\x1b[31m\\u202exxx" in shown
    assert len(shown) < 200


def raw_send(subject):
    return {
        "smtp_user_name": "s",
        "message": {
            "subject": subject,
            "text": "t",
            "from_email": "me@example.com",
            "to": [{"email": "ada@example.com"}],
        },
    }


def test_a_terminal_that_stands_still_does_not_stop_the_sandbox():
    """Nobody reads the pipe, which takes about 600 lines."""
    with (
        sandbox() as (process, url),
        PowerEmail("me", "any", base_url=url, smtp_user_name="smtp12345") as client,
    ):
        mail = message(subject="x" * 80)
        for _ in range(1_000):
            client.messages.send_mail(mail)
        process.terminate()
        assert process.wait(30) == 0
        assert process.stderr.read() == ""


def test_caught_mails_as_json():
    with (
        sandbox("--json") as (process, url),
        PowerEmail("me", "any", base_url=url.strip('",'), smtp_user_name="smtp12345") as client,
    ):
        client.messages.send_mail(message(subject="Hello"))
        process.terminate()
        (mail,) = map(json.loads, process.stdout.read().splitlines())
    assert (mail["number"], mail["subject"]) == (1, "Hello")


def test_a_quiet_sandbox_prints_no_mails():
    with (
        sandbox("--quiet") as (process, url),
        PowerEmail("me", "any", base_url=url, smtp_user_name="smtp12345") as client,
    ):
        client.messages.send_mail(message(subject="Hello"))
        process.terminate()
        assert "Hello" not in process.stdout.read()


def test_the_page_asks_for_a_password(tmp_path):
    line = Runner().invoke(app, ["sandbox", "password", "ada"], input=b"right\n").stdout
    assert re.fullmatch(r"ada:\$2b\$12\$.{53}\n", line)
    file = tmp_path / "users"
    file.write_text(line)
    with sandbox("--auth", str(file)) as (process, url):
        told = [
            httpx.get(f"{url}{path}", auth=auth, **PLAIN_HTTP).status_code
            for path in ("/", "/_sandbox/messages")
            for auth in (None, ("ada", "wrong"), ("ada", "right"))
        ]
        process.terminate()
        printed = process.stdout.read() + process.stderr.read()
    assert told == [401, 401, 200] * 2
    assert line.partition(":")[2].strip() not in printed


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["a:b"], "NAME: must be printable, without a colon"),
        (["#a"], "NAME: must be printable"),
        ([" ada"], "without spaces at its ends"),
        (["ada"], "password: must have from 1 to 72 bytes"),
    ],
)
def test_a_password_that_cannot_be_one(arguments, text):
    done = Runner().invoke(app, ["sandbox", "password", *arguments], input=b"\n")
    assert (done.exit_code, done.stdout) == (2, "")
    assert text in done.stderr


def test_the_page_responds_under_allowed_host_names_only():
    with sandbox("--allow-host", "mail.test") as (process, url):
        told = {
            host: httpx.get(url, headers={"Host": host}, **PLAIN_HTTP).status_code
            for host in ("mail.test:1", "localhost", "evil.example")
        }
        process.terminate()
        assert process.stderr.read() == ""
    assert told == {"mail.test:1": 200, "localhost": 200, "evil.example": 403}


def test_the_sandbox_can_require_credentials():
    with sandbox("--owner-id", "me", environ={"POWEREMAIL_SANDBOX_TOKEN": "right"}) as (
        process,
        url,
    ):
        with (
            PowerEmail("me", "wrong", base_url=url, smtp_user_name="smtp12345") as client,
            pytest.raises(AuthenticationError),
        ):
            client.messages.send_mail(message())
        with PowerEmail("me", "right", base_url=url, smtp_user_name="smtp12345") as client:
            client.messages.send_mail(message())
        process.terminate()
        printed = process.stdout.read() + process.stderr.read()
    assert "right" not in printed


def test_the_sandbox_takes_faults():
    fault = json.dumps({"fault": {"kind": "html"}, "call": "getMessageInfo", "nth": 2})
    with (
        sandbox("--fault", fault) as (_, url),
        PowerEmail(
            "me", "token", base_url=url, smtp_user_name="smtp12345", retry=RetryPolicy(1)
        ) as client,
    ):
        client.messages.get_message_info("u1")
        with pytest.raises(ProtocolError):
            client.messages.get_message_info("u1")
        client.messages.get_message_info("u1")


@pytest.mark.parametrize(
    ("options", "limits"),
    [
        ([], (None, None, None)),
        (["--limits"], (60, 3_600, 50_000)),
        (["--per-minute", "2"], (2, None, None)),
        (["--limits", "--per-minute", "2"], (2, 3_600, 50_000)),
    ],
)
def test_the_sandbox_takes_limits_of_smtp_users(options, limits):
    with (
        sandbox(*options) as (_, url),
        PowerEmail(
            "me", "token", base_url=url, smtp_user_name="smtp12345", retry=RetryPolicy(1)
        ) as client,
    ):
        for _ in range(2):
            client.messages.send_mail(message())
        if limits[0] == 2:
            with pytest.raises(RateLimitError):
                client.messages.send_mail(message())
            httpx.post(
                f"{url}/_sandbox/clock", json={"advance": 60}, **PLAIN_HTTP
            ).raise_for_status()
            client.messages.send_mail(message())
        (user,) = httpx.get(f"{url}/_sandbox/smtp_users", **PLAIN_HTTP).json()["smtp_users"]
    assert tuple(user["limits"].values())[:3] == limits


def test_the_sandbox_records_events_posts_them_to_a_webhook_and_releases():
    password = "canary-of-the-mail-server"
    environ = {"POWEREMAIL_SANDBOX_SMTP_USER": "me", "POWEREMAIL_SANDBOX_SMTP_PASSWORD": password}
    with SmtpReceiver() as smtp, Receiver({"GET": (200, HANDSHAKE), "POST": (200, "")}) as receiver:
        release = (
            "--release-host",
            "127.0.0.1",
            "--release-port",
            str(smtp.port),
            "--release-allow",
            "example.com",
        )
        events = (
            "--event",
            "open 100%",
            "--event",
            "click 0%",
            "--seed",
            "1",
            "--webhook-scheme",
            "body-hex",
        )
        with (
            sandbox(*release, "--release-tls", "none", *events, environ=environ) as (process, url),
            PowerEmail("me", "any", base_url=url, smtp_user_name="smtp12345") as client,
        ):
            client.settings.add_webhook(receiver.url)
            unique_id = client.messages.send_mail(message()).unique_id
            assert [info.status for info in client.messages.iter_message_info(unique_id)] == [
                "open"
            ]
            deadline = time.monotonic() + 60
            while "waiting" in (page := httpx.get(f"{url}/_sandbox/deliveries", **PLAIN_HTTP).text):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            assert [each["events"] for each in json.loads(page)["deliveries"]] == [
                ["open"],
                ["send"],
            ]
            one = httpx.get(f"{url}/_sandbox/deliveries/1", **PLAIN_HTTP).json()
            assert len(one["headers"]["X-PowerEmailTES-SIGNATURE"]) == 40
            assert httpx.post(f"{url}/_sandbox/messages/1/release", **PLAIN_HTTP).status_code == 200
            about = httpx.get(f"{url}/_sandbox/release", **PLAIN_HTTP).text
            process.terminate()
            said = process.stdout.read() + process.stderr.read()
        assert "AUTH" in " ".join(smtp.said)
        assert password not in said + about
    assert len(smtp.mails) == 1


RELEASE = ("--release-host", "localhost", "--release-allow", "example.com")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--fault", "x"], "--fault: 'x' is not JSON"),
        (["--fault", "[]"], "--fault: '[]' is not a JSON object"),
        (["--fault", '{"fault": {"kind": "gremlins"}}'], "--fault: kind: must be one of"),
        (["--file", "/nowhere/at/all"], "--file: cannot use '/nowhere/at/all'"),
        (["--port", "70000"], "--port"),
        (["--port", "x"], "'x' is no"),
        (["--port", "tcp://10.0.0.1:8025"], "'tcp://10.0.0.1:8025'"),
        (["--allow-host", "https://mail.test"], "--allow-host: must be a name such as"),
        (["--allow-host", "mail.test:80"], "--allow-host: must be a name such as"),
        (["--auth", "/nowhere/at/all"], "--auth: cannot read '/nowhere/at/all': No such file"),
        (["--webhook-ca", "/nowhere"], "--webhook-ca: cannot use '/nowhere': No such file"),
        (["--webhook-ca", __file__], "it has no certificate in PEM"),
        (["--per-minute", "0"], "--per-minute"),
        (["--event", "open"], "EVENT SHARE% [within TIME]"),
        (["--event", "open 300%"], "--event: share: must be from 0 to 100 %, not 300 %"),
        (["--webhook-scheme", "plain"], "--webhook-scheme: 'plain' is none of form-base64"),
        (["--brand", ""], "--brand: must consist of letters"),
        (["--brand", "Power Email"], "--brand: must consist of letters"),
        (["--release-host", "localhost"], "--release-allow"),
        (["--release-allow", "example.com"], "--release-host"),
        ([*RELEASE, "--release-tls", "ssl"], "--release-tls: must be one of starttls, tls, none"),
        (
            [*RELEASE, "--release-allow", "a b"],
            "--release-allow: 'a b' is neither an address nor a domain",
        ),
        (
            [*RELEASE, "--release-host", "bad!host"],
            "--release-host: must be the name or address of a host, not 'bad!host'",
        ),
        ([*RELEASE, "--release-port", "0"], "--release-port"),
    ],
)
def test_invalid_options_are_reported(arguments, text):
    done = run_here("sandbox", *arguments)
    assert done.exit_code == 2
    assert text in done.stderr


def test_a_user_of_the_mail_server_without_a_password_is_reported(monkeypatch):
    monkeypatch.setenv("POWEREMAIL_SANDBOX_SMTP_USER", "me")
    done = run_here("sandbox", *RELEASE)
    assert (
        done.exit_code,
        "POWEREMAIL_SANDBOX_SMTP_USER: a user needs a password" in done.stderr,
    ) == (2, True)


def test_a_port_in_use_is_reported():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run_here("sandbox", "--port", str(taken.getsockname()[1]))
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Address already in use\n  what now   use what runs there already, " in done.stderr


def test_an_address_of_another_machine_is_reported():
    done = run_here("sandbox", "--host", "203.0.113.5", "--port", "0")
    assert done.exit_code == 2
    assert "cannot listen on 203.0.113.5 port 0: Cannot assign requested address" in done.stderr


def test_version_and_help_fit_the_terminal():
    assert run("--version").stdout == f"{__version__}\n"
    for arguments in (["--help"], ["sandbox", "-h"], ["demo", "--help"]):
        done = run_here(*arguments)
        assert done.exit_code == 0
        assert max(map(len, done.stdout.splitlines())) <= 80
    assert "demo" in run_here("--help").stdout


def test_a_missing_extra_is_reported_with_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "poweremail._cli.app", None)
    monkeypatch.delitem(sys.modules, "poweremail._cli.app")
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(
        SystemExit, match=r"typer is not installed; pip install 'poweremail\[cli,sandbox\]'"
    ):
        main()
