"""
procrastinate. It carries kicks, and no more: see `poweremail.engines._async`.

Its jobs are rows of PostgreSQL: the kick for a mail of the outbox is a job of the transaction that
adds the mail.
"""

from __future__ import annotations

import math
import os
from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Unpack

import attrs
import psycopg
from procrastinate import App, JobContext
from procrastinate.tasks import Task
from procrastinate.worker import Worker
from sqlalchemy.ext.asyncio import AsyncConnection

from poweremail._async.durable.outbox import AsyncOutbox
from poweremail._ledger.ledger import Ledger
from poweremail._ledger.values import Kick
from poweremail._messages.message import Message, TemplateMessage
from poweremail.engines._async import AsyncMail, AsyncMailOptions

if TYPE_CHECKING:
    from poweremail._async.durable.outbox import Transaction

__all__ = ["ProcrastinateMail"]


class ProcrastinateMail(AsyncMail):
    """
    Batches and the outbox in *ledger*, sent by the workers of the procrastinate application *app*.

    *queue*
        The queue of its jobs.
    *beat*
        The whole seconds between two beats, which the workers make, from 1 to 59: 30.
    *options*
        Those of `AsyncMail`.

    Make it where the application is made. After SIGTERM a worker ends with the mails that it has in
    work.
    """

    def __init__(
        self,
        app: App,
        ledger: str | os.PathLike[str] | Ledger,
        *,
        queue: str = "default",
        beat: int = 30,
        **options: Unpack[AsyncMailOptions],
    ) -> None:
        self._worker: Worker | None = None
        super().__init__(ledger, is_stopping=self._is_worker_stopping, **options)

        @app.task(name="poweremail.drive", queue=queue, task_middleware=[self._note_worker])
        async def drive(batch: str, lane: int, turn: int) -> None:
            await self.drive(Kick(batch, lane, turn))

        @app.task(name="poweremail.kick", queue=queue)
        async def kick() -> None:
            await self.kick()

        @app.periodic(cron=f"* * * * * */{beat}")
        @app.task(name="poweremail.beat", queue=queue, queueing_lock="poweremail.beat")
        async def beat_(timestamp: int) -> None:  # noqa: ARG001  procrastinate gives it
            await self.beat()

        self._drive, self._kick = drive, kick

    @cached_property
    def outbox(self) -> AsyncOutbox:
        """The outbox. To add a mail also adds a job that kicks, in the same transaction."""
        return _Outbox(self.ledger, self._kick)

    async def send_kick(self, kick: Kick, delay: float) -> None:
        """Put *kick* into the queue, for *delay* seconds from now."""
        job = self._drive.configure(schedule_in={"seconds": math.ceil(delay)} if delay else None)
        await job.defer_async(**attrs.asdict(kick))

    async def _note_worker(
        self, call_next: Callable[[], Awaitable[Any]], _: JobContext, worker: Worker
    ) -> Any:
        self._worker = worker
        return await call_next()

    def _is_worker_stopping(self) -> bool:
        # A job that runs is told of the end of its worker only by a cancellation. The event is set
        # by Worker.stop in procrastinate/worker.py.
        return self._worker is not None and self._worker._stop_event.is_set()  # noqa: SLF001


class _Outbox(AsyncOutbox):
    """*kick*: the task whose job is added with each mail."""

    def __init__(self, ledger: Ledger, kick: Task[[], Any, []]) -> None:
        super().__init__(ledger)
        self._kick = kick

    async def add(
        self, connection: Transaction, message: Message | TemplateMessage, **options: Any
    ) -> str:
        key = await super().add(connection, message, **options)
        transaction = connection
        while not isinstance(transaction, AsyncConnection):  # a session, or a scope of sessions
            transaction = await transaction.connection()
        of_driver = (await transaction.get_raw_connection()).driver_connection
        if isinstance(of_driver, psycopg.AsyncConnection):
            await self._kick.configure(connection=of_driver).defer_async()
        return key
