"""
Errors of two classes at once: the one that the vendor's page names, and the one by which this
library says what happened to the mail.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from poweremail.errors import (
    DeliveryUnknownError,
    GeneralError,
    PowerEmailError,
    UsageError,
    ValidationError,
)

Error = PowerEmailError
"""The base of every error of a call."""


class ParameterError(UsageError, ValidationError):
    """
    A parameter is missing or wrong, and nothing left this machine; ``field`` names it. No response
    came, so ``raw`` is None.
    """

    @classmethod
    def from_error(cls, error: UsageError) -> Self:
        """Return *error* as a `ParameterError`."""
        found = cls(error.reason, mail_state=error.mail_state, advice=error.advice or None)
        found.field, found.name = error.field, "ValidationError"
        return found


class SendingFailedError(DeliveryUnknownError, GeneralError):
    """The service failed internally during a send: it may or may not have accepted the mail."""

    @classmethod
    def from_error(cls, error: DeliveryUnknownError, cause: GeneralError) -> Self:
        """Return *error*, whose cause is *cause*, as a `SendingFailedError`."""
        found = cls(
            error.reason,
            unique_id=error.unique_id,
            recipients=error.recipients,
            cause=cause,
            seen=error.seen,
        )
        for name in ("name", "message", "code", "retry_after"):
            setattr(found, name, getattr(cause, name))
        return found


@contextmanager
def errors_of_the_page() -> Iterator[None]:
    """Raise an error that the page calls a ValidationError or a GeneralError as one of these."""
    try:
        yield
    except UsageError as error:
        raise ParameterError.from_error(error) from None
    except DeliveryUnknownError as error:
        if isinstance(error.cause, GeneralError):
            raise SendingFailedError.from_error(error, error.cause) from error.cause
        raise
