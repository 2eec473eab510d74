"""What the service tells a webhook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Literal, get_args

import attrs

from poweremail._types.frozen import FrozenMapping

__all__ = ["EVENT_NAMES", "EventBatch", "EventName", "WebhookEvent"]

EventName = Literal["send", "open", "click", "soft_bounce", "hard_bounce", "spam"]
"""The events that the service is known to send."""

EVENT_NAMES: tuple[EventName, ...] = get_args(EventName)


@attrs.frozen(kw_only=True)
class WebhookEvent:
    """
    One thing that happened to one mail.

    *id* is the service's own for this event: the same event that comes again has the same. *event*
    is one of `EVENT_NAMES`, or a word that the service has added since: it stays a string. *time*
    is an aware datetime in UTC. *unique_id* is the ``X-Unique-Id`` of the mail, *smtp_user_name*
    who sent it, *user_id* whose account it is. *msg* is what the service tells of the mail and of
    the event; its members are published nowhere, so they are as they came. *extra* has the members
    beside these that this library does not know, *raw* all of them. What the service left out is
    None or empty.
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
        The address that the mail went to, where *msg* has it as ``email``, the service's word for
        it elsewhere; else None.
        """
        email = self.msg.get("email")
        return email if isinstance(email, str) and email else None


@attrs.frozen
class EventBatch:
    """
    What one POST brought: its *events* in order, and aside, as they came, the members that are
    *unreadable* as events.

    One bad member does not lose the good ones: the service would send the whole batch again, for
    ever. Iterating over it and ``len()`` are about its events.
    """

    events: tuple[WebhookEvent, ...]
    unreadable: tuple[Any, ...] = attrs.field(
        default=(), hash=False, repr=lambda members: f"<{len(members)}>"
    )

    def __iter__(self) -> Iterator[WebhookEvent]:
        return iter(self.events)

    def __len__(self) -> int:
        return len(self.events)
