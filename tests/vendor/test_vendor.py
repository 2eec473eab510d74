"""
The vendor's own spelling: the code of its page, what goes out and comes back byte for byte, and
what is raised.
"""

from __future__ import annotations

import copy
import gc
import json
import os
import pickle
import shutil
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import PowerEmail
import poweremail
from poweremail.sandbox import Fault, Sandbox
from support.fault_server import (
    FaultServer,
    close_after_body,
    reset_after_body,
    respond,
    respond_with,
    truncate,
)

TOKEN = "canary+token/with 9 odd=characters"
FAST = {"retry": poweremail.RetryPolicy(first_wait=0.001), "timeouts": poweremail.Timeouts(read=20)}
SUCCESS = {"status": "success", "message": "message have been Queued ..."}


def mail(**others):
    message = {
        "html": "Example HTML content",
        "text": "Example text content",
        "subject": "example subject",
    }
    message |= {
        "from_email": "me@example.com",
        "to": [{"email": "ada@example.com", "name": "Recipient Name", "type": "to"}],
    }
    return {name: value for name, value in (message | others).items() if value is not ...}


def template(**others):
    return mail(
        **(
            {
                "html": ...,
                "text": ...,
                "template_id": "template_id",
                "dynamic_value": {"NAME": "xyz"},
            }
            | others
        )
    )


def client_of(url: str, **options) -> PowerEmail.PowerEmail:
    return PowerEmail.PowerEmail("owner_id", TOKEN, base_url=url, **(FAST | options))


@pytest.fixture
def server():
    with FaultServer() as server:
        yield server


@pytest.fixture
def client(server):
    with client_of(server.url) as client:
        yield client


# The page's code, statement by statement, in Python 3: what it prints as `message:["html"]` is
# `message["html"]`, and the addresses, which the page hides, are examples. Nothing else is changed
# but the place of the service. It stands in files, since its lines are longer than ours.
PAGE = Path(__file__).parent / "page"
PAGE_SEND_MAIL = (PAGE / "send_mail.txt").read_text()
PAGE_SEND_TEMPLATE = (PAGE / "send_template.txt").read_text()
PAGE_GET_MESSAGE_INFO = (PAGE / "get_message_info.txt").read_text()


def run(code: str, base_url: str) -> dict:
    names = {"base_url": base_url}
    exec(code, names)
    return names


def test_the_page_runs_as_printed(served, capsys):
    served.add_template("template_id", text="Dear {{NAME}}")
    mailed = run(PAGE_SEND_MAIL, served.url)
    assert mailed["result"]["status"] == "success"
    assert type(mailed["result"]) is dict
    assert served.outbox[0].raw == {"smtp_user_name": "smtp12345", "message": mailed["message"]}
    assert [file.content for file in served.outbox[0].attachments] == [b"example file"]
    assert run(PAGE_SEND_TEMPLATE, served.url)["result"]["status"] == "success"
    assert served.outbox[1].text == "Dear xyz"
    records = run(PAGE_GET_MESSAGE_INFO, served.url)["result"]["message_data"]
    assert [record["email"] for record in records] == ["to@example.com"] * 2
    assert "error occurred" not in capsys.readouterr().out


def test_the_page_shows_what_went_wrong(served, capsys):
    run(PAGE_SEND_TEMPLATE, served.url)
    shown = capsys.readouterr().out
    assert shown.startswith(
        "A PowerEmailerror occurred: <class 'poweremail.errors.ValidationError'> - rejected by the "
        "service: "
    )


def test_without_a_base_url_requests_use_https():
    client = PowerEmail.PowerEmail("owner_id", TOKEN, "tes.example.com")
    assert (
        repr(client) == "<PowerEmail.PowerEmail owner_id='owner_id' "
        "base_url='https://api.tes.example.com/v1.0/'>"
    )


# What goes out.

ODD = {
    "text": 'na\u00efve \u2028 \U0001f4e7 "quoted" \\ \t\n </script>',
    "html": None,
    "zzz": [1, 2.5, True, None, {"b": 1, "a": {}}],
}


def plainly(value) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    "message",
    [mail(), mail(**ODD), mail(to=({"email": "ada@example.com"},)), {"unknown": "first"} | mail()],
)
def test_a_message_goes_out_byte_for_byte(server, client, message):
    before = copy.deepcopy(message)
    for send in (client.sendMail, client.messages.sendMail):
        assert send("smtp12345", message) == SUCCESS
        sent = server.seen[-1]
        assert (sent.method, sent.path) == ("POST", "/v1.0/messages/sendMail")
        assert sent.body == plainly(
            {
                "owner_id": "owner_id",
                "token": TOKEN,
                "smtp_user_name": "smtp12345",
                "message": message,
            }
        )
        assert list(sent.json) == ["owner_id", "token", "smtp_user_name", "message"]
    assert message == before
    assert list(message) == list(before)


def test_each_call_about_messages_goes_to_its_path(server, client):
    credentials = {"owner_id": "owner_id", "token": TOKEN}
    raw = "Subject: Hi\r\n\r\nHello"
    client.sendTemplate("smtp1", template())
    client.messages.sendRaw("smtp1", raw)
    client.senRaw("smtp1", raw)
    client.messages.getMessageInfo("x 1")
    client.getMessageInfo("x 1", 3)
    assert [(seen.path.removeprefix("/v1.0/messages/"), seen.json) for seen in server.seen] == [
        ("sendTemplate", credentials | {"smtp_user_name": "smtp1", "message": template()}),
        ("sendRaw", credentials | {"smtp_user_name": "smtp1", "raw_message": raw}),
        ("senRaw", credentials | {"smtp_user_name": "smtp1", "raw_message": raw}),
        ("getMessageInfo", credentials | {"x_unique_id": "x 1", "skip_page": 0}),
        ("getMessageInfo", credentials | {"x_unique_id": "x 1", "skip_page": 3}),
    ]


GET = {
    "template_id": "template_id",
    "subject": "hello",
    "from_email": "me@example.com",
    "to": "ada@example.com",
}


@pytest.mark.parametrize(
    "values",
    [
        {"dynamic_value": {"NAME": "xyz", "Email": "i&d=x@example.com"}},
        {"dynamic_value[NAME]": "xyz", "dynamic_value[Email]": "i&d=x@example.com"},
        {"dynamic_value": {"NAME": "xyz"}, "dynamic_value[Email]": "i&d=x@example.com"},
    ],
)
def test_a_template_goes_out_by_get(server, client, values):
    message = GET | values
    before = copy.deepcopy(message)
    assert client.sendTemplateHTTPGet("smtp123456", message) == SUCCESS
    assert message == before
    assert (server.seen[0].method, server.seen[0].path) == (
        "GET",
        "/v1.0/messages/sendTemplateHTTPGet",
    )
    fields = {"dynamic_value[NAME]": "xyz", "dynamic_value[Email]": "i&d=x@example.com"}
    assert (
        server.seen[0].query
        == {"owner_id": "owner_id", "token": TOKEN, "smtp_user_name": "smtp123456"} | GET | fields
    )


WEBHOOK = {
    "url": "https://example.com/hook",
    "event": "open,click",
    "description": "both",
    "store_log": "Enable",
}
QUOTA = {"total_limit": 500, "hourly_limit": 200}
SETTINGS = [
    ("addSmtp", (500, 200), {}, QUOTA),
    ("addSmtpUser", (), QUOTA, QUOTA),
    ("addSmtpUser", (QUOTA,), {}, QUOTA),
    (
        "editSmtp",
        ("smtp1",),
        {"status": "Disable"},
        {"smtp_user_name": "smtp1", "status": "Disable"},
    ),
    (
        "editSmtp",
        ("smtp1", 80, 15, "Enable"),
        {},
        {"smtp_user_name": "smtp1", "total_limit": 80, "hourly_limit": 15, "status": "Enable"},
    ),
    (
        "editSmtpUser",
        ("smtp1", {"hourly_limit": 15}),
        {},
        {"smtp_user_name": "smtp1", "hourly_limit": 15},
    ),
    ("resetSmtpPassword", ("smtp1",), {}, {"smtp_user_name": "smtp1"}),
    ("resetSmtpUserPassword", ("smtp1",), {}, {"smtp_user_name": "smtp1"}),
    ("listSmtp", (), {}, {}),
    ("listSmtpUser", (), {}, {}),
    *(
        (f"{verb}{kind}Domain", ("example.com",), {}, {"domain": "example.com"})
        for verb in ("add", "check", "delete")
        for kind in ("Sending", "Tracking")
    ),
    (
        "verifySendingDomain",
        ("example.com", "postmaster"),
        {},
        {"domain": "example.com", "mailbox": "postmaster"},
    ),
    ("listSendingDomain", (), {}, {}),
    ("listTrackingDomain", (), {}, {}),
    ("addWebhook", ("https://example.com/hook",), {}, {"url": "https://example.com/hook"}),
    ("addWebhook", tuple(WEBHOOK.values()), {}, WEBHOOK),
    ("addWebhook", (WEBHOOK,), {}, WEBHOOK),
    ("editWebhook", ("w1",), WEBHOOK, {"webhook_id": "w1"} | WEBHOOK),
    ("editWebhook", ({"webhook_id": "w1"} | WEBHOOK,), {}, {"webhook_id": "w1"} | WEBHOOK),
    *(
        (name, ("w1",), {}, {"webhook_id": "w1"})
        for name in ("deleteWebhook", "keyResetWebhook", "getWebhookInfo")
    ),
    ("listWebhook", (), {}, {}),
]
LONGER = {
    "addSmtpUser": "addSmtp",
    "editSmtpUser": "editSmtp",
    "resetSmtpUserPassword": "resetSmtpPassword",
    "listSmtpUser": "listSmtp",
}


@pytest.mark.parametrize(("name", "args", "kwargs", "members"), SETTINGS)
def test_each_call_about_settings_goes_to_its_path(server, client, name, args, kwargs, members):
    assert getattr(client.settings, name)(*args, **kwargs) == SUCCESS
    assert server.seen[0].path == f"/v1.0/settings/{LONGER.get(name, name)}"
    assert server.seen[0].body == plainly({"owner_id": "owner_id", "token": TOKEN} | members)


def test_every_call_about_settings_exists():
    methods = {name for name in vars(PowerEmail.Settings) if not name.startswith("_")}
    assert methods == {name for name, *_ in SETTINGS}


def test_the_account_and_call(server, client):
    client.account.viewUserDetail()
    client.call("accounts/userDetails", {"a": 1})
    assert [seen.path for seen in server.seen] == [
        "/v1.0/account/viewUserDetail",
        "/v1.0/accounts/userDetails",
    ]


# What comes back.


def test_the_response_is_returned_unchanged():
    response_text = (
        '{"zeta": [1, 2.50, true, null], "status": "success", "message": 250, "alpha": '
        '{"b": "1", "a": "\\u00e9"}}'
    )
    sloppy = '{"status": "success", "message": message have been Queued ..., }'
    with (
        FaultServer(respond(response_text), respond(sloppy), respond(response_text)) as server,
        client_of(server.url) as client,
    ):
        assert json.dumps(client.sendMail("smtp1", mail())) == json.dumps(json.loads(response_text))
        assert client.sendMail("smtp1", mail()) == SUCCESS
        assert json.dumps(client.getMessageInfo("x")) == json.dumps(json.loads(response_text))


# What is refused before it is sent.

FORBIDDEN = [
    ("html", mail(html=..., text=...)),
    ("html", mail(html="", text=" ")),
    ("html", mail(html=None, text=None)),
    ("html", mail(html=b"<p>")),
    ("text", mail(text=5)),
    ("subject", mail(subject=...)),
    ("subject", mail(subject="")),
    ("subject", mail(subject="Hi\r\nBcc: all@example.com")),
    ("from_email", mail(from_email=...)),
    ("from_email", mail(from_email=["me@example.com"])),
    ("from_name", mail(from_name=3)),
    ("to", mail(to=...)),
    ("to", mail(to=[])),
    ("to", mail(to="ada@example.com")),
    ("to", mail(to=["ada@example.com"])),
    ("to[0].email", mail(to=[{}])),
    ("to[1].email", mail(to=[{"email": "ada@example.com"}, {"email": ""}])),
    ("to[0].email", mail(to=[{"email": "ada@example.com, Bob <bob@example.com>"}])),
    ("from_email", mail(from_email="ada@example.com; bob@example.com")),
    ("to[0].name", mail(to=[{"email": "ada@example.com", "name": 7}])),
    ("to[0].type", mail(to=[{"email": "ada@example.com", "type": "reply"}])),
    ("headers", mail(headers=["Reply-To"])),
    ("headers['X-A']", mail(headers={"X-A": None})),
    ("headers['X-A']", mail(headers={"X-A": "a\nb"})),
    ("attachments", mail(attachments={"name": "a"})),
    ("attachments[0].name", mail(attachments=[{"type": "text/plain", "content": ""}])),
    ("attachments[0].content", mail(attachments=[{"type": "text/plain", "name": "a"}])),
    ("images[0].type", mail(images=[{"type": "text/plain", "name": "a", "content": ""}])),
    ("message", None),
    ("message", "Hello"),
    ("body", mail(zzz=object())),
    ("body", mail(zzz=float("nan"))),
    ("text", mail(text="\ud800")),
]  # fmt: skip


def refused(send, field: str) -> PowerEmail.Error:
    with pytest.raises(PowerEmail.ValidationError) as caught:
        send()
    error = caught.value
    assert isinstance(error, PowerEmail.ParameterError | poweremail.UsageError | ValueError)
    assert (type(error), error.field, error.mail_state, error.raw) == (
        PowerEmail.ParameterError,
        field,
        "not_sent",
        None,
    )
    assert (error.name, error.code, error.retry_after) == ("ValidationError", None, None)
    assert str(error).startswith(f"not sent: {field}: ")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
    return error


@pytest.mark.parametrize(("field", "message"), FORBIDDEN)
def test_messages_that_the_page_forbids_are_not_sent(server, client, field, message):
    refused(lambda: client.sendMail("smtp1", message), field)
    assert server.seen == []


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("template_id", template(template_id=...)),
        ("template_id", template(template_id=5)),
        ("dynamic_value", template(dynamic_value=["NAME"])),
        ("dynamic_value['NAME']", template(dynamic_value={"NAME": True})),
        ("to", template(to=None)),
    ],
)
def test_templates_that_the_page_forbids_are_not_sent(server, client, field, message):
    refused(lambda: client.messages.sendTemplate("smtp1", message), field)
    assert server.seen == []


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("template_id", GET | {"template_id": ""}),
        ("to", GET | {"to": [{"email": "ada@example.com"}]}),
        ("to", {name: value for name, value in GET.items() if name != "to"}),
        ("headers", GET | {"headers": {"X-Unique-Id": "1"}}),
        ("dynamic_value", GET | {"dynamic_value": "xyz"}),
        ("owner_id, token", GET | {"token": TOKEN, "owner_id": "owner_id"}),
        ("message", "hello"),
    ],
)
def test_a_template_that_a_get_cannot_carry_is_not_sent(server, client, field, message):
    refused(lambda: client.sendTemplateHTTPGet("smtp1", message), field)
    assert server.seen == []


def test_a_send_needs_an_smtp_user(server, client):
    for name in ("", None, 5, "a\nb"):
        for send, message in (
            (client.sendMail, mail()),
            (client.sendTemplate, template()),
            (client.sendRaw, "raw"),
            (client.sendTemplateHTTPGet, GET),
        ):
            if not (name is None and send == client.sendTemplateHTTPGet):
                refused(
                    lambda send=send, message=message, name=name: send(name, message),
                    "smtp_user_name",
                )
    refused(lambda: client.sendTemplateHTTPGet(None, GET), "smtp_user_name")
    refused(lambda: client.sendRaw("smtp1", ""), "raw_message")
    assert server.seen == []


@pytest.mark.parametrize(
    ("field", "ask"),
    [
        ("x_unique_id", lambda client: client.getMessageInfo("")),
        ("x_unique_id", lambda client: client.getMessageInfo(None)),
        ("skip_page", lambda client: client.getMessageInfo("x", -1)),
        ("skip_page", lambda client: client.getMessageInfo("x", "1")),
        ("hourly_limit", lambda client: client.settings.addSmtp(1)),
        ("total_limit", lambda client: client.settings.addSmtp(0, 1)),
        ("total_limit", lambda client: client.settings.addSmtp("5", 1)),
        ("domain", lambda client: client.settings.addSendingDomain("")),
        ("mailbox", lambda client: client.settings.verifySendingDomain("example.com", None)),
        ("status", lambda client: client.settings.editSmtp("smtp1", status="off")),
        (
            "store_log",
            lambda client: client.settings.addWebhook("https://example.com", store_log=True),
        ),
        ("path", lambda client: client.call("../elsewhere")),
        ("body", lambda client: client.call("settings/x", {"token": "t"})),
    ],
)
def test_invalid_arguments_of_other_calls_are_not_sent(server, client, field, ask):
    with pytest.raises(PowerEmail.ParameterError) as caught:
        ask(client)
    assert (caught.value.field, caught.value.mail_state) == (field, None)
    assert server.seen == []


def test_invalid_options():
    # fmt: skip  # noqa: RUF028
    for arguments, options in (
        (("", TOKEN, "a.example"), {}),
        (("o", None, "a.example"), {}),
        (("o", TOKEN), {}),
        (("o", TOKEN, "a.example"), {"retry": 3}),
    ):
        with pytest.raises(PowerEmail.Error) as caught:
            PowerEmail.PowerEmail(*arguments, **options)
        assert isinstance(caught.value, PowerEmail.ValidationError)


# What is raised.


def envelope(name: str, **others) -> dict:
    return {"status": "error", "code": "-1", "name": name, "message": "Token MissMatch"} | others


@pytest.mark.parametrize(
    ("behaviour", "kinds", "state", "requests"),
    [
        (respond(envelope("ValidationError")), (PowerEmail.ValidationError,), "rejected", 1),
        (
            respond(envelope("AuthenticationError")),
            (PowerEmail.AuthenticationError,),
            "rejected",
            1,
        ),
        (respond(envelope("Invalid_Key")), (PowerEmail.AuthenticationError,), "rejected", 1),
        (
            respond(envelope("GeneralError")),
            (PowerEmail.GeneralError, PowerEmail.DeliveryUnknownError),
            "unknown",
            1,
        ),
        (
            respond(envelope("SendingError"), status=500),
            (PowerEmail.SendingFailedError,),
            "unknown",
            1,
        ),
        (respond(envelope("Other")), (poweremail.ApiError,), "rejected", 1),
        (respond(envelope("Other"), status=429), (PowerEmail.RateLimitError,), "not_sent", 4),
        (reset_after_body, (PowerEmail.DeliveryUnknownError,), "unknown", 1),
        (close_after_body, (PowerEmail.DeliveryUnknownError,), "unknown", 1),
        (truncate, (PowerEmail.DeliveryUnknownError,), "unknown", 1),
        (
            respond("<html>502</html>", status=502),
            (PowerEmail.GeneralError, PowerEmail.DeliveryUnknownError),
            "unknown",
            1,
        ),
        (respond("<html>ok</html>"), (PowerEmail.DeliveryUnknownError,), "unknown", 1),
    ],
)
def test_every_failure_raises_with_the_state_of_the_mail(behaviour, kinds, state, requests):
    message = mail(
        headers={"x-unique-id": "mine"},
        to=[{"email": "ada@example.com"}, {"email": "bob@example.com", "type": "bcc"}],
    )
    with FaultServer(behaviour) as server, client_of(server.url) as client:
        with pytest.raises(PowerEmail.Error) as caught:
            client.sendMail("smtp1", message)
        assert server.posts == requests
    error = caught.value
    assert all(isinstance(error, kind) for kind in kinds)
    assert error.mail_state == state
    if state == "unknown":
        assert (error.unique_id, error.recipients) == (
            "mine",
            ("ada@example.com", "bob@example.com"),
        )
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), str(error))
    shown = "".join(
        traceback.TracebackException.from_exception(error, capture_locals=True).format()
    )
    assert TOKEN not in shown + repr(error) + str(error)


def test_an_error_keeps_the_name_and_message_of_the_service():
    with (
        FaultServer(respond(envelope("GeneralError", code=-1))) as server,
        client_of(server.url) as client,
    ):
        with pytest.raises(PowerEmail.GeneralError) as caught:
            client.sendMail("smtp1", mail())
        assert (caught.value.name, caught.value.message, caught.value.code) == (
            "GeneralError",
            "Token MissMatch",
            -1,
        )
        assert (caught.value.raw.status, caught.value.unique_id) == (200, None)
        assert str(caught.value).startswith(
            "unknown whether it was sent: GeneralError: Token MissMatch"
        )
        with pytest.raises(PowerEmail.GeneralError) as caught:
            client.settings.listSmtp()
        assert caught.value.mail_state is None


def test_a_mail_that_never_arrives_is_repeated_and_not_sent():
    with FaultServer() as server:
        url = server.url
    events = []
    with client_of(
        url, retry=poweremail.RetryPolicy(3, first_wait=0, on_retry=events.append)
    ) as client:
        with pytest.raises(PowerEmail.NotSentError) as caught:
            client.sendMail("smtp1", mail())
    assert (caught.value.mail_state, len(events)) == ("not_sent", 2)
    with (
        FaultServer(respond("busy", status=429), respond()) as server,
        client_of(server.url) as client,
    ):
        assert client.sendMail("smtp1", mail()) == SUCCESS
        assert server.posts == 2
        assert server.seen[0].body == server.seen[1].body


def test_an_unknown_mail_can_be_looked_up(served):
    message = mail(headers={"X-Unique-Id": "mine"})
    served.faults.add(Fault.reset_after_acceptance(), call="sendMail")
    with client_of(served.url, on_unknown="reconcile", visibility=1) as client:
        assert client.sendMail("smtp1", message) == {
            "status": "success",
            "message": "accepted: getMessageInfo shows it",
        }
        with pytest.raises(PowerEmail.DeliveryUnknownError) as caught:
            client.sendMail("smtp1", mail())  # without an id nobody can look
        assert caught.value.unique_id is None
    assert len(served.outbox) == 2


def test_sends_keep_to_the_limits(served):
    def stop(wait) -> None:
        raise TimeoutError(wait.smtp_user_name)

    limits = poweremail.RateLimits(per_minute=1, on_wait=stop)
    with client_of(served.url, limits=limits) as client:
        client.sendMail("smtp1", mail())
        with pytest.raises(TimeoutError, match="smtp1"):
            client.sendMail("smtp1", mail())
        client.sendMail("smtp2", mail())
    assert len(served.outbox) == 2


# The client as an object.


def test_threads_share_a_client():
    echo = respond_with(lambda seen: SUCCESS | {"subject": seen.json["message"]["subject"]})
    with (
        FaultServer(echo) as server,
        client_of(server.url) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        subjects = [f"subject {number}" for number in range(40)]
        responses = pool.map(
            lambda subject: client.sendMail("smtp1", mail(subject=subject)), subjects
        )
        assert [response["subject"] for response in responses] == subjects


def test_a_closed_client_raises(server):
    client = client_of(server.url)
    client.close()
    client.close()
    with pytest.raises(PowerEmail.Error, match="the client is closed"):
        client.sendMail("smtp1", mail())


def test_a_client_closes_when_nothing_refers_to_it(server):
    messages = client_of(server.url).messages
    gc.collect()
    assert messages.sendMail("smtp1", mail()) == SUCCESS
    inner = messages._client
    del messages
    gc.collect()
    with pytest.raises(poweremail.UsageError, match="closed"):
        inner.call("settings/listSmtp")


def test_the_token_is_in_no_text(server, client, caplog):
    caplog.set_level(0)
    client.sendTemplateHTTPGet("smtp1", GET)
    client.sendMail("smtp1", mail())
    assert TOKEN not in repr(client) + repr(client.settings) + caplog.text
    with pytest.raises(PowerEmail.Error) as caught:
        PowerEmail.PowerEmail("owner_id", TOKEN, "no domain")
    shown = "".join(
        traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    )
    assert "<PowerEmail.PowerEmail>" in shown
    assert TOKEN not in shown


def test_the_names_are_there_and_no_others():
    assert set(PowerEmail.__all__) <= set(dir(PowerEmail))
    for name in PowerEmail.__all__:
        assert getattr(PowerEmail, name) is not None
    for kind in (
        PowerEmail.ValidationError,
        PowerEmail.AuthenticationError,
        PowerEmail.GeneralError,
        PowerEmail.SendingFailedError,
    ):
        assert issubclass(kind, PowerEmail.Error)
    with pytest.raises(AttributeError, match="module 'PowerEmail' has no attribute 'nothing'"):
        _ = PowerEmail.nothing


@pytest.mark.parametrize(
    "order", ["import PowerEmail, poweremail", "import poweremail, PowerEmail"]
)
def test_both_names_import_where_case_is_ignored(tmp_path, order):
    """
    A link makes the package answer to both names, as with PYTHONCASEOK where the file system
    ignores case: it goes before a file.
    """
    root = Path(poweremail.__file__).parent
    shutil.copytree(root, tmp_path / "poweremail", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root.parent / "PowerEmail.py", tmp_path)
    (tmp_path / "PowerEmail").symlink_to("poweremail")
    code = (
        f"{order}; print(PowerEmail.PowerEmail.sendMail.__module__, "
        "poweremail.PowerEmail.__module__, PowerEmail.Error.__name__)"
    )
    # It is a copy that runs here: its coverage is nobody's.
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")
    }
    environ |= {"PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=environ,
        cwd=tmp_path,
    )
    assert done.stdout.split() == [
        "poweremail._vendor.messages",
        "poweremail._sync.client",
        "PowerEmailError",
    ]


def test_a_rehearsal_of_the_environment_redirects_every_send(monkeypatch):
    monkeypatch.setenv("POWEREMAIL_REDIRECT_TO", "qa@example.com")
    with Sandbox() as sandbox, sandbox.server() as running:
        sandbox.add_template("template_id", html="x")
        with client_of(running.url) as client:
            client.messages.sendMail("smtp1", mail())
            client.messages.sendTemplate("smtp1", template())
            client.messages.sendRaw(
                "smtp1", "From: me@example.com\nSubject: s\nTo: a@example.com\n\nHi"
            )
            client.messages.sendTemplateHTTPGet(
                "smtp1",
                {
                    "template_id": "template_id",
                    "subject": "s",
                    "from_email": "me@example.com",
                    "to": "ada@example.com",
                },
            )
        assert {mail.to for mail in sandbox.outbox} == {("qa@example.com",)}
        assert len(sandbox.outbox) == 4
