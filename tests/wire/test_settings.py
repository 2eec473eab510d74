"""
The calls about settings and the account: what goes out, member by member, and what is made of the
answers.
"""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poweremail import (
    AccountDetail,
    Deployment,
    ProtocolError,
    Response,
    Secret,
    SendingDomain,
    SmtpUser,
    Timeouts,
    TrackingDomain,
    UsageError,
    Webhook,
)
from poweremail._wire import decode_settings as decode
from poweremail._wire import encode, operations
from poweremail._wire import encode_settings as calls
from poweremail._wire.decode import ApiResponse
from poweremail._wire.http import Endpoint
from poweremail._wire.redaction import Credentials

ENDPOINT = Endpoint(
    "https://api.tes.example.com/v1.0/", Credentials("o", Secret("token")), Timeouts(), 1 << 24
)
RAW = Response(200)
DAY = datetime(2016, 3, 15, 9, 27, 2, tzinfo=UTC)
HOOK = {"events": None, "description": None, "store_log": None}
LIMITS = {"total_limit": None, "hourly_limit": None, "enabled": None}


def sent(request) -> dict:
    body = json.loads(b"".join(request.body.pieces()))
    assert (body.pop("owner_id"), body.pop("token"), request.method) == ("o", "token", "POST")
    return body


@pytest.mark.parametrize(
    ("request_", "path", "body"),
    [
        (
            calls.request(ENDPOINT, operations.ADD_SMTP, total_limit=10, hourly_limit=5),
            "addSmtp",
            {"total_limit": 10, "hourly_limit": 5},
        ),
        (
            calls.edit_smtp(ENDPOINT, "s", {"total_limit": 1, "hourly_limit": 2, "enabled": True}),
            "editSmtp",
            {"smtp_user_name": "s", "total_limit": 1, "hourly_limit": 2, "status": "Enable"},
        ),
        (
            calls.edit_smtp(ENDPOINT, "s", LIMITS | {"enabled": False}),
            "editSmtp",
            {"smtp_user_name": "s", "status": "Disable"},
        ),
        (
            calls.request(ENDPOINT, operations.RESET_SMTP_PASSWORD, smtp_user_name=" s "),
            "resetSmtpPassword",
            {"smtp_user_name": "s"},
        ),
        (calls.request(ENDPOINT, operations.LIST_SMTP), "listSmtp", {}),
        (
            calls.request(ENDPOINT, operations.ADD_SENDING_DOMAIN, domain="a.example"),
            "addSendingDomain",
            {"domain": "a.example"},
        ),
        (
            calls.request(ENDPOINT, operations.DELETE_SENDING_DOMAIN, domain="ü.example"),
            "deleteSendingDomain",
            {"domain": "ü.example"},
        ),
        (
            calls.request(ENDPOINT, operations.CHECK_SENDING_DOMAIN, domain="a.example"),
            "checkSendingDomain",
            {"domain": "a.example"},
        ),
        (
            calls.verify_sending_domain(ENDPOINT, "a.example", "postmaster"),
            "verifySendingDomain",
            {"domain": "a.example", "mailbox": "postmaster"},
        ),
        (calls.request(ENDPOINT, operations.LIST_SENDING_DOMAIN), "listSendingDomain", {}),
        (
            calls.request(ENDPOINT, operations.ADD_TRACKING_DOMAIN, domain="a.example"),
            "addTrackingDomain",
            {"domain": "a.example"},
        ),
        (
            calls.request(ENDPOINT, operations.DELETE_TRACKING_DOMAIN, domain="a.example"),
            "deleteTrackingDomain",
            {"domain": "a.example"},
        ),
        (
            calls.request(ENDPOINT, operations.CHECK_TRACKING_DOMAIN, domain="a.example"),
            "checkTrackingDomain",
            {"domain": "a.example"},
        ),
        (calls.request(ENDPOINT, operations.LIST_TRACKING_DOMAIN), "listTrackingDomain", {}),
        (
            calls.request(ENDPOINT, operations.ADD_WEBHOOK, HOOK, url="https://a.example/x?y=1"),
            "addWebhook",
            {"url": "https://a.example/x?y=1"},
        ),
        (
            calls.request(
                ENDPOINT,
                operations.ADD_WEBHOOK,
                {"events": ["open", "click", "open"], "description": "", "store_log": True},
                url="http://a.example",
            ),
            "addWebhook",
            {
                "url": "http://a.example",
                "event": "open,click",
                "description": "",
                "store_log": "Enable",
            },
        ),
        (
            calls.request(
                ENDPOINT,
                operations.EDIT_WEBHOOK,
                {"events": "spam", "description": "ü\n", "store_log": False},
                webhook_id="w",
                url="http://a.example",
            ),
            "editWebhook",
            {
                "webhook_id": "w",
                "url": "http://a.example",
                "event": "spam",
                "description": "ü\n",
                "store_log": "Disable",
            },
        ),
        (
            calls.request(ENDPOINT, operations.DELETE_WEBHOOK, webhook_id="w"),
            "deleteWebhook",
            {"webhook_id": "w"},
        ),
        (
            calls.request(ENDPOINT, operations.KEY_RESET_WEBHOOK, webhook_id="w"),
            "keyResetWebhook",
            {"webhook_id": "w"},
        ),
        (calls.request(ENDPOINT, operations.LIST_WEBHOOK), "listWebhook", {}),
        (
            calls.request(ENDPOINT, operations.GET_WEBHOOK_INFO, webhook_id="w"),
            "getWebhookInfo",
            {"webhook_id": "w"},
        ),
    ],
)
def test_each_call_sends_its_members(request_, path, body):
    assert request_.operation.path == f"settings/{path}"
    assert request_.operation == encode.call(ENDPOINT, request_.operation.path, {}).operation
    assert sent(request_) == body


def test_the_account_by_the_path_of_the_deployment():
    assert calls.user_detail(ENDPOINT).url.endswith("/v1.0/account/viewUserDetail")
    other = Endpoint(
        "https://x/",
        ENDPOINT.credentials,
        Timeouts(),
        1,
        deployment=Deployment(user_detail="accounts/userDetails"),
    )
    assert calls.user_detail(other).url == "https://x/accounts/userDetails"
    assert calls.user_detail(other).operation.reads


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (
            lambda: calls.request(ENDPOINT, operations.ADD_SMTP, total_limit=None, hourly_limit=1),
            "total_limit",
        ),
        (
            lambda: calls.request(ENDPOINT, operations.ADD_SMTP, total_limit=1, hourly_limit=True),
            "hourly_limit",
        ),
        (
            lambda: calls.request(ENDPOINT, operations.ADD_SMTP, total_limit=1, hourly_limit="5"),
            "hourly_limit",
        ),
        (lambda: calls.edit_smtp(ENDPOINT, "s", LIMITS), ""),
        (lambda: calls.edit_smtp(ENDPOINT, "", LIMITS | {"enabled": True}), "smtp_user_name"),
        (
            lambda: calls.edit_smtp(ENDPOINT, "s\r\n", LIMITS | {"enabled": True}),
            "smtp_user_name",
        ),
        (lambda: calls.edit_smtp(ENDPOINT, "s", LIMITS | {"enabled": "Enable"}), "enabled"),
        (lambda: calls.edit_smtp(ENDPOINT, "s", LIMITS | {"total_limit": 0}), "total_limit"),
        *(
            (
                lambda domain=domain: calls.request(
                    ENDPOINT, operations.ADD_SENDING_DOMAIN, domain=domain
                ),
                "domain",
            )
            for domain in (
                "",
                "a b.example",
                "https://a.example",
                "ada@a.example",
                "example",
                "a..example",
                "[127.0.0.1]",
                None,
                "\0",
            )
        ),
        *(
            (
                lambda mailbox=mailbox: calls.verify_sending_domain(ENDPOINT, "a.example", mailbox),
                "mailbox",
            )
            for mailbox in ("", "a@b", "a b", None, "a\n", '"a@b"')
        ),
        *(
            (lambda url=url: calls.request(ENDPOINT, operations.ADD_WEBHOOK, HOOK, url=url), "url")
            for url in (
                "",
                "a.example",
                "ftp://a.example",
                "https://",
                "https://a b",
                "http://a:99999",
                "http://[x",
                "file:///x",
                5,
            )
        ),
        *(
            (
                lambda events=events: calls.request(
                    ENDPOINT, operations.ADD_WEBHOOK, HOOK | {"events": events}, url="http://a"
                ),
                "events",
            )
            for events in ((), "", "opened", ["open", "x"], 5, ["open,click"], [["open"]], [5])
        ),
        (
            lambda: calls.request(
                ENDPOINT, operations.ADD_WEBHOOK, HOOK | {"store_log": "Yes"}, url="http://a"
            ),
            "store_log",
        ),
        (
            lambda: calls.request(
                ENDPOINT, operations.ADD_WEBHOOK, HOOK | {"description": 5}, url="http://a"
            ),
            "description",
        ),
        (
            lambda: calls.request(
                ENDPOINT, operations.EDIT_WEBHOOK, HOOK, webhook_id=" ", url="http://a"
            ),
            "webhook_id",
        ),
        (lambda: calls.request(ENDPOINT, operations.DELETE_WEBHOOK, webhook_id=5), "webhook_id"),
    ],
)
def test_invalid_arguments(call, field):
    with pytest.raises(UsageError) as caught:
        call()
    assert (caught.value.field, caught.value.mail_state) == (field, None)
    assert "sent" not in str(caught.value)


@pytest.mark.parametrize("status", ["Enable", "enabled", "Yes", "TRUE", "1", 1, True, "On"])
def test_each_spelling_of_yes_is_true(status):
    user = decode.decode(
        SmtpUser,
        {"smtp_user_name": "s", "status": status, "total_limit": "10", "hourly_limit": 5.0},
        RAW,
    )
    assert (user.smtp_user_name, user.enabled, user.total_limit, user.hourly_limit, user.extra) == (
        "s",
        True,
        10,
        5,
        {},
    )
    assert (user.password, user.raw) == (None, RAW)


@pytest.mark.parametrize("status", ["Disable", "no", "False", "0", 0, False])
def test_each_spelling_of_no_is_false(status):
    assert decode.decode(SmtpUser, {"status": status}, RAW).enabled is False


@pytest.mark.parametrize("status", ["perhaps", 2, [], {}, 1.5])
def test_members_that_cannot_be_read_are_kept_in_extra(status):
    user = decode.decode(
        SmtpUser, {"status": status, "hourly_limit": "unlimited", "more": [1]}, RAW
    )
    assert (user.smtp_user_name, user.enabled, user.hourly_limit) == ("", None, None)
    assert user.extra == {"status": status, "hourly_limit": "unlimited", "more": [1]}


@pytest.mark.parametrize(
    "date", [1458034022, "1458034022", 1458034022000, "1458034022000", 1458034022000000]
)
@pytest.mark.parametrize("valid", [{"valid": "Yes"}, {"valid": True}, "yes", True, {"valid": 1}])
def test_domains(date, valid):
    domain = decode.decode(
        SendingDomain,
        {"domain": "a.example", "create_date": date, "dkim": valid, "spf": {"valid": "No"}},
        RAW,
    )
    assert (domain.domain, domain.create_date, domain.dkim_valid, domain.spf_valid) == (
        "a.example",
        DAY,
        True,
        False,
    )
    assert (domain.verified, domain.valid_signing, domain.extra) == (None, None, {})
    tracking = decode.decode(
        TrackingDomain,
        {"domain": "a.example", "create_date": date, "cname": valid, "valid_tracking": "No"},
        RAW,
    )
    assert (
        tracking.create_date,
        tracking.cname_valid,
        tracking.valid_tracking,
        tracking.extra,
    ) == (DAY, True, False, {})


def test_unknown_members_of_a_domain_check_are_kept():
    domain = decode.decode(
        SendingDomain,
        {"dkim": {"valid": "No", "record": "v=DKIM1"}, "create_date": "yesterday"},
        RAW,
    )
    assert (domain.dkim_valid, domain.create_date) == (False, None)
    assert domain.extra == {
        "dkim": {"valid": "No", "record": "v=DKIM1"},
        "create_date": "yesterday",
    }


@pytest.mark.parametrize("event", ["open, click,", ["open", "click"]])
def test_webhooks(event):
    members = {
        "webhook_id": 7,
        "event": event,
        "key": Secret("k"),
        "store_log": "Enable",
        "total_event": "3",
        "url": None,
    }
    webhook = decode.decode(Webhook, {**members, "last_success": 1458034022}, RAW)
    assert (webhook.webhook_id, webhook.events, webhook.key) == (
        "7",
        ("open", "click"),
        Secret("k"),
    )
    assert (webhook.store_log, webhook.total_event, webhook.last_success, webhook.url) == (
        True,
        3,
        DAY,
        None,
    )
    assert webhook.extra == {}


@pytest.mark.parametrize(
    ("told", "percent"),
    [
        ("50%", 50.0),
        ("50", 50.0),
        (" 49.5 % ", 49.5),
        (50, 50.0),
        (0.5, 0.5),
        ("good", None),
        (True, None),
        (10**400, None),
        (math.nan, None),
        (math.inf, None),
    ],
)
def test_reputation(told, percent):
    detail = decode.decode(
        AccountDetail, {"reputation": told, "allowed_speed": "1000", "mobile": 49123}, RAW
    )
    assert (detail.reputation, detail.allowed_speed, detail.mobile) == (percent, 1000, "49123")
    assert detail.extra == ({} if percent is not None else {"reputation": told})


def test_a_list_is_read():
    response = {
        "status": "success",
        "message": "ok",
        "total": 2,
        "smtp_list": [{"smtp_user_name": "a"}, {"smtp_user_name": "b"}],
    }
    listing = decode.listing(SmtpUser, ApiResponse(response, RAW), "smtp_list")
    assert [user.smtp_user_name for user in listing] == ["a", "b"]
    assert (len(listing), listing[1].smtp_user_name, listing.extra, listing.raw) == (
        2,
        "b",
        {"total": 2},
        RAW,
    )


@pytest.mark.parametrize(
    "response", [{}, {"smtp_list": None}, {"smtp_list": {}}, {"smtp_list": ["a"]}]
)
def test_a_response_without_a_list_is_a_protocol_error(response):
    with pytest.raises(ProtocolError, match="no list of objects in smtp_list"):
        decode.listing(SmtpUser, ApiResponse(response, RAW), "smtp_list")


@pytest.mark.parametrize("name", ["user_data", "user_details"])
def test_an_object_is_read_under_either_name(name):
    response = {"status": "success", name: {"name": "Ada"}}
    assert (
        decode.one(AccountDetail, ApiResponse(response, RAW), "user_data", "user_details").name
        == "Ada"
    )


@pytest.mark.parametrize("response", [{}, {"user_data": []}, {"user_details": None}])
def test_a_response_without_an_object_is_a_protocol_error(response):
    with pytest.raises(ProtocolError, match="no object in user_data or user_details"):
        decode.one(AccountDetail, ApiResponse(response, RAW), "user_data", "user_details")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.sampled_from(["Yes", "1", "50%", "1458034022"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["valid", "x"]), inner, max_size=2)
    ),
    max_leaves=5,
)
NAMES = [
    "smtp_user_name",
    "status",
    "total_limit",
    "hourly_limit",
    "password",
    "smtp_password",
    "domain",
    "create_date",
    "dkim",
    "spf",
    "verify_domain",
    "valid_signing",
    "valid_tracking",
    "cname",
    "webhook_id",
    "url",
    "event",
    "key",
    "store_log",
    "description",
    "last_success",
    "total_event",
    "name",
    "email",
    "mobile",
    "allowed_speed",
    "reputation",
    "more",
]
KINDS = (
    SmtpUser,
    SendingDomain,
    TrackingDomain,
    Webhook,
    AccountDetail,
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8), st.sampled_from(KINDS))
def test_any_members_are_read_or_kept_in_extra(members, kind):
    result = decode.decode(kind, members, RAW)
    unread = {name: value for name, value in members.items() if name in result.extra}
    assert repr(dict(result.extra)) == repr(unread)
    for name, value in members.items():
        # What was not kept was either read or says nothing.
        known = not isinstance(value, dict | list) or name in (
            "event",
            "dkim",
            "spf",
            "verify_domain",
            "valid_signing",
            "cname",
        )
        assert name in result.extra or known or name == "valid_tracking"
