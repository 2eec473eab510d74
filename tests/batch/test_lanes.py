"""
Lanes against a model of them: in any order of kicks that come late, twice or never, of deaths and
drains, no lane has two holders, a turn is spent once, and kicks do not multiply.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import Engine, event, update

from poweremail._ledger.lane_conditions import Lane
from poweremail._ledger.schema import lanes
from poweremail._ledger.values import boot_time
from poweremail.batch import Kick, Ledger
from support.ledgers import fill, lanes_on

HOSTS = st.sampled_from(["web-1", "web-2"])


def shift(ledger: Ledger, seconds: float) -> None:
    """Move all times of lanes back, as if so many *seconds* passed."""
    names = ("due", "taken", "lease_until", "kicked")
    with ledger.database.transaction() as connection:
        connection.execute(update(lanes).values({name: lanes.c[name] - seconds for name in names}))


def let_lease_end(ledger: Ledger, lane: int) -> None:
    with ledger.database.transaction() as connection:
        connection.execute(update(lanes).where(lanes.c.lane == lane).values(lease_until=0.0))


class Lanes(RuleBasedStateMachine):
    """The clock of the database is moved by hand, and stands still otherwise."""

    def set_clock(self, connection, _):
        epoch = 2440587.5
        connection.create_function("julianday", 1, lambda _: epoch + self.now / 86_400.0)

    @initialize(runners=st.integers(1, 3))
    def begin(self, runners):
        self.now = 1_800_000_000.0
        event.listen(Engine, "connect", self.set_clock)
        self.folder = tempfile.TemporaryDirectory()
        self.ledger = Ledger(Path(self.folder.name, "ledger.db"))
        self.lanes = self.ledger.lanes
        self.batch = fill(self.ledger, 1)
        self.runners = runners
        self.turns: Counter[int] = Counter()
        self.spent: set[Kick] = set()
        # What a worker believes to hold, and whether it does.
        self.believed: list[tuple[Lane, str]] = []
        self.held: dict[int, Lane] = {}
        self.drained: set[str | None] = set()
        self.queue: list[Kick] = []
        self.made = 0
        self.queue += self.lanes.start(self.batch, runners)

    def refuses(self, host: str) -> bool:
        return bool(self.drained & {None, host})

    def took(self, lane: Lane, host: str) -> None:
        assert lane.lane not in self.held
        assert lane.lane <= self.runners
        assert not self.refuses(host)
        assert lane.turn > self.turns[lane.lane] - 1
        self.turns[lane.lane] = lane.turn
        self.held[lane.lane] = lane
        self.believed.append((lane, host))

    @precondition(lambda self: self.queue)
    @rule(data=st.data(), host=HOSTS, again=st.booleans())
    def a_kick_arrives(self, data, host, again):
        """In any order, and perhaps it is delivered once more later."""
        kick = data.draw(st.sampled_from(self.queue))
        if not again:
            self.queue.remove(kick)
        taken = lanes_on(self.ledger, host).take(kick, lease=60.0)
        is_current = kick.turn == self.turns[kick.lane] and kick.lane <= self.runners
        may = is_current and kick.lane not in self.held and not self.refuses(host)
        assert isinstance(taken, Lane) == may
        if isinstance(taken, Lane):
            assert kick not in self.spent
            self.spent.add(kick)
            assert taken.turn == kick.turn + 1
            self.took(taken, host)
        else:
            assert taken == ("drained" if self.refuses(host) else "runners")

    @rule(host=HOSTS)
    def somebody_takes_any(self, host):
        taken = lanes_on(self.ledger, host).take_any(self.batch, lease=60.0)
        if isinstance(taken, Lane):
            self.took(taken, host)
        elif not self.refuses(host):
            assert taken == "runners"
            assert {*range(1, self.runners + 1)} <= self.held.keys()

    @precondition(lambda self: self.queue)
    @rule(data=st.data())
    def a_kick_is_lost(self, data):
        self.queue.remove(data.draw(st.sampled_from(self.queue)))

    @precondition(lambda self: self.believed)
    @rule(data=st.data(), again_in=st.sampled_from([None, 0.0, 500.0]))
    def a_worker_leaves(self, data, again_in):
        """It may be one whose lease ended long ago."""
        lane, host = data.draw(st.sampled_from(self.believed))
        self.believed.remove((lane, host))
        held = self.held.get(lane.lane) == lane
        seconds, kick = self.lanes.leave(lane, again_in)
        if not held:
            assert (seconds, kick) == (None, None) or self.is_unclaimed(lane)
            if kick is None:
                return
        self.held.pop(lane.lane, None)
        assert (seconds is None) == (kick is None)
        if kick is not None:
            assert kick == Kick("news", lane.lane, lane.turn)
            self.queue.append(kick)

    def is_unclaimed(self, lane: Lane) -> bool:
        """Its lease is over, and nobody has taken it since."""
        return self.turns[lane.lane] == lane.turn

    @precondition(lambda self: self.believed)
    @rule(data=st.data())
    def a_worker_is_killed(self, data):
        self.believed.remove(data.draw(st.sampled_from(self.believed)))

    @precondition(lambda self: self.believed)
    @rule(data=st.data())
    def a_worker_renews(self, data):
        lane, host = data.draw(st.sampled_from(self.believed))
        refused = self.lanes.renew(lane, lease=60.0)
        if self.is_unclaimed(lane):
            self.held[lane.lane] = lane
            over = lane.lane > self.runners
            assert refused == ("runners" if over else "drained" if self.refuses(host) else None)
        else:
            assert refused == "runners"

    @rule()
    def leases_end(self):
        """Everybody stands still for longer than a lease, then those who live go on."""
        self.now += 61.0
        self.held.clear()

    @rule(seconds=st.sampled_from([1.0, 30.0]))
    def time_passes(self, seconds):
        self.now += seconds
        # Those who live renew in time; the lease of a dead one ends.
        alive = [lane for lane, _ in self.believed]
        for number, lane in list(self.held.items()):
            if lane in alive:
                self.lanes.renew(lane, lease=60.0)
            else:
                let_lease_end(self.ledger, number)
                del self.held[number]

    @rule()
    def the_beat(self):
        kicks = self.lanes.beat()
        assert len(kicks) == len(set(kicks)) <= self.runners
        for kick in kicks:
            assert kick.lane not in self.held
            assert kick.turn == self.turns[kick.lane]
            assert None not in self.drained
        self.queue += kicks
        # Whoever calls it again at once gets none.
        assert self.lanes.beat() == []

    @rule(host=st.none() | HOSTS)
    def drain(self, host):
        self.lanes.drain(self.batch, host)
        self.drained.add(host)

    @rule(host=st.none() | HOSTS)
    def undrain(self, host):
        self.lanes.undrain(self.batch, host)
        self.drained.discard(host)

    @rule(runners=st.none() | st.integers(1, 4))
    def start(self, runners):
        self.drained.clear()
        self.runners = self.runners if runners is None else runners
        kicks = self.lanes.start(self.batch, runners)
        assert {kick.lane for kick in kicks} == {*range(1, self.runners + 1)} - self.held.keys()
        self.queue += kicks

    @invariant()
    def the_ledger_is_the_model(self):
        if not hasattr(self, "lanes"):
            return
        listed = {each.lane for each in self.lanes.workers(self.batch) if not each.lost}
        assert listed == self.held.keys()
        assert self.ledger.status(self.batch).workers == len(self.held)

    @invariant()
    def kicks_do_not_multiply(self):
        """Of all kicks in the queue, however many, at most one for each lane is worth anything."""
        if hasattr(self, "queue"):
            worth = {kick for kick in self.queue if kick.turn == self.turns[kick.lane]}
            assert max(Counter(kick.lane for kick in worth).values(), default=0) <= 1

    def teardown(self):
        if not hasattr(self, "lanes"):
            return
        # However it went: nothing is lost. Every lane comes back by the beat alone.
        for host in list(self.drained):
            self.lanes.undrain(self.batch, host)
        self.now += 1000.0
        kicks = self.lanes.beat()
        assert {kick.lane for kick in kicks} == {*range(1, self.runners + 1)}
        assert all(isinstance(self.lanes.take(kick, lease=60.0), Lane) for kick in kicks)
        self.ledger.close()
        event.remove(Engine, "connect", self.set_clock)
        self.folder.cleanup()


TestLanes = Lanes.TestCase
TestLanes.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    suppress_health_check=list(HealthCheck),
    derandomize=True,
)


CLAIM = """
import random, sys, time
from poweremail.batch import Kick, Ledger

place, seconds = sys.argv[1], float(sys.argv[2])
ledger = Ledger(place, timeout=60.0)
batch = ledger.find("news")
until = time.monotonic() + seconds
kicks = []
while time.monotonic() < until:
    kicks += 2 * ledger.lanes.beat()  # each is doubled
    random.shuffle(kicks)
    if kicks and random.random() < 0.7:
        kick = kicks[0] if random.random() < 0.3 else kicks.pop()  # delivered again, perhaps
        lane = ledger.lanes.take(kick, lease=0.5)
    else:
        lane = ledger.lanes.take_any(batch, lease=0.5)
    if isinstance(lane, str):
        time.sleep(random.uniform(0.0, 0.02))
        continue
    taken = time.monotonic()
    time.sleep(random.uniform(0.0, 0.1))
    until_now = time.monotonic()
    if ledger.lanes.renew(lane, lease=0.5) is None:
        # So it has had the lane without a break.
        print(taken, until_now, flush=True)
        _, kick = ledger.lanes.leave(lane, random.choice([None, 0.0]))
        kicks += [kick] if kick and random.random() < 0.8 else []  # lost, perhaps
ledger.close()
"""


def test_real_processes_never_hold_more_lanes_than_runners(place):
    """Some are killed, kicks are doubled, delivered again and lost."""
    ledger = Ledger(place)
    batch = fill(ledger, 1)
    ledger.lanes.start(batch, 2)
    command = [sys.executable, "-W", "error", "-c", CLAIM, place, "6.0"]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    time.sleep(4.0)
    for process in running[:2]:
        process.kill()
    done = [process.communicate() for process in running]
    assert [process.returncode for process in running] == [-9, -9, 0, 0], done
    spans = [tuple(map(float, line.split())) for out, _ in done for line in out.splitlines()]
    changes = sorted([(end, -1) for _, end in spans] + [(begin, 1) for begin, _ in spans])
    holders = list(accumulate(change for _, change in changes))
    assert 1 <= max(holders) <= 2
    # However it went, no lane is lost.
    shift(ledger, 1000.0)
    assert {kick.lane for kick in ledger.lanes.beat()} == {1, 2}
    ledger.close()


@pytest.fixture
def clock(monkeypatch):
    """Moves the clock of this machine, which a process that stands still does not see."""
    moved = [0.0]
    monkeypatch.setattr("poweremail._ledger.holder.boot_time", lambda: boot_time() + moved[0])
    return lambda seconds: moved.append(moved.pop() + seconds)


def test_a_holder_that_stood_still_finds_out_before_it_takes_rows(ledger, clock):
    batch = fill(ledger, 1)
    (kick,) = ledger.lanes.start(batch, 1)
    still = ledger.holder(batch, kick, lease=60.0)
    assert not still.is_held
    assert (still.hold(), still.is_held) == (None, True)
    clock(31.0)
    # Half a lease later it asks; nobody has taken the lane.
    assert not still.is_held
    assert (still.hold(), still.is_held) == (None, True)
    clock(61.0)
    let_lease_end(ledger, 1)
    other = ledger.holder(batch, None, lease=60.0)
    assert other.hold() is None
    assert (still.hold(), still.is_held) == ("runners", False)
    assert still.leave(0.0) == (None, None)
    assert other.leave(None) == (None, None)
    # Who has left takes no lane, not even in a thread that was late.
    assert other.hold() == "runners"


def test_a_holder_without_a_kick_takes_another_lane(ledger):
    batch = fill(ledger, 1)
    ledger.lanes.start(batch, 2)
    low, high = (ledger.holder(batch, None, lease=60.0) for _ in range(2))
    assert (low.hold(), high.hold()) == (None, None)
    ledger.lanes.start(batch, 1)
    high.renew()
    # Its lane is one too many.
    assert (high.is_held, high.hold()) == (False, "runners")
    assert [worker.lane for worker in ledger.lanes.workers(batch)] == [1]
    low.leave(0.0)
    assert (high.hold(), high.is_held) == (None, True)
    assert [worker.lane for worker in ledger.lanes.workers(batch)] == [1]


def test_a_queue_that_nobody_reads_does_not_grow(ledger):
    batch = fill(ledger, 1)
    queue = ledger.lanes.start(batch, 4)
    for _ in range(60):  # a beat every 30 seconds, for half an hour
        shift(ledger, 30.0)
        queue += ledger.lanes.beat()
    assert len(queue) <= 4 * (6 + 30 / 5)
    # A lost kick is replaced by the next beat all the same.
    lane = ledger.lanes.take(queue[-1], lease=60.0)
    ledger.lanes.leave(lane, 0.0)
    shift(ledger, 30.0)
    assert Kick("news", lane.lane, lane.turn) in ledger.lanes.beat()


def test_plain_runs_have_lanes_that_no_beat_kicks(ledger):
    batch = fill(ledger, 1)
    taken = [ledger.lanes.take_any(batch, lease=60.0) for _ in range(3)]
    assert [lane.lane for lane in taken] == [1, 2, 3]
    ledger.lanes.leave(taken[1], 0.0)
    assert ledger.lanes.take_any(batch, lease=60.0).lane == 2
    shift(ledger, 1000.0)
    assert ledger.lanes.beat() == []


def test_the_beat_leaves_batches_that_have_nothing_to_do(ledger):
    batch = fill(ledger, 1)
    ledger.lanes.start(batch, 1)
    shift(ledger, 1000.0)
    ledger.lanes.drain(host="web-1")
    ledger.pause(batch, "because")
    assert (ledger.lanes.beat(), lanes_on(ledger, "web-2").agenda(["smtp"])) == ([], {})
    ledger.resume(batch)
    assert lanes_on(ledger, "web-1").agenda(["smtp"]) == {}
    assert lanes_on(ledger, "web-2").agenda(["smtp"]) == {"news": 0.0}
    assert len(ledger.lanes.beat(batch)) == 1
    assert ledger.lanes.take(Kick("nothing", 1, 0), lease=60.0) == "runners"
    other = fill(ledger, 0, "empty")
    ledger.lanes.start(other, 1)
    shift(ledger, 1000.0)
    assert [kick.batch for kick in ledger.lanes.beat()] == ["news"]
    ledger.lanes.drain()
    assert (ledger.lanes.beat(), lanes_on(ledger, "web-2").agenda(["smtp"])) == ([], {})


def test_a_clock_that_is_set_back_stops_no_beat_for_long(ledger):
    batch = fill(ledger, 1)
    (kick,) = ledger.lanes.start(batch, 1)
    shift(ledger, 1000.0)
    assert ledger.lanes.beat() == [kick]
    # The last kick is in the future now.
    shift(ledger, -500.0)
    assert ledger.lanes.beat() == [kick]
