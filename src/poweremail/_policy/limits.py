"""How many requests an SMTP user may make, and when the next may go."""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Callable, Sequence
from inspect import iscoroutinefunction
from typing import Any

import attrs

from poweremail._types.account import SmtpUser
from poweremail._types.number import is_whole
from poweremail.errors import UsageError

__all__ = ["LimitWait", "RateLimits", "SlidingLog", "Window"]

_LENGTHS = {"per_minute": 60.0, "per_hour": 3_600.0, "per_day": 86_400.0}


@attrs.frozen
class Window:
    """At most *limit* requests in any *seconds*."""

    limit: int
    seconds: float


@attrs.frozen(kw_only=True)
class LimitWait:
    """
    A request that is about to wait: of which SMTP user, for how many *seconds* as far as can be
    told, behind how many others.
    """

    smtp_user_name: str
    seconds: float
    ahead: int


@attrs.frozen
class RateLimits:
    """
    How many requests that send an SMTP user may make; each attempt counts. More of them wait, in
    the order in which they came.

    All three hold at once, over the last 60 seconds, 60 minutes and 24 hours, whenever these began;
    None stands for no such limit. A fresh budget lets a whole minute's requests go at once. The
    defaults are what the service allows an SMTP user, unless the plan says otherwise:

    *per_minute*
        60. Over it the service answers 429 and does not say when to come back; a request that waits
        here is not refused there.
    *per_hour*
        3,600, which is the same rate over a longer time: it matters where *per_minute* is raised or
        None.
    *per_day*
        50,000: fourteen hours at the full rate.
    *path*
        A file in which all processes of this machine keep one budget; it is made where it is
        missing, and must be on a local disk. Give each of them the same limits. They take turns as
        it comes: the order is kept within a process only. By default each client has a budget of
        its own, which ends with it.
    *on_wait*
        Called with a `LimitWait`, once for each request that has to wait, before it does; on
        threads, in that of the request. Raising in it ends the request with that error, before
        anything is sent: so does who would not wait for an hour.

    The service counts a request when it arrives, and requests that others make for the same SMTP
    user count with it. A 429 can therefore still come; it is repeated as the `RetryPolicy` says.

    Raises `UsageError` for what cannot be meant.
    """

    per_minute: int | None = 60
    per_hour: int | None = 3_600
    per_day: int | None = 50_000
    path: str | os.PathLike[str] | None = attrs.field(default=None, kw_only=True)
    on_wait: Callable[[LimitWait], object] | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        for field in _LENGTHS:
            limit = getattr(self, field)
            if limit is not None and not is_whole(limit, 1):
                raise _usage(
                    f"must be a number of requests, 1 or more, or None, not {limit!r}", field
                )
        if self.path is not None and not _is_path(self.path):
            raise _usage(f"must be the path of a file, not {self.path!r}", "path")
        if self.on_wait is not None and (
            not callable(self.on_wait) or iscoroutinefunction(self.on_wait)
        ):
            raise _usage(f"must be a plain function, not {type(self.on_wait).__name__}", "on_wait")

    @classmethod
    def from_smtp_user(cls, smtp_user: SmtpUser, **overrides: Any) -> RateLimits:
        """
        Make limits from what ``settings.list_smtp`` says of one SMTP user: *per_hour* is its
        ``hourly_limit``.

        An ``hourly_limit`` that is None or 0 leaves the default. *overrides* are options of this
        class, and go first.

        What is not told: the limits a minute and a day, which keep their defaults, and how much of
        any limit is used up already. ``hourly_limit`` counts mails, and one request is as many
        mails as it has recipients: with several in each, give a lower *per_hour*. ``total_limit``
        is left aside, because over which time it counts is not said. Raises `UsageError` for what
        is no `SmtpUser`.
        """
        if not isinstance(smtp_user, SmtpUser):
            raise _usage(f"must be an SmtpUser, not {type(smtp_user).__name__}", "smtp_user")
        hourly = smtp_user.hourly_limit
        options: dict[str, Any] = {"per_hour": hourly} if hourly is not None and hourly > 0 else {}
        return cls(**options | overrides)

    @property
    def windows(self) -> tuple[Window, ...]:
        """The limits that are set, the shortest window first."""
        return tuple(
            Window(limit, seconds)
            for field, seconds in _LENGTHS.items()
            if (limit := getattr(self, field)) is not None
        )


class SlidingLog:
    """
    When the next request may go, given those that went: never more than its limit in any window,
    and never later than need be.

    It is told the time, in seconds on a clock that does not go back, and does nothing else. Booking
    and asking cost the same, however much is in it; it remembers as many requests as the largest
    limit counts.
    """

    def __init__(self, windows: Sequence[Window]) -> None:
        self._windows = tuple(windows)
        # A ring: only as many as the largest limit are ever looked back to.
        self._size = max((window.limit for window in self._windows), default=0)
        self._went = array("d")
        self._count = 0
        # When the request that has so many before it may go is the later of two times, because each
        # of them waits for a chain of others that ends either in one that went, or in one that goes
        # now:
        self._after_those_that_went: list[float] = []
        self._after_one_that_goes_now: list[
            float
        ] = []  # this one as seconds from now; it depends on the windows alone

    def book(self, now: float) -> None:
        """Take note that a request goes *now*, be it allowed or not."""
        if len(self._went) < self._size:
            self._went.append(now)
        elif self._size:
            self._went[self._count % self._size] = now
        self._count += 1
        self._after_those_that_went.clear()

    def wait(self, now: float, ahead: int = 0) -> float:
        """
        Return in how many seconds the next request may go; 0.0 says at once.

        With *ahead*, that is the request which has so many others before it, each of which goes as
        soon as it may. The first such question after a booking takes a time in proportion to
        *ahead*, the next ones do not.
        """
        while len(self._after_those_that_went) <= ahead:
            self._plan(len(self._after_those_that_went))
        return max(
            0.0, self._after_those_that_went[ahead] - now, self._after_one_that_goes_now[ahead]
        )

    def _plan(self, ahead: int) -> None:
        past, now = self._after_those_that_went, self._after_one_that_goes_now
        past.append(
            max(
                (self._turn(ahead - window.limit) + window.seconds for window in self._windows),
                default=-math.inf,
            )
        )
        if len(now) == ahead:
            now.append(
                max(
                    (
                        now[ahead - each.limit] + each.seconds
                        for each in self._windows
                        if each.limit <= ahead
                    ),
                    default=0.0,
                )
            )

    def _turn(self, ahead: int) -> float:
        """
        When the request with so many *ahead* goes, as those that went decide it; below 0 it is one
        of them, -1 the last.
        """
        if ahead >= 0:
            return self._after_those_that_went[ahead]
        return (
            self._went[(self._count + ahead) % self._size]
            if self._count + ahead >= 0
            else -math.inf
        )


def _is_path(path: object) -> bool:
    if not isinstance(path, str | os.PathLike):
        return False
    text = os.fspath(path)
    return isinstance(text, str) and text != "" and "\0" not in text


def _usage(reason: str, field: str) -> UsageError:
    return UsageError(reason, field=f"limits.{field}", mail_state=None)
