"""
The service on this machine: what is sent to it is caught, and can be looked at.

::

    from poweremail.sandbox import Sandbox

    with Sandbox() as sandbox, sandbox.client() as client:
        client.messages.send_mail(message)
        assert sandbox.outbox[0].subject == "Invoice 42"

In-process it needs no socket; `Sandbox.server` opens one.
"""

from __future__ import annotations

from poweremail.sandbox._api.call import Call, Reply
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
from poweremail.sandbox._webhooks.posting import Answered, Poster
from poweremail.sandbox._webhooks.script import EventRule, EventScript

__all__ = [
    "RETRY_AFTER",
    "Answered",
    "Attempt",
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
    "Service",
    "SmtpLimits",
    "SmtpServer",
    "SmtpUsage",
    "SmtpUser",
]
