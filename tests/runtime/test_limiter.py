"""
What only one of the worlds has: cancellation, loops that come and go, threads, processes; and
clocks that are set.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.lowlevel
import pytest
import trio

from poweremail import RateLimits, UsageError
from poweremail._async.limiter import AsyncLimiter
from poweremail._policy.limits import Window
from poweremail._runtime import _async, _sync
from poweremail._runtime._budget import Budget
from poweremail._runtime._file_budget import FileBudget
from poweremail._sync.limiter import Limiter
from support.booked import exceeds, record

FAST = (Window(3, 0.02), Window(8, 0.1))
SLOW = (Window(1, 30.0),)


@pytest.fixture
def booked(monkeypatch):
    return record(monkeypatch)


async def queued(limiter, count):
    """Let the other tasks run until so many stand in the line."""
    with anyio.fail_after(60):
        while limiter._lock("smtp1").queued < count:
            await anyio.lowlevel.checkpoint()


class Clock:
    def __init__(self, now=1_000.0) -> None:
        self.now = now

    def __call__(self):
        return self.now


# Tasks.


@pytest.mark.parametrize("place", ["memory", "file"])
async def test_tasks_are_served_in_order(place, tmp_path):
    limits = RateLimits(path=tmp_path / "budget.db" if place == "file" else None)
    limiter, came = AsyncLimiter(limits, windows=[Window(2, 0.02)]), []

    async def send(number):
        await limiter.acquire("smtp1")
        came.append(number)

    async with anyio.create_task_group() as tasks, limiter._lock("smtp1"):
        for number in range(12):
            tasks.start_soon(send, number)
            await queued(limiter, number + 2)
    assert came == list(range(12))


@pytest.mark.parametrize(
    "cancelled", [0, 1, 2, 3, 4], ids=["the head", "second", "middle", "fourth", "the last"]
)
async def test_a_cancelled_waiter_uses_no_budget(cancelled, booked):
    limiter, came = AsyncLimiter(RateLimits(), windows=[Window(1, 0.2)]), []
    scopes = [anyio.CancelScope() for _ in range(5)]

    async def send(number):
        with scopes[number]:
            await limiter.acquire("smtp1")
            came.append(number)

    await limiter.acquire("smtp1")
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(send, number)
            await queued(limiter, number + 1)
        before = await limiter.expected_wait("smtp1")
        scopes[cancelled].cancel()
        with anyio.fail_after(60):
            while limiter._lock("smtp1").queued == 5:
                await anyio.lowlevel.checkpoint()
        assert await limiter.expected_wait("smtp1") <= before - 0.2
    assert came == [number for number in range(5) if number != cancelled]
    assert len(booked) == 5
    assert not exceeds(booked, [Window(1, 0.2)])
    assert limiter._lock("smtp1").queued == 0


async def test_all_can_be_cancelled_at_once():
    limiter = AsyncLimiter(RateLimits(), windows=SLOW)
    await limiter.acquire("smtp1")
    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(limiter.acquire, "smtp1")
            await queued(limiter, number + 1)
        tasks.cancel_scope.cancel()
    assert limiter._lock("smtp1").queued == 0
    assert 15 < await limiter.expected_wait("smtp1") <= 30


def test_a_task_that_is_cancelled_by_asyncio_itself():
    async def main():
        limiter, came = AsyncLimiter(RateLimits(), windows=[Window(1, 0.2)]), []
        await limiter.acquire("smtp1")

        async def send(number):
            await limiter.acquire("smtp1")
            came.append(number)

        tasks = [asyncio.create_task(send(number)) for number in range(5)]
        await queued(limiter, 5)
        for number in (2, 0):
            tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return came

    assert asyncio.run(main()) == [1, 3, 4]


async def test_a_waiter_cancelled_with_the_lock_releases_it():
    lock, came = _async.FairLock(), []
    scope = anyio.CancelScope()

    async def wait(number, scope):
        with scope:
            async with lock:
                came.append(number)

    async with anyio.create_task_group() as tasks:
        async with lock:
            tasks.start_soon(wait, 1, scope)
            tasks.start_soon(wait, 2, anyio.CancelScope())
            await anyio.wait_all_tasks_blocked()
        # The lock is the first one's now, which has not run yet.
        assert lock.queued == 2
        scope.cancel()
    assert came in ([2], [1, 2])
    assert lock.queued == 0


async def test_the_expected_wait_counts_the_queue():
    limiter = AsyncLimiter(RateLimits(), windows=[Window(2, 10.0)])
    assert await limiter.expected_wait("smtp1") == 0.0
    async with anyio.create_task_group() as tasks:
        for number in range(7):
            tasks.start_soon(limiter.acquire, "smtp1")
            await queued(limiter, number - 1)
            expected = 10 * ((number + 1) // 2)
            await anyio.wait_all_tasks_blocked()
            assert expected - 1 < await limiter.expected_wait("smtp1") <= expected
        tasks.cancel_scope.cancel()


async def test_the_first_waiter_sleeps_once(monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)
        await anyio.sleep(seconds)

    monkeypatch.setattr("poweremail._async.limiter.sleep", sleep)
    limiter = AsyncLimiter(RateLimits(), windows=[Window(1, 0.2)])
    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(limiter.acquire, "smtp1")
    # Clocks differ by a hair, so that a sleep may end before its time: then the rest of it follows.
    assert sum(seconds > 0.01 for seconds in slept) == 3


async def test_a_waiter_for_the_lock_only_is_not_announced():
    announced = []
    limiter = AsyncLimiter(RateLimits(on_wait=announced.append))
    async with anyio.create_task_group() as tasks, limiter._lock("smtp1"):
        tasks.start_soon(limiter.acquire, "smtp1")
        await queued(limiter, 2)
    assert announced == []


async def test_a_queue_of_thousands_is_announced_quickly():
    announced = []
    limiter = AsyncLimiter(RateLimits(on_wait=announced.append))
    started = time.thread_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(2_000):
            tasks.start_soon(limiter.acquire, "smtp1")
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert len(announced) == 2_000 - 60
    assert [wait.ahead for wait in announced] == list(range(2_000 - 60))
    assert 32 * 60 < announced[-1].seconds <= 33 * 60
    assert time.thread_time() - started < 5


RUNS = {"asyncio": asyncio.run, "trio": trio.run, "anyio": anyio.run}


def test_a_limiter_outlives_its_loops():
    limiter, clock = AsyncLimiter(RateLimits(), windows=[Window(9, 300.0)]), []

    async def send(cancel):
        with anyio.move_on_after(0.01 if cancel else 60) as scope:
            async with anyio.create_task_group() as tasks:
                for _ in range(5 if cancel else 1):
                    tasks.start_soon(limiter.acquire, "smtp1")
        clock.append(scope.cancelled_caught)

    for _ in range(2):
        for run in RUNS.values():
            run((lambda: send(cancel=False)) if run is not asyncio.run else send(cancel=False))
    for run in RUNS.values():
        run((lambda: send(cancel=True)) if run is not asyncio.run else send(cancel=True))
    assert clock == [False] * 6 + [True] * 3
    assert 200 < trio.run(limiter.expected_wait, "smtp1") <= 300


def test_loops_at_the_same_time_share_the_budget(booked):
    limiter = AsyncLimiter(RateLimits(), windows=FAST)

    async def send():
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(limiter.acquire, "smtp1")

    with ThreadPoolExecutor(4) as threads:
        for done in [
            threads.submit(anyio.run, send, backend=backend) for backend in ("asyncio", "trio") * 2
        ]:
            done.result()
    assert len(booked) == 32
    assert not exceeds(booked, FAST)


def test_an_ended_loop_is_freed():
    lock = _async.FairLock()

    async def main():
        async with lock:
            return weakref.ref(asyncio.get_running_loop())

    loops = [asyncio.run(main()) for _ in range(3)]
    gc.collect()
    assert [loop() for loop in loops] == [None] * 3


async def test_a_blocking_call_does_not_hold_up_other_tasks():
    opened = threading.Event()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_async.in_thread, opened.wait, 5)
        await anyio.lowlevel.checkpoint()
        opened.set()
    assert await _async.in_thread(divmod, 7, 2) == _sync.in_thread(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await _async.in_thread(divmod, 1, 0)


# Threads.


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.0005)


@pytest.mark.parametrize("place", ["memory", "file"])
def test_threads_never_exceed_the_limits(place, tmp_path, booked):
    limiter = Limiter(
        RateLimits(path=tmp_path / "budget.db" if place == "file" else None), windows=FAST
    )
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: limiter.acquire("smtp1"), range(32)))
    assert len(booked) == 32
    assert not exceeds(booked, FAST)
    assert limiter._lock("smtp1").queued == 0


def test_threads_are_served_in_order():
    limiter, came = Limiter(RateLimits(), windows=[Window(1, 0.01)]), []

    def send(number):
        limiter.acquire("smtp1")
        came.append(number)

    line = limiter._lock("smtp1")
    with ThreadPoolExecutor(10) as threads:
        with line:
            for number in range(10):
                threads.submit(send, number)
                wait_until(lambda number=number: line.queued == number + 2)
    assert came == list(range(10))


def test_one_thread_at_a_time_holds_the_lock():
    lock, inside, most = _sync.FairLock(), 0, 0

    def work(_):
        nonlocal inside, most
        for _ in range(200):
            with lock:
                inside += 1
                most = max(most, inside)
                inside -= 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    assert (most, inside, lock.queued) == (1, 0, 0)


class Interrupted(BaseException):
    pass


@pytest.mark.skipif(
    threading.current_thread() is not threading.main_thread(),
    reason="signals arrive in the main thread",
)
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="this system has no timers")
@pytest.mark.parametrize("behind", [0, 1, 3])
def test_an_interrupted_waiter_leaves_the_queue(behind):
    """The main thread waits behind the holder, and *behind* others wait after it."""
    lock, came = _sync.FairLock(), []
    holding, let_go = threading.Event(), threading.Event()

    def hold():
        with lock:
            holding.set()
            let_go.wait(5)

    def wait(number):
        with lock:
            came.append(number)

    def after(number):
        wait_until(lambda: lock.queued == 2 + number)
        wait(number)

    def interrupt(*_):
        raise Interrupted

    def when_all_wait():
        wait_until(lambda: lock.queued == 2 + behind)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with ThreadPoolExecutor(8) as threads:
            threads.submit(hold)
            holding.wait(5)
            for number in range(behind):
                threads.submit(after, number)
            threads.submit(when_all_wait)
            with pytest.raises(Interrupted), lock:
                pass
            assert lock.queued == 1 + behind
            let_go.set()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert came == list(range(behind))
    assert lock.queued == 0


def test_a_waiter_interrupted_with_the_lock_releases_it():
    """The lock is handed to the main thread in the moment in which a handler raises there."""
    lock = _sync.FairLock()
    lock.__enter__()

    def hand_over_and_interrupt(*_):
        lock.__exit__(None, None, None)
        raise Interrupted

    def when_it_waits():
        wait_until(lambda: lock.queued == 2)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, hand_over_and_interrupt)
    try:
        with ThreadPoolExecutor(1) as threads:
            threads.submit(when_it_waits)
            with pytest.raises(Interrupted), lock:
                pass
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert lock.queued == 0
    with lock:
        assert lock.queued == 1


def test_ctrl_c_interrupts_a_wait(tmp_path):
    """
    While it sleeps, while it waits for the one that sleeps, and in the middle of a transaction,
    which must not stay open.
    """
    script = """
        import os, signal, sqlite3, sys, threading, time
        from poweremail._runtime._file_budget import FileBudget
        from poweremail._sync.limiter import Limiter
        from poweremail._policy.limits import RateLimits, SlidingLog, Window

        limiter = Limiter(RateLimits(), windows=[Window(1, 30.0)])
        limiter.acquire("smtp1")
        def interrupt(queued):
            while limiter._lock("smtp1").queued < queued:
                time.sleep(0.001)
            time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGINT)
        for queued in 1, 2:
            threading.Thread(target=interrupt, args=(queued,), daemon=True).start()
            try:
                limiter.acquire("smtp1")
            except KeyboardInterrupt:
                print("interrupted", limiter._lock("smtp1").queued)
            threading.Thread(target=limiter.acquire, args=("smtp1",), daemon=True).start()

        budget = FileBudget(sys.argv[1], [Window(1, 30.0)])
        write = FileBudget._write
        def interrupted(*args):
            write(*args)
            raise KeyboardInterrupt
        FileBudget._write = interrupted
        try:
            budget.acquire("smtp1")
        except KeyboardInterrupt:
            FileBudget._write = write
            other = FileBudget(sys.argv[1], [Window(1, 30.0)], timeout=0)
            print(other.acquire("smtp1"), budget.acquire("smtp1") > 15)
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script), str(tmp_path / "budget.db")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "interrupted 0\ninterrupted 1\n0.0 True\n",
        "",
    )


# Processes.

WORKER = """
import sys, time
sys.path.insert(0, "tests")
import pytest
from poweremail._sync.limiter import Limiter
from poweremail._policy.limits import RateLimits, Window
from support.booked import record

booked = record(pytest.MonkeyPatch())
limiter = Limiter(RateLimits(path=sys.argv[1]), windows=[Window(3, 0.02), Window(8, 0.1)])
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[2])):
    limiter.acquire("smtp1")
print(*booked)
"""


@pytest.mark.parametrize("count", [2, 4])
def test_processes_never_exceed_the_limits(count, tmp_path):
    """They make the file at the same time, too."""
    each = 24 // count
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(tmp_path / "budget.db"), str(each)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    assert [worker.stdout.readline() for worker in workers] == ["ready\n"] * count
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    booked = []
    for worker in workers:
        out, err = worker.communicate(timeout=60)
        assert (worker.returncode, err) == (0, "")
        booked += [float(moment) for moment in out.split()]
    assert len(booked) == 24
    assert not exceeds(booked, FAST)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings(
    "ignore:.*fork.*:DeprecationWarning"
)  # a thread holds the lock; the child does not wait for it
@pytest.mark.parametrize("place", ["memory", "file"])
def test_a_limiter_can_be_used_after_a_fork(place, tmp_path):
    limiter = Limiter(
        RateLimits(path=tmp_path / "budget.db" if place == "file" else None),
        windows=[Window(4, 30.0)],
    )
    limiter.acquire("smtp1")
    held = threading.Event()

    def hold():
        with limiter._lock("smtp1"):
            held.set()
            joined.wait(10)

    joined = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        threads.submit(hold)
        held.wait(5)
        children = [
            multiprocessing.get_context("fork").Process(target=limiter.acquire, args=("smtp1",))
            for _ in range(2)
        ]
        for child in children:
            child.start()
        for child in children:
            child.join(10)
        joined.set()
    assert [child.exitcode for child in children] == [0, 0]
    limiter.acquire("smtp1")
    # In memory each process has its own; in the file the four are all there may be.
    assert (limiter.expected_wait("smtp1") > 0) is (place == "file")


# The file.


def file_budget(tmp_path, clock, *windows, **options):
    return FileBudget(
        tmp_path / "budget.db", windows or (Window(3, 10.0), Window(5, 60.0)), clock, **options
    )


def rows(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "budget.db")) as connection:
        return connection.execute(
            "SELECT smtp_user_name, number, time FROM bookings ORDER BY 1, 2"
        ).fetchall()


def test_the_file_outlives_the_budget(tmp_path):
    clock = Clock()
    for used in range(3):
        assert file_budget(tmp_path, clock).acquire("smtp1") == 0.0
        assert rows(tmp_path) == [("smtp1", number + 1, 1_000.0) for number in range(used + 1)]
    clock.now += 4
    assert file_budget(tmp_path, clock).acquire("smtp1") == 6.0
    assert file_budget(tmp_path, clock).acquire("smtp2") == 0.0


def test_the_file_and_the_memory_agree(tmp_path):
    clock = Clock()
    memory = Budget((Window(3, 10.0), Window(5, 60.0)), clock)
    files = [file_budget(tmp_path, clock) for _ in range(3)]
    for step in range(200):
        clock.now += (step * 7 % 5) / 2
        expected = memory.acquire("smtp1")
        assert files[step % 3].acquire("smtp1") == expected
        assert files[(step + 1) % 3].expected_wait("smtp1", step % 9) == memory.expected_wait(
            "smtp1", step % 9
        )
        assert files[(step + 1) % 3].estimate("smtp1", step % 9) == memory.estimate(
            "smtp1", step % 9
        )


def test_the_file_stays_small(tmp_path):
    clock = Clock()
    budget = file_budget(tmp_path, clock, Window(20, 10.0))
    for _ in range(20):
        budget.acquire("smtp1")
    assert len(rows(tmp_path)) == 20
    for kept in (19, 18, 17):
        clock.now += 20
        assert budget.acquire("smtp1") == 0.0
        assert len(rows(tmp_path)) == kept
    for _ in range(40):
        clock.now += 20
        budget.acquire("smtp1")
    assert [row[1] for row in rows(tmp_path)] == [63]
    assert file_budget(tmp_path, clock, Window(20, 10.0)).acquire("smtp1") == 0.0
    assert [row[1] for row in rows(tmp_path)] == [63, 64]


@pytest.mark.parametrize("back", [0.001, 3.0, 600.0, 1e9])
def test_a_clock_that_is_set_back_makes_no_endless_wait(tmp_path, back):
    clock = Clock(1.8e9)
    budgets = [file_budget(tmp_path, clock, Window(2, 10.0)) for _ in range(2)]
    for budget in budgets:
        assert budget.acquire("smtp1") == 0.0
    clock.now += 2 - back
    wait = budgets[0].acquire("smtp1")
    assert 8 <= wait <= 10
    # Each that asks goes on from there, one that knows of nothing included.
    clock.now += 3
    assert budgets[1].estimate("smtp1", 0) <= 10
    for budget in (*budgets, file_budget(tmp_path, clock, Window(2, 10.0))):
        assert budget.acquire("smtp1") == pytest.approx(wait - 3)
        assert (
            budget.expected_wait("smtp1", 1)
            == budget.estimate("smtp1", 1)
            == pytest.approx(wait - 3)
        )
    clock.now += wait - 3 + 1e-6
    assert budgets[1].acquire("smtp1") == 0.0
    assert budgets[0].acquire("smtp1") == 0.0
    assert budgets[0].acquire("smtp1") == pytest.approx(10)


def test_a_clock_that_goes_back_again_and_again(tmp_path):
    clock = Clock()
    budget = file_budget(tmp_path, clock, Window(1, 1.0))
    waits = 0
    for _ in range(10):
        while wait := budget.acquire("smtp1"):
            waits += 1
            clock.now += wait + 1e-9
        clock.now -= 100
    assert waits == 9


def test_a_locked_file_is_an_error(tmp_path):
    budget = file_budget(tmp_path, time.time, timeout=0.01)
    assert budget.acquire("smtp1") == 0.0
    with contextlib.closing(sqlite3.connect(tmp_path / "budget.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UsageError, match=r"^not sent: limits.path: .*database is locked"):
            budget.acquire("smtp1")
        # What is known is still answered, at once.
        assert budget.estimate("smtp1", 0) == 0.0
        other.execute("ROLLBACK")
    assert budget.acquire("smtp1") == 0.0
    assert len(rows(tmp_path)) == 2


def test_a_read_only_file_is_an_error(tmp_path, monkeypatch):
    """As root, the file's mode would not keep anybody from writing."""
    file_budget(tmp_path, time.time).acquire("smtp1")
    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3,
        "connect",
        lambda path, **options: connect(f"file:{path}?mode=ro", uri=True, **options),
    )
    with pytest.raises(UsageError, match=r"^not sent: limits.path: .*readonly database"):
        file_budget(tmp_path, time.time).acquire("smtp1")
    assert len(rows(tmp_path)) == 1


def test_another_process_may_be_switching_to_wal(tmp_path):
    class Busy(sqlite3.Connection):
        def execute(self, statement, *args):
            if "journal_mode" in statement:
                raise sqlite3.OperationalError("database is locked")
            return super().execute(statement, *args)

    connect = sqlite3.connect
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sqlite3, "connect", lambda path, **options: connect(path, factory=Busy, **options)
        )
        assert file_budget(tmp_path, time.time).acquire("smtp1") == 0.0
    assert file_budget(tmp_path, time.time).acquire("smtp1") == 0.0
    assert len(rows(tmp_path)) == 2


def test_the_path_does_not_follow_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    budget = FileBudget(":memory:", FAST)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    budget.acquire("smtp1")
    budget.close()
    budget.close()
    assert (tmp_path / ":memory:").exists()


def test_a_forgotten_budget_closes_its_file(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        budget = file_budget(tmp_path, time.time)
        budget.acquire("smtp1")
        assert (tmp_path / "budget.db-wal").exists()
        del budget
        gc.collect()
    assert not (tmp_path / "budget.db-wal").exists()
