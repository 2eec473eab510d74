"""What to do about a send whose outcome is unknown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

import attrs

from poweremail._types.number import is_number
from poweremail.errors import UsageError

__all__ = ["OnUnknown", "UnknownPolicy", "folded"]

OnUnknown = Literal["raise", "reconcile", "resend"]


@attrs.frozen
class UnknownPolicy:
    """
    The options *on_unknown*, *visibility* and *resend_after* of a client, together.

    Raises `UsageError` for what cannot be meant.
    """

    on_unknown: OnUnknown = "raise"
    visibility: float = 30.0
    resend_after: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.on_unknown not in get_args(OnUnknown):
            raise _usage(
                f"must be one of {', '.join(get_args(OnUnknown))}, not {self.on_unknown!r}",
                "on_unknown",
            )
        _check_seconds("visibility", self.visibility)
        if self.resend_after is None:
            return
        _check_seconds("resend_after", self.resend_after)
        if self.on_unknown != "reconcile":
            raise _usage("goes with on_unknown='reconcile'", "resend_after")
        if self.resend_after < self.visibility:
            raise _usage(
                f"must not be less than visibility, {self.visibility} s: the mail may yet appear",
                "resend_after",
            )

    @property
    def patience(self) -> float:
        """How many seconds a mail is looked for."""
        return self.visibility if self.resend_after is None else self.resend_after

    @staticmethod
    def pause(look_ups: int, remaining: float) -> float:
        """
        How many seconds to wait after so many *look_ups*: soon at first, then every five seconds,
        and once more at the end.
        """
        return min(0.25 * 2.0 ** min(look_ups - 1, 8), 5.0, remaining)


def folded(recipients: Iterable[str]) -> frozenset[str]:
    """
    The *recipients* as they are compared: domains, and in practice whole addresses, are the same in
    any case.
    """
    return frozenset(address.lower() for address in recipients)


def _check_seconds(field: str, value: object) -> None:
    if not is_number(value):
        raise _usage(f"must be a number of seconds, not {value!r}", field)


def _usage(reason: str, field: str) -> UsageError:
    return UsageError(reason, field=field, mail_state=None)
