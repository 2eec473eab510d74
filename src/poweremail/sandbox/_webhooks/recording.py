"""
Events of accepted mails: sent, opened, clicked, bounced, complained about.

An event comes from a call, or from the script that planned it. It is kept for getMessageInfo, and
the webhooks that want it get a delivery, in one transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from poweremail.sandbox._store import events
from poweremail.sandbox._store.clock import Clock
from poweremail.sandbox._store.database import Store
from poweremail.sandbox._store.events import MailEvent
from poweremail.sandbox._store.mail import MailContent, find_links
from poweremail.sandbox._webhooks.deliveries import Deliveries, OutgoingEvent
from poweremail.sandbox._webhooks.script import EventScript

__all__ = ["EventRecorder"]

_EVENTS_A_TRANSACTION = 200
_USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101"
_REASONS = {
    "soft_bounce": "452 4.2.2 mailbox full",
    "hard_bounce": "550 5.1.1 no such user",
    "spam": "complaint by the recipient",
}


class EventRecorder:
    """
    Records events in *store*, at the time of *clock*, and enqueues *deliveries* of them.

    No timer runs: events that *script* has planned are recorded by `record_due`, which every reader
    calls first. Safe to use from several threads.
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
        """Record that *mail* was accepted, in the transaction that keeps it; plan its events."""
        about = {
            name: getattr(mail, name)
            for name in ("smtp_user_name", "unique_id", "from_email", "subject")
        }
        emails = [recipient.email for recipient in mail.recipients]
        sent = [OutgoingEvent("send", email, now, {}) for email in emails]
        self._deliveries.enqueue(connection, number, about, sent, now=now)
        planned = list(self._script.plan(number, emails))
        if planned:
            recipients = connection.execute(
                "SELECT number FROM recipients WHERE mail = ? ORDER BY number", (number,)
            ).fetchall()
            connection.executemany(
                "INSERT INTO planned_events (mail, recipient, kind, at) VALUES (?, ?, ?, ?)",
                [
                    (number, recipients[each.index][0], each.kind, now + each.after)
                    for each in planned
                ],
            )

    def record(
        self,
        number: int,
        kind: str,
        *,
        recipient: str | None = None,
        ip: str = "127.0.0.1",
        user_agent: str = "",
        url: str | None = None,
    ) -> list[MailEvent]:
        """
        Record an event of mail *number*, at the time of the sandbox's clock.

        *kind*
            One of `EVENT_KINDS`.
        *recipient*
            The address it happens at; None means all of the mail's.
        *url*
            The link that was clicked.

        getMessageInfo shows it, and the next delivery reports it to the webhooks that want it.
        Raises `UsageError` for another kind, LookupError if there is no such mail or recipient.
        """
        events.check_kind(kind)
        now = self._clock.milliseconds()
        with self._store.transaction() as connection:
            kept = [
                events.keep(
                    connection, number, each, kind, at=now, ip=ip, user_agent=user_agent, url=url
                )
                for each in events.find_recipients(connection, number, recipient)
            ]
            self._enqueue(connection, number, kept, now)
        self._store.changes.note("changed", number)
        return kept

    def record_due(self) -> None:
        """Record the planned events that are due, each at the time it was planned for."""
        while self._record_some():
            pass

    def _record_some(self) -> bool:
        """Record as many as fit one transaction, and return whether there may be more."""
        now = self._clock.milliseconds()
        due = "FROM planned_events WHERE at <= ? ORDER BY at, number LIMIT ?"
        # First without a transaction, because that would write to the file at every look.
        if not self._store.rows(f"SELECT 1 {due}", now, 1):
            return False
        with self._store.transaction() as connection:
            planned = connection.execute(f"SELECT * {due}", (now, _EVENTS_A_TRANSACTION)).fetchall()
            connection.executemany(
                "DELETE FROM planned_events WHERE number = ?", [(row["number"],) for row in planned]
            )
            for row in planned:
                self._record_planned(connection, row, now)
        for number in dict.fromkeys(row["mail"] for row in planned):
            self._store.changes.note("changed", number)
        return len(planned) == _EVENTS_A_TRANSACTION

    def _record_planned(self, connection: sqlite3.Connection, row: sqlite3.Row, now: int) -> None:
        mail, kind = row["mail"], row["kind"]
        url = None
        if kind == "click":
            (html,) = connection.execute(
                "SELECT html FROM mails WHERE number = ?", (mail,)
            ).fetchone()
            url = next(iter(find_links(html)), None)
        origin = ("127.0.0.1", _USER_AGENT) if kind in ("open", "click") else ("", "")
        kept = events.keep(
            connection,
            mail,
            row["recipient"],
            kind,
            at=row["at"],
            ip=origin[0],
            user_agent=origin[1],
            url=url,
        )
        self._enqueue(connection, mail, [kept], now)

    def _enqueue(
        self, connection: sqlite3.Connection, number: int, kept: Iterable[MailEvent], now: int
    ) -> None:
        about: Mapping[str, Any] = connection.execute(
            "SELECT smtp_user_name, unique_id, from_email, subject FROM mails WHERE number = ?",
            (number,),
        ).fetchone()
        outgoing = [OutgoingEvent(each.kind, each.email, each.at, _details(each)) for each in kept]
        self._deliveries.enqueue(connection, number, about, outgoing, now=now)


def _details(event: MailEvent) -> dict[str, str]:
    if event.kind in _REASONS:
        return {"reason": _REASONS[event.kind]}
    url = {} if event.url is None else {"url": event.url}
    return {"ip": event.ip, "ua": event.user_agent, **url}
