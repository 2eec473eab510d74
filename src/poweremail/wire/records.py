"""
The records of a page, column by column.

A page has a hundred records of one shape, so what must be checked of each is checked of all of them at once: the members, by their
names, and the types of the values. A page in which a record is out of the ordinary is read record by record, by the converter,
which is patient, and slow. Both read the same from the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from operator import countOf, itemgetter
from typing import Any, cast

from poweremail.types.frozen import FrozenMapping
from poweremail.types.message_info import Engagement, EngagementFields, MessageInfo, MessageInfoFields
from poweremail.wire.convert import converter, engagements

__all__ = ["message_infos", "ordinary_infos"]

_TEXT: tuple[type, ...] = (str, type(None))
_INT: tuple[type, ...] = (int,)
_OBJECT: tuple[type, ...] = (dict,)
# In the order in which `_message_info` takes them.
_COLUMNS = {
    "email": _TEXT,
    "subject": _TEXT,
    "sender": _TEXT,
    "sendFrom": _TEXT,
    "status": _TEXT,
    "time": _INT,
    "mailSize": _INT,
    "attchSize": _INT,
    "open": _INT,
    "click": _INT,
    "openData": _OBJECT,
    "clickData": _OBJECT,
}
_values = itemgetter(*_COLUMNS)
_event_values = itemgetter("time", "ip", "ua")
_new = object.__new__

_EARLIEST, _LATEST = 10**11, 4 * 10**12
"""Between these, a time is certainly meant in milliseconds, and a float has it exactly to the microsecond."""

_NOTHING: FrozenMapping[Any] = FrozenMapping()


def message_infos(records: Sequence[Mapping[str, Any]]) -> tuple[MessageInfo, ...]:
    """Read *records*, the ``message_data`` of an answer, whatever is in them."""
    infos = ordinary_infos(records)
    return tuple([converter.structure(record, MessageInfo) for record in records]) if infos is None else infos


def ordinary_infos(records: Sequence[Mapping[str, Any]]) -> tuple[MessageInfo, ...] | None:
    """Read *records* as `message_infos` does, if all of them are as most are; else None."""
    rows = _ordinary(records)
    return None if rows is None else tuple(map(_message_info, rows))


def _ordinary(records: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]] | None:
    """The values of each record, in the order of `_COLUMNS`, if all of them are as most are; else None."""
    if not records or set(map(len, records)) != {len(_COLUMNS)}:
        return None
    try:
        rows = list(map(_values, records))
    except KeyError:
        return None
    columns = zip(*rows, strict=True)
    for (name, kinds), column in zip(_COLUMNS.items(), columns, strict=True):
        # One kind is counted, which is quickest, and nearly always enough.
        if countOf(map(type, column), kinds[0]) != len(rows) and not set(map(type, column)).issubset(kinds):
            return None
        if name == "time" and not _EARLIEST <= min(column) <= max(column) <= _LATEST:
            return None
    return rows


def _message_info(row: tuple[Any, ...]) -> MessageInfo:
    info = _new(MessageInfoFields)
    (
        info.email,
        info.subject,
        info.sender,
        info.send_from,
        info.status,
        time,
        info.mail_size,
        info.attachment_size,
        info.open_count,
        info.click_count,
        opens,
        clicks,
    ) = row
    info.time = datetime.fromtimestamp(time / 1_000, UTC)
    info.opens = _events(opens) if opens else ()
    info.clicks = _events(clicks) if clicks else ()
    info.extra = _NOTHING
    # Frozen from here on.
    info.__class__ = MessageInfo
    return cast("MessageInfo", info)


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
    event = _new(EngagementFields)
    event.time = datetime.fromtimestamp(time / 1_000, UTC)
    event.ip = ip
    event.user_agent = agent
    # Frozen from here on.
    event.__class__ = Engagement
    return (cast("Engagement", event),)
