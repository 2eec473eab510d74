"""Stores what recipients do with mails (open, click, bounce), for getMessageInfo and webhooks."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import attrs

from poweremail.errors import UsageError
from poweremail.sandbox._store.database import at as to_datetime
from poweremail.sandbox._store.database import insert

__all__ = [
    "EVENT_KINDS",
    "STATUSES",
    "MailEvent",
    "check_kind",
    "find_recipients",
    "keep",
    "of_mail",
    "of_recipients",
]

EVENT_KINDS = ("open", "click", "soft_bounce", "hard_bounce", "spam")
"""The kinds of events that follow a send."""

STATUSES = ("delivered", "soft_bounce", "open", "click", "hard_bounce", "spam")
"""
The states of a mail at one recipient.

A state only moves to the right: a recipient who clicks and then opens again is still at "click".
"""

_MAX_EVENTS_LISTED = 1_000


@attrs.frozen(kw_only=True)
class MailEvent:
    """
    One event.

    *mail*
        The number of the mail.
    *email*
        The recipient's address.
    *kind*
        One of `EVENT_KINDS`.
    *at*
        Milliseconds since the epoch.
    *ip*, *user_agent*
        Those of the person who opened or clicked.
    *url*
        The link that was clicked, if it is known.
    """

    number: int
    mail: int
    email: str
    kind: str
    at: int
    ip: str
    user_agent: str
    url: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the event as JSON members, without the number of the mail."""
        members = attrs.asdict(self)
        del members["mail"]
        return members | {"at": to_datetime(self.at).isoformat()}


def check_kind(kind: object) -> str:
    """Return *kind*. Raises `UsageError` if it is not one of `EVENT_KINDS`."""
    if not isinstance(kind, str) or kind not in EVENT_KINDS:
        raise UsageError(
            f"must be one of {', '.join(EVENT_KINDS)}, not {kind!r}", field="kind", mail_state=None
        )
    return kind


def find_recipients(connection: sqlite3.Connection, mail: int, email: str | None) -> list[int]:
    """
    Return the numbers of the recipients of *mail* with that address; None finds all.

    Raises LookupError if there is no such mail or recipient.
    """
    found = connection.execute(
        "SELECT number FROM recipients WHERE mail = ? AND (? IS NULL OR casefold(email) ="
        " casefold(?)) ORDER BY number",
        (mail, email, email or ""),
    ).fetchall()
    if not found:
        raise LookupError(
            f"there is no mail number {mail}"
            if email is None
            else f"mail number {mail} has no such recipient"
        )
    return [number for (number,) in found]


def keep(
    connection: sqlite3.Connection,
    mail: int,
    recipient: int,
    kind: str,
    *,
    at: int,
    ip: str,
    user_agent: str,
    url: str | None,
) -> MailEvent:
    """Keep an event of *mail* at the *recipient* of that number, and return it."""
    email, status = connection.execute(
        "SELECT email, status FROM recipients WHERE number = ?", (recipient,)
    ).fetchone()
    columns: dict[str, Any] = {
        "mail": mail,
        "kind": kind,
        "at": at,
        "ip": ip,
        "user_agent": user_agent,
        "url": url,
    }
    number = insert(connection, "events", recipient=recipient, **columns)
    if STATUSES.index(kind) > STATUSES.index(status):
        connection.execute("UPDATE recipients SET status = ? WHERE number = ?", (kind, recipient))
    return MailEvent(number=number, email=email, **columns)


def of_mail(connection: sqlite3.Connection, mail: int) -> list[MailEvent]:
    """Return the latest events of *mail*, newest first."""
    rows = connection.execute(
        "SELECT events.number, events.mail, email, kind, at, ip, user_agent, url"
        " FROM events JOIN recipients ON recipients.number = events.recipient"
        " WHERE events.mail = ? ORDER BY events.number DESC LIMIT ?",
        (mail, _MAX_EVENTS_LISTED),
    )
    return [MailEvent(**dict(row)) for row in rows]


def of_recipients(
    connection: sqlite3.Connection, recipients: Sequence[int]
) -> dict[int, dict[str, Any]]:
    """
    Return the members of getMessageInfo about opens and clicks, by number of the recipient.

    ``time`` is in milliseconds, as a string of digits: clients have to read that, too.
    """
    found: dict[int, dict[str, Any]] = {}
    for number in recipients:
        found[number] = {}
        for kind in ("open", "click"):
            found[number] |= {kind: 0, f"{kind}Data": {"ip": [], "ua": [], "time": []}}
    if not found:
        return {}
    query = (
        "SELECT recipient, kind, ip, user_agent, at FROM events WHERE recipient IN"  # noqa: S608
        f" ({', '.join('?' * len(recipients))}) AND kind IN ('open', 'click') ORDER BY number"
    )
    for number, kind, ip, user_agent, at in connection.execute(query, recipients):
        members = found[number]
        members[kind] += 1
        data = members[f"{kind}Data"]
        data["ip"].append(ip)
        data["ua"].append(user_agent)
        data["time"].append(str(at))
    return found
