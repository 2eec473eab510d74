"""What a call about settings works on, and how it reads its members."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import attrs

from poweremail._wire import arguments, readers
from poweremail.errors import UsageError
from poweremail.sandbox._api.parts import text
from poweremail.sandbox._api.responses import Refusal
from poweremail.sandbox._store.accounts import AccountStore
from poweremail.sandbox._store.database import Store
from poweremail.sandbox._store.limits import SmtpLimits

__all__ = ["Account", "VerifyWebhook", "epoch_seconds", "read_domain", "read_switch", "read_text"]

VerifyWebhook = Callable[[str], bool]
"""
Asks a URL whether it is a receiver of webhooks: whether it answers
`poweremail.webhooks._signature.handshake_answer`.
"""


@attrs.frozen
class Account:
    """
    The account at one moment: *now* is milliseconds since the epoch, *limits* are those of SMTP
    users that have none of their own.

    Without *verify_webhook* every URL is taken for a receiver; others have to answer with the
    *brand*.
    """

    store: Store
    registry: AccountStore
    now: int
    limits: SmtpLimits
    verify_webhook: VerifyWebhook | None
    brand: str


def read_text(members: Mapping[str, Any], field: str) -> str:
    """Read a member that must be there. Raises `Refusal`, as its siblings do."""
    value = text(members.get(field))
    if value is None:
        raise Refusal(f"You must specify {field}")
    return value.strip()


def read_domain(members: Mapping[str, Any]) -> str:
    """Read ``domain``; it is the same in any case."""
    try:
        return arguments.domain("domain", read_text(members, "domain")).lower()
    except UsageError as error:
        raise Refusal(f"Invalid {error.explanation}") from None


def read_switch(members: Mapping[str, Any], field: str) -> bool | None:
    """Read ``Enable`` or ``Disable``; None where it is not given."""
    value = members.get(field)
    if value is None or value == "":
        return None
    switch = readers.yes_no(value)
    if switch is None:
        raise Refusal(f"Invalid {field}: it must be Enable or Disable")
    return switch


def epoch_seconds(moment: datetime) -> int:
    """How these calls tell a time."""
    return int(moment.timestamp())
