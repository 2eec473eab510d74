"""References to a Content-ID in HTML."""

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
    Find the references to a Content-ID in *html*. Group 2 of each match is the id as it is written
    there: see `spellings`.
    """
    return _CID.finditer(html)


def spellings(cid: str) -> set[str]:
    """
    The ids that the reference *cid* may mean: it may have the escapes of HTML and of URLs (RFC
    2392), and a srcset continues after a space.
    """
    plain = unescape(cid).strip()
    return {
        form for text in (cid, plain, plain.partition(" ")[0]) for form in (text, unquote(text))
    }
