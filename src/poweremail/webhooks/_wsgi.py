"""Serve a receiver as a WSGI application (PEP 3333): gunicorn, mod_wsgi, waitress and others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from poweremail.webhooks._receiver import HttpResponse, WebhookReceiver, WebhookResponse

_READ_BYTES = 64 * 1024


class WebhookWSGI:
    """
    A WSGI application that passes each request to *receiver*. A dispatcher may mount it below a
    path of another application.

    The receiver's handler must not be ``async``. Signatures are checked with the receiver's own
    URL; the path of the request does not matter.
    """

    def __init__(self, receiver: WebhookReceiver) -> None:
        receiver.require_sync()
        self._receiver = receiver

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., object]
    ) -> Iterable[bytes]:
        """Serve one request."""
        return start_wsgi_response(environ, start_response, self._respond(environ))

    def _respond(self, environ: dict[str, Any]) -> WebhookResponse:
        try:
            body = read_wsgi_body(environ, self._receiver.max_body)
        except UnreadableBodyError as error:
            return self._receiver.refuse(error.status, str(error))
        headers = [
            (name.removeprefix("HTTP_").replace("_", "-"), value or "")
            for name, value in environ.items()
            if name.startswith(("HTTP_", "CONTENT_"))
        ]
        return self._receiver.respond(environ["REQUEST_METHOD"], headers, body)


def start_wsgi_response(
    environ: Mapping[str, Any], start_response: Callable[..., object], response: HttpResponse
) -> Iterable[bytes]:
    """Start *response*, and return its body; a response to HEAD has none."""
    status = HTTPStatus(response.status)
    start_response(f"{int(status)} {status.phrase}", list(response.headers))
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [response.body]


class UnreadableBodyError(Exception):
    """The body of a request cannot be read. *status*: that of the response."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def read_wsgi_body(environ: Mapping[str, Any], limit: int) -> bytes:
    """
    Return the body of a request. Raises `UnreadableBodyError` if it is not whole, or has more than
    *limit* bytes and says so.
    """
    length: str = environ.get("CONTENT_LENGTH") or ""
    if length and not (length.isascii() and length.isdigit()):
        raise UnreadableBodyError(HTTPStatus.BAD_REQUEST, "the length of the body is not a number")
    if length:
        bytes_to_read = int(length[:20])
    else:
        # Without a length, only a server that marks the end of the body can be read from: with any
        # other, the read could block for ever.
        bytes_to_read = limit + 1 if environ.get("wsgi.input_terminated") else 0
    if length and bytes_to_read > limit:
        reason = f"the body has more than {limit} bytes"
        raise UnreadableBodyError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, reason)
    try:
        body = _read(environ["wsgi.input"], bytes_to_read)
    except OSError as error:
        raise UnreadableBodyError(
            HTTPStatus.BAD_REQUEST, f"the client disconnected: {error}"
        ) from None
    # Whoever takes it rejects an empty body: middleware may have read it before.
    if length and 0 < len(body) < bytes_to_read:
        reason = "the client disconnected before the end of the body"
        raise UnreadableBodyError(HTTPStatus.BAD_REQUEST, reason)
    return body


def _read(source: Any, wanted: int) -> bytes:
    body = bytearray()
    while len(body) < wanted and (piece := source.read(min(_READ_BYTES, wanted - len(body)))):
        body += piece
    return bytes(body)
