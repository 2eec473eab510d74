"""The control API."""

import httpx
import pytest

from poweremail.sandbox.app import create_app

FAULT = {"fault": {"kind": "status", "code": 503, "accepted": False}, "call": "sendMail", "times": 2}


@pytest.fixture
async def control(sandbox):
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(create_app(sandbox.service)), base_url="http://localhost/_sandbox/"
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
        api.send(subject=f"mail {number}", attachments=[file], images=[image])
    messages = (await control.get("messages")).json()["messages"]
    assert [message["subject"] for message in messages] == ["mail 0", "mail 1", "mail 2"]
    assert (await control.get("messages?after=1&limit=1")).json()["messages"] == [messages[1]]
    assert messages[0]["attachments"] == [{"name": "a.txt", "type": "text/plain", "size": 1}]
    assert messages[0]["images"] == [{"name": "logo", "type": "image/png", "size": 2}]
    assert messages[0]["received"] == "2016-03-15T09:27:02.169000+00:00"
    assert messages[0]["recipients"] == [{"type": "to", "email": "ada@example.com", "name": "Ada"}]
    whole = (await control.get("messages/2")).json()
    assert whole.pop("raw")["message"]["attachments"] == [file]
    assert whole == messages[1]
    assert (await control.get("messages/4")).status_code == 404
    assert (await control.get("messages/0")).status_code == 404
    assert (await control.delete("messages")).json() == {"forgotten": 3}
    assert sandbox.outbox == []
    assert (await control.get("messages/2")).json() == {"error": "there is no mail number 2"}


@pytest.mark.parametrize("query", ["after=x", "limit=-1", "after=", "limit=1e3", "after=9999999999999999"])
async def test_pages_that_are_none(control, query):
    answer = await control.get(f"messages?{query}")
    assert (answer.status_code, answer.json()["error"].partition(": ")[2]) == (400, "must be a number from 0 on")


async def test_faults(control, api, sandbox):
    added = (await control.post("faults", json=FAULT)).json()
    assert added == {**FAULT, "recipient": None, "nth": None, "chance": 1.0, "number": 1, "seen": 0, "hit": 0}
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
        (b'{"fault": {"kind": "latency", "seconds": "1"}}', "seconds: must be a number of seconds, not '1'"),
    ],
)
async def test_faults_that_are_none(control, body, error):
    answer = await control.post("faults", content=body)
    assert (answer.status_code, answer.json()) == (400, {"error": error})


async def test_templates_and_users(control, sandbox):
    assert (await control.post("templates", json={"template_id": "t1", "html": "x"})).status_code == 200
    assert sandbox.service.store.template("t1").html == "x"
    assert (await control.post("smtp_users", json={"name": "a"})).status_code == 200
    assert (await control.post("smtp_users", json={"name": "b", "enabled": False})).status_code == 200
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


async def test_limits_and_what_is_used_of_them(control, api, clock):
    assert (await control.get("smtp_users")).json() == {"smtp_users": []}
    none = {"per_minute": None, "per_hour": None, "per_day": None, "hourly_limit": None, "total_limit": None}
    await control.post("smtp_users", json={"name": "smtp12345", "per_minute": 2, "total_limit": 5})
    await control.post("smtp_users", json={"name": "other"})
    api.send(to=[{"email": f"{name}@example.com"} for name in "ab"])
    assert (await control.post("clock", json={"advance": 60})).json() == {"now": pytest.approx(clock.now + 60), "advanced": 60}
    api.send()
    assert (await control.get("smtp_users")).json()["smtp_users"] == [
        {"name": "other", "enabled": True, "limits": none, "used": dict.fromkeys(none, 0)},
        {
            "name": "smtp12345",
            "enabled": True,
            "limits": {**none, "per_minute": 2, "total_limit": 5},
            "used": {"per_minute": 1, "per_hour": 2, "per_day": 2, "hourly_limit": 3, "total_limit": 3},
        },
    ]


async def test_the_clock(control, sandbox, clock):
    assert (await control.get("clock")).json() == {"now": clock.now, "advanced": 0}
    await control.post("clock", json={"advance": 0.5})
    await control.post("clock", json={"advance": 1})
    assert (await control.get("clock")).json() == {"now": pytest.approx(clock.now + 1.5), "advanced": 1.5}
    for members in ({}, {"advance": "1"}, {"advance": -1}, {"advance": True}, {"advance": 10**20}, {"advance": 10**400}):
        answer = await control.post("clock", json=members)
        assert (answer.status_code, answer.json()["error"].partition(":")[0]) == (400, "advance")
    assert sandbox.clock.advanced == 1.5


async def test_reset(control, api, sandbox):
    api.send()
    await control.post("faults", json=FAULT)
    assert (await control.post("reset")).status_code == 200
    assert (sandbox.outbox, sandbox.faults.rules) == ([], ())


async def test_what_is_not_there(control):
    assert (await control.get("nothing")).status_code == 404
    assert (await control.post("health")).status_code == 405
