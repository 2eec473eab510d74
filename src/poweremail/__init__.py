"""
PowerEmail's transactional e-mail API, for asyncio, trio and threads.

The public names are loaded when they are first used, so ``import poweremail`` costs next to
nothing.
"""

# The rooms of the library, from the ground up, and where new things go: CONTRIBUTING.md.

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from poweremail._lazy import lazily
from poweremail._version import __version__

if TYPE_CHECKING:
    from poweremail._async.client import AsyncPowerEmail
    from poweremail._async.failover import AsyncFailover
    from poweremail._messages.envelope import Tracking
    from poweremail._messages.message import Converted, Message, TemplateMessage
    from poweremail._policy.failover import CircuitPolicy, FailoverEvent
    from poweremail._policy.limits import LimitWait, RateLimits
    from poweremail._policy.retry import RetryEvent, RetryPolicy
    from poweremail._response import Response
    from poweremail._sync.client import PowerEmail
    from poweremail._sync.failover import Failover
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
    from poweremail.errors import (
        ApiError,
        AuthenticationError,
        ChangeUnknownError,
        ConfigurationError,
        DeliveryUnknownError,
        GeneralError,
        NotSentError,
        PowerEmailError,
        ProtocolError,
        RateLimitError,
        SuppressedError,
        SuppressionStoreError,
        TransportError,
        UsageError,
        ValidationError,
        WebhookError,
        WebhookPayloadError,
        WebhookSignatureError,
    )

_HOMES = {
    "_async.client": ("AsyncPowerEmail",),
    "_sync.client": ("PowerEmail",),
    "_async.failover": ("AsyncFailover",),
    "_sync.failover": ("Failover",),
    "errors": (
        "ApiError",
        "AuthenticationError",
        "ChangeUnknownError",
        "ConfigurationError",
        "DeliveryUnknownError",
        "GeneralError",
        "NotSentError",
        "PowerEmailError",
        "ProtocolError",
        "RateLimitError",
        "SuppressedError",
        "SuppressionStoreError",
        "TransportError",
        "UsageError",
        "ValidationError",
        "WebhookError",
        "WebhookPayloadError",
        "WebhookSignatureError",
    ),
    "_policy.failover": ("CircuitPolicy", "FailoverEvent"),
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
    "_messages.envelope": ("Tracking",),
    "_messages.message": ("Converted", "Message", "TemplateMessage"),
    "_types.message_info": ("Engagement", "MessageInfo", "MessageInfoPage"),
    "_types.outcome_event": ("AttemptEvent", "OutcomeEvent"),
    "_types.result": ("CallResult", "SendOutcome", "SendResult"),
    "_types.secret": ("Secret",),
    "_types.options": ("Deployment", "Timeouts"),
}

__all__ = [
    "AccountDetail",
    "ApiError",
    "AsyncFailover",
    "AsyncPowerEmail",
    "Attachment",
    "AttemptEvent",
    "AuthenticationError",
    "CallResult",
    "ChangeUnknownError",
    "CircuitPolicy",
    "ConfigurationError",
    "Converted",
    "DeliveryUnknownError",
    "Deployment",
    "Engagement",
    "EventBatch",
    "EventName",
    "Failover",
    "FailoverEvent",
    "GeneralError",
    "Image",
    "LimitWait",
    "Listing",
    "Message",
    "MessageInfo",
    "MessageInfoPage",
    "NotSentError",
    "OutcomeEvent",
    "PowerEmail",
    "PowerEmailError",
    "ProtocolError",
    "RateLimitError",
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
    "SuppressedError",
    "SuppressionStoreError",
    "TemplateMessage",
    "Timeouts",
    "Tracking",
    "TrackingDomain",
    "TransportError",
    "UsageError",
    "ValidationError",
    "Webhook",
    "WebhookError",
    "WebhookEvent",
    "WebhookPayloadError",
    "WebhookSignatureError",
    "__version__",
]

if not TYPE_CHECKING:  # a type checker knows the names above, and no others
    __getattr__, __dir__ = lazily(__name__, _HOMES)

if __name__ == "PowerEmail":
    # With PYTHONCASEOK, where the file system ignores case, this package is found before the module
    # PowerEmail.py beside it.
    sys.modules[__name__] = import_module("poweremail._vendor")
