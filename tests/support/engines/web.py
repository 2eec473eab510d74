"""
The web application of the proof: it fills the batch, and adds mails to the outbox in transactions.

Every tenth transaction is rolled back. It does so until there is a file ``enough``.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import random
import uuid
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from poweremail import Message, RateLimits
from poweremail.batch import AsyncBatch, AsyncOutbox, Entry
from support.engines.settings import BATCH, LEASE, PER_MINUTE, RUNNERS, SMTP_USERS
from support.engines.traced import LEDGER, note

ENOUGH = Path(os.environ["ENGINES_TRACE"]).with_name("enough")
_PLANNED = 80
_ROLLED_BACK = 0.1


def message(key: str) -> Message:
    return Message(subject="Hi", from_email="me@example.com", to=f"{key}@example.com", text=key)


async def awaited(value):
    """The applications of the proof are synchronous or asynchronous."""
    return await value if inspect.isawaitable(value) else value


class Web:
    def __init__(self, mail) -> None:
        self._mail = mail
        place = LEDGER.replace("://", "+psycopg://")
        self._is_async = isinstance(mail.outbox, AsyncOutbox)
        self._engine = (create_async_engine if self._is_async else create_engine)(place)

    async def serve(self) -> None:
        is_set_up = False
        while not ENOUGH.exists():
            try:
                if not is_set_up:
                    await self._set_up()
                    is_set_up = True
                await self._fill()
                await self._request()
            except Exception as error:  # noqa: BLE001  the database is gone, or the broker
                note("web", repr(error).replace("\n", " "))
            await asyncio.sleep(random.uniform(0.1, 0.6))

    async def _set_up(self) -> None:
        limits = RateLimits(per_minute=PER_MINUTE, per_hour=None, per_day=None)
        async with AsyncBatch(None, LEDGER, BATCH, smtp_users=SMTP_USERS) as batch:
            await batch.add([])
            await batch.set_options(
                lease=LEASE, visibility=4.0, errors_in_a_row=10_000, limits=limits
            )
        await awaited(self._mail.start(BATCH, runners=RUNNERS))

    async def _fill(self) -> None:
        async with AsyncBatch(None, LEDGER, BATCH) as batch:
            status = await batch.status()
            if status.counts["planned"] < _PLANNED:
                keys = [f"n{status.total + number}" for number in range(_PLANNED)]
                await batch.add([Entry(message=message(key), key=key) for key in keys])

    async def _request(self) -> None:
        key = f"o{uuid.uuid4().hex}"
        note("offered", key)
        if self._is_async:
            async with self._engine.connect() as connection, connection.begin() as transaction:
                await self._mail.outbox.add(connection, message(key), key=key)
                done = await self._end(transaction)
        else:
            with self._engine.connect() as connection, connection.begin() as transaction:
                self._mail.outbox.add(connection, message(key), key=key)
                done = await self._end(transaction)
        note(done, key)
        await awaited(self._mail.kick())

    async def _end(self, transaction) -> str:
        if random.random() < _ROLLED_BACK:
            await awaited(transaction.rollback())
            return "rolled_back"
        await awaited(transaction.commit())
        return "committed"


async def main() -> None:
    application = importlib.import_module(f"support.engines.{os.environ['ENGINES_ENGINE']}_app")
    if hasattr(application, "broker"):
        await application.broker.startup()
    if os.environ["ENGINES_ENGINE"] == "procrastinate":
        await application.open_app()
    await Web(application.mail).serve()


if __name__ == "__main__":
    asyncio.run(main())
