"""Domains and webhooks of the sandbox's account."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any, Literal

import attrs

from poweremail._types.secret import Secret
from poweremail.sandbox._store.database import Store, value_of

DomainKind = Literal["sending", "tracking"]


@attrs.frozen
class Domain:
    """
    A domain of the sandbox.

    *created* is an aware datetime in UTC; *valid* says whether every check of its DNS succeeds.
    """

    kind: DomainKind
    domain: str
    created: datetime
    valid: bool


@attrs.frozen(kw_only=True)
class RegisteredWebhook:
    """
    A webhook of the sandbox. Times are aware datetimes in UTC.

    *key*
        Signs its POSTs.
    *last_success*
        When a POST last succeeded, or None.
    *total_event*
        How many events were delivered.
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
    """Domains and webhooks in *store*. Times are milliseconds since the epoch. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def add_domain(self, kind: DomainKind, domain: str, *, now: int) -> bool:
        """Add a domain that is not valid yet. Returns False if it exists; it stays as it is."""
        statement = "INSERT OR IGNORE INTO domains VALUES (?, ?, ?, 0)"
        return self._store.change(statement, kind, domain, now) == 1

    def put_domain(self, kind: DomainKind, domain: str, *, now: int, valid: bool) -> None:
        """Add a domain; if it exists, change whether it is *valid*."""
        self._store.change(
            "INSERT INTO domains VALUES (?, ?, ?, ?)"
            " ON CONFLICT (kind, domain) DO UPDATE SET valid = excluded.valid",
            *(kind, domain, now, valid),
        )

    def delete_domain(self, kind: DomainKind, domain: str) -> None:
        """Delete a domain."""
        self._store.change("DELETE FROM domains WHERE kind = ? AND domain = ?", kind, domain)

    def domain(self, kind: DomainKind, domain: str) -> Domain | None:
        """Return the domain of that name, or None."""
        return next((each for each in self.domains(kind) if each.domain == domain), None)

    def domains(self, kind: DomainKind) -> list[Domain]:
        """Return the domains of a kind, oldest first."""
        query = "SELECT * FROM domains WHERE kind = ? ORDER BY created, domain"
        return [value_of(Domain, row) for row in self._store.rows(query, kind)]

    def add_webhook(
        self, url: str, events: tuple[str, ...], *, now: int, store_log: bool, description: str
    ) -> RegisteredWebhook:
        """Add a webhook with a random id and a random key."""
        with self._store.transaction():
            self._store.insert(
                "INSERT INTO webhooks",
                webhook_id=_random_id(),
                url=url,
                events=",".join(events),
                key=_random_key(),
                store_log=store_log,
                description=description,
                created=now,
                total_event=0,
            )
            return self.webhooks()[-1]

    def edit_webhook(self, webhook_id: str, **changes: Any) -> bool:
        """
        Change columns of a webhook. Returns whether there is one of that id.

        The names come from this package, never from a request.
        """
        columns = ", ".join(f"{name} = ?" for name in changes)
        values = [",".join(value) if name == "events" else value for name, value in changes.items()]
        update = f"UPDATE webhooks SET {columns} WHERE webhook_id = ?"  # noqa: S608
        return self._store.change(update, *values, webhook_id) == 1

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook. Its deliveries that wait have failed."""
        with self._store.transaction():
            self._store.change(
                "UPDATE deliveries SET state = 'failed', next_attempt = NULL"
                " WHERE webhook_id = ? AND state = 'waiting'",
                webhook_id,
            )
            self._store.change("DELETE FROM webhooks WHERE webhook_id = ?", webhook_id)

    def reset_webhook_key(self, webhook_id: str) -> None:
        """Give a webhook another random key."""
        self.edit_webhook(webhook_id, key=_random_key())

    def webhook(self, webhook_id: str) -> RegisteredWebhook | None:
        """Return the webhook of that id, or None."""
        return next((each for each in self.webhooks() if each.webhook_id == webhook_id), None)

    def webhooks(self) -> list[RegisteredWebhook]:
        """Return every webhook, oldest first."""
        rows = self._store.rows("SELECT * FROM webhooks ORDER BY number")
        return [value_of(RegisteredWebhook, row) for row in rows]


def _random_id() -> str:
    """Return 21 digits, as the ids of the service are."""
    return str(10**20 + secrets.randbelow(9 * 10**20))


def _random_key() -> str:
    return secrets.token_urlsafe(24)
