"""
The contents of the module ``PowerEmail``: the vendor's names over this library's client, loaded
when they are first used.

They are here because that module must be a file: on a file system that ignores case, a package of
its name would be this package.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poweremail._lazy import lazily

if TYPE_CHECKING:
    from poweremail._vendor.client import PowerEmail
    from poweremail._vendor.errors import Error, ParameterError, SendingFailedError
    from poweremail._vendor.messages import Messages
    from poweremail._vendor.settings import Account, Settings
    from poweremail.errors import (
        AuthenticationError,
        DeliveryUnknownError,
        GeneralError,
        NotSentError,
        RateLimitError,
        ValidationError,
    )

_HOMES = {
    "errors": (
        "AuthenticationError",
        "DeliveryUnknownError",
        "GeneralError",
        "NotSentError",
        "RateLimitError",
        "ValidationError",
    ),
    "_vendor.client": ("PowerEmail",),
    "_vendor.errors": ("Error", "ParameterError", "SendingFailedError"),
    "_vendor.messages": ("Messages",),
    "_vendor.settings": ("Account", "Settings"),
}

__all__ = [
    "Account",
    "AuthenticationError",
    "DeliveryUnknownError",
    "Error",
    "GeneralError",
    "Messages",
    "NotSentError",
    "ParameterError",
    "PowerEmail",
    "RateLimitError",
    "SendingFailedError",
    "Settings",
    "ValidationError",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, _HOMES)
