"""Decides how an outcome changes its row, from the error and the user's options alone."""

from __future__ import annotations

import re

import attrs

from poweremail._ledger import State
from poweremail._ledger.values import Verdict, Work
from poweremail._policy.outcome import UnknownPolicy
from poweremail._policy.retry import RetryPolicy
from poweremail.errors import (
    ApiError,
    AuthenticationError,
    DeliveryUnknownError,
    PowerEmailError,
    RateLimitError,
    SuppressedError,
    TransportError,
    UsageError,
)

ACCEPTED = Verdict(state=State.ACCEPTED, attempted=True)
SEEN = Verdict(state=State.ACCEPTED, looked=True)
"""getMessageInfo shows the mail."""
RELEASED = Verdict(state=State.PLANNED, delay=0.0)
"""The request was never begun."""


def of_interrupted(work: Work, *, begun: bool) -> Verdict:
    """The verdict on a row whose processing was interrupted; *begun*: a request may have left."""
    if work.state is State.SENDING and not begun:
        return RELEASED
    error = DeliveryUnknownError("the run was interrupted")
    return Verdict(state=State.UNKNOWN, error=error, delay=0.0)


# The service reports a missing, disabled or exhausted SMTP user with such a text. The error then
# concerns the sender, not the mail.
_ABOUT_THE_SMTP_USER = re.compile(r"\bsmtp[ _-]?user", re.IGNORECASE)


_MAX_WAIT_SECONDS = 900.0
"""The longest wait before a mail of an outbox is tried again, unless `retry` has a longer one."""


@attrs.frozen
class Verdicts:
    """
    Decides about outcomes.

    *retry*: how often, and after which waits, a mail that was not sent is tried again.
    *unknown*: how long a mail is looked up, and after how many seconds a mail that is not visible
    was never accepted.
    *keeps_trying*: whether a mail that was not sent is tried again without an end, as in an outbox.
    """

    retry: RetryPolicy
    unknown: UnknownPolicy
    keeps_trying: bool = False

    def of_send(self, work: Work, error: PowerEmailError) -> Verdict:
        """The verdict on a row whose request ended in *error*."""
        match error:
            case RateLimitError():
                # It concerns the SMTP user, who has to wait. The mail keeps its attempts.
                return Verdict(
                    state=State.PLANNED, error=error, delay=0.0, refused=error.retry_after or 0.0
                )
            case AuthenticationError():
                return _pausing(error, f"the service refuses the account: {error.reason}")
            case ApiError() if error.mail_state == "rejected" and _ABOUT_THE_SMTP_USER.search(
                error.message
            ):
                refused = f"the service refuses the SMTP user {work.smtp_user_name}"
                return _pausing(error, f"{refused}: {error.reason}")
            case UsageError() | SuppressedError():
                return Verdict(state=State.NOT_SENT, error=error)
            case TransportError() if not error.temporary:
                return _pausing(error, error.reason)
        state, attempt = State.UNKNOWN, work.attempts + 1
        delay: float | None = None
        bad = True
        if error.mail_state == "rejected":
            state = State.REJECTED
        elif error.mail_state != "not_sent":
            delay = self.unknown.pause(1, self.unknown.timeout)
        elif self.keeps_trying:
            patient = attrs.evolve(self.retry, max_wait=max(self.retry.max_wait, _MAX_WAIT_SECONDS))
            # The outbox need not pause: nothing is lost while its mails wait.
            state, delay, bad = State.PLANNED, patient.wait(attempt, error), False
        elif attempt < self.retry.attempts:
            state, delay = State.PLANNED, self.retry.wait(attempt, error)
        else:
            state = State.NOT_SENT
        return Verdict(state=state, error=error, attempted=True, delay=delay, bad=bad)

    @staticmethod
    def of_unfit(work: Work, error: UsageError, *, is_readable: bool) -> Verdict:
        """
        The verdict on a row that must not be sent as it is: it is not *readable*, or its rehearsal
        does not allow its recipients.

        If the rehearsal forbids a row, a worker that died did not send it either. If the row cannot
        be read, that is not known: another version may have read and sent it.
        """
        if work.state is State.SENDING:
            return Verdict(state=State.NOT_SENT, error=error)
        return RELEASED if is_readable else Verdict(state=State.UNKNOWN, error=error, looked=True)

    def of_look(self, work: Work, error: PowerEmailError) -> Verdict:
        """The verdict on a row that was looked up and not found."""
        # The query was made after the row was taken, so at least so many seconds after the row
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


def _pausing(error: PowerEmailError, pause: str) -> Verdict:
    """Plan the mail again and pause the batch: every other mail would fail in the same way."""
    return Verdict(state=State.PLANNED, error=error, delay=0.0, pause=pause)
