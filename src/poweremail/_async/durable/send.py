"""One row of a batch: sent, or looked up, and what became of it in the words of the ledger."""

from __future__ import annotations

import logging

from poweremail._async.client import AsyncPowerEmail
from poweremail._ledger.clock import awake
from poweremail._ledger.payload import unpack
from poweremail._ledger.rehearsal import Rehearsal
from poweremail._ledger.states import SETTLED, State
from poweremail._ledger.values import BatchOutcome, Finished, Verdict, Work
from poweremail._ledger.verdicts import ACCEPTED, RELEASED, SEEN, Verdicts
from poweremail._messages.message import Message, TemplateMessage
from poweremail._policy.retry import RetryPolicy
from poweremail._types.result import SendResult
from poweremail.errors import DeliveryUnknownError, PowerEmailError, UsageError

__all__ = ["AsyncSender"]

_log = logging.getLogger("poweremail.batch")

_ONCE = RetryPolicy(attempts=1)


class AsyncSender:
    """
    Sends rows by *client*, once each; *verdicts* says what follows.

    ``rehearsal`` is applied to each mail, if there is one; ``begun`` has the numbers of the rows
    whose request may be on its way.
    """

    def __init__(self, client: AsyncPowerEmail, verdicts: Verdicts) -> None:
        self.rehearsal: Rehearsal | None = None
        self.begun: set[int] = set()
        self._client = client.with_options(retry=_ONCE, on_unknown="raise")
        self._verdicts = verdicts

    async def attend(self, work: Work) -> Finished:
        """Return what became of a row. Raises nothing for a mail that fails."""
        message = None
        try:
            message = unpack(work.payload, work.contents, work.unique_id)
            if self.rehearsal is not None:
                message = self.rehearsal.apply(message)
        except UsageError as error:
            recipients = () if message is None else message.recipients
            return _finished(
                work,
                recipients,
                self._verdicts.of_unfit(work, error, read=message is not None),
                None,
            )
        if work.state is State.UNKNOWN:
            return await self._look_up(work, message.recipients)
        return await self._send(work, message)

    async def _send(self, work: Work, message: Message | TemplateMessage) -> Finished:
        if awake() > work.valid_until:
            # This process stood still for so long that the row may be another's by now.
            return _finished(work, message.recipients, RELEASED, None)
        self.begun.add(work.id)
        _log.debug("sending row %d", work.id)
        verdict, result = ACCEPTED, None
        try:
            if isinstance(message, TemplateMessage):
                result = await self._client.messages.send_template(
                    message, smtp_user_name=work.smtp_user_name
                )
            else:
                result = await self._client.messages.send_mail(
                    message, smtp_user_name=work.smtp_user_name
                )
        except PowerEmailError as error:
            verdict = self._verdicts.of_send(work, error)
        _log.debug("answered row %d", work.id)
        return _finished(work, message.recipients, verdict, result)

    async def _look_up(self, work: Work, recipients: tuple[str, ...]) -> Finished:
        _log.debug("looking up row %d", work.id)
        unknown = DeliveryUnknownError(
            "no trustworthy answer came", unique_id=work.unique_id, recipients=recipients
        )
        verdict, result = SEEN, None
        try:
            result = await self._client.messages.reconcile(unknown, visibility=0.0)
        except PowerEmailError as error:
            verdict = self._verdicts.of_look(work, error)
        _log.debug("looked up row %d", work.id)
        return _finished(work, recipients, verdict, result)


def _finished(
    work: Work, recipients: tuple[str, ...], verdict: Verdict, result: SendResult | None
) -> Finished:
    final = verdict.state in SETTLED or (verdict.state is State.UNKNOWN and verdict.delay is None)
    outcome = BatchOutcome(
        key=work.key,
        unique_id=work.unique_id,
        recipients=recipients,
        state=verdict.state.value,
        attempts=work.attempts + verdict.attempted,
        smtp_user_name=work.smtp_user_name,
        source=work.source,
        line=work.line,
        result=result,
        error=verdict.error,
    )
    return Finished(work=work, verdict=verdict, value=outcome if final else None)
