"""The settings of a client: valid and invalid options, and the names that errors give them."""

from __future__ import annotations

import re
import warnings

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import poweremail
from poweremail import (
    AsyncPowerEmail,
    ConfigurationError,
    Deployment,
    PowerEmail,
    RetryPolicy,
    Secret,
    Timeouts,
    UsageError,
)
from poweremail._policy.outcome import UnknownPolicy
from poweremail._policy.settings import DEFAULT, Settings
from poweremail._policy.variables import complete, from_env
from poweremail.transports import AsyncHttpxTransport, HttpxTransport

OPTIONS = {
    "owner_id": "owner",
    "token": "canary-token",
    "app_domain": "tes.example.com",
    "smtp_user_name": None,
    "brand": "PowerEmail",
    "base_url": None,
    "timeouts": Timeouts(),
    "retry": RetryPolicy(),
    "limits": None,
    "on_unknown": "raise",
    "visibility": 30.0,
    "resend_after": None,
    "deployment": Deployment(),
    "max_response_bytes": 1_000,
    "max_request_bytes": None,
    "on_outcome": None,
    "on_attempt": None,
}


def checked(**options) -> Settings:
    given = OPTIONS | options
    return Settings.of(**given | {"token": Secret.of(given["token"])})


def refused(**options) -> UsageError:
    with pytest.raises(UsageError) as caught:
        checked(**options)
    assert caught.value.mail_state is None
    assert str(caught.value).startswith(f"{caught.value.field}: ")
    assert "canary" not in str(caught.value)
    return caught.value


def url(**options) -> str:
    return checked(**options).endpoint.base_url


def test_options_are_kept():
    made = checked(
        smtp_user_name="smtp1",
        timeouts=Timeouts(read=1),
        retry=RetryPolicy(1),
        brand="Other",
        max_response_bytes=5,
    )
    assert made.endpoint.credentials.owner_id == "owner"
    assert made.endpoint.credentials.token == Secret("canary-token")
    assert (made.endpoint.timeouts, made.endpoint.max_response_bytes) == (Timeouts(read=1), 5)
    assert (made.smtp_user_name, made.retry, made.brand) == ("smtp1", RetryPolicy(1), "Other")
    assert "canary" not in repr(made)


@pytest.mark.parametrize(
    "domain",
    [
        "tes.example.com",
        "a",
        "x_y.example.com",
        "a-b.c",
        "EXAMPLE.com",
        f"{'a' * 63}.com",
        "xn--bcher-kva.example",
    ],
)
def test_the_app_domain_makes_the_url(domain):
    assert url(app_domain=domain) == f"https://api.{domain}/v1.0/"


@pytest.mark.parametrize(
    "domain",
    [
        "",
        " ",
        "https://tes.example.com",
        "tes.example.com/",
        "tes.example.com:8443",
        "tes example.com",
        "tes..example.com",
        ".example.com",
        "example.com.",
        "-a.com",
        "a-.com",
        "a@b",
        "tes.example.com\n",
        "bücher.example",
        f"{'a' * 64}.com",
        ".".join(["a" * 60] * 5),
        5,
        b"a.com",
    ],
)
def test_invalid_app_domains(domain):
    error = refused(app_domain=domain)
    assert error.explanation == f"app_domain: {domain!r} is not a domain"
    assert error.advice == "give the bare name, such as tes.example.com; a URL goes to base_url"


def test_neither_app_domain_nor_base_url():
    assert str(refused(app_domain=None)) == "app_domain: give it, or base_url"


@pytest.mark.parametrize("app_domain", [None, "tes.example.com"])
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://api.example.com", "https://api.example.com/v1.0/"),
        ("https://api.example.com/", "https://api.example.com/v1.0/"),
        ("https://api.example.com//", "https://api.example.com/v1.0/"),
        (" https://api.example.com ", "https://api.example.com/v1.0/"),
        ("HTTPS://API.Example.COM", "https://api.example.com/v1.0/"),
        ("https://api.example.com/v2", "https://api.example.com/v2/"),
        ("https://api.example.com/mail/v1.0/", "https://api.example.com/mail/v1.0/"),
        ("https://api.example.com:8443", "https://api.example.com:8443/v1.0/"),
        ("https://192.0.2.1:8443/x", "https://192.0.2.1:8443/x/"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443/v1.0/"),
        ("http://127.0.0.1:8025", "http://127.0.0.1:8025/v1.0/"),
        ("http://127.9.9.9", "http://127.9.9.9/v1.0/"),
        ("http://localhost", "http://localhost/v1.0/"),
        ("http://mail.localhost:80", "http://mail.localhost:80/v1.0/"),
        ("http://[::1]:8025", "http://[::1]:8025/v1.0/"),
    ],
)
def test_the_base_url(app_domain, given, expected):
    assert url(app_domain=app_domain, base_url=given) == expected


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("", "must be a string that is not empty"),
        (" ", "must be a string that is not empty"),
        (5, "must be a string that is not empty"),
        (
            "https://api.example.com\r\nHost: x",
            "has a control character (CR, LF or another) at position 23",
        ),
        ("api.example.com", "'api.example.com' is not a URL such as https://api.tes.example.com"),
        (
            "//api.example.com",
            "'//api.example.com' is not a URL such as https://api.tes.example.com",
        ),
        (
            "ftp://api.example.com",
            "'ftp://api.example.com' is not a URL such as https://api.tes.example.com",
        ),
        ("https://", "'https://' is not a URL such as https://api.tes.example.com"),
        ("https:///v1.0", "'https:///v1.0' is not a URL such as https://api.tes.example.com"),
        (
            "https://exam ple.com",
            "'https://exam ple.com' is not a URL such as https://api.tes.example.com",
        ),
        (
            "https://bücher.example",
            "'https://bücher.example' is not a URL such as https://api.tes.example.com",
        ),
        ("https://api.example.com:0x50", "'https://api.example.com:0x50' is not a URL: "),
        ("https://api.example.com:99999", "'https://api.example.com:99999' is not a URL: "),
        ("https://[::1", "'https://[::1' is not a URL: "),
        ("https://me@api.example.com", "must not have a user, a query or a fragment"),
        ("https://me:secret@api.example.com", "must not have a user, a query or a fragment"),
        ("https://api.example.com/?a=b", "must not have a user, a query or a fragment"),
        ("https://api.example.com/#a", "must not have a user, a query or a fragment"),
    ],
)
def test_invalid_base_urls(given, why):
    error = refused(base_url=given)
    assert error.field == "base_url"
    assert error.explanation.startswith(f"base_url: {why}")


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("http://api.example.com", "api.example.com"),
        ("http://192.0.2.1:8025", "192.0.2.1"),
        ("http://0.0.0.0", "0.0.0.0"),
        ("http://[2001:db8::1]", "2001:db8::1"),
        ("http://localhost.example.com", "localhost.example.com"),
    ],
)
@pytest.mark.parametrize("client", [PowerEmail, AsyncPowerEmail])
def test_plain_http_to_another_machine_warns_the_caller(client, given, host):
    with pytest.warns(UserWarning) as caught:
        client("owner", "token", base_url=given)
    (warning,) = caught
    assert str(warning.message) == (
        f"base_url is plain http: everyone between here and {host} can read the token of every "
        "request"
    )
    assert warning.filename == __file__


@pytest.mark.parametrize("field", ["owner_id", "token", "brand", "smtp_user_name"])
@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "must be a string that is not empty"),
        (" ", "must be a string that is not empty"),
        (5, "must be a string that is not empty"),
        (b"canary", "must be a string that is not empty"),
        ("canary\n", "has a control character (CR, LF or another) at position 6"),
        ("canary\ud800", "has a lone surrogate at position 6, which no encoding can carry"),
    ],
)
def test_required_texts_reject_invalid_values(field, value, why):
    error = refused(**{field: value})
    assert (error.field, error.explanation) == (field, f"{field}: {why}")


@pytest.mark.parametrize("field", ["owner_id", "token", "brand"])
def test_required_texts_cannot_be_none(field):
    assert refused(**{field: None}).explanation == f"{field}: must be a string that is not empty"


@pytest.mark.parametrize("value", [0, -1, 1.5, "1", None, True])
def test_the_maximum_size_of_a_response_is_checked(value):
    assert (
        str(refused(max_response_bytes=value))
        == f"max_response_bytes: must be a number of bytes, not {value!r}"
    )


@pytest.mark.parametrize(
    ("field", "kind"),
    [("timeouts", "Timeouts"), ("retry", "RetryPolicy"), ("deployment", "Deployment")],
)
@pytest.mark.parametrize("value", [None, 5, (1, 2)])
def test_options_of_another_type(field, kind, value):
    assert (
        str(refused(**{field: value})) == f"{field}: must be a {kind}, not {type(value).__name__}"
    )


def test_changing_settings_keeps_the_others():
    before = checked(smtp_user_name="smtp1")
    assert before.changed() == before
    after = before.changed(smtp_user_name="smtp2", timeouts=Timeouts(read=1), retry=RetryPolicy(1))
    assert (after.smtp_user_name, after.endpoint.timeouts, after.retry) == (
        "smtp2",
        Timeouts(read=1),
        RetryPolicy(1),
    )
    assert after.endpoint.credentials is before.endpoint.credentials
    assert before.changed(smtp_user_name=None).smtp_user_name is None
    assert before.changed(on_unknown="reconcile", visibility=5).unknown == UnknownPolicy(
        "reconcile", 5
    )
    assert before.changed(on_unknown="reconcile", resend_after=60).changed(
        resend_after=None
    ).unknown == UnknownPolicy("reconcile")
    assert before.smtp_user_name == "smtp1"


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"smtp_user_name": ""}, "smtp_user_name: must be a string that is not empty"),
        ({"timeouts": None}, "timeouts: must be a Timeouts, not NoneType"),
        ({"retry": 3}, "retry: must be a RetryPolicy, not int"),
        (
            {"on_unknown": "ignore"},
            "on_unknown: must be one of raise, reconcile, resend, not 'ignore'",
        ),
        ({"resend_after": 60}, "resend_after: goes with on_unknown='reconcile'"),
    ],
)
def test_invalid_changes(change, text):
    with pytest.raises(UsageError) as caught:
        checked().changed(**change)
    assert str(caught.value) == text


def test_the_smtp_user_of_a_send():
    assert checked(smtp_user_name="smtp1").smtp_user(None) == "smtp1"
    assert checked(smtp_user_name="smtp1").smtp_user("smtp2") == "smtp2"
    assert checked().smtp_user("smtp2") == "smtp2"


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (
            None,
            "give one to the client (from_env reads POWEREMAIL_SMTP_USER_NAME) or to the call",
        ),
        ("", "must not be empty"),
        (" ", "must not be empty"),
        (5, "must be a str, not int"),
        ("a\n", "has a control character (CR, LF or another) at position 1"),
    ],
)
def test_a_send_without_an_smtp_user(given, why):
    with pytest.raises(UsageError) as caught:
        checked().smtp_user(given)
    assert str(caught.value) == f"not sent: smtp_user_name: {why}"
    assert (caught.value.field, caught.value.mail_state) == ("smtp_user_name", "not_sent")


def test_the_default_prints_its_name():
    assert repr(DEFAULT) == "DEFAULT"


ENVIRON = {
    "POWEREMAIL_OWNER_ID": "owner",
    "POWEREMAIL_TOKEN": "token",
    "POWEREMAIL_APP_DOMAIN": "tes.example.com",
    "POWEREMAIL_SMTP_USER_NAME": "smtp1",
    "POWEREMAIL_BASE_URL": "https://api.example.com",
    "POWEREMAIL_OTHER": "x",
}
ALL = {
    "owner_id": "owner",
    "token": "token",
    "app_domain": "tes.example.com",
    "smtp_user_name": "smtp1",
    "base_url": "https://api.example.com",
}


@pytest.mark.parametrize(
    ("left_out", "given", "expected"),
    [
        ([], {}, ALL),
        (
            ["BASE_URL", "SMTP_USER_NAME"],
            {},
            {"owner_id": "owner", "token": "token", "app_domain": "tes.example.com"},
        ),
        (
            ["APP_DOMAIN", "SMTP_USER_NAME"],
            {},
            {"owner_id": "owner", "token": "token", "base_url": "https://api.example.com"},
        ),
        (
            [],
            {"token": "own", "retry": RetryPolicy(1)},
            ALL | {"token": "own", "retry": RetryPolicy(1)},
        ),
        (["TOKEN"], {"token": "own"}, ALL | {"token": "own"}),
        ([], {"smtp_user_name": None}, ALL | {"smtp_user_name": None}),
        ([], {"base_url": "https://own.example"}, ALL | {"base_url": "https://own.example"}),
        # An option takes precedence: the environment's base_url must not replace the domain.
        (
            [],
            {"app_domain": "own.example"},
            {
                "owner_id": "owner",
                "token": "token",
                "app_domain": "own.example",
                "smtp_user_name": "smtp1",
            },
        ),
        (
            [],
            {"app_domain": "own.example", "base_url": "https://own.example"},
            ALL | {"app_domain": "own.example", "base_url": "https://own.example"},
        ),
        ([], {"app_domain": None}, ALL | {"app_domain": None}),
    ],
)
@pytest.mark.parametrize("empty", [False, True])
def test_options_from_the_environment(left_out, given, expected, empty):
    gone = {f"POWEREMAIL_{name}" for name in left_out}
    environ = {name: value for name, value in ENVIRON.items() if name not in gone} | (
        dict.fromkeys(gone, "") if empty else {}
    )
    options = complete(from_env(environ, given))
    assert options == expected | {"token": Secret(expected["token"])}
    assert repr(options["token"]) == "Secret('***')"


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (
            [],
            "POWEREMAIL_OWNER_ID, POWEREMAIL_TOKEN, POWEREMAIL_APP_DOMAIN (or POWEREMAIL_BASE_URL)",
        ),
        (["OWNER_ID", "TOKEN"], "POWEREMAIL_APP_DOMAIN (or POWEREMAIL_BASE_URL)"),
        (["OWNER_ID", "BASE_URL"], "POWEREMAIL_TOKEN"),
        (["TOKEN", "APP_DOMAIN"], "POWEREMAIL_OWNER_ID"),
    ],
)
def test_missing_variables_of_the_environment(names, missing):
    environ = {f"POWEREMAIL_{name}": "x" for name in names}
    with pytest.raises(UsageError) as caught:
        complete(from_env(environ, {}))
    assert str(caught.value) == f"environment: missing from the environment: {missing}"
    assert (caught.value.field, caught.value.mail_state) == ("environment", None)


@pytest.mark.parametrize("client", [PowerEmail, AsyncPowerEmail])
def test_a_client_from_the_environment(client, monkeypatch):
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    assert (
        repr(client.from_env())
        == f"<{client.__name__} owner_id='owner' base_url='https://api.example.com/v1.0/'>"
    )
    assert "https://api.own.example/v1.0/" in repr(client.from_env(app_domain="own.example"))
    assert "owner_id='other'" in repr(client.from_env({**ENVIRON, "POWEREMAIL_OWNER_ID": "other"}))


@given(text=st.text() | st.from_regex(r"https?://[\w.\-:\[\]@/?#%]{0,20}", fullmatch=True))
def test_any_text_makes_settings_or_a_usage_error(text):
    for option in ("base_url", "app_domain", "owner_id", "token"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                made = checked(**{option: text})
            except UsageError as error:
                assert error.field == option
            else:
                assert made.endpoint.base_url.startswith(("https://", "http://"))
                assert made.endpoint.base_url.endswith("/")


@pytest.mark.parametrize(
    ("client", "transport", "reason"),
    [
        (PowerEmail, lambda: "aiohttp", "'aiohttp' is async only (AsyncPowerEmail can use it)"),
        (PowerEmail, AsyncHttpxTransport, "AsyncHttpxTransport is async only (AsyncPowerEmail"),
        (AsyncPowerEmail, HttpxTransport, "HttpxTransport is for threads only (PowerEmail can"),
        (AsyncPowerEmail, httpx.AsyncClient, "wrap a client of your own"),
    ],
)
def test_a_transport_of_the_other_client_is_named_as_such(client, transport, reason):
    with pytest.raises(ConfigurationError, match=re.escape(reason)) as caught:
        client("owner", "token", "example.com", transport=transport())
    assert caught.value.field == "transport"


def test_a_public_module_lists_its_names_and_not_what_it_imports():
    assert {"PowerEmail", "AsyncPowerEmail", "Message"} <= set(dir(poweremail))
    assert not {"TYPE_CHECKING", "import_module", "sys"} & set(dir(poweremail))
