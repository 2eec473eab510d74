"""How long one call may work on a batch, and how long it may wait."""

from __future__ import annotations

import math
from time import monotonic

import attrs

from poweremail._ledger.values import Kick
from poweremail._types.checks import is_number, require

_MAX_IDLE_SECONDS = 2.0
"""The longest wait in a place that others could use."""

_MIN_IDLE_SECONDS = 0.1
"""A shorter wait costs less than to end and to begin again."""


@attrs.frozen
class Slice:
    """
    The bounds of a run.

    *seconds*: the time after which it takes no more rows.
    *idle*: how long it may wait while it has nothing in work.
    *kick*: the turn that it spends; None for any free lane.
    """

    seconds: float = math.inf
    idle: float = math.inf
    kick: Kick | None = None

    @classmethod
    def checked(cls, seconds: float, idle: float, kick: Kick | None) -> Slice:
        """Return a slice. Raises `ConfigurationError` if a bound is invalid."""
        require("seconds", seconds, "a number, 0 or more", is_number(seconds, 0.0))
        most = _MAX_IDLE_SECONDS
        require("idle", idle, f"a number from 0 to {most:g}", is_number(idle, 0.0, most))
        require("kick", kick, "a Kick or None", kick is None or isinstance(kick, Kick))
        return cls(seconds, max(idle, _MIN_IDLE_SECONDS), kick)

    @property
    def is_endless(self) -> bool:
        """Whether it waits for whatever it needs."""
        return self.seconds == math.inf

    def begin(self) -> Timer:
        """Let the time begin."""
        now = monotonic()
        return Timer(self, now + self.seconds, now + self.idle)


@attrs.define
class Timer:
    """The time that is left of a `Slice`."""

    _slice: Slice
    _until: float
    _idle_until: float

    @property
    def left(self) -> float:
        """The seconds until it takes no more rows; 0.0 if they are over."""
        return max(0.0, self._until - monotonic())

    def note_work(self) -> None:
        """Something is in work: it is not idle."""
        self._idle_until = monotonic() + self._slice.idle

    def may_wait(self, seconds: float) -> bool:
        """Whether it may wait so many *seconds* with nothing in work."""
        return monotonic() + seconds <= self._idle_until


ENDLESS = Slice()
"""It ends when the batch is finished."""
