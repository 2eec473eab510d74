"""
The values that go into the library and come out of it, by their public names.

Each is loaded when it is first used. The most common ones are in `poweremail`, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poweremail._lazy import lazily

if TYPE_CHECKING:
    from poweremail._messages.envelope import Envelope, Tracking
    from poweremail._messages.message import Converted, MailObject, Message, TemplateMessage
    from poweremail._policy.limits import LimitWait, RateLimits
    from poweremail._policy.retry import RetryEvent, RetryPolicy
    from poweremail._response import Response
    from poweremail._types.account import (
        AccountDetail,
        Listing,
        SendingDomain,
        SmtpUser,
        TrackingDomain,
        Webhook,
    )
    from poweremail._types.address import Recipient
    from poweremail._types.attachment import Attachment, Image
    from poweremail._types.event import EventBatch, EventName, WebhookEvent
    from poweremail._types.message_info import Engagement, MessageInfo, MessageInfoPage
    from poweremail._types.options import Deployment, Timeouts
    from poweremail._types.outcome_event import AttemptEvent, OutcomeEvent
    from poweremail._types.result import CallResult, SendOutcome, SendResult
    from poweremail._types.secret import Secret

_HOMES = {
    "_messages.envelope": ("Envelope", "Tracking"),
    "_messages.message": ("Converted", "MailObject", "Message", "TemplateMessage"),
    "_policy.limits": ("LimitWait", "RateLimits"),
    "_policy.retry": ("RetryEvent", "RetryPolicy"),
    "_response": ("Response",),
    "_types.account": (
        "AccountDetail",
        "Listing",
        "SendingDomain",
        "SmtpUser",
        "TrackingDomain",
        "Webhook",
    ),
    "_types.address": ("Recipient",),
    "_types.attachment": ("Attachment", "Image"),
    "_types.event": ("EventBatch", "EventName", "WebhookEvent"),
    "_types.message_info": ("Engagement", "MessageInfo", "MessageInfoPage"),
    "_types.outcome_event": ("AttemptEvent", "OutcomeEvent"),
    "_types.result": ("CallResult", "SendOutcome", "SendResult"),
    "_types.secret": ("Secret",),
    "_types.options": ("Deployment", "Timeouts"),
}

__all__ = [
    "AccountDetail",
    "Attachment",
    "AttemptEvent",
    "CallResult",
    "Converted",
    "Deployment",
    "Engagement",
    "Envelope",
    "EventBatch",
    "EventName",
    "Image",
    "LimitWait",
    "Listing",
    "MailObject",
    "Message",
    "MessageInfo",
    "MessageInfoPage",
    "OutcomeEvent",
    "RateLimits",
    "Recipient",
    "Response",
    "RetryEvent",
    "RetryPolicy",
    "Secret",
    "SendOutcome",
    "SendResult",
    "SendingDomain",
    "SmtpUser",
    "TemplateMessage",
    "Timeouts",
    "Tracking",
    "TrackingDomain",
    "Webhook",
    "WebhookEvent",
]

if not TYPE_CHECKING:  # a type checker knows the names above, and no others
    __getattr__, __dir__ = lazily(__name__, _HOMES)
