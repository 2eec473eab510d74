"""
What the sandbox remembers of an account beside its mails: domains and webhooks, in the database of
a `Store`.
"""

from __future__ import annotations

import secrets
import sqlite3
from datetime import datetime
from typing import Any, Literal

import attrs

from poweremail._types.secret import Secret
from poweremail.sandbox._store.database import Store, at

__all__ = ["AccountStore", "Domain", "DomainKind", "RegisteredWebhook"]

DomainKind = Literal["sending", "tracking"]


@attrs.frozen
class Domain:
    """
    A domain of the sandbox: *kind* is ``sending`` or ``tracking``, *created* an aware datetime in
    UTC.

    *valid* says whether every check of it comes out well.
    """

    kind: DomainKind
    domain: str
    created: datetime
    valid: bool


@attrs.frozen(kw_only=True)
class RegisteredWebhook:
    """
    A webhook of the sandbox.

    *key* is what its posts are signed with. *last_success* and *total_event* tell of what was
    posted. Times are aware datetimes in UTC.
    """

    webhook_id: str
    url: str
    events: tuple[str, ...]
    key: Secret
    store_log: bool
    description: str
    created: datetime
    last_success: datetime | None
    total_event: int


class AccountStore:
    """
    Domains and webhooks in *store*. Times are whole milliseconds since the epoch. Safe to use from
    several threads.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_domain(self, kind: DomainKind, domain: str, *, now: int, valid: bool = False) -> bool:
        """Add a domain, and return False where it is there already: then it stays as it is."""
        with self._store.transaction() as connection:
            added = connection.execute(
                "INSERT OR IGNORE INTO domains VALUES (?, ?, ?, ?)", (kind, domain, now, valid)
            )
            return added.rowcount == 1

    def put_domain(self, kind: DomainKind, domain: str, *, now: int, valid: bool) -> None:
        """Add a domain, or say of the one that is there whether it is *valid*."""
        with self._store.transaction() as connection:
            connection.execute(
                "INSERT INTO domains VALUES (?, ?, ?, ?) ON CONFLICT (kind, domain) DO UPDATE SET "
                "valid = excluded.valid",
                (kind, domain, now, valid),
            )

    def delete_domain(self, kind: DomainKind, domain: str) -> bool:
        """Forget a domain; False where there is none."""
        with self._store.transaction() as connection:
            return (
                connection.execute(
                    "DELETE FROM domains WHERE kind = ? AND domain = ?", (kind, domain)
                ).rowcount
                == 1
            )

    def domain(self, kind: DomainKind, domain: str) -> Domain | None:
        """The domain of that name, or None."""
        return next((each for each in self.domains(kind) if each.domain == domain), None)

    def domains(self, kind: DomainKind) -> list[Domain]:
        """The domains of a kind, oldest first."""
        query = "SELECT * FROM domains WHERE kind = ? ORDER BY created, domain"
        return [
            Domain(row["kind"], row["domain"], at(row["created"]), bool(row["valid"]))
            for row in self._store.rows(query, kind)
        ]

    def add_webhook(
        self, url: str, events: tuple[str, ...], *, now: int, store_log: bool, description: str
    ) -> RegisteredWebhook:
        """Add a webhook; its id and its key are drawn."""
        webhook_id = secrets.token_hex(12)
        with self._store.transaction() as connection:
            connection.execute(
                "INSERT INTO webhooks (webhook_id, url, events, key, store_log, description, "
                "created, total_event)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
                (
                    webhook_id,
                    url,
                    ",".join(events),
                    secrets.token_urlsafe(24),
                    store_log,
                    description,
                    now,
                ),
            )
        [added] = self._webhooks("WHERE webhook_id = ?", webhook_id)
        return added

    def edit_webhook(self, webhook_id: str, **changes: Any) -> bool:
        """
        Change *url*, *events*, *store_log*, *description* or what else is told of a webhook; False
        where there is none.
        """
        # The names come from this package, never from a request.
        columns = ", ".join(f"{name} = ?" for name in changes)
        values = [",".join(value) if name == "events" else value for name, value in changes.items()]
        with self._store.transaction() as connection:
            changed = connection.execute(
                f"UPDATE webhooks SET {columns} WHERE webhook_id = ?",  # noqa: S608
                (*values, webhook_id),
            )
            return changed.rowcount == 1

    def delete_webhook(self, webhook_id: str) -> bool:
        """Forget a webhook; False where there is none. What it was still to be told is given up."""
        with self._store.transaction() as connection:
            connection.execute(
                "UPDATE deliveries SET state = 'failed', next_attempt = NULL WHERE webhook_id = ? "
                "AND state = 'waiting'",
                (webhook_id,),
            )
            return (
                connection.execute(
                    "DELETE FROM webhooks WHERE webhook_id = ?", (webhook_id,)
                ).rowcount
                == 1
            )

    def reset_webhook_key(self, webhook_id: str) -> RegisteredWebhook | None:
        """Draw a webhook's key anew; None where there is no such webhook."""
        self.edit_webhook(webhook_id, key=secrets.token_urlsafe(24))
        return self.webhook(webhook_id)

    def webhook(self, webhook_id: str) -> RegisteredWebhook | None:
        """The webhook of that id, or None."""
        return next(iter(self._webhooks("WHERE webhook_id = ?", webhook_id)), None)

    def webhooks(self) -> list[RegisteredWebhook]:
        """Every webhook, oldest first."""
        return self._webhooks("ORDER BY number")

    def _webhooks(self, which: str, *values: str) -> list[RegisteredWebhook]:
        return [
            _webhook(row)
            for row in self._store.rows(f"SELECT * FROM webhooks {which}", *values)  # noqa: S608
        ]


def _webhook(row: sqlite3.Row) -> RegisteredWebhook:
    return RegisteredWebhook(
        webhook_id=row["webhook_id"],
        url=row["url"],
        events=tuple(row["events"].split(",")),
        key=Secret(row["key"]),
        store_log=bool(row["store_log"]),
        description=row["description"],
        created=at(row["created"]),
        last_success=None if row["last_success"] is None else at(row["last_success"]),
        total_event=row["total_event"],
    )
