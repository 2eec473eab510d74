"""The calls, as the vendor's page describes them."""

import json
from datetime import UTC, datetime

import pytest

from poweremail.sandbox import Call, CaughtFile, CaughtRecipient, Sandbox

SUCCESS = {"status": "success", "message": "message have been Queued ..."}
TEMPLATE_SUCCESS = {"status": "success", "message": "250 Message Queued..."}
GET = (
    "owner_id=o&token=secret-token&smtp_user_name=smtp12345&template_id=t1&subject=hello"
    "&from_email=from%40example.com&to=ada%40example.com"
)


def test_the_vendors_example_of_send_mail(api, sandbox):
    response = api.send(
        attachments=[{"type": "text/plain", "name": "myfile.txt", "content": "ZXhhbXBsZSBmaWxl"}],
        images=[{"type": "image/png", "name": "IMAGECID", "content": "dgfdddger"}],
    )
    assert response == SUCCESS
    (mail,) = sandbox.outbox
    assert (mail.number, mail.operation, mail.smtp_user_name, mail.unique_id) == (
        1,
        "sendMail",
        "smtp12345",
        "Id",
    )
    assert (mail.subject, mail.html, mail.text) == (
        "example subject",
        "Example HTML content",
        "Example text content",
    )
    assert (mail.from_email, mail.from_name) == ("from@example.com", None)
    assert mail.recipients == (CaughtRecipient("to", "ada@example.com", "Ada"),)
    assert mail.headers == {"Reply-To": "reply@example.com", "X-Unique-Id": "Id"}
    assert mail.attachments == (CaughtFile("myfile.txt", "text/plain", b"example file"),)
    assert [len(image.content) for image in mail.images] == [6]
    assert mail.received == datetime(2016, 3, 15, 9, 27, 2, 169000, tzinfo=UTC)
    assert (mail.template_id, mail.dynamic_value) == (None, {})


def test_credentials_are_not_kept_and_not_shown(api, sandbox, tmp_path):
    with Sandbox(tmp_path / "caught.db") as kept:
        body = json.dumps(
            {
                "owner_id": "owner-1",
                "token": "secret-token",
                "smtp_user_name": "s",
                "message": {"subject": "x"},
            }
        )
        call = Call("POST", "/messages/sendMail", "token=secret-token", body.encode())
        kept.service.handle(call)
    assert "secret-token" not in repr(call)
    api.send()
    assert sandbox.outbox[0].raw.keys() == {"smtp_user_name", "message"}
    assert b"secret-token" not in b"".join(file.read_bytes() for file in tmp_path.iterdir())


def test_recipients_by_type(api, sandbox):
    api.send(
        to=[
            {"email": "a@example.com"},
            {"email": "b@example.com", "type": "CC"},
            {"email": "c@example.com", "type": "bcc", "name": "C"},
            {"email": "d@example.com", "type": "", "name": ""},
        ]
    )
    (mail,) = sandbox.outbox
    assert (mail.to, mail.cc, mail.bcc) == (
        ("a@example.com", "d@example.com"),
        ("b@example.com",),
        ("c@example.com",),
    )


@pytest.mark.parametrize(
    "headers", [..., None, {}, [], {"X-Unique-Id": ""}, {"X-Other": 7, "X-Empty": None}]
)
def test_a_mail_without_unique_id_is_accepted_and_cannot_be_looked_up(api, sandbox, headers):
    assert api.send(headers=headers) == SUCCESS
    assert sandbox.outbox[0].unique_id is None
    assert api.info("Id") == []


def test_numbers_in_headers_become_text(api, sandbox):
    api.send(headers={"x-unique-id": 42, "X-Empty": None, "X-Half": 0.5})
    assert sandbox.outbox[0].headers == {"x-unique-id": "42", "X-Empty": "", "X-Half": "0.5"}
    assert len(api.info("42")) == 1


def test_base64_with_line_breaks_and_without_padding(api, sandbox):
    api.send(
        attachments=[
            {"type": "text/plain", "name": "a", "content": "ZXhh\r\nbXBs"},
            {"type": "text/plain", "name": "b", "content": "YQ"},
        ]
    )
    assert [file.content for file in sandbox.outbox[0].attachments] == [b"exampl", b"a"]


def test_send_template(api, sandbox):
    sandbox.add_template(
        "t1",
        subject="For {{NAME}}",
        html="<b>{{ NAME }}</b>{{name}}{{Missing}}",
        text="Dear {{NAME}}, {{N}} {{E}}",
    )
    mail = {
        "template_id": "t1",
        "subject": "mine",
        "from_email": "from@example.com",
        "from_name": "Me",
        "to": [{"email": "ada@example.com"}],
        "dynamic_value": {"NAME": "<Ada> {{N}}", "N": 3, "E": None},
    }
    assert api("sendTemplate", smtp_user_name="smtp1", message=mail) == TEMPLATE_SUCCESS
    assert (
        api("sendTemplate", smtp_user_name="smtp1", message={**mail, "subject": ""})
        == TEMPLATE_SUCCESS
    )
    first, second = sandbox.outbox
    assert (first.subject, second.subject) == ("mine", "For <Ada> {{N}}")
    assert first.html == "<b><Ada> {{N}}</b>"
    assert first.text == "Dear <Ada> {{N}}, 3 "
    assert (first.template_id, first.dynamic_value) == (
        "t1",
        {"NAME": "<Ada> {{N}}", "N": "3", "E": ""},
    )
    assert first.from_name == "Me"


def test_a_template_can_be_replaced(api, sandbox):
    sandbox.add_template("t1", text="old")
    sandbox.add_template("t1", text="new")
    api.get(GET)
    assert (sandbox.outbox[0].html, sandbox.outbox[0].text) == (None, "new")


def test_send_template_http_get(api, sandbox):
    sandbox.add_template("t1", html="{{NAME}} {{Email}}")
    assert api.get(
        f"{GET}&dynamic_value[NAME]=x%20y+z&dynamic_value%5BEmail%5D=info%40example.com"
    ) == {
        "status": "queued",
        "message": "250 Message Queued...",
    }
    (mail,) = sandbox.outbox
    assert (mail.operation, mail.subject, mail.html) == (
        "sendTemplateHTTPGet",
        "hello",
        "x y z info@example.com",
    )
    assert (mail.from_email, mail.to, mail.unique_id) == (
        "from@example.com",
        ("ada@example.com",),
        None,
    )
    assert mail.dynamic_value == {"NAME": "x y z", "Email": "info@example.com"}
    assert "token" not in mail.raw


def test_message_info(api):
    api.send(
        attachments=[{"type": "text/plain", "name": "a", "content": "YWJj"}],
        to=[{"email": "a@example.com"}, {"email": "b@example.com", "type": "bcc"}],
        text=...,
        html="häh",
    )
    record = {
        "subject": "example subject",
        "sender": "from@example.com",
        "email": "a@example.com",
        "sendFrom": "127.0.0.1",
        "mailSize": 7,
        "attchSize": 3,
        "status": "delivered",
        "time": 1458034022169,
        "open": 0,
        "openData": {"ip": [], "ua": [], "time": []},
        "click": 0,
        "clickData": {"ip": [], "ua": [], "time": []},
    }
    assert api.info("Id") == [record, {**record, "email": "b@example.com"}]
    assert api.info("id") == []


def test_message_info_has_a_hundred_records_a_page(api):
    for batch in range(2):
        api.send(to=[{"email": f"{batch}-{number}@example.com"} for number in range(60)])
    first = api.info("Id")
    assert [record["email"] for record in first] == [
        f"{n // 60}-{n % 60}@example.com" for n in range(100)
    ]
    for page in (0, "0", "", None):
        assert api.info("Id", skip_page=page) == first
    for page in (1, "1"):
        assert [record["email"] for record in api.info("Id", skip_page=page)] == [
            f"1-{n}@example.com" for n in range(40, 60)
        ]
    for page in (2, 10**17, 10**30):
        assert api.info("Id", skip_page=page) == []


@pytest.mark.parametrize(
    "path",
    [
        "/messages/sendMail",
        "/v1.0/messages/sendMail",
        "/v1.0/messages/sendRaw",
        "/v1.0/messages/senRaw",
    ],
)
def test_known_paths_respond(sandbox, path):
    response = sandbox.service.handle(Call("POST", path, body=b"{}")).response
    assert json.loads(response.body)["message"] == "Token MissMatch"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/v1.0/",
        "/v1.0",
        "/v2.0/messages/sendMail",
        "/v1.0/messages/sendmail",
        "messages/x",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_an_unknown_path_is_not_found(sandbox, path, method):
    response = sandbox.service.handle(Call(method, path)).response
    assert json.loads(response.body) == {"status": "error", "message": "Page not found"}
    assert response.status == 200


def test_smtp_users_are_recorded(api, sandbox):
    api.send()
    assert [(user.name, user.enabled) for user in sandbox.smtp_users] == [("smtp12345", True)]
    assert api.send() == SUCCESS


def test_list_smtp(api, sandbox):
    assert api("listSmtp") == {"status": "success", "smtp_list": []}
    api.send()
    sent = {"smtp_user_name": "smtp12345", "status": "Enable", "total_limit": 0, "hourly_limit": 0}
    assert api("listSmtp") == {"status": "success", "smtp_list": [sent]}
    sandbox.add_smtp_user("b", enabled=False, hourly_limit=10, total_limit=1000)
    sandbox.add_smtp_user("a", per_minute=5)
    assert api("listSmtp")["smtp_list"] == [
        {"smtp_user_name": "a", "status": "Enable", "total_limit": 0, "hourly_limit": 0},
        {"smtp_user_name": "b", "status": "Disable", "total_limit": 1000, "hourly_limit": 10},
    ]
    assert api("listSmtp", token="")["name"] == "AuthenticationError"


def test_once_smtp_users_are_added_only_they_may_send(api, sandbox):
    api.send()
    sandbox.add_smtp_user("other", enabled=False)
    assert api.send()["message"] == "Invalid smtp user"
    assert api("sendMail", smtp_user_name="other")["message"] == "The smtp user is disabled"
    sandbox.add_smtp_user("other")
    sandbox.add_smtp_user("smtp12345")
    assert api.send() == SUCCESS
    assert api("sendMail", smtp_user_name="other")["message"] == "You must specify a message value"


@pytest.mark.parametrize(
    ("owner_id", "token", "accepted"),
    [
        ("o", "t", True),
        ("o", "T", False),
        ("x", "t", False),
        ("o", "tü", False),
        ("", "t", False),
        (None, "t", False),
        ("o", ["t"], False),
    ],
)
def test_a_fixed_pair_of_credentials(owner_id, token, accepted):
    with Sandbox(owner_id="o", token="t") as sandbox:
        body = json.dumps({"owner_id": owner_id, "token": token, "x_unique_id": "x"}).encode()
        response = json.loads(
            sandbox.service.handle(
                Call("POST", "/messages/getMessageInfo", body=body)
            ).response.body
        )
    mismatch = {
        "status": "error",
        "code": "-1",
        "name": "AuthenticationError",
        "type": "AuthenticationError",
        "message": "Token MissMatch",
    }
    assert response == ({"status": "success", "message_data": []} if accepted else mismatch)


@pytest.mark.parametrize(
    "credentials",
    [{}, {"owner_id": ""}, {"token": ""}, {"token": None}, {"token": True}, {"owner_id": {}}],
)
def test_any_credentials_are_accepted_unless_empty(api, credentials):
    assert api.info("x") == []
    assert api("getMessageInfo", x_unique_id="x", owner_id=7)["status"] == "success"
    if credentials:
        assert (
            api("getMessageInfo", x_unique_id="x", **credentials)["name"] == "AuthenticationError"
        )
