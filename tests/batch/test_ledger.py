"""The ledger and its workers, on SQLite, and on PostgreSQL if its programs are installed."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import product
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, text, update

from poweremail import (
    Attachment,
    ConfigurationError,
    NotSentError,
    RateLimitError,
    RateLimits,
    UsageError,
)
from poweremail._ledger import State, schema, statements
from poweremail._ledger.forecast import least_seconds, read_used
from poweremail._ledger.usage import MARGIN_SECONDS, Usage
from poweremail._ledger.values import Finished
from poweremail._ledger.verdicts import RELEASED
from poweremail._policy.limits import Window
from poweremail.batch import BadEntry, Entry, Ledger, LedgerError, read_csv
from support.ledgers import ACCEPTED, Verdict, entries, fill, finish, let_leases_end, states, worker
from support.messages import full, message, template

UNKNOWN = Verdict(state=State.UNKNOWN, delay=0.0, attempted=True)


def _refused(seconds: float) -> Verdict:
    return Verdict(state=State.PLANNED, error=RateLimitError("429"), delay=0.0, refused=seconds)


def add(ledger: Ledger, batch: int, *items):
    adding = ledger.adding(batch)
    adding.add(
        [item if isinstance(item, Entry | BadEntry) else Entry(message=item) for item in items]
    )
    return adding.total


class TestAdding:
    def test_adding_the_same_again_adds_nothing(self, ledger):
        batch = ledger.create("news")
        first, second = (add(ledger, batch, *entries(10)) for _ in range(2))
        assert (first.added, first.known, second.added, second.known) == (10, 0, 0, 10)
        assert ledger.create("news") == batch
        assert ledger.names() == ["news"]

    def test_without_a_key_the_unique_id_or_the_content_is_the_key(self, ledger):
        batch = ledger.create("news")
        added = add(
            ledger,
            batch,
            message(),
            message(),
            message(text="Other"),
            message(unique_id="a"),
            message(unique_id="a"),
        )
        assert (added.added, added.known) == (3, 2)
        with pytest.raises(UsageError, match="has it as its key"):
            Entry(message=message(unique_id="a"), key="b")

    def test_mails_whose_recipients_see_each_other_are_counted(self, ledger):
        batch = ledger.create("news")
        mails = [
            message(),
            message(to=["a@example.com", "b@example.com"]),
            message(cc="c@example.com"),
            message(bcc=["c@example.com", "d@example.com"]),
        ]
        assert [add(ledger, each, *mails).shared for each in (None, batch, batch)] == [2, 2, 2]

    def test_two_batches_have_nothing_to_do_with_each_other(self, ledger):
        assert add(ledger, fill(ledger, 3), *entries(3)).known == 3
        assert add(ledger, ledger.create("other"), *entries(3)).added == 3

    def test_invalid_rows_are_kept_with_their_line_until_they_are_corrected(self, ledger):
        batch = ledger.create("news")
        bad = BadEntry(
            error=UsageError("has no @", field="to"), recipient="nobody", source="a.csv", line=7
        )
        added = add(ledger, batch, bad)
        assert (added.invalid, added.errors) == (1, ((7, "to: has no @"),))
        (record,) = ledger.report(batch)
        assert (record.state, record.line, record.recipients, record.error) == (
            "invalid",
            7,
            ("nobody",),
            "to: has no @",
        )
        add(ledger, batch, Entry(message=message(), source="a.csv", line=7))
        assert [record.state for record in ledger.report(batch)] == ["planned"]

    @pytest.mark.parametrize("odd", ["\0", "\ud800"])
    def test_a_text_that_no_database_can_keep_spoils_nothing(self, ledger, odd):
        batch = ledger.create("news")
        bad = BadEntry(
            error=UsageError(f"has {odd}"), recipient=f"a{odd}", source=f"{odd}.csv", line=2
        )
        added = add(ledger, batch, bad, Entry(message=message(), source=f"{odd}.csv", line=3))
        assert (added.added, added.invalid) == (1, 1)
        told = odd.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")
        records = {record.state: record for record in ledger.report(batch)}
        assert (records["invalid"].recipients, records["invalid"].error) == (
            (f"a{told}",),
            f"has {told}",
        )
        # It is known again by the name of its source, as that was kept.
        assert add(ledger, batch, bad).invalid == 1
        assert ledger.status(batch).counts["invalid"] == 1
        with pytest.raises(UsageError, match="key: has a"):
            Entry(message=message(), key=f"k{odd}")
        with pytest.raises(UsageError, match="there is no batch"):
            ledger.find(f"news{odd}")

    def test_large_messages_are_added_a_few_at_a_time(self, ledger):
        group, file = ledger.adding(None), Attachment("large.bin", bytes(6_000_000))
        for _ in range(400):
            group.append(Entry(message=message(attachments=[file])))
        assert not group.is_full  # it is one file
        for number in range(3):
            group.append(
                Entry(
                    message=message(
                        html="x" * 5_000_000, attachments=[Attachment("a", b"%d" % number)]
                    )
                )
            )
        assert group.is_full
        small = ledger.adding(None)
        for number in range(500):
            assert not small.is_full
            small.append(Entry(message=message(), key=str(number)))
        assert small.is_full
        small.flush()
        assert (small.is_full, small.total.added) == (False, 500)

    def test_large_files_are_added_a_few_at_a_time(self, ledger, tmp_path):
        group = ledger.adding(None)
        for number in range(3):
            assert not group.is_full
            path = tmp_path / f"{number}.bin"
            with path.open("wb") as file:
                file.truncate(6_000_000)
            group.append(Entry(message=message(attachments=[Attachment.from_path(path)])))
        assert group.is_full

    def test_large_messages_are_looked_through_a_few_at_a_time(self, ledger):
        batch = ledger.create("news")
        for number in range(4):
            add(
                ledger,
                batch,
                message(attachments=[Attachment("large.bin", bytes([number]) * 6_000_000)]),
            )
        above, pages = 0, []
        while page := ledger.planned(batch, above):
            above = page[-1][0]
            pages.append(len(page))
        assert pages == [3, 1]

    def test_an_invalid_row_with_a_key_is_added_when_its_file_is_back(self, ledger, tmp_path):
        path = tmp_path / "a.txt"
        path.write_text("A")
        entry = Entry(message=message(attachments=[Attachment.from_path(path)]), key="k")
        path.unlink()
        batch = ledger.create("news")
        ledger.adding(batch).add([entry])
        adding = ledger.adding(batch)
        adding.add([entry])
        assert (adding.total.invalid, states(ledger, batch)) == (1, {"k": "invalid"})
        path.write_text("A")
        adding.add([Entry(message=message(attachments=[Attachment.from_path(path)]), key="k")])
        assert (adding.total.added, states(ledger, batch)) == (1, {"k": "planned"})

    def test_a_row_with_too_long_a_text_fails_alone(self, ledger):
        # Random, so that PostgreSQL cannot compress it to fit into an index.
        long, longer = (random.Random(1).randbytes(size).hex() for size in (1_000, 50_000))
        batch = ledger.create("news")
        adding = ledger.adding(batch)
        adding.add(
            [
                Entry(message=message(), key=long),
                Entry(message=message(), key=longer, line=2),
                BadEntry(error=UsageError(f"{longer} is no address"), source="a.csv", line=3),
                BadEntry(error=UsageError("no address"), source=f"/{longer}", line=4),
            ]
        )
        assert (adding.total.added, adding.total.invalid) == (1, 3)
        assert [line for line, _ in adding.total.errors] == [2, 3, 4]
        assert sorted(states(ledger, batch).values()) == ["invalid"] * 3 + ["planned"]

    def test_a_file_of_many_mails_is_stored_once(self, ledger, tmp_path):
        batch = ledger.create("news")
        prices = tmp_path / "prices.pdf"
        prices.write_bytes(b"42" * 1000)
        add(
            ledger,
            batch,
            *(
                message(to=f"u{n}@example.com", attachments=Attachment.from_path(prices))
                for n in range(5)
            ),
        )
        with ledger.database.reading() as connection:
            assert (
                connection.execute(text("SELECT count(*) FROM poweremail_contents")).scalar() == 1
            )
        prices.unlink()
        works = worker(ledger, batch).step((), 5).work
        assert {tuple(work.contents.values()) for work in works} == {(b"42" * 1000,)}

    def test_an_open_file_that_has_become_shorter_is_invalid(self, ledger):
        file = BytesIO(b"all of it")
        attached = message(attachments=Attachment.from_file(file, "a"))
        file.truncate(3)
        added = add(ledger, ledger.create("news"), attached)
        assert (added.added, added.invalid) == (0, 1)
        assert "shorter" in added.errors[0][1]

    def test_messages_that_cannot_be_stored_are_invalid(self, ledger, tmp_path):
        batch = ledger.create("news")
        gone = tmp_path / "gone"
        gone.write_bytes(b"x")
        attachment = Attachment.from_path(gone)
        gone.unlink()
        added = add(
            ledger,
            batch,
            message(attachments=attachment),
            message(attachments=Attachment.from_stream([b"x"], "s")),
            message(),
        )
        assert (added.added, added.invalid) == (1, 2)

    def test_a_dry_run_counts_and_stores_nothing(self, ledger):
        adding = ledger.adding(None)
        adding.add(entries(3))
        assert adding.total.added == 3
        assert ledger.names() == []


class TestWork:
    def test_a_row_goes_from_planned_to_accepted(self, ledger):
        batch = fill(ledger, 5)
        it = worker(ledger, batch)
        step = it.step((), 2)
        assert [work.key for work in step.work] == ["k0", "k1"]
        assert ledger.status(batch).counts["sending"] == 2
        step = it.step(finish(step), 10)
        assert [each.value for each in step.recorded] == ["k0", "k1"]
        assert [work.key for work in step.work] == ["k2", "k3", "k4"]
        assert it.step(finish(step), 10).wait is None
        assert ledger.status(batch).all_accepted

    def test_a_stored_message_is_read_back_equal(self, ledger):
        from poweremail._ledger.payload import unpack

        batch = ledger.create("news")
        given = [full(), template(cc=["c@example.com"], reply_to="r@example.com")]
        add(ledger, batch, *given)
        works = worker(ledger, batch).step((), 2).work
        got = [unpack(work.payload, work.contents, work.unique_id) for work in works]
        assert got[0] == given[0]
        assert (got[1].recipients, got[1].dynamic_value) == (
            given[1].recipients,
            given[1].dynamic_value,
        )
        assert got[1].unique_id
        with pytest.raises(UsageError, match="cannot be read"):
            unpack("[]", {}, "x")

    def test_two_workers_claim_different_rows(self, ledger):
        batch = fill(ledger, 10)
        one, other = worker(ledger, batch), worker(ledger, batch)
        taken = [work.key for step in (one.step((), 6), other.step((), 6)) for work in step.work]
        assert sorted(taken) == sorted(f"k{n}" for n in range(10))

    def test_a_worker_without_its_lease_cannot_overwrite_its_successor(self, ledger):
        batch = fill(ledger, 1)
        gone, successor = worker(ledger, batch), worker(ledger, batch)
        step = gone.step((), 1)
        let_leases_end(ledger, gone.owner)
        (work,) = successor.step((), 1).work
        assert (work.state, work.unique_id) == (State.UNKNOWN, step.work[0].unique_id)
        late = gone.step(finish(step), 0)
        assert (late.recorded, [each.work.key for each in late.lost]) == ((), ["k0"])
        assert states(ledger, batch) == {"k0": "unknown"}
        (seen,) = finish(successor.step((), 0)) or [Finished(work=work, verdict=ACCEPTED)]
        successor.step([seen], 0)
        assert states(ledger, batch) == {"k0": "accepted"}

    def test_a_result_after_the_end_of_the_lease_is_lost(self, ledger):
        batch = fill(ledger, 2)
        gone, successor = worker(ledger, batch), worker(ledger, batch)
        step = gone.step((), 2)
        let_leases_end(ledger, gone.owner)
        (taken,) = successor.step((), 1).work
        late = gone.step(finish(step), 0)
        assert (late.recorded, len(late.lost)) == ((), 2)
        assert states(ledger, batch) == {"k0": "unknown", "k1": "unknown"}
        # The other one is free, and is looked up as well.
        (other,) = successor.step((), 2).work
        assert {taken.key, other.key} == {"k0", "k1"}

    def test_a_lost_row_does_not_lose_the_other_results(self, ledger):
        batch = fill(ledger, 3)
        it, other = worker(ledger, batch), worker(ledger, batch)
        step = it.step((), 3)
        with ledger.database.transaction() as connection:
            connection.execute(
                text("UPDATE poweremail_messages SET lease_until = 0 WHERE key = 'k1'")
            )
            connection.execute(update(schema.batches).values(swept=0.0))
        assert [work.key for work in other.step((), 5).work] == ["k1"]
        step = it.step(finish(step), 0)
        assert ([each.value for each in step.recorded], [each.value for each in step.lost]) == (
            ["k0", "k2"],
            ["k1"],
        )

    def test_a_renewed_lease_does_not_end(self, ledger):
        batch = fill(ledger, 1)
        # However busy the machine is, it comes back before the lease is over; the first of them is
        # over at the end.
        it, other = worker(ledger, batch, lease=2.0), worker(ledger, batch)
        step = it.step((), 1)
        began = time.monotonic()
        while time.monotonic() - began < 2.5:
            time.sleep(0.1)
            it.step((), 0)
        assert other.step((), 1).work == ()
        assert it.step(finish(step), 0).recorded

    def test_an_unfinished_lookup_can_be_claimed_again(self, ledger):
        batch = fill(ledger, 1)
        gone = worker(ledger, batch)
        gone.step(finish(gone.step((), 1), UNKNOWN), 0)
        time.sleep(0.25)
        assert [work.state for work in gone.step((), 1).work] == [State.UNKNOWN]
        let_leases_end(ledger, gone.owner)
        assert [work.state for work in worker(ledger, batch).step((), 1).work] == [State.UNKNOWN]

    def test_a_row_that_is_not_due_waits(self, ledger):
        batch = fill(ledger, 1)
        it = worker(ledger, batch)
        error = NotSentError("refused")
        step = it.step(
            finish(
                it.step((), 1), Verdict(state=State.PLANNED, error=error, delay=0.3, attempted=True)
            ),
            1,
        )
        assert (step.work, step.wait) == ((), pytest.approx(0.3))
        (record,) = ledger.report(batch)
        assert (record.attempts, record.error_kind, record.error) == (1, "NotSentError", "refused")
        time.sleep(0.35)
        assert it.step((), 1).work[0].attempts == 1

    def test_a_released_row_has_lost_no_attempt(self, ledger):
        batch = fill(ledger, 1)
        it = worker(ledger, batch)
        it.step(finish(it.step((), 1), RELEASED), 0)
        assert it.step((), 1).work[0].attempts == 0

    @pytest.mark.parametrize("odd", ["\0", "\ud800"])
    def test_any_text_of_the_service_can_be_stored(self, ledger, odd):
        batch = fill(ledger, 1)
        it = worker(ledger, batch)
        error = NotSentError(f"bad {odd}")
        it.step(
            finish(it.step((), 1), Verdict(state=State.REJECTED, error=error, pause=f"why: {odd}")),
            0,
        )
        (record,) = ledger.report(batch)
        assert record.error.startswith("bad \\")
        assert ledger.status(batch).paused.startswith("why: \\")

    def test_a_long_reason_is_kept_up_to_500_characters(self, ledger):
        batch = fill(ledger, 2)
        it = worker(ledger, batch)
        reasons = ["x" * 500, "x" * 501]
        it.step(
            [
                Finished(
                    work=work, verdict=Verdict(state=State.REJECTED, error=NotSentError(reason))
                )
                for work, reason in zip(it.step((), 2).work, reasons, strict=True)
            ],
            0,
        )
        assert [record.error for record in ledger.report(batch)] == ["x" * 500, f"{'x' * 499}…"]

    def test_a_row_that_is_claimed_before_its_result_is_written_is_lost(self, ledger):
        batch = fill(ledger, 3)
        it = worker(ledger, batch)
        step = it.step((), 3)
        with ThreadPoolExecutor() as thread:
            with ledger.database.transaction() as connection:
                connection.execute(
                    text(
                        "UPDATE poweremail_messages SET fence = fence + 1, lease_owner = NULL "
                        "WHERE key = 'k1'"
                    )
                )
                late = thread.submit(it.step, finish(step), 0)
                while connection.dialect.name == "postgresql" and not connection.scalar(
                    text("SELECT count(*) FROM pg_locks WHERE NOT granted")
                ):
                    pass
            done = late.result()
        assert [each.value for each in done.recorded] == ["k0", "k2"]
        assert [each.value for each in done.lost] == ["k1"]

    def test_a_clock_that_is_set_back_ends_no_lease(self, ledger):
        batch = fill(ledger, 1)
        it = worker(ledger, batch)
        it.step((), 1)
        # As if the clock had been an hour ahead.
        it._renewed += 3600.0
        with ledger.database.transaction() as connection:
            connection.execute(update(schema.batches).values(swept=schema.batches.c.swept + 3600.0))
            connection.execute(
                text("UPDATE poweremail_messages SET lease_until = lease_until - 30")
            )
        it.step((), 0)
        with ledger.database.reading() as connection:
            until = connection.execute(text("SELECT lease_until FROM poweremail_messages")).scalar()
            assert until > ledger.database.now(connection) + 55

    def test_one_worker_searches_for_ended_leases_for_all(self, ledger):
        batch = fill(ledger, 20)
        gone, *others = (worker(ledger, batch) for _ in range(4))
        gone.step((), 1)
        let_leases_end(ledger, gone.owner)
        looked_up = [work.key for it in others for work in it.step((), 1).work[:1]]
        assert looked_up.count("k0") == 1
        with ledger.database.reading() as connection:
            swept = connection.scalar(text("SELECT swept FROM poweremail_batches"))
        for it in others:
            it.step((), 1)
        with ledger.database.reading() as connection:
            later = connection.scalar(text("SELECT swept FROM poweremail_batches"))
        assert later == swept or later - swept >= 1.0
        with ledger.database.transaction() as connection:
            connection.execute(text("UPDATE poweremail_batches SET swept = swept - 1.1"))
        others[0].step((), 1)
        with ledger.database.reading() as connection:
            assert connection.scalar(text("SELECT swept FROM poweremail_batches")) > swept - 1.0

    def test_the_claim_of_a_sweep_waits_for_nobody(self, postgresql):
        ledger = Ledger(postgresql)
        batch = fill(ledger, 2)
        it = worker(ledger, batch)
        with ledger.database.transaction() as connection:
            connection.execute(text("UPDATE poweremail_batches SET swept = 1.0"))
        with ledger.database.transaction() as connection:
            connection.execute(text("SELECT 1 FROM poweremail_batches FOR NO KEY UPDATE"))
            assert len(it.step((), 1).work) == 1
        ledger.close()

    def test_the_queries_of_a_step_use_their_indexes_before_rows_are_counted(self, postgresql):
        ledger = Ledger(postgresql)
        fill(ledger, 3000, "old")
        with ledger.database.transaction() as connection:
            connection.execute(
                text("UPDATE poweremail_messages SET state = 'accepted', due = NULL")
            )
        ledger.database.count_rows("poweremail_messages", "poweremail_batches")
        of = {"of": fill(ledger, 500), "now": 1.0, "room": 16, "owner": "x", "lease_until": 1.0}
        plans = {}
        with ledger.database.transaction() as connection:
            for name in ("LOOK", "PLANNED", "UNKNOWN", "EXPIRE", "RENEW", "LEFT"):
                columns = ("lease_until",) if name == "RENEW" else None
                compiled = getattr(statements, name).compile(
                    dialect=connection.dialect, column_keys=columns
                )
                explained = connection.exec_driver_sql(
                    f"EXPLAIN {compiled}", compiled.construct_params(of)
                )
                plans[name] = "\n".join(explained.scalars())
        ledger.close()
        assert not [plan for plan in plans.values() if "Seq Scan on poweremail_messages" in plan]
        used = {
            name: sorted(
                index
                for index in ("planned", "unknown", "in_work")
                if f"poweremail_messages_{index}" in plan
            )
            for name, plan in plans.items()
        }
        assert used == {
            "LOOK": ["unknown"],
            "PLANNED": ["planned"],
            "UNKNOWN": ["unknown"],
            "EXPIRE": ["in_work"],
            "RENEW": ["in_work"],
            "LEFT": ["in_work", "planned", "unknown"],
        }, plans

    def test_an_invalid_transition_is_never_written(self, ledger):
        batch = fill(ledger, 1)
        it = worker(ledger, batch)
        step = it.step((), 1)
        with pytest.raises(AssertionError, match="sending cannot become sending"):
            it.step(finish(step, Verdict(state=State.SENDING)), 0)

    def test_pause_and_resume(self, ledger):
        batch = fill(ledger, 2)
        it = worker(ledger, batch)
        step = it.step((), 1)
        ledger.pause(batch, "lunch")
        ledger.pause(batch, "something else")
        step = it.step(finish(step), 5)
        assert (step.work, step.paused, len(step.recorded)) == ((), "lunch", 1)
        assert ledger.status(batch).paused == "lunch"
        ledger.resume(batch)
        assert len(it.step((), 5).work) == 1

    def test_retry_plans_the_chosen_rows_again(self, ledger):
        batch = fill(ledger, 4)
        it = worker(ledger, batch)
        verdicts = [
            Verdict(state=State.REJECTED),
            Verdict(state=State.NOT_SENT),
            Verdict(state=State.UNKNOWN),
            UNKNOWN,
        ]
        step = it.step((), 4)
        it.step(
            [
                Finished(work=work, verdict=verdict)
                for work, verdict in zip(step.work, verdicts, strict=True)
            ],
            0,
        )
        assert ledger.retry(batch, frozenset({State.NOT_SENT})) == 1
        # The unknown one that is still being looked for stays.
        assert ledger.retry(batch, frozenset({State.REJECTED, State.UNKNOWN})) == 2
        assert states(ledger, batch) == {
            "k0": "planned",
            "k1": "planned",
            "k2": "planned",
            "k3": "unknown",
        }
        with pytest.raises(UsageError, match="can be tried again"):
            ledger.retry(batch, frozenset({State.ACCEPTED}))


class TestBudget:
    def test_workers_of_one_smtp_user_share_its_budget(self, ledger):
        batch = fill(ledger, 20)
        limits = RateLimits(per_minute=5, per_hour=None, per_day=None)
        one, other = (worker(ledger, batch, limits=limits) for _ in range(2))
        steps = [one.step((), 3), other.step((), 3), one.step((), 3), other.step((), 3)]
        assert [len(step.work) for step in steps] == [3, 2, 0, 0]
        # The true waits: how often a pause is looked for is another matter.
        waits = [step.wait for step in steps]
        assert (waits[0], min(waits[1:]) > 30.0, max(waits) <= 60.5) == (0.0, True, True)

    def test_least_seconds_counts_bookings_with_the_margin(self, ledger):
        batch = fill(ledger, 20)
        limits = RateLimits(per_minute=5, per_hour=None, per_day=None)
        assert len(worker(ledger, batch, "a", limits=limits).step((), 4).work) == 4
        with ledger.database.reading() as connection:
            used, fresh = (read_used(connection, name, limits) for name in ("a", "b"))
        assert used.windows == fresh.windows == (Window(5, 60.0 + MARGIN_SECONDS),)
        assert [sum(count for _, count in each.ages[0]) for each in (used, fresh)] == [4, 0]
        assert all(0.0 <= age < 30.0 for age, _ in used.ages[0])
        assert ledger.least_seconds(6, ["a", "b"], {"a": limits, "b": limits}) == 0.0
        assert ledger.least_seconds(2, ["a"], {"a": limits}) > 30.0
        assert least_seconds(1, [used]) == 0.0
        assert 30.0 < least_seconds(2, [used]) <= 60.0 + MARGIN_SECONDS

    def test_a_window_ends_a_margin_later(self, ledger):
        batch = fill(ledger, 20)
        limits = RateLimits(per_minute=5, per_hour=None, per_day=None)
        for seconds, taken in ((60.0, 0), (60.0 + MARGIN_SECONDS + 0.1, 5)):
            with ledger.database.transaction() as connection:
                now = ledger.database.now(connection)
                usage = Usage(None, now - seconds)
                usage.book(5)
                rows = {"name": "smtp1", "used": usage.to_json()}
                connection.execute(delete(schema.smtp_users))
                connection.execute(insert(schema.smtp_users).values(rows))
            assert len(worker(ledger, batch, limits=limits).step((), 9).work) == taken

    def test_rows_go_to_the_smtp_users_that_are_free(self, ledger):
        batch = fill(ledger, 20)
        it = worker(
            ledger, batch, "a", "b", limits=RateLimits(per_minute=3, per_hour=None, per_day=None)
        )
        names = [work.smtp_user_name for work in it.step((), 4).work]
        assert sorted(names) == ["a", "a", "b", "b"]
        assert len(it.step((), 10).work) == 2

    def test_a_failed_transaction_books_nothing(self, ledger, tmp_path):
        batch = fill(ledger, 20)
        it = worker(ledger, batch, limits=RateLimits(per_minute=5, per_hour=None, per_day=None))
        step = it.step((), 2)
        with pytest.raises(AssertionError):
            it.step(finish(step, Verdict(state=State.SENDING)), 2)
        assert len(it.step((), 10).work) == 3

    def test_a_429_holds_up_every_worker_of_the_smtp_user(self, ledger):
        batch = fill(ledger, 20)
        one, other = (worker(ledger, batch, "a", "b") for _ in range(2))
        step = one.step((), 2)
        outcomes = [
            _refused(30.0) if work.smtp_user_name == "a" else ACCEPTED for work in step.work
        ]
        step = one.step(
            [
                Finished(work=work, verdict=each)
                for work, each in zip(step.work, outcomes, strict=True)
            ],
            4,
        )
        assert {work.smtp_user_name for work in step.work} == {"b"}
        assert {work.smtp_user_name for work in other.step((), 4).work} == {"b"}
        # The mail itself has lost nothing.
        assert {
            record.attempts
            for record in ledger.report(batch)
            if record.state in ("planned", "sending")
        } == {0}

    def test_the_longest_retry_after_counts(self, ledger):
        batch = fill(ledger, 4)
        it = worker(ledger, batch)
        first, second, third = it.step((), 3).work
        for work, verdict in ((first, _refused(0.0)), (second, _refused(30.0)), (third, ACCEPTED)):
            # The last one was on its way when the others were refused: it ends no wait.
            assert it.step([Finished(work=work, verdict=verdict)], 1).work == ()
        with ledger.database.reading() as connection:
            found = connection.execute(
                text("SELECT refused_until, refusals FROM poweremail_smtp_users")
            ).one()
            assert 25.0 < found.refused_until - ledger.database.now(connection) <= 30.0
            assert found.refusals == 1

    def test_each_refusal_in_a_row_doubles_the_wait_up_to_a_minute(self, ledger):
        batch = fill(ledger, 1)
        for expected in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0):
            it = worker(ledger, batch)
            step = it.step((), 1)
            with ledger.database.reading() as connection:
                before = ledger.database.now(connection)
            it.step(finish(step, _refused(0.0)), 0)
            with ledger.database.transaction() as connection:
                after = ledger.database.now(connection)
                until = connection.scalar(text("SELECT refused_until FROM poweremail_smtp_users"))
                assert before + expected <= until <= after + expected
                connection.execute(text("UPDATE poweremail_smtp_users SET refused_until = 0"))

    def test_an_accepted_mail_resets_the_backoff(self, ledger):
        batch = fill(ledger, 4)
        it = worker(ledger, batch)
        assert it.step(finish(it.step((), 1), _refused(0.0)), 1).wait == pytest.approx(1.0, abs=0.5)
        with ledger.database.transaction() as connection:
            connection.execute(text("UPDATE poweremail_smtp_users SET refused_until = 0"))
        time.sleep(1.1)  # a refusal is not looked for again before it is over
        it.step(finish(it.step((), 1)), 0)
        with ledger.database.reading() as connection:
            assert (
                connection.execute(text("SELECT refusals FROM poweremail_smtp_users")).scalar() == 0
            )


class TestRehearsal:
    def test_a_rehearsal_stays_a_rehearsal(self, ledger):
        batch = fill(ledger, 2)
        assert ledger.rehearse(batch, None) is None
        assert ledger.rehearse(batch, {"redirect_to": "me@example.com", "allow": []})
        assert ledger.rehearse(batch, None) == {"redirect_to": "me@example.com", "allow": []}
        with pytest.raises(UsageError, match="is another rehearsal already"):
            ledger.rehearse(batch, {"redirect_to": "you@example.com", "allow": []})

    def test_a_batch_with_a_released_row_has_begun(self, ledger):
        batch = fill(ledger, 1)
        it = worker(ledger, batch)
        it.step(finish(it.step((), 1), RELEASED), 0)
        assert states(ledger, batch) == {"k0": "planned"}
        with pytest.raises(UsageError, match="were sent already"):
            ledger.rehearse(batch, {"redirect_to": "me@example.com", "allow": []})

    def test_a_batch_that_has_begun_cannot_become_a_rehearsal(self, ledger):
        batch = fill(ledger, 2)
        worker(ledger, batch).step((), 1)
        with pytest.raises(UsageError, match="mails of it were sent already"):
            ledger.rehearse(batch, {"redirect_to": "me@example.com", "allow": []})


class TestSchema:
    def test_a_newer_ledger_is_rejected(self, ledger, place):
        ledger.create("news")
        with ledger.database.transaction() as connection:
            connection.execute(text("UPDATE poweremail_ledger SET version = 99"))
        with pytest.raises(LedgerError, match=r"version 99.*upgrade poweremail"):
            Ledger(place).create("news")

    def test_every_state_is_in_the_table(self):
        from poweremail._ledger import TRANSITIONS

        assert set(TRANSITIONS) == set(State)

    def test_unknown_names_of_batches(self, ledger):
        with pytest.raises(UsageError, match="no batch called 'nope'"):
            ledger.find("nope")
        with pytest.raises(UsageError, match="must be a name"):
            ledger.create(" ")


class ReadOnlyFolder:
    """A new folder, *path*, that this process may not write inside the block."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._user = os.geteuid()

    def __enter__(self) -> None:
        self.path.chmod(0o555)
        if not self._user:  # the rights of a file do not bind root
            os.seteuid(65534)

    def __exit__(self, *_: object) -> None:
        os.seteuid(self._user)
        self.path.chmod(0o700)


@pytest.fixture
def read_only_folder():
    # Not `tmp_path`: its parents are closed to other users.
    with tempfile.TemporaryDirectory() as path:
        yield ReadOnlyFolder(Path(path))


class TestFiles:
    """What can go wrong with a file."""

    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "ledger.db"

    def test_a_file_that_is_no_ledger_is_rejected(self, path):
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE t (a)")
        other.close()
        with pytest.raises(LedgerError, match="something else"):
            Ledger(path).create("news")
        path.write_bytes(b"no database" * 100)
        with pytest.raises(LedgerError, match="not a database"):
            Ledger(path).create("news")

    def test_a_locked_ledger_raises_before_a_row_is_claimed(self, path):
        ledger = Ledger(path, timeout=0.1)
        batch = fill(ledger, 2)
        it = worker(ledger, batch)
        with sqlite3.connect(path, isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(LedgerError, match="locked"):
                it.step((), 1)
            assert ledger.status(batch).counts["planned"] == 2
            other.execute("ROLLBACK")
        other.close()
        assert len(it.step((), 1).work) == 1
        ledger.close()

    def test_a_full_disk_stops_before_a_send(self, path, monkeypatch):
        ledger = Ledger(path)
        batch = fill(ledger, 2)
        it = worker(ledger, batch)
        usage = type("usage", (), {"free": 1000})
        with monkeypatch.context() as patched:
            patched.setattr("shutil.disk_usage", lambda _: usage)
            with pytest.raises(LedgerError, match="is full: 1000 bytes are free"):
                it.step((), 1)
        assert states(ledger, batch) == {"k0": "planned", "k1": "planned"}
        ledger.close()

    def test_disk_space_is_reserved_for_outcomes(self, path):
        ledger = Ledger(path)
        ledger.database.files.reserve(16)
        reserve = path.with_name("ledger.db-reserve")
        assert reserve.stat().st_size == (1024 + 16 * 32) * 1024
        ledger.database.files.release()
        ledger.database.files.release()
        assert not reserve.exists()

    def test_a_failure_on_a_full_disk_names_the_disk(self, path, monkeypatch):
        ledger = Ledger(path)
        ledger.create("news")
        with ledger.database.transaction() as connection:
            connection.execute(text("DROP TABLE poweremail_batches"))
        monkeypatch.setattr("shutil.disk_usage", lambda _: type("usage", (), {"free": 5}))
        with pytest.raises(
            LedgerError, match=r"the disk is full, 5 bytes are free \(no such table"
        ):
            ledger.names()
        ledger.close()

    def test_a_database_that_cannot_grow(self, path):
        ledger = Ledger(path)
        batch = fill(ledger, 2)
        with ledger.database.reading() as connection:
            pages = connection.execute(text("PRAGMA page_count")).scalar()
            connection.execute(text(f"PRAGMA max_page_count = {pages}"))
        adding = ledger.adding(batch)
        with pytest.raises(LedgerError, match="full"):
            adding.add(entries(500, first=2))
        assert ledger.status(batch).total == 2
        ledger.close()
        assert add(ledger, batch, *entries(500, first=2)).added == 500
        ledger.close()

    @pytest.mark.parametrize(
        ("name", "how"),
        [
            *product(
                ["ledger.db", "ledger.db-wal", "ledger.db-shm"], ["deleted", "replaced", "moved"]
            ),
            ("ledger.db", "emptied"),
        ],
    )
    def test_a_deleted_file_stops_before_a_send(self, path, how, name):
        ledger = Ledger(path)
        batch = fill(ledger, 3)
        it = worker(ledger, batch)
        step = it.step((), 1)
        file = path.with_name(name)
        if how == "deleted":
            file.unlink()
        elif how == "replaced":
            copy = shutil.copy(file, path.with_name("copy"))
            copy.rename(file)
        elif how == "emptied":
            file.write_bytes(b"")
        else:
            file.rename(path.with_name("other"))
        with pytest.raises(LedgerError, match=f"{name}' was deleted or replaced"):
            it.step(finish(step), 1)
        if how == "moved":  # and back: nothing of the step is lost
            path.with_name("other").rename(file)
            assert len(it.step(finish(step), 1).recorded) == 1
        ledger.close()

    def test_a_relative_path_needs_a_working_directory(self, tmp_path, monkeypatch):
        source = tmp_path / "readers.csv"
        source.write_text("email\nada@example.com\n")
        folder = tmp_path / "folder"
        folder.mkdir()
        monkeypatch.chdir(folder)
        folder.rmdir()
        for place in ("ledger.db", "sqlite:///ledger.db"):
            with pytest.raises(ConfigurationError, match="ledger: .* directory was deleted"):
                Ledger(place)
        fields = {"subject": "s", "from_email": "me@example.com", "text": "t"}
        with pytest.raises(ConfigurationError, match="path: .* directory was deleted"):
            list(read_csv("../readers.csv", **fields))
        assert len(list(read_csv(source, **fields))) == 1
        Ledger(tmp_path / "ledger.db").close()

    def test_a_file_that_cannot_be_reached_is_not_called_deleted(self, tmp_path):
        folder = tmp_path / "folder"
        folder.mkdir()
        ledger = Ledger(folder / "ledger.db")
        it = worker(ledger, fill(ledger, 3))
        step = it.step((), 1)
        folder.rename(tmp_path / "other")
        folder.symlink_to(folder)
        with pytest.raises(LedgerError, match="cannot be reached: Too many levels") as caught:
            it.step(finish(step), 1)
        assert "deleted" not in str(caught.value)
        assert "put it back" not in str(caught.value)
        folder.unlink()
        (tmp_path / "other").rename(folder)
        assert len(it.step(finish(step), 1).recorded) == 1
        ledger.close()

    @pytest.mark.parametrize("is_running", [False, True])
    def test_a_read_only_ledger_can_be_read(self, read_only_folder, is_running):
        place = read_only_folder.path / "a ? # %20 ledger.db"
        writer = Ledger(place)
        batch = fill(writer, 3)
        if not is_running:
            writer.close()
        with read_only_folder:
            ledger = Ledger(place)
            assert ledger.names() == ["news"]
            assert ledger.status(ledger.find("news")).total == 3
            assert [record.key for record in ledger.report(batch)] == ["k0", "k1", "k2"]
            assert len(ledger.planned(batch, 0)) == 3
            wanted = {"redirect_to": "me@example.com", "allow": []}
            assert ledger.rehearse(batch, wanted, keep=False) == wanted
            for change in (
                lambda: ledger.pause(batch, "why"),
                lambda: ledger.rehearse(batch, wanted),
                lambda: worker(ledger, batch),
                lambda: ledger.create("other"),
            ):
                with pytest.raises(LedgerError, match="readonly"):
                    change()
            ledger.close()
        writer.close()
        assert sorted(file.name for file in read_only_folder.path.iterdir()) == [place.name]

    def test_changes_in_an_unreadable_log_are_not_ignored(self, read_only_folder, tmp_path):
        writer = Ledger(tmp_path / "ledger.db")
        fill(writer, 3)
        for name in ("ledger.db", "ledger.db-wal"):  # as a copy on another disk
            shutil.copy(tmp_path / name, read_only_folder.path)
        writer.close()
        with read_only_folder, pytest.raises(LedgerError, match=r"'ledger.db-wal' has changes"):
            Ledger(read_only_folder.path / "ledger.db").names()

    def test_an_empty_log_beside_a_read_only_ledger_is_ignored(self, read_only_folder):
        place = read_only_folder.path / "ledger.db"
        writer = Ledger(place)
        fill(writer, 3)
        writer.close()
        place.with_name("ledger.db-wal").touch()
        with read_only_folder:
            ledger = Ledger(place)
            assert ledger.names() == ["news"]
            ledger.close()

    def test_no_ledger_is_created_in_a_read_only_folder(self, read_only_folder):
        with read_only_folder, pytest.raises(LedgerError, match="unable to open"):
            Ledger(read_only_folder.path / "ledger.db").names()

    def test_a_closed_ledger_opens_the_file_that_is_there_then(self, path):
        ledger = Ledger(path)
        fill(ledger, 3)
        ledger.close()
        path.unlink()
        assert ledger.names() == []  # it is made anew
        assert len(worker(ledger, fill(ledger, 2)).step((), 5).work) == 2
        ledger.close()

    def test_a_missing_folder_is_an_error(self, tmp_path):
        with pytest.raises(LedgerError, match="unable to open"):
            Ledger(tmp_path / "nowhere" / "ledger.db").create("news")

    def test_a_fork_opens_the_ledger_again(self, path):
        ledger = Ledger(path)
        batch = fill(ledger, 2)
        child = os.fork()
        if not child:  # pragma: no cover  the child
            os._exit(0 if ledger.status(batch).total == 2 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        ledger.close()


def test_a_locked_ledger_can_be_read(tmp_path):
    place = tmp_path / "ledger.db"
    first = Ledger(place)
    batch = fill(first, 3)
    first.close()
    writer = sqlite3.connect(place, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        other = Ledger(place, timeout=0.0)
        assert (other.find("news"), other.status(batch).total, len(list(other.report(batch)))) == (
            batch,
            3,
            3,
        )
        with pytest.raises(LedgerError, match="locked"):
            other.pause(batch, "why")
        other.close()
    finally:
        writer.close()


@pytest.mark.parametrize(
    "place", ["mysql://x/y", "sqlite://", "sqlite:///:memory:", "http://x", "", 3, "a://b://c"]
)
def test_invalid_places(place):
    with pytest.raises(UsageError, match="ledger: "):
        Ledger(place)


def test_the_password_of_a_place_is_in_no_text(tmp_path):
    ledger = Ledger("postgresql://ada:canary@127.0.0.1:1/x")
    assert "canary" not in repr(ledger)
    with pytest.raises(LedgerError) as caught:
        ledger.create("news")
    assert "canary" not in str(caught.value)
    assert "Connection refused" in str(caught.value) or "connection failed" in str(caught.value)
    assert Ledger(f"sqlite:///{tmp_path}/x.db").database.path == tmp_path / "x.db"


def test_the_defaults_of_a_server_do_not_matter(postgresql):
    ledger = Ledger(f"{postgresql}%20-cdefault_transaction_isolation%3Dserializable")
    with ledger.database.transaction() as connection:
        assert connection.execute(text("SHOW transaction_isolation")).scalar() == "read committed"
    with ledger.database.reading() as connection:
        assert connection.execute(text("SHOW transaction_isolation")).scalar() == "repeatable read"
    with ledger.database.transaction() as connection:
        assert connection.execute(text("SHOW transaction_isolation")).scalar() == "read committed"
    ledger.close()


def test_the_old_name_of_the_timeout_warns(tmp_path):
    with pytest.warns(DeprecationWarning, match="timeout="):
        ledger = Ledger(tmp_path / "ledger.db", patience=0.1)
    with sqlite3.connect(tmp_path / "ledger.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(LedgerError, match="locked"):
            ledger.create("news")
        assert time.monotonic() - began < 5.0
        other.execute("ROLLBACK")
    other.close()
    ledger.close()
