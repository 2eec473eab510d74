"""The outcome of a mail, and an attempt of a call, as hooks get them."""

from __future__ import annotations

from typing import Literal

import attrs

from poweremail.errors import PowerEmailError


@attrs.frozen(kw_only=True)
class OutcomeEvent:
    """
    The outcome of a mail.

    *id*: the same each time that a hook is called for this outcome.
    *state*: what happened to the mail. One that is ``unknown`` may be found later, and is then
    reported once more, with another *id*.
    *unique_id*: the message's ``X-Unique-Id``.
    *recipients*: its addresses.
    *attempts*: the number of requests.
    *smtp_user_name*: the SMTP user of the last attempt; None if there was none.
    *error_kind*, *error*: the name of the error's class, and its text without advice; None if the
    mail was accepted.
    *batch*, *key*: the name of the batch or outbox, and the key of the mail in it.

    The hook of a client gets three more. *operation* is the path of the call. *seconds* is the time
    that it took, lookups included; *limit_seconds* is the part of it that it waited for limits.
    """

    id: str
    state: Literal["accepted", "rejected", "not_sent", "unknown"]
    unique_id: str | None
    recipients: tuple[str, ...]
    attempts: int
    smtp_user_name: str | None
    error_kind: str | None = None
    error: str | None = None
    batch: str | None = None
    key: str | None = None
    operation: str | None = None
    seconds: float = 0.0
    limit_seconds: float = 0.0


@attrs.frozen(kw_only=True)
class AttemptEvent:
    """
    One request of a call, and how it ended.

    *operation*: the path of the call.
    *unique_id*: the unique id of the mail; None if the call has none.
    *smtp_user_name*: the SMTP user of the mail.
    *attempt*: its number, from 1. Where a mail was looked up, the numbers go on when it is sent
    again.
    *status*: the HTTP status of the response; None if none came.
    *error*: the error that ended the attempt; None if it succeeded.
    *seconds*: the time that it took.
    *limit_seconds*: the time that it waited for limits before.
    """

    operation: str
    unique_id: str | None
    smtp_user_name: str | None
    attempt: int
    status: int | None
    error: PowerEmailError | None
    seconds: float
    limit_seconds: float
