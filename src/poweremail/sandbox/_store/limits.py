"""
Limits of SMTP users, as the service enforces them.

The service limits requests by the minute, the hour and the day, all at once, and mails by the hour
and in total; one mail is one recipient. It does not publish whether its windows slide or restart on
the hour. Here they slide: within any 60 seconds no more than *per_minute* requests are accepted,
and the next one as soon as it fits. A request that is rejected, for any reason, uses nothing.

The client has limits of its own in `poweremail._policy.limits`. They share no code with these on
purpose: the sandbox judges the client, and a fault in shared code would hide itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import attrs

from poweremail._types.checks import is_whole, must_be

_MAX_LIMIT = 10**15
"""SQLite and JSON can hold it, and no user sends as much."""

# Each limit counts requests or mails, in a window of so many milliseconds, and they are checked in
# this order. The last window began before every tally.
_WINDOWS: dict[str, tuple[Literal["requests", "mails"], int]] = {
    "per_minute": ("requests", 60_000),
    "per_hour": ("requests", 3_600_000),
    "per_day": ("requests", 86_400_000),
    "hourly_limit": ("mails", 3_600_000),
    "total_limit": ("mails", 2**62),
}


def _limit(default: int | None = None) -> Any:
    valid = must_be(
        "a number from 1 on, or None",
        lambda value: value is None or (is_whole(value, 1) and value <= _MAX_LIMIT),
    )
    return attrs.field(default=default, validator=valid)


@attrs.frozen(kw_only=True)
class SmtpLimits:
    """
    The limits of an SMTP user. None is no limit. The defaults are those of the service.

    *per_minute*, *per_hour*, *per_day*
        How many requests that send it may make in that time. A plan can have other numbers.
    *hourly_limit*, *total_limit*
        How many mails it may send within an hour, and in total; one mail is one recipient. A
        request with more recipients than are left is rejected whole.
    *answer*
        The response to a request over a limit: ``"429"``, the HTTP status, without a Retry-After;
        or ``"error"``, HTTP 200 with the same error envelope. Over a limit of mails it is an error
        envelope in any case.

    Raises `ConfigurationError` if an option is invalid.
    """

    per_minute: int | None = _limit(60)
    per_hour: int | None = _limit(3_600)
    per_day: int | None = _limit(50_000)
    hourly_limit: int | None = _limit()
    total_limit: int | None = _limit()
    answer: Literal["429", "error"] = attrs.field(
        default="429",
        validator=must_be("'429' or 'error'", lambda value: value in ("429", "error")),
    )

    @property
    def limited(self) -> bool:
        """True if there is any limit."""
        return any(number is not None for number in self.to_dict().values())

    def override(self, own: SmtpLimits) -> SmtpLimits:
        """Return these limits, with those of *own* that are not None in their place."""
        given = {name: number for name, number in own.to_dict().items() if number is not None}
        return SmtpLimits(**self.to_dict() | given, answer=self.answer)

    @classmethod
    def from_columns(cls, columns: Mapping[str, Any]) -> SmtpLimits:
        """Return the limits that stand in *columns* of the same names."""
        return cls(**{name: columns[name] for name in _WINDOWS})

    def to_dict(self) -> dict[str, int | None]:
        """Return the numbers by name."""
        return {name: getattr(self, name) for name in _WINDOWS}


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
        """Return the numbers by name."""
        return attrs.asdict(self)


@attrs.frozen(kw_only=True)
class SmtpUser:
    """An SMTP user: whether it is *enabled*, its *limits*, and how much of them is *used*."""

    name: str
    enabled: bool
    limits: SmtpLimits
    used: SmtpUsage


@attrs.frozen
class Tally:
    """
    How many *requests* and *mails* of an SMTP user were accepted until the time *at*.

    The difference of two tallies is the content of a window of any length.
    """

    at: int
    requests: int
    mails: int


def usage(now: int, tally_at: Callable[[int], Tally]) -> SmtpUsage:
    """
    Return the usage at the time *now*; *tally_at* returns the tally of a time.

    A request that is exactly as old as a window is long is no longer in it.
    """
    latest = tally_at(now)
    return SmtpUsage(
        **{
            name: getattr(latest, unit) - getattr(tally_at(now - length), unit)
            for name, (unit, length) in _WINDOWS.items()
        }
    )


class LimitReached(Exception):  # noqa: N818  the service says no; it is no error of the sandbox
    """A request is over the *limit* of that name, which allows *number* of its *unit*."""

    def __init__(self, limit: str, unit: str, number: int) -> None:
        super().__init__(f"{limit} is {number}")
        self.limit = limit
        self.unit = unit
        self.number = number


def check(limits: SmtpLimits, used: SmtpUsage, mails: int) -> None:
    """Raise `LimitReached` if a request with so many *mails* is over a limit."""
    for name, (unit, _) in _WINDOWS.items():
        most = getattr(limits, name)
        more = mails if unit == "mails" else 1
        if most is not None and getattr(used, name) + more > most:
            raise LimitReached(name, unit, most)
