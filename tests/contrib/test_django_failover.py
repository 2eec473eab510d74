"""The targets of ``POWEREMAIL["FAILOVER"]``: who gets a mail that the first one could not send."""

from __future__ import annotations

import socket

import pytest

from poweremail import ConfigurationError, DeliveryUnknownError, NotSentError
from poweremail.sandbox import Fault
from support.django_project import configure
from support.fault_server import FaultServer, respond

configure()

from django.core.mail import EmailMessage  # noqa: E402
from django.test import override_settings  # noqa: E402

from poweremail.contrib.django import EmailBackend, SandboxEmailBackend  # noqa: E402
from poweremail.contrib.django._clients import close_clients, get_failover  # noqa: E402
from poweremail.contrib.django._settings import read_settings  # noqa: E402

CANARY = "canary-token"


@pytest.fixture
def nobody():
    """A URL at which nobody listens."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unheard.getsockname()[1]}"


@pytest.fixture
def accounts():
    """Set the settings: the first account at one URL, and the target ``backup`` at another."""
    changed = []

    def accounts(main: str, backup: str, target=None, **settings) -> None:
        backup_options = {"BASE_URL": backup, "TOKEN": CANARY, "SMTP_USER_NAME": "smtp2"}
        options = {
            "OWNER_ID": "me",
            "TOKEN": CANARY,
            "SMTP_USER_NAME": "smtp1",
            "BASE_URL": main,
            "FAILOVER": {"backup": backup_options | (target or {})},
        }
        changed.append(override_settings(POWEREMAIL=options | settings))
        changed[-1].enable()

    yield accounts
    for each in changed:
        each.disable()
    close_clients()


def mails(count: int = 1) -> list[EmailMessage]:
    return [
        EmailMessage(f"Hi {number}", "Hello", "me@example.com", ["ada@example.com"])
        for number in range(count)
    ]


def test_mails_that_one_account_cannot_send_go_to_the_next(accounts, nobody, served):
    accounts(nobody, served.url)
    for count in (1, 3):
        given = mails(count)
        assert EmailBackend().send_messages(given) == count
        assert [mail.poweremail.result.target for mail in given] == ["backup"] * count
    assert {mail.smtp_user_name for mail in served.outbox} == {"smtp2"}
    assert get_failover() is EmailBackend().failover
    assert set(get_failover().resting()) == {"main"}


def test_an_unknown_outcome_goes_to_nobody_else(accounts, served):
    served.faults.add(Fault.reset_after_acceptance())
    with FaultServer(respond()) as other:
        accounts(served.url, other.url)
        with pytest.raises(DeliveryUnknownError):
            EmailBackend().send_messages(mails())
        assert other.seen == []
    assert len(served.outbox) == 1


def test_a_mail_that_names_its_smtp_user_stays_with_it(accounts, nobody, served):
    accounts(nobody, served.url)
    given = mails()
    given[0].smtp_user_name = "smtp3"
    with pytest.raises(NotSentError):
        EmailBackend().send_messages(given)
    assert not served.outbox


@pytest.mark.parametrize("place", ["settings", "options", "environment"])
def test_a_rehearsal_holds_for_every_target(accounts, nobody, served, place, monkeypatch):
    given = {"redirect_to": "qa@example.com"}
    accounts(
        nobody, served.url, **({"REDIRECT_TO": "qa@example.com"} if place == "settings" else {})
    )
    if place == "environment":
        monkeypatch.setenv("POWEREMAIL_REDIRECT_TO", "qa@example.com")
    EmailBackend(**(given if place == "options" else {})).send_messages(mails())
    assert served.outbox.one().to == ("qa@example.com",)


def test_a_sandbox_has_no_targets(accounts, nobody):
    with FaultServer(respond()) as service:
        accounts(service.url, service.url, SANDBOX_URL=nobody)
        with pytest.raises(NotSentError):
            SandboxEmailBackend().send_messages(mails())
        assert service.seen == []


def test_the_tokens_are_sealed(accounts, nobody):
    accounts(nobody, nobody)
    assert CANARY not in repr(read_settings())
    assert CANARY not in repr(get_failover())


@pytest.mark.parametrize(
    ("failover", "text"),
    [
        (["backup"], r"POWEREMAIL\['FAILOVER'\]: must be a dict of targets"),
        ({"backup": "smtp2"}, r"POWEREMAIL\['FAILOVER'\]\['backup'\]: must be a dict of options"),
        ({"main": {}}, r"POWEREMAIL\['FAILOVER'\]\['main'\]: is the account of POWEREMAIL itself"),
        (
            {"backup": {"SMTP_USER": "smtp2"}},
            r"POWEREMAIL\['FAILOVER'\]\['backup'\]\['SMTP_USER'\]: is not an option of a client",
        ),
        ({"backup": {"ON_UNKNOWN": "resend"}}, r"clients\['backup'\]: has on_unknown='resend'"),
    ],
)
def test_invalid_settings(accounts, nobody, failover, text):
    accounts(nobody, nobody, FAILOVER=failover)
    with pytest.raises(ConfigurationError, match=text):
        EmailBackend().check()
