"""Rate limits: each send waits for its turn."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVarTuple

from poweremail._policy.limits import LimitWait, RateLimits, Window
from poweremail._runtime._async import FairLock, in_thread, sleep
from poweremail._runtime._budget import Budget

__all__ = ["AsyncLimiter"]

Arguments = TypeVarTuple("Arguments")


class AsyncLimiter:
    """
    Makes requests wait until *limits* allow them, each SMTP user for itself.

    Who waits stands in a line: the first one sleeps until its time has come, in one go, and the
    others wait for the first. Who is cancelled leaves the line and takes nothing from the budget;
    with a file, what was being booked at that very moment may stay booked. *windows* replace those
    of the limits, where a minute is too long.
    """

    def __init__(self, limits: RateLimits, *, windows: Sequence[Window] | None = None) -> None:
        self._on_wait = limits.on_wait
        windows = limits.windows if windows is None else tuple(windows)
        self._lines: dict[str, FairLock] = {}
        self._budget: Budget | None = None
        if windows:
            self._budget = (
                Budget(windows) if limits.path is None else _in_file(limits.path, windows)
            )

    async def turn(self, smtp_user_name: str) -> None:
        """
        Wait until *smtp_user_name* may make another request, and book it.

        Raises `UsageError` where the file of the limits cannot be used, and whatever ``on_wait``
        raises; nothing is booked then.
        """
        budget = self._budget
        if budget is None:
            return
        line = self._line(smtp_user_name)
        on_wait = self._on_wait
        # The first in line is told below, when it has asked the budget; the others now, as far as
        # this process knows.
        if (
            on_wait is not None
            and (ahead := line.queued)
            and (seconds := budget.estimate(smtp_user_name, ahead))
        ):
            on_wait(LimitWait(smtp_user_name=smtp_user_name, seconds=seconds, ahead=ahead))
            on_wait = None
        async with line:
            # Again only where another process was faster, or a clock was set.
            while seconds := await self._ask(budget, budget.take, smtp_user_name):
                if on_wait is not None:
                    on_wait(LimitWait(smtp_user_name=smtp_user_name, seconds=seconds, ahead=0))
                    on_wait = None
                await sleep(seconds)

    async def expected_wait(self, smtp_user_name: str) -> float:
        """
        Return in how many seconds a request that was made now could go, after those that wait
        already; 0.0 says at once.

        With a file, that is after those of this process: what the others are going to send is not
        known. Raises `UsageError` where the file cannot be used.
        """
        budget = self._budget
        if budget is None:
            return 0.0
        return await self._ask(
            budget, budget.look, smtp_user_name, self._line(smtp_user_name).queued
        )

    def _line(self, smtp_user_name: str) -> FairLock:
        return self._lines.get(smtp_user_name) or self._lines.setdefault(smtp_user_name, FairLock())

    @staticmethod
    async def _ask(
        budget: Budget, question: Callable[[*Arguments], float], *args: *Arguments
    ) -> float:
        return await in_thread(question, *args) if budget.blocks else question(*args)


def _in_file(path: str | os.PathLike[str], windows: Sequence[Window]) -> Budget:
    from poweremail._runtime._file_budget import FileBudget  # noqa: PLC0415  SQLite only for those who share a budget

    return FileBudget(path, windows)
