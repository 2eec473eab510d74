# Generated from src/poweremail/_async/durable/outbox.py; do not edit.
"""The user's view of an outbox."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from poweremail._ledger.values import Record
from poweremail._messages.message import Message, TemplateMessage
from poweremail._runtime._sync import in_thread
from poweremail._sync.durable import LedgerUser

if TYPE_CHECKING:
    from poweremail._ledger.callers import Target as Transaction
    from poweremail._ledger.ledger import Ledger


T = TypeVar("T")


class Outbox(LedgerUser):
    """
    A batch to which mails are added one by one, each in a transaction of your own database.

    *ledger*
        A URL such as ``postgresql://host/name``, the path of a file (SQLite), or a `Ledger`: your
        database, as the workers reach it. `add` does not use it.
    *name*
        The name of its batch: ``outbox``. Run ``Batch(client, ledger, "outbox")`` to send.
    *bulk_share*
        The share of each limit that other batches may use while this outbox exists: 0.8. It is
        stored when the first mail is added; later ``set_options`` of its batch changes it.

    Its tables must be in your database: see `create_tables`. Raises `ConfigurationError` if an
    option is invalid.
    """

    def __init__(
        self,
        ledger: str | os.PathLike[str] | Ledger,
        *,
        name: str = "outbox",
        bulk_share: float = 0.8,
    ) -> None:
        super().__init__(ledger, name)
        from poweremail._ledger.outbox import NewMail, OutboxTables  # noqa: PLC0415  SQLAlchemy is loaded for users of a ledger only

        self._new_mail = NewMail.of
        self._tables = OutboxTables(
            name=name, schema=self._ledger.database.schema, bulk_share=bulk_share
        )

    def add(
        self,
        connection: Transaction,
        message: Message | TemplateMessage,
        *,
        key: str | None = None,
        not_before: datetime | None = None,
        expires: datetime | None = None,
    ) -> str:
        """
        Add *message* in the transaction of *connection*, and return its key.

        *connection*: a `Connection` or `Session` of SQLAlchemy. An `Outbox` also takes
        the alias of a database of Django.
        *key*: identifies the mail. If the outbox has a mail with this key already, nothing is
        added. The default is the message's ``unique_id``, and without one its content: two equal
        messages are one mail.
        *not_before*: when it may be sent at the earliest, with a time zone.
        *expires*: when it must not be sent any more, with a time zone; it ends *not sent* then.

        The mail is sent if the transaction is committed. Nothing is committed or rolled back here.
        If the message is invalid, `UsageError` is raised before the database is used. Raises
        `ConfigurationError` if the database is neither PostgreSQL nor SQLite, and `LedgerError` if
        the tables are missing.
        """
        mail = in_thread(self._new_mail, message, key, not_before, expires)
        self._within(connection, partial(self._tables.add, mail=mail))
        return mail.key

    def find(self, key: str, *, within: Transaction | None = None) -> Record | None:
        """
        Return the mail with this *key*, None if there is none.

        *within*: the transaction that reads it, as for `add`; by default one of the ledger, which
        does not see what is not committed.
        """
        find = partial(self._tables.find, key=key)
        if within is not None:
            return self._within(within, find)
        return in_thread(self._read, find)

    def cancel(self, key: str, *, within: Transaction | None = None) -> bool:
        """
        End the mail with this *key* as *not sent*, if no worker has taken it yet, and return
        whether that was so: False for an unknown key, too. The key stays known.

        *within*: the transaction that does it, as for `add`; by default one of the ledger.
        """
        cancel = partial(self._tables.cancel, key=key)
        if within is not None:
            return self._within(within, cancel)
        return in_thread(self._write, cancel)

    def create_tables(self) -> None:
        """
        Create or migrate the tables in the database of the ledger, beside the tables that it has.

        Not needed if Alembic or Django's migrations create them.
        """
        in_thread(self._ledger.database.create_tables)

    @staticmethod
    def _within(connection: Transaction, work: Callable[[Any], T]) -> T:

        return work(connection)

    def _read(self, work: Callable[[Any], T]) -> T:
        with self._ledger.database.reading() as connection:
            return work(connection)

    def _write(self, work: Callable[[Any], T]) -> T:
        with self._ledger.database.transaction() as connection:
            return work(connection)
