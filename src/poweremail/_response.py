"""
The HTTP response: status, headers, body.

Every result and every error keeps it as ``.raw``. It stands below everything else because errors
carry it.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class Response:
    """
    One HTTP response, read whole.

    *status*: the HTTP status code.
    *headers*: name and value of each header, in order; repeated names are kept.
    *body*: the content in bytes, after transfer and content decoding.
    *request_left*: False if the last byte of the request's body had not left when the response
    came. The service then cannot have the whole mail, whatever it says.

    In ``.raw`` of results and errors, ``***`` replaces the credentials wherever the service echoed
    them.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = attrs.field(default=b"", repr=lambda body: f"<{len(body)} bytes>")
    request_left: bool = attrs.field(default=True, kw_only=True, repr=False)

    def header(self, name: str) -> str | None:
        """Return the first header called *name* (case-insensitive), or None."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    @property
    def text(self) -> str:
        """The body as UTF-8, undecodable bytes replaced."""
        return self.body.decode("utf-8", "replace")
