"""
Simulate many hosts that share the budgets of their SMTP users: ``python -m benchmarks.hosts``.

Events of a simulated clock drive the arithmetic of the ledger (`Usage`): each host asks for the
budget of an SMTP user as a worker does, and books it by compare-and-swap a moment later, so hosts
meet each other. A referee that knows nothing of buckets counts the requests of each SMTP user in
its true last minute. It prints the mails a second beside what the limits allow, the requests for
budgets, how many of them lost the race, and the fullest minute.
"""

from __future__ import annotations

import argparse
import heapq
import random
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import NamedTuple

from poweremail import RateLimits
from poweremail._ledger.usage import Usage, windows_with_margin

MINUTE_SECONDS = 60.0
TRIP_SECONDS = 0.004
"""The time between the reading of a row and its compare-and-swap."""

RESPONSE_SECONDS = 0.1
MAX_ASKED = 4
"""The most SMTP users that a host asks for a step."""

MAX_TRIES = 3
BUSY_SECONDS = 0.02
"""The wait for an SMTP user that others were faster to book."""


class Figures(NamedTuple):
    """The outcome of a simulation."""

    mails: int
    asked: int
    lost: int
    fullest_minute: int


class SmtpUser:
    """The row of an SMTP user, and the referee's list of its requests."""

    def __init__(self) -> None:
        self.used: str | None = None
        self.revision = 0
        self.fullest = 0
        self._requests: deque[float] = deque()

    def book(self, now: float, mails: int) -> None:
        """Write a booking, and let the referee count it."""
        usage = Usage(self.used, now)
        usage.book(mails)
        self.used, self.revision = usage.to_json(), self.revision + 1
        self._requests.extend([now] * mails)
        while self._requests[0] <= now - MINUTE_SECONDS:
            self._requests.popleft()
        self.fullest = max(self.fullest, len(self._requests))


class Host:
    """A worker: it has *room* for some mails, and remembers when to ask which SMTP user again."""

    def __init__(self, room: int, users: int) -> None:
        self.room = room
        self.ask_at = [0.0] * users


class Simulation:
    """So many *hosts* that send mails, which never run out, by so many *users*."""

    def __init__(
        self, hosts: int, users: int, *, concurrency: int = 4, per_minute: int = 60, seed: int = 0
    ) -> None:
        self._dice = random.Random(seed)
        self._windows = windows_with_margin(RateLimits(per_minute, None, None))
        self._users = [SmtpUser() for _ in range(users)]
        self._mails = self._asked = self._lost = 0
        # What happens when. The number keeps events of one time in order.
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._number = count()
        for _ in range(hosts):
            self._at(self._dice.random(), partial(self._step, Host(concurrency, users)))

    def run(self, seconds: float) -> Figures:
        """Let the clock run for so many *seconds*."""
        while self._events[0][0] <= seconds:
            now, _, happen = heapq.heappop(self._events)
            happen(now)
        fullest = max(user.fullest for user in self._users)
        return Figures(self._mails, self._asked, self._lost, fullest)

    def _at(self, time: float, happen: Callable[[float], None]) -> None:
        heapq.heappush(self._events, (time, next(self._number), happen))

    def _step(self, host: Host, now: float) -> None:
        """Ask some SMTP users for as many mails as there is room for."""
        if not host.room:
            return  # a response makes the next step
        free = [number for number, at in enumerate(host.ask_at) if at <= now]
        chosen = self._dice.sample(free, min(MAX_ASKED, len(free), host.room))
        for place, number in enumerate(chosen):
            user = self._users[number]
            usage = Usage(user.used, now)
            granted = usage.room(self._windows, len(range(place, host.room, len(chosen))))
            self._asked += 1
            # Until it is booked, and for as long as its budget is used up, it is not asked.
            host.ask_at[number] = now + max(TRIP_SECONDS, usage.wait(self._windows))
            if granted:
                host.room -= granted
                book = partial(self._book, host, number, user.revision, granted)
                self._at(now + TRIP_SECONDS, book)
        if host.room:
            self._at(max(now + TRIP_SECONDS, min(host.ask_at)), partial(self._step, host))

    def _book(self, host: Host, number: int, revision: int, mails: int, now: float) -> None:
        """Write the booking if nobody was faster."""
        user = self._users[number]
        if user.revision != revision:
            self._lost += 1
            host.ask_at[number] = now + BUSY_SECONDS * self._dice.randint(1, MAX_TRIES)
            self._respond(host, mails, now)
            return
        user.book(now, mails)
        self._mails += mails
        self._at(now + RESPONSE_SECONDS, partial(self._respond, host, mails))

    def _respond(self, host: Host, mails: int, now: float) -> None:
        has_step = host.room > 0
        host.room += mails
        if not has_step:
            self._step(host, now)


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
    print(f"the limits allow; {figures.asked:,} requests for budgets, of which {figures.lost:,}")
    print(f"lost the race; {figures.fullest_minute} in the fullest minute of an SMTP user")


if __name__ == "__main__":
    main()
