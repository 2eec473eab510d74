"""How many requests may be made, and when the next may go."""

from __future__ import annotations

import math
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poweremail import LimitWait, RateLimits, Response, SmtpUser, UsageError
from poweremail._policy.limits import SlidingLog, Window

# Halves and quarters, so that sums are exact and requests fall on the very edge of a window.
WINDOWS = st.lists(
    st.builds(Window, st.integers(1, 6), st.integers(1, 40).map(lambda n: n / 4)),
    min_size=1,
    max_size=3,
)
GAPS = st.lists(st.integers(0, 12).map(lambda n: n / 4), max_size=40)


def test_the_defaults():
    assert attrs.astuple(RateLimits()) == (60, 3_600, 50_000, None, None)
    assert RateLimits(1, 2, 3) == RateLimits(per_minute=1, per_hour=2, per_day=3)


@pytest.mark.parametrize(
    ("limits", "windows"),
    [
        (RateLimits(), (Window(60, 60.0), Window(3_600, 3_600.0), Window(50_000, 86_400.0))),
        (RateLimits(None, 5, None), (Window(5, 3_600.0),)),
        (RateLimits(None, None, None), ()),
    ],
)
def test_the_windows(limits, windows):
    assert limits.windows == windows


@pytest.mark.parametrize("field", ["per_minute", "per_hour", "per_day"])
@pytest.mark.parametrize("value", [0, -1, 60.0, "60", True, math.inf])
def test_limits_out_of_range(field, value):
    with pytest.raises(UsageError) as caught:
        RateLimits(**{field: value})
    assert (
        str(caught.value)
        == f"limits.{field}: must be a number of requests, 1 or more, or None, not {value!r}"
    )
    assert (caught.value.field, caught.value.mail_state) == (f"limits.{field}", None)


class BytesPath:
    def __fspath__(self):
        return b"budget.db"


@pytest.mark.parametrize("path", ["", "a\0b", 5, b"budget.db", BytesPath()])
def test_an_invalid_path(path):
    with pytest.raises(
        UsageError, match=r"^limits.path: must be the path of a file, not "
    ) as caught:
        RateLimits(path=path)
    assert caught.value.mail_state is None


@pytest.mark.parametrize("path", ["budget.db", ":memory:", Path("budget.db")])
def test_paths_are_kept(path):
    assert RateLimits(path=path).path == path


def test_the_hook_must_be_callable():
    with pytest.raises(
        UsageError, match=r"^limits.on_wait: must be a plain function, not 'print'$"
    ):
        RateLimits(on_wait="print")
    assert RateLimits(on_wait=print).on_wait is print


@pytest.mark.parametrize(
    ("hourly", "per_hour"),
    [(500, 500), (1, 1), (100_000, 100_000), (0, 3_600), (-5, 3_600), (None, 3_600)],
)
def test_limits_of_an_smtp_user(hourly, per_hour):
    user = SmtpUser(
        smtp_user_name="smtp1", enabled=True, total_limit=7, hourly_limit=hourly, raw=Response(200)
    )
    assert RateLimits.from_smtp_user(user) == RateLimits(per_hour=per_hour)


def test_limits_of_an_smtp_user_and_ones_own():
    user = SmtpUser(smtp_user_name="smtp1", hourly_limit=500, raw=Response(200))
    assert RateLimits.from_smtp_user(user, per_minute=10, per_day=None) == RateLimits(10, 500, None)
    assert RateLimits.from_smtp_user(user, per_hour=None).per_hour is None
    with pytest.raises(UsageError, match=r"^limits.smtp_user: must be an SmtpUser, not dict$"):
        RateLimits.from_smtp_user({"hourly_limit": 500})
    with pytest.raises(UsageError, match=r"^limits.per_minute: "):
        RateLimits.from_smtp_user(user, per_minute=0)


def test_the_repr_of_a_wait():
    assert (
        repr(LimitWait(smtp_user_name="smtp1", seconds=1.5, ahead=2))
        == "LimitWait(smtp_user_name='smtp1', seconds=1.5, ahead=2)"
    )


def may_go(windows, went, now) -> bool:
    """The definition: one more at *now* makes no window that ends now hold more than its limit."""
    return all(
        sum(time > now - window.seconds for time in went) < window.limit for window in windows
    )


def first_moment(windows, went, now) -> float:
    """The oracle: try every moment at which something leaves a window."""
    moments = {now} | {time + window.seconds for time in went for window in windows}
    return min(moment for moment in moments if moment >= now and may_go(windows, went, moment))


@given(windows=WINDOWS, gaps=GAPS)
def test_never_too_many_and_never_too_late(windows, gaps):
    log, went, now = SlidingLog(windows), [], 0.0
    for gap in gaps:
        now += gap
        wait = log.wait(now)
        assert now + wait == first_moment(windows, went, now)
        now += wait
        assert log.wait(now) == 0.0
        log.book(now)
        went.append(now)
    for window in windows:
        for begin in went:
            assert sum(begin <= time < begin + window.seconds for time in went) <= window.limit


@given(windows=WINDOWS, gaps=GAPS, later=st.integers(0, 40), ahead=st.integers(0, 20))
def test_the_wait_behind_others(windows, gaps, later, ahead):
    log, went, now = SlidingLog(windows), [], 0.0
    for gap in gaps:
        now += gap
        now += log.wait(now)
        log.book(now)
        went.append(now)
    now += later / 4
    # Each request ahead goes as soon as it may.
    moment = now
    for number in range(ahead + 1):
        moment = first_moment(windows, went, moment)
        went.append(moment)
        assert now + log.wait(now, number) == moment
    assert now + SlidingLog(windows).wait(now, 0) == now
    # The result is the same for the last one directly, and a second time.
    assert now + log.wait(now, ahead) == moment


@given(
    windows=WINDOWS,
    times=st.lists(st.floats(0, 1e9), max_size=60).map(sorted),
    asked=st.floats(0, 1e9),
)
def test_bookings_that_were_not_allowed_are_counted(windows, times, asked):
    """As in a file that a process with higher limits has filled."""
    log = SlidingLog(windows)
    for time in times:
        log.book(time)
    now = max([asked, *times])
    due = now + log.wait(now)
    for window in windows:
        if len(times) >= window.limit:
            assert due >= times[-window.limit] + window.seconds or math.isclose(
                due, times[-window.limit] + window.seconds
            )


@pytest.mark.parametrize("clock", [0.0, 1e6, 1.8e9])
def test_rounding_never_lets_one_too_many_go(clock):
    windows = (Window(3, 0.1), Window(7, 0.7))
    log, went, now = SlidingLog(windows), [], clock
    for _ in range(500):
        while wait := log.wait(now):
            now += wait
        log.book(now)
        went.append(now)
        now += 0.003
    for window in windows:
        assert all(
            b >= a + window.seconds or math.isclose(b, a + window.seconds)
            for a, b in zip(went, went[window.limit :], strict=False)
        )


def test_a_fresh_budget_goes_at_once_and_then_waits():
    log = SlidingLog(RateLimits().windows)
    for _ in range(60):
        assert log.wait(1_000.0) == 0.0
        log.book(1_000.0)
    assert log.wait(1_000.0) == 60.0
    assert log.wait(1_059.5) == 0.5
    assert log.wait(1_060.0) == 0.0
    # 60 a minute is 3,600 an hour; the day's limit comes after 834 minutes.
    assert log.wait(1_000.0, 59) == 60.0
    assert log.wait(1_000.0, 60) == 120.0
    assert log.wait(1_000.0, 50_000 - 61) == 833 * 60.0
    assert log.wait(1_000.0, 50_000 - 60) == 86_400.0


def test_without_windows_nothing_waits():
    log = SlidingLog(())
    for _ in range(3):
        log.book(1.0)
    assert log.wait(1.0) == log.wait(1.0, 1_000) == 0.0


@given(windows=WINDOWS, count=st.integers(0, 100))
def test_the_log_keeps_no_more_than_the_largest_limit(windows, count):
    log = SlidingLog(windows)
    for time in range(count):
        log.book(float(time))
    assert len(log._booked) == min(count, max(window.limit for window in windows))


class Counting(SlidingLog):
    """Counts how often it looks at another request."""

    looks = 0

    def _time_of(self, place):
        self.looks += 1
        return super()._time_of(place)


def test_the_cost_does_not_grow_with_the_number_of_bookings():
    log = Counting(RateLimits(None, 10**6, 10**6).windows)
    for number in range(20_000):
        assert log.wait(float(number)) == 0.0
        log.book(float(number))
    assert log.looks == 2 * 20_000


def test_a_growing_queue_is_planned_once():
    log = Counting(RateLimits(1, None, None).windows)
    log.book(0.0)
    assert [log.wait(0.0, ahead) for ahead in range(5_000)] == [
        60.0 * (ahead + 1) for ahead in range(5_000)
    ]
    assert log.looks == 5_000
