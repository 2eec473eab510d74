"""
The service on this machine: it catches every mail, and shows it.

::

    from poweremail.sandbox import Sandbox

    with Sandbox() as sandbox, sandbox.client() as client:
        client.messages.send_mail(message)
        assert sandbox.outbox[0].subject == "Invoice 42"

In-process it needs no socket; `Sandbox.server` opens one. Each name is loaded on first use.
"""

# The inside, from the ground up: `_store` (the database), `_api` (reads requests), `_faults`,
# `_webhooks`, `_release`, `_service` (a request in, a reply out), `_client` and `_server` (the two
# ways to it), `_outbox` and `_sandbox` (what users see). Read `_service` first. The head of each
# package says where a new thing of its kind goes.

from __future__ import annotations

from typing import TYPE_CHECKING

from poweremail._lazy import lazily

if TYPE_CHECKING:
    from poweremail.sandbox._api import Call, Reply
    from poweremail.sandbox._client._async import AsyncSandboxTransport
    from poweremail.sandbox._client._sync import SandboxTransport
    from poweremail.sandbox._faults.kinds import Fault
    from poweremail.sandbox._faults.rules import FaultRule, Faults
    from poweremail.sandbox._outbox import Outbox
    from poweremail.sandbox._release.smtp import Released, ReleaseError, SmtpServer
    from poweremail.sandbox._sandbox import Sandbox
    from poweremail.sandbox._service import Service
    from poweremail.sandbox._store.accounts import Domain, RegisteredWebhook
    from poweremail.sandbox._store.clock import Clock
    from poweremail.sandbox._store.events import MailEvent
    from poweremail.sandbox._store.limits import SmtpLimits, SmtpUsage, SmtpUser
    from poweremail.sandbox._store.mail import CaughtFile, CaughtMail, CaughtRecipient
    from poweremail.sandbox._webhooks.deliveries import RETRY_AFTER, Attempt, Delivery
    from poweremail.sandbox._webhooks.posting import AttemptResult, Poster
    from poweremail.sandbox._webhooks.script import EventRule, EventScript

_HOMES = {
    "sandbox._api": ("Call", "Reply"),
    "sandbox._client._async": ("AsyncSandboxTransport",),
    "sandbox._client._sync": ("SandboxTransport",),
    "sandbox._faults.kinds": ("Fault",),
    "sandbox._faults.rules": ("FaultRule", "Faults"),
    "sandbox._outbox": ("Outbox",),
    "sandbox._release.smtp": ("Released", "ReleaseError", "SmtpServer"),
    "sandbox._sandbox": ("Sandbox",),
    "sandbox._service": ("Service",),
    "sandbox._store.accounts": ("Domain", "RegisteredWebhook"),
    "sandbox._store.clock": ("Clock",),
    "sandbox._store.events": ("MailEvent",),
    "sandbox._store.limits": ("SmtpLimits", "SmtpUsage", "SmtpUser"),
    "sandbox._store.mail": ("CaughtFile", "CaughtMail", "CaughtRecipient"),
    "sandbox._webhooks.deliveries": ("RETRY_AFTER", "Attempt", "Delivery"),
    "sandbox._webhooks.posting": ("AttemptResult", "Poster"),
    "sandbox._webhooks.script": ("EventRule", "EventScript"),
}

__all__ = [
    "RETRY_AFTER",
    "AsyncSandboxTransport",
    "Attempt",
    "AttemptResult",
    "Call",
    "CaughtFile",
    "CaughtMail",
    "CaughtRecipient",
    "Clock",
    "Delivery",
    "Domain",
    "EventRule",
    "EventScript",
    "Fault",
    "FaultRule",
    "Faults",
    "MailEvent",
    "Outbox",
    "Poster",
    "RegisteredWebhook",
    "ReleaseError",
    "Released",
    "Reply",
    "Sandbox",
    "SandboxTransport",
    "Service",
    "SmtpLimits",
    "SmtpServer",
    "SmtpUsage",
    "SmtpUser",
]

if not TYPE_CHECKING:  # a type checker knows the names above, and no others
    __getattr__, __dir__ = lazily(
        __name__, _HOMES, {"Answered": "poweremail.sandbox:AttemptResult"}
    )
