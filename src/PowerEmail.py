"""
PowerEmail's own spelling, as its page "Messages Calls" prints it, over this library's client.

::

    import PowerEmail

    PowerEmail_client = PowerEmail.PowerEmail("owner_id", "token", "PowerEmailTES_APP_DOMAIN")
    try:
        result = PowerEmail_client.sendMail("smtp12345", {"text": "Hello", "subject": "Hi", ...})
    except PowerEmail.Error as e:
        print("A PowerEmail error occurred: %s - %s" % (e.__class__, e))

Messages and responses are dicts: a message is checked by the rules of the page and sent unchanged,
a response is returned as it came. Outcomes, retries and limits are those of
`poweremail.PowerEmail`.
Every call raises `Error`:

- `ValidationError`: a parameter is missing or wrong. If that was found before anything was sent, it
  is a `ParameterError`;
- `AuthenticationError`: owner id and token do not match;
- `GeneralError`: the service failed internally. After a send the outcome is unknown, and it is a
  `SendingFailedError`;
- others, such as `NotSentError`, `RateLimitError` and `DeliveryUnknownError`.

The calls about settings and the account are those of the library for the same product under another
name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from poweremail._lazy import lazily

if TYPE_CHECKING:
    from poweremail._vendor import (
        Account,
        AuthenticationError,
        DeliveryUnknownError,
        Error,
        GeneralError,
        Messages,
        NotSentError,
        ParameterError,
        PowerEmail,
        RateLimitError,
        SendingFailedError,
        Settings,
        ValidationError,
    )

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

if not TYPE_CHECKING:  # a type checker knows the names above, and no others
    __getattr__, __dir__ = lazily(__name__, {"_vendor": __all__})
