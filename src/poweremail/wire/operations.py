"""
The table of calls.

Facts of the four message calls: the vendor's page "Messages Calls". Every call is a POST with a JSON body, except one.
"""

from __future__ import annotations

from typing import Literal

import attrs

__all__ = ["GET_MESSAGE_INFO", "SEND_MAIL", "SEND_TEMPLATE", "SEND_TEMPLATE_HTTP_GET", "Operation", "operation_at"]


@attrs.frozen
class Operation:
    """
    One call of the API.

    *sends*: it hands over a mail, so its outcome is the mail's and a repetition can be a second mail.
    *repeatable*: repeating it changes nothing at the service.
    """

    path: str
    method: Literal["GET", "POST"] = "POST"
    sends: bool = False
    repeatable: bool = False


SEND_MAIL = Operation("messages/sendMail", sends=True)
SEND_TEMPLATE = Operation("messages/sendTemplate", sends=True)
SEND_TEMPLATE_HTTP_GET = Operation("messages/sendTemplateHTTPGet", method="GET", sends=True)
GET_MESSAGE_INFO = Operation("messages/getMessageInfo", repeatable=True)

_KNOWN = {
    operation.path.lower(): operation
    for operation in (
        SEND_MAIL,
        SEND_TEMPLATE,
        GET_MESSAGE_INFO,
        # Sent through ``client.call`` only, which POSTs; one deployment spells the second way.
        Operation("messages/sendRaw", sends=True),
        Operation("messages/senRaw", sends=True),
        Operation("messages/sendTemplateHTTPGet", sends=True),
    )
}


def operation_at(path: str) -> Operation:
    """Return the POST operation at *path*; an unknown one is taken for a change that must not be repeated."""
    return _KNOWN.get(path.lower()) or Operation(path)
