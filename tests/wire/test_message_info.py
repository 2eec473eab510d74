"""
The answer to getMessageInfo: the examples that the service's page prints, as it prints them, and
worse.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poweremail import Engagement, MessageInfo, MessageInfoPage, ProtocolError, Response
from poweremail._wire.decode import decode_success, message_info_page
from poweremail._wire.operations import GET_MESSAGE_INFO

FIREFOX = (
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
)

# A comma is missing after the second address of clickData, so is "ua": [, and the count is called
# clickData again.
EXAMPLE_CALL = """
{
"status": "success",
"message_data": [
{
"subject": "this is subject ..",
"sender": "[email protected]",
"email": "[email protected]",
"sendFrom": "0.0.0.0",
"mailSize": 1919,
"attchSize": 0,
"status": "delivered",
"time": 1458034022169,
"open": 1,
"openData": {
"ip": [
"0.0.0.0",
"0.0.0.0"
],
"ua": [
"Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
"Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
],
"time": [
1458039067963,
1458039067978
]
},
"clickData": {
"ip": [
"0.0.0.0",
"0.0.0.0"
"Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
"Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
],
"time": [
1458039068888,
1458039069999
]
},
"clickData": 1
}
]
}
"""

# The lists of user agents end in a comma, and the times are strings.
EXAMPLE_RESPONSE = """{
"status": "success",
"message_data" : [
{
"subject" : "this is subject ..",
"sender" : "[email protected]",
"email" : "[email protected]",
"sendFrom" : "0.0.0.0",
"mailSize" : 1919,
"attchSize" : 0,
"status" : "delivered",
"time" : 1458034022169,
"open" : 1,
"openData" : {
"ip": [
"0.0.0.0","0.0.0.0"
],
"ua": [
"Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
"Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
],
"time": [
"1458039067963","1458039067978"
]
},
"clickData" : {
"ip": [
"0.0.0.0","0.0.0.0"
],
"ua": [
"Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
"Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
],
"time": [
"1458039068888","1458039069999"
]
},
"click" : 1
}
]
}"""


def utc(second: int, microsecond: int, minute: int = 51, hour: int = 10) -> datetime:
    return datetime(2016, 3, 15, hour, minute, second, microsecond, tzinfo=UTC)


OPENS = (
    Engagement(utc(7, 963000), "0.0.0.0", FIREFOX),
    Engagement(utc(7, 978000), "0.0.0.0", FIREFOX),
)
RECORD = MessageInfo(
    subject="this is subject ..",
    sender="[email protected]",
    email="[email protected]",
    send_from="0.0.0.0",
    mail_size=1919,
    attachment_size=0,
    status="delivered",
    time=utc(2, 169000, minute=27, hour=9),
    open_count=1,
    click_count=1,
    opens=OPENS,
)


def page_of(body: object, skip_page: int = 0) -> MessageInfoPage:
    content = (
        body
        if isinstance(body, bytes)
        else body.encode()
        if isinstance(body, str)
        else json.dumps(body).encode()
    )
    response = Response(200, (), content)
    return message_info_page(decode_success(response, GET_MESSAGE_INFO, 0.0), "id-1", skip_page)


def record_of(**members) -> MessageInfo:
    (record,) = page_of({"status": "success", "message_data": [members]})
    return record


def test_the_example_response_of_the_page():
    page = page_of(EXAMPLE_RESPONSE)
    clicks = (
        Engagement(utc(8, 888000), "0.0.0.0", FIREFOX),
        Engagement(utc(9, 999000), "0.0.0.0", FIREFOX),
    )
    expected = {"opens": OPENS, "clicks": clicks}
    assert page.records == (
        MessageInfo(
            **{name: getattr(RECORD, name) for name in NAMES if hasattr(RECORD, name)} | expected
        ),
    )
    assert (page.unique_id, page.skip_page, page.extra, page.next_skip_page) == (
        "id-1",
        0,
        {},
        None,
    )


NAMES = {field.name for field in MessageInfo.__attrs_attrs__}


def test_the_example_call_of_the_page():
    (record,) = page_of(EXAMPLE_CALL)
    assert (record.subject, record.time, record.opens, record.open_count) == (
        RECORD.subject,
        RECORD.time,
        OPENS,
        1,
    )
    # The count that is called clickData is the count; the user agents stand where the page puts
    # them, among the addresses.
    assert record.click_count == 1
    assert record.clicks == (
        Engagement(utc(8, 888000), "0.0.0.0", None),
        Engagement(utc(9, 999000), "0.0.0.0", None),
        Engagement(None, FIREFOX, None),
        Engagement(None, FIREFOX, None),
    )
    assert record.extra == {}


def test_click_data_given_twice_in_otherwise_strict_json():
    (record,) = page_of(
        '{"status":"success","message_data":[{"clickData":{"ip":["192.0.2.1"]},"clickData":4}]}'
    )
    assert record.click_count == 4
    assert record.clicks == (Engagement(None, "192.0.2.1", None),)


@pytest.mark.parametrize(
    ("members", "count", "events"),
    [
        ({}, 0, 0),
        ({"clickData": 3}, 3, 0),
        ({"clickData": 3, "click": 5}, 5, 0),
        ({"click": "7"}, 7, 0),
        ({"clickData": {"ip": ["a", "b"]}}, 2, 2),
        ({"clickData": {"ip": ["a", "b"]}, "click": 9}, 9, 2),
        ({"clickData": {"ip": ["a", "b"]}, "click": None}, 2, 2),
        ({"clickData": {"ip": ["a", "b"]}, "click": "many"}, 2, 2),
        ({"clickData": {}}, 0, 0),
        ({"clickData": []}, 0, 0),
        ({"clickData": None}, 0, 0),
        ({"clickData": "x"}, 0, 0),
        ({"clickData": True}, 0, 0),
        ({"clickData": {"ip": "a", "ua": None, "time": {}}}, 0, 0),
    ],
)
def test_clicks_are_counted_from_any_form(members, count, events):
    record = record_of(**members)
    assert (record.click_count, len(record.clicks)) == (count, events)


@pytest.mark.parametrize(
    ("data", "events"),
    [
        ({"ip": ["a"], "ua": ["u"], "time": [1458039067963]}, [(utc(7, 963000), "a", "u")]),
        ({"ip": ["a", "b"], "ua": ["u"], "time": []}, [(None, "a", "u"), (None, "b", None)]),
        (
            {"time": ["1458039067963", 1458039067]},
            [(utc(7, 963000), None, None), (utc(7, 0), None, None)],
        ),
        ({"ua": ["u"]}, [(None, None, "u")]),
        ({"ip": [None], "ua": [None], "time": [None]}, [(None, None, None)]),
        ({"ip": [5], "ua": [{"a": 1}], "time": ["soon"]}, [(None, "5", "{'a': 1}")]),
        ({}, []),
    ],
)
def test_lists_of_different_lengths_make_incomplete_events(data, events):
    expected = tuple(Engagement(*event) for event in events)
    record = record_of(openData=data, clickData=data)
    assert (record.opens, record.clicks) == (expected, expected)
    assert (record.open_count, record.click_count) == (len(events), len(events))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1458034022169, utc(2, 169000, minute=27, hour=9)),
        ("1458034022169", utc(2, 169000, minute=27, hour=9)),
        (" 1458034022169 ", utc(2, 169000, minute=27, hour=9)),
        (1458034022169.0, utc(2, 169000, minute=27, hour=9)),
        (1458034022, utc(2, 0, minute=27, hour=9)),
        (1458034022169123, utc(2, 169123, minute=27, hour=9)),
        (1, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        (10**11 - 1, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=10**11 - 1)),
        (10**11, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
        (10**14 - 1, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=10**14 - 1)),
        (10**14, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
        (10**17 - 1, datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=10**17 - 1)),
        (10**17, None),
        (10**400, None),
        (1e300, None),
        (0, None),
        (-1, None),
        (True, None),
        (1458034022.5, None),
        ("", None),
        ("yesterday", None),
        ("-1458034022", None),
        ("9" * 5000, None),
        ([1458034022169], None),
        (None, None),
    ],
)
def test_times_are_read_in_each_unit(value, expected):
    time = record_of(time=value).time
    assert time == expected
    assert time is None or time.tzinfo is UTC


@given(st.integers() | st.floats() | st.text() | st.text("0123456789", max_size=25))
def test_any_time_is_read_or_left_out(value):
    time = record_of(time=value, mailSize=value, open=value, openData={"time": [value]}).time
    assert time is None or time.tzinfo is UTC


@pytest.mark.parametrize("value", [1919, "1919", 1919.0, " 1919 "])
def test_sizes_are_read_from_any_number(value):
    record = record_of(mailSize=value, attchSize=value)
    assert (record.mail_size, record.attachment_size) == (1919, 1919)


@pytest.mark.parametrize("value", [None, "big", True, 1.5, {}, "9" * 5000])
def test_sizes_that_cannot_be_read(value):
    record = record_of(mailSize=value, attchSize=value)
    assert (record.mail_size, record.attachment_size) == (None, None)


def test_an_empty_record():
    assert record_of() == MessageInfo(
        email=None,
        subject=None,
        sender=None,
        send_from=None,
        status=None,
        time=None,
        mail_size=None,
        attachment_size=None,
    )


def test_values_of_other_types_become_text():
    record = record_of(subject=5, sender=None, email=["a"], sendFrom=True, status="brand_new")
    assert (record.subject, record.sender, record.email, record.send_from, record.status) == (
        "5",
        None,
        "['a']",
        "True",
        "brand_new",
    )


def test_unknown_members_are_kept():
    page = page_of(
        {
            "status": "success",
            "message": "m",
            "total": 7,
            "message_data": [{"email": "a", "campaign": {"id": [1]}}],
        }
    )
    assert page.extra == {"total": 7}
    assert page.records[0].extra == {"campaign": {"id": [1]}}


def test_a_full_page():
    page = page_of(
        {"status": "success", "message_data": [{"email": f"{n}@example.com"} for n in range(100)]},
        skip_page=2,
    )
    assert (len(page), page.next_skip_page) == (100, 3)
    assert [record.email for record in page] == [f"{n}@example.com" for n in range(100)]


def test_an_empty_page():
    page = page_of({"status": "success", "message_data": []})
    assert (page.records, page.next_skip_page) == ((), None)


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"message_data": None},
        {"message_data": {}},
        {"message_data": {"email": "a"}},
        {"message_data": "none"},
        {"message_data": [None]},
        {"message_data": [{"email": "a"}, "b"]},
        {"message_data": [[]]},
    ],
)
def test_a_response_without_a_list_of_records_is_a_protocol_error(members):
    with pytest.raises(ProtocolError) as caught:
        page_of({"status": "success"} | members)
    assert str(caught.value) == "the response has no list of records in message_data"
    assert caught.value.raw.status == 200


@pytest.mark.parametrize("depth", [100, 400, 700, 900])
def test_a_record_that_cannot_be_read_a_second_time_stays_as_it_was_read(depth):
    body = (
        b'{"status":"success","message_data":[{"clickData":4,"x":'
        + b"[" * depth
        + b"]" * depth
        + b"}]}"
    )
    assert page_of(body).records[0].click_count == 4


def test_a_body_in_utf_16_is_read():
    body = '{"status":"success","message_data":[{"clickData":{"ip":["a"]},"clickData":4}]}'.encode(
        "utf-16"
    )
    assert page_of(body).records[0].click_count == 4
