# Generated from tests/_async/test_failover.py; do not edit.
"""Sending by the next target: only if the mail was not sent, and never twice."""

from __future__ import annotations

import io
import logging
import pickle
import socket
import time
from contextlib import ExitStack

import pytest

from _sync.ways import TOKEN
from poweremail import (
    Failover,
    PowerEmail,
    Attachment,
    CircuitPolicy,
    ConfigurationError,
    DeliveryUnknownError,
    NotSentError,
    RateLimitError,
    RateLimits,
    RetryPolicy,
    Timeouts,
    UsageError,
    ValidationError,
)
from poweremail._runtime._sync import sleep
from poweremail.sandbox import Fault
from support.messages import message, template
from support.served import ServedSandbox

FAST = RetryPolicy(first_wait=0.001, max_wait=0.002)
RAW = "From: me@example.com\nTo: ada@example.com\nSubject: Hi\n\nHello\n"
SENDS = {
    "send_mail": message,
    "send_template": template,
    "send_template_http_get": lambda: template(to="ada@example.com", from_email="me@example.com"),
    "send_raw": lambda: RAW,
}


@pytest.fixture(scope="session")
def _two_services():
    with ExitStack() as stack:
        services = []
        for _ in range(2):
            sandbox = stack.enter_context(ServedSandbox())
            sandbox.url = stack.enter_context(sandbox.server()).url
            services.append(sandbox)
        yield services


@pytest.fixture
def services(_two_services):
    for sandbox in _two_services:
        sandbox.clear()
        sandbox.add_template("t1", text="Dear {{NAME}}")
    return _two_services


@pytest.fixture
def nobody():
    """A URL at which nobody listens."""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unheard.getsockname()[1]}"


def client(place, **options) -> PowerEmail:
    url = place if isinstance(place, str) else place.url
    options = {
        "smtp_user_name": "smtp12345",
        "retry": FAST,
        "timeouts": Timeouts(read=20),
    } | options
    return PowerEmail("owner", TOKEN, base_url=url, **options)


def failover(main, backup, *, options=None, **clients) -> Failover:
    return Failover(
        {"main": client(main, **clients), "backup": client(backup, **clients)},
        **{"retry": FAST} | (options or {}),
    )


def caught(services) -> list[int]:
    return [len(sandbox.outbox) for sandbox in services]


@pytest.mark.parametrize("method", SENDS)
def test_a_target_that_is_down_is_passed_by(services, nobody, method):
    services[1].clear()
    services[1].add_template("t1", text="Dear {{NAME}}")
    events = []
    with failover(nobody, services[1], options={"on_failover": events.append}) as both:
        result = getattr(both.messages, method)(SENDS[method]())
    assert (result.target, result.attempts) == ("backup", 2)
    assert caught(services) == [0, 1]
    (event,) = events
    assert (event.target, event.is_open, type(event.error)) == ("main", False, NotSentError)
    assert (event.unique_id or "") == result.unique_id == (services[1].outbox[0].unique_id or "")


@pytest.mark.parametrize("method", SENDS)
def test_a_429_goes_to_the_next_target(services, method):
    services[0].faults.add(Fault.rate_limited())
    with failover(*services) as both:
        result = getattr(both.messages, method)(SENDS[method]())
    assert (result.target, caught(services)) == ("backup", [0, 1])


@pytest.mark.parametrize("method", SENDS)
@pytest.mark.parametrize(
    "fault",
    [Fault.reset_after_acceptance(), Fault.html(), Fault.truncated(), Fault.status(503)],
    ids=["reset", "html", "truncated", "503"],
)
def test_an_unknown_outcome_stays_with_its_target(services, method, fault):
    services[0].faults.add(fault, nth=1)
    with failover(*services) as both:
        with pytest.raises(DeliveryUnknownError) as unknown:
            getattr(both.messages, method)(SENDS[method]())
        assert unknown.value.target == "main"
        assert caught(services)[1] == 0
        assert pickle.loads(pickle.dumps(unknown.value)).target == "main"
        if unknown.value.unique_id and caught(services)[0]:
            # The account that may have the mail is asked, although another one is first.
            again = Failover({"backup": both.clients["backup"], "main": both.clients["main"]})
            result = again.messages.reconcile(unknown.value, visibility=0)
            assert (result.reconciled, result.target) == (True, "main")
            page = again.messages.get_message_info(unknown.value)
            assert [info.email for info in page] == list(result.recipients)


def test_a_mail_that_is_reconciled_by_its_client_names_the_target(services):
    services[0].faults.add(Fault.reset_after_acceptance(), call="sendMail")
    options = {"on_unknown": "reconcile", "visibility": 1}
    with failover(*services, **options) as both:
        result = both.messages.send_mail(message())
        assert (result.reconciled, result.target) == (True, "main")
        assert both.resting() == {}
    assert caught(services) == [1, 0]


def test_a_rejected_mail_goes_to_nobody_else(services):
    services[0].faults.add(Fault.error("ValidationError", "no"))
    with failover(*services) as both:
        for _ in range(4):
            with pytest.raises(ValidationError) as rejected:
                both.messages.send_mail(message())
        assert rejected.value.target == "main"
        assert both.resting() == {}
    assert caught(services) == [0, 0]


def test_if_all_fail_they_are_tried_in_rounds_and_each_is_named(services, nobody):
    services[1].faults.add(Fault.rate_limited())
    retries = []
    retry = RetryPolicy(2, first_wait=0.001, on_retry=retries.append)
    with failover(nobody, services[1], options={"retry": retry}) as both:
        with pytest.raises(NotSentError) as failed:
            both.messages.send_mail(message())
    text = str(failed.value)
    assert text.startswith("not sent: main: ")
    assert "; backup: " in text
    assert isinstance(failed.value.__cause__, RateLimitError)
    assert failed.value.temporary
    assert [(event.operation, event.attempt) for event in retries] == [("messages/sendMail", 2)]
    assert TOKEN not in text


def test_if_all_respond_429_that_is_the_error(services):
    for sandbox in services:
        sandbox.faults.add(Fault.rate_limited())
    options = {"retry": RetryPolicy(1)}
    with failover(*services, options=options) as both:
        with pytest.raises(RateLimitError) as limited:
            both.messages.send_mail(message())
    assert limited.value.target == "backup"


def test_a_later_round_succeeds(services):
    for sandbox in services:
        sandbox.faults.add(Fault.rate_limited(), nth=1)
    with failover(*services) as both:
        result = both.messages.send_mail(message())
    assert (result.target, result.attempts, caught(services)) == ("main", 3, [1, 0])


def test_no_attempt_begins_after_the_time_for_all(services, nobody):
    options = {"retry": RetryPolicy(4, max_total=0)}
    with failover(nobody, services[1], options=options) as both:
        with pytest.raises(NotSentError) as failed:
            both.messages.send_mail(message())
    assert (failed.value.target, caught(services)) == ("main", [0, 0])


def test_a_circuit_opens_and_one_send_probes_it(services, caplog):
    main, backup = services
    events = []
    circuit = CircuitPolicy(failures=2, open_seconds=1.0)
    options = {"circuit": circuit, "on_failover": events.append}
    main.faults.add(Fault.rate_limited(), call="sendMail")
    with failover(main, backup, options=options) as both:
        with caplog.at_level(logging.WARNING, "poweremail"):
            for _ in range(4):
                assert both.messages.send_mail(message()).target == "backup"
        assert [event.is_open for event in events] == [False, True]
        assert "main did not take a mail" in caplog.text
        assert set(both.resting()) == {"main"}
        sleep(both.resting()["main"])
        assert both.messages.send_mail(message()).target == "backup"
        assert [event.is_open for event in events] == [False, True, True]
        sleep(both.resting()["main"])
        main.faults.clear()
        assert both.messages.send_mail(message()).target == "main"
        assert both.resting() == {}


def test_a_retry_after_opens_it_at_once(services):
    services[0].faults.add(Fault.rate_limited(retry_after=60), nth=1)
    with failover(*services) as both:
        targets = [both.messages.send_mail(message()).target for _ in range(2)]
        assert targets == ["backup", "backup"]
        assert 50 < both.resting()["main"] <= 60


def test_unknown_outcomes_send_later_mails_elsewhere(services):
    services[0].faults.add(Fault.reset_after_acceptance())
    with failover(*services, options={"circuit": CircuitPolicy(failures=1)}) as both:
        with pytest.raises(DeliveryUnknownError):
            both.messages.send_mail(message())
        assert both.messages.send_mail(message()).target == "backup"
    assert caught(services) == [1, 1]


def test_if_all_rest_nobody_is_asked(services, nobody):
    options = {"circuit": CircuitPolicy(failures=1), "retry": RetryPolicy(1)}
    with failover(nobody, nobody, options=options) as both:
        with pytest.raises(NotSentError):
            both.messages.send_mail(message())
        began = time.monotonic()
        with pytest.raises(NotSentError, match="every target rests.*main for 30 s, backup for 30"):
            both.messages.send_mail(message())
        assert time.monotonic() - began < 1


def test_a_rest_is_waited_for_if_it_is_short(services):
    for sandbox in services:
        sandbox.faults.add(Fault.rate_limited(retry_after=1), nth=1)
    options = {"retry": RetryPolicy(8, first_wait=0.1, max_wait=2)}
    with failover(*services, options=options) as both:
        mails = [message(to=f"a{number}@example.com") for number in range(6)]
        with both.messages.send_many(mails, concurrency=3) as outcomes:
            states = [outcome.state for outcome in outcomes]
    assert states == ["accepted"] * 6
    assert sum(caught(services)) == 6


def test_targets_take_turns_by_their_weights(services):
    options = {"order": "round_robin", "weights": {"main": 3}}
    with failover(*services, options=options) as both:
        targets = [both.messages.send_mail(message()).target for _ in range(8)]
    assert "".join(name[0] for name in targets) == "mmbmmmbm"
    assert caught(services) == [6, 2]


def test_a_target_without_a_wait_goes_first(services):
    with failover(*services, limits=RateLimits(per_minute=2)) as both:
        began = time.monotonic()
        targets = [both.messages.send_mail(message()).target for _ in range(4)]
        assert targets == ["main", "main", "backup", "backup"]
        assert time.monotonic() - began < 20


def test_smtp_users_of_one_account_share_a_transport_and_a_lookup(services):
    base = client(services[0], smtp_user_name="first")
    targets = {"first": base, "second": base.with_options(smtp_user_name="second")}
    with Failover(targets, order="round_robin", retry=FAST) as both:
        results = [both.messages.send_mail(message()) for _ in range(2)]
        for result in results:
            page = both.messages.get_message_info(result.unique_id)
            assert [info.email for info in page] == list(result.recipients)
    assert [mail.smtp_user_name for mail in services[0].outbox] == ["first", "second"]
    with pytest.raises(UsageError, match="closed"):
        base.messages.send_mail(message())
    with pytest.raises(UsageError, match="not sent: the failover is closed"):
        both.messages.send_mail(message())
    assert caught(services)[0] == 2


def test_closing_closes_each_client_although_one_fails(services, monkeypatch):
    with failover(*services) as both:
        clients = list(both.clients.values())

        def fail():
            raise RuntimeError("cannot be closed")

        with monkeypatch.context() as patch:
            patch.setattr(clients[0], "close", fail)
            with pytest.raises(RuntimeError, match="cannot be closed"):
                both.close()
        with pytest.raises(UsageError, match="closed"):
            clients[1].messages.send_mail(message())


def test_outcomes_that_come_late_neither_wake_a_target_nor_let_many_try_it(services):
    main, backup = services
    main.faults.add(Fault.rate_limited(), call="sendMail", nth=1)
    main.faults.add(Fault.latency(0.8), call="sendMail")
    options = {"circuit": CircuitPolicy(failures=1, open_seconds=0.05)}
    with failover(main, backup, options=options) as both:
        assert both.messages.send_mail(message()).target == "backup"
        sleep(both.resting().get("main", 0.0))
        mails = [message(to=f"a{number}@example.com") for number in range(8)]
        with both.messages.send_many(mails, concurrency=8) as outcomes:
            targets = [outcome.result.target for outcome in outcomes]
    assert sorted(targets) == ["backup"] * 7 + ["main"]


def test_a_lookup_goes_to_the_account_that_has_sent(services):
    services[0].faults.add(Fault.rate_limited(), call="sendMail", nth=1)
    with failover(*services) as both:
        result = both.messages.send_mail(message())
        assert [info.email for info in both.messages.iter_message_info(result)] == list(
            result.recipients
        )
        page = both.messages.get_message_info(result.unique_id, target="backup")
        assert len(page.records) == 1
        assert not both.messages.get_message_info(result.unique_id, target="main").records
        with pytest.raises(UsageError, match="does not say which account has the mail"):
            both.messages.get_message_info(result.unique_id)
        with pytest.raises(UsageError, match="target: must be one of 'main', 'backup', not 'x'"):
            both.messages.get_message_info(result.unique_id, target="x")


def test_many_mails_go_the_same_way(services):
    services[0].faults.add(Fault.rate_limited())
    with failover(*services) as both:
        mails = [message(to=f"a{number}@example.com") for number in range(20)]
        with both.messages.send_many([*mails, template()], concurrency=4) as outcomes:
            targets = [outcome.result.target for outcome in outcomes]
    assert targets == ["backup"] * 21
    assert len({mail.unique_id for mail in services[1].outbox}) == 21


def test_a_stream_that_was_read_goes_to_no_other_target(services):
    services[0].faults.add(Fault.rate_limited())
    stream = Attachment.from_stream(io.BytesIO(b"x" * 1000), "a.bin")
    with failover(*services) as both:
        with pytest.raises(RateLimitError) as limited:
            both.messages.send_mail(message(attachments=stream))
    assert isinstance(limited.value.__cause__, UsageError)
    assert caught(services) == [0, 0]


def test_an_invalid_mail_is_an_error_of_its_own(services):
    with failover(*services) as both:
        with pytest.raises(UsageError, match="message: must be a Message, not str"):
            both.messages.send_mail("Hello")
        with pytest.raises(UsageError, match="must be a TemplateMessage"):
            both.messages.send_template(message())
        with pytest.raises(UsageError, match="raw_message"):
            both.messages.send_raw("")
        assert both.resting() == {}


def test_a_hook_that_raises_harms_no_mail(services, nobody, caplog):
    def fail(event):
        raise RuntimeError(TOKEN)

    with failover(nobody, services[1], options={"on_failover": fail}) as both:
        assert both.messages.send_mail(message()).target == "backup"
    assert "on_failover failed" in caplog.text
    assert TOKEN not in caplog.text


def test_no_secret_is_shown(services):
    with failover(*services) as both:
        assert TOKEN not in repr(both)
        assert services[0].url in repr(both)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"clients": {}}, "clients: must be a mapping of names to clients"),
        ({"clients": {"a": 7}}, r"clients\['a'\]: must be .*PowerEmail, not int"),
        ({"order": "random"}, "order: must be one of priority, round_robin, not 'random'"),
        ({"weights": {"main": 2}}, "weights: goes with order='round_robin'"),
        ({"order": "round_robin", "weights": {"x": 2}}, "weights: there is no target 'x'"),
        ({"order": "round_robin", "weights": {"main": 0}}, r"weights\['main'\]: must be 1 or more"),
        ({"retry": 3}, "retry: must be a RetryPolicy, not int"),
        ({"circuit": 3}, "circuit: must be a CircuitPolicy, not int"),
        ({"on_failover": 3}, "on_failover: must be a plain function"),
    ],
)
def test_invalid_options(nobody, options, text):
    with client(nobody) as one:
        with pytest.raises(ConfigurationError, match=text):
            Failover(**{"clients": {"main": one}} | options)


@pytest.mark.parametrize(
    "option",
    [
        {"smtp_user_name": None},
        {"on_unknown": "resend"},
        {"on_unknown": "reconcile", "resend_after": 60},
    ],
)
def test_clients_that_it_cannot_use(nobody, option):
    with client(nobody, **option) as one:
        with pytest.raises(ConfigurationError, match=r"clients\['main'\]: has "):
            Failover({"main": one})
