# Generated from tests/_async/test_contract.py; do not edit.
"""
What every transport does, in the same way: the sandbox in this process, and the same sandbox over
HTTP.
"""

from __future__ import annotations

import pytest

from _sync.ways import ENGINES, WAYS, reached, until
from poweremail import (
    ApiError,
    Attachment,
    AuthenticationError,
    DeliveryUnknownError,
    NotSentError,
    PowerEmailError,
    ProtocolError,
    RateLimitError,
    RetryPolicy,
    Timeouts,
    UsageError,
    ValidationError,
)
from poweremail.sandbox import Fault
from support.messages import PNG, full, large, message, template

ONCE = RetryPolicy(1)


@pytest.fixture(params=WAYS)
def way(request) -> str:
    return request.param


@pytest.fixture
def sandbox(served):
    served.add_template("t1", html="<p>Dear {{NAME}}</p>", text="Dear {{NAME}}")
    return served


def test_every_field_of_a_mail_arrives(way, sandbox):
    with reached(way, sandbox) as client:
        result = client.messages.send_mail(full())
    assert (result.unique_id, result.status, result.attempts) == ("invoice-42", "success", 1)
    assert result.recipients == (
        "ada@example.com",
        "grace@example.com",
        "charles@example.com",
        "archive@example.com",
    )
    assert result.raw.status == 200
    [mail] = sandbox.outbox
    assert (mail.operation, mail.smtp_user_name, mail.unique_id) == (
        "sendMail",
        "smtp12345",
        "invoice-42",
    )
    assert (mail.subject, mail.from_email, mail.from_name) == (
        "Hi",
        "billing@example.com",
        "Billing",
    )
    assert (list(mail.to), list(mail.cc), list(mail.bcc)) == (
        ["ada@example.com", "grace@example.com"],
        ["charles@example.com"],
        ["archive@example.com"],
    )
    assert (mail.html, mail.text) == ('<p>Thanks! <img src="cid:logo"></p>', "Hello")
    assert dict(mail.headers) == {
        "X-Campaign": "q4",
        "Reply-To": "Help <help@example.com>",
        "X-STes-TrackOpen": "yes",
        "X-STes-TrackClick": "html",
        "X-Unique-Id": "invoice-42",
    }
    assert [(file.name, file.type, file.content) for file in mail.attachments] == [
        ("invoice.txt", "text/plain", b"42 \xe2\x82\xac")
    ]
    assert [(file.name, file.type, file.content) for file in mail.images] == [
        ("logo", "image/png", PNG)
    ]


def test_templates_arrive_by_post_and_by_get(way, sandbox):
    with reached(way, sandbox) as client:
        by_post = client.messages.send_template(template())
        by_get = client.messages.send_template_http_get(template())
    assert (by_post.status, by_get.status) == ("success", "queued")
    assert by_post.unique_id
    assert by_get.unique_id == ""
    assert [mail.operation for mail in sandbox.outbox] == ["sendTemplate", "sendTemplateHTTPGet"]
    assert {mail.text for mail in sandbox.outbox} == {"Dear Ada & Co"}
    assert {tuple(mail.dynamic_value.items()) for mail in sandbox.outbox} == {
        (("NAME", "Ada & Co"),)
    }


def test_message_infos_are_read_page_by_page(way, sandbox):
    with reached(way, sandbox) as client:
        client.messages.send_mail(
            message(unique_id="many", to=[f"user{number}@example.com" for number in range(250)])
        )
        pages = [client.messages.get_message_info("many", page) for page in range(3)]
        everyone = [info.email for info in client.messages.iter_message_info("many")]
        nobody = client.messages.get_message_info("another")
    assert [len(page) for page in pages] == [100, 100, 50]
    assert everyone == [f"user{number}@example.com" for number in range(250)]
    assert len(nobody) == 0


def test_a_file_is_read_while_it_is_sent(way, sandbox, tmp_path):
    path = tmp_path / "report.pdf"
    path.write_bytes(bytes(range(256)) * 4_000)
    with reached(way, sandbox) as client:
        client.messages.send_mail(message(attachments=[Attachment.from_path(path)]))
    [mail] = sandbox.outbox
    assert [(file.name, file.type) for file in mail.attachments] == [
        ("report.pdf", "application/pdf")
    ]
    assert mail.attachments[0].content == path.read_bytes()


@pytest.mark.parametrize("change", ["shorter", "gone", "longer", "replaced"])
def test_a_file_that_has_changed_is_not_sent(way, sandbox, tmp_path, change):
    path = tmp_path / "report.bin"
    path.write_bytes(bytes(1_000_000))
    mail = message(attachments=[Attachment.from_path(path)])
    if change == "gone":
        path.unlink()
    elif change == "replaced":
        other = tmp_path / "other.bin"
        other.write_bytes(bytes(1_000_000))
        other.replace(path)
    else:
        path.write_bytes(bytes(999_000 if change == "shorter" else 1_001_000))
    with reached(way, sandbox) as client:
        with pytest.raises(UsageError, match=r"not sent: content: .*report\.bin") as caught:
            client.messages.send_mail(mail)
        assert caught.value.mail_state == "not_sent"
        assert sandbox.outbox == []
        # The connection that was left in the middle of a body is not used again.
        assert client.messages.send_mail(message())
    assert len(sandbox.outbox) == 1


# What is seen of each fault: the outcome of one attempt, whether the mail was taken, and the
# error's cause.
REJECTED = [
    (Fault.error("ValidationError", "You must specify subject"), ValidationError),
    (
        Fault.error("AuthenticationError", "Token MissMatch", code=-1, name_in="type"),
        AuthenticationError,
    ),
    (Fault.error("Invalid_Key", "no", code=None, name_in="type_object"), AuthenticationError),
    (Fault.error("NeverHeardOf", ["a", "b"], array=True), ApiError),
    (Fault.error("ValidationError", "bad", http_status=500), ValidationError),
    (Fault.status(404), ApiError),
    (Fault.status(401), AuthenticationError),
]
SLOW = (Fault.stall(), Fault.slow_drip(1), Fault.latency(1))
UNKNOWN = [
    (Fault.reset_after_acceptance(), True),
    (Fault.stall(), True),
    (Fault.stall(0.01), True),
    (Fault.truncated(), True),
    (Fault.truncated(close=False), True),
    (Fault.html(), True),
    (Fault.html(accepted=False), False),
    (Fault.status(503, accepted=True), True),
    (Fault.status(503), False),
    (Fault.status(302 + 200, accepted=True), True),
    (Fault.slow_drip(1), True),
    (Fault.latency(1), True),
    (Fault.error("GeneralError", "oops"), False),
    (Fault.error("SendingError", "try after sometime"), False),
]


def _name(value: object) -> str | None:
    return repr(value).removeprefix("Fault") if isinstance(value, Fault) else None


@pytest.mark.parametrize(("fault", "error"), REJECTED, ids=_name)
def test_a_rejected_mail_is_not_repeated(way, sandbox, fault, error):
    rule = sandbox.faults.add(fault)
    with reached(way, sandbox) as client:
        with pytest.raises(ApiError, match="rejected by the service") as caught:
            client.messages.send_mail(message())
    assert type(caught.value) is error
    assert caught.value.mail_state == "rejected"
    assert caught.value.raw is not None
    assert rule.hit == 1
    assert sandbox.outbox == []


@pytest.mark.parametrize(("fault", "taken"), UNKNOWN, ids=_name)
def test_an_unknown_outcome_is_not_repeated(way, sandbox, fault, taken):
    rule = sandbox.faults.add(fault)
    # A short one where no answer comes; where one does, a busy machine may take its time.
    timeouts = Timeouts(read=0.1 if fault in SLOW else 30)
    with reached(way, sandbox, timeouts=timeouts) as client:
        with pytest.raises(DeliveryUnknownError, match="unknown whether it was sent") as caught:
            client.messages.send_mail(message(unique_id="u1"))
        until(lambda: len(sandbox.outbox) == taken)
    assert (caught.value.mail_state, caught.value.unique_id, caught.value.recipients) == (
        "unknown",
        "u1",
        ("ada@example.com",),
    )
    assert isinstance(caught.value.cause, PowerEmailError)
    assert caught.value.__cause__ is caught.value.cause
    assert rule.hit == 1
    assert len(sandbox.outbox) == taken


@pytest.mark.parametrize(
    "fault", [Fault.wrong_content_type(), Fault.slow_drip(0.001), Fault.latency(0.05)], ids=_name
)
def test_a_slow_or_mislabelled_success_is_a_success(way, sandbox, fault):
    sandbox.faults.add(fault)
    with reached(way, sandbox) as client:
        assert client.messages.send_mail(message()).attempts == 1
    assert len(sandbox.outbox) == 1


def test_a_mail_is_repeated_after_429(way, sandbox):
    rule = sandbox.faults.add(Fault.rate_limited(), times=2)
    with reached(way, sandbox) as client:
        assert client.messages.send_mail(message()).attempts == 3
    assert rule.hit == 2
    assert len(sandbox.outbox) == 1


def test_a_429_that_lasts_raises_a_rate_limit_error(way, sandbox):
    rule = sandbox.faults.add(Fault.rate_limited(retry_after=0))
    with reached(way, sandbox) as client:
        with pytest.raises(RateLimitError, match="not sent: .*Too many requests") as caught:
            client.messages.send_mail(message())
    assert (caught.value.mail_state, caught.value.retry_after) == ("not_sent", 0)
    assert rule.hit == 4


@pytest.mark.parametrize("fault", [Fault.refuse(), Fault.reset_before_acceptance()], ids=_name)
def test_a_mail_that_did_not_leave_whole_is_repeated(way, sandbox, fault):
    sandbox.faults.add(fault, times=1)
    with reached(way, sandbox, timeouts=Timeouts()) as client:
        assert client.messages.send_mail(large()).attempts == 2
    assert len(sandbox.outbox) == 1


@pytest.mark.parametrize("fault", [Fault.refuse(), Fault.reset_before_acceptance()], ids=_name)
def test_a_mail_that_never_leaves_whole_is_not_sent(way, sandbox, fault):
    rule = sandbox.faults.add(fault)
    with reached(way, sandbox) as client:
        with pytest.raises(NotSentError, match="not sent: .*safe to send it again") as caught:
            client.messages.send_mail(large())
    assert caught.value.body_left is False
    assert rule.hit == 4
    assert sandbox.outbox == []


def test_a_small_mail_may_have_left_before_a_reset(way, sandbox):
    """On a socket the reset may come before the mail: then it is not sent, and sent again."""
    rule = sandbox.faults.add(Fault.reset_before_acceptance())
    with reached(way, sandbox) as client:
        with pytest.raises(
            DeliveryUnknownError if way == "in-process" else (DeliveryUnknownError, NotSentError)
        ):
            client.messages.send_mail(message())
        with pytest.raises(DeliveryUnknownError):
            client.messages.send_template_http_get(template())
    assert rule.hit >= 2
    assert sandbox.outbox == []


def test_reads_are_repeated_on_anything_temporary(way, sandbox):
    faults = (
        Fault.refuse(),
        Fault.reset_after_acceptance(),
        Fault.truncated(),
        Fault.html(),
        Fault.status(503),
        Fault.rate_limited(),
        Fault.error("GeneralError", "oops"),
    )
    for number, fault in enumerate(faults, start=1):
        sandbox.faults.add(fault, call="getMessageInfo", nth=number)
    with reached(way, sandbox, retry=RetryPolicy(len(faults) + 1, first_wait=0.001)) as client:
        assert len(client.messages.get_message_info("u1")) == 0
        sandbox.faults.add(Fault.error("ValidationError", "bad"))
        with pytest.raises(ValidationError) as caught:
            client.messages.get_message_info("u1")
    assert caught.value.mail_state is None
    assert sandbox.faults.rules[-1].hit == 1


def test_a_response_that_is_too_large_is_an_error(way, sandbox):
    with reached(way, sandbox, max_response_bytes=1_000) as client:
        client.messages.send_mail(
            message(unique_id="many", to=[f"user{number}@example.com" for number in range(100)])
        )
        with pytest.raises(ProtocolError, match="larger than 1000 bytes"):
            client.messages.get_message_info("many")
        assert len(client.messages.get_message_info("none")) == 0


def test_a_closed_client_raises_a_usage_error(way, sandbox):
    with reached(way, sandbox) as client:
        client.messages.send_mail(message())
        client.close()
        client.close()
        with pytest.raises(UsageError, match="not sent: the client is closed"):
            client.messages.send_mail(message())
    assert len(sandbox.outbox) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_closing_a_transport_closes_it_for_every_client(engine, sandbox):
    with reached(engine, sandbox) as client:
        derived = client.with_options(retry=ONCE)
        derived.close()
        client.messages.send_mail(message())
        other = client.with_options(retry=ONCE)
        client.close()
        with pytest.raises(UsageError, match="has been closed"):
            other.messages.send_mail(message())
