"""
Receive the events of the service: verify, read, and handle each once.

`WebhookReceiver` does all of it. `WebhookASGI` and `WebhookWSGI` serve a receiver, alone or below a
path of an application. `verify_and_parse` is for code that handles the events by other means. Each
name is loaded when it is first used.
"""

# The inside. Read `_receiver` first. `_reading` verifies by `_signature` and parses by `_events`,
# and `_seen` remembers what was handled. A new scheme goes into `SCHEMES` of `_signature`, a new
# kind of event into `_types.event`, another server interface beside `_asgi` and `_wsgi`.

from __future__ import annotations

from typing import TYPE_CHECKING

from poweremail._lazy import lazily

if TYPE_CHECKING:
    from poweremail._types.event import EVENT_NAMES, EventBatch, EventName, WebhookEvent
    from poweremail.errors import WebhookError, WebhookPayloadError, WebhookSignatureError
    from poweremail.webhooks._asgi import WebhookASGI
    from poweremail.webhooks._diagnosis import Diagnosis, SignatureMatch, diagnose
    from poweremail.webhooks._reading import Keys, verify_and_parse
    from poweremail.webhooks._receiver import WebhookReceiver, WebhookResponse
    from poweremail.webhooks._seen import Claim, MemorySeenStore, SeenStore
    from poweremail.webhooks._seen_file import SqliteSeenStore
    from poweremail.webhooks._signature import (
        SCHEMES,
        SchemeName,
        SignatureScheme,
        handshake_text,
        sign,
    )
    from poweremail.webhooks._wsgi import WebhookWSGI

_HOMES = {
    "errors": ("WebhookError", "WebhookPayloadError", "WebhookSignatureError"),
    "_types.event": ("EVENT_NAMES", "EventBatch", "EventName", "WebhookEvent"),
    "webhooks._asgi": ("WebhookASGI",),
    "webhooks._reading": ("Keys", "verify_and_parse"),
    "webhooks._receiver": ("WebhookResponse", "WebhookReceiver"),
    "webhooks._seen": ("Claim", "MemorySeenStore", "SeenStore"),
    "webhooks._seen_file": ("SqliteSeenStore",),
    "webhooks._wsgi": ("WebhookWSGI",),
    "webhooks._diagnosis": ("Diagnosis", "SignatureMatch", "diagnose"),
    "webhooks._signature": ("SCHEMES", "SchemeName", "SignatureScheme", "handshake_text", "sign"),
}

__all__ = [
    "EVENT_NAMES",
    "SCHEMES",
    "Claim",
    "Diagnosis",
    "EventBatch",
    "EventName",
    "Keys",
    "MemorySeenStore",
    "SchemeName",
    "SeenStore",
    "SignatureMatch",
    "SignatureScheme",
    "SqliteSeenStore",
    "WebhookASGI",
    "WebhookError",
    "WebhookEvent",
    "WebhookPayloadError",
    "WebhookReceiver",
    "WebhookResponse",
    "WebhookSignatureError",
    "WebhookWSGI",
    "diagnose",
    "handshake_text",
    "sign",
    "verify_and_parse",
]

if not TYPE_CHECKING:  # a type checker knows the names above, and no others
    __getattr__, __dir__ = lazily(
        __name__,
        _HOMES,
        renamed={
            "WebhookAnswer": "poweremail.webhooks:WebhookResponse",
            "handshake_answer": "poweremail.webhooks:handshake_text",
        },
    )
