"""The headers that limit what a browser may do with a response."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = [
    "DATA_HEADERS",
    "PAGE_HEADERS",
    "attachment_headers",
    "page_headers",
    "preview_headers",
    "with_headers",
]

_ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-DNS-Prefetch-Control": "off",
}
_SAME_ORIGIN = {**_ALWAYS, "Cross-Origin-Resource-Policy": "same-origin"}

DATA_HEADERS = {
    **_SAME_ORIGIN,
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
}
"""For data that scripts and programs read: if a browser opens it directly, it can do nothing."""


def page_headers(script: str = "") -> dict[str, str]:
    """
    Return the headers of the page itself: its own files only, and no string ever becomes HTML or a
    script.

    *script* is the one script that may stand in its HTML.
    """
    digest = b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = f" 'sha256-{digest}'" if script else ""
    policy = (
        f"default-src 'none'; script-src 'self'{allowed}; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; frame-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for "
        "'script'; trusted-types 'none'"
    )
    return {**_SAME_ORIGIN, "Cache-Control": "no-cache", "Content-Security-Policy": policy}


PAGE_HEADERS = page_headers()


def preview_headers(*, remote: bool) -> dict[str, str]:
    """
    Return the headers of the HTML of a mail: no script, no form, no frame, and nothing is loaded.

    *remote* allows images, styles, fonts and media from anywhere. The plain ``sandbox`` also takes
    the origin away.
    """
    anywhere = " http: https:" if remote else ""
    policy = (
        f"sandbox; default-src 'none'; img-src data:{anywhere}; style-src "
        f"'unsafe-inline'{anywhere};"
        f" font-src data:{anywhere}; media-src data:{anywhere}; form-action 'none'; base-uri "
        "'none'; frame-ancestors 'self'"
    )
    return {**_SAME_ORIGIN, "Cache-Control": "no-store", "Content-Security-Policy": policy}


def attachment_headers(name: str) -> dict[str, str]:
    """Return the headers that make a browser save a file as *name* and not show it: RFC 6266."""
    clean = "".join(
        letter if letter.isprintable() and letter not in '/\\:*?"<>|' else "_" for letter in name
    ).strip(". ")[-150:]
    return {
        **DATA_HEADERS,
        "Content-Type": "application/octet-stream",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(clean or 'unnamed', safe='')}",
    }


def with_headers(app: ASGIApp, headers: Mapping[str, str]) -> ASGIApp:
    """Add *headers* to every response of *app* that has no Content-Security-Policy of its own."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = MutableHeaders(scope=message)
                if "Content-Security-Policy" not in present:
                    present.update(headers)
            await send(message)

        await app(scope, receive, send_with_headers)

    return run
