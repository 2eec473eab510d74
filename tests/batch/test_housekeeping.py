"""What is purged from a ledger, and what it keeps."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, text, update

from poweremail import Attachment, ConfigurationError
from poweremail._ledger import State
from poweremail._ledger.schema import batches, contents, messages, payloads
from poweremail.batch import BadEntry, Entry, Ledger, Purged
from poweremail.errors import UsageError
from support.ledgers import Verdict, connection_lost, entries, fill, finish, states, worker
from support.messages import message

REJECTED = Verdict(state=State.REJECTED, attempted=True)
GIVEN_UP = Verdict(state=State.UNKNOWN, attempted=True)


def settle(ledger: Ledger, batch: int, *verdicts: Verdict) -> None:
    """Settle one message for each of *verdicts*."""
    it = worker(ledger, batch)
    for verdict in verdicts:
        it.step(finish(it.step((), 1), verdict), 0)


def count(ledger: Ledger, table) -> int:
    with ledger.database.reading() as connection:
        return connection.scalar(select(func.count()).select_from(table))


ACCEPTED = Verdict(state=State.ACCEPTED, attempted=True)


def test_settled_messages_of_finished_batches_are_deleted(ledger):
    batch = fill(ledger, 3)
    ledger.adding(batch).add([BadEntry(error=UsageError("no address"), line=4)])
    settle(ledger, batch, ACCEPTED, REJECTED, ACCEPTED)
    assert ledger.purge(older_than=3600.0) == Purged()
    assert ledger.purge(older_than=0.0) == Purged(messages=4, batches=1)
    assert ledger.names() == []
    assert (count(ledger, messages), count(ledger, payloads)) == (0, 0)
    fill(ledger, 3)
    assert count(ledger, messages) == 3  # all are new


def test_an_unfinished_batch_keeps_all(ledger):
    batch = fill(ledger, 3)
    settle(ledger, batch, ACCEPTED)
    other = fill(ledger, 1, "other")
    settle(ledger, other, ACCEPTED)
    assert ledger.purge(older_than=0.0) == Purged(messages=1, batches=1, kept_unfinished=1)
    assert ledger.names() == ["news"]
    settle(ledger, batch, ACCEPTED, ACCEPTED)
    assert ledger.purge(older_than=0.0, batch=batch) == Purged(messages=3, batches=1)


@pytest.mark.parametrize("only_payloads", [False, True])
def test_unknown_messages_are_kept_unless_they_are_named(ledger, only_payloads):
    batch = fill(ledger, 2)
    settle(ledger, batch, GIVEN_UP, ACCEPTED)
    options = {"older_than": 0.0, "only_payloads": only_payloads}
    assert ledger.purge(**options) == Purged(messages=1, kept_unknown=1)
    assert ledger.purge(**options, unknown=True) == Purged(
        messages=1, batches=0 if only_payloads else 1
    )


def test_messages_whose_hook_waits_are_kept(ledger):
    batch = fill(ledger, 2)
    settle(ledger, batch, ACCEPTED, ACCEPTED)
    with ledger.database.transaction() as connection:
        connection.execute(update(messages).where(messages.c.key == "k1").values(unreported=1.0))
    assert ledger.purge(older_than=0.0) == Purged(messages=1, kept_unreported=1)
    assert states(ledger, batch) == {"k1": "accepted"}


def test_messages_of_an_outbox_go_one_by_one(ledger):
    batch = fill(ledger, 3)
    with ledger.database.transaction() as connection:
        connection.execute(update(batches).values(kind="outbox"))
    settle(ledger, batch, ACCEPTED)
    assert ledger.purge(older_than=0.0) == Purged(messages=1)
    settle(ledger, batch, ACCEPTED, ACCEPTED)
    assert ledger.purge(older_than=0.0) == Purged(messages=2)
    assert ledger.names() == ["news"]


def test_the_content_goes_and_the_outcome_stays(ledger):
    batch = fill(ledger, 2)
    settle(ledger, batch, ACCEPTED, REJECTED)
    assert ledger.purge(older_than=0.0, only_payloads=True) == Purged(messages=2)
    assert ledger.purge(older_than=0.0, only_payloads=True) == Purged()
    assert states(ledger, batch) == {"k0": "accepted", "k1": "rejected"}
    assert [record.recipients for record in ledger.report(batch)] == [(), ()]
    assert ledger.adding(batch).add(entries(2)) is None
    assert ledger.status(batch).total == 2  # they are known
    assert ledger.retry(batch, frozenset({State.REJECTED})) == 0  # there is nothing to send


def with_file(key: str, *names: str) -> Entry:
    files = [Attachment.from_bytes(name.encode(), f"{name}.txt") for name in names]
    return Entry(message=message(attachments=files), key=key)


@pytest.mark.parametrize("only_payloads", [False, True])
def test_files_go_with_the_last_message_that_has_them(ledger, only_payloads):
    first, second = ledger.create("first"), ledger.create("second")
    ledger.adding(first).add([with_file("a", "shared", "own"), with_file("b", "own")])
    ledger.adding(second).add([with_file("a", "shared")])
    settle(ledger, first, ACCEPTED, ACCEPTED)
    options = {"older_than": 0.0, "only_payloads": only_payloads}
    done = ledger.purge(**options)
    assert (done.messages, done.files, count(ledger, contents)) == (2, 1, 1)
    settle(ledger, second, ACCEPTED)
    done = ledger.purge(**options)
    assert (done.messages, done.files, count(ledger, contents)) == (1, 1, 0)


def test_many_messages_go_in_groups(ledger):
    batch = fill(ledger, 1200)
    with ledger.database.transaction() as connection:
        connection.execute(update(messages).values(state="accepted", due=None, settled=1.0))
    with connection_lost(ledger, committed=True):  # nothing is done twice, nothing is left
        with pytest.raises(Exception, match="lost"):
            ledger.purge(older_than=0.0)
    assert 0 < ledger.status(batch).total < 1200
    assert ledger.purge(older_than=0.0).batches == 1


def test_a_file_that_is_added_meanwhile_is_kept(postgresql):
    """The one who adds is in the middle of its transaction when the purge begins."""
    ledger, other = Ledger(postgresql), Ledger(postgresql)
    first, second = ledger.create("first"), ledger.create("second")
    ledger.adding(first).add([with_file("a", "shared")])
    settle(ledger, first, ACCEPTED)
    with ledger.database.transaction() as adding:
        known = select(contents.c.digest).with_for_update(read=True, key_share=True)
        assert len(adding.scalars(known).all()) == 1
        with other.database.transaction() as connection:
            connection.execute(text("SET LOCAL lock_timeout = '50ms'"))
            with pytest.raises(Exception, match="lock timeout"):
                connection.execute(text("LOCK TABLE poweremail_contents IN EXCLUSIVE MODE"))
            connection.execute(text("ROLLBACK"))
    ledger.adding(second).add([with_file("a", "shared")])
    assert other.purge(older_than=0.0) == Purged(messages=1, batches=1)
    assert len(worker(ledger, second).step((), 1).work[0].contents) == 1
    ledger.close()
    other.close()


@pytest.mark.parametrize("seconds", [-1.0, "90d", None, float("nan")])
def test_invalid_ages(ledger, seconds):
    with pytest.raises(ConfigurationError, match="older_than"):
        ledger.purge(older_than=seconds)
