"""What is refused, in which words."""

import json

import pytest

from poweremail.sandbox import Call

NOT_A_LIST = "Invalid to: it must be a list of objects"
BAD_ATTACHMENTS = "Invalid attachments: it must be a list of objects"
FILE = {"name": "a", "type": "image/png", "content": "YQ=="}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"html": ..., "text": ...}, "You must specify html or text value"),
        ({"html": "", "text": None}, "You must specify html or text value"),
        ({"html": 5, "text": ["x"]}, "You must specify html or text value"),
        ({"subject": ...}, "You must specify subject"),
        ({"subject": " "}, "You must specify subject"),
        ({"subject": 5}, "You must specify subject"),
        ({"from_email": ...}, "You must specify from-email"),
        ({"from_email": {"email": "a@example.com"}}, "You must specify from-email"),
        ({"from_email": "nobody"}, "Invalid from-email: email: 'nobody' has no @"),
        ({"from_name": 5}, "Invalid from-email: name: must be a str, not int"),
        ({"to": ...}, "You must specify at least one recipient"),
        ({"to": []}, "You must specify at least one recipient"),
        ({"to": [{}]}, "You must specify at least one recipient"),
        ({"to": [{"name": "Ada"}]}, "You must specify at least one recipient"),
        ({"to": [{"email": ["a@example.com"]}]}, "You must specify at least one recipient"),
        ({"to": "ada@example.com"}, NOT_A_LIST),
        ({"to": {"email": "ada@example.com"}}, NOT_A_LIST),
        ({"to": ["ada@example.com"]}, NOT_A_LIST),
        ({"to": [{"email": "ada"}]}, "Invalid to: email: 'ada' has no @"),
        (
            {"to": [{"email": "a@example.com", "type": "reply"}]},
            "Invalid to: type must be to, cc or bcc",
        ),
        ({"to": [{"email": "a@example.com", "type": 5}]}, "Invalid to: type must be to, cc or bcc"),
        (
            {"to": [{"email": "a@example.com", "type": ["to"]}]},
            "Invalid to: type must be to, cc or bcc",
        ),
        ({"headers": "X: y"}, "Invalid headers: it must be an object"),
        ({"headers": 0}, "Invalid headers: it must be an object"),
        ({"headers": {"X": ["y"]}}, "Invalid headers: its values must be strings"),
        ({"headers": {"X": True}}, "Invalid headers: its values must be strings"),
        ({"attachments": {}}, BAD_ATTACHMENTS),
        ({"attachments": ["x"]}, BAD_ATTACHMENTS),
        ({"attachments": [{**FILE, "name": ""}]}, "Invalid attachments: each needs a name"),
        ({"attachments": [{**FILE, "type": None}]}, "Invalid attachments: each needs a type"),
        ({"attachments": [{**FILE, "content": None}]}, "Invalid attachments: each needs a content"),
        (
            {"attachments": [{**FILE, "content": "Y!=="}]},
            "Invalid attachments: the content is not base64",
        ),
        (
            {"attachments": [{**FILE, "content": "Yä=="}]},
            "Invalid attachments: the content is not base64",
        ),
        (
            {"attachments": [{**FILE, "content": "Y=Q="}]},
            "Invalid attachments: the content is not base64",
        ),
        (
            {"images": [{**FILE, "type": "text/plain"}]},
            "Invalid images: each needs a type that begins with image/",
        ),
    ],
)
def test_send_mail(api, sandbox, changes, text):
    assert api.send(**changes) == {
        "status": "error",
        "code": "-1",
        "name": "ValidationError",
        "type": "ValidationError",
        "message": text,
    }
    assert sandbox.outbox == []


@pytest.mark.parametrize("user", [None, "", " ", 5, ["smtp1"]])
def test_smtp_user(api, user):
    assert (
        api("sendMail", smtp_user_name=user, message=api.message())["message"]
        == "smtp user required !!"
    )


@pytest.mark.parametrize("value", [None, {}, [], "text", 5])
def test_message(api, value):
    assert (
        api("sendMail", smtp_user_name="s", message=value)["message"]
        == "You must specify a message value"
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"template_id": ...}, "You must specify Template Id!!"),
        ({"template_id": 5}, "You must specify Template Id!!"),
        ({"template_id": "T1"}, "Invalid Template Id"),
        ({"subject": ""}, "You must specify subject"),
        ({"dynamic_value": "x"}, "Invalid dynamic_value: it must be an object"),
        ({"dynamic_value": {"a": {}}}, "Invalid dynamic_value: its values must be strings"),
    ],
)
def test_send_template(api, sandbox, changes, text):
    sandbox.add_template("t1", text="{{a}}")
    response = api(
        "sendTemplate", smtp_user_name="s", message=api.message(**{"template_id": "t1", **changes})
    )
    assert response == {
        "status": "error",
        "code": "-1",
        "name": "ValidationError",
        "type": "ValidationError",
        "message": text,
    }


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("smtp_user_name=", "smtp user required !!"),
        ("smtp_user_name=s", "You must specify Template Id!!"),
        ("smtp_user_name=s&template_id=t2", "Invalid Template Id"),
        ("smtp_user_name=s&template_id=t1", "You must specify subject"),
        ("smtp_user_name=s&template_id=t1&subject=s", "You must specify from-email"),
        (
            "smtp_user_name=s&template_id=t1&subject=s&from_email=a%40b.example",
            "You must specify at least one recipient",
        ),
        (
            "smtp_user_name=s&template_id=t1&subject=s&from_email=a%40b.example&to=x",
            "Invalid to: email: 'x' has no @",
        ),
        ("&".join(f"a{n}=1" for n in range(10_001)), "The query has too many fields"),
    ],
)
def test_send_template_http_get(api, sandbox, query, text):
    sandbox.add_template("t1", text="x")
    assert api.get(f"owner_id=o&token=t&{query}") == {
        "status": "error",
        "code": "-1",
        "name": "ValidationError",
        "type": "ValidationError",
        "message": text,
    }


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (None, "You must specify a message value"),
        ({"Subject": "s"}, "You must specify a message value"),
        ("no headers", "You must specify subject"),
        ("Subject: s\n\nx", "You must specify from-email"),
        ("Subject: s\nFrom: a@example.com\n\nx", "You must specify at least one recipient"),
    ],
)
def test_send_raw(api, raw, text):
    assert api("sendRaw", smtp_user_name="s", raw_message=raw)["message"] == text


@pytest.mark.parametrize("unique_id", [None, "", 5, ["x"]])
def test_unique_id(api, unique_id):
    assert api("getMessageInfo", x_unique_id=unique_id)["message"] == "You must specify x_unique_id"


@pytest.mark.parametrize("page", [-1, "-1", "x", 1.5, True, [], "²", "1" * 5, " "])
def test_skip_page(api, page):
    response = api("getMessageInfo", x_unique_id="x", skip_page=page)
    if page == "11111":
        assert response == {"status": "success", "message_data": []}
    else:
        assert response["message"] == "Invalid skip_page: it must be a page number from 0 on"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "The body is not valid JSON"),
        (b"{", "The body is not valid JSON"),
        (b'{"a": NaN}', "The body is not valid JSON"),
        (b'{"a": -Infinity}', "The body is not valid JSON"),
        (b"\xff\xfe{\x00}\x00", "The body is not valid JSON"),
        (b'{"a": "\xed\xa0\x80"}', "The body is not valid JSON"),
        (b"1" * 5000, "The body is not valid JSON"),
        (b"[" * 100_000, "The body is not valid JSON"),
        (b"[" * 100 + b"]" * 100, "The body is not a JSON object"),
        (b"null", "The body is not a JSON object"),
        (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "The body is nested too deeply"),
        (b'{"a": {"\\udc80": 1}}', "The body has text that is not valid Unicode"),
        (b'{"a": 1e999}', "The body has a number that is too large"),
    ],
)
def test_bodies(sandbox, body, text):
    response = sandbox.service.handle(Call("POST", "/messages/sendMail", body=body)).response
    assert json.loads(response.body) == {
        "status": "error",
        "code": "-1",
        "name": "ValidationError",
        "type": "ValidationError",
        "message": text,
    }


def test_a_byte_order_mark_is_ignored(sandbox):
    body = b'\xef\xbb\xbf{"owner_id": "o", "token": "t", "x_unique_id": "x"}'
    assert (
        b"success"
        in sandbox.service.handle(Call("POST", "/messages/getMessageInfo", body=body)).response.body
    )


@pytest.mark.parametrize(
    ("method", "name", "right"),
    [
        ("GET", "sendMail", "POST"),
        ("POST", "sendTemplateHTTPGet", "GET"),
        ("PUT", "sendRaw", "POST"),
    ],
)
def test_methods(sandbox, method, name, right):
    response = json.loads(
        sandbox.service.handle(Call(method, f"/messages/{name}", body=b"{}")).response.body
    )
    assert (response["name"], response["message"]) == (
        "ValidationError",
        f"This call is made with {right}",
    )
