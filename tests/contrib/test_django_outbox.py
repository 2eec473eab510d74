"""The backend that adds mail to the outbox, in the transaction of a view."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from poweremail import ConfigurationError, UsageError
from poweremail.batch import LedgerError
from support.django_project import HAS_MAILERS, configure, mailer

configure()

from django.core.exceptions import ImproperlyConfigured  # noqa: E402
from django.core.mail import EmailMessage, send_mail  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.test import override_settings  # noqa: E402

from poweremail.contrib.django import (  # noqa: E402
    NotAllAcceptedError,
    OutboxEmailBackend,
    get_outbox,
)


@pytest.fixture
def tables():
    """The tables of an empty outbox, in a database that no other test sees."""
    connection.close()
    call_command("migrate", verbosity=0)
    yield
    call_command("migrate", "poweremail_outbox", "zero", verbosity=0)
    connection.close()


def message(**attributes) -> EmailMessage:
    made = EmailMessage("Order", "Thanks!", "me@example.com", ["ada@example.com"])
    vars(made).update(attributes)
    return made


def send(*messages, **options) -> int:
    return OutboxEmailBackend(**options).send_messages(messages)


def find(key: str):
    with transaction.atomic():
        return get_outbox().find(key, within="default")


def test_a_mail_is_in_the_transaction_of_the_view(tables):
    kept, dropped = message(bcc=["hidden@example.com"]), message()
    with transaction.atomic():
        assert send(kept) == 1
    with transaction.atomic():
        assert send(dropped) == 1
        transaction.set_rollback(True)
    record = find(kept.poweremail.key)
    assert (record.state, record.recipients) == (
        "planned",
        ("ada@example.com", "hidden@example.com"),
    )
    assert find(dropped.poweremail.key) is None
    outcome = kept.poweremail
    assert (outcome.state, outcome.database, outcome.error) == ("queued", "default", None)
    assert outcome.unique_id == record.unique_id


def test_equal_mails_are_two_unless_they_have_a_key(tables):
    first, second = message(), message()
    assert send(first, second) == 2
    assert first.poweremail.key != second.poweremail.key
    first, second = message(key="order-7"), message(key="order-7")
    assert send(first, second) == 2
    assert first.poweremail == second.poweremail
    assert first.poweremail.unique_id == find("order-7").unique_id
    assert send(message(unique_id="u7")) == 1
    assert find("u7").unique_id == "u7"


def test_without_a_transaction_each_call_is_one(tables):
    with mailer("OutboxEmailBackend"):
        assert send_mail("s", "x", "a@example.com", ["b@example.com"]) == 1
    mails = [message(), message(tags=["a"]), message()]
    with pytest.raises(NotAllAcceptedError) as caught:
        send(*mails)
    assert [each.poweremail.state for each in mails] == ["queued", "not_sent", "queued"]
    assert (caught.value.accepted, find(mails[2].poweremail.key).state) == (2, "planned")


def test_moments(tables):
    now = datetime.now(UTC)
    late = message(
        key="late", not_before=now + timedelta(hours=1), expires=now + timedelta(hours=2)
    )
    assert send(late) == 1
    with pytest.raises(UsageError, match="must be a datetime with a time zone"):
        send(message(not_before=1))
    with pytest.raises(UsageError, match="the outbox has no place for it"):
        send(message(smtp_user_name="smtp2"))


kicks: list[str] = []


def kick() -> None:
    kicks.append("kick")


def test_a_kick_after_the_commit(tables):
    kicks.clear()
    with override_settings(POWEREMAIL={"OUTBOX": {"KICK": f"{__name__}.kick"}}):
        with pytest.raises(ConfigurationError, match="KICK"):
            OutboxEmailBackend(kick="nowhere.kick").check()
    with override_settings(POWEREMAIL={"OUTBOX": {"KICK": kick}}):
        with transaction.atomic():
            send(message())
            assert kicks == []
        assert kicks == ["kick"]
        with transaction.atomic():
            send(message())
            transaction.set_rollback(True)
    assert kicks == ["kick"]


def test_tables_that_are_missing():
    connection.close()
    made = message()
    with pytest.raises(LedgerError, match="migrate"):
        send(made, fail_silently=True)
    assert made.poweremail is None
    connection.close()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"TYPO": 1}, "TYPO is not an option"),
        (None, "must be a dict"),
        ({"DATABASE": "default", "BULK_SHARE": 7}, "bulk_share"),
    ],
)
def test_options_that_are_invalid(options, text):
    with override_settings(POWEREMAIL={"OUTBOX": options}):
        with pytest.raises(ConfigurationError, match=text):
            OutboxEmailBackend().check()
    with pytest.raises(ImproperlyConfigured):
        OutboxEmailBackend(token="x")


@pytest.mark.skipif(not HAS_MAILERS, reason="MAILERS came with Django 6.1")
def test_an_outbox_of_another_name(tables):
    with mailer("OutboxEmailBackend", {"name": "invoices"}):
        made = message(key="k")
        assert made.send() == 1
    with transaction.atomic():
        assert get_outbox(name="invoices").find("k", within="default").state == "planned"
    assert find("k") is None
