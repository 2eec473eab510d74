"""
Asking a URL whether it is a receiver of webhooks, as the service does before it registers one.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

from poweremail.webhooks._signature import BRAND, handshake_answer

__all__ = ["answers_handshake"]

_SECONDS = 3.0
"""
A receiver answers a fixed text; a call that waits longer for it would run into its own timeouts.
"""

_LONGEST = 64 * 1024


# No proxy, because receivers are tried on this machine or near it; no redirects, because what is
# posted later is not sent on.
_OPENER = urllib.request.OpenerDirector()
for _handler in (
    urllib.request.HTTPHandler(),
    urllib.request.HTTPSHandler(),
    urllib.request.HTTPErrorProcessor(),
    urllib.request.HTTPDefaultErrorHandler(),
):
    _OPENER.add_handler(_handler)


def answers_handshake(url: str, brand: str = BRAND) -> bool:
    """
    Whether *url* (http or https) answers the handshake of *brand* to a GET or, failing that, to an
    empty POST.
    """
    expected = handshake_answer(brand)
    return any(expected in _answer(url, method) for method in ("GET", "POST"))


def _answer(url: str, method: str) -> str:
    request = urllib.request.Request(url, data=b"" if method == "POST" else None, method=method)  # noqa: S310 - checked before
    try:
        with _OPENER.open(request, timeout=_SECONDS) as answer:
            return str(answer.read(_LONGEST).decode("utf-8", "replace"))
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return ""
    except (OSError, ValueError, http.client.HTTPException):
        # Refused, timed out, no HTTP at all.
        return ""
