"""
How much an SMTP user may send.

The service limits requests by the minute, the hour and the day, all at once, and mails by the hour
and in total; one mail is one recipient. Whether its windows slide or begin anew on the hour is
published nowhere. Here they slide: within any 60 seconds no more than *per_minute* requests are
taken, and the next one as soon as it may be. Only what is taken counts: a request that is refused,
by a limit or for another reason, uses up nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import attrs

from poweremail._types.number import is_whole
from poweremail.errors import UsageError

__all__ = [
    "LIMITS",
    "REQUEST_LIMITS",
    "UNLIMITED",
    "LimitReached",
    "SmtpLimits",
    "SmtpUsage",
    "SmtpUser",
    "Tally",
    "check",
    "usage",
]

_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000
"""Milliseconds."""

_MOST = 10**15
"""Far more than anybody sends, and no more than SQLite and JSON can count."""

REQUEST_LIMITS = ("per_minute", "per_hour", "per_day")
"""The limits that count requests."""

LIMITS = (*REQUEST_LIMITS, "hourly_limit", "total_limit")
"""All limits, in the order in which they are asked; the last two count mails."""


def _limit(_: SmtpLimits, attribute: attrs.Attribute[Any], value: object) -> None:
    if value is not None and not (is_whole(value, 1) and value <= _MOST):
        raise UsageError(
            f"must be a number from 1 on, or None, not {value!r}",
            field=attribute.name,
            mail_state=None,
        )


def _answer(_: SmtpLimits, __: object, value: object) -> None:
    if value not in ("429", "error"):
        raise UsageError(
            f"must be '429' or 'error', not {value!r}", field="answer", mail_state=None
        )


@attrs.frozen(kw_only=True)
class SmtpLimits:
    """
    The limits of an SMTP user; None is no limit. The defaults are those of the service.

    *per_minute*, *per_hour*, *per_day*
        How many requests that send it may make in that time. A plan can have other numbers.
    *hourly_limit*, *total_limit*
        How many mails it may send within an hour, and in all; one mail is one recipient. A request
        with more recipients than are left is refused whole.
    *answer*
        What comes to a request too many: ``"429"``, the HTTP status, without a Retry-After; or
        ``"error"``, HTTP 200 and the same error envelope. Mails too many are answered by an error
        envelope in any case.

    Raises `UsageError` for what cannot be meant.
    """

    per_minute: int | None = attrs.field(default=60, validator=_limit)
    per_hour: int | None = attrs.field(default=3_600, validator=_limit)
    per_day: int | None = attrs.field(default=50_000, validator=_limit)
    hourly_limit: int | None = attrs.field(default=None, validator=_limit)
    total_limit: int | None = attrs.field(default=None, validator=_limit)
    answer: Literal["429", "error"] = attrs.field(default="429", validator=_answer)

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return any(getattr(self, name) is not None for name in LIMITS)

    def override(self, own: SmtpLimits) -> SmtpLimits:
        """These limits with those of *own* in their place that are not None."""
        return attrs.evolve(
            self, **{name: getattr(own, name) for name in LIMITS if getattr(own, name) is not None}
        )

    def to_dict(self) -> dict[str, int | None]:
        """The numbers by name."""
        return {name: getattr(self, name) for name in LIMITS}


UNLIMITED = SmtpLimits(per_minute=None, per_hour=None, per_day=None)
"""No limit at all."""


@attrs.frozen(kw_only=True)
class SmtpUsage:
    """How much of each limit of `SmtpLimits` is used: requests, and for the last two mails."""

    per_minute: int = 0
    per_hour: int = 0
    per_day: int = 0
    hourly_limit: int = 0
    total_limit: int = 0

    def to_dict(self) -> dict[str, int]:
        """The numbers by name."""
        return {name: getattr(self, name) for name in LIMITS}


@attrs.frozen(kw_only=True)
class SmtpUser:
    """
    An SMTP user: whether it is *enabled*, what it may send (*limits*), and how much of that is
    *used*.
    """

    name: str
    enabled: bool
    limits: SmtpLimits
    used: SmtpUsage


@attrs.frozen
class Tally:
    """
    How many *requests* and *mails* of an SMTP user had been taken by the time *at*, in milliseconds
    since the epoch.
    """

    at: int
    requests: int
    mails: int

    def and_one_more(self, at: int, mails: int) -> Tally:
        """The tally after a request with so many *mails*."""
        return Tally(at, self.requests + 1, self.mails + mails)


def usage(now: int, tally_at: Callable[[int], Tally]) -> SmtpUsage:
    """
    What is used at the time *now*; *tally_at* returns the tally of a time.

    What is exactly as old as a window is long is no longer in it.
    """
    latest, minute, hour, day = (tally_at(now - length) for length in (0, _MINUTE, _HOUR, _DAY))
    return SmtpUsage(
        per_minute=latest.requests - minute.requests,
        per_hour=latest.requests - hour.requests,
        per_day=latest.requests - day.requests,
        hourly_limit=latest.mails - hour.mails,
        total_limit=latest.mails,
    )


class LimitReached(Exception):  # noqa: N818 - it is how the service says no, not an error of the sandbox
    """
    One more request would be too many: *limit* is the name of the limit, *number* what it allows.
    """

    def __init__(self, limit: str, number: int) -> None:
        super().__init__(f"{limit} is {number}")
        self.limit = limit
        self.number = number


def check(limits: SmtpLimits, used: SmtpUsage, mails: int) -> None:
    """Raise `LimitReached` where a request with so many *mails* is too much."""
    for name in LIMITS:
        number: int | None = getattr(limits, name)
        more = 1 if name in REQUEST_LIMITS else mails
        if number is not None and getattr(used, name) + more > number:
            raise LimitReached(name, number)
