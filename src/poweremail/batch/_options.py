"""The options of a batch, checked when it is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

import attrs

from poweremail._ledger.options import RETRY_OPTIONS, SharedOptions, windows_of
from poweremail._policy.limits import RateLimits
from poweremail._policy.retry import RetryPolicy
from poweremail._types.checks import one_or_more, require
from poweremail.errors import ConfigurationError


class ChangedOptions(TypedDict, total=False):
    """The options that `AsyncBatch.set_options` changes. None gives an option its default."""

    limits: RateLimits | Mapping[str, RateLimits | None] | None
    retry: RetryPolicy | Mapping[str, float] | None
    visibility: float | None
    resend_after: float | None
    lease: float | None
    errors_in_a_row: int | None
    bulk_share: float | None


def _names(given: Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(dict.fromkeys(given))


def _flat(options: Mapping[str, Any]) -> dict[str, Any]:
    """The *options* of a batch as the ledger stores them, with those of the `RetryPolicy`."""
    values = {name: value for name, value in options.items() if name not in ("limits", "retry")}
    if "retry" in options:
        retry = options["retry"]
        if isinstance(retry, Mapping):
            known = ", ".join(RETRY_OPTIONS)
            is_valid = retry.keys() <= set(RETRY_OPTIONS)
            require("retry", dict(retry), f"a RetryPolicy, or some of {known}", is_valid)
            return values | dict(retry)
        is_valid = retry is None or isinstance(retry, RetryPolicy)
        require("retry", retry, "a RetryPolicy", is_valid)
        values |= {name: getattr(retry, name, None) for name in RETRY_OPTIONS}
    return values


@attrs.frozen(kw_only=True)
class RunOptions:
    """
    The options of a process that runs a batch, as `AsyncBatch` describes them.

    *limits*: as given to the batch.
    *given*: the options that all workers share, as the ledger stores them, if they were given.

    Raises `ConfigurationError` if one is invalid.
    """

    smtp_users: tuple[str, ...] = attrs.field(converter=_names)
    concurrency: int = attrs.field(validator=one_or_more)
    limits: RateLimits | Mapping[str, RateLimits | None] | None
    given: dict[str, Any]

    @classmethod
    def from_options(
        cls,
        *,
        smtp_users: Iterable[str],
        concurrency: int,
        limits: RateLimits | Mapping[str, RateLimits | None] | None,
        **shared: Any,
    ) -> RunOptions:
        """Check the options of a batch. A *shared* one that is None was not given."""
        given = {name: value for name, value in _flat(shared).items() if value is not None}
        SharedOptions.from_dict(given)
        return cls(smtp_users=smtp_users, concurrency=concurrency, limits=limits, given=given)

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

    def limits_by_user(self) -> dict[str, RateLimits | None]:
        """
        The limits by SMTP user, None if none are given. Raises `ConfigurationError` if one is
        invalid.
        """
        limits = (
            self.limits
            if isinstance(self.limits, Mapping)
            else dict.fromkeys(self.smtp_users, self.limits)
        )
        for name, each in limits.items():
            is_valid = each is None or isinstance(each, RateLimits)
            require(f"limits[{name!r}]", each, "a RateLimits", is_valid)
            if each is not None and each.path is not None:
                raise ConfigurationError("has no use here: the ledger counts", field="limits.path")
        return dict(limits)

    def changed(
        self, changes: ChangedOptions, smtp_user_name: str | None
    ) -> tuple[RunOptions, dict[str, Any], dict[str, dict[str, int | None]]]:
        """
        The options with *changes*, and what the ledger has to change: options, and windows by SMTP
        user. Limits without names are for the SMTP users of the batch, or *smtp_user_name*, that of
        the client.

        Raises `ConfigurationError` if one is invalid.
        """
        names = ChangedOptions.__annotations__
        if unknown := changes.keys() - names.keys():
            reason = f"is not shared by the workers of a batch; these are: {', '.join(names)}"
            raise ConfigurationError(reason, field=min(unknown))
        values = _flat(changes)
        given = {
            name: value for name, value in {**self.given, **values}.items() if value is not None
        }
        SharedOptions.from_dict(given)
        options = attrs.evolve(self, given=given)
        if "limits" not in changes:
            return options, values, {}
        changed = attrs.evolve(self, limits=changes["limits"])
        if not isinstance(changed.limits, Mapping):
            changed = changed.sent_as(smtp_user_name)
        limits = changed.limits_by_user()
        known = {name: each for name, each in self.limits_by_user().items() if each is not None}
        windows = {name: windows_of(each) for name, each in limits.items()}
        return attrs.evolve(options, limits={**known, **limits}), values, windows
