"""
The records of a page, each by the quickest way that it allows.

Most records have the same twelve members, and in each the kind of value that the page shows: those
are checked and taken in one go. A record that is out of the ordinary is read by the converter,
which is patient, and slow. Both read the same from the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

from poweremail._types.frozen import FrozenMapping
from poweremail._types.message_info import (
    Engagement,
    EngagementFields,
    MessageInfo,
    MessageInfoFields,
)
from poweremail._wire.convert import converter, engagements

__all__ = ["message_infos", "ordinary_infos"]

_TEXTS = ("email", "subject", "sender", "sendFrom", "status")
_NUMBERS = ("time", "mailSize", "attchSize", "open", "click")
_MEMBERS = (*_TEXTS, *_NUMBERS, "openData", "clickData")
_COUNT = len(_MEMBERS)
_values = itemgetter(*_MEMBERS)
_event_values = itemgetter("time", "ip", "ua")
_TEXT = frozenset((str, type(None)))
_from_timestamp = datetime.fromtimestamp

_EARLIEST, _LATEST = 10**11, 4 * 10**12
"""
Between these, a time is certainly meant in milliseconds, and a float has it exactly to the
microsecond.
"""

_NOTHING: FrozenMapping[Any] = FrozenMapping()


def message_infos(records: Sequence[Mapping[str, Any]]) -> tuple[MessageInfo, ...]:
    """Read *records*, the ``message_data`` of an answer, whatever is in them."""
    return tuple(
        [_ordinary(record) or converter.structure(record, MessageInfo) for record in records]
    )


def ordinary_infos(records: Sequence[Mapping[str, Any]]) -> tuple[MessageInfo, ...] | None:
    """Read *records* as `message_infos` does, if all of them are as most are; else None."""
    infos = []
    for record in records:
        info = _ordinary(record)
        if info is None:
            return None
        infos.append(info)
    return tuple(infos)


def _ordinary(record: Mapping[str, Any]) -> MessageInfo | None:
    """Read *record* if it is as most are; else None."""
    try:
        row = _values(record)
    except KeyError:
        return None
    (
        email,
        subject,
        sender,
        send_from,
        status,
        time,
        mail_size,
        attachment_size,
        opened,
        clicked,
        opens,
        clicks,
    ) = row
    if not (
        len(record) == _COUNT
        # Written out, because a loop over them would take several times as long.
        and type(time)
        is type(mail_size)
        is type(attachment_size)
        is type(opened)
        is type(clicked)
        is int
        and _EARLIEST <= time <= _LATEST
        and type(opens) is type(clicks) is dict
        and (
            type(email) is type(subject) is type(sender) is type(send_from) is type(status) is str
            or _TEXT.issuperset(map(type, row[: len(_TEXTS)]))
        )
    ):
        return None
    # Any until it is frozen, because a cast would be one more call.
    info: Any = MessageInfoFields()
    info.email = email
    info.subject = subject
    info.sender = sender
    info.send_from = send_from
    info.status = status
    info.time = _from_timestamp(time / 1_000, UTC)
    info.mail_size = mail_size
    info.attachment_size = attachment_size
    info.open_count = opened
    info.click_count = clicked
    info.opens = _events(opens) if opens else ()
    info.clicks = _events(clicks) if clicks else ()
    info.extra = _NOTHING
    # Frozen from here on.
    info.__class__ = MessageInfo
    frozen: MessageInfo = info
    return frozen


def _events(data: dict[str, Any]) -> tuple[Engagement, ...]:
    """The events of one member: nearly always one, and complete."""
    try:
        times, ips, agents = _event_values(data)
        [time], [ip], [agent] = times, ips, agents
    except (KeyError, TypeError, ValueError):
        return engagements(data)
    if not (type(times) is type(ips) is type(agents) is list):
        return engagements(data)
    if not (type(time) is int and type(ip) is type(agent) is str and _EARLIEST <= time <= _LATEST):
        return engagements(data)
    event: Any = EngagementFields()
    event.time = _from_timestamp(time / 1_000, UTC)
    event.ip = ip
    event.user_agent = agent
    # Frozen from here on.
    event.__class__ = Engagement
    return (event,)
