"""What is posted to webhooks, kept byte for byte, and what came of it."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

import attrs

from poweremail._types.secret import Secret
from poweremail.sandbox._store.database import Store, at
from poweremail.sandbox._webhooks.posting import Answered
from poweremail.webhooks._events import form_body
from poweremail.webhooks._signature import BRAND, FORM_TYPE, SignatureScheme, sign, signature_header

__all__ = ["RETRY_AFTER", "Attempt", "Deliveries", "Delivery", "DeliveryState", "Happened"]

DeliveryState = Literal["waiting", "delivered", "failed"]

RETRY_AFTER = (1, 10, 60, 600, 3600)
"""
Seconds, by the sandbox's clock, from an attempt that failed to the next. After the last of them it
is given up.

The service publishes none: these are quick for who waits in front of a terminal, and long enough to
restart what was down.
"""

_MOST_EVENTS = 100
"""Events of one POST: those of a mail to more recipients go in several."""

_KEPT = 10_000
"""
So many deliveries are remembered; older ones are forgotten once nothing is to be done about them.
"""

_LONGEST_POST = 60
"""
Seconds, by the clock of the machine, after which whoever took a delivery and did not let it go must
have died.
"""

_OK = 200


@attrs.frozen(kw_only=True)
class Attempt:
    """
    One POST: when it was made (*at*), the HTTP *status*, and the first KB of the *answer*; without
    a status, what went wrong.
    """

    at: datetime
    status: int | None
    answer: str

    @property
    def ok(self) -> bool:
        """Whether the receiver took it: the service takes 200 for a yes, and nothing else."""
        return self.status == _OK


@attrs.frozen(kw_only=True)
class Delivery:
    """
    A POST to a webhook: of *events* (their kinds, in order) about mail number *mail*.

    *url*, *headers* and *body* are exactly what is posted at every attempt. *state* is ``waiting``,
    ``delivered`` or ``failed``; *next_attempt* is when it is due, None where it is not. Times are
    aware datetimes in UTC, by the sandbox's clock.
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


@attrs.frozen(kw_only=True)
class Happened:
    """
    Something that a webhook is told: *kind* happened at *email* at the time *at*, in milliseconds.
    *details* is the rest.
    """

    kind: str
    email: str
    at: int
    details: Mapping[str, str]


class Deliveries:
    """
    The deliveries in *store*, signed by *scheme* under the name of *brand*.

    Safe to use from several threads. Times are milliseconds since the epoch.
    """

    def __init__(self, store: Store, scheme: SignatureScheme, brand: str = BRAND) -> None:
        self._store = store
        self._scheme = scheme
        self._brand = brand

    def enqueue(
        self,
        connection: sqlite3.Connection,
        mail: int,
        about: Mapping[str, Any],
        happened: Iterable[Happened],
        *,
        now: int,
    ) -> None:
        """
        Let every webhook that wants to know be told what *happened* to *mail*; *about* has the
        mail's own columns.

        It is signed with the key that the webhook has at this moment, and stays so: a receiver must
        accept the old key for a while after a reset, as with the service.
        """
        hooks = connection.execute(
            "SELECT webhook_id, url, events, key FROM webhooks ORDER BY number"
        ).fetchall()
        if not hooks:
            return
        # The same event has the same id at each webhook.
        told = [(each.kind, _event(about, each)) for each in happened]
        for hook in hooks:
            wanted = hook["events"].split(",")
            events = [(kind, event) for kind, event in told if kind in wanted]
            for start in range(0, len(events), _MOST_EVENTS):
                self._enqueue(connection, hook, mail, events[start : start + _MOST_EVENTS], now)

    def _enqueue(
        self,
        connection: sqlite3.Connection,
        hook: sqlite3.Row,
        mail: int,
        events: list[tuple[str, dict[str, Any]]],
        now: int,
    ) -> None:
        body = form_body((event for _, event in events), self._brand)
        signature = sign(
            self._scheme, Secret(hook["key"]), url=hook["url"], body=body, content_type=FORM_TYPE
        )
        headers = [
            ["Content-Type", FORM_TYPE],
            ["User-Agent", "poweremail-sandbox"],
            [signature_header(self._brand), signature],
        ]
        kinds = ",".join(kind for kind, _ in events)
        number = connection.execute(
            "INSERT INTO deliveries (webhook_id, mail, events, created, state, next_attempt, "
            "tried, url, headers, body)"
            " VALUES (?, ?, ?, ?, 'waiting', ?, 0, ?, ?, ?)",
            (hook["webhook_id"], mail, kinds, now, now, hook["url"], json.dumps(headers), body),
        ).lastrowid
        if number is not None and number % 100 == 0:
            old = "FROM deliveries WHERE number <= ? AND next_attempt IS NULL"
            connection.execute(
                f"DELETE FROM attempts WHERE delivery IN (SELECT number {old})",  # noqa: S608
                (number - _KEPT,),
            )
            connection.execute(f"DELETE {old}", (number - _KEPT,))

    def take(self, now: int, *, after: int = 0, without: Iterable[str] = ()) -> Delivery | None:
        """
        Return the first delivery that is due, of a higher number than *after* and to none of the
        webhooks *without*; or None.

        Nobody else takes it, in this process or in another one that has the file open, until
        `let_go` is called, or until whoever took it must be dead.
        """
        left_out = tuple(without)
        marks = ", ".join("?" * len(left_out))
        # Looked at first without a transaction, which would write to the file whenever somebody
        # looks.
        which = (
            "next_attempt <= ? AND number > ? AND webhook_id NOT IN "  # noqa: S608
            f"({marks})"
            " AND number NOT IN (SELECT delivery FROM claims WHERE until > ?) ORDER BY number "
            "LIMIT 1"
        )
        while found := self._find(which, now, after, *left_out, _machine_time()):
            if self._claim(found[0].number, now):
                return found[0]
            after = found[0].number
        return None

    def _claim(self, number: int, now: int) -> bool:
        this_moment = _machine_time()
        with self._store.transaction() as connection:
            claimed = connection.execute(
                "INSERT INTO claims (delivery, until) SELECT number, ? FROM deliveries WHERE "
                "number = ? AND next_attempt <= ?"
                " ON CONFLICT (delivery) DO UPDATE SET until = excluded.until WHERE until <= ?",
                (this_moment + _LONGEST_POST * 1000, number, now, this_moment),
            )
            return claimed.rowcount == 1

    def let_go(self, delivery: Delivery) -> None:
        """Let others have what was taken. Where nothing was noted of it, it is still due."""
        with self._store.transaction() as connection:
            connection.execute("DELETE FROM claims WHERE delivery = ?", (delivery.number,))

    def find(self, number: int) -> Delivery:
        """Return the delivery of that number. Raises LookupError where there is none."""
        found = self._find("number = ?", number)
        if not found:
            raise LookupError(f"there is no delivery number {number}")
        return found[0]

    def all(self) -> list[Delivery]:
        """Return those that are remembered, oldest first."""
        return self._find("1 ORDER BY number")

    def page(
        self, limit: int, *, before: int, webhook_id: str | None, state: str | None
    ) -> list[Delivery]:
        """
        Return *limit* of those below number *before*, newest first: of one webhook, and in one
        state, where these are given.
        """
        return self._find(
            "number < ? AND (? IS NULL OR webhook_id = ?) AND (? IS NULL OR state = ?) ORDER BY "
            "number DESC LIMIT ?",
            *(before, webhook_id, webhook_id, state, state, limit),
        )

    def note(self, delivery: Delivery, answered: Answered, *, now: int) -> Delivery:
        """
        Keep what came of an attempt, decide what is next, and return the delivery as it is after
        that.
        """
        attempt = Attempt(at=at(now), status=answered.status, answer=answered.answer)
        with self._store.transaction() as connection:
            row = connection.execute(
                "SELECT state, tried FROM deliveries WHERE number = ?", (delivery.number,)
            ).fetchone()
            if row is None:
                # Forgotten while it was under way.
                return attrs.evolve(
                    delivery, attempts=(*delivery.attempts, attempt), next_attempt=None
                )
            connection.execute(
                "INSERT INTO attempts (delivery, at, status, answer) VALUES (?, ?, ?, ?)",
                (delivery.number, now, attempt.status, attempt.answer),
            )
            state, due = _next(row, now, ok=attempt.ok)
            update = (
                "UPDATE deliveries SET state = ?, next_attempt = ?, tried = tried + 1 WHERE "
                "number = ?"
            )
            connection.execute(update, (state, due, delivery.number))
            if attempt.ok:
                told = len(delivery.events) if row["state"] != "delivered" else 0
                connection.execute(
                    "UPDATE webhooks SET last_success = ?, total_event = total_event + ? WHERE "
                    "webhook_id = ?",
                    (now, told, delivery.webhook_id),
                )
        return self.find(delivery.number)

    def _find(self, which: str, *values: object) -> list[Delivery]:
        with self._store.reading() as connection:
            rows = connection.execute(f"SELECT * FROM deliveries WHERE {which}", values).fetchall()  # noqa: S608 - values go by ?
            return [_delivery(connection, row) for row in rows]


def _machine_time() -> int:
    """Milliseconds since the epoch, by the clock that nobody moves forward."""
    return round(time.time() * 1000)


def _event(about: Mapping[str, Any], happened: Happened) -> dict[str, Any]:
    """
    One event with the members that the service is seen to send. What those of ``msg`` are is
    published nowhere.
    """
    return {
        "_id": secrets.token_hex(12),
        "user_id": "sandbox",
        "smtp_name": about["smtp_user_name"],
        "x_unique_id": about["unique_id"],
        "ts": happened.at,
        "event": happened.kind,
        "msg": {
            "email": happened.email,
            "sender": about["from_email"],
            "subject": about["subject"],
            **happened.details,
        },
    }


def _next(row: sqlite3.Row, now: int, *, ok: bool) -> tuple[DeliveryState, int | None]:
    """The state after one more attempt, and when the next one is due."""
    if ok:
        return "delivered", None
    if row["state"] != "waiting":
        # A replay can mend what has failed, and break nothing that has arrived.
        return row["state"], None
    if row["tried"] >= len(RETRY_AFTER):
        return "failed", None
    return "waiting", now + RETRY_AFTER[row["tried"]] * 1000


def _delivery(connection: sqlite3.Connection, row: sqlite3.Row) -> Delivery:
    tried = connection.execute(
        "SELECT at, status, answer FROM attempts WHERE delivery = ? ORDER BY number",
        (row["number"],),
    )
    return Delivery(
        number=row["number"],
        webhook_id=row["webhook_id"],
        mail=row["mail"],
        events=tuple(row["events"].split(",")),
        created=at(row["created"]),
        state=row["state"],
        next_attempt=None if row["next_attempt"] is None else at(row["next_attempt"]),
        url=row["url"],
        headers=tuple((name, value) for name, value in json.loads(row["headers"])),
        body=bytes(row["body"]),
        attempts=tuple(
            Attempt(at=at(each["at"]), status=each["status"], answer=each["answer"])
            for each in tried
        ),
    )
