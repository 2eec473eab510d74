"""
One send, from its request to its outcome.

Theory of operation. The exchange has repeated the request where that is safe, so a send arrives
here accepted, failed, or unknown. If it is unknown and the client reconciles, the mail is
looked up by its unique id: getMessageInfo lists one record for each recipient. Several mails may
share an id, so the mail counts as accepted only when each of its recipients is listed. The index of
the service may lag, so the lookup is repeated for *visibility* seconds, and as a whole ends within
them: a request gets no more time than is left. The mail is sent again only if the user allowed it
and a lookup that was requested after *resend_after* seconds listed none of the recipients: a
response may be as old as its request.

Once a send was unknown, no later failure makes it "not sent": the first attempt may still have been
accepted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

from poweremail._async.exchange import AsyncExchange
from poweremail._async.message_infos import AsyncMessageInfos
from poweremail._policy.outcome import Mail, UnknownPolicy, folded
from poweremail._policy.settings import Settings
from poweremail._response import Response
from poweremail._runtime import Stopped
from poweremail._runtime._async import sleep
from poweremail._runtime._observed import Call
from poweremail._types.result import SendResult
from poweremail._wire.decode import reconciled_result, send_result
from poweremail._wire.http import Request
from poweremail.errors import DeliveryUnknownError, NotSentError, PowerEmailError, UsageError

_log = logging.getLogger("poweremail")


class AsyncSender:
    """Sends mails over *exchange*, and looks up those whose outcome is unknown."""

    def __init__(self, settings: Settings, exchange: AsyncExchange) -> None:
        self._endpoint = settings.endpoint
        self._max_sends = settings.retry.attempts
        self._policy = settings.unknown
        self._exchange = exchange

    async def send(self, request: Request, mail: Mail) -> SendResult:
        """Send *mail* and return the result if it was accepted; else raise its outcome."""
        try:
            if self._exchange.is_observed:
                with self._exchange.hooks.observing(request, mail) as call:
                    return await self._send(request, mail, call)
            return await self._send(request, mail, None)
        except (PowerEmailError, Stopped):
            raise
        except BaseException:
            # Cancelled, Ctrl-C, or another exception from outside: with the id in the log the mail
            # can still be looked up, if there is anything to look up.
            if request.in_doubt:
                _log.warning(
                    "interrupted: the mail with the unique id %s may or may not have been accepted",
                    mail.unique_id,
                )
            raise

    @contextmanager
    def checking(self, request: Request, mail: Mail) -> Iterator[None]:
        """
        Make a check of *mail* in the block. If it raises `NotSentError`, that is the outcome of the
        call that was to make *request*, and is reported like any other.
        """
        try:
            yield
        except NotSentError:
            if self._exchange.is_observed:
                with self._exchange.hooks.observing(request, mail):
                    raise
            raise

    async def _send(self, request: Request, mail: Mail, call: Call | None) -> SendResult:
        try:
            response = await self._exchange.run(request, mail, call=call)
            return send_result(response, mail.unique_id, mail.recipients)
        except DeliveryUnknownError as error:
            if self._policy.on_unknown != "reconcile" or mail.unique_id is None:
                raise
            unknown = error
        return await self._reconcile(request, mail, unknown, call)

    async def find_delivery(
        self, unknown: DeliveryUnknownError, policy: UnknownPolicy
    ) -> SendResult:
        """
        Look the mail of *unknown* up until each of its recipients is listed, or the time of
        *policy* is over.

        Raises `DeliveryUnknownError`, whose ``seen`` says what was listed, and `UsageError` if the
        mail has no unique id.
        """
        if unknown.unique_id is None:
            raise UsageError(
                "a mail without one cannot be looked up", field="unique_id", mail_state="unknown"
            ) from unknown
        started = time.monotonic()
        deadline = started + policy.end
        last_begins = started + policy.last_lookup
        wanted = folded(unknown.recipients)
        reported: _Lookup | None = None
        lookups = 0
        while True:
            begun = time.monotonic()
            lookup = await self._look_up(unknown.unique_id, wanted, deadline)
            lookups += 1
            if lookup.proof is not None:
                return reconciled_result(
                    unknown.unique_id, unknown.recipients or tuple(lookup.seen), lookup.proof
                )
            # A lookup that was cut off says less than the one before it.
            if reported is None or lookup.error is None or time.monotonic() < deadline:
                reported = lookup
            if begun >= last_begins or not lookup.may_change:
                break
            await sleep(policy.pause(lookups, max(last_begins - time.monotonic(), 0.0)))
        raise DeliveryUnknownError(
            f"{unknown.reason}; {reported.report(policy.timeout)}",
            unique_id=unknown.unique_id,
            recipients=unknown.recipients,
            cause=unknown.cause,
            seen=None if lookup.error is not None else bool(lookup.seen),
        ) from unknown

    async def _reconcile(
        self, request: Request, mail: Mail, unknown: DeliveryUnknownError, call: Call | None
    ) -> SendResult:
        """Look the mail up, and send it again while that is allowed."""
        sends = 1
        while True:
            try:
                return await self.find_delivery(unknown, self._policy)
            except DeliveryUnknownError as error:
                if sends == self._max_sends or not self._may_send_again(request, error):
                    raise
            sends += 1
            try:
                response = await self._exchange.run(request, mail, call=call)
                return send_result(response, mail.unique_id, mail.recipients)
            except DeliveryUnknownError as error:
                unknown = error
            except PowerEmailError as error:
                raise unknown from error

    def _may_send_again(self, request: Request, looked_up: DeliveryUnknownError) -> bool:
        consumed = request.body is not None and request.body.consumed
        return self._policy.resend_after is not None and looked_up.seen is False and not consumed

    async def _look_up(self, unique_id: str, wanted: frozenset[str], deadline: float) -> _Lookup:
        """Read the records of *unique_id* until each of the *wanted* recipients is listed."""
        seen: frozenset[str] = frozenset()
        records = AsyncMessageInfos(self._exchange, self._endpoint, unique_id, deadline=deadline)
        try:
            async for record in records:
                listed = folded((record.email or "",))
                seen |= listed & wanted if wanted else listed
                if seen and seen >= wanted and records.page is not None:
                    return _Lookup(seen, frozenset(), proof=records.page.raw)
        except PowerEmailError as error:
            return _Lookup(seen, wanted - seen, error=error)
        return _Lookup(seen, wanted - seen)


@attrs.frozen
class _Lookup:
    """
    One lookup of a mail.

    *seen*, *missing*: the recipients that were listed, and those that were not.
    *proof*: the page that listed the last recipient; None if the mail was not found.
    *error*: why the lookup failed; None if it did not.
    """

    seen: frozenset[str]
    missing: frozenset[str]
    proof: Response | None = None
    error: PowerEmailError | None = None

    @property
    def may_change(self) -> bool:
        """True if another lookup may find more."""
        return self.error is None or self.error.temporary

    def report(self, seconds: float) -> str:
        """Say what was found of a mail that was looked up for *seconds*."""
        if self.error is not None:
            return f"and it could not be looked up: {self.error}"
        if not self.seen:
            return f"getMessageInfo did not show it within {seconds:g} s"
        missing = ", ".join(sorted(self.missing))
        return (
            f"within {seconds:g} s getMessageInfo showed it for some of its recipients, "
            f"not for {missing}"
        )
