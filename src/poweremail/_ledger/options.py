"""
The options that all workers of a batch share, and the limits that all batches share, as values.
`stored_options` has them in the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from poweremail._ledger.verdicts import Verdicts
from poweremail._policy.limits import RateLimits
from poweremail._policy.outcome import UnknownPolicy
from poweremail._policy.retry import RetryPolicy
from poweremail._types.checks import is_number, must_be, one_or_more

BULK_SHARE = 0.8
"""The share of each limit that other batches may use beside an outbox, by default."""

RETRY_OPTIONS = ("attempts", "first_wait", "max_wait")
"""The options of a `RetryPolicy` that a batch uses."""

WINDOWS = ("per_minute", "per_hour", "per_day")
"""The options of `RateLimits` that the ledger stores for each SMTP user."""

_VISIBILITY_SECONDS = 30.0

_IS_LEASE = must_be("a number of seconds, 1 or more", lambda value: is_number(value, 1.0))


def _verdicts(options: SharedOptions) -> Verdicts:
    visibility: Any = options.visibility
    if visibility is None:
        # A mail is not looked up for longer than until it may be sent again.
        limit = _VISIBILITY_SECONDS if options.resend_after is None else options.resend_after
        visibility = min(_VISIBILITY_SECONDS, limit)
    retry = RetryPolicy(
        options.attempts,
        first_wait=options.first_wait,
        max_wait=options.max_wait,
        max_total=None,
    )
    return Verdicts(retry, UnknownPolicy("reconcile", visibility, options.resend_after))


@attrs.frozen(kw_only=True)
class SharedOptions:
    """
    The options that all workers of a batch share, as `AsyncBatch` describes them.

    Raises `ConfigurationError` if one is invalid.
    """

    # Five attempts take about a minute and a half: a mail that is still not sent then has a problem
    # that a person must look at.
    attempts: int = 5
    first_wait: float = 5.0
    max_wait: float = 60.0
    visibility: float | None = None
    resend_after: float | None = None
    lease: float = attrs.field(default=30.0, validator=_IS_LEASE)
    errors_in_a_row: int = attrs.field(default=20, validator=one_or_more)
    verdicts: Verdicts = attrs.field(init=False, default=attrs.Factory(_verdicts, takes_self=True))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SharedOptions:
        """Make options from those that were given. Names of a later version are left out."""
        return cls(**{name: values[name] for name in NAMES if name in values})

    @classmethod
    def from_json(cls, text: str | None) -> SharedOptions:
        """Read the options as a ledger stores them; None if none was ever given."""
        return cls.from_dict(json.loads(text or "{}"))


NAMES = tuple(field.name for field in attrs.fields(SharedOptions) if field.init)
"""The names of the options that a batch stores."""


def is_share(value: object) -> bool:
    """Whether *value* is a share of a limit."""
    return is_number(value) and 0 < value <= 1


def limits_of(values: Mapping[str, Any]) -> RateLimits | None:
    """The limits in the stored *values* of an SMTP user; None if none were ever given."""
    if not values.keys() & set(WINDOWS):
        return None
    return RateLimits(*(values.get(name) for name in WINDOWS))


def windows_of(limits: RateLimits | None) -> dict[str, int | None]:
    """The values that the ledger stores for *limits*. Without limits each window is None."""
    return {name: getattr(limits, name, None) for name in WINDOWS}
