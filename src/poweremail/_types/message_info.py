"""The state of a mail, recipient by recipient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import attrs

from poweremail._response import Response
from poweremail._types import FrozenMapping

PAGE_SIZE = 100
"""Records a page of getMessageInfo; fixed by the service."""


@attrs.define(init=False, eq=False, repr=False)
class EngagementFields:
    """
    The fields of an `Engagement`, not frozen yet.

    Making a frozen object costs several times as much as making a plain one, and pages are full of
    them: see `wire/records.py`.
    """

    time: datetime | None
    ip: str | None
    user_agent: str | None


@attrs.frozen  # pyright: ignore[reportGeneralTypeIssues]  it freezes what it inherits
class Engagement(EngagementFields):
    """
    One open or one click: its time (UTC), IP address and user agent, None if not known.
    """


@attrs.define(init=False, kw_only=True, eq=False, repr=False)
class MessageInfoFields:
    """The fields of a `MessageInfo`, not frozen yet, as those of an engagement."""

    email: str | None
    subject: str | None
    sender: str | None
    send_from: str | None
    status: str | None
    time: datetime | None
    mail_size: int | None
    attachment_size: int | None
    open_count: int = 0
    click_count: int = 0
    opens: tuple[Engagement, ...] = ()
    clicks: tuple[Engagement, ...] = ()
    extra: Mapping[str, Any] = attrs.field(factory=FrozenMapping, hash=False)


@attrs.frozen(kw_only=True)  # pyright: ignore[reportGeneralTypeIssues]  it freezes what it inherits
class MessageInfo(MessageInfoFields):
    """
    One message as it went to one recipient.

    *email*: the recipient.
    *sender*: the sender; *send_from*: the IP address that sent it.
    *mail_size*, *attachment_size*: bytes.
    *time*: an aware datetime in UTC.
    *status*: ``delivered``, ``send``, ``open``, ``click``, ``soft_bounce``, ``hard_bounce``,
    ``spam``, or a word that the service has added: it stays a string.
    *open_count*, *click_count*: the service's counts; *opens*, *clicks*: the events that it kept.
    *extra*: the members that this library does not know.

    A member that the service left out is None, 0 or empty.
    """


@attrs.frozen(kw_only=True)
class MessageInfoPage:
    """
    One page of getMessageInfo: the *records* from number ``skip_page * 100`` on of the mails with
    *unique_id*. Iterating and ``len()`` use its records.
    """

    unique_id: str
    skip_page: int
    records: tuple[MessageInfo, ...]
    extra: Mapping[str, Any] = attrs.field(factory=FrozenMapping, hash=False)
    raw: Response

    def __iter__(self) -> Iterator[MessageInfo]:
        return iter(self.records)

    def __len__(self) -> int:
        return len(self.records)

    @property
    def next_skip_page(self) -> int | None:
        """
        The number of the next page; None if this page is not full, so that no other can follow.
        """
        return self.skip_page + 1 if len(self.records) >= PAGE_SIZE else None
