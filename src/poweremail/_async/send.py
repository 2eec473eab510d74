"""
One mail, from its request to its outcome.

The exchange has repeated what was safe to repeat. What is still unknown then is looked up, and sent
again, as the user wants it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from poweremail._async.exchange import AsyncExchange
from poweremail._async.message_infos import AsyncMessageInfos
from poweremail._async.reconcile import look_up
from poweremail._policy.outcome import Mail
from poweremail._policy.settings import Settings
from poweremail._types.result import SendResult
from poweremail._watch import Stopped
from poweremail._wire import decode
from poweremail._wire.http import Request
from poweremail.errors import DeliveryUnknownError, PowerEmailError

__all__ = ["AsyncDelivery"]

_log = logging.getLogger("poweremail")


class AsyncDelivery:
    """Delivers mails over *exchange*; *walk* begins a walk over the records of a unique id."""

    def __init__(
        self, settings: Settings, exchange: AsyncExchange, walk: Callable[[str], AsyncMessageInfos]
    ) -> None:
        self._attempts = settings.retry.attempts
        self._unknown = settings.unknown
        self._exchange = exchange
        self._walk = walk

    async def deliver(self, request: Request, mail: Mail) -> SendResult:
        """Return the result of the accepted *mail*. Raises what became of it otherwise."""
        try:
            try:
                response = await self._exchange.run(request, mail)
            except DeliveryUnknownError as error:
                unknown = error
            else:
                return _result(response, mail)
            return await self._find_out(request, mail, unknown)
        except (Exception, Stopped):
            raise
        except BaseException:
            # Cancelled, or Ctrl-C: whoever cleans up after it can still find the mail.
            _log.warning(
                "interrupted: the mail with the unique id %s may or may not have been accepted",
                mail.unique_id,
            )
            raise

    async def _find_out(
        self, request: Request, mail: Mail, unknown: DeliveryUnknownError
    ) -> SendResult:
        """
        Look the mail up, and send it again as long as that may be done; *unknown* is what sending
        it has come to so far.
        """
        if self._unknown.on_unknown != "reconcile" or mail.unique_id is None:
            raise unknown
        for sends_left in reversed(range(self._attempts)):
            try:
                return await look_up(self._walk, unknown, self._unknown)
            except DeliveryUnknownError as error:
                if not sends_left or not self._may_send_again(request, error):
                    raise
            try:
                return _result(await self._exchange.run(request, mail), mail)
            except DeliveryUnknownError as error:
                unknown = error
            except PowerEmailError as error:
                # It may have been accepted before it was sent again, whatever became of that.
                raise unknown from error
        raise AssertionError("the last round ends in a result or an error")  # pragma: no cover

    def _may_send_again(self, request: Request, looked_up: DeliveryUnknownError) -> bool:
        consumed = request.body is not None and request.body.consumed
        return self._unknown.resend_after is not None and looked_up.seen is False and not consumed


def _result(response: decode.ApiResponse, mail: Mail) -> SendResult:
    return decode.send_result(response, mail.unique_id or "", mail.recipients)
