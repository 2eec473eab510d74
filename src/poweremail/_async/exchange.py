"""
One call: its attempts, each judged, until one succeeds or none may follow.

Theory of operation. An attempt ends as an `ApiResponse` or as a `FailedAttempt`, which is the
policy's one judgement of what went wrong: the error that the call would raise, and whether another
attempt may follow. Both are values; an error is raised once, when the call is over. tenacity works
on these values: it repeats a `FailedAttempt` as long as this may be repeated, waits in between, and
stops.

The first attempt is made without tenacity, which a success therefore neither loads nor pays for: to
enter it costs 32 µs (17 in the sync client), and to load it 16 ms. If the first attempt fails, its
result becomes the first outcome of tenacity's own state of the call.

Two rules cross the attempts. If the service may have acted on one of them, the call as a whole is
unknown, even if a later one fails for certain. And an exception from outside, such as a signal
handler's, ends the call at once, as itself.
"""

from __future__ import annotations

import logging
import math
import sys
import time

import attrs

from poweremail import _runtime
from poweremail._async.limiter import AsyncLimiter
from poweremail._async.transports import AsyncTransport
from poweremail._lazy import import_undisturbed
from poweremail._policy.origin import exception_from_outside, forget_frames
from poweremail._policy.outcome import FailedAttempt, Mail, judge_failure
from poweremail._policy.retry import RetryEvent, RetryPolicy
from poweremail._runtime import _observed
from poweremail._runtime._async import sleep
from poweremail._runtime._observed import Call, Hooks
from poweremail._wire.decode import ApiResponse, decode_success
from poweremail._wire.http import Request
from poweremail.errors import PowerEmailError, TransportError, UsageError

_log = logging.getLogger("poweremail")


class AsyncExchange:
    """
    Makes the calls of a client over *transport*.

    *retry*: how often and when an attempt is repeated.
    *limiter*: where each attempt of a send waits for its SMTP user's limits; None for no limits.
    *resend*: whether a send is repeated although the service may have accepted it.
    *hooks*: those of the client.
    """

    def __init__(
        self,
        transport: AsyncTransport,
        retry: RetryPolicy,
        limiter: AsyncLimiter | None = None,
        *,
        resend: bool = False,
        hooks: Hooks | None = None,
    ) -> None:
        self._transport = transport
        self._retry = retry
        self._limiter = limiter
        self._resend = resend
        self._closed = False
        self.hooks: Hooks = hooks or Hooks()

    def close(self) -> None:
        """Make every further attempt raise `UsageError`."""
        self._closed = True

    @property
    def is_observed(self) -> bool:
        """Whether calls are observed."""
        return (
            self.hooks.are_set or _observed.observer is not None or _log.isEnabledFor(logging.INFO)
        )

    async def run(
        self,
        request: Request,
        mail: Mail,
        deadline: float = math.inf,
        call: Call | None = None,
    ) -> ApiResponse:
        """
        Return the response to *request*, which sends *mail*.

        *deadline*: the time on the monotonic clock at which the last attempt ends.
        *call*: the call that it belongs to, if the caller observes that.

        Raises the error of the last attempt, or of the last one that the service may have acted on.
        """
        if call is None and self.is_observed:
            with self.hooks.observing(request, mail) as observed:
                return await self.run(request, mail, deadline, observed)
        if self._closed or self._limiter is not None:
            await self._admit(request, mail, call)
        # The wait for the limits does not count against the time for the retries.
        started = time.monotonic()
        outcome = await self._attempt(request, mail, 1, deadline, call)
        if isinstance(outcome, FailedAttempt) and outcome.may_repeat and self._retry.attempts > 1:
            outcome = await self._repeat(request, mail, outcome, started, deadline, call)
        if isinstance(outcome, ApiResponse):
            return outcome
        try:
            raise outcome.error
        finally:
            # The error's traceback holds this frame: with the error in it, they would be a cycle.
            del outcome

    async def _repeat(
        self,
        request: Request,
        mail: Mail,
        failed: FailedAttempt,
        started: float,
        deadline: float,
        call: Call | None,
    ) -> ApiResponse | FailedAttempt:
        """Make further attempts after the first one, which began at *started* and *failed*."""
        import_undisturbed("tenacity")
        from tenacity import (  # noqa: PLC0415  see the theory of operation
            AsyncRetrying,
            DoSleep,
            RetryCallState,
            retry_if_result,
        )

        retrying = AsyncRetrying(
            retry=retry_if_result(lambda outcome: outcome.may_repeat),
            wait=lambda state: self._retry.wait(state.attempt_number, failed.error),
            stop=lambda state: (
                time.monotonic() + state.upcoming_sleep >= deadline
                or self._retry.gives_up(
                    state.attempt_number, time.monotonic() - started, state.upcoming_sleep
                )
            ),
            before_sleep=lambda state: self._announce(
                request, mail, state.attempt_number, failed.error, state.upcoming_sleep
            ),
            retry_error_callback=lambda _: failed,
        )
        retrying.begin()
        state = RetryCallState(retrying, fn=None, args=(), kwargs={})
        state.set_result(failed)
        unknown = failed if failed.is_unknown else None
        # As in tenacity's own loop, `iter` decides about the last outcome: it returns the time to
        # sleep, or the result of the call, which is `failed` here.
        while isinstance(wait := await retrying.iter(state), DoSleep):
            await sleep(wait)
            state.prepare_for_next_attempt()
            try:
                await self._admit(request, mail, call)
            except PowerEmailError as error:
                failed = FailedAttempt(error, may_repeat=False)
                break
            outcome = await self._attempt(request, mail, state.attempt_number, deadline, call)
            if isinstance(outcome, ApiResponse):
                return outcome
            failed = outcome
            unknown = failed if failed.is_unknown else unknown
            state.set_result(failed)
        if unknown is None or unknown is failed:
            return failed
        unknown.error.__cause__ = failed.error
        return unknown

    def _announce(
        self, request: Request, mail: Mail, attempt: int, error: PowerEmailError, wait: float
    ) -> None:
        operation = request.operation.path
        reason = PowerEmailError.__str__(error)  # without recipients
        _log.info(
            "%s: attempt %d failed (%s); the next in %.2f s", operation, attempt, reason, wait
        )
        if self._retry.on_retry is not None:
            self._retry.on_retry(
                RetryEvent(
                    operation=operation,
                    unique_id=mail.unique_id,
                    attempt=attempt,
                    error=error,
                    wait=wait,
                )
            )

    async def _admit(self, request: Request, mail: Mail, call: Call | None) -> None:
        """Wait for the limits. Raises `UsageError` if the client is or becomes closed."""
        self._check_open(request)
        if self._limiter is not None and mail.smtp_user_name is not None:
            began = time.monotonic()
            try:
                await self._limiter.acquire(mail.smtp_user_name)
            finally:
                if call is not None:
                    call.note_limit_wait(time.monotonic() - began)
            self._check_open(request)

    def _check_open(self, request: Request) -> None:
        if self._closed:
            raise UsageError(
                "the client is closed", mail_state="not_sent" if request.operation.sends else None
            )

    async def _attempt(
        self, request: Request, mail: Mail, number: int, deadline: float, call: Call | None
    ) -> ApiResponse | FailedAttempt:
        if call is None:
            return await self._handle(request, mail, number, deadline)
        with self.hooks.observing_attempt(call) as attempt:
            attempt.result = await self._handle(request, mail, number, deadline)
            return attempt.result

    async def _handle(
        self, request: Request, mail: Mail, number: int, deadline: float
    ) -> ApiResponse | FailedAttempt:
        if _runtime.watcher is not None:
            _runtime.watcher(request.url, self._transport)
        # Secrets: docs/design.md. Neither the body nor the response is a local variable here.
        if request.body is not None:
            request.body.begun = False
        in_doubt, request.in_doubt = request.in_doubt, True
        failed: FailedAttempt | None = None
        handled = sys.exception()
        try:
            limited = request if deadline == math.inf else _ending_by(deadline, request)
            return decode_success(
                request.endpoint.credentials.redact_response(await self._transport.handle(limited)),
                request.operation,
                time.time(),
                number,
            )
        except BaseException as error:
            forget_frames(error, self._transport, handled)
            if isinstance(error, UsageError):
                # A file or stream of the user could not be read; what it raised is the cause.
                failed = FailedAttempt(error, may_repeat=False)
                return failed
            outside = exception_from_outside(error, self._transport, handled)
            if outside is error or not isinstance(error, Exception):
                raise
            if outside is None:
                if request.operation.reads and not isinstance(error, PowerEmailError):
                    raise  # it concerns no mail and no change, so there is nothing to add
                failed = judge_failure(error, request, mail, resend=self._resend)
                return failed
        finally:
            _end_attempt(request, failed, in_doubt=in_doubt)
            # The error's traceback holds this frame: with the error in it, they would be a cycle.
            del failed
        raise outside


def _end_attempt(request: Request, failed: FailedAttempt | None, *, in_doubt: bool) -> None:
    """
    Note that an attempt has ended: it *failed*, or succeeded or was interrupted if that is None.
    *in_doubt*: what `Request.in_doubt` was before it.
    """
    body = request.body
    if body is not None:
        # Sealed, see transports/base.py: what still reads it gets an error.
        body.attempts_ended += 1
    may_have_arrived = failed.is_unknown if failed else body is None or body.begun
    request.in_doubt = in_doubt or may_have_arrived


def _ending_by(deadline: float, request: Request) -> Request:
    """
    Return *request* with timeouts that end at *deadline*. Raises `TransportError` if it has passed.
    """
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise TransportError("the time for this call is over", body_left=False)
    endpoint = request.endpoint
    timeouts = endpoint.timeouts.within(remaining)
    return attrs.evolve(request, endpoint=attrs.evolve(endpoint, timeouts=timeouts))
