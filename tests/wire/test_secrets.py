"""Passwords and keys in answers: hidden in what is kept and quoted, `Secret` in what is read."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poweremail import PowerEmailError, ProtocolError, Response, Secret, ValidationError
from poweremail._wire.decode import decode_success
from poweremail._wire.operations import ADD_SMTP, SEND_MAIL
from poweremail._wire.redaction import hide_secrets, with_secrets

CANARY = 'canary/"pass\\wörd 😀'


def response(members: object, *headers: tuple[str, str]) -> Response:
    return Response(200, headers, json.dumps(members).encode())


@pytest.mark.parametrize(
    "name",
    ["password", "smtp_password", "SMTP_Password", "key", "webhook_key", "client_secret", "passwd"],
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_secret_member_is_masked_and_can_be_revealed(name, ascii_only):
    body = json.dumps(
        {"status": "success", "list": [{name: CANARY, "keys": 1, "monkey": "seen"}]},
        ensure_ascii=ascii_only,
    )
    given_ = Response(200, (), body.encode())
    success = decode_success(given_, ADD_SMTP, 0.0)
    members, hidden = success.members, success.response
    assert json.loads(hidden.body) == {
        "status": "success",
        "list": [{name: "***", "keys": 1, "monkey": "seen"}],
    }
    assert members["list"] == [{name: Secret(CANARY), "keys": 1, "monkey": "seen"}]


def test_every_copy_of_a_secret_is_masked():
    success = decode_success(
        response(
            {"status": "success", "message": f"it is {CANARY}!", "key": CANARY},
            ("X-Key", f"k={CANARY}"),
            ("X-Other", "x"),
        ),
        ADD_SMTP,
        0.0,
    )
    members, hidden = success.members, success.response
    assert json.loads(hidden.body)["message"] == "it is ***!"
    assert hidden.headers == (("X-Key", "k=***"), ("X-Other", "x"))
    assert (members["message"], members["key"]) == ("it is ***!", Secret(CANARY))


@pytest.mark.parametrize(
    ("body", "hidden"),
    [
        # A short one may be a word of the answer.
        (b'{"key": "a", "message": "a"}', b'{"key": "***", "message": "a"}'),
        (b'{"key" : 12345, "x": [12345]}', b'{"key" : "***", "x": [12345]}'),
        # Cut off.
        (
            b'{"status": "success", "smtp_password": "canary-pa',
            b'{"status": "success", "smtp_password": "***"',
        ),
        (
            b'{"status": "success", "smtp_password": "canary\\',
            b'{"status": "success", "smtp_password": "***"',
        ),
        # As the lenient reader takes it.
        (
            b"{status: success, smtp_password: canary1,}",
            b'{status: success, smtp_password: "***",}',
        ),
        (b'{"key": "canary",}', b'{"key": "***",}'),
        # Neither is one.
        (
            b'{"key": null, "password": true, "my key": "seen"}',
            b'{"key": null, "password": true, "my key": "seen"}',
        ),
        (
            b'{"message": "Invalid key: none, key: ", "status": "error"}',
            b'{"message": "Invalid key: none, key: ", "status": "error"}',
        ),
        (b'{"message": "{\\"a\\": 1}"}', b'{"message": "{\\"a\\": 1}"}'),
        (b"", b""),
        (b"<html>key</html>", b"<html>key</html>"),
    ],
)
def test_bodies_with_secrets_are_masked(body, hidden):
    given_ = Response(200, (), body)
    assert hide_secrets(given_).body == hidden
    if body == hidden:
        assert hide_secrets(given_) is given_


def test_an_escaped_member_name_is_recognized():
    hidden = hide_secrets(Response(200, (), b'{"smtp_p\\u0061ssword": "canary-123"}'))
    assert b"canary" not in hidden.body


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff"])
def test_a_body_that_is_no_object_has_no_secrets(body):
    assert with_secrets(Response(200, (), body)) is None


def test_errors_do_not_quote_secrets():
    with pytest.raises(ValidationError) as caught:
        decode_success(
            response(
                {
                    "status": "error",
                    "name": "ValidationError",
                    "message": CANARY,
                    "password": CANARY,
                }
            ),
            ADD_SMTP,
            0.0,
        )
    assert caught.value.message == "***"
    with pytest.raises(ProtocolError) as unreadable:
        decode_success(Response(200, (), b'{"smtp_password": "canary-pa'), ADD_SMTP, 0.0)
    assert "canary" not in str(unreadable.value)
    assert b"canary" not in unreadable.value.raw.body


def test_responses_about_messages_are_not_changed():
    given_ = response({"status": "success", "key": "campaign-1"})
    success = decode_success(given_, SEND_MAIL, 0.0)
    assert success.members == {"status": "success", "key": "campaign-1"}
    assert success.response == given_


@given(st.text(min_size=8, max_size=20), st.booleans(), st.text(max_size=5))
def test_any_secret_is_masked(secret, ascii_only, around):
    secret = f"canary{secret}"
    members = {
        "status": "success",
        "smtp_password": secret,
        "message": f"{around}{secret}{around}",
        "status2": around,
    }
    try:
        success = decode_success(
            Response(
                200, (), json.dumps(members, ensure_ascii=ascii_only).encode("utf-8", "replace")
            ),
            ADD_SMTP,
            0.0,
        )
    except PowerEmailError:
        raise AssertionError(secret) from None
    read, hidden = success.members, success.response
    assert "canary" not in hidden.text
    assert json.loads(hidden.body)["status"] == "success"
    assert isinstance(read["smtp_password"], Secret)
