"""The rest of the app: its checks, its webhook and its signals."""

from __future__ import annotations

import pytest

from support.django_project import HAS_MAILERS, configure, mailer
from support.webhooks import HELLO, KEY, URL, event, form, signed

configure()

from django.core.checks import run_checks  # noqa: E402
from django.test import Client, override_settings  # noqa: E402
from django.urls import path  # noqa: E402

from poweremail.contrib.django import signals, webhook  # noqa: E402
from poweremail.contrib.django._clients import close_clients  # noqa: E402
from poweremail.webhooks import EVENT_NAMES  # noqa: E402

ACCOUNT = {
    "OWNER_ID": "me",
    "TOKEN": "canary",
    "SMTP_USER_NAME": "smtp12345",
    "APP_DOMAIN": "tes.example.com",
}
WEBHOOK = {"URL": URL, "KEYS": [KEY], "SCHEME": "form-base64"}

urlpatterns = [path("hooks/mail", webhook)]


def problems(**changes) -> list[str]:
    """The ids of what the checks find."""
    try:
        with mailer("EmailBackend", **{"DEFAULT_FROM_EMAIL": "me@example.com"} | changes):
            found = run_checks(include_deployment_checks=True)
            assert "canary" not in str(found)
            return [each.id for each in found if each.id.startswith("poweremail.")]
    finally:
        close_clients()


@pytest.mark.parametrize(
    ("changes", "ids"),
    [
        ({"POWEREMAIL": ACCOUNT | {"WEBHOOK": WEBHOOK}}, []),
        ({"POWEREMAIL": ACCOUNT | {"TYPO": 1}}, ["poweremail.E001"]),
        ({"POWEREMAIL": ACCOUNT | {"WEBHOOK": None}}, ["poweremail.E002"]),
        ({"POWEREMAIL": ACCOUNT | {"WEBHOOK": {"URL": URL}}}, ["poweremail.E002"]),
        ({"POWEREMAIL": ACCOUNT | {"WEBHOOK": WEBHOOK | {"KEYS": [""]}}}, ["poweremail.E002"]),
        ({"POWEREMAIL": {"TOKEN": "canary"}}, ["poweremail.E003"]),
        ({"POWEREMAIL": ACCOUNT | {"SMTP_USER_NAME": None}}, ["poweremail.E003"]),
        (
            {"POWEREMAIL": ACCOUNT, "DEFAULT_FROM_EMAIL": "webmaster@localhost"},
            ["poweremail.W001"],
        ),
        ({"POWEREMAIL": ACCOUNT | {"DRY_RUN": True}}, ["poweremail.W003"]),
    ],
)
def test_checks(changes, ids):
    assert problems(**changes) == ids


def test_checks_of_other_backends():
    with override_settings(POWEREMAIL={}):
        assert not [each for each in run_checks() if each.id.startswith("poweremail.")]
    with mailer("SandboxEmailBackend", DEFAULT_FROM_EMAIL="me@example.com"):
        found = run_checks(include_deployment_checks=True)
    close_clients()
    assert [each.id for each in found if each.id.startswith("poweremail.")] == ["poweremail.W002"]


@pytest.mark.skipif(not HAS_MAILERS, reason="MAILERS came with Django 6.1")
def test_checks_of_mailers():
    place = "poweremail.contrib.django.EmailBackend"
    mailers = {"default": {"BACKEND": place, "OPTIONS": {"smtp_user": "x"}}}
    with override_settings(MAILERS=mailers, POWEREMAIL=ACCOUNT):
        found = [each for each in run_checks() if each.id.startswith("poweremail.")]
    assert [each.id for each in found] == ["poweremail.E003"]
    assert "MAILERS['default']: smtp_user" in found[0].msg


@pytest.fixture
def post():
    """Posts a body as the service does, and returns status and body of the response."""
    client = Client(enforce_csrf_checks=True)

    def post(body: bytes, headers: dict) -> tuple[int, bytes]:
        kind = headers.pop("Content-Type")
        response = client.post("/hooks/mail", data=body, content_type=kind, headers=headers)
        return response.status_code, response.content

    with override_settings(ROOT_URLCONF=__name__, POWEREMAIL={"WEBHOOK": WEBHOOK}):
        yield post


@pytest.fixture
def received():
    """The events that the signals bring, with the name of the signal."""
    found: list[tuple[str, str]] = []
    receivers = {
        name: lambda event, name=name, **_: found.append((name, event.event))
        for name in dir(signals)
        if name.startswith("mail_")
    }
    for name, receiver in receivers.items():
        getattr(signals, name).connect(receiver)
    yield found
    for name, receiver in receivers.items():
        getattr(signals, name).disconnect(receiver)


def test_each_event_has_a_signal(post, received):
    names = [*EVENT_NAMES, "delivered"]
    body = form(*[event(number, event=name) for number, name in enumerate(names)])
    for _ in range(2):  # the second time it knows them
        assert post(body, signed(body)) == (200, HELLO)
    own = {
        "send": "mail_sent",
        "open": "mail_opened",
        "click": "mail_clicked",
        "soft_bounce": "mail_soft_bounced",
        "hard_bounce": "mail_hard_bounced",
        "spam": "mail_marked_as_spam",
    }
    expected = [pair for name in EVENT_NAMES for pair in ((own[name], name), ("mail_event", name))]
    assert received == [*expected, ("mail_event", "delivered")]


def test_an_event_whose_receiver_fails_comes_again(post, received, caplog):
    def fail(**_):
        raise RuntimeError("the database is away")

    body = form(event(7))
    signals.mail_opened.connect(fail)
    try:
        assert post(body, signed(body))[0] == 503
    finally:
        signals.mail_opened.disconnect(fail)
    assert "the database is away" in caplog.text
    assert post(body, signed(body)) == (200, HELLO)


def test_a_webhook_that_is_forged_or_too_large(post, received):
    body = form(event(1))
    assert post(body, signed(body, key="wrong"))[0] == 403
    with override_settings(DATA_UPLOAD_MAX_MEMORY_SIZE=10):
        assert post(body, signed(body)) == (200, HELLO)
    small = {"WEBHOOK": WEBHOOK | {"MAX_BODY": 10}}
    with override_settings(POWEREMAIL=small):
        assert post(body, signed(body))[0] == 413
    assert len(received) == 2


def test_a_middleware_that_reads_the_body(post, received):
    with override_settings(MIDDLEWARE=[f"{__name__}.reads_the_body"]):
        body = form(event(1))
        assert post(body, signed(body)) == (200, HELLO)
    assert len(received) == 2


def reads_the_body(get_response):
    def middleware(request):
        assert request.POST
        return get_response(request)

    return middleware
