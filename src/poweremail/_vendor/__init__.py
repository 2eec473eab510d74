"""
What the module ``PowerEmail`` offers: the vendor's names over this library's client, loaded when
they are first asked for.

They are here because that module has to be a file: a package of its name would be this package
where file systems ignore case.
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
    "poweremail.errors": (
        "AuthenticationError",
        "DeliveryUnknownError",
        "GeneralError",
        "NotSentError",
        "RateLimitError",
        "ValidationError",
    ),
    "poweremail._vendor.client": ("PowerEmail",),
    "poweremail._vendor.errors": ("Error", "ParameterError", "SendingFailedError"),
    "poweremail._vendor.messages": ("Messages",),
    "poweremail._vendor.settings": ("Account", "Settings"),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}

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

__getattr__, __dir__ = lazily(__name__, _HOME)
