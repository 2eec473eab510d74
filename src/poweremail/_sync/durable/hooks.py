# Generated from src/poweremail/_async/durable/hooks.py; do not edit.
"""Calls the hooks of a ledger with the outcomes of a batch."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING

from poweremail._runtime._sync import in_thread, shielded
from poweremail._types.outcome_event import OutcomeEvent
from poweremail.errors import LedgerError

if TYPE_CHECKING:
    from poweremail._ledger.ledger import Ledger

_log = logging.getLogger("poweremail.batch")

_SWEEP_SECONDS = 5.0
"""The time between two searches for outcomes that another worker has not reported."""


class Hooks:
    """
    The hooks of *ledger*, for the outcomes of *batch*. An outcome that is not reported for *grace*
    seconds is reported by another worker.
    """

    def __init__(self, ledger: Ledger, batch: int, grace: float) -> None:
        self._hooks = ledger.plain_hooks()
        self._reports = ledger.reports(batch, grace)
        self._failed: set[str] = set()
        self._next_sweep = 0.0

    def report(self, rows: Sequence[int]) -> None:
        """Report the outcomes of *rows*, and from time to time those that others have left."""
        if not self._hooks:
            return
        try:
            if rows:
                self._call(in_thread(self._reports.read, rows))
            if monotonic() >= self._next_sweep:
                self._next_sweep = monotonic() + _SWEEP_SECONDS
                self._call(in_thread(self._reports.overdue))
        except LedgerError as error:
            _log.warning("outcomes were reported, and will be again: %s", error)

    def wait(self) -> float | None:
        """The seconds until there may be more to report; None if there is nothing."""
        if not self._hooks:
            return None
        seconds = in_thread(self._reports.wait, self._failed)
        if seconds is not None:
            self._next_sweep = min(self._next_sweep, monotonic() + seconds)
        return seconds

    def _call(self, events: Sequence[OutcomeEvent]) -> None:
        reported: list[OutcomeEvent] = []
        try:
            for event in events:
                try:
                    for hook in self._hooks:
                        hook(event)
                except Exception:  # noqa: BLE001  whatever the caller's function raises
                    self._failed.add(event.id)
                    _log.exception("a hook failed for outcome %s; it is called again", event.id)
                else:
                    reported.append(event)
        finally:
            if reported:
                with shielded():
                    in_thread(self._reports.clear, reported)
