"""A receiver as a WSGI application (PEP 3333), for gunicorn, mod_wsgi, waitress and others."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from poweremail.webhooks._receiver import WebhookAnswer, WebhookReceiver

__all__ = ["WebhookWSGI"]

_PIECE = 64 * 1024


class WebhookWSGI:
    """
    *receiver* as an application of its own, or below a path of another one by a dispatcher.

    Its handler must not be ``async``. Which path it is reached by makes no difference: the URL that
    is signed is the receiver's.
    """

    def __init__(self, receiver: WebhookReceiver) -> None:
        receiver.require_sync()
        self._receiver = receiver

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., object]
    ) -> Iterable[bytes]:
        """Serve one request."""
        answer = self._respond(environ)
        start_response(
            f"{int(answer.status)} {HTTPStatus(answer.status).phrase}", list(answer.headers)
        )
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    def _respond(self, environ: dict[str, Any]) -> WebhookAnswer:
        limit = self._receiver.max_body
        length = environ.get("CONTENT_LENGTH") or ""
        if length and not (length.isascii() and length.isdigit()):
            return self._receiver.refuse(
                HTTPStatus.BAD_REQUEST, "the length of the body is no number"
            )
        # A server that knows where a body ends says so; without it and without a length, reading
        # could wait for ever.
        wanted = (
            int(length[:20]) if length else limit + 1 if environ.get("wsgi.input_terminated") else 0
        )
        if length and wanted > limit:
            return self._receiver.refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {limit} bytes"
            )
        try:
            body = _read(environ["wsgi.input"], wanted)
        except OSError as error:
            return self._receiver.refuse(HTTPStatus.BAD_REQUEST, f"the client went away: {error}")
        if length and len(body) < wanted:
            return self._receiver.refuse(
                HTTPStatus.BAD_REQUEST, "the client went away before the end of the body"
            )
        return self._receiver.respond(environ["REQUEST_METHOD"], _headers(environ), body)


def _read(source: Any, wanted: int) -> bytes:
    body = bytearray()
    while len(body) < wanted and (piece := source.read(min(_PIECE, wanted - len(body)))):
        body += piece
    return bytes(body)


def _headers(environ: dict[str, Any]) -> list[tuple[str, str]]:
    named = [
        (name.removeprefix("HTTP_"), value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    ]
    named.append(("CONTENT_TYPE", environ.get("CONTENT_TYPE") or ""))
    return [(name.replace("_", "-"), value) for name, value in named]
