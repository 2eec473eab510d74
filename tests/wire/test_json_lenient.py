"""
The lenient reader: all that is JSON it reads as JSON, some more it forgives, and whatever is not
closed it refuses.
"""

from __future__ import annotations

import json
from functools import partial

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from poweremail._wire.json import loads_lenient

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
NAMES = st.text(max_size=6).filter(lambda name: name != "clickData")
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=15,
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)
LAYOUTS = st.fixed_dictionaries(
    {
        "ensure_ascii": st.booleans(),
        "indent": st.none() | st.sampled_from([0, 2, "\t"]),
        "separators": st.sampled_from([(",", ":"), (" , ", " : ")]),
    }
)


loads_with_repeats = partial(loads_lenient, keep_repeats=True)


def written(value, layout) -> bytes:
    return json.dumps(value, **layout).encode("utf-8", "surrogatepass")


@given(value=VALUES, layout=LAYOUTS)
@example(value=5, layout={})
@example(value=[-0.0, 1e300, -1.5e-7, 10**40], layout={})
def test_valid_json_is_read_as_json(value, layout):
    body = written(value, layout)
    assume(b"\xed" not in body)  # a surrogate that was written as it is: no JSON
    assert loads_lenient(body) == json.loads(body)
    assert loads_with_repeats(body) == json.loads(body)
    assert repr(loads_with_repeats(body)) == repr(json.loads(body))


@given(st.text('{}[]",: \n\tab01-.eE\\truefalsn', max_size=30))
def test_whatever_the_standard_library_accepts_is_read_equal(text):
    try:
        value = json.loads(text)
    except ValueError:
        return
    assume("NaN" not in text)
    assert loads_lenient(text.encode()) == value


@given(value=OBJECTS, layout=LAYOUTS, data=st.data())
def test_no_strict_prefix_of_an_object_is_a_value(value, layout, data):
    whole = written(value, layout)
    cut = data.draw(st.integers(0, len(whole) - 1))
    for read in (loads_lenient, loads_with_repeats):
        with pytest.raises(ValueError):
            read(whole[:cut])


@pytest.mark.parametrize("read", [loads_lenient, loads_with_repeats])
def test_no_strict_prefix_of_a_known_response_is_a_value(read):
    whole = (
        '{"status": "success", "n": [1, 2.5, {"a": null, "ü": "\\u00fc\\""}], "x": true, "y": '
        "bare words, }"
    ).encode()
    assert read(whole) == {
        "status": "success",
        "n": [1, 2.5, {"a": None, "ü": 'ü"'}],
        "x": True,
        "y": "bare words",
    }
    for cut in range(len(whole)):
        with pytest.raises(ValueError):
            read(whole[:cut])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1,}', {"a": 1}),
        ("[1, 2,]", [1, 2]),
        ('{"a": [1,],}', {"a": [1]}),
        ('["a" "b"]', ["a", "b"]),
        ("[1\n2]", [1, 2]),
        ('{"a": 1 "b": 2}', {"a": 1, "b": 2}),
        ('{"a": 1\n"b": 2}', {"a": 1, "b": 2}),
        ('{"a": {}\n"b": []}', {"a": {}, "b": []}),
        ('{"message": Token MissMatch,}', {"message": "Token MissMatch"}),
        ('{"message": Token MissMatch\n}', {"message": "Token MissMatch"}),
        ('{"message": 250 Message Queued...}', {"message": "250 Message Queued..."}),
        ('{"message": 250-ok, "code": -1}', {"message": "250-ok", "code": -1}),
        ('{"a": 1.2.3, "b": 192.0.2.1}', {"a": "1.2.3", "b": "192.0.2.1"}),
        ("{a: b}", {"a": "b"}),
        ("{a: true, b: false, c: null, d: True}", {"a": True, "b": False, "c": None, "d": "True"}),
        ('{"a": "line\nbreak"}', {"a": "line\nbreak"}),
        ('{"a": 1, "a": 2,}', {"a": 2}),
        ('\ufeff{"a": 1,}', {"a": 1}),
        (' \r\n\t{"a": 1,} \r\n\t', {"a": 1}),
        ("[,]", []),
        ("{1: 2}", {"1": 2}),
    ],
)
def test_malformed_json_that_is_read(text, value):
    assert loads_lenient(text.encode()) == value
    assert loads_with_repeats(text.encode()) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "\ufeff",
        "{",
        "[",
        '"',
        '{"a"}',
        '{"a":}',
        '{"a":,}',
        '{"a" 1}',
        "{true: 2}",
        "{[]: 2}",
        "{,,}",
        "[1,,2]",
        "[1]]",
        "{} {}",
        "[}",
        "{]",
        '{"a": "\\x"}',
        '{"a": "\\u12"}',
        '{"a": <b>}',
        "<html>",
        "a:b",
        ":",
        ",",
    ],
)
def test_malformed_json_that_is_rejected(text):
    for read in (loads_lenient, loads_with_repeats):
        with pytest.raises(ValueError):
            read(text.encode())


def test_invalid_utf_8_is_replaced():
    assert loads_lenient(b'{"a": "f\xfcr"}') == {"a": "f\ufffdr"}


def test_nesting_that_is_too_deep_is_rejected():
    for read in (loads_lenient, loads_with_repeats):
        with pytest.raises(RecursionError):
            read(b"[" * 100_000 + b"]" * 100_000)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"clickData": {"ip": []}, "clickData": 1}', {"clickData": {"ip": []}, "click": 1}),
        (
            '{"clickData": {"ip": []}, "clickData": 1, "click": 3}',
            {"clickData": {"ip": []}, "click": 3},
        ),
        (
            '{"click": 3, "clickData": {"ip": []}, "clickData": 1}',
            {"clickData": {"ip": []}, "click": 3},
        ),
        ('{"clickData": 1, "clickData": {"ip": []}}', {"clickData": {"ip": []}}),
        ('{"clickData": 1, "clickData": 2}', {"clickData": 2}),
        ('{"openData": {"ip": []}, "openData": 1}', {"openData": 1}),
    ],
)
def test_click_data_that_is_given_twice(text, value):
    assert loads_with_repeats(text.encode()) == value


@given(st.binary(max_size=40) | st.text('{}[]",: \nab01-.\\', max_size=30).map(str.encode))
def test_any_bytes_are_a_value_or_a_value_error(body):
    for read in (loads_lenient, loads_with_repeats):
        try:
            json.dumps(read(body))
        except ValueError:
            pass
