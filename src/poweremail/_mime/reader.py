"""
The message reader: from the parts of a message to one text, one HTML, and files.

The problem: a message is a tree of parts, nested as deep as its sender liked, and PowerEmail takes
exactly one text, one HTML and a list of files. People see a mail as a sequence of bodies and files,
and two programs rarely build the same tree for the same mail.

The walk: each multipart is read for what it says about its children. *alternative*: versions of one
body, the last version of each kind counts. *related*: a body, and files that it shows. *mixed* and
all others: shown one after another. Reading a part returns the bodies that it shows, in order, and
collects files on the way; `_Reader.one` reduces the bodies of a sequence to a single one.

The invariant: every part ends up in the text, the HTML or the files, or a line in the list of
losses names it. Nothing is dropped silently. The client raises an error that lists the losses
unless its caller accepts them.

With *lenient*, which the sandbox uses, the tree is only displayed: the first text and the first
HTML are the body, and everything else is a file, including signatures and encrypted parts. The list
of losses has no meaning then.

Why not ``EmailMessage.get_body`` and ``iter_attachments``: they need the newer policies, whose
header readers fail on hostile input (see `part`), and they ignore parts that they do not know.

Tests read mails as well-known programs write them, every policy of the parser, structures made for
each rule, and mutilated mails (tests/messages/test_from_email_message.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from email.message import Message as StdMessage
from html import unescape
from typing import NamedTuple

from poweremail._mime import Content, File
from poweremail._mime.part import LINE_END, PARSER_FAILURES, Part, reason, shown

# Deeper than any mail that a person made; the reading is recursive.
_MAX_DEPTH = 60
_BODY_TYPES = ("text/plain", "text/html")
_NOT_CARRIED = {
    "multipart/encrypted": "an encrypted body: the service cannot carry it as such",
    "message/partial": "a piece of a message that was split",
    "message/external-body": "a body that is kept elsewhere",
}

# Apple Mail appends an empty document to each file. A longer one is not empty.
_MAX_EMPTY_HTML_CHARS = 2000
_VISIBLE_ELEMENT = re.compile(r"<(?:img|video|audio|svg|hr|table|input|button)\b", re.IGNORECASE)
_INVISIBLE = re.compile(
    r"<(head|style|script|title)\b.*?</\1\s*>|<!--.*?-->|<[^>]*>", re.IGNORECASE | re.DOTALL
)


class _Body(NamedTuple):
    """One place in the message: a text, an HTML, or both as alternatives of each other."""

    text: str | None = None
    html: str | None = None


def read_content(message: StdMessage, *, lenient: bool = False) -> tuple[Content, list[str]]:
    """
    Return the content of *message*, and a line for each loss.

    *lenient*: for display; see the head of this file. Raises one of `PARSER_FAILURES` if the
    ``email`` package cannot handle the message.
    """
    reader = _Reader(lenient=lenient)
    body = reader.one(reader.read(Part(message), "", 0))
    return Content(body.text, body.html, tuple(reader.files)), reader.losses


class _Reader:
    def __init__(self, *, lenient: bool) -> None:
        self.files: list[File] = []
        self.losses: list[str] = []
        self._lenient = lenient
        self._types_read: set[str] = set()

    def read(self, part: Part, parent: str, depth: int) -> list[_Body]:
        """
        Return the bodies that *part* shows, in order. *parent* is the type of the multipart around
        it, ``"root"`` for the root of a related one, and ``""`` for the whole message.
        """
        if depth > _MAX_DEPTH:
            self.losses.append(f"parts that are nested more than {_MAX_DEPTH} deep")
            return []
        if part.type in _NOT_CARRIED and not self._lenient:
            self.losses.append(_NOT_CARRIED[part.type])
            return []
        if part.maintype == "multipart" or (part.children and part.maintype != "message"):
            return self._read_multipart(part, parent, depth + 1)
        if self._is_body(part, parent):
            return [self._read_text(part)]
        if parent == "multipart/alternative" and part.disposition != "attachment":
            # Another version of the text, such as AMP, would show as a useless file.
            is_version = part.maintype == "text" and part.type != "text/calendar"
            carried = "it is left out" if is_version else "it is carried as an attachment"
            self.losses.append(
                f"that the {part.type} part is an alternative of the body: the service takes a "
                f"text and an HTML, so {carried}; messages.send_raw carries all of it"
            )
            if is_version and not self._lenient:
                return []
        self._add_file(part)
        return []

    def _is_body(self, part: Part, parent: str) -> bool:
        if part.type not in _BODY_TYPES or part.disposition == "attachment":
            return False
        if self._lenient and part.type in self._types_read:
            return False
        self._types_read.add(part.type)
        # Beside other parts, a text with a file name is a file that is shown. As an alternative or
        # as the whole body it is the body.
        return parent in {"", "multipart/alternative", "root"} or not part.name

    def _read_text(self, part: Part) -> _Body:
        try:
            text = part.text()
        except (*PARSER_FAILURES, UnicodeError) as error:
            self.losses.append(
                f"characters of the {part.type} body that cannot be decoded: {error}"
            )
            text = part.text(errors="replace")
        if part.cut_off:
            self.losses.append(f"the end of the {part.type} body, whose base64 is cut off")
        if part.type == "text/html":
            return _Body(html=text if self._lenient or _shows_something(text) else None)
        if part.parameter("format").lower() == "flowed":
            text = _unflow(text, delete_spaces=part.parameter("delsp").lower() == "yes")
        return _Body(text=text if self._lenient or text.strip() else None)

    def _read_multipart(self, part: Part, parent: str, depth: int) -> list[_Body]:
        if not isinstance(part.payload, list) and part.content().strip():
            self.losses.append(
                f"the structure of a {part.type} body without parts: it is read as text"
            )
            return [_Body(text=part.text(errors="replace"))]
        children = [Part(child) for child in part.children]
        if part.type == "multipart/alternative":
            return self._read_alternatives(children, depth)
        if part.type == "multipart/related":
            return self._read_related(part, children, depth)
        if part.type == "multipart/signed" and len(children) > 1 and not self._lenient:
            self.losses.append(
                "the signature of a signed body: the service writes a new mail, which would "
                "break it"
            )
            return self.read(children[0], parent, depth)
        if part.type == "multipart/report":
            self.losses.append(
                "that the body is a report (multipart/report): its parts are carried as a body and "
                "attachments"
            )
        # A multipart with a single part says nothing about that part.
        inner = parent if len(children) == 1 else part.type
        return [body for child in children for body in self.read(child, inner, depth)]

    def _read_alternatives(self, children: Iterable[Part], depth: int) -> list[_Body]:
        text: str | None = None
        html: str | None = None
        for child in children:
            body = self.one(self.read(child, "multipart/alternative", depth))
            for type, old, new in (("text/plain", text, body.text), ("text/html", html, body.html)):
                if old is not None and new not in (None, old):
                    self.losses.append(f"a second {type} alternative: the last one is carried")
            text, html = body.text or text, body.html or html
        return [_Body(text, html)]

    def _read_related(self, part: Part, children: list[Part], depth: int) -> list[_Body]:
        start = part.parameter("start").strip("<> ")
        roots = [child for child in children if start and child.cid == start] or children[:1]
        bodies: list[_Body] = []
        for child in children:
            if child is roots[0]:
                bodies += self.read(child, "root", depth)
            elif child.maintype == "multipart":
                bodies += self.read(child, part.type, depth)
            else:
                self._add_file(child, related=True)
        return bodies

    def one(self, bodies: list[_Body]) -> _Body:
        """Return one body instead of *bodies*, which are shown one after another."""
        bodies = [body for body in bodies if body != _Body()]
        if len(bodies) <= 1:
            return bodies[0] if bodies else _Body()
        if self._lenient:
            # There is one of each kind.
            kinds = zip(*bodies, strict=True)
            return _Body(
                *(next((text for text in kind if text is not None), None) for kind in kinds)
            )
        if all(body.html is None for body in bodies):
            first = [(body.text or "").removesuffix("\n") for body in bodies[:-1]]
            return _Body(text="\n".join((*first, bodies[-1].text or "")))
        main = next(body for body in bodies if body.html is not None)
        for body in bodies:
            if body is not main:
                type = "text/plain" if body.html is None else "text/html"
                self.losses.append(
                    f"that a second body ({type}) is shown with the first: it is carried as an "
                    "attachment"
                )
                content = (body.html or body.text or "").encode("utf-8", "replace")
                self.files.append(File(name="", type=f"{type}; charset=utf-8", content=content))
        return main

    def _add_file(self, part: Part, *, related: bool = False) -> None:
        self.files.append(
            File(
                name=part.name,
                name_is_garbled=part.name_is_garbled,
                type=" ".join(part.type_words),
                content=self._content(part),
                cid=part.cid,
                location=part.location,
                related=related,
                is_attachment=part.disposition == "attachment",
            )
        )

    def _content(self, part: Part) -> bytes:
        try:
            content = part.content()
        except PARSER_FAILURES as error:
            self.losses.append(f"the content of a {part.type} part: {reason(error)}")
            return b""
        if part.cut_off:
            self.losses.append(
                f"the end of the {part.type} part {shown(part.name)}, whose base64 is cut off"
            )
        return content


def _shows_something(html: str) -> bool:
    return len(html) > _MAX_EMPTY_HTML_CHARS or bool(
        _VISIBLE_ELEMENT.search(html) or unescape(_INVISIBLE.sub("", html)).strip()
    )


def _unflow(text: str, *, delete_spaces: bool) -> str:
    """
    Return *text*, whose format is *flowed* (RFC 3676), with each paragraph in one line.

    A line that ends in a space goes on in the next line of the same quote depth; *delete_spaces*
    (DelSp) removes that space. The sender put a space before lines that begin with a space, with
    ``>`` or with ``From``. The separator of a signature never goes on.
    """
    paragraphs: list[str] = []
    open_depth: int | None = None
    for line in LINE_END.sub("\n", text).removesuffix("\n").split("\n"):
        content = line.lstrip(">")
        depth = len(line) - len(content)
        content = content.removeprefix(" ")
        goes_on = content.endswith(" ") and content != "-- "
        continues = depth == open_depth and content != "-- "
        if goes_on and delete_spaces:
            content = content[:-1]
        if continues:
            paragraphs[-1] += content
        else:
            paragraphs.append(f"{'>' * depth} {content}" if depth else content)
        open_depth = depth if goes_on else None
    return "\n".join(paragraphs) + ("\n" if text.endswith("\n") else "")
