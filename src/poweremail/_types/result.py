"""The results of calls: of one send, of one mail among many, and of any other call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import attrs

from poweremail._response import Response
from poweremail._types import FrozenMapping
from poweremail._types.suppression import Suppression
from poweremail.errors import PowerEmailError


@attrs.frozen(kw_only=True)
class SendResult:
    """
    The service accepted the mail, or would have got it, if *dry_run* is True.

    *unique_id*: the message's ``X-Unique-Id``, the key of `get_message_info`; empty for
    ``send_template_http_get``, which cannot carry one.
    *recipients*: its addresses, without those that are suppressed.
    *suppressed*: the entries of the suppression list because of which recipients were left out.
    *status*, *message*: the service's words; the status is ``success`` or ``queued``.
    *attempts*: the number of requests.
    *dry_run*: nothing was sent, because the client only rehearses; *raw* is empty then, and
    *status* is ``dry_run``.
    *reconciled*: the response to the send was lost, and getMessageInfo showed the mail; *raw* is
    that page then.
    *extra*: the members of the response that this library does not know.
    *target*: the name of the target of an `AsyncFailover` that has sent it; None without one.
    """

    unique_id: str
    recipients: tuple[str, ...]
    status: str
    message: str
    attempts: int = 1
    reconciled: bool = False
    dry_run: bool = False
    suppressed: tuple[Suppression, ...] = ()
    extra: Mapping[str, Any] = attrs.field(factory=FrozenMapping, hash=False)
    target: str | None = None
    raw: Response


def dry_run_result(
    unique_id: str | None,
    recipients: tuple[str, ...],
    suppressed: tuple[Suppression, ...] = (),
) -> SendResult:
    """Return the result of a send by a client that sends nothing."""
    return SendResult(
        unique_id=unique_id or "",
        recipients=recipients,
        status="dry_run",
        message="nothing was sent",
        attempts=0,
        dry_run=True,
        suppressed=suppressed,
        raw=Response(0),
    )


@attrs.frozen
class SendOutcome:
    """
    The outcome of one message of `send_many`.

    *index*: its place in the source, from 0.
    *message*: the message as the source gave it.
    *result*, *error*: one of them is set.
    """

    index: int
    message: object = attrs.field(repr=False)
    result: SendResult | None = attrs.field(default=None, kw_only=True)
    error: PowerEmailError | None = attrs.field(default=None, kw_only=True)

    @property
    def state(self) -> Literal["accepted", "rejected", "not_sent", "unknown"]:
        """What happened to the mail."""
        if self.error is None:
            return "accepted"
        return self.error.mail_state or "unknown"


@attrs.frozen(kw_only=True)
class CallResult:
    """
    The result of ``client.call(...)``.

    *data*: the whole decoded response.
    *message*: its text; empty if it has none.
    *suppressed*: after a send: the entries of the suppression list because of which recipients were
    left out.
    """

    data: Mapping[str, Any] = attrs.field(hash=False)
    message: str
    suppressed: tuple[Suppression, ...] = ()
    raw: Response
