"""
Events on the terminal, as a line of a table or of JSON, and events that look like the service's.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator
from typing import Any

from poweremail._types.event import WebhookEvent

__all__ = ["json_line", "made_events", "printable", "table_line"]

# What the members of msg are called is published nowhere; those that getMessageInfo knows have its
# names.
_DETAILS: dict[str, dict[str, Any]] = {
    "open": {"ip": "203.0.113.7", "ua": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101"},
    "click": {
        "ip": "203.0.113.7",
        "ua": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101",
        "url": "https://example.com/",
    },
    "soft_bounce": {"reason": "452 4.2.2 mailbox full"},
    "hard_bounce": {"reason": "550 5.1.1 no such user"},
    "spam": {"reason": "complaint by the recipient"},
}


def made_events(
    name: str, count: int, *, recipient: str, unique_id: str | None, now: float
) -> Iterator[dict[str, Any]]:
    """
    Make *count* events of this name with the members that the service is seen to send; *now* is in
    epoch seconds.
    """
    for number in range(count):
        yield {
            "_id": secrets.token_hex(12),
            "user_id": "5f2b8c0d9e1a4b7c6d3e2f10",
            "smtp_name": "smtp12345",
            "x_unique_id": unique_id or secrets.token_hex(16),
            "ts": round(now * 1_000) + number,
            "event": name,
            "msg": {
                "email": recipient,
                "sender": "billing@example.com",
                "subject": "Invoice 42",
                **_DETAILS.get(name, {}),
            },
        }


def table_line(event: WebhookEvent) -> str:
    """Time (UTC), event, recipient and unique id, in columns."""
    time = "--" if event.time is None else f"{event.time:%m-%d %H:%M:%S}"
    return printable(
        (
            f"{time:14}",
            f"{event.event:11}",
            f"{event.recipient or '--':24}",
            event.unique_id or "--",
        )
    )


def json_line(event: WebhookEvent) -> str:
    """All of the event, on one line, in ASCII."""
    members = {
        "id": event.id,
        "event": event.event,
        "time": event.time and event.time.isoformat(),
        "unique_id": event.unique_id,
        "smtp_user_name": event.smtp_user_name,
        "user_id": event.user_id,
        "recipient": event.recipient,
        "msg": dict(event.msg),
        "extra": dict(event.extra),
    }
    return json.dumps(members)


def printable(words: Iterable[str]) -> str:
    """Join *words*, with ``?`` for whatever could move the cursor or paint the terminal."""
    return "".join(character if character.isprintable() else "?" for character in "  ".join(words))
