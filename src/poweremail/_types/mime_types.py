"""
MIME types and the file name suffixes that go with them, the same on every machine.

The standard library's table depends on the Python version and on the machine's ``mime.types``: a
container has none and would send a calendar or a spreadsheet as a stream of bytes. So only the
table that comes with Python is used, and what people attach to mails is listed here.
"""

from __future__ import annotations

import re
from functools import cache
from mimetypes import MimeTypes
from pathlib import PurePath

UNKNOWN_TYPE = "application/octet-stream"

_OFFICE = "application/vnd.openxmlformats-officedocument"
_OPEN_DOCUMENT = "application/vnd.oasis.opendocument"
_TYPES = {
    ".7z": "application/x-7z-compressed",
    ".avif": "image/avif",
    ".csv": "text/csv",
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".eml": "message/rfc822",
    ".epub": "application/epub+zip",
    ".heic": "image/heic",
    ".ics": "text/calendar",
    ".jfif": "image/jpeg",
    ".json": "application/json",
    ".log": "text/plain",
    ".m4a": "audio/mp4",
    ".md": "text/markdown",
    ".msg": "application/vnd.ms-outlook",
    ".odp": f"{_OPEN_DOCUMENT}.presentation",
    ".ods": f"{_OPEN_DOCUMENT}.spreadsheet",
    ".odt": f"{_OPEN_DOCUMENT}.text",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".rar": "application/vnd.rar",
    ".rtf": "application/rtf",
    ".vcf": "text/vcard",
    ".webp": "image/webp",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    ".yaml": "application/yaml",
    ".zip": "application/zip",
}
# Of a compressed file the compression travels: "report.tar.gz" is a gzip file.
_COMPRESSED = {
    "br": UNKNOWN_TYPE,
    "bzip2": "application/x-bzip2",
    "compress": "application/x-compress",
    "gzip": "application/gzip",
    "xz": "application/x-xz",
}
# A property of a calendar (RFC 5545, 3.7.2). A line that goes on begins with a space.
_METHOD = re.compile(
    rb"^METHOD(?:;[^:\r\n]*)?:[ \t]*([a-z0-9-]+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
# The usual suffix of types that have several.
_SUFFIXES = {"image/jpeg": ".jpg", "text/html": ".html", "text/plain": ".txt"}


def without_parameters(type: str) -> str:
    """Return the MIME type *type* in lower case, without its parameters."""
    return type.partition(";")[0].strip().lower()


@cache
def _table() -> MimeTypes:
    table = MimeTypes()
    for suffix, type in _TYPES.items():
        table.add_type(type, suffix)
    return table


def guess_type(name: str, content: bytes = b"") -> str:
    """
    Return the MIME type of a file called *name*, `UNKNOWN_TYPE` if its suffix is not known.

    *content*: its beginning. Mail programs offer to accept an invitation only if the type of a
    calendar has the method that its content has (RFC 6047, 2.4).
    """
    # Only the suffixes: the table reads a whole name as a URL, and some of them wrongly.
    suffixes = "".join(PurePath(name).suffixes[-2:])
    type, encoding = _table().guess_type(f"file{suffixes}")
    if encoding:
        return _COMPRESSED.get(encoding, UNKNOWN_TYPE)
    if type == "text/calendar" and (found := _METHOD.search(content)):
        return f"{type}; method={found[1].decode().upper()}; charset=utf-8"
    return type or UNKNOWN_TYPE


def guess_suffix(type: str) -> str:
    """Return the suffix of a file with the MIME *type*, ``.bin`` if it is not known."""
    return _SUFFIXES.get(type) or _table().guess_extension(type) or ".bin"
