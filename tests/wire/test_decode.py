"""
What comes back: every envelope that the service is known to answer, and everything that is none of
them.
"""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from poweremail import (
    ApiError,
    AuthenticationError,
    CallResult,
    GeneralError,
    PowerEmailError,
    ProtocolError,
    RateLimitError,
    Response,
    SendResult,
    ValidationError,
)
from poweremail._wire.decode import (
    call_result,
    decode_success,
    read_envelope,
    reconciled_result,
    send_result,
)
from poweremail._wire.operations import (
    GET_MESSAGE_INFO,
    SEND_MAIL,
    SEND_TEMPLATE_HTTP_GET,
    Operation,
)

SETTINGS = Operation("settings/listSmtp")
STATES = {
    ApiError: "rejected",
    ValidationError: "rejected",
    AuthenticationError: "rejected",
    GeneralError: "unknown",
    RateLimitError: "not_sent",
}


def response_of(body: object, status: int = 200, **headers: str) -> Response:
    content = (
        body
        if isinstance(body, bytes)
        else body.encode()
        if isinstance(body, str)
        else json.dumps(body).encode()
    )
    return Response(
        status, tuple((name.replace("_", "-"), value) for name, value in headers.items()), content
    )


def error_of(
    response: Response, operation: Operation = SEND_MAIL, now: float = 0.0
) -> PowerEmailError:
    with pytest.raises(PowerEmailError) as caught:
        read_envelope(response, operation, now)
    assert caught.value.raw is response
    return caught.value


# Successes.

SUCCESSES = [
    (
        '{"status": "success", "message": "message have been Queued ..."}',
        "success",
        "message have been Queued ...",
    ),
    ('{"status": "queued", "message": "250 Message Queued..."}', "queued", "250 Message Queued..."),
    ('{"status": "Success"}', "Success", ""),
    ('{"status": " QUEUED "}', " QUEUED ", ""),
    ('{"status": "success", "message": null}', "success", ""),
    ('{"status": "success", "message": ["a", "b"]}', "success", "a; b"),
    ('{"status": "success", "message": 250}', "success", "250"),
    ('\ufeff{"status": "success"}', "success", ""),
    # As the page prints it, with a comma too many.
    (
        '{\n"status": "success",\n"message": "message have been Queued ... ",\n}',
        "success",
        "message have been Queued ... ",
    ),
    (
        '{\n"status": "success",\n"message": "250 Message Queued...",\n}',
        "success",
        "250 Message Queued...",
    ),
    ("{status: success, message: 250 Message Queued...}", "success", "250 Message Queued..."),
]


@pytest.mark.parametrize("operation", [SEND_MAIL, SEND_TEMPLATE_HTTP_GET])
@pytest.mark.parametrize("status", [200, 201, 202, 299])
@pytest.mark.parametrize(("body", "word", "message"), SUCCESSES)
def test_a_success_becomes_a_result(operation, status, body, word, message):
    response = response_of(body, status)
    success = decode_success(response, operation, 0.0, 2)
    result = send_result(success, "id-1", ("ada@example.com",))
    assert result == SendResult(
        unique_id="id-1",
        recipients=("ada@example.com",),
        status=word,
        message=message,
        attempts=2,
        raw=response,
    )


def test_unknown_members_of_a_success_are_kept():
    response = response_of({"status": "success", "message": "m", "queue": {"id": 5}, "code": 0})
    result = send_result(decode_success(response, SEND_MAIL, 0.0), None, ())
    assert result.extra == {"queue": {"id": 5}, "code": 0}


def test_a_result_that_was_looked_up():
    response = response_of({"status": "success", "message_data": []})
    assert reconciled_result("id-1", ("ada@example.com",), response) == SendResult(
        unique_id="id-1",
        recipients=("ada@example.com",),
        status="success",
        message="accepted: getMessageInfo shows it",
        attempts=1,
        reconciled=True,
        raw=response,
    )


def test_the_result_of_a_call():
    response = response_of(
        {"status": "success", "message": "ok", "smtp_list": [{"status": "Enable"}]}
    )
    assert call_result(decode_success(response, SETTINGS, 0.0)) == CallResult(
        data={"status": "success", "message": "ok", "smtp_list": [{"status": "Enable"}]},
        message="ok",
        raw=response,
    )


# Errors that the body states.

# The page's example: an unquoted text and a comma too many.
PAGE_ERROR = """{
"status": "error",
"code": "-1",
"name": "AuthenticationError",
"message": Token MissMatch,
}"""

ENVELOPES = [
    (PAGE_ERROR, AuthenticationError, "AuthenticationError", "-1", "Token MissMatch"),
    (
        {
            "status": "error",
            "code": -1,
            "name": "AuthenticationError",
            "message": "Token MissMatch",
        },
        AuthenticationError,
        "AuthenticationError",
        -1,
        "Token MissMatch",
    ),
    (
        {
            "status": "error",
            "code": "-1",
            "type": "ValidationError",
            "message": "smtp user required !!",
        },
        ValidationError,
        "ValidationError",
        "-1",
        "smtp user required !!",
    ),
    (
        {
            "status": "Error",
            "type": {"name": "ValidationError"},
            "message": ["You must specify subject", "You must specify from-email"],
        },
        ValidationError,
        "ValidationError",
        None,
        "You must specify subject; You must specify from-email",
    ),
    (
        {"status": "ERROR", "name": "validation_error", "message": "m"},
        ValidationError,
        "validation_error",
        None,
        "m",
    ),
    (
        {"status": "error", "name": " Validation Error ", "message": " m "},
        ValidationError,
        "Validation Error",
        None,
        "m",
    ),
    (
        {"status": "error", "name": "Invalid_Key", "message": "m"},
        AuthenticationError,
        "Invalid_Key",
        None,
        "m",
    ),
    (
        {"status": "error", "name": "GeneralError", "message": "m"},
        GeneralError,
        "GeneralError",
        None,
        "m",
    ),
    (
        {"status": "error", "name": "SendingError", "message": "try after sometime"},
        GeneralError,
        "SendingError",
        None,
        "try after sometime",
    ),
    (
        {"status": "error", "name": "Invalid Request", "message": "Page Not Found"},
        ApiError,
        "Invalid Request",
        None,
        "Page Not Found",
    ),
    ({"status": "error", "message": "Page not found"}, ApiError, None, None, "Page not found"),
    (
        {"status": "error", "name": "NewError", "code": 7, "message": "m"},
        ApiError,
        "NewError",
        7,
        "m",
    ),
    ({"status": "error"}, ApiError, None, None, "the service gave no reason"),
    ({"status": "error", "message": None}, ApiError, None, None, "the service gave no reason"),
    ({"status": "error", "message": ""}, ApiError, None, None, "the service gave no reason"),
    ({"status": "error", "message": []}, ApiError, None, None, "the service gave no reason"),
    ({"status": "error", "message": 5, "code": 1.5}, ApiError, None, None, "5"),
    (
        {"status": "error", "message": {"subject": "missing"}},
        ApiError,
        None,
        None,
        "{'subject': 'missing'}",
    ),
    (
        {"status": "error", "name": "", "type": "ValidationError", "message": "m"},
        ValidationError,
        "ValidationError",
        None,
        "m",
    ),
    (
        {"status": "error", "name": 5, "type": {"name": 5}, "message": "m"},
        ApiError,
        None,
        None,
        "m",
    ),
    (
        {"status": "error", "name": "ValidationError", "type": "GeneralError", "message": "m"},
        ValidationError,
        "ValidationError",
        None,
        "m",
    ),
    (
        [{"status": "error", "name": "ValidationError", "message": "m"}],
        ValidationError,
        "ValidationError",
        None,
        "m",
    ),
    (
        [{"status": "error", "name": "ValidationError", "message": "m"}, {"status": "error"}],
        ValidationError,
        "ValidationError",
        None,
        "m",
    ),
]


@pytest.mark.parametrize("status", [200, 400, 401, 404])
@pytest.mark.parametrize(("body", "kind", "name", "code", "message"), ENVELOPES)
def test_an_error_envelope(status, body, kind, name, code, message):
    error = error_of(response_of(body, status))
    assert type(error) is kind
    assert (error.name, error.code, error.message) == (name, code, message)
    assert error.explanation == (f"{name}: {message}" if name else message)
    assert (error.mail_state, error.retry_after) == (STATES[kind], None)
    assert error.temporary == (kind is GeneralError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


@pytest.mark.parametrize("operation", [GET_MESSAGE_INFO, SETTINGS])
@pytest.mark.parametrize(("body", "kind"), [(body, kind) for body, kind, *_ in ENVELOPES])
def test_an_error_envelope_that_concerns_no_mail(operation, body, kind):
    error = error_of(response_of(body), operation)
    assert type(error) is kind
    assert error.mail_state is None


@pytest.mark.parametrize(("body", "name"), [(body, name) for body, _, name, *_ in ENVELOPES])
def test_an_error_envelope_with_429_is_a_rate_limit(body, name):
    error = error_of(response_of(body, 429))
    assert type(error) is RateLimitError
    assert (error.name, error.mail_state, error.temporary) == (name, "not_sent", True)


@pytest.mark.parametrize("status", [500, 502, 503, 599])
@pytest.mark.parametrize(("body", "kind"), [(body, kind) for body, kind, *_ in ENVELOPES])
def test_a_5xx_error_envelope_is_a_rejection_only_if_it_names_the_problem(status, body, kind):
    error = error_of(response_of(body, status))
    assert type(error) is (GeneralError if kind is ApiError else kind)
    assert error.mail_state == STATES[type(error)]


# Bodies that say nothing: the status code decides.

NOTHING = [
    b"",
    b"   ",
    b"OK",
    b"<html><body>502 Bad Gateway</body></html>",
    b'{"status": "success"',
    b'{"status": "success", "message": "mess',
    b'{"status": "success", "message": "m"}}',
    b'{"status": "success"} {"status": "success"}',
    b'{"status": "error", "message": "tru',
    b"NaN",
    b"null",
    b"true",
    b"0",
    b'"success"',
    b"success",
    b"[]",
    b"{}",
    b'["success"]',
    b'[{"status": "success"}]',
    b'[{"status": "error"}, {"status": "success"}]',
    b'[[{"status": "error"}]]',
    b'{"status": null}',
    b'{"status": true}',
    b'{"status": 200}',
    b'{"status": ["success"]}',
    b'{"status": {"status": "success"}}',
    b'{"status": "successful"}',
    b'{"status": "failed"}',
    b'{"status": ""}',
    b'{"Status": "success"}',
    b'{"result": {"status": "success"}}',
    b'{"message": "message have been Queued ..."}',
    b"\xff\xfe\x00",
    b"\x00" * 10,
    b"[" * 100_000,
    b'{"status":"success","a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
]


@pytest.mark.parametrize(
    ("status", "kind", "state", "temporary"),
    [
        (200, ProtocolError, None, True),
        (204, ProtocolError, None, True),
        (301, ProtocolError, None, True),
        (307, ProtocolError, None, True),
        (400, ApiError, "rejected", False),
        (401, AuthenticationError, "rejected", False),
        (403, ApiError, "rejected", False),
        (404, ApiError, "rejected", False),
        (408, ProtocolError, None, True),
        (413, ApiError, "rejected", False),
        (429, RateLimitError, "not_sent", True),
        (499, ProtocolError, None, True),
        (500, GeneralError, "unknown", True),
        (502, GeneralError, "unknown", True),
        (504, GeneralError, "unknown", True),
        (599, GeneralError, "unknown", True),
    ],
)
@pytest.mark.parametrize("body", NOTHING, ids=lambda body: repr(body[:40]))
def test_a_body_that_is_no_json_of_the_api_is_judged_by_its_status(
    body, status, kind, state, temporary
):
    error = error_of(response_of(body, status))
    assert type(error) is kind
    assert (error.mail_state, error.temporary) == (state, temporary)
    assert f"the response is no JSON of this API: HTTP {status}, " in error.explanation
    assert len(str(error)) < 1500


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        (b"", "an empty body"),
        (b" \n", "an empty body"),
        (b"<p>x</p>\n", "'<p>x</p>'"),
        (b"x" * 200, repr("x" * 200)),
        (b"x" * 201, repr("x" * 200 + "...")),
        (b"\xff", repr("\ufffd")),
    ],
)
def test_the_text_quotes_the_beginning_of_the_body(body, quoted):
    assert (
        str(error_of(response_of(body)))
        == f"the response is no JSON of this API: HTTP 200, {quoted}"
    )


@pytest.mark.parametrize("status", [199, 300, 400, 408, 429, 500])
def test_a_success_with_an_error_status_is_a_protocol_error(status):
    """The one says that the mail was taken, the other that it was not: neither can be trusted."""
    error = error_of(response_of({"status": "success"}, status))
    assert (type(error), error.explanation) == (
        ProtocolError,
        f"the response says success, and its status is HTTP {status}",
    )


# "A shape that is none of these is never a success."

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["success", "queued", "error"])
    | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "Status", "message", "name", "type", "code"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
CODES = st.sampled_from(
    [100, 199, 200, 201, 204, 299, 300, 302, 400, 401, 404, 408, 429, 500, 502, 599]
)


@settings(max_examples=300)
@given(value=JSON, status=CODES)
@example(value={"status": "success"}, status=200)
@example(value={"status": "success"}, status=300)
@example(value=[{"status": "success"}], status=200)
def test_only_an_object_that_says_so_with_2xx_is_a_success(value, status):
    word = value.get("status") if isinstance(value, dict) else None
    says_so = isinstance(word, str) and word.strip().lower() in ("success", "queued")
    response = response_of(json.dumps(value), status)
    try:
        members = read_envelope(response, SEND_MAIL, 0.0)
    except PowerEmailError as error:
        assert not (says_so and 200 <= status < 300)
        assert error.raw is response
        assert str(error)
    else:
        assert says_so
        assert 200 <= status < 300
        assert members == value


@settings(max_examples=300)
@given(
    body=st.binary()
    | st.text().map(str.encode)
    | st.text('{}[]",: \nstatuerorab0-.<\\', max_size=40).map(str.encode),
    status=CODES,
)
def test_any_bytes_raise_an_error_of_the_library(body, status):
    error = error_of(response_of(body, status))
    assert isinstance(error, ApiError | ProtocolError)


@given(data=st.data())
def test_a_truncated_response_is_never_a_success(data):
    body = json.dumps(
        {"status": "success", "message": data.draw(st.text()), "extra": data.draw(JSON)},
        ensure_ascii=data.draw(st.booleans()),
    )
    whole = body.encode("utf-8", "surrogatepass")
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    assert type(error_of(response_of(cut))) is ProtocolError


# Retry-After.

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("30", 30.0),
        (" 30 ", 30.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("Fri, 02 Jan 2026 03:04:35 GMT", 30.0),
        ("Fri, 02 Jan 2026 04:04:35 +0100", 30.0),
        ("Fri, 02 Jan 2026 03:04:35", 30.0),
        ("Fri, 02 Jan 2026 03:04:35 -0000", 30.0),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 0.0),
        ("", None),
        (" ", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("-Infinity", None),
        ("30 s", None),
        ("Jan", None),
        ("Fri, 32 Jan 2026 03:04:35 GMT", None),
        ("Fri, 02 Jan 2026 99:04:35 GMT", None),
        ("Fri, 02 Jan 99999 03:04:35 GMT", None),
        ("Fri, 02 Jan 99999999999999999999 03:04:35 GMT", None),
        ("Fri, 02 Jan 2026 03:04:35 +99999999999999999999", None),
    ],
)
def test_retry_after(value, seconds):
    for body, status in (
        ({"status": "error", "message": "slow down"}, 429),
        (b"", 429),
        (b"", 503),
        ({"status": "error"}, 200),
    ):
        assert (
            error_of(response_of(body, status, Retry_After=value), now=NOW.timestamp()).retry_after
            == seconds
        )


def test_retry_after_in_any_case():
    assert error_of(Response(429, (("retry-after", "7"),))).retry_after == 7.0


@given(st.integers(0, 10**6), st.integers(-12, 12))
def test_retry_after_as_any_date(seconds, zone):
    date = (NOW + timedelta(seconds=seconds)).astimezone(timezone(timedelta(hours=zone)))
    assert (
        error_of(
            response_of(b"", 429, Retry_After=format_datetime(date)), now=NOW.timestamp()
        ).retry_after
        == seconds
    )


@settings(max_examples=300)
@given(
    st.text() | st.from_regex(r"\w{3}, \d+ (Jan|Feb) \d+ \d+:\d+:\d+ ([+-]\d+|GMT)", fullmatch=True)
)
def test_any_retry_after_is_read_or_ignored(value):
    seconds = error_of(response_of(b"", 429, Retry_After=value), now=NOW.timestamp()).retry_after
    assert seconds is None or 0 <= seconds < float("inf")
