"""Where HTML refers to a Content-ID, and what is meant there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import unquote

__all__ = ["cid_references", "spellings"]

# A Content-ID where HTML or CSS refers to one: src="cid:x", src=cid:x, url(cid:x). Prose that
# mentions "cid:" is not meant.
_CID = re.compile(
    r"""(?:=|\burl\()\s*+(?:(["'])\s*+)?cid:((?(1)(?:(?!\1)[^<>])+|[^"'()\s<>]+))""", re.IGNORECASE
)


def cid_references(html: str) -> Iterator[re.Match[str]]:
    """
    Find where *html* refers to a Content-ID; group 2 of each match is the id, as it is spelt there
    (see `spellings`).
    """
    return _CID.finditer(html)


def spellings(cid: str) -> set[str]:
    """
    What *cid* may stand for: it may have the escapes of HTML and of URLs (RFC 2392), and a srcset
    goes on after a space.
    """
    plain = unescape(cid).strip()
    return {
        form for text in (cid, plain, plain.partition(" ")[0]) for form in (text, unquote(text))
    }
