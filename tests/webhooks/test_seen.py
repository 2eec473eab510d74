"""The stores of seen events: one contract, and what only one of them can do."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from poweremail import ConfigurationError, UsageError
from poweremail.webhooks import MemorySeenStore, SqliteSeenStore


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path, clock):
    if request.param == "memory":
        yield MemorySeenStore(ttl=60, clock=clock)
    else:
        with SqliteSeenStore(tmp_path / "seen.db", ttl=60, lease=10, clock=clock) as store:
            yield store


@pytest.mark.parametrize("event_id", ["e1", "", "é", "\ud800", "a\0b", "x" * 10_000])
def test_an_event_is_seen_once_it_is_confirmed(store, event_id):
    assert store.claim(event_id) == "new"
    assert store.claim(event_id) == "busy"
    store.confirm(event_id)
    assert store.claim(event_id) == "seen"
    assert store.claim("another") == "new"


def test_a_released_event_is_new(store):
    assert store.claim("e1") == "new"
    store.release("e1")
    assert store.claim("e1") == "new"
    store.confirm("e1")
    store.release("e1")
    assert store.claim("e1") == "seen"
    store.release("never heard of")


def test_an_event_is_forgotten_after_its_time(store, clock):
    store.claim("e1")
    store.confirm("e1")
    clock.now += 59
    assert store.claim("e1") == "seen"
    clock.now += 1
    assert store.claim("e1") == "new"


def test_one_of_many_threads_claims_an_event(store):
    barrier = threading.Barrier(8)

    def claims(_):
        barrier.wait()
        return [store.claim(f"e{number}") for number in range(50)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(claims, range(8)))
    for number in range(50):
        assert sorted(each[number] for each in found) == ["busy"] * 7 + ["new"]


def test_the_memory_is_bounded():
    store = MemorySeenStore(max_ids=3)
    for number in range(5):
        store.claim(str(number))
        store.confirm(str(number))
    assert len(store) == 3
    assert [store.claim(str(number)) for number in range(5)] == [
        "new",
        "new",
        "seen",
        "seen",
        "seen",
    ]


def test_a_file_is_kept_and_shared(tmp_path, clock):
    path = tmp_path / "seen.db"
    with SqliteSeenStore(path, clock=clock) as one, SqliteSeenStore(path, clock=clock) as two:
        assert (one.claim("e1"), two.claim("e1")) == ("new", "busy")
        one.confirm("e1")
        assert two.claim("e1") == "seen"
    with SqliteSeenStore(path, clock=clock) as three:
        assert three.claim("e1") == "seen"


def test_a_claim_runs_out(tmp_path, clock):
    """Whoever held it has died: the event must be handled by somebody."""
    with SqliteSeenStore(tmp_path / "seen.db", lease=10, clock=clock) as store:
        store.claim("e1")
        clock.now += 9
        assert store.claim("e1") == "busy"
        clock.now += 1
        assert store.claim("e1") == "new"


def test_a_process_that_was_killed_loses_no_event(tmp_path):
    path = str(tmp_path / "seen.db")
    code = """
import os, sys
from poweremail.webhooks import SqliteSeenStore
store = SqliteSeenStore(sys.argv[1], lease=0.001)
store.claim("done"); store.confirm("done"); store.claim("half done")
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", code, path], check=False).returncode == -9
    with SqliteSeenStore(path) as store:
        assert (store.claim("done"), store.claim("half done")) == ("seen", "new")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_after_a_fork_shares_the_file(tmp_path):
    with SqliteSeenStore(tmp_path / "seen.db") as store:
        store.claim("e1")
        child = os.fork()
        if not child:
            right = store.claim("e1") == "busy" and store.claim("e2") == "new"
            store.close()
            os._exit(0 if right else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert store.claim("e2") == "busy"


def test_the_file_does_not_grow_for_ever(tmp_path, clock):
    path = tmp_path / "seen.db"
    with SqliteSeenStore(path, ttl=60, clock=clock) as store:
        for number in range(1_001):
            clock.now += 1
            store.claim(str(number))
            store.confirm(str(number))
    with sqlite3.connect(path) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM events").fetchone()
    connection.close()
    assert rows <= 62


def test_unusable_files(tmp_path):
    (tmp_path / "text").write_text("no database " * 100)
    with sqlite3.connect(tmp_path / "other.db") as other:
        other.execute("CREATE TABLE x (y)")
    other.close()
    for path in ("text", "other.db", "no/such/directory/seen.db"):
        store = SqliteSeenStore(tmp_path / path)
        with pytest.raises(UsageError, match="cannot use"):
            store.claim("e1")
        store.close()


@pytest.mark.parametrize(
    "options",
    [
        *({"ttl": seconds} for seconds in (0, -1, float("nan"), True, "60", None)),
        *({"lease": seconds} for seconds in (0, "60")),
        *({"max_ids": number} for number in (0, -1, 1.5, True, "3", None)),
    ],
)
def test_invalid_numbers(tmp_path, options):
    make = SqliteSeenStore if "lease" in options else MemorySeenStore
    (field,) = options
    wanted = "1 or more" if field == "max_ids" else "a number of seconds above 0"
    with pytest.raises(ConfigurationError, match=f"{field}: must be {wanted}, not "):
        make(*[tmp_path / "x"] * (make is SqliteSeenStore), **options)
