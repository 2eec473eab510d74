"""
From the parts of a message to one text, one HTML, and files.

A multipart is read for what it says about its parts: alternatives of each other, a body and what it
shows, or one after another.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import unescape

import attrs

from poweremail._mime.part import PARSER_FAILURES, Part

__all__ = ["Body", "File", "read_bodies"]

# Deeper than any mail that a person made; the reading is recursive.
_DEEPEST = 60
_BODY_TYPES = ("text/plain", "text/html")
# What a reader sees of HTML: text, or one of these elements.
_SEEN = re.compile(r"<(?:img|video|audio|svg|hr|table|input|button)\b", re.IGNORECASE)
_UNSEEN = re.compile(
    r"<(head|style|script|title)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.IGNORECASE | re.DOTALL
)
_HIDDEN_PARTS = {
    "multipart/encrypted": "an encrypted body: the service cannot carry it as such",
    "message/partial": "a piece of a message that was split",
    "message/external-body": "a body that is kept elsewhere",
}


# Apple Mail puts an empty document behind each file; one that is longer than this has something to
# show.
_LONGEST_EMPTY = 2000


def _shows_something(html: str) -> bool:
    return len(html) > _LONGEST_EMPTY or bool(
        _SEEN.search(html) or unescape(_UNSEEN.sub("", html)).strip()
    )


@attrs.frozen
class File:
    """A part that is no body. *related* says that it stands beside an HTML which may show it."""

    part: Part
    related: bool = False


@attrs.frozen
class Body:
    """
    What a reader sees in one place: a text, an HTML, or one of them as the alternative of the
    other.
    """

    text: str | None = None
    html: str | None = None


def read_bodies(whole: Part, losses: list[str]) -> tuple[Body, list[File]]:
    """
    Return the one body of *whole*, and all its files. What cannot be carried is added to *losses*.
    """
    reader = _Reader(losses)
    return reader.one(reader.read(whole, "", 0)), reader.files


class _Reader:
    def __init__(self, losses: list[str]) -> None:
        self.files: list[File] = []
        self._losses = losses

    def read(self, part: Part, place: str, depth: int) -> list[Body]:
        """
        The bodies of *part*, which is in a multipart of the type *place*, in the order in which
        they are shown.
        """
        if depth > _DEEPEST:
            self._losses.append(f"parts that are nested more than {_DEEPEST} deep")
            return []
        if hidden := _HIDDEN_PARTS.get(part.type):
            self._losses.append(hidden)
            return []
        if part.maintype == "multipart" or (part.children and part.maintype != "message"):
            return self._read_multipart(part, place, depth + 1)
        if self._is_body(part, place):
            return self._read_text(part)
        if place == "multipart/alternative" and part.disposition != "attachment":
            self._losses.append(f"a {part.type} alternative: the service takes a text and an HTML")
            # A calendar or AMP part is not for the eye; anything else is what somebody wanted to be
            # seen.
            if part.maintype != "text":
                self.files.append(File(part))
            return []
        self.files.append(File(part))
        return []

    def _is_body(self, part: Part, place: str) -> bool:
        if part.type not in _BODY_TYPES or part.disposition == "attachment":
            return False
        # Beside other parts, a text with a file name is a file that is shown; as the whole body or
        # an alternative it is the body.
        return place in {"", "multipart/alternative", "root"} or not part.name

    def _read_text(self, part: Part) -> list[Body]:
        try:
            text = part.text()
        except (*PARSER_FAILURES, UnicodeError) as error:
            self._losses.append(
                f"characters of the {part.type} body that cannot be decoded: {error}"
            )
            text = part.text(errors="replace")
        if part.cut_off:
            self._losses.append(f"the end of the {part.type} body, whose base64 is cut off")
        if part.type == "text/html":
            return [Body(html=text)] if _shows_something(text) else []
        return [Body(text=text)] if text.strip() else []

    def _read_multipart(self, part: Part, place: str, depth: int) -> list[Body]:
        children = [Part(child) for child in part.children]
        if not isinstance(part.payload, list) and part.content().strip():
            self._losses.append(
                f"the structure of a {part.type} body without parts: it is read as text"
            )
            return [Body(text=part.text(errors="replace"))]
        if part.type == "multipart/alternative":
            return self._read_alternatives(children, depth)
        if part.type == "multipart/related":
            return self._read_related(part, children, depth)
        if part.type == "multipart/signed" and len(children) > 1:
            self._losses.append(
                "the signature of a signed body: the service writes the mail anew, which would "
                "break it"
            )
            return self.read(children[0], place, depth)
        if part.type == "multipart/report":
            self._losses.append(
                "that the body is a report (multipart/report): its parts are carried as a body and "
                "attachments"
            )
        # A multipart of one part says nothing about it.
        inner = place if len(children) == 1 else part.type
        return [body for child in children for body in self.read(child, inner, depth)]

    def _read_alternatives(self, children: Iterable[Part], depth: int) -> list[Body]:
        text: str | None = None
        html: str | None = None
        for child in children:
            body = self.one(self.read(child, "multipart/alternative", depth))
            for type, old, new in (("text/plain", text, body.text), ("text/html", html, body.html)):
                if old is not None and new not in (None, old):
                    self._losses.append(f"a second {type} alternative: the last one stays")
            text, html = body.text or text, body.html or html
        return [Body(text, html)] if text or html else []

    def _read_related(self, part: Part, children: list[Part], depth: int) -> list[Body]:
        start = part.parameter("start").strip("<> ")
        root = next(
            (child for child in children if start and child.cid == start),
            children[0] if children else None,
        )
        bodies: list[Body] = []
        for child in children:
            if child is root:
                bodies += self.read(child, "root", depth)
            elif child.maintype == "multipart":
                bodies += self.read(child, part.type, depth)
            else:
                self.files.append(File(child, related=True))
        return bodies

    def one(self, bodies: list[Body]) -> Body:
        """The one body that *bodies*, shown one after another, can be said as."""
        if len(bodies) <= 1:
            return bodies[0] if bodies else Body()
        if all(body.html is None for body in bodies):
            return Body(
                text="\n".join(body.text.removesuffix("\n") for body in bodies[:-1] if body.text)
                + f"\n{bodies[-1].text}"
            )
        main = next(body for body in bodies if body.html is not None)
        for body in bodies:
            if body is not main:
                kind = "text/plain" if body.html is None else "text/html"
                self._losses.append(
                    f"that a second body ({kind}) is shown with the first: it is carried as an "
                    "attachment"
                )
                self.files.append(File(Part.of_text(body.html or body.text or "", kind)))
        return main
