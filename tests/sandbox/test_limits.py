"""How much may be sent, and from when on again."""

import json
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import poweremail
from poweremail.errors import UsageError
from poweremail.sandbox import CaughtRecipient, Fault, Sandbox, SmtpLimits, SmtpUsage
from poweremail.sandbox._store.database import Store
from poweremail.sandbox._store.limits import UNLIMITED, LimitReached
from poweremail.sandbox._store.mail import MailContent
from poweremail.sandbox._store.mails import MailStore

from .conftest import Api

MINUTE, HOUR, DAY = 60, 3_600, 86_400


def recipients(count: int) -> list[dict[str, str]]:
    return [{"email": f"{number}@example.com"} for number in range(count)]


@pytest.fixture
def limited(clock):
    """Make a sandbox under limits, as its API."""
    sandboxes = []

    def make(limits: SmtpLimits) -> Api:
        sandboxes.append(Sandbox(clock=clock, limits=limits))
        return Api(sandboxes[-1])

    yield make
    for sandbox in sandboxes:
        sandbox.close()


def taken(api: Api, requests: int, **message) -> int:
    """Make so many requests, and return how many of them were taken."""
    before = len(api.sandbox.outbox)
    for _ in range(requests):
        api.reply("sendMail", smtp_user_name="smtp12345", message=api.message(**message))
    return len(api.sandbox.outbox) - before


def test_nothing_is_limited_by_default(api):
    assert taken(api, 70) == 70


def test_the_numbers_of_the_service():
    assert SmtpLimits() == SmtpLimits(
        per_minute=60,
        per_hour=3_600,
        per_day=50_000,
        hourly_limit=None,
        total_limit=None,
        answer="429",
    )


@pytest.mark.parametrize(
    ("limit", "seconds"), [("per_minute", MINUTE), ("per_hour", HOUR), ("per_day", DAY)]
)
def test_requests_within_each_window_are_limited(api, sandbox, limit, seconds):
    sandbox.add_smtp_user("smtp12345", **{limit: 2})
    assert taken(api, 1) == 1
    sandbox.clock.advance(10)
    assert taken(api, 2) == 1
    sandbox.clock.advance(seconds - 10.001)
    assert taken(api, 1) == 0
    sandbox.clock.advance(0.001)
    assert taken(api, 2) == 1
    sandbox.clock.advance(10)
    assert taken(api, 2) == 1


def test_all_windows_hold_at_once(api, sandbox):
    sandbox.add_smtp_user("smtp12345", per_minute=2, per_hour=3, per_day=4)
    went = []
    for advance in (0, MINUTE, HOUR - MINUTE, MINUTE, DAY):
        sandbox.clock.advance(advance)
        went.append(taken(api, 5))
    assert went == [2, 1, 1, 0, 2]


def test_the_response_to_a_request_above_the_limit(limited):
    envelope = {
        "status": "error",
        "code": "-1",
        "name": "ValidationError",
        "type": "ValidationError",
        "message": "Too many requests: more than 1 a minute",
    }
    for answer, status in (("429", 429), ("error", 200)):
        api = limited(SmtpLimits(per_minute=1, answer=answer))
        assert taken(api, 1) == 1
        response = api.reply("sendMail", smtp_user_name="smtp12345", message=api.message()).response
        assert (response.status, json.loads(response.body)) == (status, envelope)
        assert response.header("Content-Type") == "application/json"
        assert response.header("Retry-After") is None


def test_mails_an_hour(api, sandbox):
    sandbox.add_smtp_user("smtp12345", hourly_limit=5)
    assert taken(api, 1, to=recipients(3)) == 1
    sandbox.clock.advance(10)
    refused = {
        "status": "error",
        "code": "-1",
        "name": "ValidationError",
        "type": "ValidationError",
        "message": "The hourly_limit of the smtp user is reached (5)",
    }
    assert api.send(to=recipients(3)) == refused
    assert taken(api, 1, to=recipients(2)) == 1
    assert api.send() == refused
    sandbox.clock.advance(HOUR - 10)
    assert taken(api, 2, to=recipients(3)) == 1
    assert taken(api, 1, to=recipients(6)) == 0


def test_mails_in_total(api, sandbox):
    sandbox.add_smtp_user("smtp12345", total_limit=3)
    assert taken(api, 2, to=recipients(2)) == 1
    sandbox.clock.advance(1000 * DAY)
    assert taken(api, 2) == 1
    assert api.send()["message"] == "The total_limit of the smtp user is reached (3)"


def test_every_call_that_sends_counts_and_no_other_does(api, sandbox):
    sandbox.add_template("t1", text="x")
    sandbox.add_smtp_user("s", per_day=4)
    mail = {**api.message(), "template_id": "t1"}
    query = (
        "owner_id=o&token=t&smtp_user_name=s&template_id=t1&subject=s"
        "&from_email=a@example.com&to=b@example.com"
    )
    raw = "Subject: s\nFrom: a@example.com\nTo: b@example.com, c@example.com\n\nx"

    def statuses():
        yield api.reply("sendMail", smtp_user_name="s", message=mail)
        yield api.reply("sendTemplate", smtp_user_name="s", message=mail)
        yield api.reply("sendRaw", smtp_user_name="s", raw_message=raw)

    assert [reply.response.status for reply in statuses()] == [200] * 3
    assert api.get(query)["status"] == "queued"
    assert [reply.response.status for reply in statuses()] == [429] * 3
    assert api.get(query)["status"] == "error"
    assert len(api.info("Id")) == 2
    assert api("listSmtp")["status"] == "success"
    assert sandbox.smtp_users[0].used == SmtpUsage(
        per_minute=4, per_hour=4, per_day=4, hourly_limit=5, total_limit=5
    )


def test_a_rejected_request_does_not_count(api, sandbox):
    sandbox.add_smtp_user("smtp12345", per_minute=1, total_limit=1)
    assert api.send(subject="")["message"] == "You must specify subject"
    assert (
        api.send(to=recipients(2))["message"] == "The total_limit of the smtp user is reached (1)"
    )
    sandbox.faults.add(Fault.status(503), times=1)
    assert taken(api, 2) == 1
    used = sandbox.smtp_users[0].used
    assert used == SmtpUsage(per_minute=1, per_hour=1, per_day=1, hourly_limit=1, total_limit=1)
    # Above the limit, an error in the request is still reported first.
    assert api.send(subject="")["message"] == "You must specify subject"


def test_a_mail_whose_response_is_lost_counts(api, sandbox):
    sandbox.add_smtp_user("smtp12345", per_minute=1)
    sandbox.faults.add(Fault.reset_after_acceptance(), times=1)
    assert taken(api, 2) == 1
    sandbox.faults.add(Fault.status(502, accepted=True))
    assert taken(api, 1) == 0


def test_each_smtp_user_has_windows_of_its_own(limited):
    api = limited(SmtpLimits(per_minute=1))
    for name in ("a", "b"):
        statuses = [
            api.reply("sendMail", smtp_user_name=name, message=api.message()).response.status
            for _ in range(2)
        ]
        assert statuses == [200, 429]


def test_limits_of_a_user_override_the_common_ones(limited):
    api = limited(SmtpLimits(per_minute=1, total_limit=3))
    api.sandbox.add_smtp_user("smtp12345", per_minute=2, hourly_limit=7)
    (user,) = api.sandbox.smtp_users
    assert user.limits == SmtpLimits(per_minute=2, hourly_limit=7, total_limit=3)
    assert api("listSmtp")["smtp_list"] == [
        {"smtp_user_name": "smtp12345", "status": "Enable", "total_limit": 3, "hourly_limit": 7}
    ]
    assert taken(api, 3) == 2
    api.sandbox.clock.advance(MINUTE)
    assert taken(api, 3) == 1


def test_changed_limits_keep_the_usage(api, sandbox):
    taken(api, 2)
    sandbox.add_smtp_user("smtp12345", per_minute=3)
    assert taken(api, 1) == 1
    sandbox.service.mails.clear()
    assert taken(api, 1) == 0
    sandbox.add_smtp_user("smtp12345", per_minute=4)
    assert taken(api, 2) == 1
    sandbox.clear()
    sandbox.add_smtp_user("smtp12345", per_minute=4)
    assert taken(api, 5) == 4


def test_a_reopened_file_keeps_the_usage(tmp_path, api, clock):
    path = tmp_path / "caught.db"
    for expected in (2, 0):
        with Sandbox(path, clock=clock) as sandbox:
            sandbox.add_smtp_user("smtp12345", per_minute=2)
            api.sandbox = sandbox
            assert taken(api, 3) == expected
    clock.now += MINUTE
    with Sandbox(path, clock=clock) as sandbox:
        api.sandbox = sandbox
        assert taken(api, 3) == 2


def test_for_the_limits_a_clock_that_is_set_back_stands_still(api, sandbox, clock):
    sandbox.add_smtp_user("smtp12345", per_minute=2)
    assert taken(api, 1) == 1
    clock.now -= 30
    assert taken(api, 2) == 1
    assert sandbox.smtp_users[0].used.per_minute == 2
    clock.now += 30 + MINUTE - 0.001
    assert taken(api, 1) == 0
    clock.now += 0.002
    assert taken(api, 3) == 2


def test_many_threads_do_not_exceed_the_limit(api, sandbox):
    sandbox.add_smtp_user("smtp12345", per_minute=50, total_limit=45)
    threads = [threading.Thread(target=lambda: [api.send() for _ in range(10)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sandbox.outbox) == 45


def test_two_processes_with_one_file_do_not_exceed_the_limit(tmp_path, api):
    path = tmp_path / "caught.db"
    with Sandbox(path) as one, Sandbox(path) as two:
        one.add_smtp_user("smtp12345", total_limit=3)
        for sandbox in (one, two) * 4:
            api.sandbox = sandbox
            api.send()
        assert len(one.outbox) == 3


def test_a_user_with_a_long_history_is_no_slower(sandbox, api):
    sandbox.add_smtp_user(
        "smtp12345",
        per_minute=60,
        per_hour=3_600,
        per_day=200_000,
        hourly_limit=200_000,
        total_limit=200_000,
    )
    now = sandbox.service.clock.milliseconds()
    rows = [
        ("smtp12345", now - 10**7 + 100 * number, number, number) for number in range(1, 100_001)
    ]
    sandbox.service.store._connection.executemany("INSERT INTO tallies VALUES (?, ?, ?, ?)", rows)
    sandbox.service.store._connection.commit()
    sandbox.clock.advance(2 * HOUR)
    began = time.thread_time()
    assert taken(api, 50) == 50
    # Looking through the history would take seconds.
    assert time.thread_time() - began < 1
    assert sandbox.smtp_users[0].used == SmtpUsage(
        per_minute=50, per_hour=50, per_day=100_050, hourly_limit=50, total_limit=100_050
    )


@pytest.mark.parametrize(
    "limit", ["per_minute", "per_hour", "per_day", "hourly_limit", "total_limit"]
)
@pytest.mark.parametrize("number", [0, -1, True, 1.5, "60", 10**30])
def test_invalid_limits_are_rejected(sandbox, limit, number):
    with pytest.raises(UsageError, match=f"{limit}: must be a number from 1 on, or None"):
        SmtpLimits(**{limit: number})
    with pytest.raises(UsageError, match=limit):
        sandbox.add_smtp_user("smtp12345", **{limit: number})
    assert sandbox.smtp_users == []


def test_limits_may_be_none():
    with Sandbox(limits=None) as sandbox:
        assert sandbox.service.smtp_users() == []
    with pytest.raises(UsageError, match="limits: must be SmtpLimits, not 60"):
        Sandbox(limits=60)


def test_an_invalid_answer_option_is_rejected():
    with pytest.raises(UsageError, match="answer: must be '429' or 'error', not 429"):
        SmtpLimits(answer=429)


def test_a_client_reports_the_limit_as_an_error(limited):
    message = poweremail.Message(
        subject="Hi", from_email="me@example.com", to="ada@example.com", text="Hello"
    )
    sandbox = limited(SmtpLimits(per_minute=1, total_limit=2)).sandbox
    with sandbox.client(retry=poweremail.RetryPolicy(1)) as client:
        client.messages.send_mail(message)
        with pytest.raises(poweremail.RateLimitError) as caught:
            client.messages.send_mail(message)
        assert (caught.value.mail_state, caught.value.retry_after) == ("not_sent", None)
        sandbox.clock.advance(MINUTE)
        client.messages.send_mail(message)
        sandbox.clock.advance(MINUTE)
        with pytest.raises(poweremail.ValidationError, match="total_limit"):
            client.messages.send_mail(message)


# The arithmetic of the windows, against a list of all that was taken.

WINDOWS = {
    "per_minute": 60_000,
    "per_hour": 3_600_000,
    "per_day": 86_400_000,
    "hourly_limit": 3_600_000,
    "total_limit": 2**62,
}
GAPS = st.one_of(
    st.sampled_from([0, 0, 0, 1]),
    st.builds(
        int.__add__,
        st.sampled_from([60_000, 1_800_000, 3_600_000, 43_200_000, 86_400_000]),
        st.integers(-1, 1),
    ),
    st.integers(0, 100_000_000),
)
REQUESTS = st.lists(st.tuples(GAPS, st.integers(1, 3)), max_size=25)
LIMITS = st.builds(SmtpLimits, **dict.fromkeys(WINDOWS, st.none() | st.integers(1, 6)))


def weight(limit: str, mails: int) -> int:
    return 1 if limit.startswith("per_") else mails


def fits(limits: SmtpLimits, history: list[tuple[int, int]], now: int, mails: int) -> bool:
    """Whether a request with so many *mails* may be taken *now*, after those of the *history*."""
    for limit, length in WINDOWS.items():
        number = getattr(limits, limit)
        used = sum(weight(limit, each) for at, each in history if now - length < at <= now)
        if number is not None and used + weight(limit, mails) > number:
            return False
    return True


def add(store: Store, mails: int, now: int, limits: SmtpLimits) -> None:
    """Add a request with so many *mails*."""
    mail = MailContent(
        operation="sendMail",
        smtp_user_name="s",
        subject="x",
        from_email="a@example.com",
        recipients=(CaughtRecipient("to", "b@example.com"),) * mails,
    )
    MailStore(store).add(mail, received=now, visible_from=now, limits=limits)


@given(LIMITS, REQUESTS)
def test_no_window_exceeds_its_limit_and_no_request_waits_longer_than_needed(limits, requests):
    store, history, now = Store(), [], 1_458_034_022_169
    for gap, mails in requests:
        now += gap
        try:
            add(store, mails, now, limits)
        except LimitReached:
            assert not fits(limits, history, now, mails)
        else:
            history.append((now, mails))
    store.close()
    for limit, length in WINDOWS.items():
        number = getattr(limits, limit)
        for begin, _ in history:
            inside = sum(
                weight(limit, mails) for at, mails in history if begin <= at < begin + length
            )
            assert number is None or inside <= number


@given(REQUESTS)
def test_the_usage_equals_the_accepted_requests(requests):
    store, history, now = Store(), [], 0
    for gap, mails in requests:
        now += gap
        add(store, mails, now, UNLIMITED)
        history.append((now, mails))
        used = store.usage("s", now)
        for limit, length in WINDOWS.items():
            assert getattr(used, limit) == sum(
                weight(limit, each) for at, each in history if at > now - length
            )
    store.close()
