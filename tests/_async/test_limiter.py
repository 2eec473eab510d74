"""Sends wait for their limits; each SMTP user has a budget of its own."""

from __future__ import annotations

import sqlite3

import pytest

from poweremail import LimitWait, RateLimits, UsageError
from poweremail._async.limiter import AsyncLimiter
from poweremail._policy.limits import Window
from poweremail._runtime._async_many import BoundedMap
from support.booked import exceeds, record

FAST = (Window(3, 0.02), Window(8, 0.1))


@pytest.fixture(params=["memory", "file"])
def place(request, tmp_path):
    """The option that says where the budget is kept."""
    return {} if request.param == "memory" else {"path": tmp_path / "budget.db"}


@pytest.fixture
def booked(monkeypatch):
    """
    The moments that were booked, as they stand in the budgets: how late a task or thread wakes up
    after that is another thing.
    """
    return record(monkeypatch)


async def test_without_limits_nothing_waits(tmp_path):
    path = tmp_path / "budget.db"
    limiter = AsyncLimiter(RateLimits(None, None, None, path=path))
    for _ in range(1_000):
        await limiter.acquire("smtp1")
    assert await limiter.expected_wait("smtp1") == 0.0
    assert not path.exists()


async def test_the_default_budget_lets_a_minutes_requests_go(place):
    limiter = AsyncLimiter(RateLimits(**place))
    for _ in range(60):
        assert await limiter.expected_wait("smtp1") == 0.0
        await limiter.acquire("smtp1")
    assert 15 < await limiter.expected_wait("smtp1") <= 60
    assert await limiter.expected_wait("smtp2") == 0.0
    await limiter.acquire("smtp2")


async def test_sequential_requests_keep_to_the_windows(place, booked):
    limiter = AsyncLimiter(RateLimits(**place), windows=FAST)
    for _ in range(20):
        await limiter.acquire("smtp1")
    assert len(booked) == 20
    assert not exceeds(booked, FAST)
    # Eight in each of the longer windows: the twentieth goes in the third.
    assert 0.2 <= booked[-1] - booked[0] < 60


async def test_concurrent_requests_keep_to_the_windows(place, booked):
    limiter = AsyncLimiter(RateLimits(**place), windows=FAST)

    async def send(index, smtp_user_name):
        await limiter.acquire(smtp_user_name)
        return index

    async with BoundedMap(send, ["smtp1"] * 20, 8) as done:
        assert sorted([index async for index in done]) == list(range(20))
    assert len(booked) == 20
    assert not exceeds(booked, FAST)


async def test_users_do_not_wait_for_each_other(place):
    limiter = AsyncLimiter(RateLimits(**place), windows=[Window(1, 30.0)])
    for number in range(20):
        await limiter.acquire(f"smtp{number}")
    assert 15 < await limiter.expected_wait("smtp7") <= 30


async def test_a_wait_is_announced_once(place):
    announced = []
    limiter = AsyncLimiter(RateLimits(on_wait=announced.append, **place), windows=[Window(1, 0.5)])
    await limiter.acquire("smtp1")
    assert announced == []
    await limiter.acquire("smtp1")
    await limiter.acquire("smtp2")
    assert [(wait.smtp_user_name, wait.ahead) for wait in announced] == [("smtp1", 0)]
    assert isinstance(announced[0], LimitWait)
    assert 0 < announced[0].seconds <= 0.5


async def test_each_waiter_of_the_queue_is_announced(place):
    announced = []
    limiter = AsyncLimiter(RateLimits(on_wait=announced.append, **place), windows=[Window(1, 0.25)])

    async def send(_, smtp_user_name):
        await limiter.acquire(smtp_user_name)

    async with BoundedMap(send, ["smtp1"] * 4, 4) as done:
        assert [result async for result in done] == [None] * 4
    assert 3 <= len(announced) <= 4
    assert max(wait.ahead for wait in announced) >= 1
    assert all(0 < wait.seconds <= 0.25 * (wait.ahead + 1) for wait in announced)


def refuse(wait):
    raise LookupError(f"not waiting {wait.seconds:.0f} s")


async def test_a_hook_that_raises_ends_the_request(place):
    limiter = AsyncLimiter(RateLimits(on_wait=refuse, **place), windows=[Window(2, 30.0)])
    await limiter.acquire("smtp1")
    await limiter.acquire("smtp1")
    for _ in range(3):
        with pytest.raises(LookupError, match=r"not waiting [23]\d s"):
            await limiter.acquire("smtp1")
    # The queue is empty, and nothing was booked.
    assert 15 < await limiter.expected_wait("smtp1") <= 30
    await limiter.acquire("smtp2")


async def test_two_limiters_share_a_file(tmp_path):
    limits = RateLimits(path=str(tmp_path / "budget.db"))
    one, other = (AsyncLimiter(limits, windows=[Window(3, 30.0)]) for _ in range(2))
    await one.acquire("smtp1")
    await other.acquire("smtp1")
    await one.acquire("smtp1")
    for limiter in (one, other, AsyncLimiter(limits, windows=[Window(3, 30.0)])):
        assert 15 < await limiter.expected_wait("smtp1") <= 30
        assert await limiter.expected_wait("smtp2") == 0.0


async def test_four_limiters_on_one_file_keep_to_the_windows(tmp_path, booked):
    limits = RateLimits(path=tmp_path / "budget.db")
    limiters = [AsyncLimiter(limits, windows=FAST) for _ in range(4)]

    async def send(index, smtp_user_name):
        await limiters[index % 4].acquire(smtp_user_name)

    async with BoundedMap(send, ["smtp1"] * 24, 8) as done:
        assert [result async for result in done] == [None] * 24
    assert len(booked) == 24
    assert not exceeds(booked, FAST)


@pytest.mark.parametrize(
    "trouble", ["a folder", "not a database", "another database", "a missing folder"]
)
async def test_an_unusable_file_is_an_error(tmp_path, trouble):
    path = tmp_path / "budget.db"
    if trouble == "a folder":
        path.mkdir()
    elif trouble == "not a database":
        path.write_bytes(b"Dear diary" * 500)
    elif trouble == "another database":
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE diary (text)")
        other.close()
    else:
        path = tmp_path / "missing" / "budget.db"
    limiter = AsyncLimiter(RateLimits(path=path), windows=FAST)
    for _ in range(2):
        with pytest.raises(
            UsageError,
            match=r"^not sent: limits.path: cannot use '.*budget.db': .* \(name a file on a local "
            r"disk",
        ):
            await limiter.acquire("smtp1")
    with pytest.raises(UsageError, match=r"^limits.path: ") as caught:
        await limiter.expected_wait("smtp1")
    assert (caught.value.field, caught.value.mail_state) == ("limits.path", None)
    if trouble == "another database":
        other = sqlite3.connect(path)
        assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        other.close()


async def test_a_repaired_file_is_used(tmp_path):
    path = tmp_path / "budget.db"
    path.write_bytes(b"Dear diary" * 500)
    limiter = AsyncLimiter(RateLimits(path=path), windows=[Window(1, 30.0)])
    with pytest.raises(UsageError):
        await limiter.acquire("smtp1")
    path.unlink()
    await limiter.acquire("smtp1")
    assert await limiter.expected_wait("smtp1") > 15
