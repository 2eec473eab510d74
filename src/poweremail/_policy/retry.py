"""When to try again, and when to give up."""

from __future__ import annotations

import random
from collections.abc import Callable
from inspect import iscoroutinefunction

import attrs

from poweremail._types.number import is_number, is_whole
from poweremail.errors import ApiError, PowerEmailError, UsageError

__all__ = ["RetryEvent", "RetryPolicy"]


@attrs.frozen(kw_only=True)
class RetryEvent:
    """
    One retry that is about to happen.

    *operation* is the path of the call, *unique_id* the mail's (None where there is none),
    *attempt* the number of attempts made so far, *error* what the last one ended in, *wait* the
    seconds until the next.
    """

    operation: str
    unique_id: str | None
    attempt: int
    error: PowerEmailError
    wait: float


@attrs.frozen
class RetryPolicy:
    """
    How often, how long and how patiently a call is repeated; *whether* it may be is decided by its
    outcome.

    *attempts*
        Requests in all, 4 by default: with these waits they span about four seconds, which outlives
        a restarting proxy. 1 turns retries off.
    *first_wait*, *max_wait*
        Seconds before the second attempt (0.5) and at most (8). The wait doubles each time, and a
        random half is taken off, so that many clients do not come back at the same moment. A
        Retry-After of the service is waited for where it is longer.
    *max_total*
        Seconds from the first attempt's start after which no further attempt begins (60); None for
        no cap. A wait that would end later, a long Retry-After among them, is not begun. It never
        cuts an attempt short.
    *on_retry*
        Called with a `RetryEvent` before each wait. Raising in it ends the call with that error.

    Raises `UsageError` for a number out of range.
    """

    attempts: int = 4
    first_wait: float = attrs.field(default=0.5, kw_only=True)
    max_wait: float = attrs.field(default=8.0, kw_only=True)
    max_total: float | None = attrs.field(default=60.0, kw_only=True)
    on_retry: Callable[[RetryEvent], object] | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not is_whole(self.attempts, 1):
            raise UsageError(
                f"must be 1 or more, not {self.attempts!r}", field="retry.attempts", mail_state=None
            )
        for field in ("first_wait", "max_wait", "max_total"):
            seconds = getattr(self, field)
            if seconds is None and field == "max_total":
                continue
            if not is_number(seconds):
                raise UsageError(
                    f"must be a number of seconds, not {seconds!r}",
                    field=f"retry.{field}",
                    mail_state=None,
                )

        if self.on_retry is not None and (
            not callable(self.on_retry) or iscoroutinefunction(self.on_retry)
        ):
            raise UsageError(
                f"must be a plain function, not {self.on_retry!r}",
                field="retry.on_retry",
                mail_state=None,
            )

    def wait(self, attempt: int, error: PowerEmailError | None) -> float:
        """
        Return how many seconds to wait after attempt number *attempt* (from 1) ended in *error*.
        """
        backoff = min(self.first_wait * 2.0 ** min(attempt - 1, 64), self.max_wait)
        jittered = backoff * random.uniform(0.5, 1.0)  # noqa: S311  spreading load is no secret
        asked = error.retry_after if isinstance(error, ApiError) else None
        return jittered if asked is None else max(asked, jittered)

    def gives_up(self, attempt: int, elapsed: float, wait: float) -> bool:
        """
        Say whether *attempt* attempts in *elapsed* seconds are enough, the next being *wait*
        seconds away.
        """
        return attempt >= self.attempts or (
            self.max_total is not None and elapsed + wait > self.max_total
        )
