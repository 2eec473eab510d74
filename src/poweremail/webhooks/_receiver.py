"""
What to answer to a request, and which events to hand over. It knows no web framework: each of them
can tell method, headers, body.

A POST is answered 200 only once every event of it has been handled, now or before; everything else
makes the service send it again. An answer says nothing about why: who forges signatures learns
nothing from it, and who runs the receiver reads the log.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Literal, NamedTuple, cast

from poweremail._types.event import EventBatch, WebhookEvent
from poweremail.errors import UsageError, WebhookError, WebhookPayloadError, WebhookSignatureError
from poweremail.webhooks._events import MAX_EVENTS, parse_events
from poweremail.webhooks._headers import Headers, header_values
from poweremail.webhooks._reading import MAX_BODY, Keys, Reader, sealed_keys
from poweremail.webhooks._seen import Claim, MemorySeenStore, SeenStore
from poweremail.webhooks._signature import BRAND, SchemeName, SignatureScheme, handshake_answer

__all__ = ["WebhookAnswer", "WebhookReceiver"]

_logger = logging.getLogger("poweremail.webhooks")

Outcome = Claim | Literal["handled", "failed"]

_NOT_HANDLED = (
    "webhook: the event %r with the id %r was not handled; the service will send it again"
)

# A body that brings no event is smaller than this; the others are not read before their signature
# is.
_NEARLY_EMPTY = 1_024


class WebhookAnswer(NamedTuple):
    """What to answer: HTTP status, headers, body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class WebhookReceiver:
    """
    Verify what is posted to a webhook, and call *handler* with each `WebhookEvent` of it that was
    not handled before.

    *handler* is a function, or an ``async`` one; what it raises is logged, and the service sends
    the event again. A failing event does not keep the others of its batch from being handled.
    *url*, *keys*, *scheme*, *brand*, *max_body* and *max_events* are those of `verify_and_parse`.
    *keys* may be empty until there are any: then the service can register the URL, and no event is
    accepted. *store* knows the events that were handled, by their id; without one, those of this
    process (`MemorySeenStore`). An event that has no id is handled each time it comes.

    The handshake goes without a signature, because it comes before there is a key: a GET or HEAD, a
    POST without a body, and one with an empty list of events. Every other POST has to be signed.

    Raises `UsageError` for settings that cannot be meant.
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
        # No plain key may be in a frame that fails.
        keys = sealed_keys(keys)
        if not callable(handler):
            raise UsageError(
                f"must be a function, not {type(handler).__name__}",
                field="handler",
                mail_state=None,
            )
        self._reader = Reader.checked(
            url=url, keys=keys, scheme=scheme, brand=brand, max_body=max_body, max_events=max_events
        )
        self._handler = handler
        self._store: SeenStore = MemorySeenStore() if store is None else store
        self.is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
            getattr(handler, "__call__", None)  # noqa: B004
        )
        """Whether the handler has to be awaited, so that only `arespond` can call it."""

    @property
    def max_body(self) -> int:
        """The largest body that is read, in bytes."""
        return self._reader.max_body

    def respond(self, method: str, headers: Headers, body: bytes) -> WebhookAnswer:
        """
        Handle one request and return what to answer.

        Raises `UsageError` where the handler is ``async``; nothing for what is in the request.
        """
        self.require_sync()
        batch = self._open(method, headers, body)
        if isinstance(batch, WebhookAnswer):
            return batch
        return self._settle([self._take(event) for event in batch])

    async def arespond(self, method: str, headers: Headers, body: bytes) -> WebhookAnswer:
        """
        As `respond`, on an event loop: asyncio's or trio's.

        A handler that is not ``async``, the store and the reading of the body run in a thread, so
        that they may block.
        """
        from anyio import to_thread  # noqa: PLC0415  for those who have an event loop

        if not self.is_async:
            return await to_thread.run_sync(self.respond, method, headers, body)
        batch = await to_thread.run_sync(self._open, method, headers, body)
        if isinstance(batch, WebhookAnswer):
            return batch
        return self._settle([await self._atake(event) for event in batch])

    def require_sync(self) -> None:
        """Raise `UsageError` where the handler has to be awaited."""
        if self.is_async:
            raise UsageError(
                "is async and has to be awaited",
                field="handler",
                mail_state=None,
                advice="use arespond or WebhookASGI",
            )

    def refuse(self, status: HTTPStatus, why: str) -> WebhookAnswer:
        """Return an answer that says no, and log *why*."""
        _logger.warning("webhook: answered %d: %s", status, why)
        return _answer(status)

    def _open(self, method: str, headers: Headers, body: bytes) -> WebhookAnswer | EventBatch:
        """Return the events of a request, or what to answer where it brings none."""
        if (answer := self._without_events(method.upper(), body)) is not None:
            return answer
        try:
            return self._read(headers, body)
        except WebhookSignatureError as error:
            # How the service asks when it registers a URL is published nowhere. Its closest
            # relative posts an empty list of events, signed by a key that nobody has; without the
            # handshake the URL is refused, and nothing is handed over by it.
            return (
                self._thanks()
                if _brings_nothing(headers, body)
                else self.refuse(HTTPStatus.FORBIDDEN, str(error))
            )
        except WebhookPayloadError as error:
            return self.refuse(HTTPStatus.BAD_REQUEST, str(error))
        except Exception:
            _logger.exception("webhook: there are no keys to check a signature with")
            return _answer(HTTPStatus.SERVICE_UNAVAILABLE)

    def _without_events(self, method: str, body: bytes) -> WebhookAnswer | None:
        if method in ("GET", "HEAD") or (method == "POST" and not body.strip()):
            return self._thanks()
        if method != "POST":
            return _answer(HTTPStatus.METHOD_NOT_ALLOWED, ("Allow", "GET, HEAD, POST"))
        if len(body) > self.max_body:
            return self.refuse(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has more than {self.max_body} bytes"
            )
        return None

    def _read(self, headers: Headers, body: bytes) -> EventBatch:
        batch = self._reader.read(headers, body)
        if batch.unreadable:
            _logger.warning(
                "webhook: %d members of a batch are no events, and were left out",
                len(batch.unreadable),
            )
        return batch

    def _take(self, event: WebhookEvent) -> Outcome:
        try:
            if (claim := self._claim(event)) != "new":
                return claim
            try:
                self._check(self._handler(event))
            except BaseException:
                self._release(event)
                raise
            self._confirm(event)
        except Exception:
            _logger.exception(_NOT_HANDLED, event.event, event.id)
            return "failed"
        return "handled"

    async def _atake(self, event: WebhookEvent) -> Outcome:
        from anyio import CancelScope, to_thread  # noqa: PLC0415

        try:
            if (claim := await to_thread.run_sync(self._claim, event)) != "new":
                return claim
            try:
                await cast("Awaitable[object]", self._handler(event))
            except BaseException:
                # A handler that was cancelled has not handled it; giving it back must not be
                # cancelled, too.
                with CancelScope(shield=True):
                    await to_thread.run_sync(self._release, event)
                raise
            with CancelScope(shield=True):
                await to_thread.run_sync(self._confirm, event)
        except Exception:
            _logger.exception(_NOT_HANDLED, event.event, event.id)
            return "failed"
        return "handled"

    def _claim(self, event: WebhookEvent) -> Claim:
        return "new" if event.id is None else self._store.claim(event.id)

    def _confirm(self, event: WebhookEvent) -> None:
        if event.id is not None:
            self._store.confirm(event.id)

    def _release(self, event: WebhookEvent) -> None:
        if event.id is not None:
            self._store.release(event.id)

    def _check(self, returned: object) -> None:
        if inspect.isawaitable(returned):
            # An async function in other clothes. Nobody would await what it returned, and the event
            # would be lost.
            if inspect.iscoroutine(returned):
                returned.close()
            raise UsageError(
                "returned something to await",
                field="handler",
                mail_state=None,
                advice="declare it as async def",
            )

    def _settle(self, outcomes: Iterable[Outcome]) -> WebhookAnswer:
        if {"busy", "failed"}.isdisjoint(outcomes):
            return self._thanks()
        return _answer(HTTPStatus.SERVICE_UNAVAILABLE)

    def _thanks(self) -> WebhookAnswer:
        """
        The same for every success, so that the service finds its words wherever it looks for them.
        """
        text = handshake_answer(self._reader.brand).encode()
        return WebhookAnswer(
            HTTPStatus.OK,
            (("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(text)))),
            text,
        )


def _brings_nothing(headers: Headers, body: bytes) -> bool:
    if len(body) > _NEARLY_EMPTY:
        return False
    try:
        batch = parse_events(body, next(iter(header_values(headers, "Content-Type")), ""))
    except WebhookError:
        return False
    return not batch.events and not batch.unreadable


def _answer(status: HTTPStatus, *headers: tuple[str, str]) -> WebhookAnswer:
    text = f"{status.phrase}\n".encode()
    described = (
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(text))),
        *headers,
    )
    return WebhookAnswer(status, described, text)
