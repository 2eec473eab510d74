# Generated from tests/_async/test_client.py; do not edit.
from __future__ import annotations

import sys
import warnings

import httpx
import pytest

from _sync.ways import ENGINES, OPTIONS, TOKEN, client_of
from poweremail import (
    ApiError,
    PowerEmail,
    AuthenticationError,
    DeliveryUnknownError,
    NotSentError,
    RateLimits,
    RetryPolicy,
    Timeouts,
    UsageError,
    ValidationError,
)
from poweremail.sandbox import Fault, Sandbox
from poweremail.transports import HttpxTransport
from support.fault_server import FaultServer, respond
from support.messages import full, message, template


@pytest.fixture
def sandbox():
    with Sandbox() as sandbox:
        yield sandbox


def test_the_smtp_user_is_that_of_the_call_or_of_the_client(sandbox):
    with sandbox.client(smtp_user_name="smtp1") as client:
        client.messages.send_mail(message())
        client.messages.send_mail(message(), smtp_user_name="smtp2")
        client.with_options(smtp_user_name="smtp3").messages.send_mail(message())
        with pytest.raises(UsageError, match="not sent: smtp_user_name: give one"):
            client.with_options(smtp_user_name=None).messages.send_mail(message())
    assert [mail.smtp_user_name for mail in sandbox.outbox] == ["smtp1", "smtp2", "smtp3"]


def test_each_send_draws_its_own_unique_id(sandbox):
    mail = message()
    with sandbox.client() as client:
        results = [client.messages.send_mail(mail) for _ in range(3)]
    drawn = [result.unique_id for result in results]
    assert len(set(drawn)) == 3
    assert [mail.unique_id for mail in sandbox.outbox] == drawn


def test_the_unique_id_is_the_same_in_every_attempt(sandbox):
    sandbox.faults.add(Fault.refuse(), times=2)
    seen = []
    policy = RetryPolicy(first_wait=0, on_retry=seen.append)
    with sandbox.client(retry=policy) as client:
        result = client.messages.send_mail(message())
    assert [event.unique_id for event in seen] == [result.unique_id] * 2
    assert [event.attempt for event in seen] == [1, 2]
    assert [mail.unique_id for mail in sandbox.outbox] == [result.unique_id]


@pytest.mark.parametrize(
    "field",
    [
        {"cc": "x@example.com"},
        {"reply_to": "x@example.com"},
        {"headers": {"X-A": "b"}},
        {"unique_id": "u1"},
        {"to": ["a@example.com", "b@example.com"]},
        {"to": "Ada <a@example.com>"},
        {"from_email": "Ada <a@example.com>"},
    ],
)
def test_a_get_rejects_a_message_it_cannot_carry(sandbox, field):
    with sandbox.client() as client:
        with pytest.raises(
            UsageError, match=rf"not sent: {next(iter(field))}: .*use send_template"
        ):
            client.messages.send_template_http_get(template(**field))
    assert sandbox.outbox == []


@pytest.mark.parametrize("call", ["send_mail", "send_template", "send_template_http_get"])
def test_a_message_of_the_wrong_kind_is_not_sent(sandbox, call):
    wrong = template() if call == "send_mail" else message()
    with sandbox.client() as client:
        for given in (wrong, {"subject": "Hi"}, None):
            with pytest.raises(UsageError, match="not sent: message: must be a"):
                getattr(client.messages, call)(given)


def test_wrong_credentials_are_rejected():
    with Sandbox(owner_id="owner", token="right") as sandbox:
        with sandbox.client(owner_id="owner", token="wrong") as client:
            with pytest.raises(
                AuthenticationError, match="Token MissMatch.*check owner_id, token and app_domain"
            ) as caught:
                client.messages.send_mail(message())
            assert (caught.value.name, caught.value.code, caught.value.mail_state) == (
                "AuthenticationError",
                "-1",
                "rejected",
            )
        assert sandbox.outbox == []


def test_an_unknown_template_is_rejected(sandbox):
    with sandbox.client() as client:
        with pytest.raises(ValidationError, match="rejected by the service"):
            client.messages.send_template(template(template_id="nobody's"))


def test_any_call_can_be_made(sandbox):
    with sandbox.client() as client:
        client.messages.send_mail(full())
        result = client.call("messages/getMessageInfo", {"x_unique_id": "invoice-42"})
        assert [record["email"] for record in result.data["message_data"]][0] == "ada@example.com"
        assert (result.data["status"], result.raw.status) == ("success", 200)
        with pytest.raises(ApiError, match="^Page not found$") as caught:
            client.call("settings/nothing", {})
        assert caught.value.mail_state is None


def test_a_send_by_call_is_known_to_be_one(sandbox):
    sandbox.faults.add(Fault.reset_after_acceptance())
    with sandbox.client() as client:
        with pytest.raises(DeliveryUnknownError):
            client.call("messages/sendMail", {"smtp_user_name": "smtp1", "message": {}})


def test_a_send_by_call_follows_the_options_of_the_client(sandbox):
    sandbox.faults.add(Fault.reset_after_acceptance(), call="sendMail")
    body = {"smtp_user_name": "smtp1", "message": RAW | {"headers": {"x-unique-id": "mine"}}}
    with sandbox.client() as client:
        with pytest.raises(DeliveryUnknownError) as caught:
            client.call("messages/sendMail", body)
        assert (caught.value.unique_id, caught.value.recipients) == ("mine", ("ada@example.com",))
        reconciling = client.with_options(on_unknown="reconcile")
        result = reconciling.call("messages/sendMail", body)
        assert result.data == {"status": "success", "message": "accepted: getMessageInfo shows it"}
        sandbox.faults.clear()
        assert client.call("messages/sendMail", body).data["status"] == "success"
    assert len(sandbox.outbox) == 3


def test_an_unknown_call_is_repeated_only_where_it_never_arrived(sandbox):
    rule = sandbox.faults.add(Fault.refuse())
    with sandbox.client(retry=RetryPolicy(first_wait=0)) as client:
        with pytest.raises(Exception, match="^connection refused$"):
            client.call("settings/addSmtp", {"total_limit": 1})
        assert rule.hit == 4
        sandbox.faults.clear()
        rule = sandbox.faults.add(Fault.reset_after_acceptance())
        with pytest.raises(Exception, match="^unknown whether it took effect: connection reset"):
            client.call("settings/addSmtp", {"total_limit": 1})
        assert rule.hit == 1


@pytest.mark.parametrize("path", ["", "https://evil.example", "../x", "a?b=c", "a b"])
def test_a_call_goes_to_a_path_of_the_service(sandbox, path):
    with sandbox.client() as client:
        with pytest.raises(UsageError, match="^path: "):
            client.call(path, {})


@pytest.mark.parametrize(
    "body",
    [{"token": "x"}, {"owner_id": "x"}, {"a": object()}, {"a": float("nan")}, {"a": "\ud800"}],
)
def test_a_call_carries_json_and_the_clients_credentials(sandbox, body):
    with sandbox.client() as client:
        with pytest.raises(UsageError, match="^body: "):
            client.call("settings/listSmtp", body)


def test_requests_have_the_url_and_headers_of_the_service():
    with FaultServer() as server:
        with client_of("httpx", server.url) as client:
            client.messages.send_mail(message(text="naïve 📧"))
        with client_of("httpx", f"{server.url}/elsewhere/v2") as client:
            client.messages.send_template_http_get(template())
    post, get = server.seen
    assert (post.method, post.path) == ("POST", "/v1.0/messages/sendMail")
    assert post.headers["content-type"] == "application/json"
    assert post.headers["content-length"] == str(len(post.body))
    assert "transfer-encoding" not in post.headers
    assert post.json["message"]["text"] == "naïve 📧"
    assert (post.json["owner_id"], post.json["token"]) == ("owner", TOKEN)
    assert (get.method, get.path, get.body) == (
        "GET",
        "/elsewhere/v2/messages/sendTemplateHTTPGet",
        b"",
    )
    assert get.query == {
        "owner_id": "owner",
        "token": TOKEN,
        "smtp_user_name": "smtp12345",
        "template_id": "t1",
        "subject": "Hi",
        "from_email": "me@example.com",
        "to": "ada@example.com",
        "dynamic_value[NAME]": "Ada & Co",
    }


def test_unknown_members_of_a_response_are_kept():
    with FaultServer(respond({"status": "success", "message": "ok", "queue_id": 7})) as server:
        with client_of("httpx", server.url) as client:
            result = client.messages.send_mail(message())
    assert dict(result.extra) == {"queue_id": 7}


def test_a_redirect_is_not_followed():
    with (
        FaultServer() as other,
        FaultServer(
            respond("", status=307, headers=[("Location", f"{other.url}/v1.0/")])
        ) as server,
    ):
        with client_of("httpx", server.url) as client:
            with pytest.raises(DeliveryUnknownError, match="HTTP 307"):
                client.messages.send_mail(message())
    assert (server.posts, other.posts) == (1, 0)


def test_from_env_makes_a_client():
    environ = {
        "POWEREMAIL_OWNER_ID": "owner",
        "POWEREMAIL_TOKEN": TOKEN,
        "POWEREMAIL_APP_DOMAIN": "tes.example.com",
        "POWEREMAIL_SMTP_USER_NAME": "smtp9",
    }
    with PowerEmail.from_env(environ) as client:
        assert (
            repr(client)
            == f"<{PowerEmail.__name__} owner_id='owner' base_url='https://api.tes.example.com/v1.0/'>"
        )
    with FaultServer() as server:
        with PowerEmail.from_env(
            environ | {"POWEREMAIL_BASE_URL": server.url}, owner_id="other"
        ) as client:
            client.messages.send_mail(message())
    assert (server.seen[0].json["owner_id"], server.seen[0].json["smtp_user_name"]) == (
        "other",
        "smtp9",
    )
    with pytest.raises(
        UsageError, match="POWEREMAIL_OWNER_ID, POWEREMAIL_TOKEN, POWEREMAIL_APP_DOMAIN"
    ):
        PowerEmail.from_env({})


def test_from_env_reads_the_environment_of_the_process_by_default(monkeypatch):
    monkeypatch.setenv("POWEREMAIL_OWNER_ID", "owner")
    monkeypatch.setenv("POWEREMAIL_TOKEN", TOKEN)
    monkeypatch.setenv("POWEREMAIL_BASE_URL", "http://127.0.0.1:1")
    with PowerEmail.from_env() as client:
        assert "http://127.0.0.1:1/v1.0/" in repr(client)


def test_plain_http_to_another_machine_warns():
    with pytest.warns(UserWarning, match="plain http"):
        PowerEmail("owner", TOKEN, base_url="http://api.tes.example.com")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for loopback in ("localhost", "127.0.0.1:8025", "[::1]:8025"):
            PowerEmail("owner", TOKEN, base_url=f"http://{loopback}")


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"token": ""}, "token"),
        ({"token": "a\r\nb"}, "token"),
        ({"owner_id": None}, "owner_id"),
        ({"app_domain": None}, "app_domain"),
        ({"app_domain": "https://tes.example.com"}, "app_domain"),
        ({"base_url": "ftp://tes.example.com"}, "base_url"),
        ({"base_url": "https://user:secret@tes.example.com"}, "base_url"),
        ({"smtp_user_name": ""}, "smtp_user_name"),
        ({"timeouts": 30}, "timeouts"),
        ({"retry": 3}, "retry"),
        ({"transport": "carrier pigeon"}, "transport"),
        ({"transport": object()}, "transport"),
        ({"max_response_bytes": 0}, "max_response_bytes"),
    ],
)
def test_invalid_options_raise(options, field):
    given = {"owner_id": "owner", "token": TOKEN, "app_domain": "tes.example.com"} | options
    with pytest.raises(UsageError, match=rf"^{field}: ") as caught:
        PowerEmail(**given)
    assert caught.value.mail_state is None


def test_options_can_be_changed_over_the_same_connections():
    with FaultServer() as server:
        with client_of("httpx", server.url) as client:
            patient = client.with_options(timeouts=Timeouts(read=60), retry=RetryPolicy(1))
            client.messages.send_mail(message())
            patient.messages.send_mail(message())
    assert (server.posts, server.connections) == (2, 1)
    assert OPTIONS["timeouts"].read == 20


class TooLong(Exception):
    pass


def never_wait(wait) -> None:
    raise TooLong(f"{wait.smtp_user_name}: {wait.seconds:.0f} s")


def test_sends_wait_for_the_limits(sandbox):
    sandbox.faults.add(Fault.rate_limited(), times=1)
    limits = RateLimits(per_minute=3, on_wait=never_wait)
    with sandbox.client(
        limits=limits, smtp_user_name="smtp1", retry=RetryPolicy(first_wait=0)
    ) as client:
        client.messages.send_mail(message())  # in two attempts, of which each counts
        client.messages.get_message_info("u1")  # reads do not
        assert client.expected_wait() == 0
        client.call("messages/sendMail", {"smtp_user_name": "smtp1", "message": RAW})
        assert 15 < client.expected_wait() <= 60
        for limited in (client, client.with_options(timeouts=Timeouts())):
            with pytest.raises(TooLong, match=r"smtp1: [2-6]\d s"):
                limited.messages.send_mail(message())
        client.messages.send_mail(message(), smtp_user_name="smtp2")
        assert client.expected_wait(smtp_user_name="smtp2") == 0
    assert len(sandbox.outbox) == 3


RAW = {
    "subject": "Hi",
    "from_email": "me@example.com",
    "to": [{"email": "ada@example.com"}],
    "text": "Hello",
}


def test_without_limits_no_send_waits(sandbox):
    with sandbox.client() as client:
        assert client.expected_wait() == 0
        with pytest.raises(UsageError, match="^limits: must be a RateLimits"):
            sandbox.client(limits=60)


def test_limits_can_be_read_from_the_account(sandbox):
    sandbox.add_smtp_user("smtp1", hourly_limit=2)
    with sandbox.client(smtp_user_name="smtp1") as client:
        [user] = client.settings.list_smtp()
        limits = RateLimits.from_smtp_user(user, on_wait=never_wait)
    with sandbox.client(smtp_user_name="smtp1", limits=limits) as client:
        client.messages.send_mail(message())
        client.messages.send_mail(message())
        with pytest.raises(TooLong):
            client.messages.send_mail(message())
    assert len(sandbox.outbox) == 2


class NotAClient:
    pass


OtherClient = NotAClient
ENGINE_CLIENT = httpx.Client.__name__


@pytest.mark.parametrize("client", [NotAClient(), object(), "httpx", OtherClient()])
def test_a_transport_takes_a_client_of_its_own_kind(client):
    with pytest.raises(
        UsageError, match=f"^client: must be an? {ENGINE_CLIENT} of httpx or httpx2"
    ):
        HttpxTransport(client)


@pytest.mark.parametrize("engine", [each for each in ENGINES if each in ("httpx2", "aiohttp")])
def test_a_missing_engine_raises(monkeypatch, engine):
    monkeypatch.setitem(sys.modules, engine, None)
    with pytest.raises(
        UsageError,
        match=rf"^engine: {engine} is not installed \(pip install 'poweremail\[{engine}\]'\)",
    ):
        PowerEmail("owner", TOKEN, "example.com", transport=engine)


def test_an_engine_is_chosen_by_name():
    with pytest.raises(
        UsageError,
        match=r"^transport: must be 'httpx', 'httpx2'.* or a transport, not 'urllib'",
    ):
        PowerEmail("owner", TOKEN, "example.com", transport="urllib")
    with pytest.raises(UsageError, match="^engine: must be 'httpx' or 'httpx2', not 'urllib'"):
        HttpxTransport(engine="urllib")


def test_a_closed_client_of_the_user_raises():
    own = httpx.Client()
    own.close()
    with PowerEmail(
        "owner", TOKEN, "example.com", smtp_user_name="smtp1", transport=HttpxTransport(own)
    ) as client:
        with pytest.raises(
            UsageError, match="not sent: transport: the HTTP client has been closed"
        ):
            client.messages.send_mail(message())


def test_a_url_that_the_engine_rejects_is_not_sent():
    """Hosts are checked here; if an engine still rejects one, the mail was not sent."""
    with FaultServer(respond()) as server:
        with client_of("a client of httpx", f"{server.url}/" + "x" * 65_500) as client:
            with pytest.raises(NotSentError, match="InvalidURL: URL too long"):
                client.messages.send_mail(message())
