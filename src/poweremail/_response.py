"""
The answer as it came: status, headers, body.

Every result and every error keeps it as ``.raw``. It stands below everything else because errors
carry it.
"""

from __future__ import annotations

import attrs

__all__ = ["Response"]


@attrs.frozen
class Response:
    """
    One HTTP answer, read whole.

    *status* is the HTTP status code, *headers* are name and value as they came (in order, repeated
    names kept), *body* is the content after transfer and content decoding, in bytes. *request_left*
    is False where the last byte of the request's body had not left when the answer came: the
    service then cannot have the whole mail, whatever it answered.

    By the time a user sees it as ``.raw``, the credentials of its request have been replaced by
    ``***`` wherever it echoed them.
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
