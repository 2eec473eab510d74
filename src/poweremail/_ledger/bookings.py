"""
The bookings of a worker: the requests that it may begin for the rows that it takes next.

Theory of operation. A booking is made before rows are taken, because then it is known how many the
limits allow. On a server it is made in transactions of its own, so that nobody waits for a step;
if the step fails, or takes fewer rows, the rest is given back after it. On SQLite all of it is a
part of the step's transaction. `rate_limits` has the reasons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import attrs
from sqlalchemy import Connection

from poweremail._ledger import State
from poweremail._ledger.budget_rows import BudgetRows
from poweremail._ledger.database import Database
from poweremail._ledger.rate_limits import Budgets, Grant
from poweremail._ledger.statements import COUNT_DUE
from poweremail._ledger.values import Finished, Work
from poweremail._ledger.verdicts import ACCEPTED
from poweremail._policy.limits import RateLimits
from poweremail.errors import LedgerError


class Bookings:
    """What a worker on *batch* has booked of the budgets of *smtp_users*."""

    def __init__(
        self,
        database: Database,
        batch: int,
        smtp_users: Sequence[str],
        limits: Mapping[str, RateLimits],
    ) -> None:
        self._database = database
        self._batch = batch
        self._budgets = Budgets(smtp_users, limits)
        self._is_server = database.path is None
        # Booked for a step; if it failed on a server, still to be given back.
        self._grants: list[Grant] = []
        self._before: list[Grant] = []
        self._has_plenty = False  # whether the last step found as many rows as it wanted

    def register(self, connection: Connection) -> None:
        """Make the rows of the SMTP users."""
        self._budgets.register(BudgetRows(connection))

    def before_step(self, finished: Sequence[Finished], room: int, held: Iterable[Work]) -> None:
        """
        On a server: write what *finished* says of the SMTP users, and book up to *room* requests.
        *held*: the rows in work.
        """
        self._before = []
        if not self._is_server:
            return
        refused, accepted = self._refusals(finished)
        reads = room > 0 and self._budgets.needs_rows()
        if self._grants or refused or accepted or reads:
            with self._database.statements() as connection:
                self._book(connection, finished, room, held)
        else:
            self._grants = self._budgets.grant(None, room, _in_work(finished, held))
        self._before = self._grants

    def in_step(
        self, connection: Connection, finished: Sequence[Finished], room: int, held: Iterable[Work]
    ) -> None:
        """On SQLite: do in the step what a server does before it."""
        if not self._is_server:
            self._book(connection, finished, room, held)

    def names(self, room: int) -> list[str]:
        """The SMTP users that send the next rows, up to *room*, one for each row."""
        return [each.name for each in self._grants for _ in range(each.count)][:room]

    def use(self, rows: int, wanted: int) -> None:
        """Note how many *rows* were taken, of the number that was *wanted*."""
        self._grants = _without(self._grants, rows)
        self._has_plenty = rows == wanted

    def wait(self) -> float:
        """Return the seconds until the first SMTP user may send."""
        return self._budgets.wait()

    def end_step(self, connection: Connection) -> None:
        """On SQLite: give back what is not needed, in the step."""
        if not self._is_server:
            self._give_back(connection)

    def after_step(self) -> None:
        """On a server: give back what is not needed. If that fails, the next step does it."""
        self._before = []
        if any(each.time is not None for each in self._grants):
            with suppress(LedgerError), self._database.statements() as alone:
                self._give_back(alone)

    def step_failed(self) -> None:
        """Note that the step was undone; what was booked before it is still to be given back."""
        self._budgets.forget()
        self._grants = self._before

    def _book(
        self, connection: Connection, finished: Sequence[Finished], room: int, held: Iterable[Work]
    ) -> None:
        budgets, rows = self._budgets, BudgetRows(connection)
        self._give_back(connection)
        refused, accepted = self._refusals(finished)
        for name in sorted(refused):
            budgets.refuse(rows, name, refused[name])
        for name in sorted(accepted):
            budgets.accept(rows, name)
        if room <= 0:
            return
        budgets.read(rows, self._batch)
        if budgets.is_limited and not self._has_plenty:
            counted = connection.execute(COUNT_DUE, {"of": self._batch, "room": room})
            room = int(counted.scalar_one())
        self._grants = budgets.grant(rows, room, _in_work(finished, held))

    def _give_back(self, connection: Connection) -> None:
        self._budgets.give_back(BudgetRows(connection), self._grants)
        self._grants = []

    def _refusals(self, finished: Sequence[Finished]) -> tuple[dict[str, float], set[str]]:
        """
        Return the SMTP users that got a 429, with the longest Retry-After, and those that may send
        again after one.
        """
        refused: dict[str, float] = {}
        accepted: set[str] = set()
        for work, verdict in ((each.work, each.verdict) for each in finished):
            name = work.smtp_user_name
            if verdict.refused is not None:
                refused[name] = max(verdict.refused, refused.get(name, 0.0))
            if verdict == ACCEPTED and self._budgets.was_refused(name):
                accepted.add(name)
        return refused, accepted - refused.keys()


def _in_work(finished: Sequence[Finished], held: Iterable[Work]) -> Counter[str]:
    """Count the mails in work of each SMTP user, without those that have *finished*."""
    ended = {each.work.id for each in finished}
    return Counter(
        work.smtp_user_name for work in held if work.state is State.SENDING and work.id not in ended
    )


def _without(grants: Sequence[Grant], used: int) -> list[Grant]:
    """Return what is left of *grants* after so many requests of the first ones."""
    left: list[Grant] = []
    for grant in grants:
        unused = max(0, grant.count - used)
        used -= grant.count - unused
        if unused:
            left.append(attrs.evolve(grant, count=unused))
    return left
