"""``poweremail webhook listen``: a receiver that prints, saves and forwards."""

from __future__ import annotations

import logging
import os
import select
import sys
import threading
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from anyio import fail_after

from poweremail._cli.failures import cannot_listen
from poweremail._cli.output import Output, OutputError, members, plain
from poweremail._cli.webhook_options import ListenOptions
from poweremail._types.event import WebhookEvent
from poweremail._types.secret import Secret
from poweremail._wire import arguments
from poweremail.errors import ConfigurationError
from poweremail.sandbox._server.listener import (
    listener_url,
    open_listeners,
    quiet_config,
    run_until_stopped,
)
from poweremail.webhooks._asgi import Scope, WebhookASGI
from poweremail.webhooks._receiver import WebhookReceiver, WebhookResponse
from poweremail.webhooks._seen import Claim, MemorySeenStore
from poweremail.webhooks._signature import find_scheme

# Headers that belong to one connection or to one body (RFC 9110, 7.6.1); the next hop gets its own.
_HOP_HEADERS = frozenset(
    b"connection content-length host keep-alive proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)
_FORWARDED_RESPONSE_HEADERS = frozenset(("content-type", "retry-after"))
_FORWARD_SECONDS = 30


def listen(out: Output, options: ListenOptions, *, keys: Sequence[Secret], brand: str) -> None:
    """
    Serve until Ctrl-C or SIGTERM, or until nobody reads standard output.

    Raises `ConfigurationError` for an invalid option or an address that is not free, and
    `OutputError` if an event cannot be printed.
    """
    scheme = find_scheme(options.scheme)
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    if options.forward is not None:
        arguments.url("--forward", options.forward)
    try:
        if options.save is not None:
            options.save.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"cannot make the directory {str(options.save)!r}: {error.strerror}", field="--save"
        ) from None
    try:
        listeners = open_listeners(options.host, options.port)
    except OSError as error:
        raise cannot_listen(error, options.host, options.port) from None
    with ExitStack() as opened:
        for listener in listeners:
            opened.enter_context(listener)
        own_url = f"{listener_url(listeners[0])}/"
        url = options.url or own_url
        application = _Application(out, options, url=url, keys=keys, scheme=scheme, brand=brand)
        try:
            out.error(f"Listening at {own_url} (Ctrl-C ends it).")
            out.say(f"  registered as  {url}")
            out.say(f"  signed by      {scheme.name}, {len(keys)} key{'s' * (len(keys) != 1)}")
            if options.forward is not None:
                out.say(f"  forwards to    {options.forward}")
            if not keys:
                out.error("  There is no key: the URL can be registered, all events are rejected.")
            threading.Thread(target=application.stop_without_reader, daemon=True).start()
            run_until_stopped(application.server, listeners)
        except KeyboardInterrupt:
            out.error("")  # end the line of the terminal's ^C
    if application.failure is not None:
        raise application.failure


class _NoMemory(MemorySeenStore):
    """A store that never knows an event: a person who listens wants to see repeated ones, too."""

    def claim(self, _event_id: str, /) -> Claim:
        """Take every event for a new one."""
        return "new"


class _Application(WebhookASGI):
    """
    The ASGI application: saves a request, hands it to a receiver, and forwards it if valid.

    ``failure`` is set when an event could not be printed. The server then stops.
    """

    def __init__(self, out: Output, options: ListenOptions, **receiver: Any) -> None:
        super().__init__(WebhookReceiver(self._print, store=_NoMemory(), **receiver))
        self._out = out
        self._options = options
        self.server = uvicorn.Server(quiet_config(self))
        self.failure: OutputError | None = None
        # One client for all requests: making one reads the certificates of the authorities. It
        # keeps no idle connections, so nothing needs to be closed at the end.
        self._client = httpx.AsyncClient(
            timeout=_FORWARD_SECONDS, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self._saved = 0

    def stop_without_reader(self) -> None:
        """
        Stop the server as soon as standard output is a pipe that nobody reads, as ``head`` leaves
        it: the next event, at which writing would fail, may never come. Blocks until then.
        """
        # Closed or replaced standard output has no file descriptor; Windows has no poll.
        with suppress(AttributeError, OSError):
            poll = select.poll()
            poll.register(sys.stdout.fileno(), 0)  # only errors, which are always reported
            poll.poll()
            self.server.should_exit = True

    async def _handle(self, scope: Scope, body: bytes) -> WebhookResponse:
        if self._options.save is not None:
            self._save(self._options.save, scope, body)
        response = await super()._handle(scope, body)
        has_events = scope["method"] == "POST" and body.strip()
        if self.failure is not None:
            # The service sends the events again, to a listener that can show them.
            return _empty_response(HTTPStatus.SERVICE_UNAVAILABLE)
        if self._options.forward and response.status == HTTPStatus.OK and has_events:
            return await self._forward(self._options.forward, scope["headers"], body)
        return response

    def _print(self, event: WebhookEvent) -> None:
        try:
            if self._out.as_json:
                self._out.json(members(event) | {"recipient": event.recipient})
                return
            time = "--" if event.time is None else f"{event.time:%m-%d %H:%M:%S}"
            recipient, unique_id = plain(event.recipient or "--"), plain(event.unique_id or "--")
            self._out.data(f"{time:14}  {plain(event.event):11}  {recipient:24}  {unique_id}")
        except OutputError as error:
            self.failure = error
            self.server.should_exit = True

    def _save(self, directory: Path, scope: Scope, body: bytes) -> None:
        self._saved += 1
        query = b"?" + scope["query_string"] if scope["query_string"] else b""
        head = [b"%s %s HTTP/1.1" % (scope["method"].encode("ascii"), scope["raw_path"] + query)]
        head += [b"%s: %s" % (name, value) for name, value in scope["headers"]]
        path = directory / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{self._saved:04}.http"
        # Only the owner may read it: it has people's addresses and a valid signature.
        with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(b"\r\n".join((*head, b"", body)))
        self._out.say(f"saved {path}")

    async def _forward(
        self, url: str, headers: Iterable[tuple[bytes, bytes]], body: bytes
    ) -> WebhookResponse:
        """Post *body* to *url* byte for byte, and return its response for the service."""
        forwarded = [(name, value) for name, value in headers if name.lower() not in _HOP_HEADERS]
        try:
            # The client would add headers of its own to a request that it builds.
            request = httpx.Request("POST", url, headers=forwarded, content=body)
            with fail_after(_FORWARD_SECONDS):
                response = await self._client.send(request)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            self._out.error(f"not forwarded: {type(error).__name__}: {error}")
            return _empty_response(HTTPStatus.BAD_GATEWAY)
        if not response.is_success:
            self._out.error(f"status {response.status_code} from {url}")
        described = [
            (name, value)
            for name, value in response.headers.items()
            if name.lower() in _FORWARDED_RESPONSE_HEADERS
        ]
        return WebhookResponse(
            response.status_code,
            (*described, ("Content-Length", str(len(response.content)))),
            response.content,
        )


def _empty_response(status: HTTPStatus) -> WebhookResponse:
    return WebhookResponse(status, (("Content-Length", "0"),), b"")
