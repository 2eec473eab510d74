"""
``client.settings``, ``client.account`` and ``send_raw``: every call, by every way to the sandbox.
"""

from __future__ import annotations

import json
from email.message import EmailMessage

import pytest

from _async.ways import OPTIONS, WAYS, client_of, reached
from poweremail import (
    ChangeUnknownError,
    DeliveryUnknownError,
    Deployment,
    RetryPolicy,
    Secret,
    TransportError,
    UsageError,
    ValidationError,
)
from poweremail.sandbox import Fault
from support.fault_server import FaultServer, respond
from support.messages import message
from support.receiver import Receiver

RAW = (
    "From: Me <me@example.com>\r\nTo: ada@example.com\r\nCc: c@example.com\r\nSubject: "
    "Hi\r\n\r\nHello\r\n"
)


@pytest.fixture(params=WAYS)
def way(request) -> str:
    return request.param


@pytest.fixture
def sandbox(served):
    return served


async def test_smtp_users_can_be_added_changed_and_deleted(way, sandbox):
    async with reached(way, sandbox) as client:
        added = await client.settings.add_smtp(total_limit=10, hourly_limit=2)
        assert isinstance(added.password, Secret)
        assert added.raw.status == 200
        reset = await client.settings.reset_smtp_password(added.smtp_user_name)
        assert (reset.smtp_user_name, reset.password != added.password) == (
            added.smtp_user_name,
            True,
        )
        [user] = await client.settings.list_smtp()
        assert (user.smtp_user_name, user.enabled, user.total_limit, user.hourly_limit) == (
            added.smtp_user_name,
            True,
            10,
            2,
        )
        await client.messages.send_mail(message(), smtp_user_name=added.smtp_user_name)
        edited = await client.settings.edit_smtp(
            added.smtp_user_name, hourly_limit=1, enabled=False
        )
        assert edited.message == "SMTP User Updated"
        [user] = await client.settings.list_smtp()
        assert (user.enabled, user.total_limit, user.hourly_limit) == (False, 10, 1)
        with pytest.raises(ValidationError, match="rejected by the service: .*disabled"):
            await client.messages.send_mail(message(), smtp_user_name=added.smtp_user_name)
        await client.settings.edit_smtp(added.smtp_user_name, enabled=True)
        with pytest.raises(ValidationError, match="hourly_limit"):
            await client.messages.send_mail(message(), smtp_user_name=added.smtp_user_name)
        await client.settings.edit_smtp(added.smtp_user_name, hourly_limit=5)
        await client.messages.send_mail(message(), smtp_user_name=added.smtp_user_name)
        # Adding an SMTP user does not change the others.
        await client.messages.send_mail(message())
    assert len(sandbox.outbox) == 3


async def test_sending_domains_can_be_added_checked_and_deleted(way, sandbox):
    async with reached(way, sandbox) as client:
        await client.settings.add_sending_domain("Example.com")
        with pytest.raises(ValidationError, match="already there"):
            await client.settings.add_sending_domain("example.com")
        checked = await client.settings.check_sending_domain("example.com")
        assert (checked.domain, checked.dkim_valid, checked.spf_valid, checked.valid_signing) == (
            "example.com",
            False,
            False,
            False,
        )
        told = await client.settings.verify_sending_domain("example.com", "postmaster")
        assert told.message == "Verification instruction has been sent to postmaster@example.com"
        sandbox.add_sending_domain("example.com", valid=True)
        assert (await client.settings.check_sending_domain("example.com")).valid_signing is True
        [listed] = await client.settings.list_sending_domain()
        assert (listed.domain, listed.dkim_valid, listed.spf_valid, listed.verified) == (
            "example.com",
            True,
            True,
            True,
        )
        assert listed.create_date == sandbox.sending_domains[0].created.replace(microsecond=0)
        await client.settings.delete_sending_domain("example.com")
        assert len(await client.settings.list_sending_domain()) == 0
        with pytest.raises(ValidationError, match="Invalid sending domain"):
            await client.settings.delete_sending_domain("example.com")


async def test_tracking_domains_can_be_added_checked_and_deleted(way, sandbox):
    async with reached(way, sandbox) as client:
        await client.settings.add_tracking_domain("t.example.com")
        checked = await client.settings.check_tracking_domain("t.example.com")
        assert (checked.domain, checked.cname_valid, checked.valid_tracking) == (
            "t.example.com",
            False,
            False,
        )
        sandbox.add_tracking_domain("t.example.com")
        [listed] = await client.settings.list_tracking_domain()
        assert (listed.domain, listed.cname_valid, listed.valid_tracking) == (
            "t.example.com",
            True,
            None,
        )
        await client.settings.delete_tracking_domain("t.example.com")
        assert list(await client.settings.list_tracking_domain()) == []


async def test_webhooks_can_be_added_changed_and_deleted(way, sandbox):
    with Receiver() as receiver:
        async with reached(way, sandbox) as client:
            await client.settings.add_webhook(
                receiver.url, events=["open", "click"], description="ours", store_log=True
            )
            [webhook] = await client.settings.list_webhook()
            assert (webhook.url, webhook.events, webhook.description, webhook.store_log) == (
                receiver.url,
                ("open", "click"),
                "ours",
                True,
            )
            assert webhook.key == sandbox.webhooks[0].key
            reset = await client.settings.key_reset_webhook(webhook.webhook_id)
            assert (reset.webhook_id, reset.key) == (webhook.webhook_id, sandbox.webhooks[0].key)
            assert reset.key != webhook.key
            await client.settings.edit_webhook(
                webhook.webhook_id, receiver.url, events="spam", store_log=False
            )
            info = await client.settings.get_webhook_info(webhook.webhook_id)
            assert (info.events, info.store_log, info.description, info.total_event) == (
                ("spam",),
                False,
                "ours",
                0,
            )
            assert (info.key, info.last_success) == (reset.key, None)
            await client.settings.delete_webhook(webhook.webhook_id)
            assert len(await client.settings.list_webhook()) == 0
            for call in (
                client.settings.delete_webhook,
                client.settings.get_webhook_info,
                client.settings.key_reset_webhook,
            ):
                with pytest.raises(ValidationError, match="^ValidationError: Invalid Webhook Id"):
                    await call(webhook.webhook_id)
    assert len(receiver.seen) == (0 if way == "in-process" else 2)


async def test_a_url_that_does_not_respond_is_no_webhook(sandbox):
    with Receiver({"GET": (200, "hello"), "POST": (500, "")}) as receiver:
        async with reached("httpx", sandbox, timeouts=OPTIONS["timeouts"]) as client:
            with pytest.raises(ValidationError, match="must answer God bless you, PowerEmail"):
                await client.settings.add_webhook(receiver.url)
    assert receiver.seen == ["GET", "POST"]
    assert sandbox.webhooks == []


@pytest.mark.parametrize("path", ["account/viewUserDetail", "accounts/userDetails"])
async def test_the_account_is_read(way, sandbox, path):
    async with reached(way, sandbox, deployment=Deployment(user_detail=path)) as client:
        detail = await client.account.view_user_detail()
    assert (detail.name, detail.reputation, detail.allowed_speed) == ("Sandbox", 100.0, 3_600)
    assert detail.create_date is not None


@pytest.mark.parametrize("path", ["messages/sendRaw", "messages/senRaw"])
async def test_a_raw_message_is_sent(way, sandbox, path):
    async with reached(way, sandbox, deployment=Deployment(send_raw=path)) as client:
        result = await client.messages.send_raw(RAW)
        assert result.recipients == ("ada@example.com", "c@example.com")
        infos = [info.email async for info in client.messages.iter_message_info(result.unique_id)]
        assert infos == ["ada@example.com", "c@example.com"]
        named = await client.messages.send_raw(
            f"x-unique-id: mine\r\n{RAW}".encode(), smtp_user_name="another"
        )
    assert named.unique_id == "mine"
    first, second = sandbox.outbox
    assert first.raw["raw_message"] == f"X-Unique-Id: {result.unique_id}\r\n{RAW}"
    assert second.raw["raw_message"] == f"x-unique-id: mine\r\n{RAW}"
    assert (first.smtp_user_name, second.smtp_user_name) == ("smtp12345", "another")


async def test_a_message_of_the_standard_library_is_sent(sandbox):
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Bcc"], mail["Subject"] = (
        "Jürgen <me@example.com>",
        "ada@example.com",
        "b@example.com",
        "Grüße",
    )
    mail.set_content("hé")
    mail.add_attachment(
        b"\x00\xff", maintype="application", subtype="octet-stream", filename="a.bin"
    )
    async with sandbox.async_client() as client:
        result = await client.messages.send_raw(mail)
    assert result.recipients == ("ada@example.com", "b@example.com")
    [caught] = sandbox.outbox
    assert (caught.subject, caught.from_name, caught.text) == ("Grüße", "Jürgen", "hé\n")
    assert caught.attachments[0].content == b"\x00\xff"
    assert "X-Unique-Id" not in mail


async def test_a_raw_message_has_the_outcomes_of_every_mail(sandbox):
    async with sandbox.async_client(retry=RetryPolicy(first_wait=0)) as client:
        sandbox.faults.add(Fault.reset_after_acceptance(), call="sendRaw", times=1)
        with pytest.raises(DeliveryUnknownError) as caught:
            await client.messages.send_raw(RAW)
        assert caught.value.recipients == ("ada@example.com", "c@example.com")
        assert (await client.messages.reconcile(caught.value)).reconciled
        sandbox.faults.clear()
        sandbox.faults.add(Fault.rate_limited(), call="sendRaw", times=2)
        assert (await client.messages.send_raw(RAW)).attempts == 3
    async with sandbox.async_client(on_unknown="reconcile") as client:
        sandbox.faults.add(Fault.html(), call="sendRaw", times=1)
        assert (await client.messages.send_raw(RAW)).reconciled
    unique_ids = [mail.unique_id for mail in sandbox.outbox]
    assert len(set(unique_ids)) == len(unique_ids) == 3


async def test_a_change_that_may_have_been_made_is_not_repeated(way, sandbox):
    rule = sandbox.faults.add(Fault.stall(0.01), call="addSendingDomain")
    async with reached(way, sandbox) as client:
        with pytest.raises(
            ChangeUnknownError, match=r"^unknown whether it took effect: .* \(it may have: look"
        ) as caught:
            await client.settings.add_sending_domain("example.com")
    assert (caught.value.mail_state, isinstance(caught.value.cause, TransportError)) == (None, True)
    assert rule.hit == 1
    assert [domain.domain for domain in sandbox.sending_domains] == ["example.com"]


async def test_an_edit_is_repeated_and_stays_unknown_where_it_never_succeeds(sandbox):
    sandbox.add_smtp_user("a")
    async with sandbox.async_client(retry=RetryPolicy(first_wait=0)) as client:
        sandbox.faults.add(Fault.reset_after_acceptance(), call="editSmtp", times=1)
        await client.settings.edit_smtp("a", enabled=False)
        sandbox.faults.add(Fault.reset_after_acceptance(), call="editSmtp", times=1)
        refused = sandbox.faults.add(Fault.refuse(), call="editSmtp")
        with pytest.raises(ChangeUnknownError, match="reset"):
            await client.settings.edit_smtp("a", enabled=True)
        assert refused.seen == 4


async def test_a_change_that_never_arrived_is_repeated(sandbox):
    async with sandbox.async_client(retry=RetryPolicy(first_wait=0)) as client:
        sandbox.faults.add(Fault.refuse(), times=2)
        await client.settings.add_sending_domain("example.com")
        sandbox.faults.add(Fault.refuse())
        with pytest.raises(TransportError, match="^connection refused$") as caught:
            await client.settings.delete_sending_domain("example.com")
        assert caught.value.body_left is False
    assert len(sandbox.sending_domains) == 1


async def test_an_invalid_argument_is_not_sent(sandbox):
    async with sandbox.async_client() as client:
        for call, arguments, field in (
            (client.settings.add_smtp, {"total_limit": 0, "hourly_limit": 1}, "total_limit"),
            (client.settings.edit_smtp, {"smtp_user_name": "a"}, ""),
            (client.settings.add_sending_domain, {"domain": "https://example.com"}, "domain"),
            (
                client.settings.add_webhook,
                {"url": "https://x.example", "events": ["opened"]},
                "events",
            ),
        ):
            with pytest.raises(UsageError) as caught:
                await call(**arguments)
            assert (caught.value.field, caught.value.mail_state) == (field, None)
        with pytest.raises(UsageError, match="^not sent: raw_message: "):
            await client.messages.send_raw("Hello")


async def test_a_response_of_call_has_its_secrets_masked():
    password = "canary-password"
    with FaultServer(
        respond({"status": "success", "smtp_user_name": "s", "smtp_password": password})
    ) as server:
        async with client_of("httpx", server.url) as client:
            result = await client.call("settings/addSmtp", {"total_limit": 1, "hourly_limit": 1})
    assert result.data["smtp_password"] == Secret(password)
    assert json.loads(result.raw.body)["smtp_password"] == "***"


def test_an_invalid_path_of_a_deployment_is_rejected():
    with pytest.raises(
        UsageError,
        match=r"^deployment\.send_raw: 'https://x' is not a path such as messages/sendRaw",
    ):
        Deployment(send_raw="https://x")
