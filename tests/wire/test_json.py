"""JSON with orjson and without: one and the same."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from poweremail import Message, Secret, TemplateMessage, Timeouts
from poweremail._wire import encode
from poweremail._wire import json as wire_json
from poweremail._wire.http import Endpoint
from poweremail._wire.json import loads_lenient
from poweremail._wire.redaction import Credentials

ENDPOINT = Endpoint(
    "https://api.example.com/v1.0/", Credentials("owner", Secret("token")), Timeouts(), 1 << 20
)

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)
LONG = (b"18446744073709551616", b"-9223372036854775809", b"9" * 31)
BODIES = [
    b"",
    b"{",
    b"[1,]",
    b"NaN",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"-0.0",
    b"0.1234567890123456789012345",
    b"18446744073709551615",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"99999999999999999999999999",
    b'"\\ud800"',
    b'"\xed\xa0\x80"',
    b'"\xff"',
    b'{"a":1,"a":2}',
    b"\xef\xbb\xbf{}",
    '{"a": "é"}'.encode("utf-16"),
    b'"\x01"',
    b" \t\r\n[] ",
    b"[" * 2_000 + b"]" * 2_000,
    b"[" * 200_000,
    b"1 2",
    # Numbers that are too long for orjson, wherever they begin and whatever stands around them.
    *(
        b" " * before + b"[" + number + b"," + b" " * after + b"1]"
        for before in range(4)
        for after in (0, 1)
        for number in LONG
    ),
]


def outcome(function, *args, **options):
    try:
        value = function(*args, **options)
    except (ValueError, TypeError, RecursionError) as error:
        return type(error)
    # NaN is not itself, and 1 is True and 1.0.
    return repr(value)


@pytest.fixture
def with_orjson():
    assert wire_json.orjson is not None
    return wire_json.orjson


def both(function, *args, **options):
    """What *function* does with orjson, and without."""
    found, wire_json.orjson = wire_json.orjson, None
    try:
        without = outcome(function, *args, **options)
    finally:
        wire_json.orjson = found
    return outcome(function, *args, **options), without


@pytest.mark.parametrize("body", BODIES, ids=lambda body: repr(body[:30]))
def test_both_json_engines_read_bodies_alike(with_orjson, body):
    fast, plain = both(wire_json.loads, body)
    assert fast == plain == outcome(json.loads, body)
    assert len(set(both(wire_json.loads_lenient, body))) == 1


@given(value=VALUES, indent=st.sampled_from([None, 1]), ascii_only=st.booleans())
@example(value={"number": 2**64, "text": "é\ud800"}, indent=None, ascii_only=True)
def test_both_json_engines_read_what_either_writes(value, indent, ascii_only):
    body = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode(
        "utf-8", "surrogatepass"
    )
    fast, plain = both(wire_json.loads, body)
    assert fast == plain


@given(
    value=st.recursive(
        st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
@example(value="\x7f\x80\u2028\ud800")
@example(value={"a": [2**64, -(2**63) - 1]})
@example(value=['\b\f\n\r\t\\"/\x00\x1f'])
def test_both_json_engines_write_checked_values_alike(value):
    fast, plain = both(wire_json.dumps, value, plain=True)
    assert fast == plain


@pytest.mark.parametrize(
    "value",
    [
        {"a": math.nan},
        {"a": math.inf},
        {"a": object()},
        {"a": {1, 2}},
        {1: 2},
        {"a": 1e16},
        {"a": (1,)},
    ],
)
def test_unchecked_values_are_written_by_the_standard_library(value):
    fast, plain = both(wire_json.dumps, value)
    assert fast == plain


class Text(str):
    """As a program may have its own."""

    __slots__ = ()


def test_both_json_engines_write_mails_alike():
    mails = [
        Message(
            subject="é\u2028",
            from_email=("A", "a@example.com"),
            to="b@example.com",
            html="<p>\t\x7f</p>",
            headers={"X-A": "1"},
        ),
        Message(
            subject=Text("Hi"),
            from_email="a@example.com",
            to="b@example.com",
            text=Text("x"),
            headers={Text("X-A"): Text("1")},
        ),
    ]
    for mail in mails:
        bodies = both(lambda mail=mail: encode.send_mail(ENDPOINT, "smtp1", mail, "u1").body.whole)
        assert len(set(bodies)) == 1
    template = TemplateMessage(
        template_id="t",
        subject="s",
        from_email="a@example.com",
        to="b@example.com",
        dynamic_value={"A": 1e16, "B": 2**70},
    )
    assert (
        len(set(both(lambda: encode.send_template(ENDPOINT, "smtp1", template, "u1").body.whole)))
        == 1
    )
    assert len(set(both(lambda: encode.get_message_info(ENDPOINT, "u1", 2**70).body.whole))) == 1


@pytest.mark.parametrize(
    "text", ['{"n": %s, "status": "success"}', '{n: %s, "status": "success",}']
)
def test_an_integer_with_too_many_digits_is_kept_as_text(text):
    digits = "9" * 5_000
    for sign in ("", "-"):
        read = loads_lenient((text % f"{sign}{digits}").encode())
        assert read == {"n": f"{sign}{digits}", "status": "success"}
