"""
Events of accepted mails: sent, opened, clicked, bounced, complained about.

An event comes from a call, or from the script that planned it. It is kept for getMessageInfo, and
the webhooks that want it get a delivery, in one transaction.
"""

from __future__ import annotations

from poweremail._types.checks import require_one_of
from poweremail.sandbox._store import events
from poweremail.sandbox._store.clock import Clock
from poweremail.sandbox._store.database import Row, Store
from poweremail.sandbox._store.events import MailEvent
from poweremail.sandbox._store.links import find_links, is_web_link
from poweremail.sandbox._store.mail import MailContent
from poweremail.sandbox._webhooks.deliveries import Deliveries
from poweremail.sandbox._webhooks.script import EventScript

_EVENTS_A_TRANSACTION = 200
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101"


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

    def sent(self, number: int, mail: MailContent, now: int) -> None:
        """Record that *mail* was accepted, in the transaction that keeps it; plan its events."""
        emails = [recipient.email for recipient in mail.recipients]
        sent = (
            MailEvent(number=0, mail=number, email=email, kind="send", at=now) for email in emails
        )
        self._deliveries.enqueue(number, sent, now=now)
        if planned := list(self._script.plan(number, emails)):
            recipients = events.find_recipients(self._store, number, None)
            self._store.change_each(
                "INSERT INTO planned_events (mail, recipient, kind, at) VALUES (?, ?, ?, ?)",
                ((number, recipients[each.index], each.kind, now + each.after) for each in planned),
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
        Record an event of mail *number*, as `Sandbox.record` does. The next delivery reports it to
        the webhooks that want it.
        """
        require_one_of("kind", kind, events.EVENT_KINDS)
        now = self._clock.milliseconds()
        details = {"ip": ip, "user_agent": user_agent, "url": url}
        with self._store.transaction():
            kept = [
                events.keep(self._store, each, mail=number, kind=kind, at=now, **details)
                for each in events.find_recipients(self._store, number, recipient)
            ]
            self._deliveries.enqueue(number, kept, now=now)
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
        with self._store.transaction():
            planned = self._store.rows(f"SELECT * {due}", now, _EVENTS_A_TRANSACTION)
            for row in planned:
                self._store.change("DELETE FROM planned_events WHERE number = ?", row["number"])
                self._record_planned(row, now)
        for number in dict.fromkeys(row["mail"] for row in planned):
            self._store.changes.note("changed", number)
        return len(planned) == _EVENTS_A_TRANSACTION

    def _record_planned(self, planned: Row, now: int) -> None:
        mail, kind = planned["mail"], planned["kind"]
        details = {"ip": "", "user_agent": "", "url": None}
        if kind in ("open", "click"):
            details = {"ip": "127.0.0.1", "user_agent": USER_AGENT, "url": None}
        if kind == "click":
            [row] = self._store.rows("SELECT html, text FROM mails WHERE number = ?", mail)
            details["url"] = next(filter(is_web_link, find_links(row["html"], row["text"])), None)
        kept = events.keep(
            self._store, planned["recipient"], mail=mail, kind=kind, at=planned["at"], **details
        )
        self._deliveries.enqueue(mail, [kept], now=now)
