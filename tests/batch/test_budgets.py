"""
Budgets in the ledger against a model: in no true window are there more requests than allowed,
whatever workers, returns and clocks do, and nearly all of them can be used.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event, insert, text, update

from poweremail import RateLimits
from poweremail._ledger import State, schema
from poweremail._ledger.budget_rows import BudgetRows
from poweremail._ledger.forecast import read_used
from poweremail._ledger.rate_limits import Budgets
from poweremail._ledger.usage import MARGIN_SECONDS, Usage, windows_with_margin
from poweremail.batch import Ledger
from support.ledgers import Verdict, fill, finish, worker

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.hosts import Simulation

LIMITS = RateLimits(per_minute=5, per_hour=12, per_day=None)
WINDOWS = windows_with_margin(LIMITS)


@attrs.frozen
class Booked:
    """Requests that a worker has booked, and when it really did, by a clock that runs evenly."""

    really: float
    time: float
    count: int
    set_backs: int


STEPS = st.one_of(
    st.tuples(st.just("take"), st.integers(1, 8)),
    st.tuples(st.just("give back"), st.integers(0, 7)),
    st.tuples(st.just("wait"), st.floats(0.0, 90.0)),
    st.tuples(st.just("wait long"), st.floats(0.0, 4000.0)),
    st.tuples(st.just("wait as told"), st.none()),
    st.tuples(st.just("set back"), st.floats(0.01, 5000.0)),
)


@given(st.lists(STEPS, max_size=60))
@settings(max_examples=300)
def test_no_true_window_has_more_requests_than_its_limit(steps):
    really, ahead, stored = 1_000_000.0, 0.0, None
    held: list[Booked] = []
    for step, value in steps:
        usage = Usage(stored, really + ahead)
        match step:
            case "take":
                count = usage.room(WINDOWS, value)
                if count:
                    assert usage.wait(WINDOWS) >= 0.0
                    usage.book(count)
                    held.append(Booked(really, really + ahead, count, usage.set_backs))
                    stored = usage.to_json()
            case "give back" if value < len(held):
                late = held[value]
                if usage.give_back(late.time, late.count, late.set_backs):
                    # The worker that gives it back has not used it.
                    del held[value]
                    stored = usage.to_json()
            case "wait" | "wait long":
                really += value
            case "wait as told":
                really += usage.wait(WINDOWS)
                assert Usage(stored, really + ahead).room(WINDOWS, 1) == 1 or usage.wait(WINDOWS)
            case "set back":
                ahead -= value
    assert all(most_within(held, window.seconds) <= window.limit for window in LIMITS.windows)


def most_within(held: list[Booked], seconds: float) -> int:
    """
    The most requests that can reach the service within so many *seconds*: each of them up to a
    margin later than it was booked.
    """
    reach = seconds + MARGIN_SECONDS - 1e-6
    return max(
        (sum(b.count for b in held if 0.0 <= b.really - a.really < reach) for a in held), default=0
    )


@given(st.floats(0.05, 2.0), st.integers(10, 60))
@settings(max_examples=30)
def test_nearly_the_whole_limit_can_be_used(pause, per_minute):
    windows = windows_with_margin(RateLimits(per_minute=per_minute, per_hour=None, per_day=None))
    now, stored, sent = 1_000_000.0, None, 0
    until = now + 1200.0
    while now < until:
        usage = Usage(stored, now)
        if usage.room(windows, 1):
            usage.book(1)
            sent += 1
            stored = usage.to_json()
            now += pause
        else:
            now += max(usage.wait(windows), 1e-3)
    # A window is half a second longer than a minute, and a bucket a second.
    assert sent >= min(per_minute * 1200.0 / (60.0 + MARGIN_SECONDS + 1.1), 1200.0 / pause) - 1


def test_a_day_of_requests_is_a_few_kilobytes():
    now, stored = 1_000_000.0, None
    for minute in range(1440 * 2):
        usage = Usage(stored, now + 60.0 * minute + minute % 7)
        usage.book(35)
        stored = usage.to_json()
    assert len(stored) < 2000
    day = windows_with_margin(RateLimits(per_minute=None, per_hour=None))
    used = sum(count for _, count in Usage(stored, now + 60.0 * 1440 * 2).ages(day[0]))
    assert 35 * 1440 <= used <= 35 * (1440 + 16)


@pytest.fixture
def rows(ledger):
    """A batch with rows, and a function that reads how many requests of an SMTP user are booked."""
    batch = fill(ledger, 20)

    def booked(name: str = "smtp1") -> int:
        with ledger.database.reading() as connection:
            used = read_used(connection, name, LIMITS)
        return sum(count for _, count in used.ages[0])

    return batch, booked


def test_what_a_step_did_not_use_is_given_back(ledger, rows):
    batch, booked = rows
    it = worker(ledger, batch, limits=LIMITS)
    step = it.step((), 3)
    it.step(finish(step, Verdict(state=State.UNKNOWN, delay=0.0, attempted=True)), 0)
    it._bookings._has_plenty = True  # so that it books before it knows that others go first
    assert {work.state for work in it.step((), 3).work} == {State.UNKNOWN}
    assert booked() == 3
    with ledger.database.transaction() as connection:
        connection.execute(text("UPDATE poweremail_messages SET due = NULL, state = 'accepted'"))
    assert worker(ledger, batch, limits=LIMITS).step((), 2).work == ()
    assert booked() == 3


def test_bookings_of_a_failed_step_are_given_back_in_the_next(postgresql):
    ledger = Ledger(postgresql)
    batch = fill(ledger, 20)
    it = worker(ledger, batch, limits=LIMITS)
    step = it.step((), 2)
    with pytest.raises(AssertionError):
        it.step(finish(step, Verdict(state=State.SENDING)), 2)
    it.step(finish(step), 0)
    with ledger.database.reading() as connection:
        (ages, _) = read_used(connection, "smtp1", LIMITS).ages
    assert sum(count for _, count in ages) == 2
    ledger.close()


def test_a_step_that_only_writes_outcomes_locks_no_smtp_user(postgresql):
    ledger = Ledger(postgresql)
    batch = fill(ledger, 20)
    it = worker(ledger, batch, limits=LIMITS)
    step = it.step((), 3)
    with ledger.database.transaction() as connection:
        connection.execute(text("SELECT 1 FROM poweremail_smtp_users FOR UPDATE"))
        assert len(it.step(finish(step), 0).recorded) == 3
    ledger.close()


def test_a_slice_with_limits_that_are_stored_already_locks_no_smtp_user(postgresql):
    """Slices begin all the time: others would have to wait for the locks of each."""
    ledger = Ledger(postgresql)
    batch = fill(ledger, 20)
    given = {"lease": 20.0}
    names = ["smtp1", "smtp2"]
    ledger.settle_options(batch, given, dict.fromkeys(names, LIMITS))
    worker(ledger, batch, *names, limits=LIMITS).begin(reopen=False)
    with ledger.database.transaction() as connection:
        connection.execute(text("SELECT 1 FROM poweremail_smtp_users FOR UPDATE"))
        connection.execute(text("SELECT 1 FROM poweremail_batches FOR UPDATE"))
        options = ledger.settle_options(batch, given, dict.fromkeys(names, LIMITS))
        assert options.lease == 20.0
        late = worker(ledger, batch, *names, limits=LIMITS)
        late.begin(reopen=False)
    assert late.step((), 2).work
    ledger.close()


def test_a_booking_that_takes_too_long_or_was_overtaken_fails(ledger, rows):
    batch, booked = rows
    budgets = Budgets(["smtp1"], {"smtp1": LIMITS})
    worker(ledger, batch, limits=LIMITS)
    for change in ({"now": -1.0}, {"revision": 1}):
        with ledger.database.transaction() as connection:
            found = BudgetRows(connection)
            row = found.read("smtp1")
            usage = Usage(row.used, row.now)
            usage.book(2)
            late = attrs.make_class("Row", ["name", "now", "revision"])(
                "smtp1", row.now + change.get("now", 0.0), row.revision - change.get("revision", 0)
            )
            assert not found.write(late, usage, 0.0, 0.0)
    assert booked() == 0
    statements = ledger.database.transaction if ledger.database.path else ledger.database.statements
    with statements() as connection:
        found = BudgetRows(connection)
        grant = budgets.take(found, "smtp1", 9)
        assert (grant.count, budgets.wait() > 30.0) == (5, True)
        budgets.give_back(found, [grant])
        assert budgets.wait() == 0.0
    assert booked() == 0


def test_a_share_of_each_limit_is_kept_for_an_outbox(ledger, rows):
    batch, _ = rows
    outbox = fill(ledger, 20, "outbox")
    with ledger.database.transaction() as connection:
        connection.execute(
            update(schema.batches)
            .where(schema.batches.c.id == outbox)
            .values(kind="outbox", options=json.dumps({"bulk_share": 0.6}))
        )
    assert len(worker(ledger, batch, limits=LIMITS).step((), 9).work) == 3
    assert len(worker(ledger, outbox, limits=LIMITS).step((), 9).work) == 2


def test_limits_that_are_changed_hold_from_the_next_second_on(ledger, rows):
    batch, booked = rows
    it = worker(ledger, batch, limits=LIMITS)
    assert len(it.step((), 9).work) == 5
    ledger.change_options(batch, {}, {"smtp1": {"per_minute": 7}})
    it._bookings.step_failed()
    assert len(it.step((), 9).work) == 2
    assert booked() == 7


def test_who_is_free_is_read_in_one_query(ledger):
    names = ["free", "soon", "later", "refused", "for an outbox", "set back"]
    with ledger.database.transaction() as connection:
        BudgetRows(connection).register(names)
        now = ledger.database.now(connection)
        for name, columns in {
            "soon": {"free_at": now + 10.0, "bulk_free_at": now + 10.0},
            "later": {"free_at": now + 20.0, "bulk_free_at": now + 20.0},
            "refused": {"refused_until": now + 30.0},
            "for an outbox": {"bulk_free_at": now + 40.0},
            # The clock was an hour ahead when it was booked.
            "set back": {"booked": now + 3600.0, "free_at": now + 3700.0, "bulk_free_at": now + 1},
        }.items():
            change = update(schema.smtp_users).where(schema.smtp_users.c.name == name)
            connection.execute(change.values(columns))
        found = BudgetRows(connection)
        bulk = found.first_free(names, 9, bulk=True)
        outbox = found.first_free(names, 9, bulk=False)
        assert {each.name for each in bulk[:2]} == {"free", "set back"}
        assert [each.name for each in bulk[2:]] == ["soon", "later", "refused", "for an outbox"]
        assert [round(each.free_in, -1) for each in bulk] == [0.0, 0.0, 10.0, 20.0, 30.0, 40.0]
        assert {each.name for each in outbox[:3]} == {"free", "set back", "for an outbox"}
        assert [each.name for each in found.first_free(names[1:3], 1, bulk=True)] == ["soon"]


def test_a_worker_does_not_ask_what_others_have_used_up(ledger, rows):
    """However many SMTP users others have used up, one query says so, and when one is free."""
    batch, _ = rows
    names = [f"smtp{number}" for number in range(4)]
    while len(worker(ledger, batch, *names, limits=LIMITS).step((), 9).work):
        pass
    late = worker(ledger, batch, *names, limits=LIMITS)
    statements: list[str] = []
    event.listen(
        ledger.database._engine,
        "before_cursor_execute",
        lambda *given: statements.append(given[2]),
    )
    step = late.step((), 9)
    assert step.work == ()
    assert step.wait > 50.0
    asked = [each for each in statements if "smtp_users" in each]
    assert len([each for each in asked if "ORDER BY" in each]) == 1
    assert not [each for each in asked if "UPDATE" in each or "revision" in each]
    if ledger.database.path is None:
        statements.clear()
        assert late.step((), 9).work == ()
        assert not [each for each in statements if "smtp_users" in each]


@given(st.integers(1, 8), st.integers(1, 4), st.integers(1, 20), st.integers(1, 6), st.integers())
@settings(max_examples=25)
def test_hosts_use_the_limits_and_never_exceed_them(hosts, users, per_minute, concurrency, seed):
    simulation = Simulation(hosts, users, concurrency=concurrency, per_minute=per_minute, seed=seed)
    figures = simulation.run(130.0)
    assert figures.fullest_minute <= per_minute
    # The budget of a minute goes three times, at 0 to 1, 61 to 64 and 122 to 130 seconds.
    assert figures.mails == 3 * users * per_minute


def test_workers_that_book_at_once_share_the_budget(postgresql):
    ledger = Ledger(postgresql)
    batch = fill(ledger, 100)
    limits = RateLimits(per_minute=40, per_hour=None, per_day=None)
    with ThreadPoolExecutor(4) as threads:

        def take(_: int) -> int:
            it = worker(ledger, batch, limits=limits)
            return sum(len(it.step((), 3).work) for _ in range(20))

        # One that was overtaken again and again has got nothing in a step: no more than 40 go.
        assert sum(threads.map(take, range(4))) == 40
    ledger.close()


def test_the_usage_of_an_smtp_user_without_a_row_is_nothing(ledger):
    with ledger.database.transaction() as connection:
        connection.execute(insert(schema.smtp_users).values(name="other"))
        assert read_used(connection, "smtp1", LIMITS).ages == ([], [])
