"""Which mails somebody wants to see, and the SQL that finds them, newest first."""

from __future__ import annotations

import re
from typing import Any

import attrs

from poweremail.errors import UsageError
from poweremail.sandbox.events import STATUSES

__all__ = ["MailFilter"]

_LAST = 2**62
_MOST_WORDS = 16


def _status(_: MailFilter, __: object, value: str | None) -> None:
    if value is not None and value not in STATUSES:
        raise UsageError(f"must be one of {', '.join(STATUSES)}, not {value!r}", field="status", mail_state=None)


@attrs.frozen(kw_only=True)
class MailFilter:
    """
    What is asked of a mail; what is None or empty is not asked.

    *search*
        Words that are all in its subject, its addresses and their names, its unique id or the id of its template. Case does not
        matter.
    *to*, *from_email*
        The whole address of a recipient, or of the sender. Case does not matter.
    *subject*
        A part of the subject. Case does not matter.
    *unique_id*
        The whole ``X-Unique-Id``.
    *status*
        The state of the mail at one recipient at least, one of `STATUSES`.
    *after*, *before*
        Its number is greater than the one, and less than the other.
    """

    search: str = ""
    to: str | None = None
    from_email: str | None = None
    subject: str | None = None
    unique_id: str | None = None
    status: str | None = attrs.field(default=None, validator=_status)
    after: int = 0
    before: int | None = None

    def query(self, columns: str, *, oldest_first: bool = False) -> tuple[str, list[Any]]:
        """Return the query for *columns* of ``mails m``, and its parameters but the last, the limit."""
        order = "ASC" if oldest_first else "DESC"
        conditions, values = ["s.mail > ?", "s.mail < ?"], [self.after, _LAST if self.before is None else self.before]
        source = "searchable s"
        if self.status is not None:
            # Few mails have most of the states, so their index leads; and it is in order, so that a page is all that is read.
            source = f"(SELECT DISTINCT mail FROM recipients WHERE status = ? ORDER BY mail {order}) r CROSS JOIN searchable s ON s.mail = r.mail"
            conditions = ["r.mail > ?", "r.mail < ?"]
        if self.unique_id is not None:
            conditions.append("s.mail IN (SELECT mail FROM recipients WHERE unique_id = ?)")
            values.append(self.unique_id)
        # What is cheap to ask comes first, and spares most mails the exact question.
        words = [*re.split(r"\s+", self.search.strip())[:_MOST_WORDS], self.to, self.from_email, self.subject]
        for word in filter(None, words):
            conditions.append("instr(s.words, ?) > 0")
            values.append(word.casefold())
        for value, condition in (
            (self.subject, "instr(casefold(m.subject), casefold(?)) > 0"),
            (self.from_email, "casefold(m.from_email) = casefold(?)"),
            (self.to, "EXISTS (SELECT 1 FROM recipients WHERE mail = s.mail AND casefold(email) = casefold(?))"),
        ):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        if self.status is not None:
            values.insert(0, self.status)
        where = " AND ".join(conditions)
        query = (
            f"SELECT {columns} FROM {source} CROSS JOIN mails m ON m.number = s.mail WHERE {where} ORDER BY s.mail {order} LIMIT ?"  # noqa: S608 - values go by ?
        )
        return query, values
