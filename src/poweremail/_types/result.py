"""What came of a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from poweremail._response import Response
from poweremail._types.frozen import FrozenMapping

__all__ = ["CallResult", "SendResult"]


@attrs.frozen(kw_only=True)
class SendResult:
    """
    The service accepted the mail.

    *unique_id* is the message's ``X-Unique-Id``, the key of `get_message_info` (empty for
    ``send_template_http_get``, which cannot carry one); *recipients* are its addresses. *status*
    (``success`` or ``queued``) and *message* are the service's words. *attempts* counts the
    requests that it took. *reconciled* is True where the answer to the send was lost and
    getMessageInfo showed the mail: then *raw* is that page. *extra* has the members of the answer
    that this library does not know.
    """

    unique_id: str
    recipients: tuple[str, ...]
    status: str
    message: str
    attempts: int = 1
    reconciled: bool = False
    extra: Mapping[str, Any] = attrs.field(factory=FrozenMapping, hash=False)
    raw: Response


@attrs.frozen(kw_only=True)
class CallResult:
    """
    The answer to ``client.call(...)``: *data* is the whole answer of the service, *message* its
    text where it has one.
    """

    data: Mapping[str, Any] = attrs.field(hash=False)
    message: str
    raw: Response
