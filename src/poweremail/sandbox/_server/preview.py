"""
The HTML of a mail as the page shows it.

Nothing here makes hostile HTML safe. The browser does that: it shows the mail in a frame that may
run no script and load nothing, by the headers of `poweremail.sandbox._server.headers`. This module
does the rest: inline images become part of the HTML, links open nothing, and elements go for which
browsers connect before they look at those headers. tests/ui/test_hostile.py shows hostile mails to
chromium and records every connection.

Regular expressions do this on purpose. An HTML parser would have to agree with the browser about
broken HTML; a replaced name of an element is gone however the browser reads the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from poweremail.sandbox._api.inline import find_image, replace_cids

__all__ = ["MAX_IMAGE_CHARS", "preview"]

MAX_IMAGE_CHARS = 64 * 1024 * 1024
"""As much as a whole request may have: each image once is never too much."""

# Chromium connects for these elements even if it may not load them.
_FRAMES = re.compile(
    r"<(?=(?:iframe|frame|fencedframe|portal|object|embed|applet)[\s/>])", re.IGNORECASE
)
_LINKS = re.compile(r"<(?=link[\s/>])", re.IGNORECASE)
_TARGET = re.compile(r"(?<=[\s\"'/])tar(?=get\s*=)", re.IGNORECASE)
# A link in an SVG ignores the <base> of the page, so it needs a target of its own, and an animation
# could change that one.
_SVG = re.compile(r"<svg[\s/>]", re.IGNORECASE)
_SVG_LINKS = re.compile(r"<a(?=[\s/>])", re.IGNORECASE)
_ANIMATIONS = re.compile(r"<(?=(?:set|animate)[\s/>])", re.IGNORECASE)
_DOCTYPE = re.compile(r"\s*<!doctype[^>]*>", re.IGNORECASE)


def preview(
    text: str, cids: Sequence[str], image: Callable[[int], str | None], *, remote: bool
) -> str:
    """
    Return the HTML *text* for the frame.

    - *cids*: the Content-IDs of the mail's images, in order.
    - *image*: returns the ``data:`` URL of the image with an index, or None if it is not shown.
    - *remote*: keep ``<link>``, for which a browser connects ahead of time, before it checks
      whether it may. Frames are never kept.

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
    # A followed link would replace the mail, so each gets a new window as its target, which the
    # frame may not open. The zero-width joiner turns "target" into an unknown attribute, and leaves
    # a text with this word as it looks. The <base> goes after the doctype: before it, the mail
    # would be shown in quirks mode.
    text = _TARGET.sub("\\g<0>\u200d", text)
    if _SVG.search(text):
        # A browser uses the first of two attributes with the same name.
        text = _SVG_LINKS.sub('\\g<0> target="_blank"', text)
        text = _ANIMATIONS.sub("<x-", text)
    doctype = _DOCTYPE.match(text)
    start = doctype.end() if doctype else 0
    return f'{text[:start]}<base target="_blank">{text[start:]}'
