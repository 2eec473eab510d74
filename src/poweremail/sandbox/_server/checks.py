"""
Checks of a caught mail: what mail programs and their users stumble over.

Which HTML each mail program shows is not checked: that takes a data set which somebody maintains,
and no package ships one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote, urlsplit

import attrs

from poweremail._types.checks import is_loopback
from poweremail.sandbox._store.links import attribute_at, hrefs
from poweremail.sandbox._store.mail import CaughtMail
from poweremail.sandbox._store.search import visible_text

GMAIL_BYTES = 102 * 1024
"""Gmail cuts off a longer HTML, and shows a link to the rest."""

_BULK_RECIPIENTS = 20
_MAX_LISTED, _MAX_SHOWN_CHARS = 5, 80

_IMAGE = re.compile(r"<img(?=[\s/>])", re.IGNORECASE)
_ID = re.compile(r"(?<=[\s\"'/])(?:id|name)\s{0,8}=\s{0,8}[\"']?([^\s\"'>]{1,300})", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{%|%7B%7B|\$\{|<%", re.IGNORECASE)
_UNSUBSCRIBE = re.compile(r"unsubscrib|opt-?out", re.IGNORECASE)


@attrs.frozen
class Finding:
    """What the check of this name has found, and what to do about it."""

    check: str
    text: str
    advice: str


def check_mail(mail: CaughtMail) -> list[Finding]:
    """Return the findings of all checks of *mail*, the most important first."""
    headers = {name.lower(): value for name, value in mail.headers.items()}
    html = mail.html or ""
    found = (
        *_links(html),
        *_size(html),
        *_unsubscribe(mail, headers),
        *_text(mail),
        *_images(html),
    )
    return list(found)


def _text(mail: CaughtMail) -> Iterator[Finding]:
    if mail.html is not None and not (mail.text or "").strip():
        yield Finding(
            "text",
            "There is no text part.",
            "Add one: some readers see nothing else, and filters expect it.",
        )
    if mail.html is not None and not visible_text(mail.html[:1_000_000]).strip():
        yield Finding(
            "images_only",
            "The HTML has no text that can be seen.",
            "Write what it says as text, too: many programs show no images at first.",
        )


def _images(html: str) -> Iterator[Finding]:
    images = _IMAGE.finditer(html)
    without = sum(attribute_at(html, image.end(), "alt") is None for image in images)
    if without:
        yield Finding(
            "alt",
            f"{_counted(without, 'image has', 'images have')} no alternative text.",
            'Give each an alt, and those that only decorate an empty one: alt="".',
        )


def _size(html: str) -> Iterator[Finding]:
    size = len(html.encode())
    if size > GMAIL_BYTES:
        yield Finding(
            "size",
            f"The HTML has {size / 1024:,.0f} KB; Gmail shows the first 102 KB.",
            "Shorten it, or move styles and images out of it.",
        )


def _unsubscribe(mail: CaughtMail, headers: Mapping[str, str]) -> Iterator[Finding]:
    is_bulk = (
        headers.get("precedence", "").lower() in ("bulk", "list")
        or "list-id" in headers
        or len(mail.recipients) >= _BULK_RECIPIENTS
        or any(_UNSUBSCRIBE.search(href) for href in hrefs(mail.html or ""))
    )
    unsubscribe = headers.get("list-unsubscribe")
    if is_bulk and unsubscribe is None:
        yield Finding(
            "unsubscribe",
            "It looks like bulk mail, and has no header List-Unsubscribe.",
            "Add it with List-Unsubscribe-Post (RFC 8058): large providers require both.",
        )
    elif unsubscribe and "https:" in unsubscribe and "list-unsubscribe-post" not in headers:
        yield Finding(
            "one_click",
            "It has a header List-Unsubscribe, but no List-Unsubscribe-Post.",
            "Add List-Unsubscribe-Post: List-Unsubscribe=One-Click (RFC 8058).",
        )


def _links(html: str) -> Iterator[Finding]:
    targets = {found[1] for found in _ID.finditer(html)} | {"top"}
    nowhere: dict[str, None] = {}
    private: dict[str, None] = {}
    for href in hrefs(html):
        if not _leads_somewhere(href, targets):
            nowhere[href] = None
        elif (host := _host(href)) and is_loopback(host):
            private[href] = None
    if nowhere:
        yield Finding(
            "links",
            f"{_counted(len(nowhere), 'link leads', 'links lead')} nowhere: {_listed(nowhere)}.",
            "A link needs a whole address with https://, or a place in the mail that exists.",
        )
    if private:
        yield Finding(
            "local_links",
            f"{_counted(len(private), 'link leads', 'links lead')} to the reader's own machine:"
            f" {_listed(private)}.",
            "Set the public address of your site where the mail is made.",
        )


def _leads_somewhere(href: str, targets: set[str]) -> bool:
    if not href or href == "#" or _PLACEHOLDER.search(href):
        return False
    if href.startswith("#"):
        return href[1:] in targets or unquote(href[1:]) in targets
    if href.lower().startswith(("http:", "https:")):
        host = _host(href)
        return host is not None and ("." in host or ":" in host or is_loopback(host))
    # A relative address has nothing that it could be relative to.
    return _SCHEME.match(href) is not None and not href.lower().startswith("javascript:")


def _host(href: str) -> str | None:
    try:
        parts = urlsplit(href)
    except ValueError:
        return None
    return parts.hostname if parts.scheme in ("http", "https") else None


def _counted(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _listed(links: Mapping[str, None]) -> str:
    shown = [link[:_MAX_SHOWN_CHARS] or "(empty)" for link in list(links)[:_MAX_LISTED]]
    return ", ".join((*shown, "...") if len(links) > _MAX_LISTED else shown)
