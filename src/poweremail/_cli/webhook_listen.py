"""``poweremail webhook listen``: a receiver that prints, saves and forwards."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import httpx
import uvicorn

from poweremail._cli.failures import cannot_listen
from poweremail._cli.output import Output, plain
from poweremail._types.event import WebhookEvent
from poweremail._types.secret import Secret
from poweremail._wire import arguments
from poweremail.errors import ConfigurationError
from poweremail.sandbox._server.listener import (
    listener_url,
    open_listener,
    quiet_config,
    run_until_stopped,
)
from poweremail.webhooks._asgi import Scope, WebhookASGI
from poweremail.webhooks._receiver import WebhookReceiver, WebhookResponse
from poweremail.webhooks._seen import Claim
from poweremail.webhooks._signature import SignatureScheme

__all__ = ["listen"]

# Headers that belong to one connection or to one body (RFC 9110, 7.6.1); the next hop gets its own.
_HOP_HEADERS = frozenset(
    b"connection content-length host keep-alive proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)
_FORWARDED_RESPONSE_HEADERS = frozenset(("content-type", "retry-after"))
_FORWARD_SECONDS = 30


def listen(
    out: Output,
    *,
    scheme: SignatureScheme,
    url: str | None,
    host: str,
    port: int,
    forward: str | None,
    save: Path | None,
    keys: Sequence[Secret],
    brand: str,
) -> None:
    """
    Serve until Ctrl-C or SIGTERM.

    Raises `ConfigurationError` for an invalid option or an address that is not free.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    if forward is not None:
        arguments.url("--forward", forward)
    try:
        if save is not None:
            save.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"cannot make the directory {str(save)!r}: {error.strerror}", field="--save"
        ) from None
    try:
        opened = open_listener(host, port)
    except OSError as error:
        raise cannot_listen(error, host, port) from None
    with opened as listener:
        own_url = f"{listener_url(listener)}/"
        receiver = WebhookReceiver(
            lambda event: _print_event(out, event),
            url=url or own_url,
            keys=keys,
            scheme=scheme,
            brand=brand,
            store=_NoMemory(),
        )
        out.error(f"Listening at {own_url} (Ctrl-C ends it).")
        out.say(f"  registered as  {url or own_url}")
        out.say(f"  signed by      {scheme.name}, {len(keys)} key{'s' * (len(keys) != 1)}")
        if forward is not None:
            out.say(f"  forwards to    {forward}")
        if not keys:
            out.error("  There is no key: the URL can be registered, and every event is rejected.")
        application = _Application(out, receiver, forward, save)
        try:
            run_until_stopped(uvicorn.Server(quiet_config(application)), listener)
        except KeyboardInterrupt:
            out.error("")  # end the line of the terminal's ^C


def _print_event(out: Output, event: WebhookEvent) -> None:
    if out.as_json:
        out.json(
            {
                "id": event.id,
                "event": event.event,
                "time": event.time,
                "unique_id": event.unique_id,
                "smtp_user_name": event.smtp_user_name,
                "user_id": event.user_id,
                "recipient": event.recipient,
                "msg": event.msg,
                "extra": event.extra,
            }
        )
        return
    time = "--" if event.time is None else f"{event.time:%m-%d %H:%M:%S}"
    recipient, unique_id = plain(event.recipient or "--"), plain(event.unique_id or "--")
    out.data(f"{time:14}  {plain(event.event):11}  {recipient:24}  {unique_id}")


class _NoMemory:
    """A store that never knows an event: a person who listens wants to see repeated ones, too."""

    def claim(self, _event_id: str, /) -> Claim:
        return "new"

    def confirm(self, _event_id: str, /) -> None:
        pass

    def release(self, _event_id: str, /) -> None:
        pass


class _Application(WebhookASGI):
    """The ASGI application: saves a request, hands it to *receiver*, and forwards it if valid."""

    def __init__(
        self, out: Output, receiver: WebhookReceiver, forward: str | None, save: Path | None
    ) -> None:
        super().__init__(receiver)
        self._out = out
        self._forward_url = forward
        # One client for all requests: making one reads the certificates of the authorities. It
        # keeps no idle connections, so nothing needs to be closed at the end.
        self._client = httpx.AsyncClient(
            timeout=_FORWARD_SECONDS, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self._directory = save
        self._saved = 0

    async def _handle(self, scope: Scope, body: bytes) -> WebhookResponse:
        if self._directory is not None:
            self._save(self._directory, scope, body)
        response = await super()._handle(scope, body)
        has_events = scope["method"] == "POST" and body.strip()
        if self._forward_url and response.status == HTTPStatus.OK and has_events:
            return await self._forward(self._forward_url, scope["headers"], body)
        return response

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
            response = await self._client.send(request)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._out.error(f"not forwarded: {type(error).__name__}: {error}")
            return WebhookResponse(HTTPStatus.BAD_GATEWAY, (("Content-Length", "0"),), b"")
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
