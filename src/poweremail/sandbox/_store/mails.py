"""The caught mails: kept, found, and shown as values or as JSON members."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import attrs

from poweremail._types.message_info import PAGE_SIZE
from poweremail.sandbox._store import events
from poweremail.sandbox._store.contents import delete_contents, keep_files, pack, unpack
from poweremail.sandbox._store.database import END_OF_TIME, Row, Store, at, value_of
from poweremail.sandbox._store.events import STATUSES
from poweremail.sandbox._store.filter import MailFilter
from poweremail.sandbox._store.index import SearchIndex
from poweremail.sandbox._store.limits import UNLIMITED, SmtpLimits
from poweremail.sandbox._store.mail import CaughtFile, CaughtMail, MailContent, tags_of
from poweremail.sandbox._store.schema import PARTS_OF_MAILS
from poweremail.sandbox._store.search import fold, snippet

FIRST_RECIPIENTS = 3
"""How many recipients of each mail `MailStore.page` lists."""

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

_LISTED = ", ".join(
    (
        *(f"m.{name}" for name in ("number", "received", *_SHORT, "mail_size")),
        "NOT s.unread AS read",
        "s.attachments AS attachment_count",
        *("s.snippet", "s.tags"),
    )
)
_WHOLE = ", ".join((_LISTED, "attachment_size", *_MAPPINGS, *_BODIES))
_RECIPIENTS = (
    "SELECT type, email, name, status,"
    " (SELECT count(*) FROM events WHERE recipient = r.number AND kind = 'open') AS open,"
    " (SELECT count(*) FROM events WHERE recipient = r.number AND kind = 'click') AS click"
    " FROM recipients r WHERE mail = ? ORDER BY number"
)

_FILES = "files f JOIN contents c ON c.number = f.content"


class MailStore:
    """
    The mails in *store*. Times are milliseconds since the epoch. Safe to use from several threads.

    A method raises LookupError if a mail, a recipient or a file does not exist.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.search_index: SearchIndex = SearchIndex(store)

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
                **{name: json.dumps(dict(getattr(mail, name))) for name in _MAPPINGS},
                raw=pack(
                    json.dumps(dict(mail.raw)),
                    [file.content for file in (*mail.attachments, *mail.images)],
                ),
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
            keep_files(store, number, "attachment", mail.attachments)
            keep_files(store, number, "image", mail.images)
            head = "\n".join(fold(part) for part in _head(mail) if part)
            store.insert(
                "INSERT INTO searchable",
                mail=number,
                words=head,
                received=received,
                unread=1,
                attachments=len(mail.attachments),
                snippet=snippet(mail.text, mail.html),
                tags="\n".join(tags_of(mail.headers)),
            )
            if then is not None:
                then(number, mail, received)
        self.search_index.caught(len(mail.text or "") + len(mail.html or ""))
        store.changes.note("caught", number)
        return number

    def mails(self, *, after: int = 0, limit: int | None = None) -> list[CaughtMail]:
        """Return the mails with a number above *after*, oldest first, *limit* of them at most."""
        query = "SELECT * FROM mails WHERE number > ? ORDER BY number LIMIT ?"
        with self._store.reading():
            return self._whole(self._store.rows(query, after, -1 if limit is None else limit))

    def mail(self, number: int) -> CaughtMail:
        """Return one mail."""
        with self._store.reading():
            return self._whole([self._row("m.*", number)])[0]

    def page(
        self, wanted: MailFilter, limit: int, *, oldest_first: bool = False
    ) -> list[dict[str, Any]]:
        """Return *limit* mails at most that are *wanted*, in short, newest first by default."""
        with self._store.reading():
            rows = self._found(wanted, _LISTED, limit, oldest_first=oldest_first)
            return self._in_short(rows)

    def first(self, wanted: MailFilter) -> int | None:
        """Return the number of the newest mail that is *wanted*, or None."""
        return next((row["number"] for row in self._found(wanted, "m.number", 1)), None)

    def find(self, number: int) -> dict[str, Any]:
        """Return the members of a mail, without the content of its files and its request."""
        with self._store.reading():
            row = self._row(_WHOLE, number)
            return {
                **_members(row),
                **{name: json.loads(row[name]) for name in _MAPPINGS},
                "recipients": self._store.rows(_RECIPIENTS, number),
                "attachments": self._files(number, "attachment"),
                "images": self._files(number, "image"),
                "events": [event.to_dict() for event in events.of_mail(self._store, number)],
            }

    def raw(self, number: int) -> str:
        """Return the JSON of the request that brought a mail. Credentials are never kept."""
        with self._store.reading():
            files = self._store.rows(
                f"SELECT c.content FROM {_FILES} WHERE mail = ? ORDER BY f.number",  # noqa: S608
                number,
            )
            return unpack(self._row("raw", number)["raw"], [file["content"] for file in files])

    def file(self, number: int, kind: str, index: int) -> CaughtFile:
        """Return file number *index*, from 0 on, of a mail; *kind*: ``attachment`` or ``image``."""
        found = self._store.row(
            f"SELECT name, type, c.content FROM {_FILES} WHERE mail = ? AND kind = ?"  # noqa: S608
            " ORDER BY f.number LIMIT 1 OFFSET ?",
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
            self.delete_each([number])

    def delete_each(self, numbers: Iterable[int]) -> int:
        """Delete the mails with these *numbers*, and return how many there were."""
        numbers, deleted = list(numbers), 0
        with self._store.transaction():
            for number in numbers:
                delete_contents(self._store, number)
                deleted += self._store.change("DELETE FROM mails WHERE number = ?", number)
                for table in PARTS_OF_MAILS:
                    self._store.change(f"DELETE FROM {table} WHERE mail = ?", number)  # noqa: S608  a constant
        for number in numbers:
            self._store.changes.note("deleted", number)
        return deleted

    def delete_all(self, wanted: MailFilter) -> int:
        """Delete the mails that are *wanted*, and return how many there were."""
        if not wanted.conditional:
            return self.clear()
        with self._store.transaction():
            numbers = [row["number"] for row in self._found(wanted, "m.number", -1)]
            self.delete_each(numbers)
        self._store.shrink()
        return len(numbers)

    def set_read(self, number: int, *, read: bool) -> None:
        """Note whether somebody has read a mail."""
        with self._store.transaction():
            self._row("number", number)
            changed = self._store.change(
                "UPDATE searchable SET unread = ? WHERE mail = ? AND unread = ?",
                *(not read, number, read),
            )
        if changed:
            self._store.changes.note("changed", number)

    def clear(self) -> int:
        """Delete all mails, and return how many there were. Used parts of limits stay used."""
        with self._store.transaction():
            for table in PARTS_OF_MAILS:
                self._store.change(f"DELETE FROM {table}")  # noqa: S608  a constant
            self._store.change("DELETE FROM contents")
            self.search_index.clear()
            deleted = self._store.change("DELETE FROM mails")
        self._store.shrink()
        self._store.changes.note("cleared")
        return deleted

    def _found(
        self, wanted: MailFilter, columns: str, limit: int, *, oldest_first: bool = False
    ) -> list[Row]:
        """Return *columns* of *limit* mails that are *wanted*; -1 is no limit."""
        with self._store.reading():
            last, index = 0, None
            if wanted.texts:
                last, index = self.search_index.query(wanted.texts)
            # Mails that are not indexed yet are newer than the others.
            waiting = attrs.evolve(wanted, after=max(last, wanted.after))
            before = min(last + 1, END_OF_TIME if wanted.before is None else wanted.before)
            indexed = attrs.evolve(wanted, before=before)
            queries = [waiting.query(columns, oldest_first=oldest_first)]
            if last:
                queries.append(
                    indexed.query(columns, oldest_first=oldest_first, index=index, indexed=True)
                )
            found: list[Row] = []
            for query, values in queries[::-1] if oldest_first else queries:
                left = limit if limit < 0 else limit - len(found)
                found += self._store.rows(query, *values, left)
            return found

    def _row(self, columns: str, number: int) -> Row:
        row = self._store.row(
            f"SELECT {columns} FROM mails m JOIN searchable s ON s.mail = m.number"  # noqa: S608
            " WHERE m.number = ?",
            number,
        )
        if row is None:
            raise LookupError(f"there is no mail number {number}")
        return row

    def _whole(self, rows: list[Row]) -> list[CaughtMail]:
        """Return the mails of *rows*, with a query for each kind of part."""
        recipients = self._parts(rows, "SELECT mail, type, email, name FROM recipients")
        files = self._parts(
            rows,
            f"SELECT mail, kind, name, type, c.content FROM {_FILES}",  # noqa: S608  a constant
            "ORDER BY mail, f.number",
        )
        for row in rows:
            row["raw"] = unpack(row["raw"], [file["content"] for file in files[row["number"]]])
        return [
            value_of(
                CaughtMail,
                row,
                recipients=recipients[row["number"]],
                attachments=_of_kind(files[row["number"]], "attachment"),
                images=_of_kind(files[row["number"]], "image"),
            )
            for row in rows
        ]

    def _in_short(self, rows: list[Row]) -> list[dict[str, Any]]:
        """Return the members of the mails of *rows* in a list."""
        first = self._parts(
            rows,
            "SELECT mail, type, email, name, status FROM (SELECT *, row_number() OVER"
            " (PARTITION BY mail ORDER BY number) AS place FROM recipients",
            f") WHERE place <= {FIRST_RECIPIENTS}",
        )
        counts = self._parts(
            rows,
            "SELECT mail, status, count(*) AS count FROM recipients",
            "GROUP BY mail, status",
        )
        members = []
        for row in rows:
            states = {each["status"]: each["count"] for each in counts[row["number"]]}
            members.append(
                _members(row)
                | {
                    "recipients": first[row["number"]],
                    "recipient_count": sum(states.values()),
                    "statuses": {name: states[name] for name in STATUSES if name in states},
                }
            )
        return members

    def _parts(
        self, rows: list[Row], query: str, end: str = "ORDER BY mail, number"
    ) -> dict[int, list[Row]]:
        """Return what *query* finds of the mails of *rows*, by their numbers."""
        found: dict[int, list[Row]] = {row["number"]: [] for row in rows}
        numbers = json.dumps([*found])
        for part in self._store.rows(
            f"{query} WHERE mail IN (SELECT value FROM json_each(?)) {end}",  # noqa: S608  constants
            numbers,
        ):
            found[part.pop("mail")].append(part)
        return found

    def _files(self, number: int, kind: str) -> list[Row]:
        return self._store.rows(
            f"SELECT name, type, length(c.content) AS size FROM {_FILES}"  # noqa: S608
            " WHERE mail = ? AND kind = ? ORDER BY f.number",
            *(number, kind),
        )


def _of_kind(files: list[Row], kind: str) -> list[Row]:
    return [file for file in files if file["kind"] == kind]


def _head(mail: MailContent) -> Iterator[str | None]:
    """Yield the subject, the ids and the addresses of *mail*."""
    yield from (mail.subject, mail.from_email, mail.from_name, mail.unique_id, mail.template_id)
    for recipient in mail.recipients:
        yield from (recipient.email, recipient.name)


def _members(row: Row) -> dict[str, Any]:
    return row | {"received": at(row["received"]).isoformat(), "tags": row["tags"].splitlines()}
