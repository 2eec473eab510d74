"""Asking a URL whether it is a receiver of webhooks, as the service does before it registers one."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

from poweremail.sandbox.webhook_calls import HANDSHAKE

__all__ = ["answers_handshake"]

_SECONDS = 3.0
"""A receiver answers a fixed text; a call that waits longer for it would run into its own timeouts."""

_LONGEST = 64 * 1024


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The URL itself has to answer: what is posted to it later is not sent on either."""

    def redirect_request(self, *_: object) -> None:
        return None


# Receivers are tried on this machine or near it: a proxy has no business in between.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())


def answers_handshake(url: str) -> bool:
    """Whether *url* (http or https) answers the handshake to a GET or, failing that, to an empty POST."""
    return any(HANDSHAKE in _answer(url, method) for method in ("GET", "POST"))


def _answer(url: str, method: str) -> str:
    request = urllib.request.Request(url, data=b"" if method == "POST" else None, method=method)  # noqa: S310 - checked before
    try:
        with _OPENER.open(request, timeout=_SECONDS) as answer:
            return str(answer.read(_LONGEST).decode("utf-8", "replace"))
    except (OSError, ValueError, http.client.HTTPException):
        # Refused, timed out, a status that is an error, no HTTP at all.
        return ""
