"""What becomes of caught mails: by hand, by the script, and what getMessageInfo says of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poweremail import Message
from poweremail.errors import UsageError
from poweremail.sandbox import EventRule, EventScript, Sandbox

PEOPLE = [{"email": f"u{number}@example.com"} for number in range(200)]


def statuses(api):
    return [record["status"] for page in range(3) for record in api.info("Id", skip_page=page)]


def test_recorded_events_appear_in_the_message_info(sandbox, clock):
    with sandbox.client() as client:
        unique_id = client.messages.send_mail(
            Message(
                subject="a",
                from_email="a@example.com",
                to=["ada@example.com", "bob@example.com"],
                text="x",
            )
        ).unique_id
        [mail] = sandbox.outbox
        clock.now += 1
        [opened] = sandbox.record(
            mail, "open", recipient="ADA@example.com", ip="192.0.2.1", user_agent="Lynx"
        )
        assert (opened.mail, opened.email, opened.kind) == (1, "ada@example.com", "open")
        sandbox.record(1, "click", recipient="ada@example.com", url="https://example.com/")
        assert [event.email for event in sandbox.record(mail, "spam")] == [
            "ada@example.com",
            "bob@example.com",
        ]
        ada, bob = client.messages.iter_message_info(unique_id)
    assert (ada.status, ada.open_count, ada.click_count, bob.status) == ("spam", 1, 1, "spam")
    assert [(each.ip, each.user_agent, each.time.timestamp()) for each in ada.opens] == [
        ("192.0.2.1", "Lynx", int(clock.now * 1000) / 1000)
    ]


def test_impossible_events_are_rejected(sandbox, api):
    api.send()
    with pytest.raises(UsageError, match="must be one of open"):
        sandbox.record(1, "send")
    with pytest.raises(LookupError, match="no mail number 2"):
        sandbox.record(2, "open")
    with pytest.raises(LookupError, match="no such recipient"):
        sandbox.record(1, "open", recipient="bob@example.com")


def test_the_script_causes_its_share_of_events_within_its_time(sandbox, api, clock):
    sandbox.script.add("hard_bounce 10%")
    sandbox.script.add(EventRule("open", 0.5, within=5))
    api.send(to=PEOPLE)
    at_once = statuses(api)
    assert 5 <= at_once.count("hard_bounce") <= 40
    sandbox.clock.advance(2.5)
    half = statuses(api).count("open")
    sandbox.clock.advance(2.5)
    after = statuses(api)
    # A few may open it in the very first millisecond.
    assert at_once.count("open") < half < after.count("open")
    assert 60 <= after.count("open") <= 120
    # Who is not there opens nothing.
    assert after.count("hard_bounce") == at_once.count("hard_bounce")
    assert all(
        record["open"] == 0 for record in api.info("Id") if record["status"] == "hard_bounce"
    )
    times = [int(time) for record in api.info("Id") for time in record["openData"]["time"]]
    assert all(0 <= time - int(clock.now * 1000) <= 5000 for time in times)


def test_the_same_seed_causes_the_same_events(clock):
    def run(seed, people=PEOPLE):
        with Sandbox(
            clock=clock,
            seed=seed,
            script=["soft_bounce 5%", "open 30% within 1m", "click 10% within 1h"],
        ) as sandbox:
            with sandbox.client(smtp_user_name="s") as client:
                client.messages.send_mail(
                    Message(
                        subject="a",
                        from_email="a@example.com",
                        to=[who["email"] for who in people],
                        text="x",
                    )
                )
            sandbox.clock.advance(3600)
            sandbox.service.recorder.record_due()
            events = sandbox.service.mails.find(1)["events"]
            return sorted((event["email"], event["kind"], event["at"]) for event in events)

    first = run(7)
    assert first == run(7)
    # One recipient does not disturb another.
    assert run(7, PEOPLE[50:]) == [
        event for event in first if int(event[0][1:].partition("@")[0]) >= 50
    ]
    assert first != run(8)
    assert run(None) != run(None)


def test_rules_are_added_and_removed(sandbox, api):
    first, second = sandbox.script.add("spam 100%"), sandbox.script.add("click 100% within 90s")
    assert [str(placed.rule) for placed in sandbox.script.rules] == [
        "spam 100%",
        "click 100% within 90s",
    ]
    sandbox.script.remove(first.number)
    with pytest.raises(LookupError, match="no rule number 1"):
        sandbox.script.remove(first.number)
    assert sandbox.script.rules == (second,)
    api.send(html='<a href="https://example.com/?a&amp;b">x</a>')
    sandbox.script.clear()
    assert sandbox.script.rules == ()
    sandbox.clock.advance(90)
    # What was planned happens all the same.
    assert statuses(api) == ["click"]
    assert sandbox.service.mails.find(1)["events"][0]["url"] == "https://example.com/?a&b"


def test_deleted_mails_get_no_events(sandbox, api):
    sandbox.script.add("open 100% within 10s")
    api.send()
    api.send()
    sandbox.service.mails.delete(1)
    sandbox.service.mails.clear()
    sandbox.clock.advance(10)
    sandbox.service.recorder.record_due()
    assert sandbox.service.store.rows("SELECT 1 FROM events") == []
    sandbox.clear()
    assert sandbox.script.rules == ()


def test_many_events_at_once(sandbox, api):
    sandbox.script.add("open 100%")
    for _ in range(3):
        api.send(to=PEOPLE)
    sandbox.service.recorder.record_due()
    mails = sandbox.service.mails
    assert [len(mails.find(number)["events"]) for number in (1, 2, 3)] == [200, 200, 200]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "open",
        "open 30",
        "30% open",
        "open 30% 5s",
        "open 30% within 5",
        "open 30% within 5 years",
        "send 3%",
        "open 101%",
        "open -1%",
        "open 1e1%",
        "open 30% within -5s",
        "open 5% within 400d",
        "open ３%",
        "open 30% within 5s, click 1%",
    ],
)
def test_invalid_rules_are_rejected(text):
    with pytest.raises(UsageError):
        EventScript([text])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("open 500%", "share: must be from 0 to 100 %, not 500 %"),
        ("open 100.5 % within 1s", "share: must be from 0 to 100 %, not 100.5 %"),
        ("open 5% within 400d", "within: must be 366 d at most, not 400 d"),
    ],
)
def test_an_excessive_value_is_reported_in_the_words_of_the_rule(text, told):
    with pytest.raises(UsageError) as caught:
        EventRule.parse(text)
    assert caught.value.explanation == told


@pytest.mark.parametrize(
    "changes",
    [
        {"share": "1"},
        {"share": True},
        {"share": float("nan")},
        {"within": -1},
        {"within": float("inf")},
    ],
)
def test_invalid_options_of_a_rule_are_rejected(changes):
    with pytest.raises(UsageError):
        EventRule(**{"event": "open", "share": 0.5, **changes})


def test_a_script_may_be_one_rule_as_a_string():
    assert [str(placed.rule) for placed in EventScript(" spam 0.1 %  within 2 m ").rules] == [
        "spam 0.1% within 120s"
    ]


@given(
    st.sampled_from(["open", "click", "soft_bounce", "hard_bounce", "spam"]),
    st.integers(0, 10_000).map(lambda share: share / 10_000),
    st.integers(0, 10**9).map(lambda within: within / 1000),
)
def test_a_printed_rule_is_read_back_unchanged(event, share, within):
    rule = EventRule(event, share, within)
    again = EventRule.parse(str(rule))
    assert (again.event, again.share, again.within) == (
        event,
        pytest.approx(share),
        pytest.approx(within),
    )
    assert str(again) == str(rule)


@given(st.text(max_size=40))
def test_any_text_is_a_rule_or_is_rejected(text):
    try:
        rule = EventRule.parse(text)
    except UsageError:
        return
    assert 0 <= rule.share <= 1
