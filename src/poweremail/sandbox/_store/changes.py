"""Changes of the caught mails, for pages that watch them."""

from __future__ import annotations

import secrets
import threading
from collections import deque
from typing import Literal

import attrs

ChangeKind = Literal["caught", "changed", "deleted", "cleared", "refetch"]

_MAX_CHANGES_KEPT = 1_000
"""As many as happen within seconds, even in a batch."""


@attrs.frozen
class Change:
    """Change number *position*: its *kind*, and the mail's *number*, None for all mails."""

    position: int
    kind: ChangeKind
    number: int | None


class Changes:
    """
    The last changes, in order.

    A watcher polls `last`, and calls `since` with the position it knows. Nothing is called back, so
    any thread may note a change. *run* is another in each sandbox, even with the same file.
    """

    def __init__(self) -> None:
        self.run: str = secrets.token_hex(4)
        self._changes: deque[Change] = deque(maxlen=_MAX_CHANGES_KEPT)
        self._last = 0
        self._lock = threading.Lock()

    @property
    def last(self) -> int:
        """The position of the last change, 0 before the first."""
        return self._last

    def note(self, kind: ChangeKind, number: int | None = None) -> None:
        """Note a change that was just made."""
        with self._lock:
            self._changes.append(Change(self._last + 1, kind, number))
            self._last += 1

    def since(self, position: int) -> list[Change] | None:
        """Return the changes after *position*, or None if not all of them are kept."""
        with self._lock:
            missing = self._last - position
            if not 0 <= missing <= len(self._changes):
                return None
            return [change for change in self._changes if change.position > position]
