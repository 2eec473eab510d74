"""
Receive events: choose the response to a request, and call the handler for each new event.

This file knows no web framework: every framework has a method, headers and a body.

The response to a POST is 200 only if each of its events has been handled, now or before. After any
other status the service sends the POST again. A response does not say why it is an error: a forger
learns nothing from it, and the log says it to the person who runs the receiver.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import NamedTuple, TypeVar, cast

from poweremail._types.checks import check_not_awaitable, is_plain_function
from poweremail._types.event import EventBatch, WebhookEvent
from poweremail.errors import (
    ConfigurationError,
    UsageError,
    WebhookError,
    WebhookPayloadError,
    WebhookSignatureError,
)
from poweremail.webhooks._events import MAX_EVENTS, parse_events
from poweremail.webhooks._reading import (
    MAX_BODY,
    Headers,
    Keys,
    PostReader,
    content_type_of,
    header_values,
    seal_key_source,
)
from poweremail.webhooks._seen import MemorySeenStore, SeenStore
from poweremail.webhooks._signature import (
    BRAND,
    SchemeName,
    SignatureScheme,
    handshake_text,
    signature_header,
)

_logger = logging.getLogger("poweremail.webhooks")

T = TypeVar("T")

_NOT_HANDLED = (
    "webhook: the event %r with the id %r was not handled; the service will send it again"
)
_BODY_IS_GONE = (
    "the request had a body, and it is empty here: a framework, a middleware or a proxy has read "
    "it; give respond() the raw body, and take it before anything reads it as a form"
)

# A body without events is smaller than this. A larger unsigned one is not parsed.
_MAX_EMPTY_BATCH_BYTES = 1_024


class HttpResponse(NamedTuple):
    """A response that an ASGI or a WSGI server sends: HTTP status, headers, body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class WebhookResponse(HttpResponse):
    """The response to a request: HTTP status, headers, body."""

    __slots__ = ()


class WebhookReceiver:
    """
    Verifies the requests to a webhook, and calls *handler* for each `WebhookEvent` that was not
    handled before.

    - *handler*: a function or an ``async`` one. If it raises, the error is logged and the service
      sends the event again. The other events of the POST are handled all the same.
    - *url*, *keys*, *scheme*, *brand*, *max_body*, *max_events*: as in `verify_and_parse`. *keys*
      may be empty at first: the service can then register the URL, and no event is accepted.
    - *store*: remembers the ids of the events that were handled. The default is a
      `MemorySeenStore`, which knows the events of this process. An event without an id is handled
      each time it is sent.

    The service checks a URL before there is a key, so this handshake needs no signature: a GET or
    HEAD, a POST without a body, and a POST with an empty list of events. All other POSTs have to be
    signed. A POST whose body is empty here although its headers announce one is no handshake: its
    response is 503, and the log says what to do.

    Raises `ConfigurationError` if a setting is invalid.
    """

    def __init__(
        self,
        handler: Callable[[WebhookEvent], object],
        *,
        url: str,
        keys: Keys,
        scheme: SchemeName | SignatureScheme,
        store: SeenStore | None = None,
        brand: str = BRAND,
        max_body: int = MAX_BODY,
        max_events: int = MAX_EVENTS,
    ) -> None:
        keys = seal_key_source(keys)
        if not callable(handler):
            raise ConfigurationError(
                f"must be a function, not {type(handler).__name__}", field="handler"
            )
        self._reader = PostReader(
            url=url, keys=keys, scheme=scheme, brand=brand, max_body=max_body, max_events=max_events
        )
        self._handler = handler
        self._store: SeenStore = MemorySeenStore() if store is None else store
        self.is_async: bool = not is_plain_function(handler)
        """True if the handler has to be awaited: then only `arespond` can call it."""

    @property
    def max_body(self) -> int:
        """The largest body that is read, in bytes."""
        return self._reader.max_body

    def respond(self, method: str, headers: Headers, body: bytes) -> WebhookResponse:
        """
        Handle one request and return the response.

        Raises `UsageError` if the handler is ``async``, and nothing because of the content of the
        request.
        """
        self.require_sync()
        batch = self._read_request(method, headers, body)
        if isinstance(batch, WebhookResponse):
            return batch
        return self._respond_to_batch([self._handle(event) for event in batch])

    async def arespond(self, method: str, headers: Headers, body: bytes) -> WebhookResponse:
        """
        Handle one request on an event loop, asyncio's or trio's, and return the response.

        A handler that is not ``async``, the store and the parsing of the body run in a thread,
        because they may block.
        """
        from anyio import to_thread  # noqa: PLC0415  only a receiver on an event loop needs it

        if not self.is_async:
            return await to_thread.run_sync(self.respond, method, headers, body)
        batch = await to_thread.run_sync(self._read_request, method, headers, body)
        if isinstance(batch, WebhookResponse):
            return batch
        return self._respond_to_batch([await self._ahandle(event) for event in batch])

    def require_sync(self) -> None:
        """Raise `UsageError` if the handler has to be awaited."""
        if self.is_async:
            raise UsageError(
                "is async and has to be awaited",
                field="handler",
                mail_state=None,
                advice="use arespond or WebhookASGI",
            )

    def refuse(self, status: HTTPStatus, reason: str) -> WebhookResponse:
        """Return an error response, and log the *reason*."""
        _logger.warning("webhook: responded %d: %s", status, reason)
        return _response(status)

    def _read_request(
        self, method: str, headers: Headers, body: bytes
    ) -> WebhookResponse | EventBatch:
        """Return the events of a request, or the response if it has none."""
        if (response := self._respond_without_events(method.upper(), headers, body)) is not None:
            return response
        try:
            batch = self._reader.read(headers, body)
        except WebhookSignatureError as error:
            # How the service checks a URL when it is registered is published nowhere. Its closest
            # relative posts an empty list of events, signed with a key that nobody has yet. An
            # empty list has no events, so it needs no signature.
            if _is_empty_batch(headers, body):
                return self._success()
            return self.refuse(HTTPStatus.FORBIDDEN, str(error))
        except WebhookPayloadError as error:
            return self.refuse(HTTPStatus.BAD_REQUEST, str(error))
        except Exception:
            _logger.exception("webhook: the request could not be checked")
            return _response(HTTPStatus.SERVICE_UNAVAILABLE)
        if batch.unreadable:
            _logger.warning(
                "webhook: %d members of a batch are not events, and were left out",
                len(batch.unreadable),
            )
        return batch

    def _respond_without_events(
        self, method: str, headers: Headers, body: bytes
    ) -> WebhookResponse | None:
        if method == "POST":
            if len(body) > self.max_body:
                return self.refuse(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"the body has more than {self.max_body} bytes",
                )
            if body.strip():
                return None
            if not body and self._announces_body(headers):
                return self.refuse(HTTPStatus.SERVICE_UNAVAILABLE, _BODY_IS_GONE)
        elif method not in ("GET", "HEAD"):
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, None, ("Allow", "GET, HEAD, POST"))
        return self._success()

    def _announces_body(self, headers: Headers) -> bool:
        """Return whether the headers of a POST say that it has a body."""
        lengths = header_values(headers, "Content-Length")
        others = ("Transfer-Encoding", signature_header(self._reader.brand))
        return any(length.strip("0") for length in lengths) or any(
            any(header_values(headers, name)) for name in others
        )

    def _handle(self, event: WebhookEvent) -> bool:
        """Return whether the event is handled, now or before."""
        try:
            claim = _with_id(self._store.claim, event) or "new"
            if claim == "new":
                try:
                    check_not_awaitable("handler", self._handler(event))
                except BaseException:
                    _with_id(self._store.release, event)
                    raise
                _with_id(self._store.confirm, event)
        except Exception:
            _logger.exception(_NOT_HANDLED, event.event, event.id)
            return False
        return claim != "busy"

    async def _ahandle(self, event: WebhookEvent) -> bool:
        from anyio import CancelScope, to_thread  # noqa: PLC0415

        try:
            claim = await to_thread.run_sync(_with_id, self._store.claim, event) or "new"
            if claim == "new":
                try:
                    await cast("Awaitable[object]", self._handler(event))
                except BaseException:
                    # A cancelled handler has not handled the event. Its release is not cancelled,
                    # or the event would stay claimed.
                    with CancelScope(shield=True):
                        await to_thread.run_sync(_with_id, self._store.release, event)
                    raise
                with CancelScope(shield=True):
                    await to_thread.run_sync(_with_id, self._store.confirm, event)
        except Exception:
            _logger.exception(_NOT_HANDLED, event.event, event.id)
            return False
        return claim != "busy"

    def _respond_to_batch(self, handled: list[bool]) -> WebhookResponse:
        return self._success() if all(handled) else _response(HTTPStatus.SERVICE_UNAVAILABLE)

    def _success(self) -> WebhookResponse:
        """Return the same text for every success: the service may look for it in any of them."""
        return _response(HTTPStatus.OK, handshake_text(self._reader.brand))


def _with_id(step: Callable[[str], T], event: WebhookEvent) -> T | None:
    """Call *step* of a store with the event's id, if it has one."""
    return None if event.id is None else step(event.id)


def _is_empty_batch(headers: Headers, body: bytes) -> bool:
    if len(body) > _MAX_EMPTY_BATCH_BYTES:
        return False
    try:
        batch = parse_events(body, content_type_of(headers))
    except WebhookError:
        return False
    return not batch.events and not batch.unreadable


def _response(
    status: HTTPStatus, text: str | None = None, *headers: tuple[str, str]
) -> WebhookResponse:
    body = (text or f"{status.phrase}\n").encode()
    standard = (
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
    )
    return WebhookResponse(status, (*standard, *headers), body)
