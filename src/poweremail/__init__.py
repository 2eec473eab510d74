"""
PowerEmail's transactional e-mail API, for asyncio, trio and threads.

The public names are loaded when they are first asked for, so that ``import poweremail`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poweremail._lazy import lazily
from poweremail._version import __version__

if TYPE_CHECKING:
    from poweremail._async.client import AsyncPowerEmail
    from poweremail._sync.client import PowerEmail
    from poweremail.errors import (
        ApiError,
        AuthenticationError,
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
    from poweremail.types.address import Recipient
    from poweremail.types.attachment import Attachment, Image
    from poweremail.types.event import EventBatch, WebhookEvent
    from poweremail.types.message import Message, TemplateMessage, Tracking
    from poweremail.types.message_info import Engagement, MessageInfo, MessageInfoPage
    from poweremail.types.outcome import SendOutcome
    from poweremail.types.result import CallResult, SendResult
    from poweremail.types.timeouts import Timeouts

_HOMES = {
    "_async.client": ("AsyncPowerEmail",),
    "_sync.client": ("PowerEmail",),
    "errors": (
        "ApiError",
        "AuthenticationError",
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
    "types.address": ("Recipient",),
    "types.attachment": ("Attachment", "Image"),
    "types.event": ("EventBatch", "WebhookEvent"),
    "types.message": ("Message", "TemplateMessage", "Tracking"),
    "types.message_info": ("Engagement", "MessageInfo", "MessageInfoPage"),
    "types.outcome": ("SendOutcome",),
    "types.result": ("CallResult", "SendResult"),
    "types.timeouts": ("Timeouts",),
}
_HOME = {name: f"{__name__}.{module}" for module, names in _HOMES.items() for name in names}

__all__ = [
    "ApiError",
    "AsyncPowerEmail",
    "Attachment",
    "AuthenticationError",
    "CallResult",
    "DeliveryUnknownError",
    "Engagement",
    "EventBatch",
    "GeneralError",
    "Image",
    "LimitWait",
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
    "SendOutcome",
    "SendResult",
    "TemplateMessage",
    "Timeouts",
    "Tracking",
    "TransportError",
    "UsageError",
    "ValidationError",
    "WebhookError",
    "WebhookEvent",
    "WebhookPayloadError",
    "WebhookSignatureError",
    "__version__",
]

__getattr__, __dir__ = lazily(__name__, _HOME)
