"""What an outcome means for the row: decisions only, by the error and by what the user wants."""

from __future__ import annotations

import re

import attrs

from poweremail._ledger.states import State
from poweremail._ledger.values import Verdict, Work
from poweremail._policy.outcome import UnknownPolicy
from poweremail._policy.retry import RetryPolicy
from poweremail.errors import (
    ApiError,
    AuthenticationError,
    DeliveryUnknownError,
    PowerEmailError,
    RateLimitError,
    UsageError,
)

__all__ = ["ACCEPTED", "RELEASED", "SEEN", "Verdicts"]

ACCEPTED = Verdict(state=State.ACCEPTED, attempted=True)
SEEN = Verdict(state=State.ACCEPTED, looked=True)
"""getMessageInfo shows it."""
RELEASED = Verdict(state=State.PLANNED, delay=0.0)
"""The request was never begun."""

# What the service says of an SMTP user that is missing, disabled or used up: of the sender, not of
# the mail.
_ABOUT_THE_SMTP_USER = re.compile(r"\bsmtp[ _-]?user", re.IGNORECASE)


@attrs.frozen
class Verdicts:
    """
    Settles outcomes: *retry* says how often and how patiently what was not sent is tried again,
    *unknown* how long a mail is looked for, and after how many seconds of not being visible it
    counts as never taken.
    """

    retry: RetryPolicy
    unknown: UnknownPolicy

    def of_send(self, work: Work, error: PowerEmailError) -> Verdict:  # noqa: PLR0911  one return an outcome
        """What becomes of a row whose request ended in *error*."""
        match error:
            case RateLimitError():
                # It says something about the SMTP user, who waits; the mail has lost nothing.
                return Verdict(
                    state=State.PLANNED, error=error, delay=0.0, refused=error.retry_after or 0.0
                )
            case AuthenticationError():
                return Verdict(
                    state=State.PLANNED,
                    error=error,
                    delay=0.0,
                    pause=f"the service refuses the account: {error.reason}",
                )
            case ApiError() if error.mail_state == "rejected" and _ABOUT_THE_SMTP_USER.search(
                error.message
            ):
                why = f"the service refuses the SMTP user {work.smtp_user_name}: {error.reason}"
                return Verdict(state=State.PLANNED, error=error, delay=0.0, pause=why)
            case UsageError():
                return Verdict(state=State.NOT_SENT, error=error)
        match error.mail_state:
            case "rejected":
                return Verdict(state=State.REJECTED, error=error, attempted=True, bad=True)
            case "not_sent":
                attempt = work.attempts + 1
                if attempt >= self.retry.attempts:
                    return Verdict(state=State.NOT_SENT, error=error, attempted=True, bad=True)
                delay = self.retry.wait(attempt, error)
                return Verdict(
                    state=State.PLANNED, error=error, attempted=True, delay=delay, bad=True
                )
            case _:
                delay = self.unknown.pause(1, self.unknown.timeout)
                return Verdict(
                    state=State.UNKNOWN, error=error, attempted=True, delay=delay, bad=True
                )

    @staticmethod
    def of_unfit(work: Work, error: UsageError, *, read: bool) -> Verdict:
        """
        What becomes of a row that is not to be sent as it is: it could not be *read*, or its
        rehearsal does not let it out.

        What was taken by a worker that died was not sent by it either, where the rehearsal forbids
        it. Of a row that cannot be read that is not known: another version may have read and sent
        it.
        """
        if work.state is State.SENDING:
            return Verdict(state=State.NOT_SENT, error=error)
        return RELEASED if read else Verdict(state=State.UNKNOWN, error=error, looked=True)

    def of_look(self, work: Work, error: PowerEmailError) -> Verdict:
        """What becomes of a row that was looked up and not found."""
        # The question was asked after the row was taken, so at least so many seconds after it
        # became unknown.
        elapsed = work.taken - work.unknown_since
        if elapsed < self.unknown.timeout:
            delay = self.unknown.pause(work.looks + 1, self.unknown.timeout - elapsed)
            return Verdict(state=State.UNKNOWN, error=error, delay=delay, looked=True)
        seen_nothing = isinstance(error, DeliveryUnknownError) and error.seen is False
        if (
            seen_nothing
            and self.unknown.resend_after is not None
            and work.attempts < self.retry.attempts
        ):
            return Verdict(state=State.PLANNED, error=error, delay=0.0)
        return Verdict(state=State.UNKNOWN, error=error, looked=True)
