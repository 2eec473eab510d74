"""A record is read by the quick way as it is read by the patient one."""

from __future__ import annotations

import pickle

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poweremail import MessageInfo
from poweremail._wire.convert import converter
from poweremail._wire.records import message_infos

TIMES = (
    st.integers(10**11, 4 * 10**12)
    | st.integers()
    | st.sampled_from([0, 10**11 - 1, 4 * 10**12 + 1, 10**14, 10**17])
)
EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "time": st.lists(TIMES | st.text(max_size=3) | st.none(), max_size=2) | st.just("1"),
        "ip": st.lists(st.text(max_size=3) | st.integers(), max_size=2) | st.just("x"),
        "ua": st.lists(st.text(max_size=3) | st.none(), max_size=2),
    },
)
TEXT = st.text(max_size=5)
ORDINARY = {
    **dict.fromkeys(("email", "subject", "sender", "sendFrom", "status"), TEXT | st.none()),
    **dict.fromkeys(("mailSize", "attchSize", "open", "click"), st.integers()),
    "time": TIMES,
    "openData": EVENTS,
    "clickData": EVENTS,
}
ODD = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | EVENTS
RECORDS = st.fixed_dictionaries(ORDINARY) | st.fixed_dictionaries(
    {}, optional={name: values | ODD for name, values in ORDINARY.items()} | {"_id": TEXT}
)
RECORD = {
    "email": "ada@example.com",
    "subject": "Hi",
    "sender": "me@example.com",
    "sendFrom": "192.0.2.1",
    "status": "open",
    "time": 1_458_034_022_169,
    "mailSize": 7,
    "attchSize": 0,
    "open": 1,
    "click": 0,
    "openData": {"time": [1_458_034_022_999], "ip": ["192.0.2.7"], "ua": ["Mozilla"]},
    "clickData": {},
}


def one_by_one(records):
    return tuple(converter.structure(record, MessageInfo) for record in records)


@settings(max_examples=300)
@given(
    records=st.lists(RECORDS, max_size=3) | st.lists(st.fixed_dictionaries(ORDINARY), max_size=3)
)
def test_the_fast_reader_and_the_careful_one_agree(records):
    assert repr(message_infos(records)) == repr(one_by_one(records))


@pytest.mark.parametrize("space", ["", " ", "\n", "\x1f", "\u2003"])
def test_numbers_with_space_about_them(space):
    [info] = message_infos(
        [RECORD | {"mailSize": f"{space}12{space}", "time": f"1458034022169{space}"}]
    )
    assert (info.mail_size, info.time) == (12, message_infos([RECORD])[0].time)


@given(time=st.integers(10**11, 4 * 10**12))
def test_a_time_is_exact(time):
    [fast], [careful] = (
        message_infos([RECORD | {"time": time}]),
        one_by_one([RECORD | {"time": time}]),
    )
    assert fast.time == careful.time


def test_a_record_that_was_read_fast_equals_one_that_was_constructed():
    [fast], [careful] = message_infos([RECORD]), one_by_one([RECORD])
    assert (type(fast), fast, hash(fast), repr(fast)) == (
        MessageInfo,
        careful,
        hash(careful),
        repr(careful),
    )
    assert pickle.loads(pickle.dumps(fast)) == fast
    assert attrs.evolve(fast, status="click").status == "click"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        fast.status = "click"
    [opened] = fast.opens
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        opened.ip = "192.0.2.8"
    assert message_infos([]) == ()


def test_one_malformed_record_does_not_change_the_others():
    odd = RECORD | {"campaign": 7}
    infos = message_infos([RECORD, odd, RECORD])
    assert infos == one_by_one([RECORD, odd, RECORD])
    assert [info.extra for info in infos] == [{}, {"campaign": 7}, {}]
