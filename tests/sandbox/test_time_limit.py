"""A peer that drips holds nothing of the sandbox for longer than a limit."""

from __future__ import annotations

import pytest

from poweremail.sandbox import ReleaseError, SmtpServer
from poweremail.sandbox._release import link_check, smtp
from poweremail.sandbox._webhooks import posting
from support.dripping import SECONDS, dripping


@pytest.fixture
def site():
    with dripping(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n") as port:
        yield f"http://localhost:{port}/"


def test_a_webhook_whose_head_drips(sandbox, api, site, monkeypatch):
    monkeypatch.setattr(posting, "_POST_SECONDS", SECONDS)
    sandbox.add_webhook(site)
    api.send()
    [delivery] = sandbox.deliver()
    [attempt] = delivery.attempts
    assert (attempt.status, attempt.answer) == (
        None,
        "TimeoutError: it took longer than 0.4 seconds",
    )


def test_a_handshake_whose_head_drips(site, monkeypatch):
    monkeypatch.setattr(posting, "_HANDSHAKE_SECONDS", SECONDS)
    assert not posting.answers_handshake(site)


def test_a_link_whose_head_drips(site, monkeypatch):
    monkeypatch.setattr(link_check, "_TIMEOUT_SECONDS", SECONDS)
    hosts = link_check.LinkHosts.from_entries(["localhost"])
    result = link_check.check_link(site, hosts)
    assert (result.ok, result.result) == (False, "no response: TimeoutError")


def test_a_mail_server_that_drips(sandbox, api, monkeypatch):
    monkeypatch.setattr(smtp, "_ALL_SECONDS", SECONDS)
    api.send(to=[{"email": "ada@example.com"}])
    for greeting in (b"", b"220 hello\r\n"):
        with dripping(greeting, b"220-x\r\n") as port:
            server = SmtpServer(host="localhost", port=port, allow="example.com", security="none")
            with pytest.raises(ReleaseError, match=r"took longer than 0\.2 seconds") as caught:
                sandbox.release(1, server=server)
        assert caught.value.mail_state == "not_sent"
