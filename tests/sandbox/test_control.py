"""The control API."""

import base64

import anyio
import anyio.lowlevel
import anyio.to_thread
import httpx
import pytest

from poweremail.sandbox._server.app import create_app

FAULT = {
    "fault": {"kind": "status", "code": 503, "accepted": False},
    "call": "sendMail",
    "times": 2,
}


@pytest.fixture
async def control(sandbox):
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(sandbox.service)),
        base_url="http://localhost/_sandbox/",
    ) as client:
        yield client


async def test_health(control, api):
    api.send()
    health = (await control.get("health")).json()
    assert (health["status"], health["messages"]) == ("ok", 1)


async def test_messages(control, api, sandbox):
    file = {"name": "a.txt", "type": "text/plain", "content": "YQ=="}
    image = {"name": "logo", "type": "image/png", "content": "YWI="}
    for number in range(3):
        api.send(
            subject=f"mail {number}",
            attachments=[file],
            images=[image],
            html='<a href="http://x.example/?a=1&amp;b=2">x</a>',
        )
    page = (await control.get("messages")).json()
    assert [message["subject"] for message in page["messages"]] == ["mail 2", "mail 1", "mail 0"]
    assert (page["more"], page["total"]) == (False, 3)
    middle = (await control.get("messages?before=3&limit=1")).json()
    assert (middle["messages"], middle["more"]) == ([page["messages"][1]], True)
    assert [
        each["number"] for each in (await control.get("messages?after=1")).json()["messages"]
    ] == [2, 3]
    first = page["messages"][2]
    assert first["received"] == "2016-03-15T09:27:02.169000+00:00"
    assert first["recipients"] == [
        {"type": "to", "email": "ada@example.com", "name": "Ada", "status": "delivered"}
    ]
    assert (first["recipient_count"], first["statuses"], first["attachment_count"]) == (
        1,
        {"delivered": 1},
        1,
    )
    assert "html" not in first
    whole = (await control.get("messages/2")).json()
    assert whole["attachments"] == [{"name": "a.txt", "type": "text/plain", "size": 1}]
    assert whole["images"] == [{"name": "logo", "type": "image/png", "size": 2}]
    assert whole["headers"] == {"Reply-To": "reply@example.com", "X-Unique-Id": "Id"}
    assert whole["links"] == ["http://x.example/?a=1&b=2"]
    assert (await control.get("messages/2/raw")).json()["message"]["attachments"] == [file]
    for number in (0, 4):
        assert (await control.get(f"messages/{number}")).json() == {
            "error": f"there is no mail number {number}"
        }
    assert (await control.delete("messages/2")).json() == {}
    assert (await control.delete("messages/2")).status_code == 404
    assert (await control.get("messages/2/raw")).status_code == 404
    assert (await control.delete("messages")).json() == {"forgotten": 2}
    assert sandbox.outbox == []


async def test_the_parts_of_a_message(control, api):
    api.send(
        attachments=[{"name": "../ä.html", "type": "text/html", "content": "PGI+"}],
        images=[
            {"name": "logo", "type": "image/png", "content": "YWI="},
            {"name": "odd", "type": "image/x", "content": "YWI="},
        ],
        html='<!doctype html><img src="cid:logo"><img '
        'src="cid:other"><style>p{background:url(cid:logo)}</style>',
    )
    text = await control.get("messages/1/text")
    assert (text.text, text.headers["content-type"]) == (
        "Example text content",
        "text/plain; charset=utf-8",
    )
    shown = await control.get("messages/1/html")
    policy = shown.headers["content-security-policy"]
    assert policy.startswith(
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src data:;"
    )
    assert "https:" not in policy
    assert 'src="cid:other"' in shown.text
    assert shown.text.startswith('<!doctype html><base target="_blank">')
    address = shown.text.partition('<img src="')[2].partition('"')[0]
    assert (address, f"url({address})" in shown.text) == ("data:image/png;base64,YWI=", True)
    assert (
        "style-src 'unsafe-inline' http: https:"
        in (await control.get("messages/1/html?remote=1")).headers["content-security-policy"]
    )
    saved = await control.get("messages/1/attachments/0")
    assert (saved.content, saved.headers["content-type"]) == (b"<b>", "application/octet-stream")
    assert saved.headers["content-disposition"] == (
        "attachment; filename=\"_a.html\"; filename*=UTF-8''_%C3%A4.html"
    )
    assert (await control.get("messages/1/images/0")).content == b"ab"
    source = await control.get("messages/1/source")
    assert source.headers["content-type"] == "text/plain; charset=utf-8"
    assert (
        "attachment"
        in (await control.get("messages/1/source?download=1")).headers["content-disposition"]
    )
    for path in ("attachments/1", "attachments/x", "html?remote=yes", "html?other=1"):
        assert (await control.get(f"messages/1/{path}")).status_code in (400, 404)
    api.send(html=..., text="x")
    assert (await control.get("messages/2/html")).json() == {
        "error": "mail number 2 has no html part"
    }


async def test_search(control, api):
    api.send(subject="Invoice 42", to=[{"email": "ada@example.com", "name": "Ada Lovelace"}])
    api.send(
        subject="GRÜSSE",
        to=[{"email": "Grace@Example.com"}, {"email": "b@example.com"}],
        headers={"X-Unique-Id": "u-2"},
    )
    for query, found in (
        ("search=invoice lovelace", [1]),
        ("search=invoice grace", []),
        ("search=grüsse", [2]),
        ("search=U-2", [2]),
        ("search=example.com", [2, 1]),
        ("search=%25", []),
        ("to=grace@example.com", [2]),
        ("to=grace", []),
        ("from_email=FROM@example.com", [2, 1]),
        ("subject=voice", [1]),
        ("subject=lovelace", []),
        ("unique_id=u-2", [2]),
        ("unique_id=u-", []),
        ("status=delivered", [2, 1]),
        ("status=delivered&search=invoice", [1]),
        ("status=spam", []),
    ):
        page = (await control.get(f"messages?{query}")).json()
        assert [message["number"] for message in page["messages"]] == found, query
    assert (await control.get("messages?status=none")).status_code == 400
    assert (
        (await control.get("messages?serach=x"))
        .json()["error"]
        .startswith("serach: is not known here; known are: search, ")
    )


async def test_delete_what_matches(control, api, sandbox):
    for number in (1, 2, 1):
        api.send(to=[{"email": f"run-{number}@example.com"}], text=f"of run {number}")
    assert (await control.delete("messages?to=")).json() == {
        "error": "to: must not be empty; nothing was deleted"
    }
    response = await control.delete(
        "messages", params={"to": "run-1@example.com", "search": '"run 1"'}
    )
    assert response.json() == {"forgotten": 2}
    assert [mail.number for mail in sandbox.outbox] == [2]
    assert (await control.delete("messages?search=nothing")).json() == {"forgotten": 0}
    too_many = (await control.delete("messages", params={"search": "x " * 33})).json()
    assert too_many["error"].startswith("search: has 33 words")
    assert (await control.delete("messages")).json() == {"forgotten": 1}


async def test_delete_several(control, api, sandbox):
    for number in range(1, 5):
        api.send(text=f"{number}")
    response = await control.post("messages/delete", json={"numbers": [1, 3, 3, 99]})
    assert response.json() == {"forgotten": 2}
    assert sorted(mail.number for mail in sandbox.outbox) == [2, 4]
    assert (await control.post("messages/delete", json={"numbers": []})).json() == {"forgotten": 0}
    for body in ({}, {"numbers": 2}, {"numbers": ["2"]}, {"numbers": [-1]}):
        assert (await control.post("messages/delete", json=body)).status_code == 400
    assert len(sandbox.outbox) == 2


async def test_read_and_unread(control, api, sandbox):
    api.send()
    api.send()
    changes = sandbox.service.store.changes
    for read, unread in ((True, [2]), (True, [2]), (False, [2, 1])):
        assert (await control.post("messages/1/read", json={"read": read})).json() == {}
        page = (await control.get("messages?search=is:unread")).json()["messages"]
        assert [mail["number"] for mail in page] == unread
        assert (await control.get("messages/1")).json()["read"] is read
    assert changes.last == 4  # two mails, and what did change
    assert (await control.post("messages/3/read")).status_code == 404


async def test_wait_for_what_a_text_says(control, api):
    api.send(text="Your code is 471108")
    body = {"search": '"code is"', "timeout": 0}
    assert (await control.post("messages/wait", json=body)).json()["number"] == 1
    body = {"search": "code -is", "timeout": 0}
    assert (await control.post("messages/wait", json=body)).status_code == 404


async def test_events(control, api, clock):
    api.send(to=[{"email": "ada@example.com"}, {"email": "grace@example.com"}])
    response = await control.post(
        "messages/1/events",
        json={"kind": "open", "recipient": "ADA@example.com", "user_agent": "Mozilla"},
    )
    (event,) = response.json()["events"]
    assert (event["kind"], event["email"], event["user_agent"], event["ip"]) == (
        "open",
        "ada@example.com",
        "Mozilla",
        "127.0.0.1",
    )
    clock.now += 5
    assert (
        len(
            (
                await control.post("messages/1/events", json={"kind": "click", "url": "http://x"})
            ).json()["events"]
        )
        == 2
    )
    await control.post("messages/1/events", json={"kind": "open", "recipient": "ada@example.com"})
    await control.post(
        "messages/1/events", json={"kind": "hard_bounce", "recipient": "grace@example.com"}
    )
    ada, grace = api.info("Id")
    assert (
        ada["status"],
        ada["open"],
        ada["click"],
        grace["status"],
        grace["open"],
        grace["click"],
    ) == (
        "click",
        2,
        1,
        "hard_bounce",
        0,
        1,
    )
    assert ada["openData"] == {
        "ip": ["127.0.0.1"] * 2,
        "ua": ["Mozilla", ""],
        "time": ["1458034022169", "1458034027169"],
    }
    message = (await control.get("messages/1")).json()
    assert [(who["status"], who["open"], who["click"]) for who in message["recipients"]] == [
        ("click", 2, 1),
        ("hard_bounce", 0, 1),
    ]
    assert [(each["kind"], each["url"]) for each in message["events"]][-2:] == [
        ("click", "http://x"),
        ("open", None),
    ]
    assert [
        each["number"]
        for each in (await control.get("messages?status=hard_bounce")).json()["messages"]
    ] == [1]
    for path, members, status in (
        ("1", {}, 400),
        ("1", {"kind": "delivered"}, 400),
        ("1", {"kind": ["open"]}, 400),
        ("1", {"kind": "open", "ip": 5}, 400),
        ("1", {"kind": "open", "other": 5}, 400),
        ("1", {"kind": "open", "recipient": "nobody@example.com"}, 404),
        ("9", {"kind": "open"}, 404),
    ):
        assert (await control.post(f"messages/{path}/events", json=members)).status_code == status


async def test_wait_for_a_mail_that_is_there(control, api):
    api.send(subject="Confirm one")
    api.send(subject="Confirm two")
    api.send(subject="Other")
    found = (
        await control.post(
            "messages/wait", json={"subject": "confirm", "to": "ada@example.com", "timeout": 0}
        )
    ).json()
    assert found["subject"] == "Confirm two"
    for members, status in (
        ({"subject": "nothing", "timeout": 0.06}, 404),
        ({"after": 3, "timeout": 0}, 404),
        ({"timeout": -1}, 400),
        ({"timeout": True}, 400),
        ({"after": "1"}, 400),
        ({"subject": 5}, 400),
        ({"body": "x"}, 400),
    ):
        assert (await control.post("messages/wait", json=members)).status_code == status


async def test_wait_for_a_mail_that_arrives_later(control, api):
    async with anyio.create_task_group() as group:
        responses = []

        async def wait():
            responses.append(
                await control.post("messages/wait", json={"unique_id": "later", "timeout": 10})
            )

        group.start_soon(wait)
        await anyio.lowlevel.checkpoint()
        # From another thread, as a program under test would.
        await anyio.to_thread.run_sync(lambda: api.send(headers={"X-Unique-Id": "other"}))
        await anyio.to_thread.run_sync(lambda: api.send(headers={"X-Unique-Id": "later"}))
    assert responses[0].json()["number"] == 2


async def test_too_many_waiting_requests_get_503(control, api):
    await control.get("health")  # loads the control API, in a thread that nobody waits for below
    async with anyio.create_task_group() as group:
        for _ in range(64):
            group.start_soon(
                lambda: control.post("messages/wait", json={"unique_id": "x", "timeout": 10})
            )
        await anyio.wait_all_tasks_blocked()
        refused = await control.post("messages/wait", json={"unique_id": "x", "timeout": 10})
        assert (refused.status_code, refused.json()) == (503, {"error": "64 requests wait already"})
        api.send(headers={"X-Unique-Id": "x"})


async def test_every_response_has_the_documented_schema(control, api, sandbox):
    """The document is what clients in other languages are made from."""
    sandbox.add_template("t1", html="x")
    sandbox.add_smtp_user("smtp12345", per_minute=5)
    sandbox.add_webhook("https://example.com/events")
    sandbox.script.add("open 30%")
    mail = base64.b64encode(b"Subject: x\nTo: ada@example.com\n\ntext").decode()
    api.send(attachments=[{"name": "a", "type": "message/rfc822", "content": mail}])
    await control.post("messages/1/events", json={"kind": "open"})
    await control.post("faults", json=FAULT)
    document = (await control.get("openapi.json")).json()
    schemas = document["components"]["schemas"]
    checked = 0
    for path, methods in document["paths"].items():
        schema = (
            methods.get("get", {})
            .get("responses", {})
            .get("200", {})
            .get("content", {})
            .get("application/json", {})
            .get("schema")
        )
        if schema:
            address = path[1:].replace("{number}", "1").replace("{index}", "0")
            check(schema, (await control.get(address)).json(), schemas)
            checked += 1
    assert checked == 18
    shown = (await control.get("docs")).text
    assert all(f"/_sandbox{path}" in shown for path in document["paths"])


def check(schema, value, schemas):
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        # A value that may be null: the other form is the one to compare with.
        schema, null = schema["anyOf"]
        assert null == {"type": "null"}
        if value is None:
            return
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    of = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "null": type(None),
        "object": dict,
        "array": list,
    }
    assert any(isinstance(value, of[type]) for type in types), (schema, value)
    if "properties" in schema:
        assert list(value) == list(schema["properties"]) or set(value) == set(
            schema["properties"]
        ), (schema, value)
        for name, each in schema["properties"].items():
            check(each, value[name], schemas)
    if "items" in schema:
        for each in value:
            check(schema["items"], each, schemas)


@pytest.mark.parametrize(
    "query", ["after=x", "limit=-1", "after=%20", "limit=1e3", "after=9999999999999999"]
)
async def test_invalid_queries_of_a_page(control, query):
    response = await control.get(f"messages?{query}")
    assert (response.status_code, response.json()["error"].partition(": ")[2]) == (
        400,
        "must be a number from 0 on",
    )


@pytest.mark.parametrize(
    ("query", "meaning"),
    [
        ("messages?after=&before=&limit=&search=&to=&status=", "messages"),
        ("messages?to=&subject=one", "messages?subject=one"),
        ("deliveries?webhook_id=&state=&before=&limit=", "deliveries"),
        ("messages/1/html?remote=", "messages/1/html"),
    ],
)
async def test_an_empty_value_of_a_query_counts_as_absent(control, api, query, meaning):
    api.send(subject="one")
    api.send(subject="two")
    response, expected = await control.get(query), await control.get(meaning)
    assert (response.status_code, response.content) == (200, expected.content)
    assert response.headers == expected.headers


async def test_a_name_that_is_not_known_is_wrong_even_without_a_value(control):
    for path in ("messages?serach=", "health?verbose=", "docs?x=", "stream?from="):
        response = await control.get(path)
        assert (response.status_code, "is not known here" in response.json()["error"]) == (
            400,
            True,
        )


async def test_faults(control, api, sandbox):
    added = (await control.post("faults", json=FAULT)).json()
    assert added == {
        **FAULT,
        "recipient": None,
        "nth": None,
        "chance": 1.0,
        "number": 1,
        "seen": 0,
        "hit": 0,
    }
    api.reply("sendMail")
    assert (await control.get("faults")).json() == {"faults": [{**added, "seen": 1, "hit": 1}]}
    second = (await control.post("faults", json=FAULT)).json()
    assert (await control.delete("faults/1")).json() == {}
    assert (await control.get("faults")).json() == {"faults": [second]}
    gone = await control.delete("faults/1")
    assert (gone.status_code, gone.json()) == (404, {"error": "there is no rule number 1"})
    await control.delete("faults")
    assert sandbox.faults.rules == ()


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"{", "The body is not valid JSON"),
        (b"[]", "The body is not a JSON object"),
        (b"{}", "fault: must be an object with a kind, not None"),
        (
            b'{"fault": {"kind": "latency", "seconds": "1"}}',
            "seconds: must be a number of seconds, not '1'",
        ),
    ],
)
async def test_invalid_faults(control, body, error):
    response = await control.post("faults", content=body)
    assert (response.status_code, response.json()) == (400, {"error": error})


async def test_templates_and_users(control, sandbox):
    assert (
        await control.post("templates", json={"template_id": "t1", "html": "x"})
    ).status_code == 200
    listed = (await control.get("templates")).json()
    assert listed == {
        "templates": [{"template_id": "t1", "subject": None, "html": "x", "text": None}]
    }
    assert sandbox.service.store.template("t1").html == "x"
    assert (await control.post("smtp_users", json={"name": "a"})).status_code == 200
    assert (
        await control.post("smtp_users", json={"name": "b", "enabled": False})
    ).status_code == 200
    assert [(user.name, user.enabled) for user in sandbox.smtp_users] == [("a", True), ("b", False)]
    for path, members in (
        ("templates", {"html": "x"}),
        ("templates", {"template_id": "t", "html": 5}),
        ("smtp_users", {"name": None}),
        ("smtp_users", {"name": "c", "enabled": 1}),
        ("smtp_users", {"name": "c", "per_minute": 0}),
        ("smtp_users", {"name": "c", "total_limit": "5"}),
        ("smtp_users", {"name": "c", "per_day": 10**30}),
    ):
        assert (await control.post(path, json=members)).status_code == 400
    assert sandbox.service.store.template("t") is None


async def test_limits_and_how_much_is_used(control, api, clock):
    assert (await control.get("smtp_users")).json() == {"smtp_users": []}
    none = {
        "per_minute": None,
        "per_hour": None,
        "per_day": None,
        "hourly_limit": None,
        "total_limit": None,
    }
    await control.post("smtp_users", json={"name": "smtp12345", "per_minute": 2, "total_limit": 5})
    await control.post("smtp_users", json={"name": "other"})
    api.send(to=[{"email": f"{name}@example.com"} for name in "ab"])
    assert (await control.post("clock", json={"advance": 60})).json() == {
        "now": pytest.approx(clock.now + 60),
        "advanced": 60,
    }
    api.send()
    assert (await control.get("smtp_users")).json()["smtp_users"] == [
        {"name": "other", "enabled": True, "limits": none, "used": dict.fromkeys(none, 0)},
        {
            "name": "smtp12345",
            "enabled": True,
            "limits": {**none, "per_minute": 2, "total_limit": 5},
            "used": {
                "per_minute": 1,
                "per_hour": 2,
                "per_day": 2,
                "hourly_limit": 3,
                "total_limit": 3,
            },
        },
    ]


async def test_the_clock(control, sandbox, clock):
    assert (await control.get("clock")).json() == {"now": clock.now, "advanced": 0}
    await control.post("clock", json={"advance": 0.5})
    await control.post("clock", json={"advance": 1})
    assert (await control.get("clock")).json() == {
        "now": pytest.approx(clock.now + 1.5),
        "advanced": 1.5,
    }
    for members in (
        {},
        {"advance": "1"},
        {"advance": -1},
        {"advance": True},
        {"advance": 10**20},
        {"advance": 10**400},
    ):
        response = await control.post("clock", json=members)
        assert (response.status_code, response.json()["error"].partition(":")[0]) == (
            400,
            "advance",
        )
    assert sandbox.clock.advanced == 1.5


async def test_reset(control, api, sandbox):
    api.send()
    await control.post("faults", json=FAULT)
    assert (await control.post("reset")).status_code == 200
    assert (sandbox.outbox, sandbox.faults.rules) == ([], ())


async def test_a_bug_is_not_reported_as_something_missing(control, sandbox, monkeypatch):
    monkeypatch.setattr(sandbox.service.mails, "count", lambda: {}["bug"])
    with pytest.raises(KeyError, match="bug"):
        await control.get("health")


async def test_unknown_paths_and_methods(control):
    assert (await control.get("nothing")).status_code == 404
    wrong = await control.post("health")
    assert (wrong.status_code, wrong.headers["allow"], wrong.json()) == (
        405,
        "GET",
        {"error": "this path takes GET"},
    )
    assert (await control.get("nothing")).json() == {"error": "there is no such path"}
    assert (await control.get("static/nothing.js")).status_code == 404
    assert (await control.head("health")).status_code == 200
    assert (await control.post("stream")).status_code == 405


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "messages/wait", "POST"),
        ("DELETE", "messages/wait", "POST"),
        ("HEAD", "messages/wait", "POST"),
        ("PUT", "messages", "GET, DELETE"),
        ("PATCH", "messages/1", "GET, DELETE"),
        ("PUT", "docs", "GET"),
    ],
)
async def test_a_method_that_a_path_does_not_take(control, api, sandbox, method, path, allowed):
    api.send()
    wrong = await control.request(method, path)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, allowed)
    assert len(sandbox.outbox) == 1


@pytest.mark.parametrize("number", ["x", "-1", "1.0", "1e3", "٣", "9" * 16, "9" * 5000])
async def test_a_path_with_a_word_in_place_of_a_number_does_not_exist(control, number):
    for path in (f"messages/{number}", f"messages/{number}/raw", f"deliveries/{number}"):
        response = await control.get(path)
        assert (response.status_code, response.json()) == (404, {"error": "there is no such path"})
