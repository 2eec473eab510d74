"""
A worker on a ledger: it takes rows under a lease, and writes down what became of them.

One step is one transaction. It writes the outcomes of finished rows, prolongs the leases of those
in hand, turns rows whose lease ran out into unknown ones, and takes new rows: the move to *sending*
is on the disk when it returns, and nothing was sent before. Many rows share a step, so that many
share the wait for the disk.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Executable, and_, func, select, update

from poweremail._ledger.clock import awake, passed
from poweremail._ledger.database import Database
from poweremail._ledger.ledger import Ledger, open_unknown, pause
from poweremail._ledger.rate_limits import Budgets
from poweremail._ledger.schema import contents, messages
from poweremail._ledger.statements import PLANNED, TAKE, UNKNOWN, WRITE, written
from poweremail._ledger.states import TRANSITIONS, State
from poweremail._ledger.values import Finished, Step, Work
from poweremail._ledger.verdicts import ACCEPTED
from poweremail._policy.limits import RateLimits

__all__ = ["Worker"]

_log = logging.getLogger("poweremail.batch")

_POLL = 1.0
"""How many seconds may pass until a pause, or what another worker left, is noticed."""

_SWEEP = 0.2
"""How many seconds pass between two looks for what is unknown and for leases that ran out."""

_FILES_IN_MEMORY = 32 * 1024 * 1024

_row = messages.c


class _LostError(Exception):
    """A row was given to another worker: the transaction is taken back."""


class Worker:
    """
    One worker on the batch with the number *batch*, sending as *smtp_users* within *limits*.

    Whoever does not prolong its leases for *lease* seconds of the ledger's clock has lost them: its
    rows become unknown, and what it has to say about them later is not written any more.
    """

    def __init__(
        self,
        ledger: Ledger,
        batch: int,
        smtp_users: Sequence[str],
        limits: Mapping[str, RateLimits],
        *,
        lease: float,
    ) -> None:
        self.owner = uuid.uuid4().hex
        self._database: Database = ledger.database
        self._batch = batch
        self._lease = lease
        self._budgets = Budgets(smtp_users, limits)
        self._held: dict[int, Work] = {}
        self._stepping = threading.Lock()
        self._retired = False
        self._renewed = self._swept = 0.0
        # The time, whether the batch is paused, and whether it is a rehearsal by now: asked
        # together, in every step.
        self._look = self._database.look(batch)
        self._files: OrderedDict[str, bytes] = OrderedDict()

    def retire(self) -> tuple[Work, ...]:
        """Take no more rows, a step that has not begun yet included, and return those in hand."""
        with self._stepping:
            self._retired = True
            return tuple(self._held.values())

    def begin(self) -> None:
        """
        Announce the SMTP users, and have every unknown mail looked up once more, before others are
        sent.
        """
        with self._database.transaction() as connection:
            now = self._database.now(connection)
            self._budgets.enrol(connection, now)
            given_up = and_(
                _row.batch == self._batch,
                _row.state == State.UNKNOWN,
                _row.due.is_(None),
                _row.lease_owner.is_(None),
            )
            connection.execute(update(messages).where(given_up).values(due=now))

    def step(self, finished: Sequence[Finished], room: int) -> Step:
        """
        Write down what is *finished*, and take up to *room* rows. Raises `LedgerError`; then
        nothing of it has happened.
        """
        # A step whose caller was cancelled runs on in its thread, beside the one that puts things
        # in order.
        with self._stepping:
            return self._step(finished, 0 if self._retired else room)

    def _step(self, finished: Sequence[Finished], room: int) -> Step:
        valid_until = awake() + self._lease / 2
        if room > 0:
            self._database.check_room(room + len(self._held))
        try:
            step = self._transact_own(finished, room, valid_until)
        except BaseException:
            self._budgets.forget()
            raise
        for each in (*finished, *step.lost):
            self._held.pop(each.work.id, None)
        self._held |= {work.id: work for work in step.work}
        return step

    def _transact_own(self, finished: Sequence[Finished], room: int, valid_until: float) -> Step:
        """Write down those of *finished* that are still this worker's, and tell which are not."""
        lost: list[Finished] = []
        while True:
            try:
                return self._transact(finished, lost, room, valid_until)
            except _LostError:
                # Rare enough to be done once more, with a look at each row first; meanwhile another
                # row may be lost.
                finished, more = self._sorted(finished)
                if not more:
                    raise
                lost += more

    def _transact(
        self, finished: Sequence[Finished], lost: Sequence[Finished], room: int, valid_until: float
    ) -> Step:
        with self._database.transaction() as connection:
            now, paused, rehearsal = connection.execute(self._look).one()
            self._budgets.read(connection, now)
            if finished:
                self._record(connection, now, finished)
                paused = next(
                    (each.verdict.pause for each in finished if each.verdict.pause is not None),
                    paused,
                )
            renewing = passed(self._renewed, now, self._lease / 4)
            if renewing and self._held:
                of_batch = and_(
                    _row.batch == self._batch, _row.state.in_([State.SENDING, State.UNKNOWN])
                )
                mine = and_(of_batch, _row.lease_owner == self.owner)
                connection.execute(
                    update(messages).where(mine).values(lease_until=now + self._lease)
                )
            work, wait = self._take(connection, now, 0 if paused is not None else room, valid_until)
            _log.debug("uncommitted")
        if renewing:
            self._renewed = now
        return Step(
            recorded=tuple(finished),
            lost=tuple(lost),
            work=tuple(work),
            wait=wait,
            paused=paused,
            rehearsal=rehearsal,
        )

    def _take(
        self, connection: Connection, now: float, room: int, valid_until: float
    ) -> tuple[list[Work], float | None]:
        if room <= 0:
            return [], 0.0
        work: list[Work] = []
        if passed(self._swept, now, _SWEEP):
            self._expire(connection, now)
            # What is unknown is looked up before anything else is sent.
            work += self._take_unknown(connection, now, room, valid_until)
            if len(work) < room:
                self._swept = now
        work += self._take_planned(connection, now, room - len(work), valid_until)
        return work, 0.0 if len(work) == room else self._wait(connection, now)

    def _record(self, connection: Connection, now: float, finished: Sequence[Finished]) -> None:
        """
        Write *finished* down. Raises `_LostError` where one of them belongs to another worker by
        now.
        """
        for each in finished:
            if each.verdict.state not in TRANSITIONS[each.work.state]:
                raise AssertionError(f"{each.work.state} cannot become {each.verdict.state}")
        if connection.execute(WRITE, [written(each, now) for each in finished]).rowcount != len(
            finished
        ):
            raise _LostError
        refused: dict[str, float] = {}
        for each in finished:
            if each.verdict.refused is not None:
                refused[each.work.smtp_user_name] = max(
                    each.verdict.refused, refused.get(each.work.smtp_user_name, 0.0)
                )
            if each.verdict.pause is not None:
                pause(connection, self._batch, now, each.verdict.pause)
        if refused:
            self._budgets.refuse(connection, now, refused)
        taken = {each.work.smtp_user_name for each in finished if each.verdict == ACCEPTED}
        self._budgets.welcome(connection, now, taken - refused.keys())

    def _sorted(self, finished: Sequence[Finished]) -> tuple[list[Finished], list[Finished]]:
        """Those of *finished* that are still this worker's, and those that are not."""
        with self._database.reading() as connection:
            found = select(_row.id, _row.fence).where(
                _row.id.in_([each.work.id for each in finished])
            )
            fences = {row.id: row.fence for row in connection.execute(found)}
        mine = [each for each in finished if fences.get(each.work.id) == each.work.fence]
        return mine, [each for each in finished if each not in mine]

    def _expire(self, connection: Connection, now: float) -> None:
        """
        Whose worker is gone is unknown from now on; a look-up that was not finished is simply free
        again.
        """
        gone = and_(
            _row.batch == self._batch,
            _row.state.in_([State.SENDING, State.UNKNOWN]),
            _row.lease_until < now,
        )
        found = select(_row.id, _row.state).where(gone).with_for_update(skip_locked=True)
        rows = connection.execute(found).all()
        free: dict[str, Any] = {
            "fence": _row.fence + 1,
            "lease_owner": None,
            "lease_until": None,
            "due": now,
        }
        sending = [number for number, state in rows if state == State.SENDING]
        if sending:
            words = {
                "error_kind": "LeaseExpired",
                "error": "the worker that had it was gone before it told the outcome",
            }
            values = free | words | {"state": State.UNKNOWN, "unknown_since": now, "looks": 0}
            connection.execute(update(messages).where(_row.id.in_(sending)).values(**values))
        looked_up = [number for number, state in rows if state == State.UNKNOWN]
        if looked_up:
            connection.execute(update(messages).where(_row.id.in_(looked_up)).values(**free))

    def _take_unknown(
        self, connection: Connection, now: float, room: int, valid_until: float
    ) -> list[Work]:
        rows = self._next(connection, UNKNOWN, now, room)
        if rows:
            lease = {
                "fence": _row.fence + 1,
                "lease_owner": self.owner,
                "lease_until": now + self._lease,
                "due": None,
            }
            connection.execute(
                update(messages).where(_row.id.in_([row.id for row in rows])).values(**lease)
            )
        return self._work(
            connection,
            rows,
            State.UNKNOWN,
            [row.smtp_user_name or "" for row in rows],
            now,
            valid_until,
        )

    def _take_planned(
        self, connection: Connection, now: float, room: int, valid_until: float
    ) -> list[Work]:
        if room <= 0 or self._budgets.wait(now) > 0.0:
            return []
        rows = self._next(connection, PLANNED, now, room)
        on_the_way = Counter(
            work.smtp_user_name for work in self._held.values() if work.state is State.SENDING
        )
        names = self._budgets.assign(connection, now, len(rows), on_the_way)
        rows = rows[: len(names)]
        if rows:
            lease = {"owner": self.owner, "until": now + self._lease, "at": now}
            taken = [
                lease | {"row": row.id, "name": name} for row, name in zip(rows, names, strict=True)
            ]
            connection.execute(TAKE, taken)
        return self._work(connection, rows, State.SENDING, names, now, valid_until)

    def _next(
        self, connection: Connection, wanted: Executable, now: float, room: int
    ) -> Sequence[Any]:
        return connection.execute(wanted, {"of": self._batch, "now": now, "room": room}).all()

    def _work(
        self,
        connection: Connection,
        rows: Sequence[Any],
        state: State,
        names: Iterable[str],
        now: float,
        valid_until: float,
    ) -> list[Work]:
        return [
            Work(
                id=row.id,
                fence=row.fence + 1,
                state=state,
                key=row.key,
                unique_id=row.unique_id,
                payload=row.payload,
                contents=self._contents(connection, row.files) if row.files else {},
                attempts=row.attempts,
                looks=row.looks,
                smtp_user_name=name,
                source=row.source,
                line=row.line,
                taken=now,
                unknown_since=now if row.unknown_since is None else row.unknown_since,
                valid_until=valid_until,
            )
            for row, name in zip(rows, names, strict=True)
        ]

    def _contents(self, connection: Connection, files: str) -> dict[str, bytes]:
        wanted: dict[str, bytes] = {}
        for digest in json.loads(files):
            content = self._files.pop(digest, None)
            if content is None:
                content = connection.execute(
                    select(contents.c.content).where(contents.c.digest == digest)
                ).scalar_one()
            wanted[digest] = self._files[digest] = content
        # The ones that were used last stay.
        while len(self._files) > 1 and sum(map(len, self._files.values())) > _FILES_IN_MEMORY:
            self._files.popitem(last=False)
        return wanted

    def _wait(self, connection: Connection, now: float) -> float | None:
        """In how many seconds there may be more to do, None for never."""
        of_batch = _row.batch == self._batch
        left = (
            _row.state == State.PLANNED,
            _row.state == State.SENDING,
            and_(_row.state == State.UNKNOWN, open_unknown()),
        )
        if all(
            connection.execute(select(_row.id).where(of_batch, each).limit(1)).first() is None
            for each in left
        ):
            return None
        waits = [_POLL]
        for state in (State.PLANNED, State.UNKNOWN):
            first = select(func.min(_row.due)).where(of_batch, _row.state == state)
            due = connection.execute(first).scalar()
            if due is not None:
                waits.append(
                    max(due - now, self._budgets.wait(now) if state is State.PLANNED else 0.0)
                )
        return max(0.01, min(waits))
