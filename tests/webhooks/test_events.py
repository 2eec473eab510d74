"""
Bodies of webhooks: every form that is seen, and that nothing but a WebhookPayloadError comes of the
others.
"""

from __future__ import annotations

import datetime as dt
import json
import pickle
from urllib.parse import urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from poweremail import EventBatch, WebhookPayloadError
from poweremail.webhooks._events import form_body, json_body, parse_events
from support.webhooks import FORM, event, form

JSON = "application/json"
EVENTS = [event(1), event(2, event="click")]
TEXT = json.dumps(EVENTS)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (form(*EVENTS), FORM),
        (form(*EVENTS), f"{FORM}; charset=UTF-8"),
        (form(*EVENTS), ""),
        (form(*EVENTS), JSON),
        (form(*EVENTS, name="POWEREMAILTES_EVENTS"), FORM),
        (form(*EVENTS, name="othertes_events") + b"&more=1", FORM),
        (form_body(EVENTS), FORM),
        (json_body(EVENTS, "Other"), JSON),
        (json.dumps({"PowerEmailTES_EVENTS": TEXT}).encode(), JSON),
        (TEXT.encode(), JSON),
        (TEXT.encode(), FORM),
        (TEXT.encode(), ""),
        (TEXT.encode("utf-16"), JSON),
        (b"\xef\xbb\xbf" + TEXT.encode(), "text/plain"),
        (TEXT.encode()[:-1] + b",]", JSON),
        (
            b'--b\r\nContent-Disposition: form-data; name="PowerEmailtes_events"\r\n\r\n'
            + TEXT.encode()
            + b"\r\n--b--\r\n",
            "multipart/form-data; boundary=b",
        ),
    ],
)
def test_every_known_form_of_body_is_read(body, content_type):
    batch = parse_events(body, content_type)
    assert [each.raw for each in batch] == EVENTS
    assert [each.event for each in batch.events] == ["open", "click"]
    assert (len(batch), batch.unreadable) == (2, ())


def test_an_event_has_the_members_of_the_service():
    (one,) = parse_events(
        json.dumps(event(7, colour="red", msg={"email": "ada@example.com", "ip": "::1"})).encode(),
        JSON,
    )
    assert (one.id, one.event, one.unique_id, one.smtp_user_name, one.user_id) == (
        "e7",
        "open",
        "order-7",
        "smtp12345",
        "u1",
    )
    assert one.time == dt.datetime.fromtimestamp(1_700_000_007, dt.UTC)
    assert (one.recipient, one.msg["ip"], one.extra) == (
        "ada@example.com",
        "::1",
        {"colour": "red"},
    )
    assert pickle.loads(pickle.dumps(one)) == one
    assert hash(one) == hash(pickle.loads(pickle.dumps(one)))


@pytest.mark.parametrize(
    ("ts", "microseconds"),
    [
        (1_700_000_000, 0),
        ("1700000000", 0),
        (1_700_000_000_123, 123_000),
        ("1700000000123", 123_000),
        (1_700_000_000.25, 250_000),
        ("1700000000.25", 250_000),
        (1_700_000_000_123.0, 123_000),
        (1_700_000_000_123.4, 123_000),
        (1_700_000_000_123_456, 123_456),
    ],
)
def test_the_unit_of_a_time_follows_its_magnitude(ts, microseconds):
    (one,) = parse_events(json.dumps([event(ts=ts)]).encode(), JSON)
    assert one.time == dt.datetime(2023, 11, 14, 22, 13, 20, microseconds, dt.UTC)


@pytest.mark.parametrize(
    "ts",
    [
        None,
        "",
        "soon",
        -1,
        0,
        10**30,
        1e300,
        [],
        {},
        "1" * 4000,
        "1.5e3",
        float("nan"),
        float("inf"),
    ],
)
def test_an_invalid_time_is_none(ts):
    (one,) = parse_events(json.dumps([event(ts=ts)]).encode(), JSON)
    assert one.time is None


@pytest.mark.parametrize(
    ("_id", "id"),
    [("a", "a"), (5, "5"), ({"$oid": "5f"}, "5f"), ({}, None), (None, None), ("", None)],
)
def test_ids_of_any_type_become_text(_id, id):
    (one,) = parse_events(json.dumps([event(_id=_id)]).encode(), JSON)
    assert one.id == id


def test_absent_members_are_none_or_empty():
    (one,) = parse_events(b'[{"event": "deferred"}]', JSON)
    assert (one.event, one.id, one.time, one.unique_id, one.recipient) == (
        "deferred",
        None,
        None,
        None,
        None,
    )
    assert (one.msg, one.extra) == ({}, {})
    assert parse_events(b'[{"event": "open", "msg": ["email"]}]', JSON).events[0].msg == {}


def test_one_bad_member_does_not_lose_the_good_ones():
    batch = parse_events(
        json.dumps(
            [event(1), 5, None, {"no": "event"}, {"event": 3}, [event(2)], event(3)]
        ).encode(),
        JSON,
    )
    assert [each.id for each in batch] == ["e1", "e3"]
    assert batch.unreadable == (5, None, {"no": "event"}, {"event": 3}, [event(2)])
    assert "no" not in repr(batch.unreadable) or "<5>" in repr(batch)


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"", FORM, "no fields whose names end in tes_events"),
        (b"a=b", FORM, "no fields whose names end in tes_events"),
        (b"ates_events=[]&btes_events=[]", FORM, "2 fields"),
        (b"tes_events=", FORM, "not whole"),
        (b"tes_events=%5B", FORM, "not whole"),
        (form(*EVENTS)[:-20], FORM, "not whole"),
        (b"tes_events=5", FORM, "no list of events"),
        (b"hello", JSON, "no list of events"),
        (b"{}", JSON, "no list of events"),
        (b'{"ates_events": [], "btes_events": []}', JSON, "no list of events"),
        (b'{"tes_events": "\\ud800"}', JSON, "no list of events"),
        (b"[" * 100_000, JSON, "too deeply nested"),
        (b"[" * 60 + b"]" * 60, JSON, "too deeply nested"),
        (b'[{"a":' * 5_000, JSON, "too deeply nested|not whole"),
        (b"[" + b"5," * 10_000 + b"5]", JSON, "10001 events, more than 10000"),
        (b"&" * 2_000, FORM, "too many fields"),
        (b"\x00\xff\xfe", JSON, "not whole|no list"),
    ],
)
def test_unreadable_bodies_raise(body, content_type, text):
    with pytest.raises(WebhookPayloadError, match=text):
        parse_events(body, content_type)


def test_a_number_of_any_length_is_an_unreadable_event():
    events = parse_events(b"[" + b"9" * 5_000 + b"]", JSON)
    assert (events.events, len(events.unreadable)) == ((), 1)


def test_fields_only_ignores_the_rest_of_the_body():
    """
    A scheme that signs fields does not protect the bytes around them: as JSON they could be
    rearranged.
    """
    for body, content_type in ((TEXT.encode(), JSON), (TEXT.encode(), FORM)):
        with pytest.raises(WebhookPayloadError):
            parse_events(body, content_type, fields_only=True)
    assert len(parse_events(form(*EVENTS), FORM, fields_only=True)) == 2


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["_id", "event", "ts", "msg", "tes_events", "user_id", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
TYPES = st.sampled_from(
    [FORM, JSON, "", "text/plain", "multipart/form-data; boundary=b", "multipart/form-data"]
)


def reads_or_says_so(body: bytes, content_type: str) -> None:
    for fields_only in (False, True):
        try:
            batch = parse_events(body, content_type, fields_only=fields_only)
        except WebhookPayloadError:
            continue
        assert isinstance(batch, EventBatch)
        repr(batch)
        hash(batch)


@given(value=JSONS, content_type=TYPES, cut=st.integers(0, 40))
def test_any_json_is_read_or_rejected(value, content_type, cut):
    text = json.dumps(value).encode()
    reads_or_says_so(text[: len(text) - cut], content_type)
    as_form = urlencode({"tes_events": text}).encode()
    reads_or_says_so(as_form[: len(as_form) - cut], content_type)


@given(body=st.binary(max_size=300), content_type=TYPES)
@example(body=b'[{"event":"a","_id":1e999,"ts":-1e999,"msg":{"email":NaN}}]', content_type=JSON)
@example(body=b'[{"event":"a","_id":' + b"9" * 4_300 + b"}]", content_type=JSON)
@settings(max_examples=300)
def test_any_bytes_are_read_or_rejected(body, content_type):
    reads_or_says_so(body, content_type)
    reads_or_says_so(b"tes_events=" + body, content_type)
    reads_or_says_so(b"[" + body + b"]", content_type)
