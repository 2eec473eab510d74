"""
Rate limits: how many requests an SMTP user may make, and when the next may go.

This is the one arithmetic of windows for the client. A client's own budget, the budget that
processes share in a file, and the one that hosts share in a ledger are all `SlidingLog` objects;
they differ only in where their bookings are stored. The sandbox has a second implementation on
purpose, because it judges the client.
"""

from __future__ import annotations

import math
import os
from array import array
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from poweremail._types.account import SmtpUser
from poweremail._types.checks import is_whole, require, require_hook
from poweremail.errors import ConfigurationError

_WINDOW_SECONDS = {"per_minute": 60.0, "per_hour": 3_600.0, "per_day": 86_400.0}


@attrs.frozen
class Window:
    """At most *limit* requests in any *seconds*."""

    limit: int
    seconds: float


@attrs.frozen(kw_only=True)
class LimitWait:
    """
    A request that is about to wait for the limits.

    *smtp_user_name*: the SMTP user whose limits are reached.
    *seconds*: the expected time to wait.
    *ahead*: how many requests wait before this one.
    """

    smtp_user_name: str
    seconds: float
    ahead: int


@attrs.frozen
class RateLimits:
    """
    How many requests that send an SMTP user may make. Each attempt counts; further ones wait, in
    the order in which they came.

    Each SMTP user has three windows, the last 60 seconds, 60 minutes and 24 hours, and a request
    must fit all of them. `None` disables a window. A fresh budget lets a whole minute's requests go
    at once. The defaults are what the service allows an SMTP user, unless the plan says otherwise:

    *per_minute*
        60. Above it the service responds with 429, and does not say when to try again.
    *per_hour*
        3,600, the same rate over a longer time: it matters if *per_minute* is raised or None.
    *per_day*
        50,000: fourteen hours at the full rate.
    *path*
        A file in which the processes of this machine share one budget. It is created if it is
        missing, and must be on a local disk. Give each process the same limits; the order of
        requests is kept within a process only. By default each client has a budget of its own,
        which ends with it.
    *on_wait*
        Called with a `LimitWait`, once for each request that has to wait, before it does; on
        threads, in that of the request. An exception from it ends the request, before anything is
        sent: raise one if an hour is too long to wait.

    The service counts a request when it arrives, and counts the requests of others for the same
    SMTP user too. A 429 can therefore still come; it is repeated as the `RetryPolicy` says.

    Raises `ConfigurationError` if an option is invalid.
    """

    per_minute: int | None = 60
    per_hour: int | None = 3_600
    per_day: int | None = 50_000
    path: str | os.PathLike[str] | None = attrs.field(default=None, kw_only=True)
    on_wait: Callable[[LimitWait], object] | None = attrs.field(default=None, kw_only=True)

    def __attrs_post_init__(self) -> None:
        for name in _WINDOW_SECONDS:
            limit = getattr(self, name)
            is_valid = limit is None or is_whole(limit, 1)
            wanted = "a number of requests, 1 or more, or None"
            require(f"limits.{name}", limit, wanted, is_valid)
        is_valid = self.path is None or _is_path(self.path)
        require("limits.path", self.path, "the path of a file", is_valid)
        require_hook("limits.on_wait", self.on_wait)

    @classmethod
    def from_smtp_user(cls, smtp_user: SmtpUser, **overrides: Any) -> RateLimits:
        """
        Make limits from one SMTP user of ``settings.list_smtp``: *per_hour* is its
        ``hourly_limit``, unless that is None or 0.

        *overrides* are options of this class and take precedence.

        The service does not report the limits a minute and a day, which keep their defaults, nor
        how much of a limit is used. ``hourly_limit`` counts mails, and a request is as many mails
        as it has recipients: with several in each, give a lower *per_hour*. ``total_limit`` is
        ignored, because its period is not documented.

        Raises `ConfigurationError` if *smtp_user* is no `SmtpUser`.
        """
        if not isinstance(smtp_user, SmtpUser):
            raise ConfigurationError(
                f"must be an SmtpUser, not {type(smtp_user).__name__}", field="limits.smtp_user"
            )
        hourly = smtp_user.hourly_limit
        options: dict[str, Any] = {"per_hour": hourly} if hourly is not None and hourly > 0 else {}
        return cls(**options | overrides)

    @property
    def windows(self) -> tuple[Window, ...]:
        """The windows that are not disabled, the shortest first."""
        return tuple(
            Window(limit, seconds)
            for name, seconds in _WINDOW_SECONDS.items()
            if (limit := getattr(self, name)) is not None
        )


class SlidingLog:
    """
    The bookings of one SMTP user, and from them when the next request may go: never more than a
    window's limit, and never later than necessary.

    Times are seconds on a clock of the caller that does not go back.

    Theory of operation. A window of *limit* requests in *seconds* says that a request goes at least
    *seconds* after the one *limit* places before it. So the log is a ring of as many times as the
    largest limit, and the next request may go at the latest of one such time per window. A request
    with others ahead of it follows the same rule, applied to the planned times of those: each of
    its chains ends in a request that was booked, or in one that goes now. The plan for the booked
    ones is kept until the next booking; the plan for those that go now depends on the windows
    alone. Both grow by one step for each place in the queue, so booking and asking cost the same
    however many bookings there are.
    """

    def __init__(self, windows: Sequence[Window]) -> None:
        self._windows = tuple(windows)
        self._ring_size = max((window.limit for window in self._windows), default=0)
        self._booked = array("d")
        self._count = 0
        # By the number of requests ahead: the earliest time as the bookings allow it, and as
        # seconds after now if the first of them goes now.
        self._after_booked: list[float] = []
        self._after_now: list[float] = []

    def book(self, now: float) -> None:
        """Record a request at *now*, even one that the windows do not allow."""
        if len(self._booked) < self._ring_size:
            self._booked.append(now)
        elif self._ring_size:
            self._booked[self._count % self._ring_size] = now
        self._count += 1
        self._after_booked.clear()

    def acquire(self, now: float) -> float:
        """Book a request at *now* and return 0.0, or return the seconds until one may go."""
        wait = self.wait(now)
        if not wait:
            self.book(now)
        return wait

    def wait(self, now: float, ahead: int = 0) -> float:
        """
        Return the seconds until the next request may go, or the one with *ahead* others before it,
        each of which goes as soon as it may.
        """
        while len(self._after_booked) <= ahead:
            self._plan_next()
        return max(0.0, self._after_booked[ahead] - now, self._after_now[ahead])

    def _plan_next(self) -> None:
        ahead = len(self._after_booked)
        self._after_booked.append(
            max(
                (self._time_of(ahead - each.limit) + each.seconds for each in self._windows),
                default=-math.inf,
            )
        )
        if len(self._after_now) == ahead:
            delays = [
                self._after_now[ahead - each.limit] + each.seconds
                for each in self._windows
                if each.limit <= ahead
            ]
            self._after_now.append(max(delays, default=0.0))

    def _time_of(self, place: int) -> float:
        """The time of the request at *place* in the queue; -1 is the last one that was booked."""
        if place >= 0:
            return self._after_booked[place]
        number = self._count + place
        return self._booked[number % self._ring_size] if number >= 0 else -math.inf


def _is_path(path: object) -> bool:
    if not isinstance(path, str | os.PathLike):
        return False
    text = os.fspath(path)
    return isinstance(text, str) and text != "" and "\0" not in text
