"""The caught mails: kept, found, and shown as values or as JSON members."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import attrs

from poweremail._types.checks import must_be
from poweremail._types.message_info import PAGE_SIZE
from poweremail.sandbox._store import events
from poweremail.sandbox._store.database import END_OF_TIME, Row, Store, at, value_of
from poweremail.sandbox._store.events import STATUSES
from poweremail.sandbox._store.limits import UNLIMITED, SmtpLimits
from poweremail.sandbox._store.mail import CaughtFile, CaughtMail, MailContent
from poweremail.sandbox._store.schema import KEEP_WORDS, PARTS_OF_MAILS

__all__ = ["FIRST_RECIPIENTS", "MailFilter", "MailStore"]

FIRST_RECIPIENTS = 3
"""How many recipients of each mail `MailStore.page` lists."""

_MAX_WORDS = 16

_SHORT = (
    "operation",
    "smtp_user_name",
    "unique_id",
    "subject",
    "from_email",
    "from_name",
    "template_id",
)
"""The short columns. Like all others, they have the names of the mail's fields."""

_SIZES = ("mail_size", "attachment_size")
_MAPPINGS = ("headers", "dynamic_value")
_BODIES = ("html", "text")

_LISTED = ", ".join(f"m.{name}" for name in ("number", "received", *_SHORT, "mail_size"))
_WHOLE = ", ".join((_LISTED, "attachment_size", *_MAPPINGS, *_BODIES))
_RECIPIENTS = (
    "SELECT type, email, name, status,"
    " (SELECT count(*) FROM events WHERE recipient = r.number AND kind = 'open') AS open,"
    " (SELECT count(*) FROM events WHERE recipient = r.number AND kind = 'click') AS click"
    " FROM recipients r WHERE mail = ? ORDER BY number"
)

_HAS_RECIPIENT = (
    "EXISTS (SELECT 1 FROM recipients WHERE mail = s.mail AND casefold(email) = casefold(?))"
)


_is_status = must_be(
    f"one of {', '.join(STATUSES)}", lambda value: value is None or value in STATUSES
)


@attrs.frozen(kw_only=True)
class MailFilter:
    """
    Conditions that a mail meets, all of them. None and the empty string set no condition.

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
    status: str | None = attrs.field(default=None, validator=_is_status)
    after: int = 0
    before: int | None = None

    def query(self, columns: str, *, oldest_first: bool = False) -> tuple[str, list[Any]]:
        """Return the query for *columns* of ``mails m``, and its parameters without the limit."""
        # Few mails have most of the states, so the index of states leads. It is in order of the
        # mails, so that only one page is read.
        source, number, group = "searchable s", "s.mail", ""
        if self.status is not None:
            source = "recipients r CROSS JOIN searchable s ON s.mail = r.mail"
            number, group = "r.mail", "GROUP BY r.mail "
        words = [*self.search.split()[:_MAX_WORDS], self.to, self.from_email, self.subject]
        # Cheap conditions first: they spare most mails the exact ones.
        conditions: list[tuple[str, Any]] = [
            (f"{number} > ?", self.after),
            (f"{number} < ?", END_OF_TIME if self.before is None else self.before),
            ("r.status = ?", self.status),
            ("s.mail IN (SELECT mail FROM recipients WHERE unique_id = ?)", self.unique_id),
            *(("instr(s.words, ?) > 0", word.casefold()) for word in words if word),
            ("instr(casefold(m.subject), casefold(?)) > 0", self.subject),
            ("casefold(m.from_email) = casefold(?)", self.from_email),
            (_HAS_RECIPIENT, self.to),
        ]
        given = [(condition, value) for condition, value in conditions if value is not None]
        where = " AND ".join(condition for condition, _ in given)
        order = f"{group}ORDER BY {number} {'ASC' if oldest_first else 'DESC'} LIMIT ?"
        source = f"{source} CROSS JOIN mails m ON m.number = s.mail"
        values = [value for _, value in given]
        return f"SELECT {columns} FROM {source} WHERE {where} {order}", values  # noqa: S608 - values go by ?


class MailStore:
    """
    The mails in *store*. Times are milliseconds since the epoch. Safe to use from several threads.

    A method raises LookupError if a mail, a recipient or a file does not exist.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def add(
        self,
        mail: MailContent,
        *,
        received: int,
        visible_from: int,
        limits: SmtpLimits = UNLIMITED,
        then: Callable[[int, MailContent, int], None] | None = None,
    ) -> int:
        """
        Keep *mail* and return its number.

        *visible_from*
            When getMessageInfo begins to show it.
        *limits*
            Those of SMTP users without limits of their own.
        *then*
            Called in the same transaction with the number, the mail and *received*.

        Raises `LimitReached` if the mail is over a limit.
        """
        store = self._store
        with store.transaction():
            store.book(mail.smtp_user_name, len(mail.recipients), now=received, limits=limits)
            number = store.insert(
                "INSERT INTO mails",
                received=received,
                **{name: getattr(mail, name) for name in (*_SHORT, *_SIZES)},
                **{name: json.dumps(dict(getattr(mail, name))) for name in (*_MAPPINGS, "raw")},
                **{name: getattr(mail, name) for name in _BODIES},
            )
            store.change_each(
                "INSERT INTO recipients (mail, unique_id, visible_from, type, email, name)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (number, mail.unique_id, visible_from, each.type, each.email, each.name)
                    for each in mail.recipients
                ),
            )
            store.change_each(
                "INSERT INTO files (mail, kind, name, type, content) VALUES (?, ?, ?, ?, ?)",
                (
                    (number, kind, file.name, file.type, file.content)
                    for kind, files in (("attachment", mail.attachments), ("image", mail.images))
                    for file in files
                ),
            )
            store.change(f"{KEEP_WORDS} WHERE number = ?", number)
            if then is not None:
                then(number, mail, received)
        store.changes.note("caught", number)
        return number

    def mails(self, *, after: int = 0, limit: int | None = None) -> list[CaughtMail]:
        """Return the mails with a number above *after*, oldest first, *limit* of them at most."""
        query = "SELECT * FROM mails WHERE number > ? ORDER BY number LIMIT ?"
        with self._store.reading():
            rows = self._store.rows(query, after, -1 if limit is None else limit)
            return [self._mail(row) for row in rows]

    def mail(self, number: int) -> CaughtMail:
        """Return one mail."""
        with self._store.reading():
            return self._mail(self._row("*", number))

    def page(
        self, wanted: MailFilter, limit: int, *, oldest_first: bool = False
    ) -> list[dict[str, Any]]:
        """Return *limit* mails at most that are *wanted*, in short, newest first by default."""
        query, values = wanted.query(_LISTED, oldest_first=oldest_first)
        with self._store.reading():
            rows = self._store.rows(query, *values, limit)
            return [{**_members(row), **self._summary(row["number"])} for row in rows]

    def first(self, wanted: MailFilter) -> int | None:
        """Return the number of the newest mail that is *wanted*, or None."""
        query, values = wanted.query("m.number")
        return next((row["number"] for row in self._store.rows(query, *values, 1)), None)

    def find(self, number: int) -> dict[str, Any]:
        """Return the members of a mail, without the content of its files and its request."""
        with self._store.reading():
            row = self._row(_WHOLE, number)
            return {
                **_members(row),
                **{name: json.loads(row[name]) for name in _MAPPINGS},
                "recipients": self._store.rows(_RECIPIENTS, number),
                "attachments": self._files(number, "attachment", "length(content) AS size"),
                "images": self._files(number, "image", "length(content) AS size"),
                "events": [event.to_dict() for event in events.of_mail(self._store, number)],
            }

    def raw(self, number: int) -> str:
        """Return the JSON of the request that brought a mail. Credentials are never kept."""
        return str(self._row("raw", number)["raw"])

    def file(self, number: int, kind: str, index: int) -> CaughtFile:
        """Return file number *index*, from 0 on, of a mail; *kind*: ``attachment`` or ``image``."""
        found = self._store.row(
            "SELECT name, type, content FROM files WHERE mail = ? AND kind = ?"
            " ORDER BY number LIMIT 1 OFFSET ?",
            *(number, kind, index),
        )
        if not found:
            raise LookupError(f"mail number {number} has no {kind} number {index}")
        return CaughtFile(**found)

    def records(self, unique_id: str, page: int, *, now: int) -> list[dict[str, Any]]:
        """
        Return a page of getMessageInfo at the time *now*: a record for each recipient.

        The members have the names of the service.
        """
        with self._store.reading():
            records = self._store.rows(
                "SELECT recipients.number, subject, from_email AS sender, email,"
                " '127.0.0.1' AS sendFrom, mail_size AS mailSize, attachment_size AS attchSize,"
                " status, received AS time FROM recipients"
                " JOIN mails ON mails.number = recipients.mail"
                " WHERE recipients.unique_id = ? AND visible_from <= ?"
                " ORDER BY recipients.number LIMIT ? OFFSET ?",
                *(unique_id, now, PAGE_SIZE, min(page * PAGE_SIZE, END_OF_TIME)),
            )
            for record in records:
                record.update(events.opens_and_clicks(self._store, record.pop("number")))
        return records

    def count(self) -> int:
        """Return how many mails there are."""
        [row] = self._store.rows("SELECT count(*) AS count FROM searchable")
        return int(row["count"])

    def delete(self, number: int) -> None:
        """Delete one mail. The part of a limit that it has used stays used."""
        with self._store.transaction():
            self._row("number", number)
            self._store.change("DELETE FROM mails WHERE number = ?", number)
            for table in PARTS_OF_MAILS:
                self._store.change(f"DELETE FROM {table} WHERE mail = ?", number)  # noqa: S608 - a constant
        self._store.changes.note("deleted", number)

    def clear(self) -> int:
        """Delete all mails, and return how many there were. Used parts of limits stay used."""
        with self._store.transaction():
            for table in PARTS_OF_MAILS:
                self._store.change(f"DELETE FROM {table}")  # noqa: S608 - a constant
            deleted = self._store.change("DELETE FROM mails")
        self._store.changes.note("cleared")
        return deleted

    def _row(self, columns: str, number: int) -> Row:
        row = self._store.row(f"SELECT {columns} FROM mails m WHERE number = ?", number)  # noqa: S608
        if row is None:
            raise LookupError(f"there is no mail number {number}")
        return row

    def _mail(self, row: Row) -> CaughtMail:
        number = row["number"]
        return value_of(
            CaughtMail,
            row,
            recipients=self._store.rows(
                "SELECT type, email, name FROM recipients WHERE mail = ? ORDER BY number", number
            ),
            attachments=self._files(number, "attachment", "content"),
            images=self._files(number, "image", "content"),
        )

    def _files(self, number: int, kind: str, column: str) -> list[Row]:
        return self._store.rows(
            f"SELECT name, type, {column} FROM files WHERE mail = ? AND kind = ? ORDER BY number",  # noqa: S608
            *(number, kind),
        )

    def _summary(self, number: int) -> dict[str, Any]:
        rows = self._store.rows
        counts = {
            row["status"]: row["count"]
            for row in rows(
                "SELECT status, count(*) AS count FROM recipients WHERE mail = ? GROUP BY status",
                number,
            )
        }
        return {
            "recipients": rows(
                "SELECT type, email, name, status FROM recipients WHERE mail = ?"
                " ORDER BY number LIMIT ?",
                *(number, FIRST_RECIPIENTS),
            ),
            "recipient_count": sum(counts.values()),
            "statuses": {status: counts[status] for status in STATUSES if status in counts},
            "attachment_count": len(self._files(number, "attachment", "number")),
        }


def _members(row: Row) -> dict[str, Any]:
    return row | {"received": at(row["received"]).isoformat()}
