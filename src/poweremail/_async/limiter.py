"""
Rate limits of a client: each send waits until its SMTP user may make another request.

Theory of operation. A `Budget` has the bookings and returns the seconds until the next request may
be sent; it never waits. The limiter waits. Waiters of one SMTP user are served first come, first
served: the first holds a fair lock and sleeps until its slot, the others wait for the lock. So
there is one timer for each user, however long the queue, and a waiter that is cancelled simply
leaves the lock's queue; nothing was booked for it.

After its sleep a waiter tries to book, and sleeps again if it cannot: another process may have used
the slot meanwhile, or a clock was set.

Tests: ``tests/policy/test_limits`` compares the arithmetic with a brute-force oracle;
``test_limiter`` records the moments that were booked, with cancellations, threads and processes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVarTuple

from poweremail._policy.limits import LimitWait, RateLimits, Window
from poweremail._runtime._async import FairLock, in_thread, sleep
from poweremail._runtime._budget import Budget

Arguments = TypeVarTuple("Arguments")


class AsyncLimiter:
    """
    Makes requests wait until *limits* allow them; each SMTP user has its own windows.

    *windows*: replace those of the limits, for tests, in which a minute is too long.

    With a file, a request that is cancelled while it is being booked may stay booked.
    """

    def __init__(self, limits: RateLimits, *, windows: Sequence[Window] | None = None) -> None:
        self._on_wait = limits.on_wait
        self._locks: dict[str, FairLock] = {}
        self._budget: Budget | None = None
        windows = limits.windows if windows is None else tuple(windows)
        if windows and limits.path is None:
            self._budget = Budget(windows)
        elif windows and limits.path is not None:
            from poweremail._runtime._file_budget import FileBudget  # noqa: PLC0415  SQLite only if a budget is shared

            self._budget = FileBudget(limits.path, windows)

    async def acquire(self, smtp_user_name: str) -> None:
        """
        Wait until *smtp_user_name* may make another request, and book it.

        Raises `UsageError` if the file of the limits cannot be used, and what ``on_wait`` raises;
        nothing is booked then.
        """
        budget = self._budget
        if budget is None:
            return
        lock = self._lock(smtp_user_name)
        announced = False

        def announce(seconds: float, ahead: int) -> None:
            nonlocal announced
            if self._on_wait is not None and not announced:
                announced = True
                self._on_wait(
                    LimitWait(smtp_user_name=smtp_user_name, seconds=seconds, ahead=ahead)
                )

        # A request behind others is announced before it queues, with an estimate of this process;
        # the first in the queue is announced when it could not book.
        if (ahead := lock.queued) and (seconds := budget.estimate(smtp_user_name, ahead)):
            announce(seconds, ahead)
        async with lock:
            while seconds := await self._call(budget, budget.acquire, smtp_user_name):
                announce(seconds, 0)
                await sleep(seconds)

    async def expected_wait(self, smtp_user_name: str) -> float:
        """
        Return the seconds until a request that is made now could be sent, after those that wait
        already.

        With a file, only the waiting requests of this process are known. Raises `UsageError` if
        the file cannot be used.
        """
        budget = self._budget
        if budget is None:
            return 0.0
        ahead = self._lock(smtp_user_name).queued
        return await self._call(budget, budget.expected_wait, smtp_user_name, ahead)

    def _lock(self, smtp_user_name: str) -> FairLock:
        return self._locks.get(smtp_user_name) or self._locks.setdefault(smtp_user_name, FairLock())

    @staticmethod
    async def _call(
        budget: Budget, method: Callable[[*Arguments], float], *args: *Arguments
    ) -> float:
        return await in_thread(method, *args) if budget.blocks else method(*args)
