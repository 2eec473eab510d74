"""
Errors that are two things at once: what the vendor's page calls them, and what this library says of
the mail.
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

__all__ = ["Error", "ParameterError", "SendingFailedError", "errors_of_the_page"]


Error = PowerEmailError
"""The base of all that a call raises."""


class ParameterError(UsageError, ValidationError):
    """
    A parameter is missing or wrong, and nothing left this machine; ``field`` names it. ``raw`` is
    None: no answer came.
    """

    @classmethod
    def of(cls, error: UsageError) -> Self:
        """Return *error* as one of these."""
        found = cls(error.reason, mail_state=error.mail_state, advice=error.advice or None)
        found.field, found.name = error.field, "ValidationError"
        return found


class SendingFailedError(DeliveryUnknownError, GeneralError):
    """The service failed inside while it took a mail, which may or may not have been accepted."""

    @classmethod
    def of(cls, error: DeliveryUnknownError, cause: GeneralError) -> Self:
        """Return *error*, whose cause is *cause*, as one of these."""
        found = cls(
            error.reason,
            unique_id=error.unique_id,
            recipients=error.recipients,
            cause=cause,
            seen=error.seen,
        )
        found.name, found.message, found.code, found.retry_after = (
            cause.name,
            cause.message,
            cause.code,
            cause.retry_after,
        )
        return found


@contextmanager
def errors_of_the_page() -> Iterator[None]:
    """Let what the page calls a ValidationError or a GeneralError be one, whatever else it is."""
    try:
        yield
    except UsageError as error:
        raise ParameterError.of(error) from None
    except DeliveryUnknownError as error:
        if isinstance(error.cause, GeneralError):
            raise SendingFailedError.of(error, error.cause) from error.cause
        raise
