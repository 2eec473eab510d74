"""Which mails somebody wants to see, and the SQL that finds them, newest first."""

from __future__ import annotations

from typing import Any

import attrs

from poweremail.errors import UsageError
from poweremail.sandbox._store.events import STATUSES

__all__ = ["MailFilter"]

_LAST = 2**62
_MOST_WORDS = 16


def _status(_: MailFilter, __: object, value: str | None) -> None:
    if value is not None and value not in STATUSES:
        raise UsageError(
            f"must be one of {', '.join(STATUSES)}, not {value!r}", field="status", mail_state=None
        )


@attrs.frozen(kw_only=True)
class MailFilter:
    """
    What is asked of a mail; what is None or empty is not asked.

    *search*
        Words that are all in its subject, its addresses and their names, its unique id or the id of
        its template. Case does not matter.
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
        """
        Return the query for *columns* of ``mails m``, and its parameters but the last, the limit.
        """
        order = "ASC" if oldest_first else "DESC"
        # Few mails have most of the states, so their index leads; and it is in order, so that a
        # page is all that is read.
        by_status = self.status is not None
        source = (
            "recipients r CROSS JOIN searchable s ON s.mail = r.mail"
            if by_status
            else "searchable s"
        )
        number, once = ("r.mail", "GROUP BY r.mail ") if by_status else ("s.mail", "")
        conditions: list[str] = []
        values: list[Any] = []
        # What is cheap to ask comes first, and spares most mails the exact question.
        words = filter(
            None, [*self.search.split()[:_MOST_WORDS], self.to, self.from_email, self.subject]
        )
        for condition, value in (
            (f"{number} > ?", self.after),
            (f"{number} < ?", _LAST if self.before is None else self.before),
            ("r.status = ?", self.status),
            ("s.mail IN (SELECT mail FROM recipients WHERE unique_id = ?)", self.unique_id),
            *(("instr(s.words, ?) > 0", word.casefold()) for word in words),
            ("instr(casefold(m.subject), casefold(?)) > 0", self.subject),
            ("casefold(m.from_email) = casefold(?)", self.from_email),
            (
                "EXISTS (SELECT 1 FROM recipients WHERE mail = s.mail AND casefold(email) = "  # noqa: ISC004
                "casefold(?))",
                self.to,
            ),
        ):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        found = f"SELECT {columns} FROM {source} CROSS JOIN mails m ON m.number = s.mail"  # noqa: S608 - values go by ?
        return (
            f"{found} WHERE {' AND '.join(conditions)} {once}ORDER BY {number} {order} LIMIT ?",
            values,
        )
