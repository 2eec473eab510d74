"""``poweremail webhook listen``."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path

import httpx
import typer
import uvicorn

from poweremail._cli.exits import OK
from poweremail._cli.listening import cannot_listen
from poweremail._cli.webhook_events import json_line, table_line
from poweremail._types.secret import Secret
from poweremail._wire import arguments
from poweremail.errors import WebhookPayloadError
from poweremail.sandbox._server.listener import (
    listener_url,
    open_listener,
    quiet_config,
    run_until_stopped,
)
from poweremail.webhooks._asgi import Receive, Scope, Send, read_body, send_response
from poweremail.webhooks._receiver import WebhookReceiver, WebhookResponse
from poweremail.webhooks._seen import Claim
from poweremail.webhooks._signature import SignatureScheme

__all__ = ["run"]

# Headers that belong to one connection or to one body (RFC 9110, 7.6.1); the next hop gets its own.
_OF_THIS_HOP = frozenset(
    b"connection content-length host keep-alive proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)
# Headers of an answer that say something to the service.
_OF_THE_ANSWER = frozenset(("content-type", "retry-after"))


def run(
    *,
    scheme: SignatureScheme,
    url: str | None,
    host: str,
    port: int,
    forward: str | None,
    save: Path | None,
    keys: Sequence[Secret],
    brand: str,
    as_json: bool,
) -> int:
    """
    Serve until Ctrl-C or SIGTERM, which is how it is meant to end. Raises `UsageError` where it
    cannot listen.
    """
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    if save is not None:
        save.mkdir(parents=True, exist_ok=True)
    if forward is not None:
        arguments.url("--forward", forward)
    try:
        opened = open_listener(host, port)
    except OSError as error:
        raise cannot_listen(error, host, port) from None
    with opened as listener:
        own = f"{listener_url(listener)}/"
        receiver = WebhookReceiver(
            lambda event: typer.echo(json_line(event) if as_json else table_line(event)),
            url=url or own,
            keys=keys,
            scheme=scheme,
            brand=brand,
            store=_Forgetful(),
        )
        _announce(own, url or own, scheme, keys, forward)
        try:
            run_until_stopped(
                uvicorn.Server(quiet_config(_Listener(receiver, forward, save))), listener
            )
        except KeyboardInterrupt:
            typer.echo(err=True)
    return OK


def _announce(
    own: str, url: str, scheme: SignatureScheme, keys: Sequence[Secret], forward: str | None
) -> None:
    typer.echo(f"Listening at {own} (Ctrl-C ends it).", err=True)
    typer.echo(f"  registered as  {url}", err=True)
    typer.echo(f"  signed by      {scheme.name}, {len(keys)} key{'s' * (len(keys) != 1)}", err=True)
    if forward is not None:
        typer.echo(f"  sent on to     {forward}", err=True)
    if not keys:
        typer.echo(
            "  There is no key: the URL can be registered, and every event is refused.", err=True
        )


class _Forgetful:
    """Whoever listens wants to see an event as often as it comes."""

    def claim(self, _event_id: str, /) -> Claim:
        return "new"

    def confirm(self, _event_id: str, /) -> None:
        pass

    def release(self, _event_id: str, /) -> None:
        pass


class _Listener:
    """
    The ASGI application: *receiver*, which prints, with what is done to the request before and
    after.
    """

    def __init__(self, receiver: WebhookReceiver, forward: str | None, save: Path | None) -> None:
        self._receiver = receiver
        self._forward = forward
        # One for all, because it reads the authorities' certificates; without idle connections
        # nothing is to close at the end.
        self._client = (
            httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_keepalive_connections=0))
            if forward
            else None
        )
        self._save = save
        self._saved = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await read_body(scope, receive, self._receiver.max_body)
        except WebhookPayloadError as error:
            await send_response(
                scope, send, self._receiver.reject(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))
            )
            return
        if body is None:
            return
        if self._save is not None:
            self._keep(self._save, scope, body)
        answer = await self._receiver.arespond(scope["method"], scope["headers"], body)
        if (
            self._client
            and self._forward
            and answer.status == HTTPStatus.OK
            and scope["method"] == "POST"
            and body.strip()
        ):
            answer = await _sent_on(self._client, self._forward, scope["headers"], body)
        await send_response(scope, send, answer)

    def _keep(self, directory: Path, scope: Scope, body: bytes) -> None:
        self._saved += 1
        target = scope["raw_path"] + (
            b"?" + scope["query_string"] if scope["query_string"] else b""
        )
        head = [b"%s %s HTTP/1.1" % (scope["method"].encode("ascii"), target)]
        head += [b"%s: %s" % (name, value) for name, value in scope["headers"]]
        path = directory / f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{self._saved:04}.http"
        # Readable by its owner only: it has people's addresses, and a signature that fits it.
        with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            file.write(b"\r\n".join((*head, b"", body)))
        typer.echo(f"kept {path}", err=True)


async def _sent_on(
    client: httpx.AsyncClient, url: str, headers: Iterable[tuple[bytes, bytes]], body: bytes
) -> WebhookResponse:
    """Post *body* to *url* byte for byte, and return its answer as one for the service."""
    kept = [(name, value) for name, value in headers if name.lower() not in _OF_THIS_HOP]
    try:
        # A request made here has no headers that the client would add.
        response = await client.send(httpx.Request("POST", url, headers=kept, content=body))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        typer.echo(f"not sent on: {type(error).__name__}: {error}", err=True)
        return WebhookResponse(HTTPStatus.BAD_GATEWAY, (("Content-Length", "0"),), b"")
    if not response.is_success:
        typer.echo(f"answered {response.status_code} by {url}", err=True)
    described = [
        (name, value) for name, value in response.headers.items() if name.lower() in _OF_THE_ANSWER
    ]
    return WebhookResponse(
        response.status_code,
        (*described, ("Content-Length", str(len(response.content)))),
        response.content,
    )
