"""Stores what recipients do with mails (open, click, bounce), for getMessageInfo and webhooks."""

from __future__ import annotations

from typing import Any

import attrs

from poweremail.sandbox._store.database import Store
from poweremail.sandbox._store.database import at as to_datetime

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
    ip: str = ""
    user_agent: str = ""
    url: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the event as JSON members, without the number of the mail."""
        members = attrs.asdict(self)
        del members["mail"]
        return members | {"at": to_datetime(self.at).isoformat()}


def find_recipients(store: Store, mail: int, email: str | None) -> list[int]:
    """
    Return the numbers of the recipients of *mail* with that address; None finds all.

    Raises LookupError if there is no such mail or recipient.
    """
    found = store.rows(
        "SELECT number FROM recipients WHERE mail = ? AND (? IS NULL OR casefold(email) ="
        " casefold(?)) ORDER BY number",
        *(mail, email, email or ""),
    )
    if not found:
        raise LookupError(
            f"there is no mail number {mail}"
            if email is None
            else f"mail number {mail} has no such recipient"
        )
    return [row["number"] for row in found]


def keep(store: Store, recipient: int, **event: Any) -> MailEvent:
    """
    Keep an event at the *recipient* of that number, and return it.

    *event* has the fields of `MailEvent` but the number and the address.
    """
    [row] = store.rows("SELECT email, status FROM recipients WHERE number = ?", recipient)
    number = store.insert("INSERT INTO events", recipient=recipient, **event)
    if STATUSES.index(event["kind"]) > STATUSES.index(row["status"]):
        store.change("UPDATE recipients SET status = ? WHERE number = ?", event["kind"], recipient)
    return MailEvent(number=number, email=row["email"], **event)


def of_mail(store: Store, mail: int) -> list[MailEvent]:
    """Return the latest events of *mail*, newest first."""
    rows = store.rows(
        "SELECT events.number, events.mail, email, kind, at, ip, user_agent, url"
        " FROM events JOIN recipients ON recipients.number = events.recipient"
        " WHERE events.mail = ? ORDER BY events.number DESC LIMIT ?",
        *(mail, _MAX_EVENTS_LISTED),
    )
    return [MailEvent(**row) for row in rows]


def opens_and_clicks(store: Store, recipient: int) -> dict[str, Any]:
    """
    Return the members of getMessageInfo about the opens and clicks of a recipient.

    ``time`` is in milliseconds, as a string of digits: clients have to read that, too.
    """
    events = store.rows(
        "SELECT kind, ip, user_agent AS ua, CAST(at AS TEXT) AS time FROM events"
        " WHERE recipient = ? ORDER BY number",
        recipient,
    )
    members: dict[str, Any] = {}
    for kind in ("open", "click"):
        found = [event for event in events if event["kind"] == kind]
        data = {name: [event[name] for event in found] for name in ("ip", "ua", "time")}
        members |= {kind: len(found), f"{kind}Data": data}
    return members
