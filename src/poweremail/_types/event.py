"""The events that the service posts to a webhook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, get_args

import attrs

from poweremail._types import FrozenMapping

EventName = Literal["send", "open", "click", "soft_bounce", "hard_bounce", "spam"]
"""The events that the service is known to send."""

EVENT_NAMES: tuple[EventName, ...] = get_args(EventName)
"""The kinds of events for which a webhook can be registered."""


@attrs.frozen(kw_only=True)
class WebhookEvent:
    """
    One event of one mail. A member that the service left out is None or empty.

    *id*: the service's id of the event. An event that is posted again has the same id.
    *event*: one of `EVENT_NAMES`, or a word that the service has added: it stays a string.
    *time*: an aware datetime in UTC.
    *unique_id*: the ``X-Unique-Id`` of the mail.
    *smtp_user_name*: the SMTP user that sent it.
    *user_id*: the account.
    *msg*: details of the mail and of the event, as posted, since their members are not published.
    *extra*: the members that this library does not know.
    *raw*: all members.
    """

    id: str | None
    event: str
    time: datetime | None
    unique_id: str | None
    smtp_user_name: str | None
    user_id: str | None
    msg: Mapping[str, Any] = attrs.field(factory=FrozenMapping, hash=False)
    extra: Mapping[str, Any] = attrs.field(factory=FrozenMapping, hash=False)
    raw: Mapping[str, Any] = attrs.field(factory=FrozenMapping, hash=False, repr=False)

    @property
    def recipient(self) -> str | None:
        """
        The recipient's address if *msg* has it as ``email``, the service's name for it in other
        calls; otherwise None.
        """
        email = self.msg.get("email")
        return email if isinstance(email, str) and email else None


@attrs.frozen
class EventBatch:
    """
    The content of one POST. Iterating and ``len()`` use *events*.

    *events*: its events, in order.
    *unreadable*: the members that cannot be read as events, as posted. One bad member must not
    lose the good ones: the service would post the whole batch again, for ever.
    """

    events: tuple[WebhookEvent, ...]
    unreadable: tuple[Any, ...] = attrs.field(
        default=(), hash=False, repr=lambda members: f"<{len(members)}>"
    )

    def __iter__(self) -> Iterator[WebhookEvent]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)
