"""The caught mails, in the database of a `Store`."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import Any

from poweremail._types.message_info import PAGE_SIZE
from poweremail.sandbox._store import events
from poweremail.sandbox._store.database import Store, at
from poweremail.sandbox._store.limits import UNLIMITED, SmtpLimits
from poweremail.sandbox._store.mail import CaughtFile, CaughtMail, CaughtRecipient, MailContent
from poweremail.sandbox._store.schema import PARTS_OF_MAILS

__all__ = ["MailStore"]

_LARGEST_OFFSET = 2**62


class MailStore:
    """
    The mails in *store*. Raises LookupError where one is not there.

    Times are whole milliseconds since the epoch. Safe to use from several threads.
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
        Keep *mail* and return its number. getMessageInfo shows it from *visible_from* on.

        *then* is called in the same transaction, with the mail's number, the mail and *received*.
        *limits* are those of SMTP users that have none of their own. Raises `LimitReached` where
        the mail is too much.
        """
        with self._store.transaction() as connection:
            self._store.book(
                connection, mail.smtp_user_name, len(mail.recipients), now=received, limits=limits
            )
            (number,) = connection.execute(
                "INSERT INTO mails (received, operation, smtp_user_name, unique_id, subject, "
                "from_email, from_name, template_id,"
                " mail_size, attachment_size, headers, dynamic_value, html, text, raw)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING number",
                (
                    received,
                    mail.operation,
                    mail.smtp_user_name,
                    mail.unique_id,
                    mail.subject,
                    mail.from_email,
                    mail.from_name,
                    mail.template_id,
                    mail.mail_size,
                    mail.attachment_size,
                    json.dumps(dict(mail.headers)),
                    json.dumps(dict(mail.dynamic_value)),
                    mail.html,
                    mail.text,
                    json.dumps(dict(mail.raw)),
                ),
            ).fetchone()
            connection.executemany(
                "INSERT INTO recipients (mail, unique_id, visible_from, type, email, name) VALUES "
                "(?, ?, ?, ?, ?, ?)",
                [
                    (number, mail.unique_id, visible_from, who.type, who.email, who.name)
                    for who in mail.recipients
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
            connection.execute(
                "INSERT INTO searchable (mail, words) VALUES (?, ?)", (number, _words(mail))
            )
            if then is not None:
                then(connection, int(number), mail, received)
        self._store.changes.note("caught", number)
        return int(number)

    def mails(self, *, after: int = 0, limit: int | None = None) -> list[CaughtMail]:
        """The mails with a number above *after*, oldest first, *limit* of them at most."""
        query = "SELECT * FROM mails WHERE number > ? ORDER BY number LIMIT ?"
        with self._store.reading() as connection:
            rows = connection.execute(query, (after, -1 if limit is None else limit)).fetchall()
            return [_mail(connection, row) for row in rows]

    def mail(self, number: int) -> CaughtMail:
        """Return one mail."""
        found = self.mails(after=number - 1, limit=1)
        if not found or found[0].number != number:
            raise LookupError(f"there is no mail number {number}")
        return found[0]

    def records(self, unique_id: str, page: int, *, now: int) -> list[dict[str, Any]]:
        """
        Page *page* of what getMessageInfo says at the time *now* of the mails with *unique_id*,
        recipient by recipient.
        """
        offset = min(page * PAGE_SIZE, _LARGEST_OFFSET)
        with self._store.reading() as connection:
            rows = connection.execute(
                "SELECT recipients.number, status, subject, from_email, email, mail_size, "
                "attachment_size, received FROM recipients"
                " JOIN mails ON mails.number = recipients.mail"
                " WHERE recipients.unique_id = ? AND visible_from <= ? ORDER BY recipients.number "
                "LIMIT ? OFFSET ?",
                (unique_id, now, PAGE_SIZE, offset),
            ).fetchall()
            done = events.of_recipients(connection, [row["number"] for row in rows])
        return [{**dict(row), **done[row["number"]]} for row in rows]

    def count(self) -> int:
        """How many mails there are."""
        [(count,)] = self._store.rows("SELECT count(*) FROM searchable")
        return int(count)

    def delete(self, number: int) -> None:
        """Forget one mail. What it has used of a limit stays used."""
        with self._store.transaction() as connection:
            if not connection.execute("DELETE FROM mails WHERE number = ?", (number,)).rowcount:
                raise LookupError(f"there is no mail number {number}")
            for table in PARTS_OF_MAILS:
                connection.execute(f"DELETE FROM {table} WHERE mail = ?", (number,))  # noqa: S608 - a constant
        self._store.changes.note("deleted", number)

    def clear(self) -> int:
        """
        Forget all, and return how many there were. They were sent all the same: what is used of a
        limit stays used.
        """
        with self._store.transaction() as connection:
            for table in PARTS_OF_MAILS:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant
            forgotten = connection.execute("DELETE FROM mails").rowcount
        self._store.changes.note("cleared")
        return forgotten


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
        operation=row["operation"],
        smtp_user_name=row["smtp_user_name"],
        unique_id=row["unique_id"],
        subject=row["subject"],
        from_email=row["from_email"],
        from_name=row["from_name"],
        recipients=tuple(CaughtRecipient(*recipient) for recipient in recipients),
        html=row["html"],
        text=row["text"],
        headers=json.loads(row["headers"]),
        attachments=tuple(CaughtFile(*file[1:]) for file in files if file["kind"] == "attachment"),
        images=tuple(CaughtFile(*file[1:]) for file in files if file["kind"] == "image"),
        template_id=row["template_id"],
        dynamic_value=json.loads(row["dynamic_value"]),
        raw=json.loads(row["raw"]),
    )


def _words(mail: MailContent) -> str:
    """What a search looks through."""
    addresses = [word for who in mail.recipients for word in (who.email, who.name)]
    words = (
        mail.subject,
        mail.from_email,
        mail.from_name,
        mail.unique_id,
        mail.template_id,
        *addresses,
    )
    return "\n".join(word for word in words if word).casefold()
