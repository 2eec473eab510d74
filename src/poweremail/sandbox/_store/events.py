"""
What recipients do with a mail, and what becomes of it on the way: the events of getMessageInfo and
of webhooks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

import attrs

from poweremail.errors import UsageError

__all__ = [
    "EVENT_KINDS",
    "STATUSES",
    "MailEvent",
    "check_kind",
    "keep",
    "of_mail",
    "of_recipients",
    "record",
]

EVENT_KINDS = ("open", "click", "soft_bounce", "hard_bounce", "spam")
"""What can happen to a mail after it was sent."""

STATUSES = ("delivered", "soft_bounce", "open", "click", "hard_bounce", "spam")
"""
The states of a mail at one recipient. It goes to the right only: whoever has clicked and opens the
mail again, has still clicked.
"""

_MOST_EVENTS = 1_000
"""So many events of a mail are shown, the latest."""


@attrs.frozen(kw_only=True)
class MailEvent:
    """
    One event.

    *mail* is the number of the mail, *email* the recipient's address, *kind* one of `EVENT_KINDS`,
    *at* milliseconds since the epoch. *ip* and *user_agent* are those of who opened or clicked,
    *url* is what was clicked, where that is known.
    """

    number: int
    mail: int
    email: str
    kind: str
    at: int
    ip: str
    user_agent: str
    url: str | None


def check_kind(kind: object) -> str:
    """Return *kind* where it is one of `EVENT_KINDS`. Raises `UsageError`."""
    if not isinstance(kind, str) or kind not in EVENT_KINDS:
        raise UsageError(
            f"must be one of {', '.join(EVENT_KINDS)}, not {kind!r}", field="kind", mail_state=None
        )
    return kind


def record(
    connection: sqlite3.Connection,
    mail: int,
    kind: str,
    *,
    recipient: str | None,
    at: int,
    ip: str,
    user_agent: str,
    url: str | None,
) -> list[MailEvent]:
    """
    Keep an event of *mail* at one *recipient*, or at each where it is None, and return what was
    kept.

    Raises LookupError where there is no such mail or recipient.
    """
    query = (
        "SELECT number FROM recipients WHERE mail = ? AND (? IS NULL OR casefold(email) = "
        "casefold(?))"
    )
    found = connection.execute(
        f"{query} ORDER BY number", (mail, recipient, recipient or "")
    ).fetchall()
    if not found:
        raise LookupError(
            f"there is no mail number {mail}"
            if recipient is None
            else f"mail number {mail} has no such recipient"
        )
    return [
        keep(connection, mail, number, kind, at=at, ip=ip, user_agent=user_agent, url=url)
        for (number,) in found
    ]


def keep(
    connection: sqlite3.Connection,
    mail: int,
    number: int,
    kind: str,
    *,
    at: int,
    ip: str,
    user_agent: str,
    url: str | None,
) -> MailEvent:
    """
    Keep an event of *mail* at its recipient of that *number*, who must be there, and return it.
    """
    email, status = connection.execute(
        "SELECT email, status FROM recipients WHERE number = ?", (number,)
    ).fetchone()
    insert = (
        "INSERT INTO events (mail, recipient, kind, at, ip, user_agent, url) VALUES (?, ?, "
        "?, "
        "?, ?, ?, ?)"
    )
    key = connection.execute(insert, (mail, number, kind, at, ip, user_agent, url)).lastrowid or 0
    if STATUSES.index(kind) > STATUSES.index(status):
        connection.execute("UPDATE recipients SET status = ? WHERE number = ?", (kind, number))
    return MailEvent(
        number=key, mail=mail, email=email, kind=kind, at=at, ip=ip, user_agent=user_agent, url=url
    )


def of_mail(connection: sqlite3.Connection, mail: int) -> list[MailEvent]:
    """Return the latest events of *mail*, newest first."""
    rows = connection.execute(
        "SELECT events.*, email FROM events JOIN recipients ON recipients.number = events.recipient"
        " WHERE events.mail = ? ORDER BY events.number DESC LIMIT ?",
        (mail, _MOST_EVENTS),
    )
    return [
        MailEvent(**{name: row[name] for name in row.keys() if name != "recipient"})  # noqa: SIM118
        for row in rows
    ]


def of_recipients(
    connection: sqlite3.Connection, recipients: Iterable[int]
) -> dict[int, dict[str, Any]]:
    """
    What getMessageInfo says of the opens and clicks of each of the *recipients*, by their numbers.

    ``time`` is in milliseconds, as a string of digits: clients have to read that, too.
    """
    found: dict[int, dict[str, dict[str, list[str]]]] = {
        number: {kind: {"ip": [], "ua": [], "time": []} for kind in ("open", "click")}
        for number in recipients
    }
    if not found:
        return {}
    marks = ", ".join("?" * len(found))
    query = (
        f"SELECT recipient, kind, ip, user_agent, at FROM events WHERE recipient IN ({marks}) "  # noqa: S608
        "ORDER BY number"
    )
    for number, kind, ip, user_agent, at in connection.execute(query, tuple(found)):
        if kind in found[number]:
            data = found[number][kind]
            data["ip"].append(ip)
            data["ua"].append(user_agent)
            data["time"].append(str(at))
    return {
        number: {
            "open": len(data["open"]["time"]),
            "openData": data["open"],
            "click": len(data["click"]["time"]),
            "clickData": data["click"],
        }
        for number, data in found.items()
    }
