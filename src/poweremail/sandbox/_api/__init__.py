"""
The calls of the API: a request is read and checked here, without I/O.

A request arrives as a `Call`, from the in-process transport or the HTTP server, and is read into a
mail (`messages`) or into another call (`settings`). The service carries it out and returns a
`Reply`. Read `requests` first. To add a call, add a line to ``CALLS`` of `settings` (account, SMTP
users, domains, webhooks) or to ``_READERS`` of `requests` (mails), and the function that the line
names.
"""

from __future__ import annotations

from typing import Literal

import attrs

from poweremail._response import Response

Broken = Literal["refused", "reset_before", "reset_after", "stalled", "truncated"]
"""
How a connection breaks.

- ``refused``: no byte of the request reached the service.
- ``reset_before``: reset before the body was read.
- ``reset_after``: reset after the request was carried out.
- ``stalled``: carried out, then silence.
- ``truncated``: the response ends in its middle.
"""


@attrs.frozen
class Call:
    """
    One request.

    *path*
        With ``/v1.0`` or without.
    *query*
        The part after the question mark, still encoded.

    Query and body carry the credentials, so the repr shows neither.
    """

    method: str
    path: str
    query: str = attrs.field(default="", repr=lambda query: f"<{len(query)} characters>")
    body: bytes = attrs.field(default=b"", repr=lambda body: f"<{len(body)} bytes>")


@attrs.frozen
class Reply:
    """
    The service's reply, with its timing and its faults, as the caller meets them.

    First *latency* seconds pass. Then *response* comes, with *drip* seconds between the bytes of
    its body; or the connection breaks:

    - *broken* is ``refused``, ``reset_before`` or ``reset_after``: *response* is None, the
      connection is reset.
    - *broken* is ``stalled``: *response* is None. The connection stays open without a byte for
      *latency* seconds, ``math.inf`` for ever; then it is closed.
    - *broken* is ``truncated``: the body of *response* is the part that arrives before the
      connection is closed. Its Content-Length is that of the whole.
    """

    response: Response | None
    latency: float = attrs.field(default=0.0, kw_only=True)
    drip: float = attrs.field(default=0.0, kw_only=True)
    broken: Broken | None = attrs.field(default=None, kw_only=True)
