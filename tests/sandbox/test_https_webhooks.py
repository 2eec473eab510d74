"""Webhooks on an https receiver whose certificate is from an authority of one's own."""

import ssl

import pytest
import trustme

from poweremail import ConfigurationError, Message, PowerEmail, ValidationError
from poweremail.sandbox import Sandbox
from support.receiver import HANDSHAKE, Receiver

MAIL = Message(subject="Hi", from_email="me@example.com", to="ada@example.com", text="Hello")


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture
def ca(authority, tmp_path):
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return file


@pytest.fixture
def receiver(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with Receiver({"GET": (200, HANDSHAKE), "POST": (200, "")}) as receiver:
        receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
        receiver.url = receiver.url.replace("http:", "https:")
        yield receiver


def test_an_authority_that_is_named_is_trusted(receiver, ca):
    with (
        Sandbox(webhook_ca=ca) as sandbox,
        sandbox.server() as server,
        PowerEmail("a", "b", base_url=server.base_url, smtp_user_name="s") as client,
    ):
        client.settings.add_webhook(receiver.url)  # which makes the handshake
        client.messages.send_mail(MAIL)
        (delivery,) = sandbox.deliver() or sandbox.deliveries
    assert delivery.attempts[-1].status == 200
    assert receiver.seen == ["GET", "POST"]


def test_any_other_is_not(receiver):
    with (
        Sandbox() as sandbox,
        sandbox.server() as server,
        PowerEmail("a", "b", base_url=server.base_url, smtp_user_name="s") as client,
    ):
        with pytest.raises(ValidationError, match="it must answer"):
            client.settings.add_webhook(receiver.url)
    with Sandbox() as sandbox, sandbox.client(smtp_user_name="s") as client:
        sandbox.add_webhook(receiver.url)
        client.messages.send_mail(MAIL)
        (delivery,) = sandbox.deliver()
        assert "certificate verify failed" in delivery.attempts[-1].answer
    assert receiver.seen == []


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "No such file"), ("no certificate", "no certificate in PEM")]
)
def test_a_file_that_cannot_be_used_is_reported_at_once(tmp_path, content, reason):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match=f"webhook_ca: cannot use .*{reason}"):
        Sandbox(webhook_ca=file)
