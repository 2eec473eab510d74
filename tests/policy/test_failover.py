"""Which target is asked next, against a model and by numbers."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poweremail import CircuitPolicy, ConfigurationError
from poweremail._policy.failover import Targets


def targets(names="ab", order="priority", weights=None, **circuit) -> Targets:
    return Targets(names, order, weights or {}, CircuitPolicy(**circuit))


def ask(chosen: Targets, now: float, tried=()) -> str | None:
    return chosen.take(chosen.candidates(tried, now), now)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 7), min_size=1),
    st.integers(1, 5),
)
def test_turns_follow_the_weights_exactly_and_are_spread(weights, cycles):
    chosen = targets(weights, "round_robin", weights)
    total = sum(weights.values())
    asked = [ask(chosen, 0) for _ in range(total * cycles)]
    assert Counter(asked) == {name: weight * cycles for name, weight in weights.items()}
    # At no moment is one far from its share.
    for count in range(1, len(asked) + 1):
        had = Counter(asked[:count])
        for name, weight in weights.items():
            assert abs(had[name] - count * weight / total) <= max(1, len(weights) - 1)


def test_the_share_of_one_that_rests_goes_to_the_others_and_comes_back():
    chosen = targets("abc", "round_robin", {"a": 2}, failures=1, open_seconds=10)
    assert ask(chosen, 0) == "a"
    chosen.record_failure("a", 0)
    assert Counter(ask(chosen, 5) for _ in range(10)) == {"b": 5, "c": 5}
    chosen.take(["a"], 10)
    chosen.record_success("a")
    assert Counter(ask(chosen, 11) for _ in range(8)) == {"a": 4, "b": 2, "c": 2}


def test_a_circuit_opens_after_failures_in_a_row_only():
    chosen = targets(failures=3, open_seconds=10)
    assert [chosen.record_failure("a", 0) for _ in range(2)] == [False, False]
    chosen.record_success("a")
    assert [chosen.record_failure("a", 0) for _ in range(3)] == [False, False, True]
    assert chosen.candidates((), 9.9) == ["b"]
    assert chosen.seconds_until_open(4) == {"a": 6, "b": 0}


def test_one_send_probes_a_circuit_that_is_half_open():
    chosen = targets(failures=1, open_seconds=10)
    chosen.record_failure("a", 0)
    assert ask(chosen, 10) == "a"
    assert [ask(chosen, 10) for _ in range(3)] == ["b", "b", "b"]
    assert chosen.record_failure("a", 11)
    assert ask(chosen, 20.9) == "b"
    assert ask(chosen, 21) == "a"
    chosen.release("a")
    assert ask(chosen, 21) == "a"
    chosen.record_success("a")
    assert [ask(chosen, 21), ask(chosen, 21)] == ["a", "a"]


def test_a_retry_after_is_no_failure_in_a_row_and_is_never_shortened():
    chosen = targets(failures=2, open_seconds=1)
    assert chosen.record_failure("a", 0, 60)
    assert not chosen.record_failure("a", 0, 0)
    assert chosen.candidates((), 59) == ["b"]
    assert [ask(chosen, 60), ask(chosen, 60)] == ["a", "a"]  # closed: no probe is needed


def test_what_was_tried_is_not_asked_again():
    chosen = targets("abc")
    assert [ask(chosen, 0, tried) for tried in ("", "a", "ab", "abc")] == ["a", "b", "c", None]


def test_only_one_of_many_threads_probes():
    chosen = targets("a", failures=1, open_seconds=0)
    chosen.record_failure("a", 0)
    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(lambda _: ask(chosen, 1), range(200)))
    assert Counter(asked) == {"a": 1, None: 199}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "success", "failure", "retry_after", "release"]),
        st.sampled_from("ab"),
        st.integers(0, 6),
    ),
    max_size=40,
)


@settings(max_examples=300)
@given(STEPS, st.integers(1, 3))
def test_a_target_is_asked_as_the_model_says(steps, failures):
    chosen = targets(failures=failures, open_seconds=5)
    model = {name: {"in_a_row": 0, "until": 0, "probed": False} for name in "ab"}
    now = 0
    for step, name, seconds in steps:
        now += seconds
        state = model[name]
        if step == "ask":
            may = [each for each, of in model.items() if now >= of["until"] and not of["probed"]]
            expected = may[0] if may else None
            assert ask(chosen, now) == expected
            if expected:
                model[expected]["probed"] = model[expected]["in_a_row"] >= failures
        elif step == "success":
            chosen.record_success(name)
            state.update(in_a_row=0, until=0, probed=False)
        elif step == "failure":
            state["in_a_row"] += 1
            opens = state["in_a_row"] >= failures
            assert chosen.record_failure(name, now) is opens
            state.update(probed=False, until=now + 5 if opens else state["until"])
        elif step == "retry_after":
            chosen.record_failure(name, now, seconds)
            state.update(probed=False, until=max(state["until"], now + seconds))
        else:
            chosen.release(name)
            state["probed"] = False


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"failures": 0}, "circuit.failures"),
        ({"failures": True}, "circuit.failures"),
        ({"open_seconds": -1}, "circuit.open_seconds"),
        ({"open_seconds": float("inf")}, "circuit.open_seconds"),
    ],
)
def test_invalid_options_of_a_circuit(options, field):
    with pytest.raises(ConfigurationError) as refusal:
        CircuitPolicy(**options)
    assert refusal.value.field == field
