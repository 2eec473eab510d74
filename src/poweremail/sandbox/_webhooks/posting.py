"""Requests to webhooks: the POST of events, to a URL or to a receiver here, and the handshake."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol, cast

import attrs

from poweremail._runtime._time_limit import TimeLimit
from poweremail.errors import ConfigurationError
from poweremail.webhooks._signature import BRAND, handshake_text

if TYPE_CHECKING:
    import ssl

    import httpx

_POST_SECONDS = 5.0
"""Most services that post webhooks wait 5 to 30 seconds for the receiver."""

_HANDSHAKE_SECONDS = 3.0
"""The response is a fixed text; a caller that waits longer would run into its own timeout."""

_EXCERPT_BYTES = 1024
_MAX_HANDSHAKE_BYTES = 64 * 1024


@attrs.frozen
class AttemptResult:
    """
    The result of one POST.

    *status*
        The HTTP status, or None if no response came.
    *answer*
        The first KB of the response; without a status, the reason why none came.
    """

    status: int | None
    answer: str

    @property
    def ok(self) -> bool:
        """True if the receiver accepted it: for the service, status 200 only."""
        return self.status == HTTPStatus.OK


class Poster(Protocol):
    """Carries the POST of a delivery."""

    def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> AttemptResult:
        """Post, and return the result. A fault of the other side is a result, too."""
        ...  # pragma: no cover


class RespondingReceiver(Protocol):
    """A receiver in this process, such as `poweremail.webhooks.WebhookReceiver`."""

    def respond(self, method: str, headers: Mapping[str, str], body: bytes) -> Any:
        """Return status, headers and body of the response."""
        ...  # pragma: no cover


class AwaitedReceiver(Protocol):
    """As `RespondingReceiver`, for a handler that is ``async``."""

    async def arespond(self, method: str, headers: Mapping[str, str], body: bytes) -> Any:
        """Return status, headers and body of the response."""
        ...  # pragma: no cover


Post = Callable[[str, Sequence[tuple[str, str]], bytes], AttemptResult]
"""`Poster.post`."""


def post_to(to: RespondingReceiver | Poster | None, ca: str | None = None) -> Post:
    """
    Return the function that posts to *to*: a receiver, which gets all deliveries without a socket,
    or a poster. None posts each to its URL; *ca* is then a file of certificates to trust, too.
    """
    if to is None:
        return partial(_post_over_http, ca=ca)
    post: Post | None = getattr(to, "post", None)
    if post is not None:
        return post
    receiver = cast("RespondingReceiver", to)
    return lambda _, headers, body: result_of(receiver.respond("POST", dict(headers), body))


def _post_over_http(
    url: str, headers: Sequence[tuple[str, str]], body: bytes, *, ca: str | None
) -> AttemptResult:
    """Post on a new connection, exactly the bytes that are given."""
    import httpx  # noqa: PLC0415  a sandbox without webhooks needs none

    try:
        # Built by hand: a client would add headers of its own.
        request = httpx.Request("POST", url, headers=list(headers), content=body)
        return result_of(_send(request, _EXCERPT_BYTES, _POST_SECONDS, ca))
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        return AttemptResult(None, f"{type(error).__name__}: {error}")


def result_of(response: tuple[int, Any, bytes]) -> AttemptResult:
    """Return the result for a *response* of status, headers and body."""
    status, _, body = response
    return AttemptResult(int(status), body[:_EXCERPT_BYTES].decode("utf-8", "replace"))


def answers_handshake(url: str, brand: str = BRAND, ca: str | None = None) -> bool:
    """
    Return whether *url* is a receiver of webhooks, as the service checks before it registers one.

    It must answer the handshake of *brand* to a GET or, if it does not, to an empty POST. *ca* is a
    file of certificates to trust, beside those that the system trusts.
    """
    import httpx  # noqa: PLC0415

    expected = handshake_text(brand).encode()
    for method in ("GET", "POST"):
        try:
            request = httpx.Request(method, url)
            status, _, body = _send(request, _MAX_HANDSHAKE_BYTES, _HANDSHAKE_SECONDS, ca)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
            continue
        if 200 <= status < 300 and expected in body:  # noqa: PLR2004  the success class
            return True
    return False


def _send(
    request: httpx.Request, max_bytes: int, seconds: float, ca: str | None
) -> tuple[int, httpx.Headers, bytes]:
    """
    Return status, headers and the first *max_bytes* of the body; a slow body ends early, too.

    Raises an error of httpx, or `TimeoutError`.
    """
    import httpx  # noqa: PLC0415

    until = time.monotonic() + seconds
    # Receivers under development run on this machine or near it, so no proxy. The service is not
    # known to follow redirects.
    with (
        # The head of the response may drip, too. The body ends early by itself.
        TimeLimit(2 * seconds) as limit,
        httpx.Client(verify=tls_context(ca), trust_env=False, timeout=seconds) as client,
        closing(limit.send(client, request, stream=True)) as response,
    ):
        body = b""
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) >= max_bytes or time.monotonic() > until:
                break
        return response.status_code, response.headers, body[:max_bytes]


def check_ca(path: str | os.PathLike[str]) -> str:
    """Return the *path* of certificates that can be read. Raises `ConfigurationError`."""
    import ssl  # noqa: PLC0415  a sandbox without it needs none

    try:
        tls_context(os.fspath(path))
    except OSError as error:
        wrong = isinstance(error, ssl.SSLError)
        reason = "it has no certificate in PEM" if wrong else error.strerror
        raise ConfigurationError(
            f"cannot use {os.fspath(path)!r}: {reason}", field="webhook_ca"
        ) from None
    return os.fspath(path)


@cache
def tls_context(ca: str | None) -> ssl.SSLContext:
    """
    Return the settings of TLS that trust the authorities of httpx, those of the system (which
    SSL_CERT_FILE and SSL_CERT_DIR name), and those in the file *ca*.

    Raises OSError if the file cannot be read or has no certificate.
    """
    # Reading the certificates takes longer than a POST on this machine, so it is done once.
    import httpx  # noqa: PLC0415

    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    if ca is not None:
        context.load_verify_locations(ca)
    return context
