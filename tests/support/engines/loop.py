"""The loop of the proof: one fault after another befalls the workers of one engine."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from pathlib import Path

import psycopg

from support.engines.faults import Faults
from support.engines.judge import judge
from support.engines.settings import OUTBOX_RUNNERS, RUNNERS
from support.engines.site import Site

MAX_QUEUED = 40
"""Kicks in the queue: some for each lane and each web request of the last seconds."""

MAX_WAIT_SECONDS = 240.0
"""Workers begin, and end, within this time on a machine that has other things to do."""

_LEFT = """
SELECT count(*) FROM poweremail_messages
WHERE state IN ('planned', 'sending') OR state = 'unknown' AND due IS NOT NULL
"""


class Loop:
    """
    The proof on *engine*, with its files in *folder*: it goes on where an earlier one was stopped.

    *only*: the only fault that befalls them.
    """

    def __init__(
        self, engine: str, folder: Path, *, kills: int, seed: int, only: str | None = None
    ) -> None:
        self._kills = kills
        self._only = only
        self._chance = random.Random(seed)
        self._site = Site(engine, folder)
        self._progress = folder / "progress.json"
        self.figures: Counter[str] = Counter()
        if self._progress.exists():
            self.figures.update(json.loads(self._progress.read_text()))
        self._trace = folder / "faults.trace"

    def run(self) -> list[str]:
        """Run the proof and return the problems that were found."""
        site = self._site
        site.start()
        try:
            site.keep_up()
            self._wait_for_mails()
            faults = Faults(site, self._chance, self._note)
            while self.figures["faults"] < self._kills:
                self._let_befall(faults)
            self._finish()
            if faults.noticed:
                self.figures["slowest to notice a cut, in ms"] = round(1000 * max(faults.noticed))
                self.figures["begun by other hosts during cuts"] += faults.sent_meanwhile
            if faults.exits:
                self.figures["slowest exit after SIGTERM, in ms"] = round(1000 * max(faults.exits))
                self.figures["slowest end of work after SIGTERM, in ms"] = round(
                    1000 * max(faults.ends)
                )
            problems = judge(site, self.figures, runners=RUNNERS + OUTBOX_RUNNERS)
        finally:
            site.stop()
        if self.figures["most in the queue"] > MAX_QUEUED:
            problems.append(f"{self.figures['most in the queue']} kicks in the queue")
        return problems

    def _let_befall(self, faults: Faults) -> None:
        self._keep_up(self._chance.uniform(0.0, 1.5))
        # A fault that hits nobody is none.
        self._wait_until(
            lambda: all(host.is_working for host in self._site.hosts), "no worker works"
        )
        names = faults.names if self._only is None else [self._only]
        name = min(names, key=lambda name: (self.figures[name], self._chance.random()))
        getattr(faults, name)()
        self.figures[name] += 1
        self.figures["faults"] += 1
        self._progress.write_text(json.dumps(self.figures))

    def _finish(self) -> None:
        """Let all that is left be sent."""
        (self._site.folder / "enough").touch()
        self._wait_until(lambda: not self._left(), "mails are still to be sent")
        self.figures["in the queue at the end"] = self._queued()

    def _wait_for_mails(self) -> None:
        self._wait_until(self._left, "the workers do not begin")

    def _wait_until(self, condition, trouble: str) -> None:
        until = time.monotonic() + MAX_WAIT_SECONDS
        while not condition():
            assert time.monotonic() < until, trouble
            self._keep_up(0.2)

    def _keep_up(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._site.keep_up()
            self._measure()
            time.sleep(0.1)

    def _measure(self) -> None:
        self.figures["most in the queue"] = max(self.figures["most in the queue"], self._queued())

    def _queued(self) -> int:
        return self._site.queued()

    def _left(self) -> int:
        try:
            with psycopg.connect(self._site.database.url) as connection:
                return connection.execute(_LEFT).fetchone()[0]
        except psycopg.errors.UndefinedTable:
            return 0

    def _note(self, *words: object) -> None:
        with self._trace.open("a") as trace:
            print(time.time(), os.getpid(), *words, file=trace)
