"""The headers that limit what a browser may do with a response."""

from __future__ import annotations

import hashlib
import mimetypes
from base64 import b64encode
from collections.abc import Mapping
from unicodedata import combining, normalize
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from poweremail._types.mime_types import without_parameters

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


def preview_headers(*, remote: bool, images: bool = True) -> dict[str, str]:
    """
    Return the headers of the HTML of a mail: no script, no form, no frame, and nothing is loaded.
    Without *images*, not even those that are part of it are shown.

    *remote* allows images, styles, fonts and media from anywhere. The ``sandbox`` also takes the
    origin away; a tab that a link opens is a tab like any other.
    """
    anywhere = " http: https:" if remote else ""
    shown = f"data:{anywhere}" if images else "'none'"
    policy = (
        f"sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; img-src {shown};"
        f" style-src 'unsafe-inline'{anywhere}; font-src data:{anywhere};"
        f" media-src data:{anywhere}; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    )
    return {**_SAME_ORIGIN, "Cache-Control": "no-store", "Content-Security-Policy": policy}


def attachment_headers(name: str, type: str = "") -> dict[str, str]:
    """
    Return the headers that make a browser save a file as *name* and not show it: RFC 6266.

    A *name* without an ending gets the one of the MIME *type*. Programs that know no ``filename*``
    use the plain name.
    """
    clean = "".join(
        letter if letter.isprintable() and letter not in '/\\:*?"<>|' else "_" for letter in name
    ).strip(". ")
    clean = clean or "unnamed"
    if "." not in clean[1:]:
        clean += mimetypes.guess_extension(without_parameters(type)) or ""
    clean = clean[-150:]
    letters = normalize("NFKD", clean)
    plain = "".join(letter for letter in letters if not combining(letter))
    plain = "".join(letter if " " <= letter <= "~" and letter != "%" else "_" for letter in plain)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(clean, safe='')}"
    return {
        **DATA_HEADERS,
        "Content-Type": "application/octet-stream",
        "Content-Disposition": disposition,
    }


def shown_headers(media_type: str) -> dict[str, str]:
    """Return the headers of a file that the page shows in place: an image, or a PDF."""
    # No browser shows a PDF in a sandbox. What it contains runs in the browser's viewer alone.
    sandbox = "" if media_type == "application/pdf" else "sandbox; "
    policy = f"{sandbox}default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
    return {
        **_SAME_ORIGIN,
        "Cache-Control": "no-store",
        "Content-Type": media_type,
        "Content-Disposition": "inline",
        "Content-Security-Policy": policy,
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
