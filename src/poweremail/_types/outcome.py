"""What became of one mail among many."""

from __future__ import annotations

from typing import Literal

import attrs

from poweremail._types.result import SendResult
from poweremail.errors import PowerEmailError

__all__ = ["SendOutcome"]


@attrs.frozen
class SendOutcome:
    """
    The outcome of one message of `send_many`.

    *index* is its place in the source (from 0), *message* what the source gave. Either *result* or
    *error* is set.
    """

    index: int
    message: object = attrs.field(repr=False)
    result: SendResult | None = attrs.field(default=None, kw_only=True)
    error: PowerEmailError | None = attrs.field(default=None, kw_only=True)

    @property
    def state(self) -> Literal["accepted", "rejected", "not_sent", "unknown"]:
        """What happened to the mail."""
        if self.error is None:
            return "accepted"
        return self.error.mail_state or "unknown"
