# Generated from src/poweremail/_async/exchange.py; do not edit.
"""
One request and its answer: send, decode, settle what it means, and repeat it where that is safe.

The retry machinery is entered after the first failure only, so that a success does not pay for it.
"""

from __future__ import annotations

import logging
import time

from poweremail import _watch
from poweremail._policy.outcome import Mail, may_repeat, settle
from poweremail._policy.retry import RetryEvent, RetryPolicy
from poweremail._sync.limiter import Limiter
from poweremail._sync.transports import Transport
from poweremail._wire.decode import ApiResponse, decode_success
from poweremail._wire.http import Request
from poweremail.errors import PowerEmailError, TransportError, UsageError

__all__ = ["Exchange"]

_log = logging.getLogger("poweremail")


class Exchange:
    """
    Exchanges requests for answers over *transport*, repeating as *retry* says.

    Each attempt of a send waits for its turn at *limiter*. With *resend* a send is repeated even
    where it may have been accepted.
    """

    def __init__(
        self,
        transport: Transport,
        retry: RetryPolicy,
        limiter: Limiter | None = None,
        *,
        resend: bool = False,
    ) -> None:
        self._transport = transport
        self._retry = retry
        self._limiter = limiter
        self._resend = resend
        self._closed = False

    def close(self) -> None:
        """Refuse every further request."""
        self._closed = True

    def run(self, request: Request, mail: Mail) -> ApiResponse:
        """
        Return the answer to *request*, which concerns *mail*. Raises what the last attempt ended
        in.
        """
        if self._closed or self._limiter is not None:
            self._turn(request, mail)
        # What a send waits for its turn is not counted against the time for its retries.
        started = time.monotonic()
        try:
            return self._attempt(request, mail, 1)
        except PowerEmailError as error:
            if self._retry.attempts == 1 or not self._may_repeat(request, error):
                raise
            first = error
        return self._repeat(request, mail, first, started)

    def _repeat(
        self, request: Request, mail: Mail, first: PowerEmailError, started: float
    ) -> ApiResponse:
        from poweremail._sync.repeat import repeat  # noqa: PLC0415  the machinery is loaded by whoever fails first

        def attempt(number: int) -> ApiResponse:
            self._turn(request, mail)
            return self._attempt(request, mail, number)

        def announce(event: RetryEvent) -> None:
            _log.info(
                "%s: attempt %d failed (%s); the next in %.2f s",
                event.operation,
                event.attempt,
                event.error,
                event.wait,
            )
            if self._retry.on_retry is not None:
                self._retry.on_retry(event)

        story = RetryEvent(
            operation=request.operation.path,
            unique_id=mail.unique_id,
            attempt=1,
            error=first,
            wait=0.0,
        )
        return repeat(
            attempt,
            story,
            self._retry,
            lambda error: self._may_repeat(request, error),
            announce,
            started,
        )

    def _turn(self, request: Request, mail: Mail) -> None:
        """
        Wait until the request may go. Raises `UsageError` where the client is closed, be it
        meanwhile.
        """
        self._check_open(request)
        if self._limiter is not None and mail.smtp_user_name is not None:
            self._limiter.turn(mail.smtp_user_name)
            self._check_open(request)

    def _check_open(self, request: Request) -> None:
        if self._closed:
            raise UsageError(
                "the client is closed", mail_state="not_sent" if request.operation.sends else None
            )

    def _may_repeat(self, request: Request, error: PowerEmailError) -> bool:
        consumed = request.body is not None and request.body.consumed
        return not consumed and may_repeat(error, request.operation, resend=self._resend)

    def _attempt(self, request: Request, mail: Mail, number: int) -> ApiResponse:
        if _watch.watcher is not None:
            _watch.watcher(request.url, self._transport)
        try:
            response = request.endpoint.credentials.redact_response(self._transport.handle(request))
            return decode_success(response, request.operation, time.time(), number)
        except PowerEmailError as error:
            settled = settle(error, request.operation, mail)
            if settled is error:
                raise
            raise settled from error
        except (
            Exception
        ) as error:  # whatever a transport or a hook in it raises, the user is told what it means
            if request.operation.reads:
                raise
            reason = request.endpoint.credentials.redact_text(f"{type(error).__name__}: {error}")
            raise settle(TransportError(reason), request.operation, mail) from error
