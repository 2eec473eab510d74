"""
Events of the service, received: verified, read, and handled once.

`WebhookReceiver` does all of it; `WebhookASGI` and `WebhookWSGI` put it on a server, alone or below
a path of an application. `verify_and_parse` is the first half for those who want the rest in their
own hands. Each name is loaded when it is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poweremail._lazy import lazily

if TYPE_CHECKING:
    from poweremail._types.event import EVENT_NAMES, EventBatch, EventName, WebhookEvent
    from poweremail.errors import WebhookError, WebhookPayloadError, WebhookSignatureError
    from poweremail.webhooks._asgi import WebhookASGI
    from poweremail.webhooks._diagnosis import Diagnosis, SignatureMatch, diagnose
    from poweremail.webhooks._reading import Keys, verify_and_parse
    from poweremail.webhooks._receiver import WebhookAnswer, WebhookReceiver
    from poweremail.webhooks._seen import Claim, MemorySeenStore, SeenStore
    from poweremail.webhooks._seen_file import SqliteSeenStore
    from poweremail.webhooks._signature import (
        SCHEMES,
        SchemeName,
        SignatureScheme,
        handshake_answer,
        sign,
    )
    from poweremail.webhooks._wsgi import WebhookWSGI

_HOMES = {
    "errors": ("WebhookError", "WebhookPayloadError", "WebhookSignatureError"),
    "_types.event": ("EVENT_NAMES", "EventBatch", "EventName", "WebhookEvent"),
    "webhooks._asgi": ("WebhookASGI",),
    "webhooks._reading": ("Keys", "verify_and_parse"),
    "webhooks._receiver": ("WebhookAnswer", "WebhookReceiver"),
    "webhooks._seen": ("Claim", "MemorySeenStore", "SeenStore"),
    "webhooks._seen_file": ("SqliteSeenStore",),
    "webhooks._wsgi": ("WebhookWSGI",),
    "webhooks._diagnosis": ("Diagnosis", "SignatureMatch", "diagnose"),
    "webhooks._signature": ("SCHEMES", "SchemeName", "SignatureScheme", "handshake_answer", "sign"),
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
    "WebhookAnswer",
    "WebhookError",
    "WebhookEvent",
    "WebhookPayloadError",
    "WebhookReceiver",
    "WebhookSignatureError",
    "WebhookWSGI",
    "diagnose",
    "handshake_answer",
    "sign",
    "verify_and_parse",
]

if not TYPE_CHECKING:  # a type checker knows the names above, and no others
    __getattr__, __dir__ = lazily(__name__, _HOMES)
