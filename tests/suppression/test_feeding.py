"""The whole way of a bounce: from the service, by a webhook, into the list."""

from __future__ import annotations

import pytest

import PowerEmail as vendors  # noqa: N813  the other PowerEmail is the client
from poweremail import Message
from poweremail.sandbox import Sandbox
from poweremail.suppression import (
    SqliteSuppressionStore,
    SuppressedError,
    Suppression,
    Suppressions,
)
from poweremail.webhooks import WebhookReceiver

URL = "https://example.com/hooks/mail"


def test_a_bounce_that_the_service_posts_ends_the_mails(tmp_path):
    common = {"subject": "Hi", "from_email": "o@example.com", "text": "t"}
    with (
        SqliteSuppressionStore(tmp_path / "list.db") as store,
        Sandbox() as sandbox,
        sandbox.client(suppression=store) as client,
    ):
        webhook = sandbox.add_webhook(URL)
        receiver = WebhookReceiver(
            Suppressions(store, client=client).record_event,
            url=URL,
            keys=[webhook.key],
            scheme="form-base64",
        )
        both = Message(to=["ada@example.org", "bob@example.org"], **common)
        client.messages.send_mail(both)
        sandbox.record(sandbox.outbox[0], "soft_bounce", recipient="bob@example.org")
        sandbox.record(sandbox.outbox[0], "hard_bounce", recipient="ada@example.org")
        sandbox.deliver(receiver)
        assert [(each.address, each.reason) for each in store.entries()] == [
            ("ada@example.org", "hard_bounce")
        ]
        assert client.messages.send_mail(both).recipients == ("bob@example.org",)
        with pytest.raises(SuppressedError):
            client.messages.send_mail(Message(to="Ada@Example.org", stream="reset", **common))


def test_the_vendors_names_ask_too(served, tmp_path):
    with SqliteSuppressionStore(tmp_path / "list.db") as store:
        store.add([Suppression("ada@example.org")])
        client = vendors.PowerEmail("me", "any", base_url=served.url, suppression=store)
        message = {
            "subject": "Hi",
            "from_email": "o@example.com",
            "text": "t",
            "to": [{"email": "ada@example.org"}, {"email": "bob@example.org"}],
        }
        with client:
            client.messages.sendMail("smtp1", message)
            message["to"] = message["to"][:1]
            with pytest.raises(vendors.Error, match="on the suppression list"):
                client.messages.sendMail("smtp1", message)
    (mail,) = served.outbox
    assert mail.to == ("bob@example.org",)
