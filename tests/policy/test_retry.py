"""When to try again, and when to give up."""

from __future__ import annotations

import math

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poweremail import ApiError, GeneralError, NotSentError, RateLimitError, RetryPolicy, UsageError

SECONDS = st.floats(0, 1e6) | st.integers(0, 10**6)


def test_the_defaults():
    assert attrs.astuple(RetryPolicy()) == (4, 0.5, 8.0, 60.0, None)
    assert RetryPolicy(1) == RetryPolicy(attempts=1)


@pytest.mark.parametrize("field", ["first_wait", "max_wait", "max_total"])
def test_options_but_the_attempts_are_keyword_only(field):
    assert getattr(RetryPolicy(1, **{field: 7}), field) == 7
    with pytest.raises(TypeError):
        RetryPolicy(1, 7)


@settings(max_examples=300)
@given(first=SECONDS, most=SECONDS, attempt=st.integers(1, 10_000))
def test_the_wait_doubles_up_to_the_maximum_less_at_most_half(first, most, attempt):
    wait = RetryPolicy(first_wait=first, max_wait=most).wait(attempt, NotSentError("x"))
    full = min(first * 2.0 ** min(attempt - 1, 64), most)
    assert full / 2 <= wait <= full


@pytest.mark.parametrize(
    ("attempt", "full"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 8.0), (6, 8.0), (1000, 8.0)]
)
def test_the_default_waits(attempt, full):
    waits = [RetryPolicy().wait(attempt, None) for _ in range(200)]
    assert full / 2 <= min(waits) < full * 0.6
    assert full * 0.9 < max(waits) <= full


@given(asked=st.floats(0, 1e6), first=SECONDS, most=SECONDS, attempt=st.integers(1, 100))
def test_a_longer_retry_after_is_waited_for(asked, first, most, attempt):
    policy = RetryPolicy(first_wait=first, max_wait=most)
    full = min(first * 2.0 ** min(attempt - 1, 64), most)
    for error in (RateLimitError("x", retry_after=asked), GeneralError("x", retry_after=asked)):
        wait = policy.wait(attempt, error)
        assert max(asked, full / 2) <= wait <= max(asked, full)


def test_retry_after_beats_the_longest_wait():
    assert (
        RetryPolicy(first_wait=0, max_wait=0).wait(1, RateLimitError("x", retry_after=120.0))
        == 120.0
    )
    assert RetryPolicy(first_wait=0).wait(1, RateLimitError("x", retry_after=None)) == 0.0
    assert RetryPolicy(first_wait=0).wait(3, ApiError("x")) == 0.0


@pytest.mark.parametrize(
    ("policy", "attempt", "elapsed", "wait", "enough"),
    [
        (RetryPolicy(), 1, 0.0, 0.5, False),
        (RetryPolicy(), 3, 0.0, 0.5, False),
        (RetryPolicy(), 4, 0.0, 0.5, True),
        (RetryPolicy(), 5, 0.0, 0.5, True),
        (RetryPolicy(1), 1, 0.0, 0.0, True),
        (RetryPolicy(), 1, 50.0, 10.0, False),
        (RetryPolicy(), 1, 50.0, 10.001, True),
        (RetryPolicy(), 1, 0.0, 3600.0, True),
        (RetryPolicy(max_total=None), 1, 1e9, 1e9, False),
        (RetryPolicy(max_total=None), 4, 0.0, 0.0, True),
        (RetryPolicy(max_total=0), 1, 0.0, 0.0, False),
        (RetryPolicy(max_total=0), 1, 0.1, 0.0, True),
    ],
)
def test_retries_end_after_the_last_attempt_or_the_total_time(
    policy, attempt, elapsed, wait, enough
):
    assert policy.gives_up(attempt, elapsed, wait) is enough


@pytest.mark.parametrize("attempts", [0, -1, 1.0, "4", None, True, math.inf])
def test_attempts_out_of_range(attempts):
    with pytest.raises(UsageError) as caught:
        RetryPolicy(attempts)
    assert str(caught.value) == f"retry.attempts: must be 1 or more, not {attempts!r}"
    assert (caught.value.field, caught.value.mail_state) == ("retry.attempts", None)


@pytest.mark.parametrize("field", ["first_wait", "max_wait", "max_total"])
@pytest.mark.parametrize("seconds", [-0.1, -1, math.inf, math.nan, "5", True, None])
def test_seconds_out_of_range(field, seconds):
    if seconds is None and field == "max_total":
        assert RetryPolicy(max_total=None).max_total is None
        return
    with pytest.raises(UsageError) as caught:
        RetryPolicy(**{field: seconds})
    assert str(caught.value) == f"retry.{field}: must be a number of seconds, not {seconds!r}"
    assert (caught.value.field, caught.value.mail_state) == (f"retry.{field}", None)


def test_a_hook_can_be_called():
    with pytest.raises(UsageError, match=r"^retry\.on_retry: must be a plain function, not 7$"):
        RetryPolicy(on_retry=7)

    async def hook(event):
        pass

    with pytest.raises(UsageError, match=r"^retry\.on_retry: must be a plain function"):
        RetryPolicy(on_retry=hook)
