"""
The outcome table, row by row: what each failure means for the mail, and whether it may be made
again.
"""

from __future__ import annotations

import pytest

from poweremail import (
    ApiError,
    AuthenticationError,
    ChangeUnknownError,
    DeliveryUnknownError,
    GeneralError,
    NotSentError,
    PowerEmailError,
    ProtocolError,
    RateLimitError,
    Response,
    Secret,
    Timeouts,
    TransportError,
    UsageError,
    ValidationError,
)
from poweremail._policy.outcome import NO_MAIL, FailedAttempt, Mail, judge_failure
from poweremail._types.content import StreamContent
from poweremail._wire.http import Base64, Body, Endpoint
from poweremail._wire.operations import (
    GET_MESSAGE_INFO,
    SEND_MAIL,
    SEND_TEMPLATE,
    SEND_TEMPLATE_HTTP_GET,
    operation_at,
)
from poweremail._wire.redaction import Credentials
from poweremail.transports import Request

MAIL = Mail("id-1", ("ada@example.com", "bob@example.com"), "smtp1")
WHOLE = Response(502, (), b"x")
EARLY = Response(502, (), b"x", request_left=False)
SENDS = [
    SEND_MAIL,
    SEND_TEMPLATE,
    SEND_TEMPLATE_HTTP_GET,
    operation_at("messages/sendRaw"),
    operation_at("messages/senRaw"),
]
CHANGES = [
    operation_at("settings/addSmtp"),
    operation_at("settings/deleteWebhook"),
    operation_at("never/heardOf"),
]
EDITS = [operation_at("settings/editSmtp"), operation_at("settings/editWebhook")]
READS = [GET_MESSAGE_INFO, operation_at("settings/listSmtp"), operation_at("accounts/userDetails")]


ENDPOINT = Endpoint(
    "https://api.example.com/v1.0/", Credentials("o", Secret("canary-token")), Timeouts(), 1_000
)


def judged(error, operation, mail=NO_MAIL, **options) -> FailedAttempt:
    return judge_failure(error, Request(operation, ENDPOINT), mail, **options)


def path(operation) -> str:
    return operation.path


# Each failed attempt: what a send makes of it (None: the error itself), whether a send may be
# repeated, a change, and a read.
TABLE = {
    "refused": (TransportError("refused", body_left=False), NotSentError, True, True, True),
    "reset after the body": (TransportError("reset"), DeliveryUnknownError, False, False, True),
    "html with 200": (
        ProtocolError("no JSON", raw=WHOLE, temporary=True),
        DeliveryUnknownError,
        False,
        False,
        True,
    ),
    "html with 200 before the body had left": (
        ProtocolError("no JSON", raw=EARLY, temporary=True),
        NotSentError,
        True,
        True,
        True,
    ),
    "no records": (ProtocolError("no list"), DeliveryUnknownError, False, False, False),
    "too large, before the body had left": (
        ProtocolError("too large", raw=EARLY),
        DeliveryUnknownError,
        False,
        False,
        False,
    ),
    "5xx": (GeneralError("x", raw=WHOLE, temporary=True), DeliveryUnknownError, False, False, True),
    "5xx before the body had left": (
        GeneralError("x", raw=EARLY, temporary=True),
        NotSentError,
        True,
        True,
        True,
    ),
    "429": (RateLimitError("x", raw=WHOLE, temporary=True), None, True, True, True),
    "429 before the body had left": (
        RateLimitError("x", raw=EARLY, temporary=True),
        None,
        True,
        True,
        True,
    ),
    "a wrong parameter": (ValidationError("x", raw=WHOLE), None, False, False, False),
    "a wrong parameter, before the body had left": (
        ValidationError("x", raw=EARLY),
        None,
        False,
        False,
        False,
    ),
    "a wrong token": (AuthenticationError("x", raw=WHOLE), None, False, False, False),
    "an unknown error": (ApiError("x", raw=WHOLE), None, False, False, False),
    "a wrong call": (UsageError("x"), None, False, False, False),
}
ROWS = pytest.mark.parametrize(
    ("error", "means", "send", "change", "read"), TABLE.values(), ids=TABLE
)


@ROWS
@pytest.mark.parametrize("operation", SENDS, ids=path)
def test_the_meaning_of_a_failure_for_a_mail(operation, error, means, send, change, read):
    settled = judged(error, operation, MAIL).error
    if means is None:
        assert settled is error
    else:
        assert type(settled) is means
        assert settled.explanation == error.reason
        assert settled.raw is error.raw
    if isinstance(settled, DeliveryUnknownError):
        assert (settled.unique_id, settled.recipients, settled.cause) == (
            "id-1",
            MAIL.recipients,
            error,
        )
        assert settled.mail_state == "unknown"
    if isinstance(settled, NotSentError):
        assert (settled.mail_state, settled.body_left, settled.temporary) == (
            "not_sent",
            False,
            True,
        )


@ROWS
@pytest.mark.parametrize("operation", READS, ids=path)
def test_a_failed_read_keeps_its_error(operation, error, means, send, change, read):
    assert judged(error, operation, NO_MAIL).error is error


@ROWS
@pytest.mark.parametrize("operation", CHANGES + EDITS, ids=path)
def test_the_meaning_of_a_failure_for_a_change(operation, error, means, send, change, read):
    settled = judged(error, operation, NO_MAIL).error
    if means is not DeliveryUnknownError:
        assert settled is error
    else:
        assert type(settled) is ChangeUnknownError
        assert (settled.cause, settled.explanation, settled.raw, settled.mail_state) == (
            error,
            error.explanation,
            error.raw,
            None,
        )
        assert str(settled).startswith(f"unknown whether it took effect: {error.explanation} (")
        assert "mail" not in str(settled)


@ROWS
@pytest.mark.parametrize("operation", SENDS, ids=path)
def test_a_send_is_repeated_only_if_it_certainly_did_not_arrive(
    operation, error, means, send, change, read
):
    assert judged(error, operation, MAIL).may_repeat is send


@ROWS
@pytest.mark.parametrize("operation", CHANGES, ids=path)
def test_a_change_is_repeated_only_if_it_certainly_did_not_arrive(
    operation, error, means, send, change, read
):
    assert judged(error, operation).may_repeat is change


@ROWS
@pytest.mark.parametrize("operation", EDITS, ids=path)
def test_an_edit_is_repeated_like_a_read(operation, error, means, send, change, read):
    assert judged(error, operation).may_repeat is read


@ROWS
@pytest.mark.parametrize("operation", READS, ids=path)
def test_a_read_is_repeated_on_anything_temporary(operation, error, means, send, change, read):
    assert judged(error, operation).may_repeat is read


@ROWS
@pytest.mark.parametrize("operation", SENDS, ids=path)
def test_an_unknown_send_is_repeated_only_if_the_user_allows_it(
    operation, error, means, send, change, read
):
    assert judged(error, operation, MAIL, resend=True).may_repeat is (
        send or means is DeliveryUnknownError
    )


@ROWS
@pytest.mark.parametrize("operation", SENDS + CHANGES + EDITS + READS, ids=path)
def test_whether_the_service_may_have_acted(operation, error, means, send, change, read):
    failed = judged(error, operation)
    assert failed.is_unknown is (means is DeliveryUnknownError and not operation.reads)


@pytest.mark.parametrize("resend", [False, True])
def test_a_stream_that_was_read_cannot_be_sent_again(resend):
    stream = StreamContent(iter([b"x"]), None)
    request = Request(SEND_MAIL, ENDPOINT, body=Body([b"{", Base64(stream), b"}"]))
    refused = TransportError("refused", body_left=False)
    assert judge_failure(refused, request, MAIL, resend=resend).may_repeat
    stream.begin()
    failed = judge_failure(refused, request, MAIL, resend=resend)
    assert (type(failed.error), failed.may_repeat) == (NotSentError, False)


@pytest.mark.parametrize("operation", SENDS, ids=path)
@pytest.mark.parametrize("resend", [False, True])
def test_an_attempt_whose_body_was_never_read_was_not_sent(operation, resend):
    bug = LookupError("a bug")
    request = Request(operation, ENDPOINT, body=Body(b"{}"))
    failed = judge_failure(bug, request, MAIL, resend=resend)
    assert (type(failed.error), failed.may_repeat) == (NotSentError, False)
    assert next(request.body.pieces()) == b"{}"
    failed = judge_failure(bug, request, MAIL, resend=resend)
    assert (type(failed.error), failed.may_repeat) == (DeliveryUnknownError, resend)


@pytest.mark.parametrize("operation", SENDS + CHANGES, ids=path)
def test_a_foreign_exception_leaves_the_outcome_unknown(operation):
    bug = LookupError("a bug with canary-token")
    failed = judged(bug, operation)
    assert failed.is_unknown
    assert not failed.may_repeat
    assert failed.error.reason == "LookupError: a bug with ***"
    assert failed.error.__cause__ is bug


def test_the_error_that_was_raised_is_the_cause():
    refused = TransportError("refused", body_left=False)
    failed = judged(refused, SEND_MAIL)
    assert type(failed.error) is NotSentError
    assert failed.error.__cause__ is refused
    assert judged(refused, GET_MESSAGE_INFO).error.__cause__ is None


def test_an_unforeseen_error_of_ours_is_not_repeated():
    error = PowerEmailError("x")
    assert judged(error, SEND_MAIL, MAIL) == FailedAttempt(error, may_repeat=False)
    assert judged(error, GET_MESSAGE_INFO) == FailedAttempt(error, may_repeat=False)


def test_the_operations():
    assert [
        (each.path, each.method, each.sends, each.repeatable)
        for each in (*SENDS, *READS, *CHANGES, *EDITS)
    ] == [
        ("messages/sendMail", "POST", True, False),
        ("messages/sendTemplate", "POST", True, False),
        ("messages/sendTemplateHTTPGet", "GET", True, False),
        ("messages/sendRaw", "POST", True, False),
        ("messages/senRaw", "POST", True, False),
        ("messages/getMessageInfo", "POST", False, True),
        ("settings/listSmtp", "POST", False, True),
        ("accounts/userDetails", "POST", False, True),
        ("settings/addSmtp", "POST", False, False),
        ("settings/deleteWebhook", "POST", False, False),
        ("never/heardOf", "POST", False, False),
        ("settings/editSmtp", "POST", False, True),
        ("settings/editWebhook", "POST", False, True),
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, Mail(None, (), None)),
        ({"smtp_user_name": 5, "message": "raw"}, Mail(None, (), None)),
        (
            {"smtp_user_name": "s", "message": {"to": "a@b.example", "headers": ["X-Unique-Id"]}},
            Mail(None, (), "s"),
        ),
        (
            {
                "message": {
                    "to": [{"email": "a@b.example"}, {"email": 1}, "c"],
                    "headers": {1: 2, "X-Unique-ID": " "},
                }
            },
            Mail(None, ("a@b.example",), None),
        ),
        (
            {"message": {"to": ({"email": "a@b.example"},), "headers": {"x-unique-id": "1"}}},
            Mail("1", ("a@b.example",), None),
        ),
    ],
)
def test_the_mail_of_a_handwritten_body(body, expected):
    assert Mail.of(body) == expected
