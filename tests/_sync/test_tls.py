# Generated from tests/_async/test_tls.py; do not edit.
"""The token goes only to whom the certificate names."""

from __future__ import annotations

import ssl

import httpx
import httpx2
import pytest
import trustme

from _sync.ways import ENGINES, OPTIONS, TOKEN
from poweremail import PowerEmail, NotSentError, Timeouts
from poweremail.transports import HttpxTransport
from support.fault_server import FaultServer, respond
from support.messages import message, template

AUTHORITY = trustme.CA()


def server_context(*names: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert(*names).configure_cert(context)
    return context


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if not engine.startswith("a ")])
def test_an_untrusted_certificate_gets_no_mail(engine):
    with FaultServer(respond(), tls=server_context("127.0.0.1")) as server:
        with PowerEmail("owner", TOKEN, base_url=server.url, transport=engine, **OPTIONS) as client:
            with pytest.raises(NotSentError, match="(?i)certificate"):
                client.messages.send_mail(message())
            with pytest.raises(NotSentError, match="(?i)certificate"):
                client.messages.send_template_http_get(template())
    assert (server.posts, server.connections) == (0, 8)


@pytest.mark.parametrize("engine", [httpx, httpx2], ids=["httpx", "httpx2"])
@pytest.mark.parametrize(
    ("name", "error"), [("127.0.0.1", None), ("api.example.com", "(?i)certificate")]
)
def test_a_private_authority_is_configured_at_the_engine(engine, name, error):
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    with FaultServer(respond(), tls=server_context(name)) as server:
        with (
            engine.Client(verify=context) as own,
            PowerEmail(
                "owner", TOKEN, base_url=server.url, transport=HttpxTransport(own), **OPTIONS
            ) as client,
        ):
            if error is None:
                assert client.messages.send_mail(message()).status == "success"
            else:
                with pytest.raises(NotSentError, match=error):
                    client.messages.send_mail(message())


def test_a_server_without_tls_gets_no_mail():
    with FaultServer(respond()) as server:
        base_url = server.url.replace("http", "https")
        options = OPTIONS | {"timeouts": Timeouts(connect=0.1)}
        with PowerEmail("owner", TOKEN, base_url=base_url, **options) as client:
            with pytest.raises(NotSentError):
                client.messages.send_mail(message())
    assert server.posts == 0
