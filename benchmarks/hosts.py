"""
Simulate many hosts that share the budgets of their SMTP users: ``python -m benchmarks.hosts``.

Each host is a coroutine of greenlet that drives the `Budgets` of a worker, as a worker does; rows
are in memory, and each statement takes some milliseconds of a simulated clock, so hosts meet each
other. A referee that knows nothing of buckets counts the requests of each SMTP user in its true
last minute. It prints the mails a second beside what the limits allow, the statements that ask for
budgets, how many bookings lost the race, and the fullest minute.
"""

from __future__ import annotations

import argparse
import heapq
import random
from collections import Counter, deque
from collections.abc import Callable, Collection
from itertools import count
from types import SimpleNamespace
from typing import Any, NamedTuple

from greenlet import getcurrent, greenlet

from poweremail import RateLimits
from poweremail._ledger.budget_rows import BudgetRows, FreeRow, Shares
from poweremail._ledger.rate_limits import Budgets
from poweremail._ledger.usage import Usage

MINUTE_SECONDS = 60.0
TRIP_SECONDS = 0.002
"""The time of a statement, one way and the other."""

RESPONSE_SECONDS = 0.1
POLL_SECONDS = 1.0
"""The longest wait of a worker, which also notices a pause."""


class Figures(NamedTuple):
    """The outcome of a simulation. *asked*: the statements, bookings included."""

    mails: int
    asked: int
    lost: int
    fullest_minute: int


class Clock:
    """A simulated clock: a greenlet that sleeps lets others go on."""

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = count()  # keep those that wake at one time in order
        self._sleepers: list[tuple[float, int, greenlet]] = []

    def start(self, at: float, run: Callable[[], None]) -> None:
        """Run a greenlet from the time *at* on."""
        heapq.heappush(self._sleepers, (at, next(self._numbers), greenlet(run)))

    def sleep(self, seconds: float) -> None:
        """Go on in so many *seconds*."""
        sleeper = getcurrent()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._numbers), sleeper))
        sleeper.parent.switch()

    def run(self, until: float) -> None:
        """Wake one sleeper after the other."""
        while self._sleepers[0][0] <= until:
            self.now, _, sleeper = heapq.heappop(self._sleepers)
            sleeper.parent = getcurrent()
            sleeper.switch()


class SmtpUser:
    """The row of an SMTP user, and the referee's list of its requests."""

    def __init__(self, name: str) -> None:
        self.row = SimpleNamespace(
            name=name, used=None, revision=0, refused_until=0.0, refusals=0, limits=None
        )
        self.free_at = 0.0
        self.fullest = 0
        self._requests: deque[float] = deque()

    def book(self, now: float, mails: int) -> None:
        """Let the referee count a booking."""
        self._requests.extend([now] * mails)
        while self._requests[0] <= now - MINUTE_SECONDS:
            self._requests.popleft()
        self.fullest = max(self.fullest, len(self._requests))


class Rows(BudgetRows):
    """The rows of *users* in memory."""

    def __init__(self, clock: Clock, users: dict[str, SmtpUser]) -> None:
        self._clock = clock
        self._users = users
        self.counts: Counter[str] = Counter()

    def _statement(self, name: str) -> None:
        self.counts[name] += 1
        self._clock.sleep(TRIP_SECONDS / 2)

    def shares(self, batch: int) -> Shares:  # noqa: ARG002  as that of the ledger
        """All may use all."""
        return Shares()

    def first_free(self, names: Collection[str], most: int, *, bulk: bool) -> list[FreeRow]:  # noqa: ARG002  as that of the ledger
        """As the ledger's query."""
        self._statement("free")
        now = self._clock.now
        waits = {name: max(0.0, self._users[name].free_at - now) for name in names}
        shuffled = random.sample(list(names), len(names))
        first = heapq.nsmallest(most, shuffled, key=waits.__getitem__)
        self._clock.sleep(TRIP_SECONDS / 2)
        return [FreeRow(name, waits[name], 0, self._users[name].row.limits) for name in first]

    def read(self, name: str) -> Any:
        """As the ledger's query."""
        self._statement("read")
        row = SimpleNamespace(**vars(self._users[name].row), now=self._clock.now)
        self._clock.sleep(TRIP_SECONDS / 2)
        return row

    def write(self, row: Any, usage: Usage, free_in: float, bulk_free_in: float) -> bool:  # noqa: ARG002  as that of the ledger
        """Book if nobody was faster."""
        self._statement("write")
        user = self._users[row.name]
        won = user.row.revision == row.revision
        if won:
            user.row.used, user.row.revision = usage.to_json(), row.revision + 1
            user.free_at = row.now + free_in
        self.counts["lost"] += not won
        self._clock.sleep(TRIP_SECONDS / 2)
        return won


class Simulation:
    """So many *hosts* that send mails, which never run out, by so many *users*."""

    def __init__(
        self, hosts: int, users: int, *, concurrency: int = 4, per_minute: int = 60, seed: int = 0
    ) -> None:
        random.seed(seed)
        self._limits = RateLimits(per_minute, None, None)
        self._clock = Clock()
        self._concurrency = concurrency
        self._mails = 0
        self._users = {f"smtp{number}": SmtpUser(f"smtp{number}") for number in range(users)}
        self._rows = Rows(self._clock, self._users)
        for user in self._users.values():
            user.row.limits = f'{{"per_minute": {per_minute}}}'
        for _ in range(hosts):
            self._clock.start(random.random(), self._host)

    def run(self, seconds: float) -> Figures:
        """Let the clock run for so many *seconds*."""
        self._clock.run(seconds)
        counts = self._rows.counts
        fullest = max(user.fullest for user in self._users.values())
        asked = counts["free"] + counts["read"] + counts["write"]
        return Figures(self._mails, asked, counts["lost"], fullest)

    def _host(self) -> None:
        """Take mails whenever there is room, as the steps of a run do."""
        clock = self._clock
        budgets = Budgets(list(self._users), dict.fromkeys(self._users, self._limits), self._now)
        in_work: deque[tuple[float, str]] = deque()
        while True:
            while in_work and in_work[0][0] <= clock.now:
                in_work.popleft()
            room = self._concurrency - len(in_work)
            if room and budgets.needs_rows():
                budgets.read(self._rows, 0)
                load = Counter(name for _, name in in_work)
                for grant in budgets.grant(self._rows, room, load):
                    self._users[grant.name].book(clock.now, grant.count)
                    self._mails += grant.count
                    in_work.extend([(clock.now + RESPONSE_SECONDS, grant.name)] * grant.count)
                room = self._concurrency - len(in_work)
            waits = [POLL_SECONDS, *(ready - clock.now for ready, _ in [*in_work][:1])]
            clock.sleep(max(TRIP_SECONDS, min([*waits, budgets.wait()] if room else waits)))

    def _now(self) -> float:
        return self._clock.now


def main() -> None:
    """Run one simulation, and print its figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hosts", description=__doc__)
    parser.add_argument("--hosts", type=int, default=200, help="200")
    parser.add_argument("--users", type=int, default=200, help="SMTP users, 200")
    parser.add_argument("--per-minute", type=int, default=60, help="of each SMTP user, 60")
    parser.add_argument("--concurrency", type=int, default=4, help="mails at once on a host, 4")
    parser.add_argument("--seconds", type=float, default=300.0, help="of the simulated clock, 300")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    simulation = Simulation(
        given.hosts,
        given.users,
        concurrency=given.concurrency,
        per_minute=given.per_minute,
        seed=given.seed,
    )
    figures = simulation.run(given.seconds)
    # The first minute's budget goes at once, the next one when its last request has left the window
    # with its margin and the rest of its bucket.
    allowed = given.users * given.per_minute * (1 + given.seconds // (MINUTE_SECONDS + 1.5))
    print(f"{figures.mails:,} mails in {given.seconds:g} s: {figures.mails / allowed:.0%} of what")
    print(f"the limits allow; {figures.asked:,} statements for budgets, {figures.lost:,} bookings")
    print(f"that lost the race; {figures.fullest_minute} in the fullest minute of an SMTP user")


if __name__ == "__main__":
    main()
