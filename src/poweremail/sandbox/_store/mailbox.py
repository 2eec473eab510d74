"""
The caught mails as somebody looks at them: a page of them, one with all its parts, what became of
it.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from poweremail.sandbox._store import events
from poweremail.sandbox._store.database import Store, at
from poweremail.sandbox._store.events import MailEvent
from poweremail.sandbox._store.filter import MailFilter
from poweremail.sandbox._store.mail import CaughtFile

__all__ = ["FIRST_RECIPIENTS", "Mailbox"]

FIRST_RECIPIENTS = 3
"""So many recipients of each mail are on a page of mails."""

_NARROW = (
    "m.number, m.received, m.operation, m.smtp_user_name, m.unique_id,"
    " m.subject, m.from_email, m.from_name, m.template_id, m.mail_size"
)
_WHOLE = f"{_NARROW}, m.attachment_size, m.headers, m.dynamic_value, m.html, m.text"


class Mailbox:
    """
    What `Store` keeps of mails, as JSON values, without the content of files unless that is asked
    for.

    Raises LookupError where a mail, a recipient or a file is not there. Safe to use from several
    threads.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(
        self, wanted: MailFilter, limit: int, *, oldest_first: bool = False
    ) -> list[dict[str, Any]]:
        """
        Return *limit* mails at most that are *wanted*, newest first unless *oldest_first*, without
        what makes them large.
        """
        query, values = wanted.query(_NARROW, oldest_first=oldest_first)
        with self._store.reading() as connection:
            rows = connection.execute(query, (*values, limit)).fetchall()
            return [{**_members(row), **_in_short(connection, row["number"])} for row in rows]

    def first(self, wanted: MailFilter) -> int | None:
        """Return the number of the newest mail that is *wanted*, or None."""
        query, values = wanted.query("m.number")
        with self._store.reading() as connection:
            row = connection.execute(query, (*values, 1)).fetchone()
        return None if row is None else int(row["number"])

    def find(self, number: int) -> dict[str, Any]:
        """
        Return a mail with everything but the content of its files and the request that brought it.
        """
        with self._store.reading() as connection:
            row = connection.execute(
                f"SELECT {_WHOLE} FROM mails m WHERE number = ?",  # noqa: S608
                (number,),
            ).fetchone()
            if row is None:
                raise LookupError(f"there is no mail number {number}")
            members = _members(row)
            for name in ("headers", "dynamic_value"):
                members[name] = json.loads(members[name])
            return {
                **members,
                "recipients": _recipients(connection, number),
                "attachments": _files(connection, number, "attachment"),
                "images": _files(connection, number, "image"),
                "events": [event_members(event) for event in events.of_mail(connection, number)],
            }

    def raw(self, number: int) -> str:
        """
        Return the JSON of the request that brought a mail, without the credentials, which are never
        kept.
        """
        with self._store.reading() as connection:
            row = connection.execute("SELECT raw FROM mails WHERE number = ?", (number,)).fetchone()
        if row is None:
            raise LookupError(f"there is no mail number {number}")
        return str(row["raw"])

    def file(self, number: int, kind: str, index: int) -> CaughtFile:
        """
        Return file number *index* (from 0 on) among the ``attachment`` or ``image`` files of a
        mail.
        """
        query = (
            "SELECT name, type, content FROM files WHERE mail = ? AND kind = ? ORDER BY "
            "number "
            "LIMIT 1 OFFSET ?"
        )
        with self._store.reading() as connection:
            row = connection.execute(query, (number, kind, index)).fetchone()
        if row is None:
            raise LookupError(f"mail number {number} has no {kind} number {index}")
        return CaughtFile(*row)


def event_members(event: MailEvent) -> dict[str, Any]:
    """The *event* as JSON values."""
    return {
        "number": event.number,
        "kind": event.kind,
        "email": event.email,
        "at": at(event.at).isoformat(),
        "ip": event.ip,
        "user_agent": event.user_agent,
        "url": event.url,
    }


def _members(row: sqlite3.Row) -> dict[str, Any]:
    return {**dict(row), "received": at(row["received"]).isoformat()}


def _in_short(connection: sqlite3.Connection, number: int) -> dict[str, Any]:
    first = connection.execute(
        "SELECT type, email, name, status FROM recipients WHERE mail = ? ORDER BY number LIMIT ?",
        (number, FIRST_RECIPIENTS),
    )
    counted = connection.execute(
        "SELECT status, count(*) FROM recipients WHERE mail = ? GROUP BY status", (number,)
    ).fetchall()
    (files,) = connection.execute(
        "SELECT count(*) FROM files WHERE mail = ? AND kind = 'attachment'", (number,)
    ).fetchone()
    statuses: dict[str, int] = dict(counted)
    return {
        "recipients": [dict(row) for row in first],
        "recipient_count": sum(statuses.values()),
        "statuses": {status: statuses[status] for status in events.STATUSES if status in statuses},
        "attachment_count": files,
    }


def _recipients(connection: sqlite3.Connection, number: int) -> list[dict[str, Any]]:
    counts: dict[tuple[int, str], int] = {
        (recipient, kind): count
        for recipient, kind, count in connection.execute(
            "SELECT recipient, kind, count(*) FROM events WHERE mail = ? GROUP BY recipient, kind",
            (number,),
        )
    }
    rows = connection.execute(
        "SELECT number, type, email, name, status FROM recipients WHERE mail = ? ORDER BY number",
        (number,),
    )
    return [
        {
            "type": row["type"],
            "email": row["email"],
            "name": row["name"],
            "status": row["status"],
            "open": counts.get((row["number"], "open"), 0),
            "click": counts.get((row["number"], "click"), 0),
        }
        for row in rows
    ]


def _files(connection: sqlite3.Connection, number: int, kind: str) -> list[dict[str, Any]]:
    query = (
        "SELECT name, type, length(content) AS size FROM files WHERE mail = ? AND kind = ? "
        "ORDER BY number"
    )
    return [dict(row) for row in connection.execute(query, (number, kind))]
