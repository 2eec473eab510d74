"""
Reading and writing mails: one reader of address headers, one reader of messages, one writer.

All of them work on the plain values below: the client's messages, the sandbox and the SMTP release
stand above and convert from and to them. `words` is about text, `addresses` and `headers` about
headers; `part` reads one MIME part, `reader` chooses the bodies and files of a whole message,
`writer` makes a message. What programs write that no standard allows is read in `addresses`
(mailboxes), `headers` or `part` (labels, names and encodings), wherever a message comes from.

The standard library's ``email`` package parses the structure and generates the bytes. Its readers
and writers of single headers are not used: they differ between Python versions, and some of them
lose data. Importing that package takes a while, so the modules of this room are loaded on first
use.
"""

from __future__ import annotations

import attrs

from poweremail._types.mime_types import without_parameters


@attrs.frozen
class Mailbox:
    """
    One mailbox of an address header.

    *name*: the display name, decoded; empty if there is none.
    *address*: the address as it is written; nothing says that it is valid.
    *group*: the name of the group that lists the mailbox.
    """

    name: str
    address: str
    group: str | None = None


@attrs.frozen(kw_only=True)
class File:
    """
    A part of a mail that is not its body.

    *name*: the file name; empty if there is none.
    *name_is_garbled*: the name has bytes that are not of its charset, each of them now U+FFFD.
    *type*: the MIME type with its parameters.
    *cid*, *location*: the Content-ID without angle brackets, and the Content-Location.
    *related*: the part stands beside an HTML body, which may show it.
    *is_attachment*: the part's disposition is ``attachment``.
    """

    name: str
    type: str
    content: bytes = attrs.field(repr=lambda content: f"<{len(content)} bytes>")
    cid: str = ""
    location: str = ""
    related: bool = False
    is_attachment: bool = False
    name_is_garbled: bool = False

    @property
    def media_type(self) -> str:
        """The MIME type in lower case, without parameters."""
        return without_parameters(self.type)


@attrs.frozen
class Content:
    """The content of a mail below its headers: a text, an HTML, or both, and files."""

    text: str | None = None
    html: str | None = None
    files: tuple[File, ...] = ()
