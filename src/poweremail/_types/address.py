"""
Recipients, and the many ways in which people write them.

An address is checked for what makes it unusable (RFC 5321 and RFC 6531: lengths, one ``@``, no
spaces, control or invisible characters, no empty label in the domain), not for whether it exists.
International addresses pass as they are.

Several addresses in one string are several recipients. White space (line ends, too), a comma or a
semicolon separates two of them only if a complete address stands before it; otherwise it belongs to
the name, as in ``Billing, Inc. <billing@example.com>``. So no recipient that somebody wrote is
lost. The headers of messages have stricter rules: see `poweremail._mime.addresses`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import TypeAlias

import attrs

from poweremail._types.checks import CONTROL, body_text, header_text
from poweremail._types.encoded_words import decode_words
from poweremail.errors import UsageError

# atext of RFC 5322 with the non-ASCII of RFC 6531; dots only between atoms; or a quoted string.
# Classes say what is not in them: a range up to the last character of Unicode takes milliseconds to
# compile.
_ATOM = r"[^\x00-\x20\"(),.:;<>@\[\\\]\x7f-\x9f]+"
LOCAL_PART = re.compile(
    rf"(?:{_ATOM}(?:\.{_ATOM})*|\"(?:[^\"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*\")\Z"
)
_NOT_IN_LABEL = r"\x00-,./:-@\[-^`{-\x9f"
_LABEL = rf"[^\-{_NOT_IN_LABEL}](?:[^{_NOT_IN_LABEL}]*[^\-{_NOT_IN_LABEL}])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9A-Za-z:.\-]+\])\Z")
_SPACE = re.compile(r"\s")
# An <address>; a quoted local part may have a "<" of its own.
_ANGLE = r'<((?:"(?:[^"\\]|\\.)*"@)?[^<>"]*)>'
_ANGLE_AT_END = re.compile(rf"{_ANGLE}\Z")
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_IS_QUOTED = re.compile(rf"{_QUOTED}\Z")
# Chinese and Japanese keyboards write the last three.
_SEPARATORS = ",;\uff0c\uff1b\u3001"
# White space, a separator, an <address>, a quoted string, or a word. A quote inside a word is an
# ordinary character, as in 5".
_TOKEN = re.compile(
    rf"(?P<space>\s+)|(?P<separator>[{_SEPARATORS}])|(?P<angle>{_ANGLE})"
    rf"|(?P<word>{_QUOTED}(?:@[^\s{_SEPARATORS}<>]*)?|[^\s{_SEPARATORS}<]+|<)"
)
# An address that is not complete, as in 'ada@example.com', or is between unpaired quotation marks,
# is no recipient, but with a separator behind it it is no name either.
_ADDRESS_IN_NAME = re.compile(
    rf"[^\s@]@[\w\-.\[]++(?:>|[^\s\w@|/:{_SEPARATORS}]*+\s*+[|/:{_SEPARATORS}])"
)
# Line ends separate addresses, as in a cell of a spreadsheet. One before a header is an attack.
_LINE_ENDS = "\n\v\f\r"
_HEADER = re.compile(rf"[{_LINE_ENDS}][ \t]*[\w\-]+[ \t]*:")
_FORBIDDEN = re.compile(rf"(?![{_LINE_ENDS}]){CONTROL.pattern}")
# The Bidi_Control characters of Unicode. They can make a name read as something else.
_BIDI_CONTROLS = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_BIDI_CONTROL = re.compile(f"[{_BIDI_CONTROLS}]")


def _at_ends(characters: str) -> re.Pattern[str]:
    # Only from its first character is a run tried: from each, it would take quadratic time.
    return re.compile(rf"\A[{characters}]+|(?<![{characters}])[{characters}]++\Z")


# Invisible remains of copying from a web page, a chat or a spreadsheet.
_WHITE_SPACE = f" \t{_LINE_ENDS}"
_REMAINS = (
    rf"{_WHITE_SPACE}\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000"
    rf"\u00ad\u2060\ufeff{_BIDI_CONTROLS}"
)
_REMAINS_AT_ENDS = _at_ends(_REMAINS)
_BETWEEN = _at_ends(_REMAINS + _SEPARATORS)
# Invisible although they count as letters, marks or symbols; then U+FFFD, typographic quotes, and
# separators.
_ODD = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufffd\u2018\u2019\u201c\u201d"
    "\uff0c\uff1b\u3001"
)
_ODD_CATEGORIES = ("Cf", "Co", "Cs", "Zl", "Zp")
# The common address, recognised in one match; all others are checked below.
_PLAIN_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?+"
_PLAIN = re.compile(
    r"(?=.{1,64}@.{1,180}\Z)[A-Za-z0-9_%+\-]++(?:\.[A-Za-z0-9_%+\-]++)*+@"
    rf"{_PLAIN_LABEL}(?:\.{_PLAIN_LABEL})*+\Z"
)

# Common ways of writing that no address has, and what to write in their place.
_ADVICE = [
    (re.compile(pattern), advice)
    for pattern, advice in (
        ("(?i)<?mailto:", "leave out mailto:"),
        ("[^@]*[\uff20\ufe6b]", "write @ in place of the wide at sign"),
        ("[!-?A-~]+@[ -?A-~]*@", "separate several addresses by commas"),
        (r"\S+@\S+\s*\(", "write the name first: Ada <ada@example.com>"),
        (r"[^:@]*[^\s:@,;]\s+\S+@\S+\Z", "write the address after a name between < and >"),
        ("[\"'\u2018\u201c]", "leave out the quotation marks"),
        (r".*\.\Z", "leave out the dot at the end"),
    )
]

_MAX_LOCAL_BYTES = 64
_MAX_ADDRESS_BYTES = 254
_MAX_LABEL_CHARS = 63


def _unusable(address: str) -> str | None:  # noqa: PLR0911  one return a reason
    """The reason why *address* cannot be used, or None if it can."""
    if _PLAIN.match(address):
        return None
    local, at, domain = address.rpartition("@")
    if not at:
        return "has no @"
    if not local or not domain:
        return "has nothing before the @" if domain else "has nothing after the @"
    # Whoever takes the address raises a clear error for a lone surrogate.
    if len(local.encode(errors="surrogatepass")) > _MAX_LOCAL_BYTES:
        return f"has more than {_MAX_LOCAL_BYTES} bytes before the @"
    if len(address.encode(errors="surrogatepass")) > _MAX_ADDRESS_BYTES:
        return f"is longer than {_MAX_ADDRESS_BYTES} bytes"
    if _SPACE.search(domain) or (_SPACE.search(local) and not local.startswith('"')):
        return "has a space"
    if not address.isascii() and (odd := next(filter(_is_odd, address), None)):
        name = unicodedata.name(odd, "a character without a name")
        return f"has U+{ord(odd):04X} ({name}), which no address has"
    if not LOCAL_PART.match(local):
        return "has no valid local part before the @"
    if not _DOMAIN.match(domain) or any(
        len(label) > _MAX_LABEL_CHARS for label in domain.split(".")
    ):
        return "has no valid domain after the @"
    return None


def _is_odd(character: str) -> bool:
    code = ord(character)
    is_noncharacter = code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF  # noqa: PLR2004
    return (
        is_noncharacter
        or character in _ODD
        or (code > 127 and unicodedata.category(character) in _ODD_CATEGORIES)  # noqa: PLR2004
    )


def trim(text: str) -> str:
    """*text* without white space, and without characters that nobody sees, at its ends."""
    return text.strip(_WHITE_SPACE) if text.isascii() else _REMAINS_AT_ENDS.sub("", text)


def _email(value: object) -> str:
    email = header_text("email", trim(value) if isinstance(value, str) else value)
    if reason := _unusable(email):
        start = email[:_MAX_ADDRESS_BYTES]
        advice = next((advice for mistake, advice in _ADVICE if mistake.match(start)), None)
        raise UsageError(f"{email!r} {reason}", field="email", advice=advice)
    return email


def _name(value: object) -> str | None:
    if value is None:
        return None
    # At its ends, too: a line end there is a remainder of an attack or of a mistake.
    name = trim(header_text("name", _decoded(value)))
    if not name.isascii() and (found := _BIDI_CONTROL.search(name)):
        raise UsageError(
            f"has U+{ord(found[0]):04X} ({unicodedata.name(found[0])}) at position "
            f"{found.start()}, which changes the direction of the text",
            field="name",
        )
    return name or None


def _decoded(name: object) -> object:
    """
    *name* without encoded words, which `email.utils.formataddr` and `email.header.Header` write;
    some programs do so twice. A word that cannot be decoded stays.
    """
    try:
        while isinstance(name, str) and "=?" in name and (decoded := decode_words(name)) != name:
            name = decoded
    except UnicodeError:
        pass
    return name


@attrs.frozen
class Recipient:
    """
    One mailbox: *email* and, where known, the display *name*. Encoded words in a name are decoded.

    Raises `UsageError` for an address that cannot be used, or a control character in either.
    """

    email: str = attrs.field(converter=_email)
    name: str | None = attrs.field(default=None, converter=_name)

    def __str__(self) -> str:
        if self.name is None:
            return self.email
        escaped = self.name.replace("\\", "\\\\").replace('"', '\\"')
        return (
            f'"{escaped}" <{self.email}>'
            if _needs_quotes(self.name)
            else f"{self.name} <{self.email}>"
        )

    @classmethod
    def parse(cls, text: str) -> Recipient:
        """
        Read ``ada@example.com``, ``Ada <ada@example.com>`` or ``"Lovelace, Ada"
        <ada@example.com>``.
        """
        text = trim(body_text("email", text))
        if lists_several(text):
            raise UsageError(
                f"{text!r} lists several addresses, and only one can stand here",
                field="email",
                advice="give one; put a name that contains an address in double quotes",
            )
        if not header_text("email", text).endswith(">"):
            return cls(text)
        found = _ANGLE_AT_END.search(text)
        if not found:
            raise UsageError(f"{text!r} does not end in an address between < and >", field="email")
        name = text[: found.start()].strip()
        if "@" in name and not _IS_QUOTED.match(name) and _ADDRESS_IN_NAME.search(name):
            raise UsageError(
                f"{text!r} seems to have another address before <{found[1]}>",
                field="email",
                advice="separate addresses by commas; put a name with an address in double quotes",
            )
        return cls(found[1], unquote(name))


def _split(text: str) -> list[str]:
    """Return *text* in parts of one mailbox each, by the rule at the head of this file."""
    may_list = text.count("@") > 1 or "," in text or ";" in text or not text.isascii()
    # An unexpected control character makes all of it invalid, wherever it stands.
    if not may_list or _HEADER.search(text) or _FORBIDDEN.search(text):
        return [text]
    parts: list[str] = []
    start = 0
    # The kind of token that has completed an address, if one has: a word or an angle.
    complete: str | None = None
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "space":
            # A word before <...> is a name, even if it is an address, too.
            after = text[token.end() : token.end() + 1]
            ends = complete == "angle" or (complete == "word" and after != "<")
        else:
            ends = complete is not None and (kind == "separator" or complete == "angle")
        if ends:
            parts.append(text[start : token.start()])
            start, complete = token.start(), None
        if kind == "angle" and not _unusable(trim(token["angle"][1:-1])):
            complete = "angle"
        elif kind == "word":
            complete = None if _unusable(trim(token[0])) else "word"
        elif kind == "separator":
            complete = None
    parts.append(text[start:])
    return [part for each in parts if (part := _BETWEEN.sub("", each))] or [text]


def lists_several(text: str) -> bool:
    """Whether *text* lists more than one address."""
    return len(_split(text)) > 1


def is_domain(text: str) -> bool:
    """Whether *text* is the name of a domain with a dot in it, such as ``example.com``."""
    return "." in text and not text.startswith("[") and _unusable(f"postmaster@{text}") is None


def _needs_quotes(name: str) -> bool:
    return any(character in f'()<>[]:@\\."{_SEPARATORS}' for character in name)


def unquote(name: str) -> str:
    """*name* without the double quotes around it and the backslashes in it, if it has them."""
    if len(name) > 1 and name.startswith('"') and name.endswith('"'):
        return re.sub(r"\\(.)", r"\1", name[1:-1])
    return name


AddressLike: TypeAlias = "str | tuple[str | None, str] | Recipient"
"""
One address: ``"Ada <ada@example.com>"``, a pair ``("Ada", "ada@example.com")``, or a `Recipient`.
"""

AddressesLike: TypeAlias = "AddressLike | Iterable[AddressLike]"
"""One address or many; a string may list several."""


def recipient(field: str, value: object) -> Recipient:
    """Read one address; the `UsageError` of an unusable one names *field*."""
    if isinstance(value, Recipient):
        return value
    try:
        if isinstance(value, str):
            return Recipient.parse(value)
        if isinstance(value, tuple) and len(value) == 2:  # noqa: PLR2004
            return _of_pair(*value)
    except UsageError as error:
        raise UsageError(error.reason, field=field, advice=error.advice) from None
    raise UsageError(
        f"cannot read {value!r} as an address: give a str, a (name, address) pair or a Recipient",
        field=field,
    )


def _of_pair(name: object, email: object) -> Recipient:
    # The standard library's order is name, address; some write it the other way round, and only one
    # has the @.
    if isinstance(name, str) and "@" in name and not (isinstance(email, str) and "@" in email):
        name, email = email, name
    if isinstance(name, str) and name != email and not _unusable(name):
        advice = "give two addresses as a list of two str"
        raise UsageError(
            f"cannot tell which of {(name, email)!r} is the name", field="email", advice=advice
        )
    return Recipient(_email(email), _name(name))


def recipients(field: str, value: object) -> tuple[Recipient, ...]:
    """
    Read one address or many, each string perhaps several of them.

    A tuple of two strings is a pair if exactly one of them has an ``@``; otherwise it is two
    addresses.
    """
    if isinstance(value, Recipient) or _is_pair(value):
        return (recipient(field, value),)
    if isinstance(value, str):
        return tuple([recipient(field, part) for part in _split(value)])
    if isinstance(value, bytes | dict) or not isinstance(value, Iterable):
        raise UsageError(f"must be an address or several, not {type(value).__name__}", field=field)
    return tuple(
        [
            recipient(f"{field}[{index}]", part)
            for index, item in enumerate(value)
            for part in (_split(item) if isinstance(item, str) else (item,))
        ]
    )


def _is_pair(value: object) -> bool:
    match value:
        case (str() | None as first, str() | None as second) if isinstance(value, tuple):
            return (
                sum("@" in part for part in (first, second) if part) == 1
                and "<" not in f"{first}{second}"
            )
        case _:
            return False
