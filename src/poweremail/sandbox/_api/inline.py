"""Images inside the HTML of a mail: how it names them, and which bytes are one."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from urllib.parse import unquote

from poweremail._types.mime_types import without_parameters
from poweremail.sandbox._store.mail import CaughtFile

_QUOTE = r"(?:[\"']|&quot;|&apos;|&#0{0,5}3[49];|&#x0{0,5}2[27];)"
# The places of an address: an attribute, url() of a style, the list of a srcset. Repetitions are
# bounded or take all that they can get, so that no text makes it slow.
_CID = re.compile(
    rf"([=(,]\s{{0,8}}{_QUOTE}?\s{{0,8}})cid(?::|&colon;|&#0{{0,5}}58;|&#x0{{0,5}}3a;)"
    rf"(<)?((?:[^\s\"'<>()&]|(?!{_QUOTE})&)++)(?(2)>)",
    re.IGNORECASE,
)

# By their first bytes: https://mimesniff.spec.whatwg.org/#matching-an-image-type-pattern
_IMAGES = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBPVP", re.DOTALL), "image/webp"),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), "image/avif"),
    (re.compile(rb"BM"), "image/bmp"),
    (re.compile(rb"\x00\x00[\x01\x02]\x00"), "image/x-icon"),
)


# Browsers show these, and no others, as an image. An SVG that is shown as one runs no script and
# loads nothing.
_SHOWN = {
    f"image/{kind}"
    for kind in ("png", "jpeg", "jpg", "gif", "webp", "avif", "bmp", "x-icon", "svg+xml")
}


def replace_cids(text: str, replace: Callable[[str], str | None]) -> str:
    """
    Return the HTML *text* with the ``cid:`` addresses that *replace* returns an address for.

    It gets each as it is written, without ``cid:``.
    """

    def replaced(found: re.Match[str]) -> str:
        address = replace(found[3])
        return found[0] if address is None else f"{found[1]}{address}"

    return _CID.sub(replaced, text)


def find_image(cids: Sequence[str], reference: str) -> int | None:
    """
    Return the index of the image that *reference* of an HTML means, or None.

    *cids* are Content-IDs. Programs write references with entities, with percent signs or with
    neither, and some change the case.
    """
    decoded = html.unescape(reference)
    for spelling in (decoded, unquote(decoded), reference):
        if spelling in cids:
            return cids.index(spelling)
    folded = [cid.casefold() for cid in cids]
    wanted = unquote(decoded).strip("<> ").casefold()
    return folded.index(wanted) if wanted in folded else None


def used_images(text: str | None, cids: Sequence[str]) -> set[int]:
    """Return the indexes of the images that the HTML *text* shows."""
    used = set[int]()
    for found in _CID.finditer(text or ""):
        index = find_image(cids, found[3])
        if index is not None:
            used.add(index)
    return used


def image_type(type: str, content: bytes) -> str | None:
    """Return the MIME type of an image: *type* if it is one, else what *content* begins with."""
    named = without_parameters(type)
    if named.startswith("image/") and named != "image/*":
        return named
    return next((name for pattern, name in _IMAGES if pattern.match(content)), None)


def shown_type(file: CaughtFile) -> str | None:
    """Return the MIME type under which a browser shows *file*, an image or a PDF; else None."""
    if file.content.startswith(b"%PDF-"):
        return "application/pdf"
    named = image_type(file.type, file.content)
    return named if named in _SHOWN else image_type("", file.content)
