# Generated from src/poweremail/_async/durable/send.py; do not edit.
"""Sends or looks up one row of a batch, and returns the change to be written to it."""

from __future__ import annotations

import logging

from poweremail._ledger import State
from poweremail._ledger.payload import unpack
from poweremail._ledger.values import BatchOutcome, Finished, Verdict, Work
from poweremail._ledger.verdicts import ACCEPTED, RELEASED, SEEN, Verdicts
from poweremail._messages.message import Message, TemplateMessage
from poweremail._policy.rehearsal import Rehearsal
from poweremail._policy.retry import RetryPolicy
from poweremail._runtime._observed import adding_span
from poweremail._sync.client import PowerEmail
from poweremail._sync.messages import send_either
from poweremail._types.result import SendResult
from poweremail.errors import ConfigurationError, DeliveryUnknownError, PowerEmailError, UsageError

_log = logging.getLogger("poweremail.batch")

_ONE_ATTEMPT = RetryPolicy(attempts=1)


class Sender:
    """
    Sends rows by *client*, with one attempt each.

    ``verdicts`` decides what follows; the caller sets it before the first row. ``rehearsal`` is
    applied to each mail, if there is one. ``begun`` holds the ids of the rows whose request may
    have left.
    """

    verdicts: Verdicts

    def __init__(self, client: PowerEmail) -> None:
        if client.dry_run:
            raise ConfigurationError(
                "its client has dry_run=True and sends nothing",
                field="client",
                advice="batch.dry_run() checks the mails",
            )
        self.rehearsal: Rehearsal | None = None
        self.begun: set[int] = set()
        self._messages = client.with_options(retry=_ONE_ATTEMPT, on_unknown="raise").messages

    def process(self, work: Work) -> Finished:
        """Send or look up a row. A mail that fails raises nothing: the result holds its error."""
        message: Message | TemplateMessage | None = None
        result: SendResult | None = None
        try:
            message = given = unpack(work.payload, work.contents, work.unique_id)
            if self.rehearsal is not None:
                message = self.rehearsal.apply(given)
        except UsageError as error:
            verdict = self.verdicts.of_unfit(work, error, is_readable=message is not None)
        else:
            with adding_span(work.trace_context):
                if work.state is State.UNKNOWN:
                    _log.debug("looking up row %d", work.id)
                    verdict, result = self._look_up(work, message)
                    _log.debug("looked up row %d", work.id)
                elif work.is_stale:
                    verdict = RELEASED
                else:
                    self.begun.add(work.id)
                    _log.debug("sending row %d", work.id)
                    verdict, result = self._send(work, given)
                    _log.debug("response for row %d", work.id)
        outcome = BatchOutcome(
            key=work.key,
            unique_id=work.unique_id,
            recipients=() if message is None else message.recipients,
            state=verdict.state.value,
            attempts=work.attempts + verdict.attempted,
            smtp_user_name=work.smtp_user_name,
            source=work.source,
            line=work.line,
            result=result,
            # Its frames have the row, and so the mail.
            error=None if verdict.error is None else verdict.error.with_traceback(None),
        )
        return Finished(work=work, verdict=verdict, value=outcome if verdict.is_final else None)

    def _send(
        self, work: Work, message: Message | TemplateMessage
    ) -> tuple[Verdict, SendResult | None]:
        try:
            if self.rehearsal is not None:
                # Of the recipients that it would have, not of those of the rehearsal.
                message = self._messages.without_suppressed(message)
                message = self.rehearsal.apply(message)
            return ACCEPTED, send_either(self._messages, message, work.smtp_user_name)
        except PowerEmailError as error:
            return self.verdicts.of_send(work, error), None

    def _look_up(
        self, work: Work, message: Message | TemplateMessage
    ) -> tuple[Verdict, SendResult | None]:
        try:
            unknown = DeliveryUnknownError(
                "no trustworthy response came",
                unique_id=work.unique_id,
                recipients=self._messages.likely_recipients(message),
            )
            return SEEN, self._messages.reconcile(unknown, visibility=0.0)
        except PowerEmailError as error:
            return self.verdicts.of_look(work, error), None
