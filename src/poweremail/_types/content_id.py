"""
References to a Content-ID in HTML.

A reference is the beginning of an attribute's value (``src="cid:logo"``) or of a CSS ``url()``. It
must stand in a tag or in a style sheet: ``cid:`` in prose, in the query of a link or in a comment
is text. Outlook's conditional comments contain tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import unquote

# Comments, which have no group, style sheets, and tags, whose quoted values may contain ">". No
# tag goes on after the next "<", so that the time is linear.
_MARKUP = re.compile(
    r"<!--(?!\s*\[if).*?(?:-->|\Z)"
    r"|(<style\b.*?(?:</style|\Z)|<[a-z](?:[^<>\"']|\"[^\"<]*+\"|'[^'<]*+')*+>|<[a-z][^<>]*+>)",
    re.IGNORECASE | re.DOTALL,
)
_CID = re.compile(
    r"""(?:(?<=[\s"'/])[a-z][\w:.-]*+\s*+=|\burl\()\s*+"""
    r"""(?:(["'])\s*+)?cid:((?(1)(?:(?!\1)[^<>])+|[^"'()\s<>]+))""",
    re.IGNORECASE,
)


def cid_references(html: str) -> Iterator[re.Match[str]]:
    """
    Find the references to a Content-ID in *html*. Group 2 of each match is the id as it is written
    there: see `spellings`.
    """
    for markup in _MARKUP.finditer(html):
        if markup[1] is not None:
            yield from _CID.finditer(html, markup.start(), markup.end())


def spellings(cid: str) -> set[str]:
    """
    The ids that the reference *cid* may mean: it may have the escapes of HTML and of URLs (RFC
    2392), and a srcset continues after a space.
    """
    plain = unescape(cid).strip()
    return {
        form for text in (cid, plain, plain.partition(" ")[0]) for form in (text, unquote(text))
    }
