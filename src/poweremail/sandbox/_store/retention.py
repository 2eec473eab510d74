"""How many mails are kept, and for how long; and a file that becomes smaller."""

from __future__ import annotations

import time

from poweremail._types.checks import is_number, is_whole, require
from poweremail.sandbox._store.clock import Clock
from poweremail.sandbox._store.database import Store
from poweremail.sandbox._store.mails import MailStore

_CHECK_SECONDS = 1.0
_MAX_DELETED = 500
"""At once: the store is locked meanwhile."""


class Retention:
    """
    Deletes the oldest mails.

    *max_messages*
        How many are kept; None keeps all. Up to a hundredth more may be kept for a moment.
    *max_age*
        For how many seconds a mail is kept, by *clock*; None keeps it for ever.

    Raises `ConfigurationError` if an option is invalid.
    """

    def __init__(
        self,
        store: Store,
        mails: MailStore,
        clock: Clock,
        *,
        max_messages: int | None,
        max_age: float | None,
    ) -> None:
        if max_messages is not None:
            require("max_messages", max_messages, "a number from 1 on", is_whole(max_messages, 1))
        if max_age is not None:
            valid = is_number(max_age) and max_age > 0
            require("max_age", max_age, "a number of seconds above 0", valid)
        self._store, self._mails, self._clock = store, mails, clock
        self._max_messages, self._max_age = max_messages, max_age
        # To find the oldest ones takes the longer the more are kept.
        self._every = max(1, (max_messages or 0) // 100)
        self._caught = 0
        self._checked_at = -_CHECK_SECONDS

    def caught(self) -> None:
        """Note that a mail was caught, and delete what is not to be kept any more."""
        self._caught += 1
        if self._max_messages is not None and self._caught >= self._every:
            self._caught = 0
            self._delete(
                "SELECT mail FROM searchable WHERE mail <="
                " (SELECT mail FROM searchable ORDER BY mail DESC LIMIT 1 OFFSET ?)"
                " ORDER BY mail LIMIT ?",
                self._max_messages,
            )
        self.check_age()

    def check_age(self) -> None:
        """Delete the mails that are too old, once in a second."""
        if self._max_age is None or time.monotonic() - self._checked_at < _CHECK_SECONDS:
            return
        self._checked_at = time.monotonic()
        self._delete(
            "SELECT mail FROM searchable WHERE received < ? ORDER BY received LIMIT ?",
            self._clock.milliseconds() - int(self._max_age * 1000),
        )

    def _delete(self, query: str, value: int) -> None:
        deleted = False
        while found := self._store.rows(query, value, _MAX_DELETED):
            self._mails.delete_each(row["mail"] for row in found)
            deleted = True
        if deleted:
            self._store.shrink()
