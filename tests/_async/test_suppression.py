"""A client with a suppression store: who is left out, on every call that sends."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from email.message import EmailMessage
from threading import Event  # async only

import anyio  # async only
import attrs
import pytest

from poweremail import (
    AsyncFailover,
    AsyncPowerEmail,
    ConfigurationError,
    Message,
    NotSentError,
    OutcomeEvent,
    RetryPolicy,
    SuppressionStoreError,
    TemplateMessage,
    Timeouts,  # async only
    UsageError,
    WebhookEvent,
)
from poweremail.batch import AsyncBatch
from poweremail.sandbox import Fault, Sandbox
from poweremail.suppression import (
    AsyncSuppressions,
    SuppressedError,
    Suppression,
    open_store,
)

ADA, BOB, EVE = "ada@example.org", "bob@example.org", "eve@example.org"


@pytest.fixture(params=["file", "ledger"])
def store(request, tmp_path):
    place = tmp_path / "list.db"
    with open_store(str(place) if request.param == "file" else f"sqlite:///{place}") as store:
        yield store


@pytest.fixture
def sandbox():
    with Sandbox() as sandbox:
        sandbox.add_template("welcome", text="Hi")
        yield sandbox


def a_mail(*to: str, **fields: object) -> Message:
    return Message(subject="Hi", from_email="office@example.com", to=to, text="t", **fields)


def a_template(*to: str, **fields: object) -> TemplateMessage:
    return TemplateMessage(
        template_id="welcome", subject="Hi", from_email="o@example.com", to=to, **fields
    )


def a_raw(*to: str) -> EmailMessage:
    raw = EmailMessage()
    raw["From"], raw["To"], raw["Subject"] = "office@example.com", ", ".join(to), "Hi"
    raw.set_content("To: not.a.header@example.org")
    return raw


def body(*to: str) -> dict[str, object]:
    entries = [{"email": each, "type": "to"} for each in to]
    message = {"subject": "Hi", "from_email": "o@example.com", "text": "t", "to": entries}
    return {"smtp_user_name": "smtp1", "message": message}


def with_members(**members: object) -> dict[str, object]:
    return {"smtp_user_name": "smtp1", "message": {**body(ADA)["message"], **members}}


SENDS = {
    "send_mail": lambda client, *to: client.messages.send_mail(a_mail(*to)),
    "send_template": lambda client, *to: client.messages.send_template(a_template(*to)),
    "send_raw": lambda client, *to: client.messages.send_raw(a_raw(*to)),
    "call": lambda client, *to: client.call("messages/sendMail", body(*to)),
    "call raw": lambda client, *to: client.call(
        "messages/sendRaw",
        {
            "smtp_user_name": "smtp1",
            "raw_message": f"From: o@example.com\nSubject: s\nTo: {', '.join(to)}\n\nt",
        },
    ),
}


def got(sandbox: Sandbox) -> list[str]:
    return sorted(each.email for mail in sandbox.outbox for each in mail.recipients)


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
async def test_suppressed_recipients_are_left_out_of_every_send(sandbox, store, send):
    store.add([Suppression("ADA@Example.ORG", reason="hard_bounce")])
    async with sandbox.async_client(suppression=store) as client:
        result = await send(client, "Ada@example.org", BOB)
        assert [entry.address for entry in result.suppressed] == [ADA]
        assert got(sandbox) == [BOB]
        with pytest.raises(SuppressedError) as caught:
            await send(client, "Ada@EXAMPLE.org")
    assert got(sandbox) == [BOB]
    assert caught.value.mail_state == "not_sent"
    assert not caught.value.temporary
    assert isinstance(caught.value, NotSentError)
    assert "hard bounce" in str(caught.value)
    assert "ada@" not in str(caught.value).lower()
    assert caught.value.recipients[0].lower() == ADA


async def test_a_mail_by_get_is_not_sent_to_a_suppressed_address(sandbox, store):
    store.add([Suppression(ADA, "news", reason="unsubscribe")])
    async with sandbox.async_client(suppression=store) as client:
        await client.messages.send_template_http_get(a_template(ADA))
        with pytest.raises(SuppressedError):
            await client.messages.send_template_http_get(a_template(ADA, stream="news"))
    assert len(sandbox.outbox) == 1


async def test_the_result_names_those_who_were_left_out(sandbox, store):
    store.add([Suppression(ADA, reason="spam", note="mail-7"), Suppression(EVE, "news")])
    async with sandbox.async_client(suppression=store) as client:
        mail = a_mail(ADA, cc=[BOB, EVE], bcc="Ada@example.org", stream="news")
        result = await client.messages.send_mail(mail)
        assert result.recipients == (BOB,)
        assert [(each.address, each.reason) for each in result.suppressed] == [
            (ADA, "spam"),
            (EVE, "manual"),
            (ADA, "spam"),
        ]
        assert (await client.messages.send_mail(a_mail(BOB))).suppressed == ()
    assert got(sandbox) == [BOB, BOB]


async def test_a_stream_selects_the_list(sandbox, store):
    store.add([Suppression(ADA, "news", reason="unsubscribe")])
    async with sandbox.async_client(suppression=store) as client:
        for stream in (None, "password-reset"):
            await client.messages.send_mail(a_mail(ADA, stream=stream))
            await client.messages.send_raw(a_raw(ADA), stream=stream)
        for send in (
            lambda: client.messages.send_mail(a_mail(ADA, stream="news")),
            lambda: client.messages.send_raw(a_raw(ADA), stream="news"),
        ):
            with pytest.raises(SuppressedError):
                await send()
        store.add([Suppression(ADA, reason="hard_bounce")])
        with pytest.raises(SuppressedError):
            await client.messages.send_mail(a_mail(ADA, stream="password-reset"))
    assert len(sandbox.outbox) == 4


async def test_the_name_of_a_stream_has_no_case(sandbox, store):
    assert store.add([Suppression(ADA, "News", reason="unsubscribe")]) == 1
    assert store.add([Suppression(ADA, "news", reason="unsubscribe")]) == 0
    async with sandbox.async_client(suppression=store) as client:
        for stream in ("news", "NEWS"):
            with pytest.raises(SuppressedError):
                await client.messages.send_mail(a_mail(ADA, stream=stream))
            with pytest.raises(SuppressedError):
                await client.messages.send_raw(a_raw(ADA), stream=stream)
    assert [entry.stream for entry in store.entries(stream="NEWS")] == ["news"]
    assert store.remove(ADA, stream="nEWS") == 1
    assert got(sandbox) == []


async def test_send_many_goes_on_after_a_suppressed_one(sandbox, store):
    store.add([Suppression(ADA)])
    async with (
        sandbox.async_client(suppression=store) as client,
        client.messages.send_many([a_mail(ADA), a_mail(BOB)]) as outcomes,
    ):
        states = {outcome.index: outcome.state async for outcome in outcomes}
    assert states == {0: "not_sent", 1: "accepted"}


async def test_a_batch_and_an_outbox_ask_before_each_mail(sandbox, store, tmp_path):
    store.add([Suppression(ADA), Suppression(EVE, "news")])
    mails = [a_mail(ADA), a_mail(BOB, EVE, stream="news"), a_mail(EVE)]
    async with sandbox.async_client(suppression=store) as client:
        async with AsyncBatch(client, tmp_path / "ledger.db", "b") as batch:
            await batch.add(mails)
            async with batch.run() as outcomes:
                found = {o.recipients[0]: o async for o in outcomes}
            assert (await batch.status()).paused is None
            records = [record.error_kind async for record in batch.report(["not_sent"])]
    assert records == ["SuppressedError"]
    assert {to: o.state for to, o in found.items()} == {
        ADA: "not_sent",
        BOB: "accepted",
        EVE: "accepted",
    }
    assert [each.address for each in found[BOB].result.suppressed] == [EVE]
    assert got(sandbox) == [BOB, EVE]


async def test_an_unknown_mail_of_a_batch_is_looked_up_for_those_who_got_it(
    sandbox, store, tmp_path
):
    store.add([Suppression(ADA)])
    sandbox.faults.add(Fault.reset_after_acceptance(), call="sendMail", times=1)
    async with sandbox.async_client(suppression=store) as client:
        async with AsyncBatch(client, tmp_path / "ledger.db", "b", visibility=5) as batch:
            await batch.add([a_mail(ADA, BOB)])
            async with batch.run() as outcomes:
                states = [outcome.state async for outcome in outcomes]
    assert states == ["accepted"]
    assert got(sandbox) == [BOB]


class Broken:
    """A store whose database is gone."""

    def __init__(self) -> None:
        self.asked = 0

    def find(self, addresses, /):
        self.asked += 1
        raise ConnectionError("postgresql://app:hunter2@db: connection refused")

    def add(self, entries, /):
        raise ConnectionError("gone")


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
async def test_nothing_is_sent_while_the_store_fails(sandbox, send):
    store = Broken()
    retry = RetryPolicy(attempts=3, first_wait=0.01)
    async with sandbox.async_client(suppression=store, retry=retry) as client:
        with pytest.raises(
            NotSentError, match="not sent: the suppression list cannot be"
        ) as caught:
            await send(client, ADA)
    assert isinstance(caught.value, SuppressionStoreError)
    assert caught.value.temporary
    assert "hunter2" not in str(caught.value)
    assert store.asked == 1
    assert got(sandbox) == []


async def test_a_batch_that_rehearses_leaves_out_the_same_recipients(sandbox, store, tmp_path):
    store.add([Suppression(ADA)])
    async with sandbox.async_client(suppression=store) as client:
        options = {"redirect_to": "team@example.com"}
        async with AsyncBatch(client, tmp_path / "ledger.db", "b", **options) as batch:
            await batch.add([a_mail(ADA), a_mail(ADA, BOB)])
            async with batch.run() as outcomes:
                states = sorted([outcome.state async for outcome in outcomes])
    assert states == ["accepted", "not_sent"]
    (mail,) = sandbox.outbox
    assert mail.to == ("team@example.com",)
    assert mail.headers["X-PowerEmail-Redirected-For"] == BOB


@pytest.mark.parametrize("options", [{}, {"redirect_to": "team@example.com"}])
async def test_a_dry_run_of_a_batch_tells_who_is_suppressed(sandbox, store, tmp_path, options):
    store.add([Suppression(ADA)])
    async with sandbox.async_client(suppression=store) as client:
        async with AsyncBatch(client, tmp_path / "ledger.db", "b", **options) as batch:
            await batch.add([a_mail(ADA), a_mail(ADA, BOB), a_mail(BOB)])
            errors = [error async for _, error in batch.dry_run()]
    assert [type(error).__name__ for error in errors] == ["SuppressedError", "NoneType", "NoneType"]
    assert got(sandbox) == []


async def test_a_batch_waits_for_a_store_that_fails(sandbox, tmp_path):
    store = Broken()
    async with sandbox.async_client(suppression=store) as client:
        retry = RetryPolicy(attempts=2, first_wait=0.01, max_wait=0.01)
        async with AsyncBatch(client, tmp_path / "ledger.db", "b", retry=retry) as batch:
            await batch.add([a_mail(ADA)])
            async with batch.run() as outcomes:
                states = [outcome.state async for outcome in outcomes]
            records = [record.error_kind async for record in batch.report(["not_sent"])]
    assert (states, store.asked) == (["not_sent"], 2)
    assert records == ["SuppressionStoreError"]
    assert got(sandbox) == []


async def test_a_failover_sends_no_suppressed_mail_by_another_client(sandbox, store):
    store.add([Suppression(ADA, "news")])
    unchecked = sandbox.async_client()
    for checked, kind in ((store, SuppressedError), (Broken(), SuppressionStoreError)):
        clients = {"a": sandbox.async_client(suppression=checked), "b": unchecked}
        async with AsyncFailover(clients) as failover:
            with pytest.raises(kind):
                await failover.messages.send_mail(a_mail(ADA, stream="news"))
            with pytest.raises(kind):
                await failover.messages.send_raw(a_raw(ADA), stream="news")
            assert failover.resting() == {}
    assert got(sandbox) == []


async def test_a_store_that_returns_something_else_sends_nothing(sandbox):
    class Odd:
        def find(self, addresses, /):
            yield "ada@example.org"

        def add(self, entries, /): ...

    async with sandbox.async_client(suppression=Odd()) as client:
        with pytest.raises(NotSentError, match="find returned a str, not a Suppression"):
            await client.messages.send_mail(a_mail(ADA))
    assert got(sandbox) == []


class Hangs:  # async only
    """A store whose database keeps silent until the test ends."""

    def __init__(self) -> None:
        self.end = Event()

    def find(self, addresses, /):
        self.end.wait()
        return ()

    def add(self, entries, /): ...


class HangsAwaited(Hangs):  # async only
    """The same with async methods."""

    async def find(self, addresses, /):
        await anyio.sleep_forever()

    async def add(self, entries, /): ...


@pytest.mark.parametrize("kind", [Hangs, HangsAwaited])  # async only
@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
async def test_nothing_is_sent_while_the_store_hangs(sandbox, kind, send):  # async only
    store = kind()
    options = {"suppression": store, "timeouts": Timeouts(suppression=0.05)}
    try:
        async with sandbox.async_client(**options) as client:
            with pytest.raises(SuppressionStoreError, match=r"took more than 0\.05 s") as caught:
                await send(client, ADA)
            await send(client.with_options(suppression=None), BOB)
    finally:
        store.end.set()
    assert caught.value.mail_state == "not_sent"
    assert got(sandbox) == [BOB]


async def test_a_store_that_hangs_holds_up_neither_mails_nor_other_work(  # async only
    sandbox, tmp_path
):
    store = Hangs()
    options = {"suppression": store, "timeouts": Timeouts(suppression=0.2)}
    try:
        async with sandbox.async_client(**options) as client:
            mails = [a_mail(ADA) for _ in range(100)]
            async with client.messages.send_many(mails, concurrency=100) as outcomes:
                errors = [outcome.error async for outcome in outcomes]
            # With each of the threads for such stores in use, a ledger still gets one.
            async with AsyncBatch(client, tmp_path / "ledger.db", "b") as batch:
                await batch.add([a_mail(ADA)])
                assert (await batch.status()).left == 1
    finally:
        store.end.set()
    assert {type(error) for error in errors} == {SuppressionStoreError}
    assert got(sandbox) == []


class Own:
    """A store of the user's own."""

    def __init__(self) -> None:
        self.kept: list[Suppression] = []

    def find(self, addresses, /):
        return (entry for entry in self.kept if entry.address in addresses)

    def add(self, entries, /):
        self.kept.extend(entries)


class Awaited(Own):  # async only
    """The same with async methods."""

    async def find(self, addresses, /):
        return super().find(addresses)

    async def add(self, entries, /):
        super().add(entries)


@pytest.mark.parametrize(
    "kind",
    [
        Own,
        Awaited,  # async only
    ],
)
async def test_the_store_may_be_of_your_own(sandbox, kind):
    store = kind()
    suppressions = AsyncSuppressions(store)
    await suppressions.add(Suppression("Ada <ADA@example.org>", "news", reason="unsubscribe"))
    assert [entry.address for entry in await suppressions.find("ada@EXAMPLE.org")] == [ADA]
    async with sandbox.async_client(suppression=store) as client:
        with pytest.raises(SuppressedError):
            await client.messages.send_mail(a_mail(ADA, stream="news"))
        without = client.with_options(suppression=None)
        await without.messages.send_mail(a_mail(ADA, stream="news"))
    assert got(sandbox) == [ADA]


async def test_a_store_that_hides_its_coroutines_loses_nothing(sandbox):  # async only
    class Hides(Own):
        def find(self, addresses, /):
            return later()

        def add(self, entries, /):
            return later()

    async def later() -> list[Suppression]:
        raise AssertionError("nobody awaits it")

    with pytest.raises(UsageError, match="add: returned an awaitable"):
        await AsyncSuppressions(Hides()).add(Suppression(ADA))
    async with sandbox.async_client(suppression=Hides()) as client:
        with pytest.raises(SuppressionStoreError, match="returned an awaitable"):
            await client.messages.send_mail(a_mail(ADA))
    assert got(sandbox) == []


def test_an_invalid_store_is_recognized():
    for store in (object(), "list.db"):
        with pytest.raises(ConfigurationError, match="suppression: must be a suppression store"):
            AsyncPowerEmail("o", "t", "tes.example.com", suppression=store)


async def test_a_rehearsal_leaves_out_the_same_recipients(sandbox, store):
    store.add([Suppression(ADA)])
    options = {"suppression": store, "redirect_to": "team@example.com"}
    async with sandbox.async_client(**options) as client:
        with pytest.raises(SuppressedError):
            await client.messages.send_mail(a_mail(ADA))
        await client.messages.send_mail(a_mail(ADA, BOB))
        dry = client.with_options(dry_run=True)
        assert (await dry.messages.send_mail(a_mail(ADA, BOB))).suppressed[0].address == ADA
        await dry.call("messages/sendMail", body(ADA, BOB))
    (mail,) = sandbox.outbox
    assert mail.to == ("team@example.com",)
    assert mail.headers["X-PowerEmail-Redirected-For"] == BOB


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
async def test_the_list_holds_for_the_one_to_whom_mails_are_redirected(
    sandbox, store, tmp_path, send
):
    store.add([Suppression("team@example.com", reason="hard_bounce")])
    seen: list[OutcomeEvent] = []
    options = {"suppression": store, "redirect_to": "team@example.com", "on_outcome": seen.append}
    async with sandbox.async_client(**options) as client:
        with pytest.raises(SuppressedError) as caught:
            await send(client, ADA, BOB)
        async with AsyncBatch(client, tmp_path / "ledger.db", "b") as batch:
            await batch.add([a_mail(ADA)])
            async with batch.run() as outcomes:
                assert [outcome.state async for outcome in outcomes] == ["not_sent"]
    assert caught.value.recipients == ("team@example.com",)
    assert [event.state for event in seen] == ["not_sent", "not_sent"]
    assert got(sandbox) == []


@pytest.mark.parametrize(
    "send",
    [
        lambda c: c.messages.send_mail(a_mail(ADA, headers={"Resent-To": EVE})),
        lambda c: c.messages.send_raw(f"From: o@example.com\nTo: {ADA}\nApparently-To: {EVE}\n\nt"),
        lambda c: c.call("messages/sendMail", body(f"{ADA}, {EVE}")),
        lambda c: c.call("messages/sendMail", {**body(ADA), "rcpt": EVE}),
        lambda c: c.call("messages/sendMail", with_members(recipients=[EVE])),
        lambda c: c.call("messages/sendMail", with_members(headers={"Resent-To:": EVE})),
        lambda c: c.call("messages/sendMail", with_members(headers={"X-A: b": EVE})),
        lambda c: c.call("messages/sendMail", with_members(headers={"X-A": [f"b\nBcc: {EVE}"]})),
        lambda c: c.call("messages/sendMail", with_members(to=[{"email": ADA, "cc": EVE}])),
        lambda c: c.call("messages/sendMail", with_members(to=[{"email": ADA, "Email": EVE}])),
        lambda c: c.call("messages/sendSoon", body(ADA)),
    ],
)
async def test_a_mail_whose_recipients_are_not_clear_is_not_sent(sandbox, store, send):
    async with sandbox.async_client(suppression=store) as client:
        with pytest.raises(UsageError):
            await send(client)
    assert got(sandbox) == []


async def test_a_raw_message_keeps_the_rest_of_its_text(sandbox, store):
    store.add([Suppression(ADA)])
    raw = (
        "Received: from x\r\nTo: =?utf-8?q?B=C3=B6b?= <bob@example.org>,\r\n"
        f" Ada <{ADA}>\r\nFrom: o@example.com\r\nCC: {ADA}\r\nSubject: =?utf-8?q?=C3=BC?=\r\n"
        "X-Unique-Id: u1\r\n\r\nTo: ada@example.org\r\n"
    )
    async with sandbox.async_client(suppression=store) as client:
        await client.messages.send_raw(raw)
    (mail,) = sandbox.outbox
    assert mail.raw["raw_message"] == raw.replace(f",\r\n Ada <{ADA}>", "").replace(
        f"CC: {ADA}\r\n", ""
    )


def event(name: str, msg: dict[str, object], unique_id: str | None = "mail-1") -> WebhookEvent:
    return WebhookEvent(
        id="e1",
        event=name,
        time=datetime(2026, 1, 2, tzinfo=UTC),
        unique_id=unique_id,
        smtp_user_name="smtp1",
        user_id="u",
        msg=msg,
    )


async def test_events_feed_the_store(store, caplog):
    suppressions = AsyncSuppressions(store, unsubscribed="news")
    for name in ("send", "open", "click", "soft_bounce", "something_new"):
        assert await suppressions.record_event(event(name, {"email": ADA})) is None
    for name, address in (("hard_bounce", ADA), ("spam", BOB), ("unsubscribe", EVE)):
        await suppressions.record_event(event(name, {"email": address.upper()}))
        await suppressions.record_event(event(name, {"email": address}))  # posted again
    assert {(each.address, each.stream, each.reason) for each in store.entries()} == {
        (ADA, "*", "hard_bounce"),
        (BOB, "*", "spam"),
        (EVE, "news", "unsubscribe"),
    }
    (entry,) = await suppressions.find(ADA)
    assert (entry.since, entry.note) == (datetime(2026, 1, 2, tzinfo=UTC), "mail-1")
    with caplog.at_level(logging.WARNING, "poweremail.suppression"):
        assert await suppressions.record_event(event("hard_bounce", {})) is None
        assert await suppressions.record_event(event("hard_bounce", {"email": "nobody"})) is None
    assert len(caplog.records) == 2


async def test_an_event_with_an_odd_id_or_time_counts_for_its_recipient(store):
    odd_id = event("hard_bounce", {"email": ADA}, unique_id="mail-\ud800")
    odd_time = attrs.evolve(
        event("hard_bounce", {"email": BOB}), time=datetime.max.replace(tzinfo=UTC)
    )
    for each in (odd_id, odd_time):
        await AsyncSuppressions(store).record_event(each)
    assert [each.address for each in store.entries()] == [ADA, BOB]


async def test_mails_are_walked_for_those_who_bounced(sandbox, store):
    async with sandbox.async_client() as client:
        mail = a_mail(ADA, BOB, EVE, unique_id="mail-1")
        await client.messages.send_mail(mail)
        sandbox.record(sandbox.outbox[0], "hard_bounce", recipient=BOB)
        suppressions = AsyncSuppressions(store, client=client)
        # An event that does not name its recipient concerns one of three: the mail is looked up.
        await suppressions.record_event(event("hard_bounce", {}))
        assert [each.address for each in store.entries()] == [BOB]
        sandbox.record(sandbox.outbox[0], "spam", recipient=EVE)
        assert await suppressions.record_mails(client, ["mail-1", "nobody-knows"]) == 2
    assert {each.address: each.note for each in store.entries()} == {BOB: "mail-1", EVE: "mail-1"}


async def test_a_mail_that_is_kept_back_is_an_outcome_like_any_other(store, sandbox):
    store.add([Suppression(ADA, reason="hard_bounce")])
    events: list[OutcomeEvent] = []
    async with sandbox.async_client(suppression=store, on_outcome=events.append) as client:
        with pytest.raises(SuppressedError):
            await client.messages.send_mail(a_mail(ADA, unique_id="u1"))
        with pytest.raises(SuppressedError):
            await client.messages.send_raw(f"To: {ADA}\r\nFrom: me@x.org\r\n\r\nHi")
        await client.messages.send_mail(a_mail(BOB))
    assert [(event.state, event.attempts) for event in events] == [
        ("not_sent", 0),
        ("not_sent", 0),
        ("accepted", 1),
    ]
    assert (events[0].unique_id, events[0].recipients) == ("u1", (ADA,))
    assert events[0].error_kind == "SuppressedError"
