"""
The addresses of a header, as RFC 5322 has them and as they are seen.

The standard library's reader is not asked: it makes ``'x@y.org' <x@y.org>`` an address with quotes
in it, takes the name for the address in ``a@x.org <b@y.org>``, and passes over what follows a
semicolon. A mail would go astray, or to nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from poweremail._mime.words import decode_words, has_words

__all__ = ["Mailbox", "read_mailboxes"]

_QUOTED = r'"(?:[^"\\]|\\.)*"'
# One look at each character: no branch can match what another has begun.
_WORD = re.compile(
    rf"(?P<space>\s+)|(?P<quoted>{_QUOTED})|(?P<angle><(?:{_QUOTED}|[^\"<>])*>)|(?P<special>[,:;])"
    r"|(?P<atom>(?:\[[^\[\]]*\]|[^\s\"(),:;<>\[\]])+)",
    re.DOTALL,
)
_PAREN = re.compile(r"\\.|[()]", re.DOTALL)
# The route of RFC 822, which RFC 5322 tells readers to pass over.
_ROUTE = re.compile(r"@[^:\"]*:")
_AROUND_DOTS = re.compile(r"\s*([.@])\s*")


@attrs.frozen
class Mailbox:
    """
    A display name, an address as it is written, which may be none, and the name of the group that
    it is in.
    """

    name: str
    address: str
    group: str | None = None


def read_mailboxes(text: str, *, errors: str = "strict") -> list[Mailbox]:
    """
    Return the mailboxes that *text* lists, encoded words decoded.

    Raises ValueError where it cannot be taken apart, and UnicodeError where the bytes of a name are
    not of its charset, unless *errors* is ``"replace"``.
    """
    found: list[Mailbox] = []
    item, group = _Item(errors), None
    for kind, word in _words(text):
        if kind != "special":
            item.add(kind, word)
        elif word == ":":
            if group is not None or item.angle is not None:
                raise ValueError("has a colon where none can be")
            group, item = item.phrase(), _Item(errors)
        else:
            found += item.mailboxes(group)
            item, group = _Item(errors), None if word == ";" else group
    return [*found, *item.mailboxes(group)]


def _words(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        if text[position] == "(":
            end = _end_of_comment(text, position)
            yield "comment", text[position + 1 : end - 1]
        elif found := _WORD.match(text, position):
            end = found.end()
            yield str(found.lastgroup), found[0]
        else:
            raise ValueError(
                f"has {text[position]!r} at position {position}, which nothing ends or begins"
            )
        position = end


def _end_of_comment(text: str, start: int) -> int:
    depth = 0
    for found in _PAREN.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    raise ValueError(f"has a comment at position {start} that does not end")


class _Item:
    """What stands between two commas."""

    def __init__(self, errors: str) -> None:
        self.angle: str | None = None
        self._errors = errors
        self._words: list[tuple[str, str]] = []

    def add(self, kind: str, word: str) -> None:
        if self.angle is not None and kind not in {"space", "comment"}:
            raise ValueError(f"has {word!r} after <{self.angle}>")
        if kind == "angle":
            self.angle = word[1:-1].strip()
        else:
            self._words.append((kind, word))

    def phrase(self) -> str:
        """The words as text, with comments where they stand."""
        pieces: list[str] = []
        run = ""
        for kind, word in self._words:
            if kind == "quoted":
                # Encoded words have no business in quotes, and are seen there everywhere.
                pieces += (
                    self._decoded(run),
                    self._decoded(re.sub(r"\\(.)", r"\1", word[1:-1], flags=re.DOTALL)),
                )
                run = ""
            else:
                run += {"space": " ", "comment": f"({word})"}.get(kind, word)
        return "".join((*pieces, self._decoded(run))).strip()

    def mailboxes(self, group: str | None) -> list[Mailbox]:
        """The one mailbox, or none where there is nothing between the commas."""
        comments = [word for kind, word in self._words if kind == "comment"]
        if self.angle is not None:
            name, address = (
                self.phrase(),
                _ROUTE.sub("", self.angle, count=1) if self.angle.startswith("@") else self.angle,
            )
        else:
            # Before there were display names, the name stood in a comment.
            name = self._decoded(" ".join(comments)).strip()
            address = "".join(
                " " if kind == "space" else word for kind, word in self._words if kind != "comment"
            ).strip()
            address = address if '"' in address else _AROUND_DOTS.sub(r"\1", address)
            if not address:
                return []
        if has_words(address):
            raise ValueError(f"has an encoded word in the address {address!r}")
        return [Mailbox(name, address, group)]

    def _decoded(self, text: str) -> str:
        return decode_words(text, errors=self._errors)
