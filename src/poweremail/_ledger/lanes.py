"""
The lanes of a batch: who may work on it, on all hosts together.

Theory of operation. A lane is a row with a lease, and the permission to be one of the workers of a
batch. Each worker holds one, takes it before its first row and leaves it after its last. A batch
with ``runners`` has so many lanes; without, a worker that finds none free makes one.

A task queue carries `Kick`: a lane and its turn. To take the lane spends the turn, and only the
current turn takes it. So kicks can be doubled, delivered again, late or lost: of all kicks of one
turn at most one begins to work, and what it sends on has the next turn, so kicks do not multiply. A
lost kick, and a worker that was killed, are replaced by `Lanes.beat`, which anybody may call at any
time. It kicks a lane again after growing intervals, so that a queue that nobody reads does not
grow.

The invariant: a lane has at most one holder whose lease has not ended, and no holder has a number
above ``runners``, except until the next heartbeat after ``runners`` was lowered. A holder that
stood still for longer than its lease learns at its next renewal, before it takes rows, that it has
lost the lane. Whoever works without a lane still doubles no mail: rows have leases of their own.

All times are the database's, so clocks of hosts do not matter.

How it is tested: `tests/batch/test_lanes.py` drives lanes at random against a model, and runs real
processes against a cap.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Collection
from typing import Literal, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    func,
    insert,
    select,
    update,
)

from poweremail._ledger.agenda import read_agenda
from poweremail._ledger.clock import Clock
from poweremail._ledger.database import Database
from poweremail._ledger.lane_conditions import (
    Lane,
    has_work,
    held_by,
    is_allowed,
    is_drained,
    is_free,
    is_kick_lost,
    is_same_drain,
    is_unfinished,
)
from poweremail._ledger.schema import batches, drains, lanes
from poweremail._ledger.statements import change_batch
from poweremail._ledger.values import Kick, LaneStatus
from poweremail._types.checks import is_whole, require
from poweremail.errors import ConfigurationError

Refused: TypeAlias = Literal["runners", "drained", "finished"]
"""Why there is no lane, or no longer: see `Worked`."""

_MAX_RUNNERS = 10_000
"""Each is a row, and all of them are made in one transaction."""

_MIN_KICK_SECONDS = 1.0
"""Mails that come within this time share a kick."""

_lane = lanes.c


def _here() -> tuple[str, int]:
    return socket.gethostname(), os.getpid()


class Lanes:
    """
    The lanes of all batches in *database*. *batch* is the number of a batch.

    *reports*: whether workers of this object call hooks. Then a batch whose hooks were not all
    called has work for them.
    *here*: returns the host and the number of the process.
    """

    def __init__(
        self,
        database: Database,
        reports: Callable[[], bool] = lambda: False,
        here: Callable[[], tuple[str, int]] = _here,
    ) -> None:
        self._database = database
        self._reports = reports
        self._here = here

    def start(self, batch: int, runners: int | None = None) -> list[Kick]:
        """
        Let up to *runners* workers on all hosts together work on *batch*, and end its drain.

        None keeps the number. Returns a kick for each lane that nobody holds. Raises
        `ConfigurationError` if no number was ever set.
        """
        with self._database.transaction() as connection:
            name, stored = self._lock(connection, batch)
            runners = stored if runners is None else runners
            if runners is None:
                raise ConfigurationError("say how many workers the batch may have", field="runners")
            self._allow(connection, batch, runners)
            connection.execute(delete(drains).where(drains.c.batch == batch))
            wanted = and_(_lane.batch == batch, _lane.lane <= runners, is_free())
            return self._kick(connection, {batch: name}, wanted)

    def take(self, kick: Kick, *, lease: float) -> Lane | Refused:
        """
        Take the lane of *kick* for *lease* seconds, and spend its turn.

        A drain refuses it without spending the turn.
        """
        with self._database.transaction() as connection:
            batch = connection.scalar(select(batches.c.id).where(batches.c.name == kick.batch))
            of_turn = and_(_lane.lane == kick.lane, _lane.turn == kick.turn)
            return self._take(connection, batch, of_turn, lease)

    def take_any(self, batch: int, *, lease: float) -> Lane | Refused:
        """
        Take a lane that nobody holds. Without ``runners`` one is made if there is none.

        The refusal is *finished* rather than *runners* if the batch has nothing left to do.
        """
        with self._database.transaction() as connection:
            _, runners = self._lock(connection, batch)
            free = select(func.min(_lane.lane)).where(_lane.batch == batch, is_free(), is_allowed())
            number = connection.scalar(free)
            if number is None and runners is None:
                number = self._last(connection, batch) + 1
                connection.execute(insert(lanes).values(batch=batch, lane=number))
            taken = self._take(connection, batch, _lane.lane == number, lease)
            is_left = is_unfinished(batch, reports=self._reports())
            if taken == "runners" and not connection.scalar(select(is_left)):
                return "finished"
            return taken

    def renew(self, lane: Lane, *, lease: float) -> Refused | None:
        """
        Hold *lane* for *lease* seconds from now; return why it must be left.

        *runners* says that another worker has it, or that fewer lanes are allowed now.
        """
        with self._database.transaction() as connection:
            held = held_by(lane)
            until = {"lease_until": Clock() + lease}
            connection.execute(update(lanes).where(held).values(until))
            columns = select(is_allowed(), is_drained(_lane.batch, _lane.host)).where(held)
            found = connection.execute(columns.select_from(lanes)).one_or_none()
        if found is None or not found[0]:
            return "runners"
        return "drained" if found[1] else None

    def leave(self, lane: Lane, again_in: float | None) -> tuple[float | None, Kick | None]:
        """
        Free *lane*, which is worth taking in *again_in* seconds, None for not by itself.

        Returns the seconds, which are 0.0 if somebody asked for the lane while it was held, and the
        kick for the next turn. There is none if another worker has taken the lane.
        """
        with self._database.transaction() as connection:
            asked = select(_lane.due, batches.c.name).join_from(lanes, batches)
            found = connection.execute(
                asked.where(held_by(lane)).with_for_update(of=lanes)
            ).one_or_none()
            if found is None:
                return None, None
            if found.due is not None:
                again_in = 0.0
            due = None if again_in is None else Clock() + again_in
            connection.execute(
                update(lanes)
                .where(held_by(lane))
                .values(owner=None, host=None, process=None, lease_until=None, due=due)
            )
        if again_in is None:
            return None, None
        return again_in, Kick(found.name, lane.lane, lane.turn)

    def beat(self, batch: int | None = None) -> list[Kick]:
        """
        Return kicks that replace lost ones: for lanes of *batch*, or of all batches, that nobody
        holds although there is work for them.

        Call it every 30 seconds, on as many hosts as you like. Only batches that were started have
        such lanes.
        """
        with self._database.transaction() as connection:
            wanted = has_work(None, reports=self._reports())
            if batch is not None:
                wanted = and_(wanted, batches.c.id == batch)
            started = select(batches.c.id, batches.c.name).where(
                batches.c.runners.is_not(None), wanted
            )
            names = {row.id: row.name for row in connection.execute(started)}
            now = self._database.now(connection)
            wanted = and_(_lane.batch.in_(names), is_allowed(), is_free(), is_kick_lost(now))
            return self._kick(connection, names, wanted) if names else []

    def kick(self, batch: int, *, runners: int) -> Kick | None:
        """
        Return a kick for a new mail of *batch*, or None if there is nothing to be sent to a queue.

        A worker that is about to end comes again, and a kick that was sent within the last second
        is on its way. Call it after the commit of the mail. *runners*: the most workers on all
        hosts together, for a batch that was never started.
        """
        with self._database.transaction() as connection:
            name, stored = self._lock(connection, batch)
            if stored is None:
                self._allow(connection, batch, runners)
            of_batch = and_(_lane.batch == batch, is_allowed())
            late = Clock() - _MIN_KICK_SECONDS
            free = select(_lane.lane, _lane.kicked).where(of_batch, is_free())
            on_its_way = free.where(_lane.kicked > late).limit(1)
            connection.execute(update(lanes).where(of_batch, ~is_free()).values(due=Clock()))
            if connection.execute(on_its_way).first() is not None:
                return None
            number = connection.scalar(free.with_only_columns(func.min(_lane.lane)))
            if number is None:
                return None
            wanted = and_(_lane.batch == batch, _lane.lane == number, is_free())
            return next(iter(self._kick(connection, {batch: name}, wanted)), None)

    def drain(self, batch: int | None = None, host: str | None = None) -> None:
        """
        Let the workers of *batch* (None: of all batches) on *host* (None: on all) end after the
        mails in work, and none begin, until `undrain`.
        """
        with self._database.transaction() as connection:
            connection.execute(delete(drains).where(*is_same_drain(batch, host)))
            connection.execute(insert(drains).values(batch=batch, host=host, since=Clock()))

    def undrain(self, batch: int | None = None, host: str | None = None) -> None:
        """End the drain that was begun with the same arguments."""
        with self._database.transaction() as connection:
            connection.execute(delete(drains).where(*is_same_drain(batch, host)))

    def workers(self, batch: int) -> list[LaneStatus]:
        """The workers of *batch*, by their lanes."""
        columns = (_lane.lane, _lane.host, _lane.process, _lane.taken, _lane.lease_until)
        lost = (_lane.lease_until < Clock()).label("lost")
        drained = is_drained(_lane.batch, _lane.host).label("drained")
        wanted = select(*columns, lost, drained).select_from(lanes)
        held = wanted.where(_lane.batch == batch, _lane.owner.is_not(None)).order_by(_lane.lane)
        with self._database.reading() as connection:
            rows = connection.execute(held).all()
        return [LaneStatus(**row._asdict()) for row in rows]

    def agenda(self, smtp_users: Collection[str], *, urgent: bool = False) -> dict[str, float]:
        """
        The batches that a worker on this host which sends as *smtp_users* may work on, each with
        the seconds until it has something to do.

        They are not finished, paused or drained, and one of their lanes is free. Outboxes come
        first, then batches, the oldest of each first. *urgent*: only outboxes with a mail that is
        due to be sent.
        """
        host, _ = self._here()
        return read_agenda(self._database, smtp_users, host, reports=self._reports(), urgent=urgent)

    @staticmethod
    def _lock(connection: Connection, batch: int) -> tuple[str, int | None]:
        """Let nobody else start or take lanes of *batch*; return its name and its runners."""
        row = select(batches.c.name, batches.c.runners).where(batches.c.id == batch)
        # Mails can be added meanwhile: that needs the key of the row only.
        name, runners = connection.execute(row.with_for_update(key_share=True)).one()
        return name, runners

    def _allow(self, connection: Connection, batch: int, runners: int) -> None:
        """Let *batch* have so many lanes."""
        is_number = is_whole(runners, 1) and runners <= _MAX_RUNNERS
        require("runners", runners, f"a number from 1 to {_MAX_RUNNERS:,}", is_number)
        change_batch(connection, batch, runners=runners)
        for number in range(self._last(connection, batch) + 1, runners + 1):
            connection.execute(insert(lanes).values(batch=batch, lane=number, due=Clock()))

    @staticmethod
    def _last(connection: Connection, batch: int) -> int:
        number = connection.scalar(select(func.max(_lane.lane)).where(_lane.batch == batch))
        return number or 0

    def _take(
        self,
        connection: Connection,
        batch: int | None,
        wanted: ColumnElement[bool],
        lease: float,
    ) -> Lane | Refused:
        owner, (host, process) = uuid.uuid4().hex, self._here()
        if connection.scalar(select(is_drained(batch, host))):
            return "drained"
        taken = (
            update(lanes)
            .where(_lane.batch == batch, wanted, is_free(), is_allowed())
            .values(
                turn=_lane.turn + 1,
                due=None,
                owner=owner,
                host=host,
                process=process,
                kicked=None,
                taken=Clock(),
                lease_until=Clock() + lease,
            )
        )
        if not connection.execute(taken).rowcount:
            return "runners"
        row = select(_lane.batch, _lane.lane, _lane.turn, _lane.owner)
        return Lane(*connection.execute(row.where(_lane.owner == owner)).one())

    @staticmethod
    def _kick(
        connection: Connection, names: dict[int, str], wanted: ColumnElement[bool]
    ) -> list[Kick]:
        """Return kicks for the lanes that are *wanted*, which are due now at the latest."""
        rows = select(_lane.batch, _lane.lane, _lane.turn).where(wanted)
        ordered = rows.order_by(_lane.batch, _lane.lane).with_for_update()
        found = connection.execute(ordered).all()
        for row in found:
            connection.execute(
                update(lanes)
                .where(_lane.batch == row.batch, _lane.lane == row.lane)
                .values(kicked=Clock(), due=func.coalesce(_lane.due, Clock()))
            )
        return [Kick(names[row.batch], row.lane, row.turn) for row in found]
