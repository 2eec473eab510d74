"""The options that the workers of a batch share: stored once in the ledger, changed for all."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from poweremail import ConfigurationError, NotSentError, RateLimits, RetryPolicy
from poweremail._ledger import State
from poweremail._ledger.options import NAMES, SharedOptions
from poweremail._ledger.values import Finished
from poweremail._ledger.verdicts import RELEASED
from poweremail.batch import Batch, Ledger
from poweremail.sandbox import Fault, Sandbox
from support.ledgers import ACCEPTED, Verdict, entries, fill, finish, worker

_LOCKS = "FOR NO KEY UPDATE"
FEW = RateLimits(per_minute=5, per_hour=None, per_day=None)
FAILED = Verdict(state=State.NOT_SENT, error=NotSentError("no"), attempted=True, bad=True)


@pytest.fixture
def sandbox():
    with Sandbox() as sandbox:
        yield sandbox


def run(batch: Batch) -> list[str]:
    with batch.run() as outcomes:
        return [outcome.state for outcome in outcomes]


class TestSettling:
    def test_the_first_run_stores_what_it_is_given_and_nothing_else(self, sandbox, place):
        with sandbox.client() as client, Batch(client, place, "news", lease=20.0) as batch:
            batch.add(entries(2))
            assert (batch.status().options, batch.status().limits) == ({}, {})
            assert run(batch) == ["accepted", "accepted"]
            assert (batch.status().options, batch.status().limits) == ({"lease": 20.0}, {})
            with Batch(client, place, "news", limits=FEW, retry=RetryPolicy(3)) as later:
                run(later)
            assert batch.status().options == {
                "lease": 20.0,
                "attempts": 3,
                "first_wait": 0.5,
                "max_wait": 8.0,
            }
            assert batch.status().limits == {"smtp12345": FEW}

    @pytest.mark.parametrize(
        ("first", "later", "words"),
        [
            ({"lease": 20.0}, {"lease": 30.0}, ("lease", "20.0", "30.0", "--lease 30.0")),
            ({"visibility": 3}, {"visibility": 4}, ("visibility", "3", "4", "--visibility 4")),
            (
                {"resend_after": 60},
                {"resend_after": 90},
                ("resend_after", "60", "90", "--resend-after 90"),
            ),
            (
                {"errors_in_a_row": 3},
                {"errors_in_a_row": 20},
                ("errors_in_a_row", "3", "20", "--errors-in-a-row 20"),
            ),
            (
                {"retry": RetryPolicy(3)},
                {"retry": RetryPolicy(3, first_wait=1.0)},
                ("first_wait", "0.5", "1.0", "--first-wait 1.0"),
            ),
            (
                {"limits": FEW},
                {"limits": RateLimits(6, None, None)},
                ("per_minute", "is 5", "6 was", "--smtp-users smtp12345 --per-minute 6"),
            ),
            (
                {"limits": RateLimits()},
                {"limits": RateLimits(per_day=None)},
                ("per_day", "50000", "no limit", "--default per-day"),
            ),
        ],
    )
    def test_another_value_raises_before_a_mail_is_sent(self, sandbox, place, first, later, words):
        with sandbox.client() as client:
            with Batch(client, place, "news", **first) as batch:
                batch.add(entries(1))
                with batch.run():
                    pass
                stored = batch.status()
            with Batch(client, place, "news", **{"errors_in_a_row": 3} | later) as batch:
                with pytest.raises(ConfigurationError) as caught:
                    run(batch)
                text = f"{caught.value} {caught.value.advice}"
                assert all(word in text for word in ("poweremail batch set news", *words)), text
                # It stores nothing either.
                assert batch.status() == stored
            assert sandbox.outbox == []
            with Batch(client, place, "news") as batch:
                assert run(batch) == ["accepted"]

    def test_callables_and_defaults_that_are_given_again_do_not_differ(self, sandbox, place):
        with sandbox.client() as client, closing(Ledger(place)) as ledger:
            for called in (print, repr, None):
                policy = RetryPolicy(3, on_retry=called, max_total=None if called else 60.0)
                limits = RateLimits(on_wait=called)
                batch = Batch(client, ledger, "news", retry=policy, limits=limits, lease=30)
                batch.add(entries(1))
                run(batch)

    def test_limits_are_those_of_the_smtp_user_in_all_batches(self, sandbox, place):
        with sandbox.client() as client, closing(Ledger(place)) as ledger:
            first = Batch(client, ledger, "first", smtp_users=["a", "b"], limits={"a": FEW})
            first.add(entries(3))
            run(first)
            for limits in (RateLimits(), {"a": RateLimits()}):
                other = Batch(client, ledger, "other", smtp_users=["b", "a"], limits=limits)
                other.add(entries(1))
                with pytest.raises(ConfigurationError, match="SMTP user a"):
                    run(other)
            assert first.status().limits == {"a": FEW}
            # A batch without limits has them, too.
            last = Batch(client, ledger, "last", smtp_users=["a"])
            last.add(entries(20))
            with last.run() as outcomes:
                for _ in range(5 - sum(mail.smtp_user_name == "a" for mail in sandbox.outbox)):
                    next(outcomes)
            assert last.status().counts["planned"] > 0
            assert last.least_seconds(20) > 60.0

    def test_options_that_do_not_fit_the_stored_ones_are_not_stored(self, sandbox, place):
        with sandbox.client() as client:
            with Batch(client, place, "news", visibility=20) as batch:
                batch.add(entries(1))
                run(batch)
            with Batch(client, place, "news", resend_after=10) as batch:
                with pytest.raises(ConfigurationError, match="less than visibility"):
                    run(batch)
                with pytest.raises(ConfigurationError, match="less than visibility"):
                    batch.set_options(resend_after=5)
                assert batch.status().options == {"visibility": 20}
                batch.set_options(visibility=None)
                run(batch)
                assert batch.status().options == {"resend_after": 10}


class TestChanging:
    def test_set_options_changes_what_is_named(self, sandbox, place):
        with sandbox.client() as client, Batch(client, place, "news", lease=20.0) as batch:
            batch.add(entries(1))
            run(batch)
            batch.set_options(retry=RetryPolicy(2, first_wait=1), errors_in_a_row=7, limits=FEW)
            assert batch.status().options == {
                "lease": 20.0,
                "errors_in_a_row": 7,
                "attempts": 2,
                "first_wait": 1,
                "max_wait": 8.0,
            }
            assert batch.status().limits == {"smtp12345": FEW}
            # The batch that made the change may run: it is what it was given last.
            batch.set_options(lease=40.0, retry=None, limits={"smtp12345": None, "b": FEW})
            assert run(batch) == []
            assert batch.status().options == {"lease": 40.0, "errors_in_a_row": 7}
            assert batch.status().limits == {"b": FEW}
            batch.set_options(lease=None, errors_in_a_row=None, limits=None)
            assert (batch.status().options, batch.status().limits) == ({}, {"b": FEW})
            batch.set_options(retry={"max_wait": 30.0})
            assert batch.status().options == {"max_wait": 30.0}
        with sandbox.client() as client:
            # What is not given is not compared.
            run(Batch(client, place, "news", retry={"attempts": 3}))
            with pytest.raises(ConfigurationError, match=r"retry.max_wait.*is 30.0"):
                run(Batch(client, place, "news", retry=RetryPolicy(3)))

    def test_invalid_changes(self, sandbox, place):
        with Batch(None, place, "news") as batch:
            with pytest.raises(ConfigurationError, match="no batch called"):
                batch.set_options(lease=20.0)
            batch.add(entries(1))
            for wrong, field in (
                ({"lease": 0.1}, "lease"),
                ({"retry": 3}, "retry"),
                ({"retry": {"total": 3}}, "retry"),
                ({"retry": {"attempts": 0}}, "attempts"),
                ({"bulk_share": 0.5}, "an option of an outbox"),
                ({"errors_in_a_row": 0}, "errors_in_a_row"),
                ({"limits": {"a": 3}}, "limits"),
                ({"limits": FEW}, "smtp_users"),  # there is no client to name one
                ({"concurrency": 3}, "concurrency"),
            ):
                with pytest.raises(ConfigurationError, match=field):
                    batch.set_options(**wrong)
            assert (batch.status().options, batch.status().limits) == ({}, {})

    def test_running_workers_take_a_change_over(self, ledger):
        batch = fill(ledger, 200)
        it = worker(ledger, batch, lease=60.0)
        assert len(it.step((), 3).work) == 3
        ledger.change_options(
            batch,
            {"attempts": 2, "visibility": 3, "errors_in_a_row": 2, "lease": 10.0},
            {"smtp1": {"per_minute": 4}},
        )
        # The limits of SMTP users are read once a second.
        while it.step((), 1).work:
            time.sleep(0.1)
        assert ledger.status(batch).counts["planned"] > 0
        assert it.options == SharedOptions(attempts=2, visibility=3, errors_in_a_row=2, lease=10.0)
        ledger.change_options(batch, dict.fromkeys(NAMES), {"smtp1": {"per_minute": None}})
        while not it.step((), 1).work:
            time.sleep(0.1)
        assert it.options == SharedOptions()

    def test_a_run_decides_by_options_that_were_changed_meanwhile(self, sandbox, place):
        sandbox.faults.add(Fault.refuse(), call="sendMail")
        policy = RetryPolicy(1000, first_wait=0.0, max_wait=0.0)
        with (
            sandbox.client() as client,
            Batch(client, place, "news", retry=policy, errors_in_a_row=10**9) as batch,
            Batch(None, place, "news") as other,
        ):
            batch.add(entries(1))
            with batch.run() as outcomes:
                other.set_options(retry=RetryPolicy(1))
                (outcome,) = outcomes
            assert outcome.state == "not_sent"
            assert outcome.attempts < 1000

    def test_a_lease_that_was_changed_is_renewed_in_time(self, ledger):
        """A row keeps its lease when the lease becomes longer, and when it becomes shorter."""
        batch = fill(ledger, 1)
        for before, after in ((2.0, 600.0), (600.0, 2.0)):
            it, other = worker(ledger, batch, lease=before), worker(ledger, batch)
            ledger.change_options(batch, {"lease": before})
            step = it.step((), 1)
            assert it.adopt_lease() == before / 4
            ledger.change_options(batch, {"lease": after})
            it.step((), 0)
            # Both what has the former lease and what will have the new one is renewed in time.
            assert it.adopt_lease() == 0.5
            it.step((), 0)
            assert it.adopt_lease() == after / 4
            until = time.monotonic() + 2.5
            while after > before and time.monotonic() < until:
                time.sleep(0.1)
                assert other.step((), 1).work == ()
            it.step(finish(step, Verdict(state=State.PLANNED, delay=0.0)), 0)


RACE = """
import sys
from poweremail.batch import Batch
from poweremail import PowerEmail

place, url, lease = sys.argv[1], sys.argv[2], float(sys.argv[3])
with PowerEmail("o", "t", base_url=url, smtp_user_name="s") as client:
    with Batch(client, place, "news", lease=lease) as batch:
        batch.status()
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            with batch.run() as outcomes:
                print("won", len(list(outcomes)))
        except Exception as error:
            print(type(error).__name__, error)
"""


def test_one_of_two_processes_with_other_options_wins(served, place):
    with Batch(None, place, "news") as batch:
        batch.add(entries(5))
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", RACE, place, served.url, lease],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for lease in ("20", "25")
        ]
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        told = [process.communicate(timeout=60)[0] for process in processes]
        lost, won = sorted(told)
        assert lost.startswith("ConfigurationError lease: is 2")
        assert won == "won 5\n"
        assert batch.status().options == {"lease": 20.0 if told[0] == won else 25.0}
    assert len(served.outbox) == 5


def test_one_of_two_rehearsals_at_the_same_moment_wins(ledger):
    wanted = [{"redirect_to": f"{name}@example.com", "allow": []} for name in ("me", "you")]

    def rehearse(batch, each):
        try:
            return ledger.rehearse(batch, each)
        except ConfigurationError as error:
            return error.reason

    with ThreadPoolExecutor(2) as threads:
        for number in range(10):
            batch = fill(ledger, 1, name=f"news {number}")
            results = list(threads.map(rehearse, (batch, batch), wanted))
            assert sum(each in wanted for each in results) == 1
            assert ledger.rehearse(batch, None) in results


_values = st.fixed_dictionaries(
    {},
    optional={
        "attempts": st.sampled_from([1, 2]),
        "first_wait": st.sampled_from([0, 2.5]),
        "lease": st.sampled_from([1, 2.5]),
        "errors_in_a_row": st.sampled_from([1, 2]),
    },
)
_changes = _values.flatmap(
    lambda values: st.sets(st.sampled_from(NAMES)).map(
        lambda defaults: {**values, **dict.fromkeys(defaults)}
    )
)


@settings(max_examples=40)
@given(st.lists(st.one_of(_values.map(lambda v: (v, True)), _changes.map(lambda v: (v, False)))))
def test_options_are_those_that_came_first_until_they_change(tmp_path_factory, course):
    stored: dict[str, float] = {}
    with closing(Ledger(tmp_path_factory.mktemp("ledger") / "ledger.db")) as ledger:
        batch = ledger.create("news")
        for values, is_given in course:
            if not is_given:
                ledger.change_options(batch, values)
                merged = stored | values
                stored = {name: value for name, value in merged.items() if value is not None}
            elif any(stored.get(name, value) != value for name, value in values.items()):
                with pytest.raises(ConfigurationError):
                    ledger.settle_options(batch, values, {})
            else:
                stored |= values
                assert ledger.settle_options(batch, values, {}) == SharedOptions(**stored)
            assert ledger.status(batch).options == stored


class TestFailuresInARow:
    @staticmethod
    def end(it, verdicts) -> str | None:
        """Let a worker end as many rows, in one step."""
        work = it.step((), len(verdicts)).work
        ended = [Finished(work=each, verdict=one) for each, one in zip(work, verdicts, strict=True)]
        return it.step(ended, 0).paused

    @settings(max_examples=30)
    @given(
        steps=st.lists(
            st.tuples(st.integers(0, 2), st.text("faw", min_size=1, max_size=4)), max_size=8
        ),
        limit=st.integers(1, 4),
    )
    def test_all_workers_count_together(self, tmp_path_factory, steps, limit):
        """f fails, a is accepted, w was never begun."""
        with closing(Ledger(tmp_path_factory.mktemp("ledger") / "ledger.db")) as ledger:
            batch = fill(ledger, 40)
            ledger.change_options(batch, {"errors_in_a_row": limit})
            workers = [worker(ledger, batch) for _ in range(3)]
            letters = {"f": FAILED, "a": ACCEPTED, "w": RELEASED}
            failures = 0
            for number, course in steps:
                paused = False
                for letter in course:
                    failures = {"a": 0, "f": failures + 1, "w": failures}[letter]
                    if failures == limit:
                        paused, failures = True, 0
                now = self.end(workers[number], [letters[letter] for letter in course])
                assert (now is not None) == paused
                if paused:
                    assert f"{limit} failures in a row" in now
                    ledger.resume(batch)
                    failures = 0

    def test_on_both_databases(self, ledger):
        batch = fill(ledger, 20)
        ledger.change_options(batch, {"errors_in_a_row": 3})
        one, other = worker(ledger, batch), worker(ledger, batch)
        assert self.end(one, [FAILED, FAILED, ACCEPTED, FAILED]) is None
        assert self.end(other, [FAILED]) is None
        assert "3 failures in a row" in self.end(one, [FAILED, ACCEPTED])
        ledger.resume(batch)
        assert self.end(other, [FAILED, FAILED]) is None
        # A slice of a batch goes on counting where the last one ended.
        assert "3 failures in a row" in self.end(worker(ledger, batch), [FAILED])
        ledger.resume(batch)
        assert self.end(other, [FAILED, FAILED]) is None
        ledger.pause(batch, "by hand")
        ledger.resume(batch)
        assert self.end(other, [FAILED, FAILED]) is None

    def test_a_lower_limit_holds_for_the_failures_so_far(self, ledger):
        batch = fill(ledger, 20)
        it = worker(ledger, batch)
        assert self.end(it, [FAILED] * 5) is None
        ledger.change_options(batch, {"errors_in_a_row": 3})
        assert "6 failures in a row" in self.end(it, [FAILED])

    def test_nothing_is_written_to_the_batch_while_all_goes_well(self, ledger):
        batch = fill(ledger, 20)
        it = worker(ledger, batch)
        written: list[str] = []

        def remember(_connection, _cursor, statement, *_) -> None:
            # Once a second a worker claims the search for ended leases, which nobody waits for.
            is_sweep = "SET swept" in statement
            if not is_sweep and ("UPDATE poweremail_batches" in statement or _LOCKS in statement):
                written.append(statement)

        it.step((), 0)
        event.listen(ledger.database._engine, "before_cursor_execute", remember)
        try:
            assert self.end(it, [ACCEPTED] * 4) is None
            assert self.end(it, [ACCEPTED] * 4) is None
        finally:
            event.remove(ledger.database._engine, "before_cursor_execute", remember)
        assert written == []
