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

from poweremail.sandbox.account_store import Domain, RegisteredWebhook
from poweremail.sandbox.call import Call, Reply
from poweremail.sandbox.clock import Clock
from poweremail.sandbox.deliveries import RETRY_AFTER, Attempt, Delivery
from poweremail.sandbox.event_rules import EventRule, EventScript
from poweremail.sandbox.events import MailEvent
from poweremail.sandbox.fault import Fault
from poweremail.sandbox.faults import FaultRule, Faults
from poweremail.sandbox.limits import SmtpLimits, SmtpUsage, SmtpUser
from poweremail.sandbox.mail import CaughtFile, CaughtMail, CaughtRecipient
from poweremail.sandbox.outbox import Outbox
from poweremail.sandbox.posting import Answered, Poster
from poweremail.sandbox.release import Released, ReleaseError, SmtpServer
from poweremail.sandbox.sandbox import Sandbox
from poweremail.sandbox.service import Service

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
