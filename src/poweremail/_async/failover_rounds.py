"""
The rounds of a failover: one target after the other, until one takes the mail.

Theory of operation. Each target gets a mail once a round, with a single attempt: it is cheaper to
ask the next one than to wait for this one. When all have failed, the round is over, and the waits
and limits of the `RetryPolicy` apply to rounds as they do to the attempts of a client. Another
target is asked only after *not sent* or a 429, when the service provably does not have the mail. An
outcome that is *unknown* ends the send, and so does *rejected*: the next target would make a second
mail of the one, or hear the same.

The unique id is drawn before the first attempt and stays the same. The result and every error name
the target, because a lookup must go to its account: another one knows nothing of the mail.

If clients have limits, a target that need not wait goes before one that has to. `Targets` decides
about everything else.

Tests: ``test_failover`` sends to sandboxes that are down, respond 429 or cut off their response,
and counts the mails that each caught.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping

import attrs

from poweremail._async.client import AsyncPowerEmail
from poweremail._async.messages import AsyncMessages
from poweremail._policy.failover import FailoverEvent, Targets, Turn
from poweremail._policy.retry import RetryEvent, RetryPolicy
from poweremail._policy.settings import Settings
from poweremail._runtime._async import sleep
from poweremail._types.result import SendResult
from poweremail._wire.operations import Operation
from poweremail.errors import (
    ApiError,
    DeliveryUnknownError,
    NotSentError,
    PowerEmailError,
    RateLimitError,
    SuppressedError,
    SuppressionStoreError,
    UsageError,
)

_log = logging.getLogger("poweremail")

_ONE_ATTEMPT = RetryPolicy(attempts=1)

Send = Callable[[AsyncMessages], Awaitable[SendResult]]


def settings_of(client: AsyncPowerEmail) -> Settings:
    """The options of *client*."""
    return client._settings  # noqa: SLF001  a failover is made of clients


class AsyncRounds:
    """
    Sends by *clients*, which have the names of *targets*.

    *retry*: how often and when all are tried again.
    *on_failover*: called when one did not take a mail.
    """

    def __init__(
        self,
        clients: Mapping[str, AsyncPowerEmail],
        targets: Targets,
        retry: RetryPolicy,
        on_failover: Callable[[FailoverEvent], object] | None,
    ) -> None:
        self._clients = clients
        self._once = {
            name: client.with_options(retry=_ONE_ATTEMPT).messages
            for name, client in clients.items()
        }
        self._have_limits = any(settings_of(client).limits for client in clients.values())
        self._targets = targets
        self._retry = retry
        self._on_failover = on_failover
        self._is_closed = False

    def close(self) -> None:
        """Make every further send raise `UsageError`."""
        self._is_closed = True

    async def send(self, operation: Operation, send: Send, unique_id: str | None) -> SendResult:
        """Send by one target after the other, in rounds. Raises the outcome unless accepted."""
        if self._is_closed:
            raise UsageError("the failover is closed")
        started = time.monotonic()
        errors: dict[str, PowerEmailError] = {}
        requests = rounds = 0
        try:
            while True:
                rounds += 1
                tried: set[str] = set()
                while (turn := await self._choose(tried)) is not None:
                    tried.add(turn.name)
                    try:
                        result = await self._ask(turn, send, unique_id)
                    except (NotSentError, RateLimitError) as error:
                        errors[turn.name] = _if_another_may_follow(error)
                    except UsageError as error:
                        # The first target would have raised it, too, if the mail were invalid:
                        # a stream was read by an attempt that failed.
                        if not errors:
                            raise
                        raise _not_sent(errors) from error
                    else:
                        attempts = requests + result.attempts
                        return attrs.evolve(result, target=turn.name, attempts=attempts)
                    requests += 1
                    if self._retry.gives_up(0, time.monotonic() - started, 0.0):
                        raise _not_sent(errors)
                wait = self._wait(rounds, time.monotonic() - started, errors)
                if wait is None:
                    raise _not_sent(errors) if errors else self._resting()
                self._announce(operation, unique_id, requests, errors, wait)
                await sleep(wait)
        finally:
            # The traceback of what is raised holds this frame: with the errors, a cycle.
            del errors

    async def _choose(self, tried: set[str]) -> Turn | None:
        """Return a turn of the next target to ask; None if each was tried or rests."""
        while names := self._targets.candidates(tried, time.monotonic()):
            if self._have_limits and len(names) > 1:
                waits = {name: await self._clients[name].expected_wait() for name in names}
                names = [name for name in names if waits[name] == min(waits.values())]
            # None if another send began to probe it meanwhile.
            if (turn := self._targets.take(names, time.monotonic())) is not None:
                return turn
        return None

    async def _ask(self, turn: Turn, send: Send, unique_id: str | None) -> SendResult:
        """Make one attempt by a target, and record what it says about the target."""
        try:
            result = await send(self._once[turn.name])
        except PowerEmailError as error:
            error.target = turn.name
            self._record(turn, error, unique_id)
            raise
        except BaseException:
            self._targets.release(turn)
            raise
        self._targets.record_success(turn)
        return result

    def _record(self, turn: Turn, error: PowerEmailError, unique_id: str | None) -> None:
        about_target = isinstance(error, NotSentError | RateLimitError | DeliveryUnknownError)
        if not about_target or isinstance(error, SuppressedError | SuppressionStoreError):
            if isinstance(error, ApiError):
                self._targets.record_success(turn)  # it responded
            else:
                self._targets.release(turn)
            return
        retry_after = error.retry_after if isinstance(error, RateLimitError) else None
        is_open = self._targets.record_failure(turn, time.monotonic(), retry_after)
        _log.log(
            logging.WARNING if is_open else logging.INFO,
            "%s did not take a mail (%s)%s",
            turn.name,
            PowerEmailError.__str__(error),  # without recipients
            "; it rests" if is_open else "",
        )
        if self._on_failover is None:
            return
        event = FailoverEvent(target=turn.name, unique_id=unique_id, error=error, is_open=is_open)
        try:
            self._on_failover(event)
        except Exception as failure:  # noqa: BLE001  whatever the caller's function raises
            _log.warning(
                "on_failover failed, which changes nothing for the mail: %s",
                type(failure).__name__,
            )

    def _wait(
        self, rounds: int, elapsed: float, errors: Mapping[str, PowerEmailError]
    ) -> float | None:
        """
        Return the seconds until the next round; None if none may follow.

        If all targets rest, it begins when the first one may be asked again, but a long rest is not
        waited for.
        """
        if errors and not any(error.temporary for error in errors.values()):
            return None
        wait = min(self._retry.wait(rounds, error) for error in errors.values() or (None,))
        rest = min(self._targets.seconds_until_open(time.monotonic()).values())
        if rest > max(wait, self._retry.max_wait):
            return None
        wait = max(wait, rest)
        return None if self._retry.gives_up(rounds, elapsed, wait) else wait

    def _announce(
        self,
        operation: Operation,
        unique_id: str | None,
        requests: int,
        errors: Mapping[str, PowerEmailError],
        wait: float,
    ) -> None:
        _log.info("%s: no target took the mail; the next round in %.2f s", operation.path, wait)
        if self._retry.on_retry is not None:
            error = _not_sent(errors) if errors else self._resting()
            self._retry.on_retry(
                RetryEvent(
                    operation=operation.path,
                    unique_id=unique_id,
                    attempt=requests,
                    error=error,
                    wait=wait,
                )
            )

    def _resting(self) -> NotSentError:
        seconds = self._targets.seconds_until_open(time.monotonic())
        listed = ", ".join(
            f"{name} for {left:.0f} s" if left else f"{name} until another mail has tried it"
            for name, left in seconds.items()
        )
        return NotSentError(f"every target rests after failures: {listed}")


def _if_another_may_follow(error: PowerEmailError) -> PowerEmailError:
    """Return *error* without its frames. Raises it if no other target may send the mail either."""
    if isinstance(error, SuppressedError | SuppressionStoreError):
        raise error
    return error.with_traceback(None)


def _not_sent(errors: Mapping[str, PowerEmailError]) -> PowerEmailError:
    """Return the error for a mail that no target took; *errors*: the last one of each."""
    *others, last = errors.values()
    if not others or all(isinstance(error, RateLimitError) for error in errors.values()):
        return last
    reason = "; ".join(f"{name}: {error.explanation}" for name, error in errors.items())
    error = NotSentError(reason, temporary=any(error.temporary for error in errors.values()))
    error.__cause__ = last
    return error
