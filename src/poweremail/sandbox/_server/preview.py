"""
The HTML of a mail as the page shows it.

Nothing here makes hostile HTML safe: it is shown in a frame that may run no script and load
nothing, which the browser sees to (see `poweremail.sandbox._server.ui`). What is done here is the
rest: inline images get an address, and links open nothing.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from urllib.parse import unquote

__all__ = ["preview"]

# Where an address can stand: in an attribute, in url() of a style, in the list of a srcset.
# Bounded, so that no text makes it slow.
_CID = re.compile(r"([=(,]\s{0,8}[\"']?\s{0,8})cid:([^\s\"'<>()]{1,1000})", re.IGNORECASE)
# The names of elements for which a browser connects even where it is told not to load them: found
# out with chromium.
_FRAMES = re.compile(
    r"<(?=(?:iframe|frame|fencedframe|portal|object|embed|applet)[\s/>])", re.IGNORECASE
)
_LINKS = re.compile(r"<(?=link[\s/>])", re.IGNORECASE)
_TARGET = re.compile(r"(?<=[\s\"'/])tar(?=get\s*=)", re.IGNORECASE)
# A link in an SVG goes by its own target, and not by that of the page; an animation could give it
# another one.
_SVG = re.compile(r"<svg[\s/>]", re.IGNORECASE)
_SVG_LINKS = re.compile(r"<a(?=[\s/>])", re.IGNORECASE)
_ANIMATIONS = re.compile(r"<(?=(?:set|animate)[\s/>])", re.IGNORECASE)
_DOCTYPE = re.compile(r"\s*<!doctype[^>]*>", re.IGNORECASE)


def preview(text: str, images: Sequence[str], *, image_base: str, remote: bool) -> str:
    """
    Return the HTML *text* for the frame.

    *images* are the Content-IDs of the mail's images, in order; one is found at *image_base* and
    its index. No frame is left, and unless *remote* no ``<link>``: for these a browser connects, if
    only to be quick, before it asks whether it may.
    """
    indexes = {cid: index for index, cid in reversed(list(enumerate(images)))}

    def address(found: re.Match[str]) -> str:
        cid = unquote(html.unescape(found[2]))
        index = indexes.get(cid, indexes.get(found[2]))
        return found[0] if index is None else f"{found[1]}{image_base}{index}"

    text = _CID.sub(address, text)
    text = _FRAMES.sub("<x-", text)
    if not remote:
        text = _LINKS.sub("<x-", text)
    # A link that is followed would replace the mail: each is to open a window, which the frame may
    # not. A joiner of no width makes another attribute of the link's own target, and leaves text
    # that speaks of one as it looks. What stands before the doctype would change how the mail
    # looks.
    text = _TARGET.sub("\\g<0>\u200d", text)
    if _SVG.search(text):
        # Of an attribute that is there twice, a browser takes the first.
        text = _SVG_LINKS.sub('\\g<0> target="_blank"', text)
        text = _ANIMATIONS.sub("<x-", text)
    doctype = _DOCTYPE.match(text)
    start = doctype.end() if doctype else 0
    return f'{text[:start]}<base target="_blank">{text[start:]}'
