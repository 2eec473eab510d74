"""The options for a send whose outcome is unknown."""

from __future__ import annotations

import math

import attrs
import pytest

from poweremail import UsageError
from poweremail._policy.outcome import UnknownPolicy, folded


def test_the_defaults():
    assert attrs.astuple(UnknownPolicy()) == ("raise", 30.0, None)


@pytest.mark.parametrize(
    ("options", "timeout"),
    [
        ({}, 30.0),
        ({"on_unknown": "resend"}, 30.0),
        ({"on_unknown": "reconcile", "visibility": 0}, 0),
        ({"on_unknown": "reconcile", "visibility": 5.5}, 5.5),
        ({"on_unknown": "reconcile", "resend_after": 30}, 30),
        ({"on_unknown": "reconcile", "visibility": 5, "resend_after": 60.5}, 60.5),
    ],
)
def test_the_timeout_of_a_lookup(options, timeout):
    assert UnknownPolicy(**options).timeout == timeout


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"on_unknown": "ignore"},
            "on_unknown: must be one of raise, reconcile, resend, not 'ignore'",
        ),
        ({"on_unknown": None}, "on_unknown: must be one of raise, reconcile, resend, not None"),
        ({"on_unknown": True}, "on_unknown: must be one of raise, reconcile, resend, not True"),
        *(
            ({"visibility": bad}, f"visibility: must be a number of seconds, not {bad!r}")
            for bad in (-1, math.inf, math.nan, "5", True, None)
        ),
        *(
            (
                {"on_unknown": "reconcile", "resend_after": bad},
                f"resend_after: must be a number of seconds, not {bad!r}",
            )
            for bad in (-1, math.inf, math.nan, "5", True)
        ),
        ({"resend_after": 60}, "resend_after: goes with on_unknown='reconcile'"),
        (
            {"on_unknown": "resend", "resend_after": 60},
            "resend_after: goes with on_unknown='reconcile'",
        ),
        (
            {"on_unknown": "reconcile", "resend_after": 29.9},
            "resend_after: must not be less than visibility, 30.0 s: the mail may yet appear",
        ),
    ],
)
def test_invalid_options(options, text):
    with pytest.raises(UsageError) as caught:
        UnknownPolicy(**options)
    assert str(caught.value) == text
    assert (caught.value.field, caught.value.mail_state) == (text.partition(":")[0], None)


@pytest.mark.parametrize(
    ("look_ups", "remaining", "seconds"),
    [
        (1, 30.0, 0.25),
        (2, 30.0, 0.5),
        (3, 30.0, 1.0),
        (4, 30.0, 2.0),
        (5, 30.0, 4.0),
        (6, 30.0, 5.0),
        (10_000, 30.0, 5.0),
        (1, 0.1, 0.1),
        (6, 3.0, 3.0),
        (6, 0.0, 0.0),
    ],
)
def test_the_pauses_between_lookups(look_ups, remaining, seconds):
    assert UnknownPolicy.pause(look_ups, remaining) == seconds


@pytest.mark.parametrize(
    ("options", "last_lookup", "end"),
    [
        ({"visibility": 0}, 0, math.inf),
        ({"visibility": 2}, 1.6, 2),
        ({"visibility": 30}, 29, 30),
        ({"visibility": 2, "resend_after": 3}, 3, 8),
    ],
)
def test_the_last_lookup_and_the_end(options, last_lookup, end):
    policy = UnknownPolicy("reconcile", **options)
    assert (policy.last_lookup, policy.end) == (last_lookup, end)


def test_addresses_are_compared_in_any_case():
    assert folded(["Ada@Example.COM", "ada@example.com", "BOB@x"]) == {"ada@example.com", "bob@x"}
    assert folded([]) == frozenset()
