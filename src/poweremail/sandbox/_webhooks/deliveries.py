"""
Deliveries: the POSTs to webhooks, kept byte for byte, with the result of every attempt.

*Problem.* A receiver under test must see what the service would send: the same bytes and the same
signature at every attempt, retries after a failure, and no event twice. Several threads may deliver
at the same time (the server's own and a test's), and several processes may have the file open.

*Invariants.*

- A delivery is built and signed once, in the transaction that records its events. So an event
  without its delivery, or the reverse, is never seen; and a reset of the key changes no delivery.
- Its state moves from ``waiting`` to ``delivered`` or ``failed``. A delivery is due if
  ``next_attempt`` is set and has come. A replay may turn ``failed`` into ``delivered``, and changes
  nothing else.
- Only the holder of the claim posts. A claim is a row of its own table; it ends by `release`, or
  after `_CLAIM_SECONDS`, so that a process that dies does not keep its delivery for ever.

*Clocks.* Due times follow the sandbox's clock, which tests move. Claims follow the machine's clock:
a test that advances the sandbox by an hour must not end the claim of a POST in progress.

*Why not a queue in memory.* A sandbox with a file is closed and opened again in the middle of its
retries, and its page shows the deliveries of yesterday.

The tests are in tests/sandbox/test_deliveries.py: two processes over one file, a claim that
outlives its process, keys that are reset between attempts.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Literal

import attrs

from poweremail._types.secret import Secret
from poweremail.sandbox._store.database import Row, Store, at, value_of
from poweremail.sandbox._store.events import MailEvent
from poweremail.sandbox._webhooks.posting import AttemptResult
from poweremail.webhooks._events import form_body
from poweremail.webhooks._signature import FORM_TYPE, SignatureScheme, sign, signature_header

DeliveryState = Literal["waiting", "delivered", "failed"]

RETRY_AFTER = (1, 10, 60, 600, 3600)
"""
Seconds, by the sandbox's clock, from a failed attempt to the next; after the last, it has failed.

The service publishes none. These are quick enough for a developer at a terminal, and long enough to
restart a receiver.
"""

_MAX_EVENTS_A_POST = 100
_MAX_DELIVERIES_KEPT = 10_000
"""Older deliveries are deleted once they are not due any more."""

_CLAIM_SECONDS = 60
"""Far more than a POST takes: the process that holds an older claim must have died."""

_REASONS = {
    "soft_bounce": "452 4.2.2 mailbox full",
    "hard_bounce": "550 5.1.1 no such user",
    "spam": "complaint by the recipient",
}


@attrs.frozen(kw_only=True)
class Attempt(AttemptResult):
    """One POST: its result, and the time *at* which it was made."""

    at: datetime


@attrs.frozen(kw_only=True)
class Delivery:
    """
    A POST to a webhook.

    *events*
        The kinds of its events, in order; all are about mail number *mail*.
    *url*, *headers*, *body*
        Exactly what is posted at every attempt.
    *state*
        ``waiting``, ``delivered`` or ``failed``.
    *next_attempt*
        When it is due, or None.

    Times are aware datetimes in UTC, by the sandbox's clock.
    """

    number: int
    webhook_id: str
    mail: int
    events: tuple[str, ...]
    created: datetime
    state: DeliveryState
    next_attempt: datetime | None
    url: str
    headers: tuple[tuple[str, str], ...] = attrs.field(repr=False)
    body: bytes = attrs.field(repr=lambda body: f"<{len(body)} bytes>")
    attempts: tuple[Attempt, ...] = ()


class Deliveries:
    """
    The deliveries in *store*, signed by *scheme* under the name of *brand*.

    Times are milliseconds since the epoch. Safe to use from several threads.
    """

    def __init__(self, store: Store, scheme: SignatureScheme, brand: str) -> None:
        self._store = store
        self._scheme = scheme
        self._brand = brand

    def enqueue(self, mail: int, outgoing: Iterable[MailEvent], *, now: int) -> None:
        """
        Add a delivery for each webhook that wants some of the *outgoing* events of *mail*.

        It has to be called in the transaction that keeps them. The key of this moment signs, for
        good: a receiver must accept the old key for a while after a reset, as with the service.
        """
        webhooks = self._store.rows("SELECT * FROM webhooks ORDER BY number")
        if not webhooks:
            return
        [about] = self._store.rows(
            "SELECT smtp_user_name, unique_id, from_email, subject FROM mails WHERE number = ?",
            mail,
        )
        # The same event has the same id at each webhook.
        all_events = [event_members(about, event) for event in outgoing]
        for webhook in webhooks:
            kinds = webhook["events"].split(",")
            events = [event for event in all_events if event["event"] in kinds]
            for start in range(0, len(events), _MAX_EVENTS_A_POST):
                self._enqueue(webhook, mail, events[start : start + _MAX_EVENTS_A_POST], now)

    def _enqueue(self, webhook: Row, mail: int, events: list[dict[str, Any]], now: int) -> None:
        url, body = webhook["url"], form_body(events, self._brand)
        signature = sign(
            self._scheme, Secret(webhook["key"]), url=url, body=body, content_type=FORM_TYPE
        )
        headers = {
            "Content-Type": FORM_TYPE,
            "User-Agent": "poweremail-sandbox",
            signature_header(self._brand): signature,
        }
        number = self._store.insert(
            "INSERT INTO deliveries",
            webhook_id=webhook["webhook_id"],
            mail=mail,
            events=",".join(event["event"] for event in events),
            created=now,
            state="waiting",
            next_attempt=now,
            tried=0,
            url=url,
            headers=json.dumps(list(headers.items())),
            body=body,
        )
        if number % 100 == 0:
            old = "FROM deliveries WHERE number <= ? AND next_attempt IS NULL"
            for statement in (
                f"DELETE FROM attempts WHERE delivery IN (SELECT number {old})",  # noqa: S608
                f"DELETE {old}",
            ):
                self._store.change(statement, number - _MAX_DELIVERIES_KEPT)

    def claim(self, now: int, *, after: int = 0, skip: Collection[str] = ()) -> Delivery | None:
        """
        Claim and return the first delivery that is due, or None.

        *after*: its number is higher. *skip*: ids of webhooks that are left out.
        """
        marks = ", ".join("?" * len(skip))
        # First without a transaction, because that would write to the file at every look.
        which = (
            f"next_attempt <= ? AND number > ? AND webhook_id NOT IN ({marks})"  # noqa: S608
            " AND number NOT IN (SELECT delivery FROM claims WHERE until > ?)"
            " ORDER BY number LIMIT 1"
        )
        while found := self._find(which, now, after, *skip, _machine_time()):
            after, machine_now = found[0].number, _machine_time()
            if self._store.change(
                "INSERT INTO claims (delivery, until) SELECT number, ? FROM deliveries"
                " WHERE number = ? AND next_attempt <= ?"
                " ON CONFLICT (delivery) DO UPDATE SET until = excluded.until WHERE until <= ?",
                *(machine_now + _CLAIM_SECONDS * 1000, after, now, machine_now),
            ):
                return found[0]
        return None

    def release(self, delivery: Delivery) -> None:
        """End the claim of a delivery. If no result was noted, it is still due."""
        self._store.change("DELETE FROM claims WHERE delivery = ?", delivery.number)

    def find(self, number: int) -> Delivery:
        """Return the delivery of that number. Raises LookupError if there is none."""
        for delivery in self._find("number = ?", number):
            return delivery
        raise LookupError(f"there is no delivery number {number}")

    def all(self) -> list[Delivery]:
        """Return those that are kept, oldest first."""
        return self._find("1 ORDER BY number")

    def page(
        self, limit: int, *, before: int, webhook_id: str | None, state: str | None
    ) -> list[Delivery]:
        """Return *limit* of those below number *before*, newest first. None does not filter."""
        return self._find(
            "number < ? AND (? IS NULL OR webhook_id = ?) AND (? IS NULL OR state = ?)"
            " ORDER BY number DESC LIMIT ?",
            *(before, webhook_id, webhook_id, state, state, limit),
        )

    def note(self, delivery: Delivery, result: AttemptResult, *, now: int) -> Delivery:
        """Keep the result of an attempt, schedule the next, and return the changed delivery."""
        number = delivery.number
        with self._store.transaction():
            row = self._store.row("SELECT state, tried FROM deliveries WHERE number = ?", number)
            if row is None:  # deleted during the POST
                attempt = Attempt(at=at(now), **attrs.asdict(result))
                return attrs.evolve(
                    delivery, attempts=(*delivery.attempts, attempt), next_attempt=None
                )
            self._store.insert(
                "INSERT INTO attempts", delivery=number, at=now, **attrs.asdict(result)
            )
            self._store.change(
                "UPDATE deliveries SET state = ?, next_attempt = ?, tried = tried + 1"
                " WHERE number = ?",
                *(*_next(row, now, ok=result.ok), number),
            )
            if result.ok:
                self._store.change(
                    "UPDATE webhooks SET last_success = ?, total_event = total_event + ?"
                    " WHERE webhook_id = ?",
                    now,
                    0 if row["state"] == "delivered" else len(delivery.events),
                    delivery.webhook_id,
                )
            return self.find(number)

    def _find(self, which: str, *values: object) -> list[Delivery]:
        attempts = "SELECT * FROM attempts WHERE delivery = ? ORDER BY number"
        with self._store.reading():
            return [
                value_of(Delivery, row, attempts=self._store.rows(attempts, row["number"]))
                for row in self._store.rows(f"SELECT * FROM deliveries WHERE {which}", *values)  # noqa: S608  values go by ?
            ]


def _machine_time() -> int:
    """Milliseconds since the epoch, by the clock that no test advances."""
    return round(time.time() * 1000)


def event_members(about: Row, event: MailEvent) -> dict[str, Any]:
    """
    Return the members of *event*, of the mail *about*, that the service is seen to send. It does
    not publish those of ``msg``.
    """
    details: dict[str, str | None] = {}
    if event.kind in _REASONS:
        details = {"reason": _REASONS[event.kind]}
    elif event.kind != "send":
        details = {"ip": event.ip, "ua": event.user_agent, "url": event.url}
    return {
        "_id": secrets.token_hex(12),
        "user_id": "sandbox",
        "smtp_name": about["smtp_user_name"],
        "x_unique_id": about["unique_id"],
        "ts": event.at,
        "event": event.kind,
        "msg": {
            "email": event.email,
            "sender": about["from_email"],
            "subject": about["subject"],
            **{name: value for name, value in details.items() if value is not None},
        },
    }


def _next(row: Row, now: int, *, ok: bool) -> tuple[DeliveryState, int | None]:
    """Return the state after one more attempt, and when the next one is due."""
    if ok:
        return "delivered", None
    if row["state"] != "waiting":  # a replay
        return row["state"], None
    if row["tried"] >= len(RETRY_AFTER):
        return "failed", None
    return "waiting", now + RETRY_AFTER[row["tried"]] * 1000
