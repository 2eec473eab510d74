"""
The results of the calls about settings and about the account.

A member that the service left out, or whose value cannot be read, is None or empty here. A value
that cannot be read is kept in ``extra``, beside the members that this library does not know.
``raw`` is the response, with ``***`` in place of every password and key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

import attrs

from poweremail._response import Response
from poweremail._types import FrozenMapping
from poweremail._types.secret import Secret

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Listing(Generic[T]):
    """
    All entries of a kind, in the order of the service. Iterating, ``len()`` and indexing use
    *entries*.
    """

    entries: tuple[T, ...]
    extra: Mapping[str, Any] = attrs.field(factory=FrozenMapping, hash=False)
    raw: Response

    def __iter__(self) -> Iterator[T]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> T:
        return self.entries[index]


@attrs.frozen(kw_only=True)
class SmtpUser:
    """
    An SMTP user, in whose name mails are sent.

    *enabled*: it may send.
    *total_limit*, *hourly_limit*: the number of mails that it may send, in total and per hour.
    *password*: known when the user is added or its password is reset, and if the service shows it.
    """

    smtp_user_name: str
    enabled: bool | None = None
    total_limit: int | None = None
    hourly_limit: int | None = None
    password: Secret | None = None
    extra: Mapping[str, Any] = attrs.field(factory=FrozenMapping, hash=False)
    raw: Response = attrs.field(repr=False, eq=False)


@attrs.frozen(kw_only=True)
class SendingDomain:
    """
    A domain that mail is sent from.

    *dkim_valid*, *spf_valid*: its DNS records are right; only a check returns these.
    *valid_signing*: mail is signed for it.
    *verified*: its owner has confirmed it.
    *create_date*: an aware datetime in UTC.
    """

    domain: str
    create_date: datetime | None = None
    dkim_valid: bool | None = None
    spf_valid: bool | None = None
    verified: bool | None = None
    valid_signing: bool | None = None
    extra: Mapping[str, Any] = attrs.field(factory=FrozenMapping, hash=False)
    raw: Response = attrs.field(repr=False, eq=False)


@attrs.frozen(kw_only=True)
class TrackingDomain:
    """
    A domain that tracked links lead through.

    *cname_valid*: its DNS record is right.
    *valid_tracking*: links may lead through it.
    *create_date*: an aware datetime in UTC.
    """

    domain: str
    create_date: datetime | None = None
    cname_valid: bool | None = None
    valid_tracking: bool | None = None
    extra: Mapping[str, Any] = attrs.field(factory=FrozenMapping, hash=False)
    raw: Response = attrs.field(repr=False, eq=False)


@attrs.frozen(kw_only=True)
class Webhook:
    """
    A URL to which the service posts events.

    *events*: words such as ``open``: those of `EventName`, and any that the service has added.
    *key*: signs the posts.
    *store_log*: the service keeps its posts.
    *create_date*, *last_success*: when it was added, and when a post last succeeded; both are aware
    datetimes in UTC.
    *total_event*: the number of events.
    """

    webhook_id: str
    url: str | None = None
    events: tuple[str, ...] = ()
    key: Secret | None = None
    store_log: bool | None = None
    description: str | None = None
    create_date: datetime | None = None
    last_success: datetime | None = None
    total_event: int | None = None
    extra: Mapping[str, Any] = attrs.field(factory=FrozenMapping, hash=False)
    raw: Response = attrs.field(repr=False, eq=False)


@attrs.frozen(kw_only=True)
class AccountDetail:
    """
    The account.

    *allowed_speed*: mails per hour.
    *reputation*: percent, 50.0 for the service's ``"50%"``.
    *create_date*: an aware datetime in UTC.
    """

    name: str | None = None
    email: str | None = None
    mobile: str | None = None
    create_date: datetime | None = None
    allowed_speed: int | None = None
    reputation: float | None = None
    extra: Mapping[str, Any] = attrs.field(factory=FrozenMapping, hash=False)
    raw: Response = attrs.field(repr=False, eq=False)
