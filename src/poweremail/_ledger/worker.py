"""
A worker on a batch: it takes rows under a lease, and writes their results.

Theory of operation. A worker has one operation, `Worker.step`, and each step is one transaction. It
writes the results of finished rows, renews the leases of the rows in work, turns rows whose lease
has ended into unknown ones, and takes new rows. When it returns, all of that is on the disk. So the
caller may send what the step returned, and report what it recorded. A transaction costs a wait for
the disk; many rows share it, the more the slower the disk is.

The invariant: at most one worker may write to a row. Each change of owner increases the row's
fence, and a result is written only if the fence is still that of its worker. If some of the results
do not match, the whole transaction is rolled back and repeated without them, and the caller learns
which were lost. A process that stood still does not begin a request after half of its lease
(`Work.is_stale`), because its rows may have another owner soon.

How it is tested: `tests/batch/test_states.py` drives workers at random against a model, and the
crash test kills real ones between any two of the lines that are logged here.
"""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, func, select, update

from poweremail._ledger.database import Database, elapsed
from poweremail._ledger.rate_limits import Budgets
from poweremail._ledger.schema import contents, messages
from poweremail._ledger.statements import (
    EXPIRED,
    LOOK,
    PLANNED,
    RENEW,
    TAKE,
    UNKNOWN,
    WRITE,
    is_open,
    pause_batch,
    write_parameters,
)
from poweremail._ledger.states import TRANSITIONS, State
from poweremail._ledger.values import Finished, Step, Work, boot_time
from poweremail._ledger.verdicts import ACCEPTED
from poweremail._policy.limits import RateLimits

__all__ = ["Worker"]

_log = logging.getLogger("poweremail.batch")

_POLL_SECONDS = 1.0
"""The longest time until a pause, or a row that another worker released, is noticed."""

_SWEEP_SECONDS = 0.2
"""The time between two searches for unknown rows and for leases that have ended."""

_MIN_WAIT_SECONDS = 0.01
_MAX_CACHED_FILE_BYTES = 32 * 1024 * 1024

_row = messages.c


class _LostError(Exception):
    """Another worker has one of the rows: the transaction is rolled back."""


class Worker:
    """
    One worker on the batch with the number *batch*, sending as *smtp_users* within *limits*.

    A worker that does not renew its leases for *lease* seconds of the ledger's clock has lost them:
    its rows become unknown, and its results for them are not written any more.
    """

    def __init__(
        self,
        database: Database,
        batch: int,
        smtp_users: Sequence[str],
        limits: Mapping[str, RateLimits],
        *,
        lease: float,
    ) -> None:
        self.owner: str = uuid.uuid4().hex
        self._database = database
        self._batch = batch
        self._lease = lease
        self._budgets = Budgets(smtp_users, limits)
        self._held: dict[int, Work] = {}
        self._step_lock = threading.Lock()
        self._retired = False
        self._renewed = self._swept = 0.0
        self._files: OrderedDict[str, bytes] = OrderedDict()

    def retire(self) -> tuple[Work, ...]:
        """Take no more rows, not even in a step that waits to begin; return the rows in work."""
        with self._step_lock:
            self._retired = True
            return tuple(self._held.values())

    def begin(self) -> None:
        """Register the SMTP users, and have every unknown mail looked up once more."""
        with self._database.transaction() as connection:
            now = self._database.now(connection)
            self._budgets.register(connection, now)
            given_up = and_(_row.batch == self._batch, _row.state == State.UNKNOWN, ~is_open())
            connection.execute(update(messages).where(given_up).values(due=now))

    def step(self, finished: Sequence[Finished], room: int) -> Step:
        """
        Write the results *finished*, and take up to *room* rows.

        Raises `LedgerError`; then nothing of it has happened.
        """
        # If the caller of a step is cancelled, the step goes on in its thread, beside the one that
        # cleans up.
        with self._step_lock:
            return self._step(finished, 0 if self._retired else room)

    def _step(self, finished: Sequence[Finished], room: int) -> Step:
        valid_until = boot_time() + self._lease / 2
        self._database.check_file()
        if room > 0:
            self._database.check_room(room + len(self._held))
        try:
            step = self._transact_own(finished, room, valid_until)
        except BaseException:
            self._budgets.discard_copies()
            raise
        for each in (*finished, *step.lost):
            self._held.pop(each.work.id, None)
        self._held |= {work.id: work for work in step.work}
        return step

    def _transact_own(self, finished: Sequence[Finished], room: int, valid_until: float) -> Step:
        """Make the step with those of *finished* whose rows are still held, and list the others."""
        lost: list[Finished] = []
        while True:
            try:
                return self._transact(finished, lost, room, valid_until)
            except _LostError:
                # This is rare, so it may take another transaction. Meanwhile a further row may be
                # lost.
                finished, more = self._split_held(finished)
                if not more:
                    raise
                lost += more

    def _transact(
        self, finished: Sequence[Finished], lost: Sequence[Finished], room: int, valid_until: float
    ) -> Step:
        with self._database.transaction() as connection:
            now, paused, rehearsal = connection.execute(LOOK, {"of": self._batch}).one()
            self._budgets.read(connection, now)
            if finished:
                self._record(connection, now, finished)
                reasons = (each.verdict.pause for each in finished)
                paused = next((reason for reason in reasons if reason is not None), paused)
            renewing = elapsed(self._renewed, now, self._lease / 4)
            if renewing and self._held:
                until = now + self._lease
                connection.execute(RENEW, {"of": self._batch, "owner": self.owner, "until": until})
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
        if elapsed(self._swept, now, _SWEEP_SECONDS):
            self._expire(connection, now)
            # Unknown rows are looked up before others are sent.
            work += self._take_unknown(connection, now, room, valid_until)
            if len(work) < room:
                self._swept = now
        work += self._take_planned(connection, now, room - len(work), valid_until)
        return work, 0.0 if len(work) == room else self._wait(connection, now)

    def _record(self, connection: Connection, now: float, finished: Sequence[Finished]) -> None:
        """Write *finished*. Raises `_LostError` if another worker holds one of the rows."""
        for each in finished:
            if each.verdict.state not in TRANSITIONS[each.work.state]:
                raise AssertionError(f"{each.work.state} cannot become {each.verdict.state}")
        written = connection.execute(WRITE, [write_parameters(each, now) for each in finished])
        if written.rowcount != len(finished):
            raise _LostError
        refused: dict[str, float] = {}
        for each in finished:
            name, verdict = each.work.smtp_user_name, each.verdict
            if verdict.refused is not None:
                refused[name] = max(verdict.refused, refused.get(name, 0.0))
            if verdict.pause is not None:
                pause_batch(connection, self._batch, now, verdict.pause)
        self._budgets.record_refusal(connection, now, refused)
        accepted = {each.work.smtp_user_name for each in finished if each.verdict == ACCEPTED}
        self._budgets.record_success(connection, now, accepted - refused.keys())

    def _split_held(self, finished: Sequence[Finished]) -> tuple[list[Finished], list[Finished]]:
        """Return those of *finished* whose rows are still held, and the others."""
        with self._database.reading() as connection:
            found = select(_row.id, _row.fence).where(
                _row.id.in_([each.work.id for each in finished])
            )
            fences = {row.id: row.fence for row in connection.execute(found)}
        held = [each for each in finished if fences.get(each.work.id) == each.work.fence]
        return held, [each for each in finished if each not in held]

    def _expire(self, connection: Connection, now: float) -> None:
        """
        Release the rows of dead workers: a mail that was being sent becomes unknown, a look-up
        becomes due again.
        """
        rows = connection.execute(EXPIRED, {"of": self._batch, "now": now}).all()
        unknown: dict[str, Any] = {
            "state": State.UNKNOWN,
            "unknown_since": now,
            "looks": 0,
            "error_kind": "LeaseExpired",
            "error": "the worker that had it was gone before it reported the outcome",
        }
        for state, changes in ((State.SENDING, unknown), (State.UNKNOWN, {})):
            numbers = [row.id for row in rows if row.state == state]
            if numbers:
                connection.execute(
                    update(messages)
                    .where(_row.id.in_(numbers))
                    .values(
                        fence=_row.fence + 1, lease_owner=None, lease_until=None, due=now, **changes
                    )
                )

    def _take_unknown(
        self, connection: Connection, now: float, room: int, valid_until: float
    ) -> list[Work]:
        due = {"of": self._batch, "now": now, "room": room}
        rows = connection.execute(UNKNOWN, due).all()
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
        return [
            self._work(connection, row, State.UNKNOWN, row.smtp_user_name or "", now, valid_until)
            for row in rows
        ]

    def _take_planned(
        self, connection: Connection, now: float, room: int, valid_until: float
    ) -> list[Work]:
        if room <= 0 or self._budgets.wait(now) > 0.0:
            return []
        rows = connection.execute(PLANNED, {"of": self._batch, "now": now, "room": room}).all()
        in_work = Counter(
            work.smtp_user_name for work in self._held.values() if work.state is State.SENDING
        )
        names = self._budgets.assign(connection, now, len(rows), in_work)
        taken = list(zip(rows, names, strict=False))  # the limits may allow fewer
        if taken:
            lease = {"owner": self.owner, "until": now + self._lease, "at": now}
            connection.execute(TAKE, [lease | {"row": row.id, "name": name} for row, name in taken])
        return [
            self._work(connection, row, State.SENDING, name, now, valid_until)
            for row, name in taken
        ]

    def _work(
        self,
        connection: Connection,
        row: Any,
        state: State,
        name: str,
        now: float,
        valid_until: float,
    ) -> Work:
        members = row._asdict() | {
            "fence": row.fence + 1,
            "smtp_user_name": name,
            "unknown_since": now if row.unknown_since is None else row.unknown_since,
        }
        files = members.pop("files")
        return Work(
            **members,
            contents=self._contents(connection, files) if files else {},
            state=state,
            taken=now,
            valid_until=valid_until,
        )

    def _contents(self, connection: Connection, files: str) -> dict[str, bytes]:
        wanted: dict[str, bytes] = {}
        for digest in json.loads(files):
            content = self._files.pop(digest, None)
            if content is None:
                content = connection.execute(
                    select(contents.c.content).where(contents.c.digest == digest)
                ).scalar_one()
            wanted[digest] = self._files[digest] = content
        # The files that were used last stay in the cache.
        while len(self._files) > 1 and sum(map(len, self._files.values())) > _MAX_CACHED_FILE_BYTES:
            self._files.popitem(last=False)
        return wanted

    def _wait(self, connection: Connection, now: float) -> float | None:
        """Return the seconds until there may be more to do; None if there will be nothing."""
        of_batch = _row.batch == self._batch
        left = (
            _row.state == State.PLANNED,
            _row.state == State.SENDING,
            and_(_row.state == State.UNKNOWN, is_open()),
        )
        if all(
            connection.execute(select(_row.id).where(of_batch, each).limit(1)).first() is None
            for each in left
        ):
            return None
        waits = [_POLL_SECONDS]
        for state, budget in ((State.PLANNED, self._budgets.wait(now)), (State.UNKNOWN, 0.0)):
            first = select(func.min(_row.due)).where(of_batch, _row.state == state)
            due = connection.execute(first).scalar()
            if due is not None:
                waits.append(max(due - now, budget))
        return max(_MIN_WAIT_SECONDS, min(waits))
