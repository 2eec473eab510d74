"""
What becomes of a mail once it is accepted: by hand, by the script, in getMessageInfo and at the
webhooks.
"""

from __future__ import annotations

import sqlite3

from poweremail.sandbox._server.preview import find_links
from poweremail.sandbox._store import events
from poweremail.sandbox._store.clock import Clock
from poweremail.sandbox._store.database import Store
from poweremail.sandbox._store.events import MailEvent
from poweremail.sandbox._store.mail import MailContent
from poweremail.sandbox._webhooks.deliveries import Deliveries, Happened
from poweremail.sandbox._webhooks.script import EventScript

__all__ = ["Happenings"]

_AT_ONCE = 200
"""Planned events that happen in one transaction."""

_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101"
_DETAILS = {
    "soft_bounce": "452 4.2.2 mailbox full",
    "hard_bounce": "550 5.1.1 no such user",
    "spam": "complaint by the recipient",
}


class Happenings:
    """
    Lets things happen in *store*, at the time of *clock* or as *script* says, and has the webhooks
    told through *deliveries*.

    Nothing runs by itself: what is due happens when `settle` is called, which is before anybody
    looks. Safe to use from several threads.
    """

    def __init__(
        self, store: Store, clock: Clock, script: EventScript, deliveries: Deliveries
    ) -> None:
        self._store = store
        self._clock = clock
        self._script = script
        self._deliveries = deliveries

    def sent(
        self, connection: sqlite3.Connection, number: int, mail: MailContent, now: int
    ) -> None:
        """
        Note in the transaction that keeps *mail* that it was accepted, and plan what the script has
        for it.
        """
        about = {
            name: getattr(mail, name)
            for name in ("smtp_user_name", "unique_id", "from_email", "subject")
        }
        told = (
            Happened(kind="send", email=who.email, at=now, details={}) for who in mail.recipients
        )
        self._deliveries.enqueue(connection, number, about, told, now=now)
        planned = list(self._script.plan(number, (who.email for who in mail.recipients)))
        if planned:
            rows = connection.execute(
                "SELECT number FROM recipients WHERE mail = ? ORDER BY number", (number,)
            ).fetchall()
            connection.executemany(
                "INSERT INTO planned_events (mail, recipient, kind, at) VALUES (?, ?, ?, ?)",
                [(number, rows[each.index][0], each.kind, now + each.after) for each in planned],
            )

    def record(
        self,
        number: int,
        kind: str,
        *,
        recipient: str | None,
        ip: str,
        user_agent: str,
        url: str | None,
    ) -> list[MailEvent]:
        """Let something happen at this moment: see `Service.record_event`."""
        events.check_kind(kind)
        now = self._clock.milliseconds()
        with self._store.transaction() as connection:
            kept = events.record(
                connection,
                number,
                kind,
                recipient=recipient,
                at=now,
                ip=ip,
                user_agent=user_agent,
                url=url,
            )
            self._tell(connection, number, kept, now)
        self._store.changes.note("changed", number)
        return kept

    def settle(self) -> None:
        """Let what is due by the script happen, each at the time it was planned for."""
        while self._settle_some():
            pass

    def _settle_some(self) -> bool:
        now = self._clock.milliseconds()
        due = "FROM planned_events WHERE at <= ? ORDER BY at, number LIMIT ?"
        # Looked at first without a transaction, which would write to the file whenever somebody
        # looks.
        if not self._store.rows(f"SELECT 1 {due}", now, 1):
            return False
        with self._store.transaction() as connection:
            planned = connection.execute(f"SELECT * {due}", (now, _AT_ONCE)).fetchall()
            connection.executemany(
                "DELETE FROM planned_events WHERE number = ?", [(row["number"],) for row in planned]
            )
            for row in planned:
                self._happen(connection, row, now)
        for number in dict.fromkeys(row["mail"] for row in planned):
            self._store.changes.note("changed", number)
        return len(planned) == _AT_ONCE

    def _happen(self, connection: sqlite3.Connection, row: sqlite3.Row, now: int) -> None:
        read = row["kind"] in ("open", "click")
        found = connection.execute(
            "SELECT html FROM mails WHERE number = ?", (row["mail"],)
        ).fetchone()
        url = (
            next(iter(find_links(found["html"])), None)
            if row["kind"] == "click" and found is not None
            else None
        )
        kept = events.keep(
            connection,
            row["mail"],
            row["recipient"],
            row["kind"],
            at=row["at"],
            ip="127.0.0.1" if read else "",
            user_agent=_AGENT if read else "",
            url=url,
        )
        self._tell(connection, row["mail"], [kept], now)

    def _tell(
        self, connection: sqlite3.Connection, number: int, kept: list[MailEvent], now: int
    ) -> None:
        query = "SELECT smtp_user_name, unique_id, from_email, subject FROM mails WHERE number = ?"
        about = connection.execute(query, (number,)).fetchone()
        told = (
            Happened(kind=each.kind, email=each.email, at=each.at, details=_details(each))
            for each in kept
        )
        self._deliveries.enqueue(connection, number, about, told, now=now)


def _details(event: MailEvent) -> dict[str, str]:
    if event.kind in _DETAILS:
        return {"reason": _DETAILS[event.kind]}
    url = {} if event.url is None else {"url": event.url}
    return {"ip": event.ip, "ua": event.user_agent, **url}
