"""From bytes to a message of the standard library, in a time that grows with the bytes alone."""

from __future__ import annotations

from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import EmailPolicy, compat32
from typing import Any, TypeAlias

__all__ = ["parse"]

_Policy: TypeAlias = "EmailPolicy[EmailMessage]"


def parse(data: bytes, policy: _Policy) -> EmailMessage:
    """
    Return what *data* says, a message that follows *policy*.

    The parser asks each part for its Content-Type, which the newer policies read in the square of
    its length: 140 KB of semicolons in one header keep them busy for half a minute. So it parses by
    the old policy, and the parts, whose headers are stored as they came either way, are given the
    new one.
    """
    parser: Any = BytesParser  # its types know no class of messages beside a policy for another
    message: EmailMessage = parser(EmailMessage, policy=compat32).parsebytes(data)
    for part in message.walk():
        part.policy = policy
    return message
