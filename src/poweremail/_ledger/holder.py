"""The holder of a lane: the part of a worker that knows whether it may take rows."""

from __future__ import annotations

import threading

from poweremail._ledger.lane_conditions import Lane
from poweremail._ledger.lanes import Lanes, Refused
from poweremail._ledger.values import Kick, boot_time


class Holder:
    """
    The lane of one worker of *batch*. Safe to use from several threads.

    *kick*: the turn that it spends; None for any free lane, and for another one if the lane is
    lost.
    *lease*: the seconds for which the lane is held from each renewal on.
    """

    def __init__(self, lanes: Lanes, batch: int, kick: Kick | None, *, lease: float) -> None:
        self._lanes = lanes
        self._batch = batch
        self._kick = kick
        self.lease = lease
        self._lane: Lane | None = None
        self._left = False
        self._valid_until = 0.0
        # A caller that is cancelled leaves the lane while its thread still takes it.
        self._lock = threading.Lock()

    @property
    def is_held(self) -> bool:
        """
        Whether the worker may take rows. False also if the lane was not renewed for half of its
        lease, or the renewal was refused: then `hold` finds out more.
        """
        return boot_time() < self._valid_until

    def hold(self) -> Refused | None:
        """Take a lane or renew it. Returns why there is none, or none any longer."""
        with self._lock:
            if self._left:
                return "runners"
            if self._lane is not None:
                refused = self._renew(self._lane)
                if refused != "runners" or self._kick is not None:
                    return refused
                self._lanes.leave(self._lane, None)
                self._lane = None
            valid_until = self._half_a_lease()
            taken = (
                self._lanes.take_any(self._batch, lease=self.lease)
                if self._kick is None
                else self._lanes.take(self._kick, lease=self.lease)
            )
            if isinstance(taken, str):
                return taken
            self._lane, self._valid_until = taken, valid_until
            return None

    def renew(self) -> None:
        """Renew the lane if there is one. If that is refused, it `is_held` no longer."""
        with self._lock:
            if self._lane is not None:
                self._renew(self._lane)

    def leave(self, again_in: float | None) -> tuple[float | None, Kick | None]:
        """Leave the lane as `Lanes.leave` does, and take none any more."""
        with self._lock:
            self._left = True
            self._valid_until = 0.0
            return (None, None) if self._lane is None else self._lanes.leave(self._lane, again_in)

    def _renew(self, lane: Lane) -> Refused | None:
        valid_until = self._half_a_lease()
        refused = self._lanes.renew(lane, lease=self.lease)
        self._valid_until = 0.0 if refused else valid_until
        return refused

    def _half_a_lease(self) -> float:
        """The time until which the lane is certainly held. Read before the lease begins."""
        return boot_time() + self.lease / 2
