"""
Deliveries to webhooks: they are signed, repeated if they fail, and repeated on request.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from wsgiref.simple_server import make_server

import anyio.lowlevel
import httpx
import pytest

from poweremail import Message, PowerEmail
from poweremail.errors import UsageError
from poweremail.sandbox import RETRY_AFTER, AttemptResult, Sandbox
from poweremail.webhooks import SCHEMES, WebhookReceiver, WebhookWSGI
from support.plain_http import PLAIN_HTTP
from support.receiver import Receiver
from support.serving import Quiet, WSGIServerInThread
from support.webhooks import SIGNERS

HEADER = "X-PowerEmailTES-SIGNATURE"
URL = "http://localhost:9/hook?a=1"


class Recording:
    """
    A poster that records each post, and responds with the *statuses* in turn, and then 200.
    """

    def __init__(self, *statuses: int | None) -> None:
        self.statuses = list(statuses)
        self.posts: list[tuple] = []

    def post(self, url, headers, body):
        self.posts.append((url, tuple(headers), body))
        return AttemptResult(self.statuses.pop(0) if self.statuses else 200, "answer")


@pytest.fixture
def hook(sandbox):
    return sandbox.add_webhook(URL)


def receiver_of(hook, handler, scheme="form-base64"):
    return WebhookReceiver(handler, url=hook.url, keys=hook.key, scheme=scheme)


def until(condition):
    """What *condition* returns once that is true; a failure after a minute."""
    end = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.01)
    return found


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_receiver_in_this_process_gets_the_events(clock, scheme):
    got = []
    with Sandbox(clock=clock, webhook_scheme=scheme) as sandbox, sandbox.client() as client:
        hook = sandbox.add_webhook(URL)
        receiver = receiver_of(hook, got.append, scheme)
        result = client.messages.send_mail(
            Message(
                subject="Hi",
                from_email="a@example.com",
                to=["ada@example.com", "bob@example.com"],
                text="x",
            )
        )
        [sent] = sandbox.deliver(to=receiver)
        assert (sent.state, sent.events, sent.next_attempt, sent.mail) == (
            "delivered",
            ("send", "send"),
            None,
            1,
        )
        assert [(attempt.status, attempt.ok) for attempt in sent.attempts] == [(200, True)]
        sandbox.record(
            1,
            "click",
            recipient="bob@example.com",
            ip="192.0.2.1",
            user_agent="Lynx",
            url="https://example.com/x",
        )
        sandbox.record(1, "hard_bounce", recipient="ada@example.com")
        assert len(sandbox.deliver(to=receiver)) == 2
        assert sandbox.deliver(to=receiver) == []
        assert dict(sent.headers)[HEADER] == SIGNERS[scheme](hook.key.reveal(), URL, sent.body)
        assert sandbox.webhooks[0].total_event == 4
        assert sandbox.webhooks[0].last_success.timestamp() == pytest.approx(clock.now, abs=0.001)
    assert [(event.event, event.recipient) for event in got] == [
        ("send", "ada@example.com"),
        ("send", "bob@example.com"),
        ("click", "bob@example.com"),
        ("hard_bounce", "ada@example.com"),
    ]
    assert {event.unique_id for event in got} == {result.unique_id}
    assert {event.smtp_user_name for event in got} == {"smtp12345"}
    assert {event.time.timestamp() for event in got} == {int(clock.now * 1000) / 1000}
    assert len({event.id for event in got}) == 4
    assert dict(got[2].msg)["url"] == "https://example.com/x"
    assert dict(got[3].msg)["reason"].startswith("550")


def test_the_headers_of_a_post_have_the_name_of_the_brand(clock):
    got = []
    with Sandbox(clock=clock, brand="Acme") as sandbox, sandbox.client() as client:
        hook = sandbox.add_webhook(URL)
        client.messages.send_mail(
            Message(subject="Hi", from_email="a@example.com", to="ada@example.com", text="x")
        )
        ours = WebhookReceiver(
            got.append, url=hook.url, keys=hook.key, scheme="form-base64", brand="Acme"
        )
        [sent] = sandbox.deliver(to=ours)
        assert sent.state == "delivered"
        assert "X-AcmeTES-SIGNATURE" in dict(sent.headers)
        assert sent.body.startswith(b"Acmetes_events=")
        assert sandbox.replay(sent, to=receiver_of(hook, got.append)).attempts[-1].status == 403
    assert [event.event for event in got] == ["send"]


@pytest.mark.parametrize("brand", ["", "Power Email", "é", "a\nb", None])
def test_a_brand_that_is_no_header_name_is_rejected(brand):
    for make in (
        lambda: Sandbox(brand=brand),
        lambda: WebhookReceiver(print, url=URL, keys=[], scheme="body-hex", brand=brand),
    ):
        with pytest.raises(UsageError, match="brand: must consist"):
            make()


async def test_an_async_receiver_is_awaited(sandbox, api, hook):
    got = []

    async def handle(event):
        await anyio.lowlevel.checkpoint()
        got.append(event.event)
        if got == ["send"]:
            raise ConnectionError("the database is down")

    receiver = receiver_of(hook, handle)
    api.send()
    [refused] = await sandbox.adeliver(to=receiver)
    assert (refused.state, refused.attempts[0].ok) == ("waiting", False)
    assert await sandbox.adeliver(to=receiver) == []
    sandbox.clock.advance(RETRY_AFTER[0])
    sandbox.record(1, "open")
    assert [delivery.state for delivery in await sandbox.adeliver(to=receiver)] == [
        "delivered",
        "delivered",
    ]
    assert got == ["send", "send", "open"]


def test_a_webhook_gets_only_the_events_it_is_registered_for(sandbox, api):
    sandbox.add_webhook("https://example.com/sends", events=["send"])
    sandbox.add_webhook("https://example.com/opens", events=["open", "click"])
    sandbox.add_webhook("https://example.com/bounces", events="hard_bounce")
    api.send()
    sandbox.record(1, "open")
    poster = Recording()
    sandbox.deliver(poster)
    assert [post[0] for post in poster.posts] == [
        "https://example.com/sends",
        "https://example.com/opens",
    ]


def test_events_of_a_mail_to_many_are_split_into_several_posts(sandbox, api, hook):
    api.send(to=[{"email": f"u{number}@example.com"} for number in range(250)])
    assert [len(delivery.events) for delivery in sandbox.deliver(Recording())] == [100, 100, 50]
    assert sandbox.webhooks[0].total_event == 250


def test_a_failed_post_is_repeated_and_then_given_up(sandbox, api, hook):
    api.send()
    poster = Recording(*[500, None, 204, 404, 302, 503])
    for number, wait in enumerate((*RETRY_AFTER, None)):
        [tried] = sandbox.deliver(poster)
        assert len(tried.attempts) == number + 1
        assert sandbox.deliver(poster) == []
        if wait is not None:
            assert (tried.state, (tried.next_attempt - tried.attempts[-1].at).total_seconds()) == (
                "waiting",
                wait,
            )
            sandbox.clock.advance(wait - 0.001)
            assert sandbox.deliver(poster) == []
            sandbox.clock.advance(0.001)
    assert (tried.state, tried.next_attempt) == ("failed", None)
    assert [attempt.status for attempt in tried.attempts] == [500, None, 204, 404, 302, 503]
    assert len(set(poster.posts)) == 1
    sandbox.clock.advance(10**6)
    assert sandbox.deliver(poster) == []
    assert (sandbox.webhooks[0].last_success, sandbox.webhooks[0].total_event) == (None, 0)
    # What was given up can still be brought.
    assert sandbox.replay(tried, poster).state == "delivered"
    assert sandbox.webhooks[0].total_event == 1


def test_a_replay_posts_the_same_bytes(sandbox, api, hook):
    api.send()
    poster = Recording(200, 200, 500)
    [delivery] = sandbox.deliver(poster)
    api("keyResetWebhook", webhook_id=hook.webhook_id)
    again = sandbox.replay(delivery, poster)
    assert sandbox.replay(delivery.number, poster).state == "delivered"
    assert (
        poster.posts[0]
        == poster.posts[1]
        == poster.posts[2]
        == (delivery.url, delivery.headers, delivery.body)
    )
    assert [attempt.status for attempt in again.attempts] == [200, 200]
    assert sandbox.webhooks[0].total_event == 1
    assert sandbox.deliver(poster) == []
    with pytest.raises(LookupError, match="no delivery number 9"):
        sandbox.replay(9, poster)


def test_a_replayed_event_is_handled_once(sandbox, api, hook):
    got = []
    receiver = receiver_of(hook, got.append)
    api.send()
    [delivery] = sandbox.deliver(receiver)
    assert sandbox.replay(delivery, receiver).attempts[-1].ok
    assert len(got) == 1


def test_a_new_key_signs_later_events_only(sandbox, api, hook):
    got = []
    api.send()
    new = api("keyResetWebhook", webhook_id=hook.webhook_id)["key"]
    sandbox.record(1, "open")
    forgetful = WebhookReceiver(got.append, url=URL, keys=new, scheme="form-base64")
    first, second = sandbox.deliver(forgetful)
    # What was signed before is refused by who has thrown the old key away: the service does no
    # better.
    assert (first.attempts[0].status, second.attempts[0].status) == (403, 200)
    sandbox.clock.advance(RETRY_AFTER[0])
    [again] = sandbox.deliver(
        WebhookReceiver(got.append, url=URL, keys=[new, hook.key], scheme="form-base64")
    )
    assert again.state == "delivered"
    assert [event.event for event in got] == ["open", "send"]


def test_a_silent_webhook_does_not_delay_the_others(sandbox, api):
    sandbox.add_webhook("https://example.com/silent", events="send")
    sandbox.add_webhook("https://example.com/well", events="send")
    for _ in range(3):
        api.send()

    class OneSilent(Recording):
        def post(self, url, headers, body):
            super().post(url, headers, body)
            return (
                AttemptResult(None, "ReadTimeout")
                if url.endswith("silent")
                else AttemptResult(200, "")
            )

    poster = OneSilent()
    sandbox.deliver(poster)
    assert [post[0].rpartition("/")[2] for post in poster.posts] == [
        "silent",
        "well",
        "well",
        "well",
    ]


def test_deliveries_to_a_deleted_webhook_are_given_up(sandbox, api, hook):
    api.send()
    api("deleteWebhook", webhook_id=hook.webhook_id)
    assert sandbox.deliver(Recording()) == []
    assert [delivery.state for delivery in sandbox.deliveries] == ["failed"]
    sandbox.clear()
    assert sandbox.deliveries == []


def test_waiting_deliveries_are_kept_in_the_file(tmp_path, clock, api):
    path = tmp_path / "sandbox.db"
    with Sandbox(path, clock=clock) as sandbox, sandbox.client() as client:
        sandbox.add_webhook(URL)
        client.messages.send_mail(
            Message(subject="Hi", from_email="a@example.com", to="ada@example.com", text="x")
        )
        [waiting] = sandbox.deliveries
    with Sandbox(path, clock=clock) as sandbox:
        assert sandbox.deliveries == [waiting]
        [delivered] = sandbox.deliver(Recording())
    assert (delivered.state, delivered.body) == ("delivered", waiting.body)


@pytest.fixture
def shared(tmp_path, clock):
    """Two sandboxes on one file, in which a delivery waits."""
    path = tmp_path / "sandbox.db"
    with Sandbox(path, clock=clock) as sandbox, Sandbox(path, clock=clock) as other:
        sandbox.add_webhook(URL)
        with sandbox.client() as client:
            client.messages.send_mail(
                Message(subject="Hi", from_email="a@example.com", to="ada@example.com", text="x")
            )
        yield sandbox, other


def test_two_sandboxes_on_one_file_post_each_delivery_once(shared, clock):
    sandbox, other = shared

    class Meanwhile(Recording):
        def post(self, url, headers, body):
            # The other one looks while this one posts.
            assert other.deliver(Recording()) == []
            return super().post(url, headers, body)

    assert [each.state for each in sandbox.deliver(Meanwhile(500))] == ["waiting"]
    clock.now += 1
    assert [len(each.attempts) for each in other.deliver(Recording())] == [2]
    assert sandbox.deliver(Recording()) == []


def test_a_delivery_that_another_process_posted_before_the_claim_is_not_posted_again(
    shared, monkeypatch
):
    sandbox, other = shared
    looked = []

    def machine_time():
        # Asked when it looks, and once more when it claims.
        looked.append(True)
        if len(looked) == 2:
            other.deliver(Recording())
        return round(time.time() * 1000)

    monkeypatch.setattr("poweremail.sandbox._webhooks.deliveries._machine_time", machine_time)
    assert sandbox.deliver(Recording()) == []
    assert [len(each.attempts) for each in sandbox.deliveries] == [1]


def test_a_delivery_that_a_dead_process_claimed_is_posted_in_the_end(
    sandbox, api, hook, monkeypatch
):
    api.send()
    now = sandbox.clock.milliseconds()
    assert sandbox.service.deliveries.claim(now).number == 1
    assert sandbox.deliver(Recording()) == []
    monkeypatch.setattr(
        "poweremail.sandbox._webhooks.deliveries._machine_time",
        lambda: round(time.time() * 1000) + 60_000,
    )
    assert [each.state for each in sandbox.deliver(Recording())] == ["delivered"]


def test_two_servers_on_one_file_post_each_delivery_once(tmp_path):
    path = tmp_path / "sandbox.db"
    with (
        Receiver({"POST": (200, "")}) as receiver,
        Sandbox(path) as sandbox,
        Sandbox(path) as other,
        sandbox.server(),
        other.server(),
        sandbox.client() as client,
    ):
        sandbox.add_webhook(receiver.url)
        for _ in range(20):
            client.messages.send_mail(
                Message(subject="Hi", from_email="a@example.com", to="ada@example.com", text="x")
            )
        until(lambda: all(delivery.state == "delivered" for delivery in sandbox.deliveries))
        assert [len(delivery.attempts) for delivery in sandbox.deliveries] == [1] * 20
    assert receiver.seen == ["POST"] * 20


def test_old_deliveries_are_deleted_unless_they_wait(sandbox, api, hook, monkeypatch):
    monkeypatch.setattr("poweremail.sandbox._webhooks.deliveries._MAX_DELIVERIES_KEPT", 100)
    for number in range(301):
        api.send() if number == 0 else sandbox.record(1, "open")
        if number != 7:
            sandbox.deliver(Recording())
        else:
            sandbox.deliver(Recording(500))
    numbers = [delivery.number for delivery in sandbox.deliveries]
    # The eighth is still to be brought.
    assert numbers == [8, *range(201, 302)]


def test_a_receiver_that_calls_the_sandbox_starts_no_nested_delivery(sandbox, api, hook):
    class Nested(Recording):
        def post(self, url, headers, body):
            sandbox.deliver(self)

    api.send()
    with pytest.raises(UsageError, match="by a receiver that it is delivering to"):
        sandbox.deliver(Nested())
    assert [delivery.state for delivery in sandbox.deliver(Recording())] == ["delivered"]


def test_a_delivery_is_deleted_while_it_is_posted(sandbox, api, hook):
    class Clearing(Recording):
        def post(self, url, headers, body):
            sandbox.clear()
            return super().post(url, headers, body)

    api.send()
    [posted] = sandbox.deliver(Clearing())
    assert [attempt.status for attempt in posted.attempts] == [200]
    assert sandbox.deliveries == []
    assert sandbox.service.store.rows("SELECT 1 FROM attempts") == []


def test_the_beginning_of_an_endless_response_is_kept(sandbox, api):
    with Receiver({"POST": (200, "x" * 100_000)}) as receiver:
        sandbox.add_webhook(receiver.url)
        api.send()
        [delivery] = sandbox.deliver()
    assert delivery.attempts[0].answer == "x" * 1024


def test_the_worker_waits_while_the_database_cannot_be_used(tmp_path, caplog, clock):
    with Sandbox(tmp_path / "sandbox.db", clock=clock) as sandbox, sandbox.client() as client:
        sandbox.add_webhook("http://localhost:9/hook")
        client.messages.send_mail(
            Message(subject="Hi", from_email="a@example.com", to="ada@example.com", text="x")
        )
        other = sqlite3.connect(tmp_path / "sandbox.db", isolation_level=None)
        sandbox.service.store.rows("PRAGMA busy_timeout = 1")
        other.execute("BEGIN IMMEDIATE")
        with sandbox.server():
            until(lambda: "database cannot be used" in caplog.text)
            other.execute("ROLLBACK")
            other.close()
            until(lambda: sandbox.deliveries[0].attempts)


def test_an_unknown_scheme_is_rejected():
    with pytest.raises(UsageError, match="form-base64"):
        Sandbox(webhook_scheme="plain")


def test_the_server_posts_until_the_receiver_is_back(clock):
    """A real receiver under a real WSGI server; it is down at first, and comes back."""
    got = []
    app = {}
    with make_server(
        "127.0.0.1",
        0,
        lambda environ, start: app["wsgi"](environ, start),
        WSGIServerInThread,
        Quiet,
    ) as wsgi:
        url = f"http://127.0.0.1:{wsgi.server_port}/hook"

        def down(_environ, start):
            start("503 Service Unavailable", [])
            return [b"we are down " * 200]

        with (
            Sandbox(clock=clock) as sandbox,
            sandbox.server() as server,
            PowerEmail("me", "any", base_url=server.url, smtp_user_name="smtp12345") as client,
        ):
            app["wsgi"] = WebhookWSGI(
                WebhookReceiver(got.append, url=url, keys=[], scheme="form-base64")
            )
            # The question on registration is really asked.
            client.settings.add_webhook(url)
            [hook] = client.settings.list_webhook()
            app["wsgi"] = down
            client.messages.send_mail(
                Message(subject="Hi", from_email="a@example.com", to="ada@example.com", text="x")
            )
            base = f"{server.url}/_sandbox"
            listed = lambda: httpx.get(f"{base}/deliveries", **PLAIN_HTTP).json()["deliveries"]  # noqa: E731
            until(lambda: listed()[0]["attempts"])
            [refused] = listed()
            assert (refused["state"], refused["attempts"][0]["status"]) == ("waiting", 503)
            assert len(refused["attempts"][0]["answer"]) == 1024
            app["wsgi"] = WebhookWSGI(
                WebhookReceiver(got.append, url=url, keys=hook.key, scheme="form-base64")
            )
            httpx.post(f"{base}/clock", json={"advance": RETRY_AFTER[0]}, **PLAIN_HTTP)
            until(lambda: listed()[0]["state"] == "delivered")
            httpx.post(f"{base}/event_rules", json={"rule": "open 100% within 5s"}, **PLAIN_HTTP)
            client.messages.send_mail(
                Message(subject="Hi", from_email="a@example.com", to="bob@example.com", text="x")
            )
            httpx.post(f"{base}/clock", json={"advance": 5}, **PLAIN_HTTP)
            until(lambda: len(got) == 3)
            assert sorted((event.event, event.recipient) for event in got) == [
                ("open", "bob@example.com"),
                ("send", "ada@example.com"),
                ("send", "bob@example.com"),
            ]
            number = listed()[-1]["number"]
            before = httpx.get(f"{base}/deliveries/{number}", **PLAIN_HTTP).json()
            after = httpx.post(f"{base}/deliveries/{number}/replay", **PLAIN_HTTP).json()
            assert (after["headers"], after["body"]) == (before["headers"], before["body"])
            assert [attempt["status"] for attempt in after["attempts"]] == [503, 200, 200]
            [webhook] = httpx.get(f"{base}/webhooks", **PLAIN_HTTP).json()["webhooks"]
            assert webhook["total_event"] == 3
    assert len(got) == 3


def test_a_post_over_http_has_the_stored_bytes(sandbox, api):
    with Receiver(
        {"GET": (200, "God bless you, PowerEmail"), "POST": (302, "http://127.0.0.1:1/")}
    ) as receiver:
        sandbox.add_webhook(receiver.url)
        api.send()
        [delivery] = sandbox.deliver()
        # It is not sent on to elsewhere, and nothing but 200 is a yes.
        assert (delivery.attempts[0].status, delivery.state) == (302, "waiting")
    sandbox.clock.advance(1)
    [gone] = sandbox.deliver()
    assert gone.attempts[1].status is None
    assert "ConnectError" in gone.attempts[1].answer


def test_no_text_shows_a_key(sandbox, hook, api, caplog):
    caplog.set_level(logging.DEBUG)
    api.send()
    key = hook.key.reveal()
    with sandbox.server() as server:
        base = f"{server.url}/_sandbox"
        until(
            lambda: httpx.get(f"{base}/deliveries", **PLAIN_HTTP).json()["deliveries"][0][
                "attempts"
            ]
        )
        said = [
            httpx.get(f"{base}/{path}", **PLAIN_HTTP).text
            for path in ("deliveries", "deliveries/1", "webhooks", "openapi.json", "messages/1")
        ]
    assert key not in "".join(
        [*said, caplog.text, repr(sandbox.deliveries), repr(sandbox.webhooks)]
    )


def test_the_calls_of_the_control_api(sandbox, hook, api):
    api.send()
    sandbox.deliver(Recording())
    with (
        sandbox.server() as server,
        httpx.Client(base_url=f"{server.url}/_sandbox/", **PLAIN_HTTP) as control,
    ):
        sandbox.record(1, "open")
        until(lambda: control.get("deliveries?state=waiting").json()["deliveries"])
        page = control.get("deliveries?limit=1").json()
        assert ([each["number"] for each in page["deliveries"]], page["more"]) == ([2], True)
        assert [
            each["number"] for each in control.get("deliveries?before=2").json()["deliveries"]
        ] == [1]
        assert control.get(f"deliveries?webhook_id={hook.webhook_id}&state=delivered").json()[
            "deliveries"
        ][0]["events"] == ["send"]
        assert control.get("deliveries?webhook_id=other").json() == {
            "deliveries": [],
            "more": False,
        }
        assert control.get("deliveries?state=lost").status_code == 400
        assert control.get("deliveries/9").status_code == 404
        rule = control.post("event_rules", json={"rule": "open 30% within 5s"}).json()
        assert rule == {
            "number": 1,
            "rule": "open 30% within 5s",
            "event": "open",
            "share": 0.3,
            "within": 5.0,
        }
        assert control.get("event_rules").json() == {"event_rules": [rule]}
        for wrong in ({"rule": "open"}, {"rule": 3}, {}):
            assert control.post("event_rules", json=wrong).status_code == 400
        assert control.delete("event_rules/1").status_code == 200
        assert control.delete("event_rules/1").status_code == 404
        assert control.delete("event_rules").status_code == 200


def test_a_sandbox_may_be_closed_before_its_server(caplog):
    sandbox = Sandbox()
    before = set(threading.enumerate())
    with sandbox.server():
        [worker] = [
            thread
            for thread in set(threading.enumerate()) - before
            if thread.name == "poweremail-sandbox-webhooks"
        ]
        sandbox.close()
        worker.join(10)
        assert not worker.is_alive()
    assert not caplog.records
