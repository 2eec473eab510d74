"""
The HTML of a mail as the page shows it.

Nothing here makes hostile HTML safe. The browser does that: it shows the mail in a frame that may
run no script and load nothing, by the headers of `poweremail.sandbox._server.headers`. This module
does the rest: inline images become part of the HTML, links open in a new tab, and elements go for
which browsers connect before they look at those headers. tests/ui/test_hostile.py shows hostile
mails to chromium and records every connection.

Regular expressions do this on purpose. An HTML parser would have to agree with the browser about
broken HTML; a replaced name of an element is gone however the browser reads the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial

from poweremail.sandbox._api.inline import find_image, replace_cids
from poweremail.sandbox._store.links import href_at

MAX_IMAGE_CHARS = 64 * 1024 * 1024
"""As much as a whole request may have: each image once is never too much."""

# Chromium connects for these elements even if it may not load them.
_FRAMES = re.compile(
    r"<(?=(?:iframe|frame|fencedframe|portal|object|embed|applet)[\s/>])", re.IGNORECASE
)
_LINKS = re.compile(r"<(?=link[\s/>])", re.IGNORECASE)
_ANCHORS = re.compile(r"<(?:a|area)(?=[\s/>])", re.IGNORECASE)
# An animation of an SVG could change what its links are made to do.
_SVG = re.compile(r"<svg[\s/>]", re.IGNORECASE)
_ANIMATIONS = re.compile(r"<(?=(?:set|animate)[\s/>])", re.IGNORECASE)
# The condition of a style: in @media, and in the attribute of an element.
_MEDIA = re.compile(r"(?:@media|\bmedia\s{0,8}=)[^{}<>]{1,300}", re.IGNORECASE)
_SCHEME = re.compile(
    r"\(\s{0,8}prefers-color-scheme\s{0,8}:\s{0,8}(dark|light)\s{0,8}\)", re.IGNORECASE
)
_MEDIUM = re.compile(r"\b(print|screen)\b", re.IGNORECASE)
_DOCTYPE = re.compile(r"\s*<!doctype[^>]*>", re.IGNORECASE)


def preview(
    text: str,
    cids: Sequence[str],
    image: Callable[[int], str | None],
    *,
    remote: bool = False,
    dark: bool | None = None,
    printed: bool = False,
) -> str:
    """
    Return the HTML *text* for the frame.

    - *cids*: the Content-IDs of the mail's images, in order.
    - *image*: returns the ``data:`` URL of the image with an index, or None if it is not shown.
    - *remote*: keep ``<link>``, for which a browser connects ahead of time, before it checks
      whether it may. Frames are never kept.
    - *dark*: whether its styles for dark programs apply; None leaves that to the browser.
    - *printed*: its styles for paper apply.

    Images are in the HTML, because an address of the sandbox would not be right behind every proxy:
    the frame of a mail has no origin, and no password. A mail may repeat a large image until
    `MAX_IMAGE_CHARS` are reached; the rest is not shown.
    """
    left = MAX_IMAGE_CHARS

    def address(reference: str) -> str | None:
        nonlocal left
        index = find_image(cids, reference)
        shown = None if index is None else image(index)
        left -= len(shown or "")
        return shown if left >= 0 else None

    text = replace_cids(text, address)
    text = _FRAMES.sub("<x-", text)
    if not remote:
        text = _LINKS.sub("<x-", text)
    text = _ANCHORS.sub(_with_target, text)
    if _SVG.search(text):
        text = _ANIMATIONS.sub("<x-", text)
    if dark is not None or printed:
        text = _MEDIA.sub(partial(_applied, dark=dark, printed=printed), text)
    # After the doctype: before it, the mail would be shown in quirks mode.
    doctype = _DOCTYPE.match(text)
    start = doctype.end() if doctype else 0
    return f'{text[:start]}<base target="_blank">{text[start:]}'


def _with_target(tag: re.Match[str]) -> str:
    """
    Return the beginning of a link that opens in a new tab, which learns nothing about this page; or
    of one that leads to another place in the same mail.

    A browser uses the first of two attributes with the same name. They have no quotes, which could
    end the value of an attribute in which something looks like a link.
    """
    href = href_at(tag.string, tag.end()) or ""
    is_inside = len(href) > 1 and href.startswith("#")
    return f"{tag[0]} target={'_self' if is_inside else '_blank rel=noreferrer'} "


def _applied(condition: re.Match[str], *, dark: bool | None, printed: bool) -> str:
    text = condition[0]
    if dark is not None:
        wanted = "dark" if dark else "light"
        text = _SCHEME.sub(
            lambda scheme: "(min-width:0)" if scheme[1].lower() == wanted else "(max-width:0)", text
        )
    if printed:
        other = {"print": "screen", "screen": "print"}
        text = _MEDIUM.sub(lambda medium: other[medium[1].lower()], text)
    return text
