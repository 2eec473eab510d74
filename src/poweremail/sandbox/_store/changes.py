"""What happened to the caught mails, for those who look on."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from typing import Literal

import attrs

__all__ = ["Change", "ChangeKind", "Changes"]

ChangeKind = Literal["caught", "changed", "deleted", "cleared"]

_KEPT = 1_000
"""So many changes are remembered: what happens within seconds, even in a batch."""


@attrs.frozen
class Change:
    """
    Change number *position*: what happened (*kind*), and to which mail; *number* is None where it
    is all of them.
    """

    position: int
    kind: ChangeKind
    number: int | None


class Changes:
    """
    The last changes, in order.

    *run* tells this sandbox from the one that had the same file open before. Who looks on asks from
    time to time whether `last` went up, and gets `since` what it knows; nobody is called back, so a
    change may be noted on any thread.
    """

    def __init__(self) -> None:
        self.run = secrets.token_hex(4)
        self._changes: deque[Change] = deque(maxlen=_KEPT)
        self._last = 0
        self._lock = threading.Lock()

    @property
    def last(self) -> int:
        """The position of the last change, 0 before the first."""
        return self._last

    def note(self, kind: ChangeKind, number: int | None = None) -> None:
        """Note what has just happened."""
        with self._lock:
            self._changes.append(Change(self._last + 1, kind, number))
            self._last += 1

    def since(self, position: int) -> list[Change] | None:
        """Return the changes after *position*, or None where not all of them are remembered."""
        with self._lock:
            missing = self._last - position
            if not 0 <= missing <= len(self._changes):
                return None
            return [change for change in self._changes if change.position > position]
