"""
Address headers as RFC 5322 and mail programs write them, together with the mailboxes that they
list.

This is the oracle for the library's reader of address headers: it goes the other way, from
mailboxes to text, and shares no code with it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from hypothesis import strategies as st

ATEXT = "abcXYZ019!#$%&'*+-/?^_`{|}~"
# Everything that could end a name or begin an address, if somebody decoded before splitting.
AWKWARD = "ab ,;:<>@()[].\"\\'é✓\U0001f600"


@dataclass(frozen=True)
class Listed:
    """A header value, and the name and address of each mailbox in it."""

    text: str
    mailboxes: tuple[tuple[str, str], ...]


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\{char}" if char in '"\\' else char for char in text) + '"'


def _b_word(text: str) -> str:
    return f"=?utf-8?B?{base64.b64encode(text.encode()).decode()}?="


def _q_word(text: str) -> str:
    return "=?UTF-8?q?" + "".join(f"={byte:02X}" for byte in text.encode()) + "?="


_words = st.text(ATEXT, min_size=1, max_size=8)
_texts = st.text(AWKWARD, min_size=1, max_size=20).map(str.strip).filter(bool)
_comments = st.text("ab @,;<>.", max_size=8).map(lambda text: f"({text.strip()}(nested))")
_folds = st.sampled_from([" ", "  ", "\t", "\r\n ", "\r\n\t"])
_routes = st.sampled_from(["", "", "", "@relay.example:", "@a.example,@b.example:"])
_local_parts = st.lists(_words, min_size=1, max_size=3).map(".".join) | st.text(
    "ab ,;:<>@\\", min_size=1, max_size=8
).map(_quoted)
_domains = st.sampled_from(
    ["example.com", "mail.example.org", "[192.0.2.1]", "[IPv6:2001:db8::1]", "localhost"]
)
addresses = st.builds("{}@{}".format, _local_parts, _domains)


@st.composite
def _phrases(draw: st.DrawFn) -> tuple[str, str]:
    """A display name as it is written, and as it is meant."""
    text, name, after_encoded = "", "", False
    for _ in range(draw(st.integers(1, 4))):
        space = draw(_folds) if text else ""
        kind = draw(st.sampled_from(["word", "quoted", "encoded"]))
        if kind == "word":
            word = draw(_words)
            text, name = f"{text}{space}{word}", f"{name}{' ' * bool(name)}{word}"
        elif kind == "quoted":
            quoted = draw(_texts)
            text = f"{text}{space}{_quoted(quoted)}"
            name = f"{name}{' ' * bool(name)}{quoted}"
        else:
            encoded = draw(_texts)
            text = f"{text}{space}{draw(st.sampled_from([_b_word, _q_word]))(encoded)}"
            # White space between two encoded words is not shown.
            name = f"{name}{' ' * (bool(name) and not after_encoded)}{encoded}"
        after_encoded = kind == "encoded"
    return text, name


@st.composite
def _mailboxes(draw: st.DrawFn) -> Listed:
    address = draw(addresses)
    match draw(
        st.sampled_from(["bare", "commented", "angle", "named", "named", "outlook", "same"])
    ):
        case "bare":
            return Listed(address, (("", address),))
        case "commented":
            comment = draw(_comments)
            return Listed(f"{address} {comment}", ((comment[1:-1], address),))
        case "angle":
            return Listed(f"<{draw(_routes)}{address}>", (("", address),))
        case "outlook":
            address = draw(_words) + "@example.com"
            return Listed(f"'{address}' <{address}>", ((f"'{address}'", address),))
        case "same":
            # The name is somebody else's address.
            return Listed(f"victim@example.net <{address}>", (("victim@example.net", address),))
    text, name = draw(_phrases())
    comment = draw(st.just("") | _comments)
    # A comment is no part of the address, and nothing else to show; it is kept with the name.
    shown = f"{name} {comment}" if comment else name
    return Listed(f"{text}{draw(_folds)}<{address}>{comment}", ((shown, address),))


@st.composite
def headers(draw: st.DrawFn) -> Listed:
    """An address header with one mailbox or more."""
    text, found = "", []
    for index in range(draw(st.integers(1, 5))):
        text += draw(st.sampled_from([",", ", ", ",\r\n ", " , ,", "; "])) if index else ""
        if draw(st.integers(0, 5)) == 0:
            members = draw(st.lists(_mailboxes(), max_size=3))
            text += f"{draw(_words)}: {', '.join(member.text for member in members)};"
        else:
            members = [draw(_mailboxes())]
            text += members[0].text
        found += [mailbox for member in members for mailbox in member.mailboxes]
    return Listed(text, tuple(found))
