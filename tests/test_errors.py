"""The one tree of errors: who is whose child, what each says, and that each survives a pickle."""

from __future__ import annotations

import copy
import pickle

import pytest

from poweremail import (
    ApiError,
    AuthenticationError,
    ChangeUnknownError,
    ConfigurationError,
    DeliveryUnknownError,
    GeneralError,
    NotSentError,
    PowerEmailError,
    ProtocolError,
    RateLimitError,
    Response,
    SuppressedError,
    SuppressionStoreError,
    TransportError,
    UsageError,
    ValidationError,
    WebhookError,
    WebhookPayloadError,
    WebhookSignatureError,
    errors,
)
from poweremail.batch import LedgerError

RAW = Response(429, (("Retry-After", "5"),), b"slow down")
API = {"name": "N", "code": "-1", "retry_after": 5.0, "mail_state": "rejected", "raw": RAW}

ERRORS = [
    PowerEmailError("why", mail_state="unknown", advice="do", raw=RAW, temporary=True),
    UsageError("why", field="subject"),
    UsageError("why", mail_state=None, advice="do"),
    ConfigurationError("why", field="retry.attempts", advice="do"),
    ApiError("m", **API, temporary=True),
    ValidationError("m", **API),
    AuthenticationError("m", **API),
    GeneralError("m", **API),
    RateLimitError("m", **API),
    ProtocolError("why", raw=RAW),
    TransportError("why", body_left=False),
    TransportError("why", raw=RAW),
    NotSentError("why"),
    NotSentError("why", raw=RAW),
    DeliveryUnknownError(
        "why", unique_id="id-1", recipients=("a@x", "b@x"), cause=ProtocolError("why", raw=RAW)
    ),
    DeliveryUnknownError("why"),
    ChangeUnknownError("why", cause=ProtocolError("why", raw=RAW, temporary=True)),
    ChangeUnknownError("why"),
    WebhookError("why"),
    WebhookSignatureError("why"),
    WebhookPayloadError("why"),
    LedgerError("why", advice="do"),
    SuppressedError("why", recipients=("a@x", "b@x")),
    SuppressionStoreError("why"),
]


def state(error: PowerEmailError) -> dict:
    """All that an error knows; a cause by what it knows."""
    known = vars(error) | {"args": error.args, "str": str(error), "type": type(error)}
    if isinstance(known.get("cause"), PowerEmailError):
        known["cause"] = state(known["cause"])
    return known


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickled_error_keeps_its_state(error, protocol):
    assert state(pickle.loads(pickle.dumps(error, protocol))) == state(error)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copied_error_keeps_its_state(error, duplicate):
    assert state(duplicate(error)) == state(error)


def test_every_class_is_among_the_examples():
    assert {type(error).__name__ for error in ERRORS} | {"MailState"} == set(errors.__all__)


@pytest.mark.parametrize(
    ("kind", "parents"),
    [
        (PowerEmailError, (Exception,)),
        (UsageError, (PowerEmailError, ValueError)),
        (ConfigurationError, (UsageError,)),
        (ApiError, (PowerEmailError,)),
        (ValidationError, (ApiError,)),
        (AuthenticationError, (ApiError,)),
        (GeneralError, (ApiError,)),
        (RateLimitError, (ApiError,)),
        (ProtocolError, (PowerEmailError,)),
        (TransportError, (PowerEmailError,)),
        (NotSentError, (TransportError,)),
        (DeliveryUnknownError, (PowerEmailError,)),
        (ChangeUnknownError, (PowerEmailError,)),
    ],
)
def test_the_classes_have_their_parents(kind, parents):
    assert kind.__bases__ == parents


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PowerEmailError("why"), "why"),
        (PowerEmailError("why", advice="do this"), "why (do this)"),
        (PowerEmailError("why", mail_state="not_sent"), "not sent: why"),
        (
            PowerEmailError("why", mail_state="rejected", advice="do this"),
            "rejected by the service: why (do this)",
        ),
        (PowerEmailError("why", mail_state="unknown"), "unknown whether it was sent: why"),
        (UsageError("why"), "not sent: why"),
        (UsageError("why", field="to"), "not sent: to: why"),
        (
            UsageError("why", field="retry.attempts", mail_state=None, advice="do this"),
            "retry.attempts: why (do this)",
        ),
        (ApiError("m"), "m"),
        (ApiError("m", name="N", mail_state="rejected"), "rejected by the service: N: m"),
        (
            ValidationError("m", name="ValidationError", mail_state="rejected"),
            "rejected by the service: ValidationError: m (correct the parameter that the text "
            "names; the same call will fail again)",
        ),
        (ValidationError("m", advice=""), "m"),
        (AuthenticationError("m"), "m (check owner_id, token and app_domain)"),
        (GeneralError("m"), "m"),
        (
            RateLimitError("m", mail_state="not_sent"),
            "not sent: m (send more slowly, or wait and send it again)",
        ),
        (ProtocolError("why"), "why"),
        (TransportError("why"), "why"),
        (NotSentError("why"), "not sent: why (it is safe to send it again)"),
        (
            DeliveryUnknownError("timed out", unique_id="id-1", recipients=("a@x", "b@x")),
            "unknown whether it was sent: timed out (it may have been accepted: find out with "
            "messages.reconcile before "
            "sending it again) [unique_id=id-1; to a@x, b@x]",
        ),
        (
            DeliveryUnknownError("timed out"),
            "unknown whether it was sent: timed out (it may have been accepted, and has no "
            "unique_id to look it up by) "
            "[no unique_id; to unknown recipients]",
        ),
    ],
)
def test_the_text_says_the_state_then_why_then_what_to_do(error, text):
    assert str(error) == text
    assert error.explanation in text


@pytest.mark.parametrize(
    ("error", "temporary", "mail_state", "raw"),
    [
        (PowerEmailError("x"), False, None, None),
        (UsageError("x"), False, "not_sent", None),
        (UsageError("x", mail_state=None), False, None, None),
        (ApiError("x"), False, None, None),
        (RateLimitError("x", temporary=True, raw=RAW), True, None, RAW),
        (ProtocolError("x", raw=RAW), False, None, RAW),
        (TransportError("x"), True, None, None),
        (NotSentError("x"), True, "not_sent", None),
        (NotSentError("x", raw=RAW), True, "not_sent", RAW),
        (DeliveryUnknownError("x"), False, "unknown", None),
        (DeliveryUnknownError("x", cause=ProtocolError("x", raw=RAW)), False, "unknown", RAW),
        (DeliveryUnknownError("x", cause=TransportError("x")), False, "unknown", None),
    ],
)
def test_every_error_has_temporary_mail_state_and_raw(error, temporary, mail_state, raw):
    assert (error.temporary, error.mail_state, error.raw) == (temporary, mail_state, raw)


def test_a_usage_error_is_a_value_error():
    error = UsageError("why", field="subject")
    assert isinstance(error, ValueError)
    assert (error.field, error.explanation, UsageError("why").field) == (
        "subject",
        "subject: why",
        "",
    )


def test_an_api_error_keeps_the_words_of_the_service():
    error = ApiError("Token MissMatch", name="AuthenticationError", code="-1", retry_after=5.0)
    assert (error.message, error.name, error.code, error.retry_after) == (
        "Token MissMatch",
        "AuthenticationError",
        "-1",
        5.0,
    )
    least = ApiError("m")
    assert (least.name, least.code, least.retry_after) == (None, None, None)


def test_a_transport_error_says_whether_the_body_may_have_left():
    assert TransportError("x").body_left
    assert not TransportError("x", body_left=False).body_left
    assert not NotSentError("x").body_left


def test_an_unknown_delivery_says_what_to_look_for():
    cause = TransportError("reset")
    error = DeliveryUnknownError("reset", unique_id="id-1", recipients=("a@x",), cause=cause)
    assert (error.unique_id, error.recipients, error.cause) == ("id-1", ("a@x",), cause)


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("via http://me:p%40ss@proxy:3128/", "via http://***@proxy:3128/"),
        ("'socks5://me@[::1]:1' or https://a:b@c", "'socks5://***@[::1]:1' or https://***@c"),
        ("postgresql+psycopg://me:a@b@host/name", "postgresql+psycopg://***@host/name"),
        ("https://example.com/?to=ada@example.com", "https://example.com/?to=ada@example.com"),
        ("ada@example.com", "ada@example.com"),
    ],
)
def test_the_user_part_of_a_url_is_in_no_text(reason, shown):
    error = ConfigurationError(reason, field="ledger")
    assert (error.reason, str(error), error.args) == (shown, f"ledger: {shown}", (shown,))
