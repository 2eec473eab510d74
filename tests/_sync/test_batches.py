# Generated from tests/_async/test_batches.py; do not edit.
"""Durable batches: what is sent, what is told, and what happens when things go wrong."""

from __future__ import annotations

import sqlite3
from collections import Counter
from functools import partial

import pytest

from poweremail import (
    PowerEmail,
    Attachment,
    ConfigurationError,
    RateLimits,
    Response,
    RetryPolicy,
    UsageError,
)
from poweremail._ledger.values import Finished
from poweremail._ledger.verdicts import RELEASED
from poweremail.batch import Batch, BadEntry, Entry, Ledger, LedgerError, read_csv
from poweremail.sandbox import Fault, Sandbox
from support.ledgers import finish, let_leases_end
from support.messages import message, template

FAST = {
    "retry": RetryPolicy(attempts=3, first_wait=0.01, max_wait=0.02, max_total=None),
    "visibility": 0.1,
}


@pytest.fixture
def sandbox():
    with Sandbox() as sandbox:
        sandbox.add_template("t1", text="Dear {{NAME}}")
        yield sandbox


@pytest.fixture
def place(tmp_path):
    return tmp_path / "ledger.db"


def many(count: int, first: int = 0) -> list[Entry]:
    return [
        Entry(message=message(to=f"user{n}@example.com"), key=f"k{n}")
        for n in range(first, first + count)
    ]


def received(sandbox) -> Counter[str]:
    return Counter(recipient.email for mail in sandbox.outbox for recipient in mail.recipients)


def run(batch: Batch) -> dict[str, str]:
    with batch.run() as outcomes:
        return {outcome.key: outcome.state for outcome in outcomes}


def test_each_mail_is_sent_once_and_reported_once(sandbox, place):
    with sandbox.client() as client, Batch(client, place, "news", **FAST) as batch:
        added = batch.add(
            [*many(30), Entry(message=template(), key="template"), message(to="plain@example.com")]
        )
        assert added.added == 32
        outcomes = []
        with batch.run() as running:
            for outcome in running:
                # What is told is on the disk.
                assert batch.status().counts["accepted"] >= len(outcomes) + 1
                outcomes.append(outcome)
        assert len({outcome.key for outcome in outcomes}) == 32
        assert {outcome.state for outcome in outcomes} == {"accepted"}
        assert outcomes[0].result.unique_id == outcomes[0].unique_id
        assert set(received(sandbox).values()) == {1}
        assert batch.status().all_accepted
        # Again is nothing more, be it added or run.
        assert batch.add(many(30)).known == 30
        assert run(batch) == {}
        assert len(sandbox.outbox) == 32
        assert "ledger.db" in repr(batch)


def test_any_iterable_can_be_added(sandbox, place):
    class Source:
        def __init__(self) -> None:
            self.items = iter(many(3))

        def __iter__(self):
            return self

        def __next__(self):
            for item in self.items:
                return item
            raise StopIteration

    with Batch(None, place, "news") as batch:
        assert batch.check(Source()).added == 3
        assert batch.add(Source()).added == 3
        with pytest.raises(UsageError, match="must be a Message"):
            batch.add([message(), "no message"])
        # What came before the mistake is kept.
        assert batch.status().total == 4
        for wrong in ("text", 3):
            with pytest.raises(UsageError, match="must be an iterable"):
                batch.add(wrong)


def test_a_long_source_is_written_in_groups(place):
    written = []

    class Source:
        def __init__(self) -> None:
            self.items = iter(many(1001))

        def __iter__(self):
            return self

        def __next__(self):
            for item in self.items:
                if item.key in ("k499", "k500", "k1000"):
                    written.append(batch.status().total)
                return item
            raise StopIteration

    with Batch(None, place, "news") as batch:
        assert batch.add(Source()).added == 1001
    assert written == [0, 500, 1000]


def test_a_rejected_mail_does_not_stop_the_others(sandbox, place):
    sandbox.faults.add(
        Fault.error("ValidationError", "no such address"), recipient="user3@example.com"
    )
    with sandbox.client() as client, Batch(client, place, "news", **FAST) as batch:
        batch.add([*many(8), BadEntry(error=UsageError("no @"), line=9)])
        states = run(batch)
        assert Counter(states.values()) == {"accepted": 7, "rejected": 1}
        status = batch.status()
        assert (status.finished, status.all_accepted, status.errors) == (
            True,
            False,
            {"ValidationError": 1, "UsageError": 1},
        )
        records = [record for record in batch.report(["rejected"])]
        assert [(record.key, record.error) for record in records] == [
            ("k3", "ValidationError: no such address")
        ]
        assert len([record for record in batch.report()]) == 9
        with pytest.raises(UsageError, match="must be one of"):
            batch.report(["nonsense"])
        sandbox.faults.clear()
        assert batch.retry(rejected=True) == 1
        assert run(batch) == {"k3": "accepted"}


def test_not_sent_mails_are_retried_up_to_the_attempts(sandbox, place):
    sandbox.faults.add(Fault.refuse(), call="sendMail", times=2)
    with (
        sandbox.client() as client,
        Batch(client, place, "news", concurrency=1, **FAST) as batch,
    ):
        batch.add(many(1))
        with batch.run() as outcomes:
            (outcome,) = [outcome for outcome in outcomes]
        assert (outcome.state, outcome.attempts) == ("accepted", 3)
        sandbox.faults.add(Fault.refuse(), call="sendMail", times=3)
        batch.add(many(1, first=1))
        assert run(batch) == {"k1": "not_sent"}
        assert batch.retry() == 1
        assert run(batch) == {"k1": "accepted"}


def test_a_429_is_waited_for(sandbox, place):
    sandbox.faults.add(Fault.rate_limited(retry_after=0.1), call="sendMail", nth=2)
    with sandbox.client() as client, Batch(client, place, "news", **FAST) as batch:
        batch.add(many(4))
        assert set(run(batch).values()) == {"accepted"}
        assert {record.attempts for record in batch.report()} == {1}


def test_an_unknown_mail_is_looked_up_and_not_sent_again(sandbox, place):
    sandbox.faults.add(Fault.reset_after_acceptance(), call="sendMail", nth=1)
    sandbox.faults.add(Fault.reset_before_acceptance(), call="sendMail", nth=2)
    with (
        sandbox.client() as client,
        Batch(client, place, "news", concurrency=1, **FAST) as batch,
    ):
        batch.add(many(3))
        with batch.run() as running:
            outcomes = {outcome.key: outcome for outcome in running}
        assert {key: outcome.state for key, outcome in outcomes.items()} == {
            "k0": "accepted",
            "k1": "unknown",
            "k2": "accepted",
        }
        assert outcomes["k0"].result.reconciled
        assert "did not show it" in str(outcomes["k1"].error)
        assert received(sandbox) == {"user0@example.com": 1, "user2@example.com": 1}
        assert batch.status().finished
        # The next run looks once more, and leaves it.
        assert run(batch) == {"k1": "unknown"}
        assert batch.retry() == 0
        assert batch.retry(not_sent=False, unknown=True) == 1
        assert run(batch) == {"k1": "accepted"}
        assert set(received(sandbox).values()) == {1}


def test_an_unknown_mail_is_sent_again_after_resend_after(sandbox, place):
    sandbox.faults.add(Fault.reset_before_acceptance(), call="sendMail", nth=1)
    with sandbox.client() as client:
        batch = Batch(client, place, "news", concurrency=1, resend_after=0.3, retry=FAST["retry"])
        batch.add(many(2))
        assert run(batch) == {"k0": "accepted", "k1": "accepted"}
        assert set(received(sandbox).values()) == {1}
        batch.close()


def test_a_mail_that_is_listed_late_is_not_sent_again(sandbox, place):
    sandbox.faults.add(Fault.late_visibility(0.4), call="sendMail")
    sandbox.faults.add(Fault.reset_after_acceptance(), call="sendMail", times=2)
    with (
        sandbox.client() as client,
        Batch(client, place, "news", resend_after=5.0) as batch,
    ):
        batch.add(many(3))
        assert set(run(batch).values()) == {"accepted"}
        assert set(received(sandbox).values()) == {1}


@pytest.mark.parametrize("taken", [True, False])
def test_rows_of_a_dead_worker_are_looked_up_first(sandbox, place, taken):
    ledger = Ledger(place)
    with sandbox.client() as client:
        batch = Batch(client, ledger, "news", concurrency=2, **FAST)
        batch.add(many(4))
        dead = ledger.worker(ledger.find("news"), ["smtp12345"], {}, lease=60.0)
        (work,) = dead.step((), 1).work
        if taken:
            client.messages.send_mail(message(to="user0@example.com", unique_id=work.unique_id))
        let_leases_end(ledger, dead.owner)
        assert run(batch) == {
            f"k{n}": "unknown" if not n and not taken else "accepted" for n in range(4)
        }
        assert received(sandbox) == {f"user{n}@example.com": 1 for n in range(4) if n or taken}
        # And it cannot write over that.
        assert dead.step(finish(type("step", (), {"work": (work,)})), 0).recorded == ()
        batch.close()
    ledger.close()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.error("AuthenticationError", "Token MissMatch"), "refuses the account"),
        (
            Fault.error("ValidationError", "The smtp user is disabled"),
            "refuses the SMTP user smtp12345",
        ),
    ],
)
def test_an_error_of_the_account_or_smtp_user_pauses_the_batch(sandbox, place, fault, reason):
    sandbox.faults.add(fault, call="sendMail")
    with sandbox.client() as client, Batch(client, place, "news", **FAST) as batch:
        batch.add(many(50))
        with batch.run() as outcomes:
            assert [outcome for outcome in outcomes] == []
            assert reason in outcomes.paused
        status = batch.status()
        assert (status.counts["planned"], reason in status.paused) == (50, True)
        sandbox.faults.clear()
        # It stays paused until somebody says otherwise.
        assert run(batch) == {}
        batch.resume()
        assert len(run(batch)) == 50


def test_too_many_failures_in_a_row_pause_the_batch(sandbox, place):
    sandbox.faults.add(Fault.error("ValidationError", "no"), call="sendMail")
    with (
        sandbox.client() as client,
        Batch(client, place, "news", concurrency=1, errors_in_a_row=3, **FAST) as batch,
    ):
        batch.add(many(20))
        with batch.run() as outcomes:
            assert len([outcome for outcome in outcomes]) == 3
            assert "3 failures in a row" in outcomes.paused
        assert batch.status().counts["planned"] == 17


@pytest.mark.parametrize(
    ("course", "settled", "is_paused"),
    [
        ("ffaffaffa", 9, False),
        ("faaffaff", 8, False),
        ("ffafff", 6, True),
        ("affaffffa", 7, True),
        ("fffa", 3, True),
        # A mail whose outcome is unknown has failed. One that must wait has neither failed nor not.
        ("ffl", 2, True),
        ("ffwfa", 3, True),
    ],
)
def test_failures_in_a_row_are_counted_from_the_last_success(
    sandbox, place, course, settled, is_paused
):
    """f fails, a is accepted, the response of l is lost, w must wait for another SMTP user."""
    faults = {
        "f": Fault.error("ValidationError", "no"),
        "l": Fault.reset_after_acceptance(),
        "w": Fault.rate_limited(retry_after=3600),
    }
    for number, letter in enumerate(course):
        if letter in faults:
            sandbox.faults.add(
                faults[letter], call="sendMail", recipient=f"user{number}@example.com"
            )
    options = FAST | {"errors_in_a_row": 3, "concurrency": 1, "smtp_users": ["a", "b"]}
    with (
        sandbox.client() as client,
        Batch(client, place, "news", **options) as batch,
    ):
        batch.add(many(len(course)))
        with batch.run() as outcomes:
            assert len([outcome for outcome in outcomes]) == settled
            assert (outcomes.paused is not None) == is_paused


def test_an_outcome_that_a_look_up_settled_is_as_complete_as_any(sandbox, place):
    sandbox.faults.add(
        Fault.reset_after_acceptance(), call="sendMail", recipient="lost@example.com"
    )
    sandbox.faults.add(
        Fault.reset_before_acceptance(), call="sendMail", recipient="never@example.com"
    )
    ledger = Ledger(place)
    with sandbox.client() as client:
        batch = Batch(client, ledger, "news", smtp_users=["a"], **FAST)
        for line, name in enumerate(("response", "lost", "never", "dead"), start=2):
            mail = message(to=f"{name}@example.com", bcc="office@example.com")
            batch.add([Entry(message=mail, key=name, source="a.csv", line=line)])
        dead = ledger.worker(ledger.find("news"), ["b"], {}, lease=60.0)
        (work,) = [work for work in dead.step((), 4).work if work.key == "dead"]
        dead.step(
            [Finished(work=each, verdict=RELEASED) for each in dead.retire() if each != work], 0
        )
        mail = message(to="dead@example.com", bcc="office@example.com", unique_id=work.unique_id)
        client.messages.send_mail(mail, smtp_user_name="b")
        let_leases_end(ledger, dead.owner)
        with batch.run() as running:
            outcomes = {outcome.key: outcome for outcome in running}
        records = {record.key: record for record in batch.report()}
    ledger.close()
    for line, (key, state, user, attempts) in enumerate(
        (
            ("response", "accepted", "a", 1),
            ("lost", "accepted", "a", 1),
            ("never", "unknown", "a", 1),
            # The attempt of a worker that is gone is not known.
            ("dead", "accepted", "b", 0),
        ),
        start=2,
    ):
        outcome, record = outcomes[key], records[key]
        recipients = (f"{key}@example.com", "office@example.com")
        expected = (state, user, attempts, recipients, "a.csv", line, record.unique_id)
        for found in (outcome, record):
            assert expected == (
                found.state,
                found.smtp_user_name,
                found.attempts,
                found.recipients,
                found.source,
                found.line,
                found.unique_id,
            )
        assert (outcome.result is None, outcome.error is None) == (
            (False, True) if state == "accepted" else (True, False)
        )
        if outcome.result is not None:
            assert outcome.result.unique_id == record.unique_id
            assert outcome.result.recipients == recipients
            assert outcome.result.reconciled == (key != "response")
            assert (record.error_kind, record.error) == (None, None)


def test_a_run_that_waits_asks_the_ledger_seldom(sandbox, place, caplog):
    sandbox.faults.add(Fault.refuse(), call="sendMail", nth=1)
    options = {"retry": RetryPolicy(first_wait=1.0, max_total=None), "lease": 60.0}
    caplog.set_level("DEBUG", "poweremail.batch")
    with (
        sandbox.client() as client,
        Batch(client, place, "news", **options) as batch,
    ):
        batch.add(many(1))
        assert run(batch) == {"k0": "accepted"}
    # It takes the mail, records the failure, takes it again half a second later, and records that;
    # the rest is for a machine on which all of this takes seconds.
    assert 4 <= [record.message for record in caplog.records].count("step") <= 12


def test_a_batch_goes_on_after_pause_stop_and_leaving_early(sandbox, place):
    with (
        sandbox.client() as client,
        Batch(client, place, "news", concurrency=2, **FAST) as batch,
    ):
        batch.add(many(40))
        with batch.run() as outcomes:
            next(outcomes)
            batch.pause("for a while")
            rest = [outcome for outcome in outcomes]
            assert (len(rest) < 10, outcomes.paused) == (True, "for a while")
        batch.resume()
        with batch.run() as outcomes:
            next(outcomes)
            outcomes.stop()
            assert len([outcome for outcome in outcomes]) < 10
            assert outcomes.paused is None
        with batch.run() as outcomes:
            next(outcomes)
        status = batch.status()
        assert status.counts["sending"] == 0
        assert status.counts["accepted"] == len(sandbox.outbox) < 40
        run(batch)
        assert received(sandbox) == {f"user{n}@example.com": 1 for n in range(40)}


def test_several_smtp_users_each_with_its_limits(sandbox, place):
    limits = RateLimits(per_minute=5, per_hour=None, per_day=None)
    with sandbox.client() as client:
        batch = Batch(client, place, "news", smtp_users=["a", "b"], limits={"a": limits}, **FAST)
        batch.add(many(30))
        run(batch)
        used = Counter(mail.smtp_user_name for mail in sandbox.outbox)
        assert used["a"] <= 5
        assert used["a"] + used["b"] == 30
        batch.close()


def test_least_seconds_counts_requests_of_other_batches(sandbox, place):
    limits = RateLimits(per_minute=5, per_hour=None, per_day=None)
    with sandbox.client() as client:
        first = Batch(client, place, "first", limits=limits, **FAST)
        first.add(many(4))
        assert (
            first.least_seconds(5),
            Batch(client, place, "first", **FAST).least_seconds(999),
        ) == (0.0, 0.0)
        run(first)
        second = Batch(client, place, "second", limits=limits, **FAST)
        assert second.least_seconds(1) == 0.0
        assert 30.0 < second.least_seconds(2) <= 61.0
        first.close()
        second.close()
    with pytest.raises(UsageError, match="client"):
        Batch(None, place, "second", limits=limits).least_seconds(1)


def test_a_rehearsal_redirects_recipients_that_are_not_allowed(sandbox, place):
    with (
        sandbox.client() as client,
        Batch(
            client,
            place,
            "rehearsal",
            redirect_to="Me <me@example.com>",
            allow=["*@ok.example"],
            **FAST,
        ) as batch,
    ):
        batch.add(
            [
                message(to=["ada@example.com", "b@example.com"], bcc="c@example.com"),
                message(to="Ada@OK.example"),
            ]
        )
        run(batch)
        assert received(sandbox) == {"me@example.com": 1, "Ada@OK.example": 1}
        assert {mail.recipients[0].name for mail in sandbox.outbox} == {
            "for ada@example.com and 2 more",
            None,
        }
        # Whoever runs it without a word about it rehearses, too.
        batch.add([message(to="eve@example.com")])
        with Batch(client, place, "rehearsal", **FAST) as again:
            run(again)
        assert received(sandbox)["me@example.com"] == 2
    with (
        sandbox.client() as client,
        Batch(client, place, "few", allow="ada@example.com", **FAST) as batch,
    ):
        batch.add([message(to="eve@example.com", subject="No"), message(subject="Yes")])
        found = [(where, error) for where, error in batch.dry_run()]
        assert [error is None for _, error in found] == [False, True]
        assert Counter(run(batch).values()) == {"accepted": 1, "not_sent": 1}
        assert "Yes" in {mail.subject for mail in sandbox.outbox}
        assert "No" not in {mail.subject for mail in sandbox.outbox}


def test_a_run_without_rows_follows_a_rehearsal_that_begins(sandbox, place):
    with (
        sandbox.client() as client,
        Batch(client, place, "news", **FAST) as batch,
        Batch(client, place, "news", redirect_to="me@example.com", **FAST) as other,
    ):
        batch.add(many(3))
        with batch.run() as outcomes:
            other.add([])
            assert len([outcome for outcome in outcomes]) == 3
        assert received(sandbox) == {"me@example.com": 3}


def test_a_dry_run_makes_no_rehearsal(sandbox, place):
    with sandbox.client() as client, Batch(client, place, "news", **FAST) as batch:
        batch.add(many(1))
        with Batch(None, place, "news", redirect_to="me@example.com") as trial:
            assert [error for _, error in trial.dry_run()] == [None]
        assert batch.status().rehearsal is None
        run(batch)
        assert received(sandbox) == {"user0@example.com": 1}


@pytest.mark.parametrize("readable", [True, False])
def test_rows_of_a_dead_worker_in_a_rehearsal(sandbox, place, readable):
    ledger = Ledger(place)
    with sandbox.client() as client:
        batch = Batch(client, ledger, "few", allow=["*@ok.example"] if readable else None, **FAST)
        batch.add(many(1))
        with batch.run():  # the batch is a rehearsal from now on
            pass
        dead = ledger.worker(ledger.find("few"), ["smtp12345"], {}, lease=60.0)
        batch.retry()
        (work,) = dead.step((), 1).work
        let_leases_end(ledger, dead.owner)
        if not readable:
            with sqlite3.connect(place) as connection:
                connection.execute("UPDATE poweremail_payloads SET payload = '{}'")
            connection.close()
        # Nobody may send it, so the dead one did not. One that cannot be read may have been sent by
        # whoever could.
        assert run(batch) == {work.key: "not_sent" if readable else "unknown"}
        assert received(sandbox) == {}
    ledger.close()


def test_a_ledger_that_fails_stops_before_a_send(sandbox, place, monkeypatch):
    with (
        sandbox.client() as client,
        Batch(client, place, "news", concurrency=2, **FAST) as batch,
    ):
        batch.add(many(30))
        with pytest.raises(LedgerError, match="is full"):
            with batch.run() as outcomes:
                next(outcomes)
                with monkeypatch.context() as patched:
                    patched.setattr("shutil.disk_usage", lambda _: type("usage", (), {"free": 0}))
                    for _ in outcomes:
                        pass
        status = batch.status()
        # What was under way is written down all the same.
        assert status.counts["sending"] == 0
        assert status.counts["accepted"] == len(sandbox.outbox) < 30
        run(batch)
        assert received(sandbox) == {f"user{n}@example.com": 1 for n in range(30)}


def test_a_ledger_that_stays_locked_leaves_the_mails_in_progress_unknown(sandbox, place):
    ledger = Ledger(place, timeout=0.05)
    with (
        sandbox.client() as client,
        Batch(client, ledger, "news", concurrency=2, lease=2.0, **FAST) as batch,
    ):
        batch.add(many(10))
        other = sqlite3.connect(place, isolation_level=None, check_same_thread=False)
        running = batch.run()
        with pytest.raises(LedgerError, match="locked"):
            with running:
                first = next(running)
                other.execute("BEGIN IMMEDIATE")
                for _ in running:
                    pass
        other.execute("ROLLBACK")
        other.close()
        counts = batch.status().counts
        sent = len(sandbox.outbox)
        assert first.state == "accepted"
        assert (counts["accepted"] + counts["sending"], counts["planned"]) == (sent, 10 - sent)
        let_leases_end(ledger)
        assert set(run(batch).values()) == {"accepted"}
        assert received(sandbox) == {f"user{n}@example.com": 1 for n in range(10)}
    ledger.close()


def test_a_row_that_another_worker_claimed_is_not_reported(sandbox, place):
    class Slow:
        def handle(self, request):
            if request.operation.sends:
                let_leases_end(ledger)
                assert len(thief.step((), 1).work) == 1
                running.stop()
            return Response(200, (), b'{"status": "success", "message": "", "message_data": []}')

        def close(self):
            pass

    ledger = Ledger(place)
    with PowerEmail("o", "t", "x.example", smtp_user_name="s", transport=Slow()) as client:
        batch = Batch(client, ledger, "news", concurrency=1, **FAST)
        batch.add(many(1))
        thief = ledger.worker(ledger.find("news"), ["s"], {}, lease=60.0)
        running = batch.run()
        with running:
            assert [outcome for outcome in running] == []
        assert thief.retire()
        assert batch.status().counts["unknown"] == 1
    ledger.close()


def test_an_item_that_cannot_be_stored_is_listed_with_its_recipients(sandbox, place, tmp_path):
    gone = tmp_path / "gone.pdf"
    gone.write_text("A")
    attached = message(to="c@example.com", attachments=[Attachment.from_path(gone)])
    gone.unlink()
    long = "\u00e9" * 1_001
    table = tmp_path / "list.csv"
    table.write_text(f"email,key\na@example.com,1\nb@example.com,{long}\nd@example.com,2\n")
    items = [
        Entry(message=message(to="a@example.com"), key="1"),
        Entry(message=message(to="b@example.com"), key=long),
        Entry(message=attached, key="3"),
        Entry(message=message(to="d@example.com"), key="2"),
    ]
    rows = read_csv(table, from_email="me@example.com", subject="Hi", text="Hello")
    for source, bad in ((items, 2), ((each for each in items), 2), (rows, 1)):
        with sandbox.client() as client:
            batch = Batch(client, place, f"news of {type(source).__name__} {bad}")
            added = batch.add(source)
            assert (added.added, added.invalid) == (2, bad)
            told = "key: has 2,002 bytes, and not every ledger can keep more than 2,000"
            assert added.errors[0][1] == told
            found = [record.recipients for record in batch.report(["invalid"])]
            assert found == [("b@example.com",), ("c@example.com",)][:bad]
            assert sorted(run(batch)) == ["1", "2"]


def test_a_batch_that_nobody_has_added_to(sandbox, place):
    with sandbox.client() as client:
        batch = Batch(client, place, "news")
        for call in (
            partial(run, batch),
            batch.work,
            partial(batch.start, 2),
            batch.workers,
            batch.drain,
            batch.undrain,
            lambda: next(batch.dry_run()),
            batch.pause,
            batch.resume,
            partial(batch.set_options, visibility=9.0),
            batch.retry,
            batch.status,
            batch.demand,
            lambda: next(batch.report()),
        ):
            with pytest.raises(ConfigurationError, match="no batch called 'news'"):
                call()
        assert batch.check(many(1)).added == 1
        assert batch.least_seconds(1) == 0.0
        batch.stop()
        assert batch.add(many(1)).added == 1


def test_invalid_options_and_calls(sandbox, place):
    with sandbox.client() as client:
        for wrong in (
            {"concurrency": 0},
            {"errors_in_a_row": True},
            {"lease": 0.1},
            {"retry": 3},
            {"visibility": -1.0},
            {"visibility": 5.0, "resend_after": 1.0},
            {"redirect_to": "nobody"},
            {"allow": ["everybody"]},
        ):
            with pytest.raises(UsageError):
                Batch(client, place, "news", **wrong)
        batch = Batch(client, place, "news")
        batch.add(many(1))
        running = batch.run()
        with pytest.raises(UsageError, match="the run is new"):
            next(running)
        with running:
            pass
        with pytest.raises(UsageError, match="the run is closed"):
            running.__enter__()
        for limits in ({"smtp12345": 3}, RateLimits(path="x")):
            with pytest.raises(UsageError, match="limits"):
                run(Batch(client, place, "news", limits=limits))
        with pytest.raises(UsageError, match="smtp_users"):
            Batch(client.with_options(smtp_user_name=None), place, "news").run()
        with pytest.raises(UsageError, match="client"):
            Batch(None, place, "news").run()
        batch.close()


def test_no_secret_is_in_the_ledger(sandbox, place):
    with (
        sandbox.client(token="canary-token") as client,
        Batch(client, place, "news", **FAST) as batch,
    ):
        batch.add(many(2))
        run(batch)
    assert not [file for file in place.parent.iterdir() if b"canary" in file.read_bytes()]
