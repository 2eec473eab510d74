"""
The reader of address headers (From, To, Cc, Bcc, Reply-To, Sender).

The problem: such a header decides who receives a mail, and people and programs write it in many
ways: encoded words, quoted names that contain commas or addresses, comments, groups, routes, stray
semicolons. A reader that guesses wrong sends a mail to a stranger or to nobody.

The invariant: a header is split into mailboxes by its structure alone, and only then are encoded
words decoded. So nothing inside a display name can become an address, whatever it decodes to. If a
mailbox has angle brackets, its address is what they contain.

Why not the standard library: its function for lists of addresses reads ``'x@y.org' <x@y.org>`` as
an address with quotes in it, takes the name for the address in ``a@x.org <b@y.org>``, ignores what
follows a semicolon, and its results differ between Python versions.

Strictness: by default, text that has no clear structure raises ValueError. With *lenient*, which
the sandbox uses because it shows whatever a client has sent, a character that cannot be understood
counts as white space, and the rest is read. Both modes agree on everything that the strict one
accepts.

Tests compare the reader with a generator that builds headers from known mailboxes
(tests/support/rfc5322.py) and shares no code with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from poweremail._mime import Mailbox
from poweremail._types.encoded_words import decode_words, has_words

_QUOTED = r'"(?:[^"\\]|\\.)*+"'
# Each character is matched once: no alternative can match what another one has begun. A bracket
# that is no domain literal is an ordinary character, as in "[EXTERNAL] Ada".
_TOKEN = re.compile(
    rf"(?P<space>\s+)|(?P<quoted>{_QUOTED})|(?P<angle><(?:{_QUOTED}|[^\"<>])*+>)"
    r"|(?P<special>[,:;])|(?P<atom>(?:\[[^][\"<>,;@]*\]|[^\s\"(),:;<>])++)",
    re.DOTALL,
)
_PARENTHESIS = re.compile(r"\\.|[()]", re.DOTALL)
# The route of RFC 822, which readers ignore (RFC 5322, 4.4).
_ROUTE = re.compile(r"\A@[^:\"]*:")
_SPACE_AROUND_DOTS = re.compile(r"\s*([.@])\s*")


def read_mailboxes(text: str, *, errors: str = "strict", lenient: bool = False) -> list[Mailbox]:
    """
    Return the mailboxes that the header value *text* lists.

    *errors*: ``"strict"`` raises UnicodeError if the bytes of an encoded word are not of its
    charset; ``"replace"`` makes them U+FFFD.
    *lenient*: text without a clear structure is read as far as possible instead of raising
    ValueError; *errors* counts as ``"replace"``.
    """
    if lenient:
        errors = "replace"
    found: list[Mailbox] = []
    item, group = _Item(errors), None
    for kind, piece in _tokens(text, lenient=lenient):
        if kind == "special" and piece != ":":
            found += item.mailboxes(group, lenient=lenient)
            item, group = _Item(errors), None if piece == ";" else group
        elif kind == "special" and group is None and item.angle is None:
            group, item = item.phrase(), _Item(errors)
        elif kind == "special" and not lenient:
            raise ValueError("has a colon where none can be")
        elif item.angle is None or kind in {"space", "comment"}:
            item.add(kind, piece)
        elif lenient:
            found += item.mailboxes(group, lenient=lenient)
            item = _Item(errors)
            item.add(kind, piece)
        else:
            raise ValueError(f"has {piece!r} after <{item.angle}>")
    return [*found, *item.mailboxes(group, lenient=lenient)]


def _tokens(text: str, *, lenient: bool) -> Iterator[tuple[str, str]]:
    position = 0
    while position < len(text):
        end = _end_of_comment(text, position) if text[position] == "(" else None
        if end is not None:
            yield "comment", text[position + 1 : end - 1]
        elif found := _TOKEN.match(text, position):
            end = found.end()
            yield str(found.lastgroup), found[0]
        elif lenient:
            # None of this kind that follows can be understood either; replacing them all at once
            # keeps the time linear.
            text = text[:position] + text[position:].replace(text[position], " ")
            continue
        elif text[position] == "(":
            raise ValueError(f"has a comment at position {position} that does not end")
        else:
            raise ValueError(f"has an unpaired {text[position]!r} at position {position}")
        position = end


def _end_of_comment(text: str, start: int) -> int | None:
    depth = 0
    for found in _PARENTHESIS.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(found[0], 0)
        if depth == 0:
            return found.end()
    return None


class _Item:
    """The tokens between two commas."""

    def __init__(self, errors: str) -> None:
        self.angle: str | None = None
        self._errors = errors
        self._tokens: list[tuple[str, str]] = []

    def add(self, kind: str, token: str) -> None:
        if kind == "angle":
            self.angle = token[1:-1].strip()
        else:
            self._tokens.append((kind, token))

    def phrase(self) -> str:
        """The tokens as text, decoded, with comments where they stand."""
        pieces: list[str] = []
        unquoted = ""
        for kind, token in self._tokens:
            if kind == "quoted":
                # RFC 2047, 5 forbids encoded words in quotes, and many programs write them there.
                content = re.sub(r"\\(.)", r"\1", token[1:-1], flags=re.DOTALL)
                pieces += (self._decode(unquoted), self._decode(content))
                unquoted = ""
            else:
                unquoted += {"space": " ", "comment": f"({token})"}.get(kind, token)
        return "".join((*pieces, self._decode(unquoted))).strip()

    def mailboxes(self, group: str | None, *, lenient: bool) -> list[Mailbox]:
        """The one mailbox of the item; none if it is empty."""
        if self.angle is not None:
            name = self.phrase()
            address = _ROUTE.sub("", self.angle)
        else:
            # Before there were display names, the name stood in a comment.
            comments = [token for kind, token in self._tokens if kind == "comment"]
            name = self._decode(" ".join(comments)).strip()
            address = "".join(
                " " if kind == "space" else token
                for kind, token in self._tokens
                if kind != "comment"
            ).strip()
            address = address if '"' in address else _SPACE_AROUND_DOTS.sub(r"\1", address)
            if not address:
                return []
        if has_words(address) and not lenient:
            raise ValueError(f"has an encoded word in the address {address!r}")
        return [Mailbox(name, address, group)]

    def _decode(self, text: str) -> str:
        return decode_words(text, errors=self._errors)
