"""Requests to webhooks: the POST of events, to a URL or to a receiver here, and the handshake."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import attrs

from poweremail.webhooks._signature import BRAND, handshake_text

if TYPE_CHECKING:
    import ssl

    import httpx

__all__ = [
    "AttemptResult",
    "AwaitedReceiver",
    "HttpPoster",
    "Poster",
    "ReceiverPoster",
    "RespondingReceiver",
    "answers_handshake",
    "poster_to",
    "result_of",
]

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


class ReceiverPoster:
    """Posts to *receiver* for every URL, without a socket."""

    def __init__(self, receiver: RespondingReceiver) -> None:
        self._receiver = receiver

    def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> AttemptResult:  # noqa: ARG002 - it is one receiver
        """See `Poster`."""
        return result_of(self._receiver.respond("POST", dict(headers), body))


class HttpPoster:
    """Posts over HTTP, on a new connection each time, exactly the bytes it is given."""

    def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> AttemptResult:
        """See `Poster`."""
        import httpx  # noqa: PLC0415 - a sandbox without webhooks needs none

        try:
            # Built by hand: a client would add headers of its own.
            request = httpx.Request("POST", url, headers=list(headers), content=body)
            status, excerpt = _send(request, _EXCERPT_BYTES, _POST_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return AttemptResult(None, f"{type(error).__name__}: {error}")
        return result_of((status, (), excerpt))


def poster_to(to: RespondingReceiver | Poster | None) -> Poster:
    """Return the poster for *to*: a receiver, a poster or, for the URLs of deliveries, None."""
    if to is None:
        return HttpPoster()
    return to if hasattr(to, "post") else ReceiverPoster(to)  # type: ignore[return-value]


def result_of(response: tuple[int, Any, bytes]) -> AttemptResult:
    """Return the result for a *response* of status, headers and body."""
    status, _, body = response
    return AttemptResult(int(status), body[:_EXCERPT_BYTES].decode("utf-8", "replace"))


def answers_handshake(url: str, brand: str = BRAND) -> bool:
    """
    Return whether *url* is a receiver of webhooks, as the service checks before it registers one.

    It must answer the handshake of *brand* to a GET or, if it does not, to an empty POST.
    """
    import httpx  # noqa: PLC0415

    expected = handshake_text(brand).encode()
    for method in ("GET", "POST"):
        try:
            request = httpx.Request(method, url)
            status, body = _send(request, _MAX_HANDSHAKE_BYTES, _HANDSHAKE_SECONDS)
        except (httpx.HTTPError, httpx.InvalidURL):
            continue
        if 200 <= status < 300 and expected in body:  # noqa: PLR2004 - the success class
            return True
    return False


def _send(request: httpx.Request, max_bytes: int, seconds: float) -> tuple[int, bytes]:
    """Return the status and the first *max_bytes* of the body; a slow body ends early, too."""
    import httpx  # noqa: PLC0415

    until = time.monotonic() + seconds
    # Receivers under development run on this machine or near it, so no proxy. The service is not
    # known to follow redirects.
    with (
        httpx.Client(verify=_tls(), trust_env=False, timeout=seconds) as client,
        closing(client.send(request, stream=True)) as response,
    ):
        body = b""
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) >= max_bytes or time.monotonic() > until:
                break
        return response.status_code, body[:max_bytes]


@cache
def _tls() -> ssl.SSLContext:
    # Reading the certificates takes longer than a POST on this machine, so it is done once.
    import httpx  # noqa: PLC0415

    return httpx.create_ssl_context(trust_env=False)
