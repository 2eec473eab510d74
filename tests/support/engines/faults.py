"""What befalls the workers and the servers of the proof."""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections.abc import Callable

import psycopg

from support.engines.settings import LEASE
from support.engines.site import Host, Site

SHORT_GRACE_SECONDS = 0.3
LONG_GRACE_SECONDS = 60.0
"""Celery's children sometimes wait for their parent for 30 seconds before they exit."""
LONG_CUT_SECONDS = 12.0
"""Until then each connection to the database was given up."""
CUTS = ((False, False), (True, True), (False, True), (True, False))
"""
Whether the database is cut off for long, and whether requests arrive of which no response comes.
"""
BACK_SECONDS = 60.0
"""A host that reaches the database again sends within this time."""

Note = Callable[..., None]


class Faults:
    """
    Each public method is a fault of *site*.

    *note*: called with what is lost, and which processes lost it: for the judge.
    """

    def __init__(self, site: Site, chance: random.Random, note: Note) -> None:
        self._site = site
        self._chance = chance
        self._note = note
        self.exits: list[float] = []
        """The seconds from each SIGTERM of a deploy to the end of the worker..."""
        self.ends: list[float] = []
        """... and to the end of its work: what follows is the engine's, and Python's."""
        self._cuts = itertools.cycle(CUTS)
        self.noticed: list[float] = []
        """The seconds from each cut to the moment when a worker noticed it."""
        self.sent_meanwhile = 0
        """The mails that the other hosts began meanwhile."""

    @property
    def names(self) -> list[str]:
        return [name for name in vars(Faults) if not name.startswith("_") and name != "names"]

    def kill_worker(self) -> None:
        """SIGKILL to all processes of a worker."""
        self._note("lost", *self._host().signal_all(signal.SIGKILL))

    def kill_child(self) -> None:
        """SIGKILL to one process of a worker, the only one if it has no children."""
        processes = self._host().processes
        process = self._chance.choice(processes[1:] or processes)
        os.kill(process, signal.SIGKILL)
        self._note("lost", process)

    def terminate(self) -> None:
        """SIGTERM, and SIGKILL before a request has ended."""
        host = self._host()
        host.signal(signal.SIGTERM)
        time.sleep(SHORT_GRACE_SECONDS)
        self._note("lost", *host.signal_all(signal.SIGKILL))

    def deploy(self) -> None:
        """SIGTERM, and enough time. Nothing may be lost."""
        host = self._host()
        began = time.time()
        host.signal(signal.SIGTERM)
        assert host.wait(LONG_GRACE_SECONDS), f"{host.name} did not end after SIGTERM"
        self.exits.append(time.time() - began)
        self.ends.append(max(0.0, host.last_end - began))

    def freeze(self) -> None:
        """SIGSTOP for longer than a lease."""
        host = self._host()
        self._note("lost", *host.signal_all(signal.SIGSTOP))
        time.sleep(LEASE * self._chance.uniform(1.2, 2.0))
        host.signal_all(signal.SIGCONT)

    def empty_queue(self) -> None:
        """The broker loses all that is in it."""
        if self._site.redis is None:
            with psycopg.connect(self._site.database.url) as connection:
                connection.execute("DELETE FROM procrastinate_jobs WHERE status = 'todo'")
        else:
            self._site.redis.flush()

    def restart_broker(self) -> None:
        """The broker is gone for a moment, with all that is in it."""
        if self._site.redis is None:
            return self.restart_database()
        self._site.redis.stop()
        time.sleep(self._chance.uniform(0.2, 1.5))
        self._site.redis.start()
        return None

    def restart_database(self) -> None:
        """PostgreSQL is stopped at once, and started."""
        self._note("lost database")
        self._site.database.stop()
        time.sleep(self._chance.uniform(0.2, 1.5))
        self._site.database.start()
        self._note("database is back")

    def cut_off(self) -> None:
        """A host cannot reach PostgreSQL for longer than a lease, and then it can."""
        network = self._site.network
        host = self._site.hosts[1] if network is None else self._host()
        seconds = LEASE * self._chance.uniform(1.2, 2.0)
        began = time.time()
        if network is None:
            self._site.proxy.cut()
        else:
            is_long, requests_arrive = next(self._cuts)
            seconds = LONG_CUT_SECONDS if is_long else seconds
            network.cut(host.name, requests_arrive=requests_arrive)
        while time.time() < began + seconds:
            self._note("lost", *host.processes)
            time.sleep(0.1)
        self._site.proxy.mend() if network is None else network.mend(host.name)
        mended = time.time()
        self._note("lost", *host.processes)
        others = [each for each in self._site.hosts if each is not host]
        self.sent_meanwhile += sum(
            began < sent < mended for each in others for sent in each.times(" sending row ")
        )
        noticed = [each for each in host.times(" nothing is sent until ") if began < each < mended]
        self.noticed += [each - began for each in noticed[:1]]
        while not any(each > mended for each in host.times(" sending row ")):
            assert time.time() < mended + BACK_SECONDS, f"{host.name} does not work any more"
            self._site.keep_up()
            time.sleep(0.1)

    def _host(self) -> Host:
        return self._chance.choice([host for host in self._site.hosts if host.is_working])
