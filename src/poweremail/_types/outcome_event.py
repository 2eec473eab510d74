"""The outcome of a mail, as a hook gets it."""

from __future__ import annotations

from typing import Literal

import attrs

__all__ = ["OutcomeEvent"]


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
