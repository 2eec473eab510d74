"""
The links of a mail: those of its HTML, and the addresses in its text.

The regular expressions read on from where the last one ended, or have bounded repetitions, so that
no text makes them slow.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice

_MAX_LINKS = 500

# Outlook draws buttons with elements of VML, such as v:roundrect.
_LINK = re.compile(r"<(?:a|area|v:[a-z]{1,20})(?=[\s/])", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"[\s/]*([^\s/>=<]+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]*)))?")
_MAX_ATTRIBUTES = 50
_LINE_END = re.compile("[\t\r\n]")

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]{1,30}:", re.IGNORECASE)
_WEB = re.compile(r"https?://[^\s/?#]", re.IGNORECASE)
# They lead nowhere outside of the mail.
_NO_LINKS = ("javascript:", "vbscript:", "data:", "cid:", "about:", "blob:")

# It begins with a letter that is rare in texts, so that a search through megabytes is quick.
_COLON = re.compile(r":(?://|(?<=\bmailto:)|(?<=\btel:))", re.IGNORECASE)
_BEFORE_COLON = re.compile(r"[a-z][a-z0-9+.-]{1,30}\Z", re.IGNORECASE)
_MAX_SCHEME = 31
_AFTER_COLON = re.compile(r"[^\s<>\"\x00-\x1f\x7f]{1,4000}")
_OPENING = {")": "(", "]": "[", "}": "{", "\uff09": "\uff08", "'": "'"}
_MAX_END = 12
_END = frozenset(
    ".,;:!?*|)]}'\u2026\u2019\u201d\u00bb"
    "\u3001\u3002\u300b\u300d\u300f\u3011\uff01\uff09\uff0c\uff1a\uff1b\uff1f"
)


def find_links(html_part: str | None, text: str | None = None) -> list[str]:
    """
    Return the addresses that the links of a mail lead to, each once: those of the HTML first.

    Web, ``mailto:`` and ``tel:`` addresses and those of apps count, and neither anchors inside the
    mail nor stylesheets.
    """
    found = chain(filter(_is_link, hrefs(html_part or "")), _of_text(text or ""))
    return list(islice(dict.fromkeys(found), _MAX_LINKS))


def is_web_link(link: str) -> bool:
    """Return whether *link* leads to a web page."""
    return _WEB.match(link) is not None


def hrefs(source: str) -> Iterator[str]:
    """Yield the ``href`` of each link in the HTML *source*, as a browser reads it."""
    position = 0
    while found := _LINK.search(source, position):
        position = found.end()
        href = href_at(source, position)
        if href is not None:
            yield href


def href_at(source: str, position: int) -> str | None:
    """Return the ``href`` of the element whose name ends at *position*, or None."""
    href = attribute_at(source, position, "href")
    return None if href is None else _LINE_END.sub("", href.strip())


def attribute_at(source: str, position: int, name: str) -> str | None:
    """Return an attribute of the element whose name ends at *position*; None if it has none."""
    for _ in range(_MAX_ATTRIBUTES):
        found = _ATTRIBUTE.match(source, position)
        if found is None:
            return None
        if found[1].lower() == name:
            return html.unescape(next((value for value in found.groups()[1:] if value), ""))
        position = found.end()
    return None


def _is_link(href: str) -> bool:
    if href.lower().startswith(("http:", "https:")):
        return is_web_link(href)
    return bool(_SCHEME.match(href)) and not href.lower().startswith(_NO_LINKS)


def _of_text(text: str) -> Iterator[str]:
    end = 0
    for colon in _COLON.finditer(text):
        at = colon.start()
        if at < end:
            continue
        scheme = _BEFORE_COLON.search(text, max(end, at - _MAX_SCHEME), at)
        rest = scheme and _AFTER_COLON.match(text, at + 1)
        if scheme is None or rest is None:
            continue
        link, end = _without_end(text[scheme.start() : rest.end()]), rest.end()
        if _is_link(link) and not link.endswith("://"):
            yield link


def _without_end(link: str) -> str:
    """
    Return *link* without the punctuation of the sentence that it stands in.

    A bracket or quote at the end belongs to the link if its other half is in the link, too.
    """
    end = len(link)
    counts = Counter(link)
    for _ in range(_MAX_END):
        last = link[end - 1]
        if last not in _END:
            break
        opening = _OPENING.get(last)
        if opening == last and counts[last] % 2 == 0:
            break
        if opening and opening != last and counts[opening] >= counts[last]:
            break
        counts[last] -= 1
        end -= 1
    return link[:end]
