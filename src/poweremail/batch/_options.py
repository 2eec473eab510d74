"""The options of a run, checked when a batch is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from poweremail._ledger.verdicts import Verdicts
from poweremail._policy.limits import RateLimits
from poweremail._policy.outcome import UnknownPolicy
from poweremail._policy.retry import RetryPolicy
from poweremail._types.checks import is_number, is_whole, must_be, require
from poweremail.errors import ConfigurationError

__all__ = ["RETRY", "RunOptions"]

RETRY = RetryPolicy(attempts=5, first_wait=5.0, max_wait=60.0, max_total=None)
"""
The default. Five attempts take about a minute and a half: a mail that is still not sent then has a
problem that a person must look at.
"""

_VISIBILITY_SECONDS = 30.0


def _names(given: Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(dict.fromkeys(given))


_IS_COUNT = must_be("1 or more", lambda value: is_whole(value, 1))
_IS_LEASE = must_be("a number of seconds, 1 or more", lambda value: is_number(value, 1.0))
_IS_RETRY = must_be("a RetryPolicy", lambda value: isinstance(value, RetryPolicy))


def _verdicts(options: RunOptions) -> Verdicts:
    visibility: Any = options.visibility
    if visibility is None:
        # A mail is not looked up for longer than until it may be sent again.
        limit = _VISIBILITY_SECONDS if options.resend_after is None else options.resend_after
        visibility = min(_VISIBILITY_SECONDS, limit)
    return Verdicts(options.retry, UnknownPolicy("reconcile", visibility, options.resend_after))


@attrs.frozen(kw_only=True)
class RunOptions:
    """
    The options of a run, as `AsyncBatch` describes them.

    Raises `ConfigurationError` if one is invalid.
    """

    smtp_users: tuple[str, ...] = attrs.field(converter=_names)
    concurrency: int = attrs.field(validator=_IS_COUNT)
    limits: RateLimits | Mapping[str, RateLimits] | None
    retry: RetryPolicy = attrs.field(validator=_IS_RETRY)
    visibility: float | None
    resend_after: float | None
    lease: float = attrs.field(validator=_IS_LEASE)
    errors_in_a_row: int = attrs.field(validator=_IS_COUNT)
    verdicts: Verdicts = attrs.field(init=False, default=attrs.Factory(_verdicts, takes_self=True))

    def sent_as(self, smtp_user_name: str | None) -> RunOptions:
        """
        The options with *smtp_user_name*, that of the client, if the batch names no SMTP user.

        Raises `ConfigurationError` if neither names one.
        """
        if self.smtp_users:
            return self
        if smtp_user_name is None:
            raise ConfigurationError(
                "give one to the client, or some to the batch", field="smtp_users"
            )
        return attrs.evolve(self, smtp_users=(smtp_user_name,))

    def limits_by_user(self) -> dict[str, RateLimits]:
        """The limits by SMTP user. Raises `ConfigurationError` if one is invalid."""
        limits = (
            dict.fromkeys(self.smtp_users, self.limits)
            if isinstance(self.limits, RateLimits)
            else dict(self.limits or {})
        )
        for name, each in limits.items():
            require(f"limits[{name!r}]", each, "a RateLimits", isinstance(each, RateLimits))
            if each.path is not None:
                raise ConfigurationError("has no use here: the ledger counts", field="limits.path")
        return limits
