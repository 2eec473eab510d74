"""The caught mails: kept, found, and shown as values or as JSON members."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

import attrs

from poweremail._types.message_info import PAGE_SIZE
from poweremail.errors import UsageError
from poweremail.sandbox._store import events
from poweremail.sandbox._store.database import END_OF_TIME, Store, at, insert
from poweremail.sandbox._store.events import STATUSES
from poweremail.sandbox._store.limits import UNLIMITED, SmtpLimits
from poweremail.sandbox._store.mail import CaughtFile, CaughtMail, CaughtRecipient, MailContent
from poweremail.sandbox._store.schema import PARTS_OF_MAILS

__all__ = ["FIRST_RECIPIENTS", "MailFilter", "MailStore"]

FIRST_RECIPIENTS = 3
"""How many recipients of each mail `MailStore.page` lists."""

_MAX_WORDS = 16

_PLAIN = (
    "operation",
    "smtp_user_name",
    "unique_id",
    "subject",
    "from_email",
    "from_name",
    "template_id",
)
"""Columns that hold what the mail holds, and are short."""

_LISTED = ", ".join(f"m.{name}" for name in ("number", "received", *_PLAIN, "mail_size"))
_WHOLE = f"{_LISTED}, m.attachment_size, m.headers, m.dynamic_value, m.html, m.text"


_HAS_RECIPIENT = (
    "EXISTS (SELECT 1 FROM recipients WHERE mail = s.mail AND casefold(email) = casefold(?))"
)


def _status(_: MailFilter, __: object, value: str | None) -> None:
    if value is not None and value not in STATUSES:
        raise UsageError(
            f"must be one of {', '.join(STATUSES)}, not {value!r}", field="status", mail_state=None
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
    status: str | None = attrs.field(default=None, validator=_status)
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
        then: Callable[[sqlite3.Connection, int, MailContent, int], None] | None = None,
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
        with self._store.transaction() as connection:
            self._store.book(
                connection, mail.smtp_user_name, len(mail.recipients), now=received, limits=limits
            )
            number = insert(
                connection,
                "mails",
                received=received,
                **{name: getattr(mail, name) for name in _PLAIN},
                mail_size=mail.mail_size,
                attachment_size=mail.attachment_size,
                headers=json.dumps(dict(mail.headers)),
                dynamic_value=json.dumps(dict(mail.dynamic_value)),
                html=mail.html,
                text=mail.text,
                raw=json.dumps(dict(mail.raw)),
            )
            connection.executemany(
                "INSERT INTO recipients (mail, unique_id, visible_from, type, email, name)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [
                    (number, mail.unique_id, visible_from, each.type, each.email, each.name)
                    for each in mail.recipients
                ],
            )
            connection.executemany(
                "INSERT INTO files (mail, kind, name, type, content) VALUES (?, ?, ?, ?, ?)",
                [
                    (number, kind, file.name, file.type, file.content)
                    for kind, files in (("attachment", mail.attachments), ("image", mail.images))
                    for file in files
                ],
            )
            insert(connection, "searchable", mail=number, words=_words(mail))
            if then is not None:
                then(connection, number, mail, received)
        self._store.changes.note("caught", number)
        return number

    def mails(self, *, after: int = 0, limit: int | None = None) -> list[CaughtMail]:
        """Return the mails with a number above *after*, oldest first, *limit* of them at most."""
        query = "SELECT * FROM mails WHERE number > ? ORDER BY number LIMIT ?"
        with self._store.reading() as connection:
            rows = connection.execute(query, (after, -1 if limit is None else limit)).fetchall()
            return [_mail(connection, row) for row in rows]

    def mail(self, number: int) -> CaughtMail:
        """Return one mail."""
        with self._store.reading() as connection:
            return _mail(connection, _row(connection, "*", number))

    def page(
        self, wanted: MailFilter, limit: int, *, oldest_first: bool = False
    ) -> list[dict[str, Any]]:
        """Return *limit* mails at most that are *wanted*, in short, newest first by default."""
        query, values = wanted.query(_LISTED, oldest_first=oldest_first)
        with self._store.reading() as connection:
            rows = connection.execute(query, (*values, limit)).fetchall()
            return [{**_members(row), **_summary(connection, row["number"])} for row in rows]

    def first(self, wanted: MailFilter) -> int | None:
        """Return the number of the newest mail that is *wanted*, or None."""
        query, values = wanted.query("m.number")
        return next((int(row["number"]) for row in self._store.rows(query, *values, 1)), None)

    def find(self, number: int) -> dict[str, Any]:
        """Return the members of a mail, without the content of its files and its request."""
        with self._store.reading() as connection:
            members = _members(_row(connection, _WHOLE, number))
            for name in ("headers", "dynamic_value"):
                members[name] = json.loads(members[name])
            return {
                **members,
                "recipients": _recipients(connection, number),
                "attachments": _files(connection, number, "attachment"),
                "images": _files(connection, number, "image"),
                "events": [event.to_dict() for event in events.of_mail(connection, number)],
            }

    def raw(self, number: int) -> str:
        """Return the JSON of the request that brought a mail. Credentials are never kept."""
        with self._store.reading() as connection:
            return str(_row(connection, "raw", number)["raw"])

    def file(self, number: int, kind: str, index: int) -> CaughtFile:
        """Return file number *index*, from 0 on, of a mail; *kind*: ``attachment`` or ``image``."""
        found = self._store.rows(
            "SELECT name, type, content FROM files WHERE mail = ? AND kind = ?"
            " ORDER BY number LIMIT 1 OFFSET ?",
            *(number, kind, index),
        )
        if not found:
            raise LookupError(f"mail number {number} has no {kind} number {index}")
        return CaughtFile(*found[0])

    def records(self, unique_id: str, page: int, *, now: int) -> list[dict[str, Any]]:
        """
        Return a page of getMessageInfo at the time *now*: a record for each recipient.

        The members have the names of the service.
        """
        with self._store.reading() as connection:
            rows = connection.execute(
                "SELECT recipients.number, subject, from_email AS sender, email,"
                " '127.0.0.1' AS sendFrom, mail_size AS mailSize, attachment_size AS attchSize,"
                " status, received AS time FROM recipients"
                " JOIN mails ON mails.number = recipients.mail"
                " WHERE recipients.unique_id = ? AND visible_from <= ?"
                " ORDER BY recipients.number LIMIT ? OFFSET ?",
                (unique_id, now, PAGE_SIZE, min(page * PAGE_SIZE, END_OF_TIME)),
            ).fetchall()
            records = {row["number"]: dict(row) for row in rows}
            for number, counts in events.of_recipients(connection, list(records)).items():
                records[number] |= counts
                del records[number]["number"]
        return list(records.values())

    def count(self) -> int:
        """Return how many mails there are."""
        [(count,)] = self._store.rows("SELECT count(*) FROM searchable")
        return int(count)

    def delete(self, number: int) -> None:
        """Delete one mail. The part of a limit that it has used stays used."""
        with self._store.transaction() as connection:
            _row(connection, "number", number)
            connection.execute("DELETE FROM mails WHERE number = ?", (number,))
            for table in PARTS_OF_MAILS:
                connection.execute(f"DELETE FROM {table} WHERE mail = ?", (number,))  # noqa: S608 - a constant
        self._store.changes.note("deleted", number)

    def clear(self) -> int:
        """Delete all mails, and return how many there were. Used parts of limits stay used."""
        with self._store.transaction() as connection:
            for table in PARTS_OF_MAILS:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant
            deleted = connection.execute("DELETE FROM mails").rowcount
        self._store.changes.note("cleared")
        return deleted


def _row(connection: sqlite3.Connection, columns: str, number: int) -> sqlite3.Row:
    query = f"SELECT {columns} FROM mails m WHERE number = ?"  # noqa: S608
    row: sqlite3.Row | None = connection.execute(query, (number,)).fetchone()
    if row is None:
        raise LookupError(f"there is no mail number {number}")
    return row


def _mail(connection: sqlite3.Connection, row: sqlite3.Row) -> CaughtMail:
    number = row["number"]
    recipients = connection.execute(
        "SELECT type, email, name FROM recipients WHERE mail = ? ORDER BY number", (number,)
    )
    files = connection.execute(
        "SELECT kind, name, type, content FROM files WHERE mail = ? ORDER BY number", (number,)
    ).fetchall()
    return CaughtMail(
        number=number,
        received=at(row["received"]),
        **{name: row[name] for name in (*_PLAIN, "html", "text")},
        **{name: json.loads(row[name]) for name in ("headers", "dynamic_value", "raw")},
        recipients=tuple(CaughtRecipient(*recipient) for recipient in recipients),
        attachments=tuple(CaughtFile(*file[1:]) for file in files if file["kind"] == "attachment"),
        images=tuple(CaughtFile(*file[1:]) for file in files if file["kind"] == "image"),
    )


def _words(mail: MailContent) -> str:
    """Return the text that `MailFilter.search` looks through."""
    addresses = [word for each in mail.recipients for word in (each.email, each.name)]
    words = (mail.subject, mail.from_email, mail.from_name, mail.unique_id, mail.template_id)
    return "\n".join(word for word in (*words, *addresses) if word).casefold()


def _members(row: sqlite3.Row) -> dict[str, Any]:
    return {**dict(row), "received": at(row["received"]).isoformat()}


def _summary(connection: sqlite3.Connection, number: int) -> dict[str, Any]:
    first = connection.execute(
        "SELECT type, email, name, status FROM recipients WHERE mail = ? ORDER BY number LIMIT ?",
        (number, FIRST_RECIPIENTS),
    )
    statuses: dict[str, int] = dict(
        connection.execute(
            "SELECT status, count(*) FROM recipients WHERE mail = ? GROUP BY status", (number,)
        ).fetchall()
    )
    return {
        "recipients": [dict(row) for row in first],
        "recipient_count": sum(statuses.values()),
        "statuses": {status: statuses[status] for status in STATUSES if status in statuses},
        "attachment_count": len(_files(connection, number, "attachment")),
    }


def _recipients(connection: sqlite3.Connection, number: int) -> list[dict[str, Any]]:
    query = (
        "SELECT type, email, name, status,"
        " (SELECT count(*) FROM events WHERE recipient = r.number AND kind = 'open') AS open,"
        " (SELECT count(*) FROM events WHERE recipient = r.number AND kind = 'click') AS click"
        " FROM recipients r WHERE mail = ? ORDER BY number"
    )
    return [dict(row) for row in connection.execute(query, (number,))]


def _files(connection: sqlite3.Connection, number: int, kind: str) -> list[dict[str, Any]]:
    query = (
        "SELECT name, type, length(content) AS size FROM files WHERE mail = ? AND kind = ?"
        " ORDER BY number"
    )
    return [dict(row) for row in connection.execute(query, (number, kind))]
