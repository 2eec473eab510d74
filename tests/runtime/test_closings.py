"""Whether a server closes so many connections that each is used only once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from poweremail._runtime._closings import Closings

HISTORY = st.lists(st.booleans(), max_size=200)
"""Of connections: whether the server closed them."""


def after(history) -> Closings:
    closings = Closings()
    for closed in history:
        closings.note(closed=closed)
    return closings


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_server_that_closed_once_does_not_close_frequently(before, later):
    assert not after([False] * before).frequent
    assert not after([False] * before + [True] + [False] * later).frequent


@given(st.lists(st.integers(10, 40), max_size=20))
def test_a_server_that_closes_fewer_than_one_in_ten_does_not_close_frequently(kept):
    closings = Closings()
    for number in kept:
        closings.note(closed=True)
        assert not closings.frequent
        for _ in range(number):
            closings.note(closed=False)
    assert closings.count == 0


@given(HISTORY, st.integers(0, 9))
def test_two_closings_close_together_are_frequent(before, kept):
    closings = after([*before, True, *[False] * kept, True])
    assert closings.frequent


@given(HISTORY)
def test_twenty_connections_that_are_kept_end_it(before):
    closings = after(before)
    noted = 0
    while closings.frequent:
        closings.note(closed=False)
        noted += 1
    assert noted <= 20
    for _ in range(10):
        closings.note(closed=False)
    assert (closings.count, closings.frequent) == (0, False)


@given(st.lists(st.integers(0, 4), max_size=40))
def test_a_server_that_closes_one_in_five_closes_frequently_as_long_as_it_does(kept):
    closings = after([True, True])
    for number in kept:
        for _ in range(number):
            closings.note(closed=False)
            assert closings.frequent
        closings.note(closed=True)
