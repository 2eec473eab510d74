"""
The ledger against a model of it: in any order of steps and deaths of workers, no row is lost, held
twice or written by two workers.
"""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from sqlalchemy import text

from poweremail._ledger import State
from poweremail._ledger.values import Finished, Work
from poweremail._ledger.verdicts import RELEASED, SEEN
from poweremail.batch import Ledger
from poweremail.errors import LedgerError
from support.ledgers import (
    ACCEPTED,
    Verdict,
    connection_lost,
    entries,
    let_leases_end,
    states,
    worker,
)

OF_SENDS = {
    "accepted": ACCEPTED,
    "rejected": Verdict(state=State.REJECTED, attempted=True),
    "not_sent": Verdict(state=State.NOT_SENT, attempted=True),
    "unknown": Verdict(state=State.UNKNOWN, attempted=True, delay=0.0),
    "planned": RELEASED,
}
OF_LOOKS = {
    "accepted": SEEN,
    "unknown": Verdict(state=State.UNKNOWN, looked=True, delay=0.0),
    "given up": Verdict(state=State.UNKNOWN, looked=True),
    "planned": Verdict(state=State.PLANNED, delay=0.0),
}


class Batches(RuleBasedStateMachine):
    workers = Bundle("workers")

    @initialize(target=workers)
    def begin(self):
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger(Path(self.folder.name, "ledger.db"))
        with self.ledger.database.transaction() as connection:
            # What is on the disk after a crash of the machine is not the question here.
            connection.execute(text("SELECT 1"))
        self.batch = self.ledger.create("news")
        self.model: dict[str, str] = {}
        self.held: dict[object, dict[int, Work]] = {}
        self.lost: dict[object, dict[int, Work]] = {}
        self.looked_up: set[str] = set()
        self.paused = False
        return multiple(*(self.hire() for _ in range(2)))

    def hire(self):
        it = worker(self.ledger, self.batch)
        self.looked_up.clear()
        self.held[it], self.lost[it] = {}, {}
        return it

    @rule(first=st.integers(0, 10), count=st.integers(1, 6))
    def add(self, first, count):
        adding = self.ledger.adding(self.batch)
        adding.add(entries(count, first))
        keys = [f"k{n}" for n in range(first, first + count)]
        assert adding.total.added == sum(key not in self.model for key in keys)
        self.model = dict.fromkeys(keys, "planned") | self.model

    @rule(it=workers, room=st.integers(1, 4))
    def take(self, it, room):
        step = it.step((), room)
        assert step.work == () or not self.paused
        busy = {work.key for held in self.held.values() for work in held.values()}
        for work in step.work:
            assert work.key not in busy
            assert self.model[work.key] == ("planned" if work.state is State.SENDING else "unknown")
            assert work.key not in self.looked_up
            self.model[work.key] = work.state.value
            self.held[it][work.id] = work
        if not self.paused and len(step.work) < room:
            free = {key for key, state in self.model.items() if state == "planned"}
            free |= (
                {key for key, state in self.model.items() if state == "unknown"}
                - busy
                - self.looked_up
            )
            assert free - {work.key for work in step.work} == set()

    @rule(it=workers, data=st.data())
    def finish(self, it, data):
        for work in list(self.held[it].values())[: data.draw(st.integers(0, 4))]:
            verdicts = OF_SENDS if work.state is State.SENDING else OF_LOOKS
            name = data.draw(st.sampled_from(sorted(verdicts)))
            step = it.step([Finished(work=work, verdict=verdicts[name])], 0)
            assert (len(step.recorded), len(step.lost)) == (1, 0)
            del self.held[it][work.id]
            self.model[work.key] = "unknown" if name == "given up" else name
            if name == "given up":
                self.looked_up.add(work.key)

    @rule(it=workers)
    def stand_still(self, it):
        """Its leases run out, and somebody else finds out."""
        let_leases_end(self.ledger, it.owner)
        other = next(each for each in self.held if each is not it)
        it._renewed = 0.0
        if self.paused:
            self.ledger.resume(self.batch)
        # One that has no room for more than one look takes at most that.
        self.lost[it] |= self.held[it]
        for work in self.held[it].values():
            self.model[work.key] = "unknown"
        self.held[it] = {}
        self.paused = False
        self.take(other, 1)

    @rule(it=workers)
    def come_back_too_late(self, it):
        late = [
            Finished(work=work, verdict=ACCEPTED if work.state is State.SENDING else SEEN)
            for work in self.lost[it].values()
        ]
        self.lost[it] = {}
        if late:
            step = it.step(late, 0)
            assert (step.recorded, len(step.lost)) == ((), len(late))

    @rule(it=workers, room=st.integers(0, 4), committed=st.booleans())
    def lose_the_connection(self, it, room, committed):
        """The step may have happened or not. The next one finds out, and nothing is lost."""
        finished = [
            Finished(work=work, verdict=ACCEPTED if work.state is State.SENDING else SEEN)
            for work in list(self.held[it].values())[:2]
        ]
        it._gives_up_at = 0.0  # it has been patient already
        with connection_lost(self.ledger, committed=committed), suppress(LedgerError):
            it.step(finished, room)
            raise AssertionError
        step = it.step(finished, 0)
        assert (step.recorded, step.lost, step.work) == (tuple(finished), (), ())
        for each in finished:
            del self.held[it][each.work.id]
            self.model[each.work.key] = "accepted"

    @rule()
    def pause(self):
        self.ledger.pause(self.batch, "because")
        self.paused = True

    @rule()
    def resume(self):
        self.ledger.resume(self.batch)
        self.paused = False

    @rule(which=st.sets(st.sampled_from([State.NOT_SENT, State.REJECTED, State.UNKNOWN])))
    def retry(self, which):
        expected = {
            key
            for key, state in self.model.items()
            if state in which and (state != "unknown" or key in self.looked_up)
        }
        assert self.ledger.retry(self.batch, frozenset(which)) == len(expected)
        self.model |= dict.fromkeys(expected, "planned")
        self.looked_up -= expected

    @invariant()
    def the_ledger_is_the_model(self):
        if hasattr(self, "ledger"):
            assert states(self.ledger, self.batch) == self.model
            status = self.ledger.status(self.batch)
            assert {state: count for state, count in status.counts.items() if count} == {
                state: list(self.model.values()).count(state) for state in set(self.model.values())
            }

    def teardown(self):
        if hasattr(self, "ledger"):
            self.ledger.close()
            self.folder.cleanup()


TestBatches = Batches.TestCase
TestBatches.settings = settings(
    max_examples=12,
    stateful_step_count=20,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)
