"""Which target is asked next, against a model and by numbers."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poweremail import CircuitPolicy, ConfigurationError
from poweremail._policy.failover import Targets, Turn


def targets(names="ab", order="priority", weights=None, **circuit) -> Targets:
    return Targets(names, order, weights or {}, CircuitPolicy(**circuit))


def turn(chosen: Targets, now: float, tried=()) -> Turn:
    taken = chosen.take(chosen.candidates(tried, now), now)
    assert taken is not None
    return taken


def ask(chosen: Targets, now: float, tried=()) -> str | None:
    taken = chosen.take(chosen.candidates(tried, now), now)
    return taken and taken.name


def fail(chosen: Targets, now: float, retry_after: float | None = None) -> bool:
    return chosen.record_failure(turn(chosen, now), now, retry_after)


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
    first = turn(chosen, 0)
    assert first.name == "a"
    chosen.record_failure(first, 0)
    assert Counter(ask(chosen, 5) for _ in range(10)) == {"b": 5, "c": 5}
    chosen.record_success(chosen.take(["a"], 10))
    assert Counter(ask(chosen, 11) for _ in range(8)) == {"a": 4, "b": 2, "c": 2}


def test_a_circuit_opens_after_failures_in_a_row_only():
    chosen = targets(failures=3, open_seconds=10)
    assert [fail(chosen, 0) for _ in range(2)] == [False, False]
    chosen.record_success(turn(chosen, 0))
    assert [fail(chosen, 0) for _ in range(3)] == [False, False, True]
    assert chosen.candidates((), 9.9) == ["b"]
    assert chosen.seconds_until_open(4) == {"a": 6, "b": 0}


def test_one_send_probes_a_circuit_that_is_half_open():
    chosen = targets(failures=1, open_seconds=10)
    assert fail(chosen, 0)
    probe = turn(chosen, 10)
    assert probe.name == "a"
    assert [ask(chosen, 10) for _ in range(3)] == ["b", "b", "b"]
    assert chosen.record_failure(probe, 11)
    assert ask(chosen, 20.9) == "b"
    cancelled = turn(chosen, 21)
    assert cancelled.name == "a"
    chosen.release(cancelled)
    probe = turn(chosen, 21)
    assert (probe.name, ask(chosen, 21)) == ("a", "b")
    chosen.record_success(probe)
    assert [ask(chosen, 21), ask(chosen, 21)] == ["a", "a"]


def test_a_probe_of_which_nothing_is_heard_does_not_block_a_target_forever():
    chosen = targets("a", failures=1, open_seconds=10)
    fail(chosen, 0)
    assert [ask(chosen, now) for now in (10, 129, 130, 131)] == ["a", None, "a", None]


def test_a_retry_after_opens_it_and_one_send_probes_it():
    chosen = targets(failures=3, open_seconds=5)
    assert fail(chosen, 0, 60)
    assert chosen.candidates((), 59) == ["b"]
    probe = turn(chosen, 60)
    assert (probe.name, ask(chosen, 60)) == ("a", "b")
    assert chosen.record_failure(probe, 61)
    assert chosen.seconds_until_open(61)["a"] == 5


def test_a_retry_after_of_no_time_is_a_failure_as_any():
    chosen = targets(failures=3, open_seconds=5)
    assert [fail(chosen, 0, 0) for _ in range(3)] == [False, False, True]
    assert chosen.seconds_until_open(0)["a"] == 5


def test_an_outcome_from_before_it_opened_neither_closes_it_nor_shortens_its_rest():
    chosen = targets(failures=1, open_seconds=5)
    late = [turn(chosen, 0) for _ in range(4)]
    assert fail(chosen, 0, 60)
    chosen.record_success(late[0])
    assert chosen.record_failure(late[1], 1)
    assert chosen.seconds_until_open(0)["a"] == 60
    assert chosen.record_failure(late[2], 10, 60)
    assert chosen.seconds_until_open(0)["a"] == 70
    chosen.release(late[3])
    assert ask(chosen, 69) == "b"


@pytest.mark.parametrize("outcome", ["record_success", "record_failure", "release"])
def test_an_outcome_from_before_it_opened_ends_no_probe(outcome):
    chosen = targets(failures=1, open_seconds=5)
    late = turn(chosen, 0)
    fail(chosen, 0)
    probe = turn(chosen, 5)
    getattr(chosen, outcome)(late, *([6] if outcome == "record_failure" else []))
    assert ask(chosen, 6) == "b"
    chosen.record_success(probe)
    assert ask(chosen, 6) == "a"


def test_a_late_retry_after_opens_a_circuit_that_was_closed_meanwhile():
    chosen = targets(failures=1, open_seconds=5)
    late = turn(chosen, 0)
    fail(chosen, 0)
    chosen.record_success(turn(chosen, 5))
    before = turn(chosen, 6)
    assert not chosen.record_failure(late, 6)
    assert chosen.record_failure(late, 6, 60)
    chosen.record_success(before)
    assert chosen.seconds_until_open(6)["a"] == 60


def test_what_was_tried_is_not_asked_again():
    chosen = targets("abc")
    assert [ask(chosen, 0, tried) for tried in ("", "a", "ab", "abc")] == ["a", "b", "c", None]


def test_only_one_of_many_threads_probes():
    chosen = targets("a", failures=1, open_seconds=0)
    fail(chosen, 0)
    with ThreadPoolExecutor(8) as pool:
        asked = list(pool.map(lambda _: ask(chosen, 1), range(200)))
    assert Counter(asked) == {"a": 1, None: 199}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "success", "failure", "retry_after", "release"]),
        st.integers(0, 5),
        st.integers(0, 2),  # so that no probe is lost
    ),
    max_size=40,
)


class Overlapping:
    """Attempts that end in any order, and what they must not change."""

    def __init__(self, failures: int) -> None:
        self.targets = targets(failures=failures, open_seconds=5)
        self.under_way: list[tuple[Turn, bool]] = []
        self.rests = {"a": 0.0, "b": 0.0}  # until when
        self.half_open: set[str] = set()

    def begin(self, now: float) -> None:
        probed = {turn.name for turn, is_probe in self.under_way if is_probe}
        may = [name for name, until in self.rests.items() if now >= until and name not in probed]
        taken = self.targets.take(self.targets.candidates((), now), now)
        assert (taken and taken.name) == next(iter(may), None)
        if taken is not None:
            self.under_way.append((taken, taken.name in self.half_open))

    def succeed(self, taken: Turn, is_probe: bool) -> None:
        self.targets.record_success(taken)
        if is_probe:
            self.half_open.discard(taken.name)

    def fail(self, taken: Turn, is_probe: bool, now: float, retry_after: float | None) -> None:
        is_open = self.targets.record_failure(taken, now, retry_after)
        left = self.targets.seconds_until_open(now)[taken.name]
        assert now + left >= self.rests[taken.name]
        if is_probe or retry_after:
            assert is_open
            assert left >= (retry_after or 5)
        if is_open:
            self.half_open.add(taken.name)
        if retry_after:  # a probe that is under way began before this
            self.under_way = [
                (turn, probes and turn.name != taken.name) for turn, probes in self.under_way
            ]
        self.rests[taken.name] = max(now + left, self.rests[taken.name])


@settings(max_examples=300)
@given(STEPS, st.integers(1, 3))
def test_however_attempts_overlap_a_rest_is_kept_and_one_send_probes(steps, failures):
    model = Overlapping(failures)
    now = 0
    for step, index, seconds in steps:
        now += seconds
        if step == "ask":
            model.begin(now)
        elif model.under_way:
            taken, is_probe = model.under_way.pop(index % len(model.under_way))
            if step == "success":
                model.succeed(taken, is_probe)
            elif step == "release":
                model.targets.release(taken)
            else:
                model.fail(taken, is_probe, now, seconds if step == "retry_after" else None)


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
