"""The waits between attempts, and when to give up."""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs

from poweremail._types.checks import is_number, is_whole, require, require_hook
from poweremail.errors import ApiError, PowerEmailError


@attrs.frozen(kw_only=True)
class RetryEvent:
    """
    A retry that is about to happen.

    *operation*: the path of the call.
    *unique_id*: the unique id of the mail; None if the call has none.
    *attempt*: the number of attempts made so far.
    *error*: the error that ended the last attempt.
    *wait*: the seconds until the next attempt.
    """

    operation: str
    unique_id: str | None
    attempt: int
    error: PowerEmailError
    wait: float


@attrs.frozen
class RetryPolicy:
    """
    How often and when a call is repeated. *Whether* it may be repeated depends on its outcome.

    *attempts*
        Requests in all, 4 by default: with these waits they span about four seconds, which outlives
        a restarting proxy. 1 turns retries off.
    *first_wait*, *max_wait*
        Seconds before the second attempt (0.5) and at most (8). The wait doubles each time, less a
        random part of up to half, so that many clients do not come back at the same moment. If the
        service sends a longer Retry-After, the wait is that long.
    *max_total*
        Seconds from the first attempt's start after which no further attempt begins (60); None for
        no limit. If a wait, a Retry-After included, would end later, the call gives up at once. An
        attempt is never cut short.
    *on_retry*
        Called with a `RetryEvent` before each wait. An exception from it ends the call.

    Raises `ConfigurationError` if an option is invalid.
    """

    attempts: int = 4
    first_wait: float = attrs.field(default=0.5, kw_only=True)
    max_wait: float = attrs.field(default=8.0, kw_only=True)
    max_total: float | None = attrs.field(default=60.0, kw_only=True)
    on_retry: Callable[[RetryEvent], object] | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        require("retry.attempts", self.attempts, "1 or more", is_whole(self.attempts, 1))
        for name in ("first_wait", "max_wait", "max_total"):
            seconds = getattr(self, name)
            is_valid = is_number(seconds) or (seconds is None and name == "max_total")
            require(f"retry.{name}", seconds, "a number of seconds", is_valid)
        require_hook("retry.on_retry", self.on_retry)

    def wait(self, attempt: int, error: PowerEmailError | None) -> float:
        """Return the seconds to wait after attempt number *attempt* (from 1) ended in *error*."""
        backoff = min(self.first_wait * 2.0 ** min(attempt - 1, 64), self.max_wait)
        jittered = backoff * random.uniform(0.5, 1.0)  # noqa: S311  spreading load is no secret
        retry_after = error.retry_after if isinstance(error, ApiError) else None
        return jittered if retry_after is None else max(retry_after, jittered)

    def gives_up(self, attempt: int, elapsed: float, wait: float) -> bool:
        """
        Return whether *attempt* attempts in *elapsed* seconds are enough, if the next one would
        begin in *wait* seconds.
        """
        if attempt >= self.attempts:
            return True
        return self.max_total is not None and elapsed + wait > self.max_total
