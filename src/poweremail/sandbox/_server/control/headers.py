"""Headers that tell a browser how little it may do with an answer."""

from __future__ import annotations

from urllib.parse import quote

__all__ = ["DATA_HEADERS", "PAGE_HEADERS", "attachment", "inline_image_headers", "preview_headers"]

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
"""Of what scripts and programs read. Opened in a browser by itself, it can do nothing."""

PAGE_HEADERS = {
    **_SAME_ORIGIN,
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src "
        "'self' data:; frame-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for "
        "'script'; trusted-types 'none'"
    ),
}
"""Of the page itself: its own files only, and no string ever becomes HTML or a script."""


def preview_headers(image_base: str, *, remote: bool) -> dict[str, str]:
    """
    Headers of the HTML of a mail: no script, no form, no frame; nothing is loaded but the mail's
    own images, below *image_base*.

    *remote* lets images, styles, fonts and media come from anywhere. ``sandbox`` without a word
    more also takes the origin away.
    """
    anywhere = " http: https:" if remote else ""
    policy = (
        f"sandbox; default-src 'none'; img-src data: {image_base}{anywhere}; style-src "
        f"'unsafe-inline'{anywhere};"
        f" font-src data:{anywhere}; media-src data:{anywhere}; form-action 'none'; base-uri "
        "'none'; frame-ancestors 'self'"
    )
    return {**_SAME_ORIGIN, "Cache-Control": "no-store", "Content-Security-Policy": policy}


def inline_image_headers() -> dict[str, str]:
    """
    Headers of an image inside a mail.

    The frame that shows the mail has no origin, so every origin may embed the image; its address
    cannot be guessed.
    """
    return {
        **_ALWAYS,
        "Cross-Origin-Resource-Policy": "cross-origin",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    }


def attachment(name: str) -> dict[str, str]:
    """Headers that have a file saved, under *name*, and not shown: RFC 6266."""
    clean = "".join(
        letter if letter.isprintable() and letter not in '/\\:*?"<>|' else "_" for letter in name
    ).strip(". ")[-150:]
    return {
        **DATA_HEADERS,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(clean or 'unnamed', safe='')}",
    }
