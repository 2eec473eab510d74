"""Further attempts, after a first one that failed: tenacity's part in an exchange."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs
from tenacity import AsyncRetrying, RetryCallState

from poweremail._policy.retry import RetryEvent, RetryPolicy
from poweremail._runtime._async import sleep
from poweremail.errors import ChangeUnknownError, DeliveryUnknownError, PowerEmailError

__all__ = ["repeat"]

T = TypeVar("T")


async def repeat(
    attempt: Callable[[int], Awaitable[T]],
    failed: RetryEvent,
    policy: RetryPolicy,
    may_repeat: Callable[[PowerEmailError], bool],
    announce: Callable[[RetryEvent], None],
    started: float,
) -> T:
    """
    Return what *attempt* returns, which is called with its number, as often as *policy* and
    *may_repeat* allow.

    *failed* is the first attempt, which began at *started* on the monotonic clock; *announce* is
    told of each that failed. Raises what the last attempt ended in, or the last after which a mail
    may have been accepted, or a change made.
    """
    first = failed.error
    unknown = first if isinstance(first, DeliveryUnknownError | ChangeUnknownError) else None

    def error_of(state: RetryCallState) -> PowerEmailError | None:
        error = state.outcome.exception() if state.outcome is not None else None
        return error if isinstance(error, PowerEmailError) else None

    def before_sleep(state: RetryCallState) -> None:
        if (error := error_of(state)) is not None:
            announce(
                attrs.evolve(
                    failed, attempt=state.attempt_number, error=error, wait=state.upcoming_sleep
                )
            )

    retrying = AsyncRetrying(
        sleep=sleep,
        retry=lambda state: (error := error_of(state)) is not None and may_repeat(error),
        wait=lambda state: policy.wait(state.attempt_number, error_of(state)),
        stop=lambda state: policy.gives_up(
            state.attempt_number, time.monotonic() - started, state.upcoming_sleep
        ),
        before_sleep=before_sleep,
        reraise=True,
    )
    try:
        async for turn in retrying:
            with turn:
                number = turn.retry_state.attempt_number
                # tenacity's first attempt is the one that has failed already.
                if number == 1:
                    raise first
                try:
                    return await attempt(number)
                except (DeliveryUnknownError, ChangeUnknownError) as error:
                    unknown = error
                    raise
    except PowerEmailError as error:
        # Once a mail may have been accepted, or a change made, no later failure makes that untrue.
        if unknown is None or unknown is error:
            raise
        raise unknown from error
    raise AssertionError("tenacity ends in a return or an error")  # pragma: no cover
