"""Releasing a caught mail to a real mail server, for allowed addresses only."""

from __future__ import annotations

import base64
import logging
import shutil
import ssl
import subprocess
import traceback
from email import message_from_bytes

import attrs
import httpx
import pytest

from poweremail.errors import UsageError
from poweremail.sandbox import Released, ReleaseError, Sandbox, SmtpServer
from poweremail.sandbox._release.smtp import release
from support.plain_http import PLAIN_HTTP
from support.smtp import SmtpReceiver

PASSWORD = "canary-of-the-mail-server"
PLAIN = base64.b64encode(f"\0me\0{PASSWORD}".encode()).decode()
TO = [
    {"email": "Ada@Example.com", "name": "Ada"},
    {"email": "bob@example.org", "type": "cc"},
    {"email": "eve@sub.example.com"},
    {"email": "zoe@example.com", "type": "bcc"},
]


def server_of(smtp, **changes):
    return SmtpServer(
        **{
            "host": "127.0.0.1",
            "port": smtp.port,
            "allow": ["example.com"],
            "security": "none",
            **changes,
        }
    )


def test_only_allowed_recipients_get_it(sandbox, api):
    api.send(to=TO, text="Grüße\n.\n", headers={"Bcc": "hidden@example.com", "X-Unique-Id": "Id"})
    with SmtpReceiver() as smtp:
        assert sandbox.release(sandbox.outbox[0], server=server_of(smtp)) == Released(
            ("Ada@Example.com", "zoe@example.com"), {}
        )
    assert [line for line in smtp.said if line.startswith(("MAIL", "RCPT"))] == [
        "MAIL FROM:<from@example.com> BODY=8BITMIME",
        "RCPT TO:<Ada@Example.com>",
        "RCPT TO:<zoe@example.com>",
    ]
    [data] = smtp.mails
    mail = message_from_bytes(data)
    assert (mail["Bcc"], mail["Subject"], mail["X-Unique-Id"]) == (None, "example subject", "Id")
    assert "zoe" not in data.decode()
    assert "hidden" not in data.decode()
    assert mail.get_payload()[0].get_payload(decode=True).decode() == "Grüße\r\n.\r\n"
    assert data.replace(b"\r\n", b"").count(b"\n") == 0


def test_to_an_allowed_address_that_is_no_recipient(sandbox, api):
    api.send()
    with SmtpReceiver() as smtp:
        server = server_of(smtp, allow=["Me@example.net", "@example.com"])
        assert sandbox.release(1, to="me@Example.net", server=server).recipients == (
            "me@Example.net",
        )
        assert sandbox.release(
            1, to=["a@example.com", "a@example.com"], server=server
        ).recipients == ("a@example.com",)
    assert len(smtp.mails) == 2


def test_a_raw_message_goes_without_its_bcc(sandbox, api):
    raw = (
        "From: a@example.com\nTo: ada@example.com\nBCC: "
        "x@example.com,\n\ty@example.com\nResent-Bcc: z@example.com\nSubject: s\n\nBcc: "
        "text\n.\n"
    )
    assert api("sendRaw", smtp_user_name="s", raw_message=raw)["status"] == "success"
    with SmtpReceiver() as smtp:
        sandbox.release(1, to="ada@example.com", server=server_of(smtp))
    assert smtp.mails == [
        b"From: a@example.com\r\nTo: ada@example.com\r\nSubject: s\r\n\r\nBcc: text\r\n.\r\n"
    ]


@pytest.mark.parametrize(
    ("to", "allow", "why"),
    [
        (None, [], "allow-list is empty"),
        ("ada@example.com", [], "allow-list is empty"),
        (None, ["example.org", "da@example.com", "com"], "none of the mail's recipients"),
        (
            ["ada@example.com", "eve@example.net"],
            ["example.com"],
            "'eve@example.net' is not on the allow-list",
        ),
        ("eve@example.net@example.com", ["example.com"], "not on the allow-list"),
        ("a@example.com>\r\nrcpt to:<b@example.com", ["example.com"], "not on the allow-list"),
        ("root,a@example.com", ["example.com"], "not on the allow-list"),
        ("root(a@example.com", ["example.com"], "not on the allow-list"),
        ([], ["example.com"], "must not be empty"),
        ([3], ["example.com"], "3 is not on the allow-list"),
    ],
)
def test_addresses_that_do_not_get_it(sandbox, api, to, allow, why):
    api.send()
    with SmtpReceiver() as smtp:
        with pytest.raises(UsageError, match=why) as caught:
            sandbox.release(1, to=to, server=server_of(smtp, allow=allow))
    assert caught.value.mail_state == "not_sent"
    assert smtp.said == []


def test_no_server_no_mail(sandbox, api):
    with pytest.raises(UsageError, match="no SMTP server"):
        sandbox.release(1)
    with SmtpReceiver() as smtp, pytest.raises(LookupError, match="no mail number 1"):
        sandbox.release(1, server=server_of(smtp))


def test_addresses_beyond_ascii_and_invalid_senders(sandbox, api):
    api.send()
    [mail] = sandbox.outbox
    with SmtpReceiver() as smtp:
        server = server_of(smtp, allow=["example.com", "[192.0.2.1]"])
        release(mail, server, "ada@[192.0.2.1]")
        assert release(mail, server, "grün@example.com").recipients == ("grün@example.com",)
        release(mail, server, '"a, b"@example.com')
        with pytest.raises(UsageError, match="cannot be the sender in SMTP"):
            release(attrs.evolve(mail, from_email="me@example.com> SIZE=1"), server)
    assert "MAIL FROM:<from@example.com> BODY=8BITMIME SMTPUTF8" in smtp.said
    assert 'RCPT TO:<"a, b"@example.com>' in smtp.said


@pytest.mark.parametrize(
    ("replies", "state", "why"),
    [
        ({"EHLO": None}, "not_sent", "did not accept the mail"),
        ({"MAIL": b"451 later"}, "not_sent", "451 later"),
        ({"RCPT": b"550 no such user"}, "not_sent", "refused every recipient.*550 no such user"),
        ({"DATA": None}, "not_sent", "did not accept the mail"),
        ({"DATA": b"554 no data"}, "not_sent", "554 no data"),
        ({"TAKEN": b"554 spam\x1b[2J"}, "not_sent", r"554 spam \[2J"),
        ({"TAKEN": None}, "unknown", "broke off after the mail had been handed over"),
    ],
)
def test_errors_of_the_server(sandbox, api, replies, state, why):
    api.send()
    with SmtpReceiver(replies) as smtp:
        with pytest.raises(ReleaseError, match=why) as caught:
            sandbox.release(1, server=server_of(smtp))
    assert caught.value.mail_state == state


def test_a_server_that_is_not_there(sandbox, api):
    api.send()
    with SmtpReceiver() as smtp:
        server = server_of(smtp)
    with pytest.raises(ReleaseError, match="ConnectionRefusedError") as caught:
        sandbox.release(1, server=server)
    assert caught.value.mail_state == "not_sent"


def test_a_refused_recipient_and_a_broken_goodbye(sandbox, api):
    api.send(to=[{"email": "ada@example.com"}, {"email": "bob@example.com"}])
    with SmtpReceiver({"RCPT TO:<bob@example.com>": b"550 no such user", "QUIT": None}) as smtp:
        released = sandbox.release(1, server=server_of(smtp))
    assert released == Released(("ada@example.com",), {"bob@example.com": "550 no such user"})


def test_a_password_shows_nowhere(sandbox, api, caplog):
    caplog.set_level(logging.DEBUG)
    api.send()
    with SmtpReceiver({"AUTH": f"535 wrong: {PASSWORD} {PLAIN}".encode()}) as smtp:
        server = server_of(smtp, user="me", password=PASSWORD)
        with pytest.raises(ReleaseError, match=r"535 wrong: \*\*\* \*\*\*") as caught:
            sandbox.release(1, server=server)
    assert any(PLAIN in line for line in smtp.said)
    said = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
    assert caught.value.__context__ is None
    for secret in (PASSWORD, PLAIN):
        assert secret not in f"{said}{server!r}{caplog.text}"


def test_with_a_password(sandbox, api):
    api.send()
    with SmtpReceiver() as smtp:
        sandbox.release(1, server=server_of(smtp, user="me", password=PASSWORD))
    assert len(smtp.mails) == 1


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate of 127.0.0.1 that is its own authority."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("certificate")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    options = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-subj",
        "/CN=127.0.0.1",
        "-days",
        "2",
    ]
    subprocess.run(
        [
            program,
            "req",
            "-x509",
            *options,
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            key,
            "-out",
            certificate,
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return certificate, context


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_connection_is_secured(sandbox, api, certificate, monkeypatch, security):
    path, context = certificate
    api.send()
    with SmtpReceiver(context=context, at_once=security == "tls") as smtp:
        server = server_of(smtp, security=security, user="me", password=PASSWORD)
        with pytest.raises(ReleaseError, match="CERTIFICATE_VERIFY_FAILED"):
            sandbox.release(1, server=server)
        assert not any(line.startswith("AUTH") for line in smtp.said)
        smtp.secured = False
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        sandbox.release(1, server=server)
        assert smtp.secured
    assert len(smtp.mails) == 1


def test_without_the_required_security_no_mail_is_sent(sandbox, api):
    api.send()
    with SmtpReceiver() as smtp, pytest.raises(ReleaseError, match="STARTTLS"):
        sandbox.release(1, server=server_of(smtp, security="starttls"))
    assert [line.split()[0].lower() for line in smtp.said] == ["ehlo"]


@pytest.mark.parametrize(
    "changes",
    [
        {"host": ""},
        {"host": "a b"},
        {"port": 0},
        {"port": 65536},
        {"security": "ssl"},
        {"allow": ["a b"]},
        {"allow": [3]},
        {"allow": ["a@b@c"]},
        {"user": "me"},
        {"password": PASSWORD},
        {"user": "me", "password": PASSWORD, "security": "none"},
    ],
)
def test_invalid_options(changes):
    with pytest.raises(UsageError) as caught:
        SmtpServer(**{"host": "mail.example.com", "allow": "example.com", **changes})
    assert PASSWORD not in str(caught.value)
    assert attrs.asdict(SmtpServer(host="localhost", allow="@EXAMPLE.com"))["allow"] == (
        "example.com",
    )


def test_by_the_control_api(clock):
    with SmtpReceiver({"RCPT TO:<no@example.com>": b"550 no such user"}) as smtp:
        smtp_server = server_of(smtp, user="me", password=PASSWORD)
        with (
            Sandbox(clock=clock, smtp_server=smtp_server) as sandbox,
            sandbox.server() as server,
            sandbox.client() as client,
        ):
            client.call(
                "messages/sendMail",
                {
                    "smtp_user_name": "s",
                    "message": {
                        "subject": "s",
                        "text": "t",
                        "from_email": "a@example.com",
                        "to": [{"email": "ada@example.com"}],
                    },
                },
            )
            with httpx.Client(base_url=f"{server.url}/_sandbox/", **PLAIN_HTTP) as control:
                about = control.get("release")
                assert about.json() == {
                    "server": f"127.0.0.1:{smtp.port}",
                    "allow": ["example.com"],
                }
                assert control.post("messages/1/release").json() == {
                    "recipients": ["ada@example.com"],
                    "refused": {},
                }
                response = control.post("messages/1/release", json={"to": ["b@example.com"]})
                assert response.json()["recipients"] == ["b@example.com"]
                assert (
                    control.post("messages/1/release", json={"to": "x@example.org"}).status_code
                    == 400
                )
                assert control.post("messages/1/release", json={"to": 3}).status_code == 400
                assert control.post("messages/2/release").status_code == 404
                refused = control.post("messages/1/release", json={"to": "no@example.com"})
                assert (refused.status_code, "550 no such user" in refused.json()["error"]) == (
                    502,
                    True,
                )
                assert PASSWORD not in about.text + refused.text + control.get("openapi.json").text
    assert len(smtp.mails) == 2


def test_a_sandbox_without_a_server_releases_nothing(sandbox, api):
    api.send()
    with sandbox.server() as server:
        assert httpx.get(f"{server.url}/_sandbox/release", **PLAIN_HTTP).json() == {
            "server": None,
            "allow": [],
        }
        assert (
            httpx.post(f"{server.url}/_sandbox/messages/1/release", **PLAIN_HTTP).status_code == 400
        )
