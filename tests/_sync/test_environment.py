# Generated from tests/_async/test_environment.py; do not edit.
"""The environment leads to the service, or the error names the setting that does not."""

from __future__ import annotations

import base64
import logging
import os
import ssl
import sys
import traceback
from unittest import mock
from urllib.parse import quote

import pytest
import trustme
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from _sync.ways import ENGINES, OPTIONS, client_of
from poweremail import (
    PowerEmail,
    DeliveryUnknownError,
    NotSentError,
    PowerEmailError,
    RetryPolicy,
    TransportError,
)
from poweremail.batch import Batch, Entry
from support.fault_server import FaultServer, reset_after_body, reset_before_body, respond, tunnel
from support.messages import message, template
from support.socks_proxy import SocksProxy

OWN = [engine for engine in ENGINES if not engine.startswith("a ")]
AUTHORITY = trustme.CA()
NOWHERE = "http://127.0.0.1:1"


def clean() -> dict[str, str]:
    """This process's environment without what the tests set."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.lower().endswith("_proxy") and not name.startswith("SSL")
    }


def environment(**variables: str):
    return mock.patch.dict(os.environ, clean() | variables, clear=True)


def tls_server() -> FaultServer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    return FaultServer(respond(), tls=context)


UNREADABLE = "fd00::/8,[::1]/128,[,http://[,://,10.0.0.0/99,%zz, ,a b,:x,*."
NO_PROXY = {
    "the address": ("127.0.0.1", True),
    "the address and the port": ("127.0.0.1:PORT", True),
    "another port": ("127.0.0.1:1", False),
    "another host": ("example.com,127.0.0.2", False),
    "its network": ("10.0.0.0/8, 127.0.0.0/8", True),
    "another network": ("10.0.0.0/8", False),
    "every host": ("example.com, *", True),
    "the host of another scheme": ("https://127.0.0.1", False),
    "the host and its scheme": ("http://127.0.0.1", True),
    "what cannot be read": (UNREADABLE, False),
    "what cannot be read, and the host": (f"{UNREADABLE},127.0.0.1", True),
}


@pytest.mark.parametrize(("excluded", "direct"), NO_PROXY.values(), ids=NO_PROXY)
@pytest.mark.parametrize("engine", OWN)
def test_the_hosts_that_need_no_proxy(engine, excluded, direct):
    with FaultServer(respond()) as server, FaultServer(respond()) as proxy:
        excluded = excluded.replace("PORT", str(server.port))
        with environment(HTTP_PROXY=proxy.url, NO_PROXY=excluded):
            with client_of(engine, server.url) as client:
                client.messages.send_mail(message())
    assert (server.posts, proxy.posts) == ((1, 0) if direct else (0, 1))


@pytest.mark.parametrize(
    ("excluded", "direct"),
    [
        ("localhost", True),
        (".localhost", True),
        ("LOCALHOST", True),
        ("localhost.", True),
        ("ocalhost", False),
    ],
)
def test_the_names_that_need_no_proxy(excluded, direct):
    with FaultServer(respond()) as server, FaultServer(respond()) as proxy:
        with environment(HTTP_PROXY=proxy.url, NO_PROXY=excluded):
            with client_of("httpx", f"http://localhost:{server.port}") as client:
                client.messages.send_mail(message())
    assert (server.posts, proxy.posts) == ((1, 0) if direct else (0, 1))


@pytest.mark.parametrize("engine", OWN)
def test_no_proxy_without_a_proxy_has_no_effect(engine):
    with FaultServer(respond()) as server, environment(NO_PROXY=UNREADABLE):
        with client_of(engine, server.url) as client:
            client.messages.send_mail(message())
    assert server.posts == 1


@pytest.mark.parametrize("scheme", ["", "http://"])
@pytest.mark.parametrize("engine", OWN)
def test_a_proxy_gets_its_own_password(engine, scheme):
    with FaultServer(respond()) as proxy:
        url = f"{scheme}me%40home:p%2Fw@127.0.0.1:{proxy.port}"
        with environment(ALL_PROXY=url):
            with client_of(engine, NOWHERE) as client:
                client.messages.send_mail(message())
    [seen] = proxy.seen
    assert seen.target.startswith(NOWHERE)
    credentials = base64.b64encode(b"me@home:p/w").decode()
    assert seen.headers["proxy-authorization"] == f"Basic {credentials}"


@pytest.mark.parametrize("engine", OWN)
def test_a_mail_goes_through_a_tunnel_to_a_server_trusted_by_the_certificate_file(engine, tmp_path):
    AUTHORITY.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with tls_server() as server, FaultServer(tunnel) as proxy:
        with environment(HTTPS_PROXY=proxy.url, SSL_CERT_FILE=str(tmp_path / "ca.pem")):
            with client_of(engine, server.url) as client:
                client.messages.send_mail(message())
                client.messages.send_template_http_get(template())
    assert server.posts == 2
    assert {seen.method for seen in proxy.seen} == {"CONNECT"}


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("engine", ["httpx", "httpx2"])
def test_a_mail_goes_through_a_socks_proxy(engine, scheme):
    with FaultServer(respond()) as server, SocksProxy("me@home", "p/w") as proxy:
        url = f"{scheme}://me%40home:p%2Fw@127.0.0.1:{proxy.port}"
        with environment(ALL_PROXY=url):
            with client_of(engine, server.url) as client:
                client.messages.send_mail(message())
                client.messages.send_template_http_get(template())
    assert server.posts == 2
    assert proxy.targets == [("127.0.0.1", server.port)]


PASSWORD = "drawn/word+of%20the proxy"
SPELLINGS = (PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD), repr(PASSWORD.encode())[2:-1])


def refuse_tunnel(connection) -> bool:
    connection.send(407, b"", [("Proxy-Authenticate", "Basic"), ("Connection", "close")])
    return False


@pytest.mark.parametrize("base_url", [NOWHERE, "https://127.0.0.1:1"])
@pytest.mark.parametrize("fault", [refuse_tunnel, reset_before_body, reset_after_body])
@pytest.mark.parametrize("engine", OWN)
def test_the_password_of_a_proxy_is_in_no_text_no_log_and_no_file(
    engine, fault, base_url, tmp_path, caplog
):
    caplog.set_level(logging.DEBUG)
    with FaultServer(fault) as proxy:
        url = f"http://me:{quote(PASSWORD, safe='')}@127.0.0.1:{proxy.port}"
        with environment(ALL_PROXY=url):
            with (
                client_of(engine, base_url, retry=RetryPolicy(2, first_wait=0.001)) as client,
                Batch(
                    client, tmp_path / "ledger.db", "news", retry=RetryPolicy(1), visibility=0.0
                ) as batch,
            ):
                with pytest.raises(PowerEmailError) as caught:
                    client.messages.send_mail(message())
                batch.add([message()])
                with batch.run() as outcomes:
                    errors = [caught.value, *[outcome.error for outcome in outcomes]]
    texts = ["".join(traceback.format_exception(error)) for error in errors]
    texts += [record.getMessage() for record in caplog.records]
    texts += [file.read_bytes().decode("latin-1") for file in tmp_path.iterdir()]
    assert len(errors) == 2
    assert not [text for text in texts for spelling in SPELLINGS if spelling in text]


def test_an_error_of_an_engine_does_not_show_the_password_of_a_proxy():
    class Printing:
        def handle(self, request):
            raise LookupError(f"http://me:{quote(PASSWORD)}@proxy and {(b'me', PASSWORD.encode())}")

        def close(self):
            pass

    with environment(ALL_PROXY=f"http://me:{quote(PASSWORD, safe='')}@127.0.0.1:1"):
        with client_of("httpx", NOWHERE) as client:
            client.prepare()
    options = OPTIONS | {"transport": Printing()}
    with PowerEmail("o", "tokentoken", "example.com", **options) as client:
        with pytest.raises(NotSentError) as caught:
            client.messages.send_mail(message())
    assert caught.value.reason == "LookupError: http://***@proxy and (b'me', b'***')"


FILES = {"empty": b"", "garbled": b"-----BEGIN CERTIFICATE-----\nno\n", "key": b"no certificate"}
UNUSABLE = {
    "HTTP_PROXY": [
        "http://[::1",
        "http://127.0.0.1:99999",
        "http://",
        "foo://127.0.0.1:1",
    ],
    "HTTPS_PROXY": ["ftp://127.0.0.1:1", "http://a..b:1", "://"],
    "ALL_PROXY": ["socks5://127.0.0.1:1", "socks5h://127.0.0.1:1", "socks4://127.0.0.1:1"],
    "SSL_CERT_FILE": ["FOLDER/missing", "FOLDER", "FOLDER/empty", "FOLDER/garbled", "FOLDER/key"],
    "SSL_CERT_DIR": ["FOLDER/missing", "FOLDER", "FOLDER/empty"],
}


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    return str(tmp_path)


@pytest.mark.parametrize(
    ("setting", "value"), [(name, value) for name, values in UNUSABLE.items() for value in values]
)
@pytest.mark.parametrize("engine", OWN)
def test_an_unusable_setting_is_named_and_nothing_is_sent(
    engine, setting, value, folder, monkeypatch
):
    value = value.replace("FOLDER", folder)
    base_url = NOWHERE if setting == "HTTP_PROXY" else "https://127.0.0.1:1"
    # As if the package for SOCKS were not installed.
    monkeypatch.setitem(sys.modules, "socksio", None)
    retries = []
    retry = RetryPolicy(first_wait=0.001, on_retry=retries.append)
    with environment(**{setting: value}):
        with client_of(engine, base_url, retry=retry, on_unknown="resend") as client:
            for call in (
                lambda: client.messages.send_mail(message()),
                lambda: client.messages.send_template_http_get(template()),
                client.prepare,
            ):
                with pytest.raises(NotSentError, match=f"^not sent: {setting}.*correct") as caught:
                    call()
                assert not caught.value.temporary
            with pytest.raises(TransportError, match=f"^{setting}") as caught:
                client.settings.list_smtp()
            assert not caught.value.body_left
            assert caught.value.mail_state is None
    assert retries == []


def test_a_setting_that_was_corrected_is_read_again(folder):
    with FaultServer(respond()) as server, environment(HTTP_PROXY="foo://127.0.0.1:1"):
        with client_of("httpx", server.url) as client:
            with pytest.raises(NotSentError):
                client.messages.send_mail(message())
            os.environ["HTTP_PROXY"] = ""
            client.messages.send_mail(message())
    assert server.posts == 1


@pytest.mark.parametrize("engine", OWN)
def test_an_unusable_setting_stops_a_batch_before_it_claims_a_row(engine, tmp_path):
    messages = [Entry(message=message(), key=str(number)) for number in range(3)]
    with FaultServer(respond()) as server:
        with (
            client_of(engine, server.url) as client,
            Batch(client, tmp_path / "ledger.db", "news") as batch,
        ):
            batch.add(messages)
            with environment(HTTP_PROXY="foo://127.0.0.1:1"):
                with pytest.raises(NotSentError, match="HTTP_PROXY"):
                    with batch.run():
                        pass
            assert batch.status().counts["planned"] == 3
            with environment():
                with batch.run() as outcomes:
                    states = [outcome.state for outcome in outcomes]
    assert states == ["accepted"] * 3


def test_a_batch_whose_environment_breaks_while_it_runs_is_paused(tmp_path):
    class Breaking:
        def handle(self, request):
            raise TransportError("broken", body_left=False, temporary=False)

        def close(self):
            pass

    with (
        PowerEmail(
            "o", "tokentoken", "example.com", smtp_user_name="s", transport=Breaking()
        ) as client,
        Batch(client, tmp_path / "ledger.db", "news", concurrency=1) as batch,
    ):
        batch.add([message(subject=str(number)) for number in range(3)])
        with batch.run() as run:
            assert [outcome for outcome in run] == []
        assert run.paused == "broken"
        assert batch.status().counts["planned"] == 3


HOSTS = st.sampled_from(["127.0.0.1:1", "[::1]:1", "[::1", "", "127.0.0.1:x", "[fe80::1%25lo]:1"])
# Without the characters that end a host: the rest would be another host, to be looked up.
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0/?#\\"), max_size=6)
PROXIES = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(
        ["", "http://", "https://", "socks5://", "HTTP://", "foo://", "://", ":", "//"]
    ),
    st.just("") | st.builds("{}:{}@".format, WORDS, WORDS),
    HOSTS,
    st.just("") | st.builds("/{}".format, WORDS),
)
ENTRIES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "http://", "all://", ".", "*.", "["]),
    HOSTS | WORDS | st.sampled_from(["fd00::/8", "127.0.0.0/8", "::1", "localhost"]),
    st.sampled_from(["", "/8", "]", ":80", " "]),
)
PATHS = st.sampled_from(["", "/", "/dev/null", "/nonexistent/file", __file__])
ENVIRONMENTS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("HTTP_PROXY", "https_proxy", "ALL_PROXY"), PROXIES),
        "NO_PROXY": st.lists(ENTRIES, max_size=3).map(",".join),
        **dict.fromkeys(("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE"), PATHS),
    },
)


@pytest.mark.parametrize("engine", OWN)
@pytest.mark.parametrize("scheme", ["http", "https"])
@given(variables=ENVIRONMENTS)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_in_any_environment_an_unsent_mail_is_not_sent(engine, scheme, variables):
    with FaultServer(respond()) as server, environment(**variables):
        base_url = server.url if scheme == "http" else "https://127.0.0.1:1"
        with client_of(engine, base_url, retry=RetryPolicy(1)) as client:
            try:
                client.messages.send_mail(message())
            except PowerEmailError as error:
                assert not isinstance(error, DeliveryUnknownError)
                assert error.mail_state == "not_sent"
                assert server.posts == 0
            else:
                assert server.posts == 1
