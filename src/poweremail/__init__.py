"""
PowerEmail's transactional e-mail API, for asyncio, trio and threads.

The public names are loaded when they are first asked for, so that ``import poweremail`` costs next
to nothing.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

from poweremail._lazy import lazily
from poweremail._version import __version__

if TYPE_CHECKING:
    from poweremail._async.client import AsyncPowerEmail
    from poweremail._sync.client import PowerEmail
    from poweremail.errors import (
        ApiError,
        AuthenticationError,
        ChangeUnknownError,
        DeliveryUnknownError,
        GeneralError,
        NotSentError,
        PowerEmailError,
        ProtocolError,
        RateLimitError,
        TransportError,
        UsageError,
        ValidationError,
        WebhookError,
        WebhookPayloadError,
        WebhookSignatureError,
    )
    from poweremail.policy.limits import LimitWait, RateLimits
    from poweremail.policy.retry import RetryEvent, RetryPolicy
    from poweremail.response import Response
    from poweremail.types.account import (
        AccountDetail,
        Listing,
        SendingDomain,
        SmtpUser,
        TrackingDomain,
        Webhook,
    )
    from poweremail.types.address import Recipient
    from poweremail.types.attachment import Attachment, Image
    from poweremail.types.deployment import Deployment
    from poweremail.types.event import EventBatch, EventName, WebhookEvent
    from poweremail.types.message import Converted, Message, TemplateMessage, Tracking
    from poweremail.types.message_info import Engagement, MessageInfo, MessageInfoPage
    from poweremail.types.outcome import SendOutcome
    from poweremail.types.result import CallResult, SendResult
    from poweremail.types.secret import Secret
    from poweremail.types.timeouts import Timeouts

_HOMES = {
    "_async.client": ("AsyncPowerEmail",),
    "_sync.client": ("PowerEmail",),
    "errors": (
        "ApiError",
        "AuthenticationError",
        "ChangeUnknownError",
        "DeliveryUnknownError",
        "GeneralError",
        "NotSentError",
        "PowerEmailError",
        "ProtocolError",
        "RateLimitError",
        "TransportError",
        "UsageError",
        "ValidationError",
        "WebhookError",
        "WebhookPayloadError",
        "WebhookSignatureError",
    ),
    "policy.limits": ("LimitWait", "RateLimits"),
    "policy.retry": ("RetryEvent", "RetryPolicy"),
    "response": ("Response",),
    "types.account": (
        "AccountDetail",
        "Listing",
        "SendingDomain",
        "SmtpUser",
        "TrackingDomain",
        "Webhook",
    ),
    "types.address": ("Recipient",),
    "types.attachment": ("Attachment", "Image"),
    "types.deployment": ("Deployment",),
    "types.event": ("EventBatch", "EventName", "WebhookEvent"),
    "types.message": ("Converted", "Message", "TemplateMessage", "Tracking"),
    "types.message_info": ("Engagement", "MessageInfo", "MessageInfoPage"),
    "types.outcome": ("SendOutcome",),
    "types.result": ("CallResult", "SendResult"),
    "types.secret": ("Secret",),
    "types.timeouts": ("Timeouts",),
}
_HOME = {name: f"{__name__}.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [
    "AccountDetail",
    "ApiError",
    "AsyncPowerEmail",
    "Attachment",
    "AuthenticationError",
    "CallResult",
    "ChangeUnknownError",
    "Converted",
    "DeliveryUnknownError",
    "Deployment",
    "Engagement",
    "EventBatch",
    "EventName",
    "GeneralError",
    "Image",
    "LimitWait",
    "Listing",
    "Message",
    "MessageInfo",
    "MessageInfoPage",
    "NotSentError",
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

__getattr__, __dir__ = lazily(__name__, _HOME)

if __name__ == "PowerEmail":
    # With PYTHONCASEOK, where the file system ignores case, this package is found before the module
    # PowerEmail.py beside it.
    sys.modules[__name__] = import_module("poweremail.vendor")
