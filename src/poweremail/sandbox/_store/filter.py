"""Which of the caught mails are wanted: the conditions, and the query for those that meet them."""

from __future__ import annotations

from typing import Any

import attrs

from poweremail._types.checks import must_be
from poweremail.sandbox._store.database import END_OF_TIME
from poweremail.sandbox._store.events import STATUSES
from poweremail.sandbox._store.index import TEXT_OF_MAIL
from poweremail.sandbox._store.search import Search, fold, parse_search

_IS_RECIPIENT = (
    "EXISTS (SELECT 1 FROM recipients WHERE mail = s.mail AND casefold(email) = casefold(?))"
)
_HAS_RECIPIENT = (
    "EXISTS (SELECT 1 FROM recipients"
    " WHERE mail = s.mail AND instr(fold(concat_lines(email, name)), ?) > 0)"
)
_HAS_TAG = "s.tags != '' AND instr(char(10) || casefold(s.tags) || char(10), ?) > 0"
_HAS_STATUS = "EXISTS (SELECT 1 FROM recipients WHERE mail = s.mail AND status = ?)"


_is_status = must_be(
    f"one of {', '.join(STATUSES)}", lambda value: value is None or value in STATUSES
)


@attrs.frozen(kw_only=True)
class MailFilter:
    """
    Conditions that a mail meets, all of them. None and the empty string set no condition.

    *search*
        Words, phrases and conditions as people type them: see `parse_search`.
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
    status: str | None = attrs.field(default=None, validator=_is_status)
    after: int = 0
    before: int | None = None

    _search: Search = attrs.field(
        init=False, eq=False, default=attrs.Factory(lambda self: parse_search(self.search), True)
    )

    @property
    def texts(self) -> tuple[str, ...]:
        """The folded texts that its searchable text contains."""
        return self._search.texts

    @property
    def conditional(self) -> bool:
        """False if all mails meet it."""
        return self != MailFilter()

    def query(
        self,
        columns: str,
        *,
        oldest_first: bool = False,
        index: str | None = None,
        indexed: bool = False,
    ) -> tuple[str, list[Any]]:
        """
        Return the query for *columns* of ``mails m``, and its parameters without the limit.

        *index*
            The query of `SearchIndex` that leads to the mails.
        *indexed*
            Whether their texts are kept.
        """
        search = self._search
        source, number, group = "searchable s", "s.mail", ""
        conditions: list[tuple[str, Any]] = []
        if index is not None:
            source = "mail_index i CROSS JOIN searchable s ON s.mail = i.rowid"
            number = "i.rowid"
            conditions = [("mail_index MATCH ?", index), (_HAS_STATUS, self.status)]
        elif self.status is not None:
            # Few mails have most of the states, so the index of states leads. It is in order of the
            # mails, so that only one page is read.
            source = "recipients r CROSS JOIN searchable s ON s.mail = r.mail"
            number, group = "r.mail", "GROUP BY r.mail "
            conditions = [("r.status = ?", self.status)]
        text_of_mail = "t.words" if indexed else TEXT_OF_MAIL
        heads = [*search.senders, *search.recipients, *search.subjects]
        heads += [fold(text) for text in (self.to, self.from_email, self.subject) if text]
        # Cheap conditions first: they spare most mails the exact ones.
        conditions += [
            (f"{number} > ?", self.after),
            (f"{number} < ?", END_OF_TIME if self.before is None else self.before),
            ("s.mail IN (SELECT mail FROM recipients WHERE unique_id = ?)", self.unique_id),
            # Without an index, whose order would be another one.
            ("+s.received < ?", search.before),
            ("+s.received >= ?", search.since),
            *(("instr(s.words, ?) > 0", head) for head in heads),
            ("instr(fold(m.subject), ?) > 0", None if self.subject is None else fold(self.subject)),
            *(("instr(fold(m.subject), ?) > 0", text) for text in search.subjects),
            ("casefold(m.from_email) = casefold(?)", self.from_email),
            *(
                ("instr(fold(concat_lines(m.from_email, m.from_name)), ?) > 0", text)
                for text in search.senders
            ),
            (_IS_RECIPIENT, self.to),
            *((_HAS_RECIPIENT, text) for text in search.recipients),
            *((_HAS_TAG, f"\n{tag}\n") for tag in search.tags),
            *((f"instr({text_of_mail}, ?) > 0", text) for text in search.texts),
        ]
        given = [(condition, value) for condition, value in conditions if value is not None]
        flags = ["s.attachments"] if search.attachment else []
        if search.unread is not None:
            flags.append("s.unread" if search.unread else "NOT s.unread")
        where = " AND ".join((*flags, *(condition for condition, _ in given)))
        order = f"{group}ORDER BY {number} {'ASC' if oldest_first else 'DESC'} LIMIT ?"
        if search.texts and indexed:
            source = f"{source} CROSS JOIN texts t ON t.mail = s.mail"
        source = f"{source} CROSS JOIN mails m ON m.number = s.mail"
        values = [value for _, value in given]
        return f"SELECT {columns} FROM {source} WHERE {where} {order}", values  # noqa: S608  values go by ?
