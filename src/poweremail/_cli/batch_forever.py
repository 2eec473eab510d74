"""The work of ``poweremail batch work``: slices of several batches in turn, and waits between."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import attrs

from poweremail import PowerEmail
from poweremail._cli.batch_options import LedgerOptions
from poweremail._cli.batch_run import stopped_by_signals
from poweremail._cli.output import Output
from poweremail._cli.service import Service
from poweremail._cli.session import Session
from poweremail.batch import Batch, Ledger, LedgerError, Worked

__all__ = ["Slices", "Worker", "work_on"]

_IDLE_SECONDS = 2.0
"""A wait that is not longer is spent in the slice: to begin another costs more."""

_LONGEST_NAP_SECONDS = 0.25
"""The longest time until a signal is noticed."""

_LOOK_SECONDS = 1.0
"""How often it looks, while it works on a batch, whether an outbox has a mail to be sent."""

_JITTER = 0.25
"""By which part a wait is longer at most, so that many workers do not look at the same time."""


@attrs.frozen(kw_only=True)
class Slices:
    """Of which batches (none: of all), how long each, how long a wait, and whether to go on."""

    names: tuple[str, ...]
    seconds: float
    poll: float
    forever: bool


def work_on(
    session: Session,
    target: LedgerOptions,
    options: Mapping[str, Any],
    client_options: Mapping[str, Any],
    slices: Slices,
    ready_file: Path | None,
) -> None:
    """Work on batches of the ledger until a signal comes, or once."""
    with (
        target.opened_ledger() as ledger,
        session.client(sends=not options["smtp_users"], **client_options) as client,
        Service(ready_file) as service,
    ):
        worker = Worker(client, ledger, options, slices, session.out, service)
        with stopped_by_signals(worker.stop):
            worker.work()


class Worker:
    """Works on the batches of *ledger* that *slices* names, by *client* and with *options*."""

    def __init__(
        self,
        client: PowerEmail,
        ledger: Ledger,
        options: Mapping[str, Any],
        slices: Slices,
        out: Output,
        service: Service,
    ) -> None:
        self._client = client
        self._ledger = ledger
        self._options = options
        self._slices = slices
        self._out = out
        self._service = service
        self._batches: dict[str, Batch] = {}
        self._stopped = False
        # When to come again to each batch, by the clock of this process.
        self._due: dict[str, float] = {}
        self._waits_until: dict[str, float] = {}  # for limits, or a retry
        self._looks_at = 0.0

    def stop(self) -> None:
        """End soon. A signal calls it."""
        self._stopped = True
        for batch in list(self._batches.values()):
            batch.stop()

    def work(self) -> None:
        """Work until `stop`, or once."""
        # Workers that were started together do not look together.
        poll = self._slices.poll if self._slices.forever else 0.0
        self._sleep(random.uniform(0.0, min(poll, 1.0)))  # noqa: S311  no secret
        while not self._stopped:
            try:
                self._turn()
            except LedgerError as error:
                if not (self._slices.forever and error.temporary):
                    raise
                self._out.warn(f"the ledger is out of reach: {error.explanation}")
                self._service.unwell("the ledger is out of reach")
                self._due.clear()
            if not self._slices.forever:
                return
            self._sleep(self._wait() * random.uniform(1.0, 1.0 + _JITTER))  # noqa: S311  as above

    def _turn(self) -> None:
        """Work on each batch that is due."""
        names = wanted = self._slices.names
        if self._slices.forever or not wanted:
            found = self._ledger.lanes.with_work()
            names = tuple(name for name in found if not wanted or name in wanted)
        self._due = {name: self._due.get(name, 0.0) for name in names}
        self._service.alive(f"{len(names)} batches have work")
        for name in names:
            if self._stopped:
                return
            if self._due[name] <= time.monotonic() and self._work_on(name) == "stopped":
                return  # an outbox is the first in its next turn

    def _work_on(self, name: str) -> str:
        """Work on a batch, and return why that ended."""
        batch = self._batches.get(name)
        if batch is None:
            batch = Batch(self._client, self._ledger, name, **self._options)
            self._batches[name] = batch
        worked = batch.work(
            self._slices.seconds, _IDLE_SECONDS, is_stopped=partial(self._is_urgent, name)
        )
        if worked.reason == "waiting":
            self._waits_until[name] = time.monotonic() + _seconds(worked, self._slices.poll)
        # Somebody may resume or fill it, or change its limits, before.
        again_in = min(self._slices.poll, _seconds(worked, self._slices.poll))
        self._due[name] = time.monotonic() + again_in
        settled = ", ".join(f"{count:,} {state}" for state, count in worked.counts.items())
        self._service.alive(f"{name}: {worked.reason}")
        if settled or not self._slices.forever:
            self._out.result(
                {"name": name, **attrs.asdict(worked, filter=attrs.filters.exclude("kick"))},
                f"{name}: {settled or 'nothing'}; {worked.reason}",
            )
        return worked.reason

    def _is_urgent(self, name: str) -> bool:
        """Whether a mail of an outbox is due, while this works on the batch called *name*."""
        now = time.monotonic()
        if not self._slices.forever or now < self._looks_at:
            return False
        self._looks_at = now + _LOOK_SECONDS
        try:
            waiting = self._ledger.lanes.with_work(urgent=True)
        except LedgerError:
            return False  # the steps of the batch find out more
        wanted = self._slices.names
        self._due |= {
            each: now
            for each in waiting
            if each != name
            and (not wanted or each in wanted)
            and self._waits_until.get(each, 0.0) <= now
        }
        return any(self._due.get(each) == now for each in waiting)

    def _wait(self) -> float:
        """The seconds until a batch is due, but not longer than until others may have work."""
        now = time.monotonic()
        return max(0.0, min((due - now for due in self._due.values()), default=self._slices.poll))

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopped and (left := until - time.monotonic()) > 0.0:
            # The handler of a signal sets the flag only, and the sleep goes on after it.
            time.sleep(min(left, _LONGEST_NAP_SECONDS))


def _seconds(worked: Worked, otherwise: float) -> float:
    return otherwise if worked.again_in is None else worked.again_in
