"""
The contents of files, each kept once.

Mails of a campaign often carry the same files. A content is kept under its digest, and its row is
deleted with the last file that has it. The request that brought a mail has its files once more, in
base64; there a mark stands for each, so that they are not kept twice.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence

from poweremail.sandbox._store.database import Store
from poweremail.sandbox._store.mail import CaughtFile

_MIN_BYTES = 200
"""A mark for fewer is not worth while."""

# As JSON spells the line ends of base64. JSON text has no control characters but in these marks.
_LINE_ENDS = {"u": "", "n": "\\n", "r": "\\r\\n"}
_LINE_BYTES = 57
_MARK = re.compile("\x01([0-9]+)([unr])\x02")


def keep_files(store: Store, mail: int, kind: str, files: Iterable[CaughtFile]) -> None:
    """Keep the *files* of a mail, in its transaction; *kind*: ``attachment`` or ``image``."""
    for file in files:
        digest = hashlib.sha256(file.content).digest()
        store.change(
            "INSERT OR IGNORE INTO contents (digest, content) VALUES (?, ?)",
            *(digest, file.content),
        )
        store.change(
            "INSERT INTO files (mail, kind, name, type, content)"
            " SELECT ?, ?, ?, ?, number FROM contents WHERE digest = ?",
            *(mail, kind, file.name, file.type, digest),
        )


def delete_contents(store: Store, mail: int) -> None:
    """Delete the files of a mail, in its transaction, and their contents if no other has them."""
    found = store.rows("SELECT DISTINCT content FROM files WHERE mail = ?", mail)
    store.change("DELETE FROM files WHERE mail = ?", mail)
    store.change_each(
        "DELETE FROM contents WHERE number = ?"
        " AND NOT EXISTS (SELECT 1 FROM files WHERE content = contents.number)",
        ((row["content"],) for row in found),
    )


def pack(request: str, contents: Sequence[bytes]) -> str:
    """Return the JSON *request* with marks in place of the *contents* of its files."""
    for index, content in enumerate(contents):
        if len(content) < _MIN_BYTES:
            continue
        for how, line_end in _LINE_ENDS.items():
            request = request.replace(_encoded(content, line_end), f"\x01{index}{how}\x02")
    return request


def unpack(request: str, contents: Sequence[bytes]) -> str:
    """Return the JSON that `pack` was called with, with the same *contents*."""
    if "\x01" not in request:
        return request
    return _MARK.sub(lambda mark: _encoded(contents[int(mark[1])], _LINE_ENDS[mark[2]]), request)


def _encoded(content: bytes, line_end: str) -> str:
    if not line_end:
        return base64.b64encode(content).decode()
    lines = (content[start : start + _LINE_BYTES] for start in range(0, len(content), _LINE_BYTES))
    return line_end.join(base64.b64encode(line).decode() for line in lines)
