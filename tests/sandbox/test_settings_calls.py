"""
The calls about settings and the account: what is rejected, what is stored, and what nobody gets to
see.
"""

import json
import re
from email import message_from_string

import httpx
import pytest

from poweremail import UsageError
from poweremail.sandbox import Call, Fault, Sandbox
from poweremail.sandbox._server.app import create_app
from poweremail.sandbox._webhooks.posting import answers_handshake
from support.receiver import HANDSHAKE, Receiver

URL = "https://receiver.example/events"


def added(api, **members):
    response = api("addSmtp", **{"total_limit": 5, "hourly_limit": 5} | members)
    assert response["status"] == "success", response
    return response["smtp_user_name"]


@pytest.mark.parametrize(
    ("call", "members", "message"),
    [
        ("addSmtp", {"hourly_limit": 1}, "You must specify total_limit"),
        ("addSmtp", {"total_limit": 1, "hourly_limit": ""}, "You must specify hourly_limit"),
        (
            "addSmtp",
            {"total_limit": "many", "hourly_limit": 1},
            "Invalid total_limit: it must be a number",
        ),
        (
            "addSmtp",
            {"total_limit": True, "hourly_limit": 1},
            "Invalid total_limit: it must be a number",
        ),
        (
            "addSmtp",
            {"total_limit": 0, "hourly_limit": 1},
            "Invalid total_limit: must be a number from 1 on, or None, not 0",
        ),
        ("editSmtp", {}, "smtp user required !!"),
        ("editSmtp", {"smtp_user_name": "nobody"}, "No update field given !!"),
        ("editSmtp", {"smtp_user_name": "nobody", "status": "Enable"}, "Invalid smtp user"),
        (
            "editSmtp",
            {"smtp_user_name": "nobody", "status": "perhaps"},
            "Invalid status: it must be Enable or Disable",
        ),
        ("resetSmtpPassword", {}, "smtp user required !!"),
        ("resetSmtpPassword", {"smtp_user_name": "nobody"}, "Invalid smtp user"),
        ("addSendingDomain", {}, "You must specify domain"),
        (
            "addSendingDomain",
            {"domain": "a b"},
            "Invalid domain: 'a b' is not a domain such as example.com",
        ),
        ("checkSendingDomain", {"domain": "a.example"}, "Invalid sending domain"),
        ("verifySendingDomain", {"domain": "a.example", "mailbox": "x"}, "Invalid sending domain"),
        ("deleteTrackingDomain", {"domain": "a.example"}, "Invalid tracking domain"),
        ("checkTrackingDomain", {"domain": "a.example"}, "Invalid tracking domain"),
        ("addWebhook", {}, "You must specify url"),
        (
            "addWebhook",
            {"url": "x"},
            "Invalid url: 'x' is not a URL such as https://example.com/events",
        ),
        (
            "addWebhook",
            {"url": URL, "event": "open,opened"},
            "Invalid event opened: it must be one of send,open,click,",
        ),
        (
            "addWebhook",
            {"url": URL, "event": 5},
            "Invalid event: it must be some of send,open,click,",
        ),
        (
            "addWebhook",
            {"url": URL, "store_log": "perhaps"},
            "Invalid store_log: it must be Enable or Disable",
        ),
        ("addWebhook", {"url": URL, "description": 5}, "Invalid description: it must be a string"),
        ("editWebhook", {"url": URL}, "Invalid Webhook Id"),
        ("deleteWebhook", {"webhook_id": 5}, "Invalid Webhook Id"),
        ("keyResetWebhook", {"webhook_id": "x"}, "Invalid Webhook Id"),
        ("getWebhookInfo", {}, "Invalid Webhook Id"),
    ],
)
def test_invalid_members_are_rejected(api, call, members, message):
    response = api(call, **members)
    assert (response["status"], response["name"]) == ("error", "ValidationError")
    assert response["message"].startswith(message)


def test_every_call_needs_the_credentials(api):
    assert api("listWebhook", token="")["message"] == "Token MissMatch"


def test_an_smtp_user_added_by_the_api_does_not_restrict_the_others(api, sandbox):
    name = added(api)
    assert re.fullmatch(r"smtp\d{8}", name)
    assert api.send()["status"] == "success"
    assert [user.name for user in sandbox.smtp_users] == sorted([name, "smtp12345"])
    sandbox.add_smtp_user("only")
    assert api.send()["message"] == "Invalid smtp user"
    another = added(api)
    for allowed in ("only", name, another):
        assert api("sendMail", smtp_user_name=allowed, message=api.message())["status"] == "success"
    assert {user.name for user in sandbox.smtp_users} == {"only", name, another}


def test_an_smtp_user_that_has_sent_can_be_disabled(api, sandbox):
    api.send()
    assert api("editSmtp", smtp_user_name="smtp12345", status="Disable")["status"] == "success"
    assert api.send()["message"] == "The smtp user is disabled"
    assert api("sendMail", smtp_user_name="another", message=api.message())["status"] == "success"


def test_limits_may_be_digits_and_omitted_limits_stay(api):
    name = added(api, total_limit="7", hourly_limit="3")
    api("editSmtp", smtp_user_name=name, hourly_limit="4")
    assert api("listSmtp")["smtp_list"] == [
        {"smtp_user_name": name, "status": "Enable", "total_limit": 7, "hourly_limit": 4}
    ]


def test_passwords_are_returned_and_not_stored(api, tmp_path):
    with Sandbox(tmp_path / "caught.db") as sandbox:
        api.sandbox = sandbox
        response = api("addSmtp", total_limit=1, hourly_limit=1)
        reset = api("resetSmtpPassword", smtp_user_name=response["smtp_user_name"])
    assert reset["smtp_user_name"] == response["smtp_user_name"]
    assert reset["smtp_password"] != response["smtp_password"]
    written = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert response["smtp_password"].encode() not in written
    assert reset["smtp_password"].encode() not in written


def test_the_case_of_a_domain_does_not_matter(api, sandbox):
    api("addSendingDomain", domain="A.Example")
    sandbox.add_sending_domain("a.EXAMPLE", valid=True)
    sandbox.add_tracking_domain("t.example", valid=False)
    assert [(domain.domain, domain.valid) for domain in sandbox.sending_domains] == [
        ("a.example", True)
    ]
    assert [(domain.domain, domain.valid) for domain in sandbox.tracking_domains] == [
        ("t.example", False)
    ]
    assert api("checkSendingDomain", domain="A.example") == {
        "status": "success",
        "domain": "a.example",
        "dkim": {"valid": "Yes"},
        "spf": {"valid": "Yes"},
        "valid_signing": "Yes",
    }
    [listed] = api("listTrackingDomain")["tracking_domain_list"]
    assert listed == {"domain": "t.example", "create_date": 1458034022, "cname": {"valid": "No"}}
    with pytest.raises(UsageError, match="domain: 'x y' is not a domain"):
        sandbox.add_sending_domain("x y")


def test_webhooks(api, sandbox):
    assert api("addWebhook", url=URL) == {"status": "success", "message": "Webhook Added"}
    [entry] = api("listWebhook")["webhook_list"]
    assert (entry["event"], entry["store_log"], entry["description"]) == (
        "send,open,click,soft_bounce,hard_bounce,spam",
        "Disable",
        "",
    )
    assert entry["key"] == sandbox.webhooks[0].key.reveal()
    webhook_id = entry["webhook_id"]
    assert api("editWebhook", webhook_id=webhook_id)["message"] == "No update field given !!"
    assert (
        api("editWebhook", webhook_id=webhook_id, event="open")["message"] == "You must specify url"
    )
    assert (
        api("editWebhook", webhook_id=webhook_id, url=f"{URL}/2", event=["open", "click", "open"])[
            "status"
        ]
        == "success"
    )
    assert api("getWebhookInfo", webhook_id=webhook_id)["webhook_data"] == {
        **entry,
        "url": f"{URL}/2",
        "event": "open,click",
        "last_success": 0,
        "total_event": 0,
    }
    ours = sandbox.add_webhook(URL, events="spam", store_log=True, description="ours")
    sandbox.service.registry.edit_webhook(
        ours.webhook_id, last_success=1_458_034_022_000, total_event=3
    )
    info = api("getWebhookInfo", webhook_id=ours.webhook_id)["webhook_data"]
    assert (info["event"], info["last_success"], info["total_event"]) == ("spam", 1458034022, 3)
    assert [webhook.url for webhook in sandbox.webhooks] == [f"{URL}/2", URL]
    assert sandbox.webhooks[1].last_success is not None
    api("deleteWebhook", webhook_id=webhook_id)
    assert [webhook.description for webhook in sandbox.webhooks] == ["ours"]


def test_every_change_has_the_text_that_is_published(api):
    """Clients of the family compare these texts, spelling mistakes and all."""
    limits = {"total_limit": 10, "hourly_limit": 5}
    name = {"smtp_user_name": api("addSmtp", **limits)["smtp_user_name"]}
    domain = {"domain": "example.com"}
    mailbox = {**domain, "mailbox": "postmaster"}
    assert [
        api(call, **members)["message"]
        for call, members in (
            ("addSmtp", limits),
            ("editSmtp", {**name, "total_limit": 11}),
            ("resetSmtpPassword", name),
            ("addSendingDomain", domain),
            ("verifySendingDomain", mailbox),
            ("deleteSendingDomain", domain),
            ("addTrackingDomain", domain),
            ("deleteTrackingDomain", domain),
            ("addWebhook", {"url": URL}),
        )
    ] == [
        "SMTP User Created",
        "SMTP User Updated",
        "password reseted",
        "Sending Domain Added",
        "Verification instruction has been sent to postmaster@example.com",
        "Sending Domain Deleted",
        "Tracking Domain Added",
        "Tracking Domain Deleted",
        "Webhook Added",
    ]
    webhook_id = api("listWebhook")["webhook_list"][0]["webhook_id"]
    assert re.fullmatch("[1-9][0-9]{20}", webhook_id)
    assert [
        api(call, webhook_id=webhook_id, **members)["message"]
        for call, members in (
            ("editWebhook", {"url": f"{URL}/2"}),
            ("keyResetWebhook", {}),
            ("deleteWebhook", {}),
        )
    ] == ["Webhook Edited", "Webhook key reseted", "Webhook Deleted"]


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("settings/keyRestWebhook", ("webhook_id", "key")),
        ("settings/addSmtpUser", ("smtp_user_name", "smtp_password")),
    ],
)
def test_paths_that_published_clients_spell_in_their_own_way(sandbox, path, members):
    given = {"webhook_id": sandbox.add_webhook(URL).webhook_id, "total_limit": 9, "hourly_limit": 3}
    body = json.dumps({"owner_id": "o", "token": "t", **given}).encode()
    call = Call("POST", f"/v1.0/{path}", body=body)
    response = json.loads(sandbox.service.handle(call).response.body)
    assert all(response[name] for name in members)


def test_no_text_has_a_key(api, sandbox):
    webhook = sandbox.add_webhook(URL)
    key = webhook.key.reveal()
    reply = api.reply("listWebhook")
    for value in (webhook, sandbox.webhooks, sandbox.service, vars(sandbox), reply):
        assert key not in repr(value)


def test_a_custom_verifier_checks_the_url(clock, api):
    asked = []
    with Sandbox(
        clock=clock, verify_webhook=lambda url: bool(asked.append(url)) or url == URL
    ) as sandbox:
        api.sandbox = sandbox
        assert api("addWebhook", url=URL)["status"] == "success"
        assert api("addWebhook", url="https://other.example") == {
            "status": "error",
            "code": "-1",
            "name": "ValidationError",
            "type": "ValidationError",
            "message": "Invalid url: it must answer God bless you, PowerEmail",
        }
        webhook_id = sandbox.webhooks[0].webhook_id
        assert (
            api("editWebhook", webhook_id=webhook_id, url="https://other.example")["status"]
            == "error"
        )
        assert sandbox.webhooks[0].url == URL
    assert asked == [URL, "https://other.example", "https://other.example"]


@pytest.mark.parametrize(
    ("responses", "right", "seen"),
    [
        ({"GET": (200, HANDSHAKE)}, True, ["GET"]),
        ({"GET": (200, f"<p>{HANDSHAKE}</p>")}, True, ["GET"]),
        ({"POST": (200, HANDSHAKE)}, True, ["GET", "POST"]),
        ({"GET": (404, HANDSHAKE), "POST": (500, HANDSHAKE)}, False, ["GET", "POST"]),
        ({"GET": (200, "God bless you"), "POST": (200, "")}, False, ["GET", "POST"]),
        ({"GET": (302, "http://127.0.0.1:9/"), "POST": (302, "/")}, False, ["GET", "POST"]),
    ],
)
def test_the_handshake(responses, right, seen):
    with Receiver(responses) as receiver:
        assert answers_handshake(receiver.url) is right
        assert receiver.seen == seen


async def test_the_server_requests_the_handshake_of_its_brand():
    with (
        Sandbox(brand="Acme") as sandbox,
        Receiver({"GET": (200, "God bless you, Acme")}) as ours,
        Receiver() as other,
    ):
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(sandbox.service)), base_url="http://x"
        ) as client:
            responses = []
            for receiver in (ours, other):
                members = {"owner_id": "o", "token": "t", "url": receiver.url}
                responses.append(
                    (await client.post("/v1.0/settings/addWebhook", json=members)).json()["message"]
                )
    assert responses == ["Webhook Added", "Invalid url: it must answer God bless you, Acme"]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/", "http://a.invalid/", "http://127.0.0.1:9/\x7f b", "http://"]
)
def test_an_unreachable_url_is_no_webhook(url):
    assert not answers_handshake(url)


async def test_a_custom_verifier_replaces_that_of_the_server():
    with Sandbox(verify_webhook=lambda url: url == URL) as sandbox:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(sandbox.service)), base_url="http://x"
        ) as client:
            body = {"owner_id": "o", "token": "t", "url": URL}
            assert (await client.post("/v1.0/settings/addWebhook", json=body)).json()[
                "status"
            ] == "success"
            assert (
                await client.post(
                    "/v1.0/settings/addWebhook", json={**body, "url": "http://127.0.0.1:9"}
                )
            ).json()["status"] == "error"


async def test_the_control_api_shows_no_key(sandbox):
    webhook = sandbox.add_webhook(URL, description="ours")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(sandbox.service)),
        base_url="http://localhost/_sandbox/",
    ) as control:
        shown = await control.get("webhooks")
        assert (await control.post("sending_domains", json={"domain": "A.example"})).json() == {}
        assert (
            await control.post("tracking_domains", json={"domain": "t.example", "valid": False})
        ).json() == {}
        refused = await control.post("tracking_domains", json={"domain": "t.example", "valid": 1})
        unusable = await control.post("sending_domains", json={})
        sending = (await control.get("sending_domains")).json()["sending_domains"]
        tracking = (await control.get("tracking_domains")).json()["tracking_domains"]
    assert webhook.key.reveal() not in shown.text
    assert shown.json()["webhooks"][0] == {
        "webhook_id": webhook.webhook_id,
        "url": URL,
        "events": list(webhook.events),
        "store_log": False,
        "description": "ours",
        "created": "2016-03-15T09:27:02.169000+00:00",
        "last_success": None,
        "total_event": 0,
    }
    assert (refused.status_code, refused.json()) == (400, {"error": "valid: must be true or false"})
    assert unusable.status_code == 400
    assert [(domain["domain"], domain["valid"]) for domain in sending] == [("a.example", True)]
    assert [(domain["domain"], domain["valid"]) for domain in tracking] == [("t.example", False)]


def test_the_account(api, sandbox):
    detail = api("viewUserDetail")["user_data"]
    assert detail == api("userDetails")["user_details"]
    assert detail["reputation"] == "100%"


def test_a_fault_prevents_a_change(api, sandbox):
    sandbox.faults.add(Fault.status(503), call="addSendingDomain", times=1)
    sandbox.faults.add(Fault.status(503, accepted=True), call="addTrackingDomain", times=1)
    for call in ("addSendingDomain", "addTrackingDomain"):
        assert api.reply(call, domain="a.example").response.status == 503
    assert (sandbox.sending_domains, len(sandbox.tracking_domains)) == ([], 1)


def test_clear_deletes_all_settings(api, sandbox):
    added(api)
    sandbox.add_sending_domain("a.example")
    sandbox.add_tracking_domain("t.example")
    sandbox.add_webhook(URL)
    sandbox.clear()
    assert (
        sandbox.smtp_users,
        sandbox.sending_domains,
        sandbox.tracking_domains,
        sandbox.webhooks,
    ) == ([], [], [], [])


def test_a_file_keeps_all_settings(tmp_path, api):
    with Sandbox(tmp_path / "caught.db") as sandbox:
        api.sandbox = sandbox
        name = added(api)
        sandbox.add_sending_domain("a.example", valid=False)
        sandbox.add_webhook(URL)
        kept = (sandbox.sending_domains, sandbox.webhooks)
    with Sandbox(tmp_path / "caught.db") as sandbox:
        assert (sandbox.sending_domains, sandbox.webhooks) == kept
        assert [user.name for user in sandbox.smtp_users] == [name]


def test_the_unique_id_that_a_client_adds_is_an_ordinary_header(sandbox):
    with sandbox.client() as client:
        result = client.messages.send_raw(
            "From: a@example.com\nTo: b@example.com\nSubject: x\n\nHi"
        )
    [mail] = sandbox.outbox
    assert (
        message_from_string(mail.raw["raw_message"])["X-Unique-Id"]
        == result.unique_id
        == mail.unique_id
    )
