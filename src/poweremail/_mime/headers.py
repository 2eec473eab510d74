"""The headers of a message that a parser has read or that code has set."""

from __future__ import annotations

import re
from email.header import Header
from email.headerregistry import AddressHeader, BaseHeader
from email.message import EmailMessage
from email.message import Message as StdMessage
from email.parser import BytesParser
from email.policy import Compat32, EmailPolicy, compat32
from typing import Any

import attrs

from poweremail._mime import Mailbox
from poweremail._mime.addresses import read_mailboxes
from poweremail._mime.words import encode_words
from poweremail._types.encoded_words import decode_words

# A lone surrogate that stands for no byte.
_NOT_A_BYTE = re.compile("[\ud800-\udc7f\udd00-\udfff]")
# A fold is a line end before white space. Unfolding replaces both by one space.
_FOLD = re.compile(r"(?:\r\n|\r|\n)[ \t]")


def parse(data: bytes, policy: EmailPolicy[EmailMessage] | Compat32 = compat32) -> EmailMessage:
    """
    Return the message in *data*, with *policy*, in a time that is linear in its length.

    The parser reads each part's Content-Type. The newer policies need a time that is quadratic in
    the header's length for this: 140 KB of semicolons keep them busy for half a minute. So the
    message is parsed with the old policy, and its parts, which store headers unread with either
    policy, get the new one afterwards.
    """
    parser: Any = BytesParser  # typeshed ties the class of messages to the policy
    message: EmailMessage = parser(EmailMessage, policy=compat32).parsebytes(data)
    for part in message.walk():
        part.policy = policy
    return message


@attrs.frozen
class HeaderLine:
    """
    One header.

    *name*: its name as it is written.
    *text*: its value, unfolded.
    *value*: the object that the message holds.
    *is_garbled*: its value has bytes that are not UTF-8, each of them now U+FFFD.
    """

    name: str
    text: str
    value: object
    is_garbled: bool

    def decode(self, *, errors: str = "strict") -> str:
        """
        Return the value as text.

        Raises UnicodeError if bytes are not of their charset and *errors* is ``"strict"``.
        """
        self._check(errors)
        # The email package has decoded the headers that it represents as an object.
        decoded = isinstance(self.value, BaseHeader)
        return self.text if decoded else decode_words(self.text, errors=errors)

    def mailboxes(self, *, errors: str = "strict", lenient: bool = False) -> list[Mailbox]:
        """Return the mailboxes that the header lists. See `read_mailboxes`."""
        self._check("replace" if lenient else errors)
        text = self.text
        if isinstance(self.value, AddressHeader):
            # Lib/email/headerregistry.py, BaseHeader.__new__. Only the parse tree has the value as
            # it was given; the public attributes have dropped what the package did not understand.
            text = _encoded_source(getattr(self.value, "_parse_tree", text))
        return read_mailboxes(text, errors=errors, lenient=lenient)

    def _check(self, errors: str) -> None:
        if self.is_garbled and errors == "strict":
            raise UnicodeError("its bytes are not ASCII or UTF-8")


def _encoded_source(token: Any) -> str:
    """The source of a parse tree: decoded words are encoded again, so that they stay one token."""
    if getattr(token, "token_type", None) == "encoded-word":
        return " ".join(encode_words(str(token)))
    if not isinstance(token, list) or getattr(token, "token_type", None) in _WHOLE_TOKENS:
        return str(token)
    return "".join(map(_encoded_source, token))


# Tokens whose delimiters are not among their children.
_WHOLE_TOKENS = ("bare-quoted-string", "comment", "domain-literal")


def header_lines(message: StdMessage) -> list[HeaderLine]:
    """The headers of *message* in their order."""
    return [header_line(str(name), value) for name, value in message.raw_items()]


def header_line(name: str, value: object) -> HeaderLine:
    """The header *name*, whose value a message holds as *value*."""
    text = _encoded(value) if isinstance(value, Header) else str(value)
    is_garbled = False
    if not text.isascii():
        # The parser keeps bytes beyond ASCII as lone surrogates. They are UTF-8 by RFC 6532.
        data = text.encode("utf-8", "surrogateescape" if _is_escaped(text) else "replace")
        try:
            text = data.decode()
        except UnicodeError:
            text, is_garbled = data.decode("utf-8", "replace"), True
    return HeaderLine(name, _FOLD.sub(" ", text).strip(" \t\r\n"), value, is_garbled)


def _encoded(header: Header) -> str:
    try:
        # Without a limit of the line length. As encoded words, so that a comma in a name separates
        # no addresses.
        return header.encode(maxlinelen=0)
    except Exception:  # noqa: BLE001  of many kinds: see PARSER_FAILURES in part.py
        return str(header)


def _is_escaped(text: str) -> bool:
    return not _NOT_A_BYTE.search(text)
