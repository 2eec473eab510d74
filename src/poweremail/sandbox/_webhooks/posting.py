"""Carrying what is posted to a webhook, to its URL or to a receiver in this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import attrs

if TYPE_CHECKING:
    import httpx

__all__ = [
    "Answered",
    "AwaitedReceiver",
    "HttpPoster",
    "Poster",
    "ReceiverPoster",
    "RespondingReceiver",
    "answered_by",
    "poster_to",
]

_SECONDS = 5.0
"""
A receiver that takes longer than this has not taken the events; most services that post webhooks
wait 5 to 30 seconds.
"""

_KEPT = 1024
"""Bytes of an answer that are kept."""


@attrs.frozen
class Answered:
    """
    What came of one attempt: the HTTP *status* and the beginning of the *answer*; without a status,
    why no answer came.
    """

    status: int | None
    answer: str


class Poster(Protocol):
    """What carries a request."""

    def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Answered:
        """Carry it, and return what came of it. It raises nothing for what the other side does."""
        ...  # pragma: no cover


class RespondingReceiver(Protocol):
    """A receiver in this process, such as `poweremail.webhooks.WebhookReceiver`."""

    def respond(self, method: str, headers: Mapping[str, str], body: bytes) -> Any:
        """Answer with status, headers and body."""
        ...  # pragma: no cover


class AwaitedReceiver(Protocol):
    """
    A receiver in this process that is awaited, such as `poweremail.webhooks.WebhookReceiver` with
    an ``async`` handler.
    """

    async def arespond(self, method: str, headers: Mapping[str, str], body: bytes) -> Any:
        """Answer with status, headers and body."""
        ...  # pragma: no cover


class ReceiverPoster:
    """Hands what is posted to *receiver*, whatever its URL, without a socket."""

    def __init__(self, receiver: RespondingReceiver) -> None:
        self._receiver = receiver

    def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Answered:  # noqa: ARG002 - it is one receiver
        """Let the receiver answer."""
        return answered_by(self._receiver.respond("POST", dict(headers), body))


class HttpPoster:
    """
    Posts over HTTP, on a new connection each time, with the bytes it is given.

    It goes through no proxy and follows no redirect, as with the question on registration. Close it
    after use.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Answered:
        """Post, and return what came of it."""
        import httpx  # noqa: PLC0415 - for those who have webhooks

        with self._lock:
            if self._client is None:
                limits = httpx.Limits(max_keepalive_connections=0)
                self._client = httpx.Client(
                    trust_env=False, follow_redirects=False, timeout=_SECONDS, limits=limits
                )
            client = self._client
        until = time.monotonic() + _SECONDS
        try:
            # Made by hand: a client would add headers of its own.
            response = client.send(
                httpx.Request("POST", url, headers=list(headers), content=body), stream=True
            )
            try:
                answer = b""
                for chunk in response.iter_bytes():
                    answer += chunk
                    if len(answer) >= _KEPT or time.monotonic() > until:
                        break
            finally:
                response.close()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Answered(None, f"{type(error).__name__}: {error}")
        return Answered(response.status_code, _beginning(answer))

    def close(self) -> None:
        """Let go of what it holds. It can be used again."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()


def poster_to(to: RespondingReceiver | Poster | None, default: Poster) -> Poster:
    """
    Return what carries a request *to* a receiver or by a poster, the *default* where neither is
    given.
    """
    if to is None:
        return default
    return to if hasattr(to, "post") else ReceiverPoster(to)  # type: ignore[return-value]


def answered_by(answer: tuple[int, Any, bytes]) -> Answered:
    """
    Return what came of an attempt that a receiver in this process answered with status, headers and
    body.
    """
    status, _, body = answer
    return Answered(int(status), _beginning(body))


def _beginning(answer: bytes) -> str:
    return answer[:_KEPT].decode("utf-8", "replace")
