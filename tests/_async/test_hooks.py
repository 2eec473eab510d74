"""What a client reports of its calls: hooks and the line in the log."""

from __future__ import annotations

import logging

import pytest

from _async.ways import ENGINES, TOKEN, WAYS, client_of, reached
from poweremail import (
    AttemptEvent,
    ConfigurationError,
    NotSentError,
    OutcomeEvent,
    PowerEmailError,
    RateLimits,
    RetryPolicy,
    UsageError,
)
from poweremail._runtime._async import sleep
from poweremail.sandbox import Fault
from support.fault_server import FaultServer, close_after_body, respond
from support.interrupt import handle_signal
from support.messages import message, template


class Reports:
    """Hooks that keep what they get."""

    def __init__(self) -> None:
        self.outcomes: list[OutcomeEvent] = []
        self.attempts: list[AttemptEvent] = []

    @property
    def options(self) -> dict:
        return {"on_outcome": self.outcomes.append, "on_attempt": self.attempts.append}


@pytest.fixture
def reports() -> Reports:
    return Reports()


def lines(caplog) -> list[logging.LogRecord]:
    """The lines about whole calls."""
    return [record for record in caplog.records if hasattr(record, "poweremail_operation")]


@pytest.mark.parametrize("way", WAYS)
async def test_a_mail_that_was_accepted_is_reported_once(way, served, reports):
    async with reached(way, served, **reports.options) as client:
        result = await client.messages.send_mail(message(to=["ada@example.com", "b@example.com"]))
        await client.messages.get_message_info(result.unique_id)
    (event,) = reports.outcomes
    assert (event.state, event.unique_id) == ("accepted", result.unique_id)
    assert event.recipients == ("ada@example.com", "b@example.com")
    assert (event.attempts, event.smtp_user_name) == (1, "smtp12345")
    assert (event.operation, event.error_kind, event.error) == ("messages/sendMail", None, None)
    assert event.limit_seconds == 0
    assert [(each.operation, each.attempt, each.status) for each in reports.attempts] == [
        ("messages/sendMail", 1, 200),
        ("messages/getMessageInfo", 1, 200),
    ]
    assert 0 < reports.attempts[0].seconds <= event.seconds


@pytest.mark.parametrize(
    ("behaviour", "state", "kind", "statuses"),
    [
        (respond({"status": "error", "name": "X", "message": "no"}), "rejected", "ApiError", [200]),
        (respond("", status=429), "not_sent", "RateLimitError", [429, 429]),
        (close_after_body, "unknown", "DeliveryUnknownError", [None]),
        (respond("<html>", status=502), "unknown", "DeliveryUnknownError", [502]),
    ],
)
async def test_each_outcome_is_reported(behaviour, state, kind, statuses, reports, caplog):
    caplog.set_level(logging.INFO, "poweremail")
    options = reports.options | {"retry": RetryPolicy(2, first_wait=0.001)}
    with FaultServer(behaviour) as server:
        async with client_of("httpx", server.url, **options) as client:
            with pytest.raises(PowerEmailError) as caught:
                await client.messages.send_template(template(unique_id="u1"))
    (event,) = reports.outcomes
    assert (event.state, event.error_kind) == (state, kind)
    assert event.error == caught.value.explanation
    assert event.attempts == len(statuses)
    assert [each.status for each in reports.attempts] == statuses
    assert reports.attempts[-1].error is caught.value
    (line,) = lines(caplog)
    assert (line.poweremail_outcome, line.poweremail_error) == (state, kind)


async def test_a_mail_that_reached_nobody_is_reported(reports):
    async with client_of("httpx", "http://127.0.0.1:1", **reports.options) as client:
        with pytest.raises(NotSentError):
            await client.messages.send_mail(message())
    assert [(each.state, each.attempts) for each in reports.outcomes] == [("not_sent", 4)]
    assert [each.status for each in reports.attempts] == [None] * 4


async def test_a_lookup_belongs_to_its_send(served, reports, caplog):
    caplog.set_level(logging.INFO, "poweremail")
    served.faults.add(Fault.reset_after_acceptance(), call="sendMail", times=1)
    options = reports.options | {"on_unknown": "reconcile"}
    async with reached("httpx", served, **options) as client:
        result = await client.messages.send_mail(message())
    assert result.reconciled
    (event,) = reports.outcomes
    assert (event.state, event.attempts) == ("accepted", 1)
    assert {each.operation for each in reports.attempts} == {
        "messages/sendMail",
        "messages/getMessageInfo",
    }
    assert [line.poweremail_operation for line in lines(caplog)][-1] == "messages/sendMail"


async def test_calls_that_send_nothing_have_attempts_and_lines_only(served, reports, caplog):
    caplog.set_level(logging.INFO, "poweremail")
    async with reached("httpx", served, **reports.options) as client:
        await client.account.view_user_detail()
        await client.settings.list_smtp()
        with pytest.raises(PowerEmailError):
            await client.settings.delete_webhook("nothing")
        await client.call("settings/listWebhook")
    assert reports.outcomes == []
    assert len(reports.attempts) == 4
    assert [line.poweremail_outcome for line in lines(caplog)] == [
        "succeeded",
        "succeeded",
        "failed",
        "succeeded",
    ]


async def test_a_send_by_call_is_reported(served, reports):
    body = {
        "smtp_user_name": "smtp12345",
        "message": {
            "subject": "Hi",
            "text": "Hello",
            "from_email": "me@example.com",
            "to": [{"email": "ada@example.com"}],
        },
    }
    async with reached("in-process", served, **reports.options) as client:
        await client.call("messages/sendMail", body)
    (event,) = reports.outcomes
    assert (event.state, event.recipients) == ("accepted", ("ada@example.com",))


async def test_mistakes_and_rehearsals_are_not_reported(served, reports):
    async with reached("in-process", served, **reports.options) as client:
        with pytest.raises(UsageError):
            await client.messages.send_mail(message(text=None))
        await client.with_options(dry_run=True).messages.send_mail(message())
    assert reports.outcomes == []
    assert reports.attempts == []


async def test_waits_for_limits_are_measured(served, reports):
    waits = []

    def enough(wait) -> None:
        waits.append(wait)
        raise KeyError(wait.smtp_user_name)

    options = reports.options | {"limits": RateLimits(1, None, None, on_wait=enough)}
    async with reached("in-process", served, **options) as client:
        await client.messages.send_mail(message())
        with pytest.raises(KeyError):
            await client.messages.send_mail(message())
    assert len(waits) == 1
    first, second = reports.outcomes
    assert first.limit_seconds == reports.attempts[0].limit_seconds > 0
    assert (second.state, second.attempts, second.error_kind) == ("not_sent", 0, "KeyError")
    assert second.smtp_user_name is None


async def test_a_mail_that_waits_for_its_first_attempt_is_not_said_to_be_unknown(served, caplog):
    def enough(wait) -> None:
        raise KeyError(wait.smtp_user_name)

    limits = RateLimits(1, None, None, on_wait=enough)
    async with reached("in-process", served, limits=limits) as client:
        await client.messages.send_mail(message())
        with pytest.raises(KeyError):
            await client.messages.send_mail(message())
    assert len(served.outbox) == 1
    assert "may or may not have been accepted" not in caplog.text


@pytest.mark.parametrize(
    ("faults", "state"),
    [
        ([Fault.rate_limited()], "not_sent"),
        ([Fault.reset_after_acceptance()], "unknown"),
        # What an attempt left open, no later one settles.
        ([Fault.reset_after_acceptance(), Fault.rate_limited()], "unknown"),
    ],
)
@pytest.mark.parametrize("way", WAYS)
async def test_an_exception_from_outside_ends_a_call_as_its_attempts_left_it(
    way, faults, state, served, reports, caplog
):
    def interrupt(event) -> None:
        if event.attempt == len(faults):
            handle_signal(KeyError)
        served.faults.add(faults[event.attempt], call="sendMail", times=1)

    retry = RetryPolicy(on_retry=interrupt, first_wait=0.001)
    served.faults.add(faults[0], call="sendMail", times=1)
    options = reports.options | {"retry": retry, "on_unknown": "resend"}
    async with reached(way, served, **options) as client:
        with pytest.raises(KeyError):
            await client.messages.send_mail(message(unique_id="u1"))
    assert [(each.state, each.error_kind) for each in reports.outcomes] == [(state, "KeyError")]
    warned = "the mail with the unique id u1 may or may not have been accepted" in caplog.text
    assert warned == (state == "unknown")


@pytest.mark.parametrize("way", ENGINES)
async def test_a_hook_that_raises_harms_no_mail(way, served, caplog):
    def fail(event: object) -> None:
        raise ValueError(f"{event} {TOKEN}")

    async with reached(way, served, on_outcome=fail, on_attempt=fail) as client:
        for _ in range(2):
            await client.messages.send_mail(message(subject="Secret"))
    assert len(served.outbox) == 2
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [record.name for record in warnings] == ["poweremail"] * 4
    for record in warnings:
        assert "changes nothing for the mail: ValueError" in record.getMessage()
        assert "test_hooks.py" in record.getMessage()
        assert "canary" not in str(vars(record))


async def test_options_replace_hooks(served, reports):
    others = Reports()
    async with reached("in-process", served, **reports.options) as client:
        await client.with_options(on_outcome=others.outcomes.append).messages.send_mail(message())
        await client.with_options(on_outcome=None, on_attempt=None).messages.send_mail(message())
        await client.with_options(retry=RetryPolicy(1)).messages.send_mail(message())
    assert (len(reports.outcomes), len(reports.attempts), len(others.outcomes)) == (1, 2, 1)


@pytest.mark.parametrize("name", ["on_outcome", "on_attempt"])
@pytest.mark.parametrize(
    "hook",
    [
        "log",
        sleep,  # async only
    ],
)
async def test_a_hook_is_a_plain_function(name, hook, served):
    with pytest.raises(ConfigurationError, match=f"{name}: must be a plain function"):
        served.async_client(**{name: hook})


@pytest.mark.parametrize("way", WAYS)
async def test_each_call_is_one_line(way, served, caplog):
    caplog.set_level(logging.INFO, "poweremail")
    served.add_template("t1", text="Dear {{NAME}}")
    async with reached(way, served) as client:
        await client.messages.send_mail(message(subject="Quarterly", unique_id="u1"))
        await client.messages.send_template_http_get(template(subject="Quarterly"))
    first, second = lines(caplog)
    assert (first.name, first.levelname) == ("poweremail", "INFO")
    assert first.getMessage().startswith(
        "operation=messages/sendMail outcome=accepted unique_id=u1 smtp_user_name=smtp12345 "
        "attempts=1 seconds="
    )
    assert first.getMessage().endswith(" status=200")
    assert first.poweremail_attempts == 1
    assert second.poweremail_operation == "messages/sendTemplateHTTPGet"
    for record in (first, second):
        for secret in ("canary", "example.com", "Quarterly"):
            assert secret not in str(vars(record))
    assert not hasattr(second, "poweremail_unique_id")
