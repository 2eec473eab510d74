"""
What the calls about settings and about the account answer.

What the service left out, or said in a way that cannot be read, is None or empty; what cannot be
read stays in ``extra``, beside the members that this library does not know. ``raw`` is the answer
that it came in, with ``***`` in place of every password and key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Generic, TypeVar

import attrs

from poweremail._response import Response
from poweremail._types.frozen import FrozenMapping
from poweremail._types.secret import Secret

__all__ = [
    "AccountDetail",
    "Listing",
    "SendingDomain",
    "SmtpUser",
    "TrackingDomain",
    "Webhook",
]

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Listing(Generic[T]):
    """
    What there is of a kind, whole: *entries*, in the order of the service. Iterating, ``len()`` and
    indexing are about them.
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
    An SMTP user: who sends.

    *enabled* says whether it may. *total_limit* and *hourly_limit* are mails, in all and an hour.
    *password* comes when it is added or its password is reset, and otherwise where the service
    tells it.
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

    *dkim_valid* and *spf_valid*: its DNS records were found right. *valid_signing*: mail is signed
    for it. *verified*: its owner has confirmed it. *create_date* is an aware datetime in UTC. A
    check tells of the records, a list of the rest.
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

    *cname_valid*: its DNS record was found right. *valid_tracking*: links may lead through it.
    *create_date* is an aware datetime in UTC.
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
    A URL that is told of events.

    *events* are words such as ``open``: those of `EventName`, and any that the service has added
    since. *key* signs what is posted. *store_log*: the service keeps what it posted. *last_success*
    is when the URL last took something, *total_event* how many events there were. Times are aware
    datetimes in UTC.
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

    *allowed_speed* is mails an hour, *reputation* a number of percent: 50.0 where the service says
    ``"50%"``. *create_date* is an aware datetime in UTC.
    """

    name: str | None = None
    email: str | None = None
    mobile: str | None = None
    create_date: datetime | None = None
    allowed_speed: int | None = None
    reputation: float | None = None
    extra: Mapping[str, Any] = attrs.field(factory=FrozenMapping, hash=False)
    raw: Response = attrs.field(repr=False, eq=False)
