"""What befalls the workers and the servers of the proof."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable

import psycopg

from support.engines.settings import LEASE
from support.engines.site import Host, Site

SHORT_GRACE_SECONDS = 0.3
LONG_GRACE_SECONDS = 30.0

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
        """Host b cannot reach PostgreSQL for longer than a lease, and then it can."""
        host = self._site.hosts[1]
        self._note("lost", *host.processes)
        self._site.proxy.cut()
        time.sleep(LEASE * self._chance.uniform(1.2, 2.0))
        self._site.proxy.mend()
        self._note("lost", *host.processes)

    def _host(self) -> Host:
        return self._chance.choice([host for host in self._site.hosts if host.is_working])
