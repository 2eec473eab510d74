"""
Django sends its mail by the service: ``EMAIL_BACKEND = "poweremail.contrib.django.EmailBackend"``.

With ``"poweremail.contrib.django"`` in ``INSTALLED_APPS`` the settings are checked, and
``manage.py poweremail`` runs the commands of ``poweremail`` with them. Each name is loaded when it
is first used.
"""

# The inside. Read `_backends` first; `_reading` makes a message of a mail object, so a new
# attribute goes there. A new setting goes into `_settings`, and what can be wrong with it into
# `_checks`. `_webhook` and `signals` are the events, and `outbox` is an app of its own.

from __future__ import annotations

from typing import TYPE_CHECKING

from poweremail._lazy import lazily

if TYPE_CHECKING:
    from poweremail.contrib.django._backends import (
        EmailBackend,
        NotAllAcceptedError,
        SandboxEmailBackend,
    )
    from poweremail.contrib.django._clients import get_client
    from poweremail.contrib.django._outbox import OutboxEmailBackend, Queued, get_outbox
    from poweremail.contrib.django._unsubscribe import unsubscribe_view
    from poweremail.contrib.django._webhook import webhook

_HOMES = {
    "contrib.django._backends": (
        "EmailBackend",
        "NotAllAcceptedError",
        "SandboxEmailBackend",
    ),
    "contrib.django._clients": ("get_client",),
    "contrib.django._outbox": ("OutboxEmailBackend", "Queued", "get_outbox"),
    "contrib.django._unsubscribe": ("unsubscribe_view",),
    "contrib.django._webhook": ("webhook",),
}

__all__ = [
    "EmailBackend",
    "NotAllAcceptedError",
    "OutboxEmailBackend",
    "Queued",
    "SandboxEmailBackend",
    "get_client",
    "get_outbox",
    "unsubscribe_view",
    "webhook",
]

if not TYPE_CHECKING:  # a type checker knows the names above, and no others
    __getattr__, __dir__ = lazily(__name__, _HOMES)
