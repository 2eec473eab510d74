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
from poweremail._cli.batch_options import LedgerOptions, RunOptions
from poweremail._cli.batch_run import stopped_by_signals
from poweremail._cli.output import Output
from poweremail._cli.service import Service
from poweremail._cli.session import Session
from poweremail.batch import Batch, Ledger, LedgerError, Worked

_IDLE_SECONDS = 2.0
"""A wait that is not longer is spent in the slice: to begin another costs more."""

_LONGEST_NAP_SECONDS = 0.1
"""The longest time until a signal is noticed."""

_LOOK_SECONDS = 1.0
"""How often it looks, while it works on a batch, whether an outbox has a mail to be sent."""

_JITTER = 0.25
"""By which part a poll is later at most, so that many workers do not look at the same time."""

_MIN_BACKOFF_SECONDS = 0.5
_MOST_MISSES = 10
"""The backoff has reached --poll before."""


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
    options: RunOptions,
    slices: Slices,
    ready_file: Path | None,
) -> None:
    """Work on batches of the ledger until a signal comes, or once."""
    given = options.batch_options()
    with (
        target.opened_ledger() as ledger,
        session.client(sends=not given["smtp_users"], **options.derive_options()) as client,
        Service(ready_file) as service,
    ):
        worker = Worker(client, ledger, given, slices, session.out, service)
        with stopped_by_signals(worker.stop):
            worker.work()


class Worker:
    """
    Works on the batches of *ledger* that *slices* names, by *client* and with *options*.

    Theory of operation. It looks which batches have something to do, works on each for a slice, and
    waits until the first one has something to do again, or for --poll: somebody may have added
    mails, or changed limits. To look costs one short query; a slice costs several transactions, so
    it begins none where there is nothing to do.

    If many workers wait for the same moment, the first one takes all that the limits allow. So a
    worker that came for nothing backs off: it comes later the next time, at random, and after some
    such times it polls only. One that settles something comes earlier again. A worker that is alone
    never comes for nothing, so it waits for no longer than it must.
    """

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
        names = options["smtp_users"] or (client.smtp_user_name,)
        self._smtp_users: list[str] = [name for name in names if name is not None]
        self._batches: dict[str, Batch] = {}
        self._stopped = False
        # When to come again to each batch, by the clock of this process: as the ledger said when it
        # was looked at last, and as the last slice said, which may know better.
        self._due: dict[str, float] = {}
        self._not_before: dict[str, float] = {}
        self._misses = 0
        self._looks_at = 0.0

    def stop(self) -> None:
        """End soon. A signal calls it."""
        self._stopped = True
        for batch in list(self._batches.values()):
            batch.stop()

    def work(self) -> None:
        """Work until `stop`, or once."""
        if not self._slices.forever:
            self._work_once()
            return
        # Workers that were started together do not look together.
        self._sleep(random.uniform(0.0, min(self._slices.poll, 1.0)))  # noqa: S311  no secret
        is_expected = False
        while not self._stopped:
            try:
                has_settled = self._turn()
            except LedgerError as error:
                if not error.temporary:
                    raise
                self._out.warn(f"the ledger is out of reach: {error.explanation}")
                self._service.unwell("the ledger is out of reach")
                self._due.clear()
                has_settled = False
            if has_settled:
                self._misses //= 2
            elif is_expected:
                self._misses = min(self._misses + 1, _MOST_MISSES)
            seconds, is_expected = self._wait()
            self._sleep(seconds)

    def _work_once(self) -> None:
        for name in self._slices.names or self._ledger.lanes.agenda(self._smtp_users):
            if not self._stopped:
                self._work_on(name)

    def _turn(self) -> bool:
        """Work on each batch that is due. Returns whether a mail was settled."""
        self._due = self._look()
        self._service.alive(f"{len(self._due)} batches have work")
        has_settled = False
        for name, due in list(self._due.items()):
            if self._stopped:
                break
            if due <= time.monotonic():
                worked = self._work_on(name)
                has_settled = has_settled or bool(worked.counts)
                if worked.reason == "stopped":
                    break  # an outbox is the first in its next turn
        return has_settled

    def _look(self, *, urgent: bool = False) -> dict[str, float]:
        """
        Return when each batch, or if *urgent* each outbox with a mail that is due, has something to
        do. The first slice of a batch begins at once: it finds out whether the options are valid.
        """
        found = self._ledger.lanes.agenda(self._smtp_users, urgent=urgent)
        now, wanted = time.monotonic(), self._slices.names
        return {
            name: max(now + seconds, self._not_before[name]) if name in self._batches else now
            for name, seconds in found.items()
            if not wanted or name in wanted
        }

    def _work_on(self, name: str) -> Worked:
        batch = self._batches.get(name)
        if batch is None:
            batch = Batch(self._client, self._ledger, name, **self._options)
            self._batches[name] = batch
            self._not_before[name] = 0.0
        worked = batch.work(
            self._slices.seconds, _IDLE_SECONDS, is_stopped=partial(self._is_urgent, name)
        )
        poll = self._slices.poll
        again_in = poll if worked.again_in is None else min(worked.again_in, poll)
        self._due[name] = self._not_before[name] = time.monotonic() + again_in
        settled = ", ".join(f"{count:,} {state}" for state, count in worked.counts.items())
        self._service.alive(f"{name}: {worked.reason}")
        if settled or not self._slices.forever:
            self._out.result(
                {"name": name, **attrs.asdict(worked, filter=attrs.filters.exclude("kick"))},
                f"{name}: {settled or 'nothing'}; {worked.reason}",
            )
        return worked

    def _is_urgent(self, name: str) -> bool:
        """Whether a mail of an outbox may be sent, while this works on the batch called *name*."""
        now = time.monotonic()
        if not self._slices.forever or now < self._looks_at:
            return False
        self._looks_at = now + _LOOK_SECONDS
        try:
            due = self._look(urgent=True)
        except LedgerError:
            return False  # the steps of the batch find out more
        due.pop(name, None)
        return any(each <= time.monotonic() for each in due.values())

    def _wait(self) -> tuple[float, bool]:
        """The seconds until it looks again, and whether it expects something to do then."""
        poll, now = self._slices.poll, time.monotonic()
        seconds = max(0.0, min((due - now for due in self._due.values()), default=poll))
        backoff = min(poll, _MIN_BACKOFF_SECONDS * (2.0**self._misses - 1.0))
        if max(seconds, backoff) >= poll:
            return poll * random.uniform(1.0, 1.0 + _JITTER), False  # noqa: S311  no secret
        return max(seconds, backoff) + random.uniform(0.0, backoff), True  # noqa: S311  as above

    def _sleep(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._stopped and (left := until - time.monotonic()) > 0.0:
            # The handler of a signal sets the flag only, and the sleep goes on after it.
            time.sleep(min(left, _LONGEST_NAP_SECONDS))
