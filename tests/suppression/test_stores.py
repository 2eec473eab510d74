"""The stores: a file, and the database of a ledger."""

from __future__ import annotations

import os
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from poweremail import ConfigurationError, PowerEmail, UsageError
from poweremail.batch import Batch, Ledger, LedgerError
from poweremail.suppression import (
    LedgerSuppressionStore,
    SqliteSuppressionStore,
    Suppression,
    Suppressions,
    open_store,
)

ADA = "ada@example.com"


@pytest.fixture(params=["file", "sqlite", "postgresql"])
def place(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgresql")
    path = tmp_path / "list.db"
    return str(path) if request.param == "file" else f"sqlite:///{path}"


def test_entries_are_added_once_found_listed_and_removed(place):
    first = datetime(2026, 1, 1, tzinfo=UTC)
    with open_store(place) as store:
        assert store.add([]) == 0
        entries = [
            Suppression(ADA, "news", reason="unsubscribe", since=first, note="mail-1"),
            Suppression(ADA, reason="hard_bounce"),
            Suppression("bob@example.com", "news", reason="unsubscribe"),
        ]
        assert store.add(entries) == 3
        assert store.add([*entries[:2], *entries[:1]]) == 0
        assert store.add([Suppression("ADA@example.com", "news", reason="unsubscribe")]) == 0
        found = {entry.stream: entry for entry in store.find([ADA, "nobody@example.com"])}
        assert found["news"] == entries[0]
        assert found["*"].reason == "hard_bounce"
        assert store.find([]) == ()
        assert [entry.address for entry in store.entries(stream="news")] == [ADA, "bob@example.com"]
        assert [entry.stream for entry in store.entries(reason="hard_bounce")] == ["*"]
        assert store.remove("Ada <ADA@example.com>", stream="news") == 1
        assert store.remove(ADA, reason="spam") == 0
        assert store.remove(ADA) == 1
        assert store.remove(ADA) == 0
        assert [entry.address for entry in store.entries()] == ["bob@example.com"]
    with open_store(place) as again:
        assert len(again.find(["bob@example.com"])) == 1


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (
            {"reason": "foo"},
            "reason: must be one of hard_bounce, spam, unsubscribe, manual, not",
        ),
        ({"reason": "Spam"}, "reason: must be one of "),
        ({"reason": ["spam"]}, "reason: must be one of "),
        ({"reason": ""}, "reason: must be one of "),
        ({"stream": "two words"}, "stream: must be 1 to 64 ASCII letters"),
        ({"stream": ""}, "stream: must be 1 to 64 ASCII letters"),
        ({"stream": 5}, "stream: must be 1 to 64 ASCII letters"),
    ],
)
def test_a_wrong_reason_or_stream_is_an_error_and_no_empty_answer(place, given, error):
    with open_store(place) as store:
        store.add([Suppression(ADA, "news", reason="spam"), Suppression(ADA)])
        with pytest.raises(UsageError, match=error):
            store.remove(ADA, **given)
        with pytest.raises(UsageError, match=error):  # at once, not at the first entry
            store.entries(**given)
        assert len(store.find([ADA])) == 2
        assert store.remove(ADA, stream="*", reason="manual") == 1


def test_large_lists_are_read_in_pages(place):
    with open_store(place) as store:
        addresses = [f"u{number:05}@example.com" for number in range(2_500)]
        assert store.add(Suppression(each, reason="spam") for each in addresses) == 2_500
        assert [entry.address for entry in store.entries()] == addresses
        assert len(store.find(addresses)) == 2_500


def test_threads_share_a_store(place):
    with open_store(place) as store, ThreadPoolExecutor(8) as pool:
        barrier = threading.Barrier(8)

        def add(number: int) -> int:
            barrier.wait()
            return store.add([Suppression(f"u{n}@example.com") for n in range(number, number + 9)])

        assert sum(pool.map(add, range(8))) == 16
        assert len(list(store.entries())) == 16


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_can_use_it(tmp_path):
    with open_store(tmp_path / "list.db") as store:
        store.add([Suppression(ADA)])
        if not (pid := os.fork()):
            os._exit(0 if store.add([Suppression("bob@example.com")]) == 1 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert len(list(store.entries())) == 2


def test_the_ledger_of_a_batch_can_have_the_list(tmp_path):
    ledger = Ledger(tmp_path / "ledger.db")
    with LedgerSuppressionStore(ledger) as store:
        store.add([Suppression(ADA)])
    with Batch(None, ledger, "b") as batch:
        batch.add([])
    assert len(LedgerSuppressionStore(ledger).find([ADA])) == 1
    ledger.close()


def test_a_file_of_something_else_is_not_touched(tmp_path):
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    with pytest.raises(UsageError, match="it is not a file of suppressed addresses"):
        open_store(path).add([Suppression(ADA)])
    with pytest.raises(LedgerError, match="something else"):
        open_store(f"sqlite:///{path}").add([Suppression(ADA)])
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]
    connection.close()


def test_a_list_that_another_file_replaces_is_read_from_that_file(tmp_path):
    used, restored = SqliteSuppressionStore(tmp_path / "a.db"), tmp_path / "b.db"
    used.add([Suppression("ada@example.com")])
    with SqliteSuppressionStore(restored) as backup:
        backup.add([Suppression("bob@example.com")])
    for end in ("-wal", "-shm"):
        (tmp_path / f"a.db{end}").unlink(missing_ok=True)
    restored.replace(tmp_path / "a.db")
    assert [each.address for each in used.entries()] == ["bob@example.com"]
    (tmp_path / "a.db").unlink()
    assert used.find(["bob@example.com"])
    used.add([Suppression("eve@example.com")])
    with SqliteSuppressionStore(tmp_path / "a.db") as other:
        assert [each.address for each in other.entries()] == ["eve@example.com"]


def test_a_list_is_on_the_disk_when_it_was_added(tmp_path):
    store = SqliteSuppressionStore(tmp_path / "list.db")
    with store._file.transaction() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    store.close()


def test_no_repr_has_a_password(tmp_path):
    store = open_store("postgresql://app:hunter2@localhost/mail")
    assert "hunter2" not in repr(store)
    assert "list.db" in repr(open_store(tmp_path / "list.db"))
    with pytest.raises(ConfigurationError, match="must be postgresql"):
        open_store("mysql://localhost/mail")


def test_a_client_of_threads_takes_no_async_store():
    class Awaited:
        async def find(self, addresses, /):
            return ()

        async def add(self, entries, /): ...

    for make in (
        lambda: PowerEmail("o", "t", "d.example", suppression=Awaited()),
        lambda: Suppressions(Awaited()),
    ):
        with pytest.raises(ConfigurationError, match="suppression: has async methods"):
            make()
