"""
The mail of an application whose work is done by a task queue.

Theory of operation. The ledger carries the work, and the queue carries permission to work: a kick
is the name of a batch, a lane of it, and the turn of that lane (see `poweremail._ledger.lanes`). A
task that gets a kick takes the lane, works for some seconds, and sends the next kick for the time
when there is more to do. No place of the queue is held by a wait.

The invariant: nothing depends on a kick. One that comes twice finds its turn spent and ends at
once; one that is lost is replaced by the beat, a periodic task. So a broker may lose, double and
delay what it likes. Tasks need no late acknowledgment and no retries, which would only hold places
of the queue; and if the ledger cannot be reached, a task raises, the engine logs it, and the beat
goes on.

How it is tested: `tests/support/engines` kills real workers, brokers and databases under every
engine, and counts the mails.
"""

from __future__ import annotations

import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TypedDict

from poweremail._async.client import AsyncPowerEmail
from poweremail._async.durable.batch import AsyncBatch
from poweremail._async.durable.outbox import AsyncOutbox
from poweremail._ledger.ledger import Ledger
from poweremail._ledger.values import Kick, LaneStatus, Worked
from poweremail._runtime._async import in_thread

_log = logging.getLogger("poweremail.engines")

_MAX_DELAY_SECONDS = 60.0
"""
Engines keep a delayed message in the memory of a worker, or deliver it again if it waits for too
long. A kick that comes early is sent on.
"""


class AsyncMailOptions(TypedDict, total=False):
    """Options of `AsyncMail` that the engines pass on."""

    client: Callable[[], AsyncPowerEmail]
    seconds: float
    concurrency: int
    smtp_users: Iterable[str]
    outbox_runners: int


class AsyncMail(ABC):
    """
    The batches and the outbox in *ledger*, sent by the workers of a task queue.

    For Celery, taskiq and procrastinate there are subclasses. For another queue, make one: its
    `send_kick` puts a kick into the queue, a task gives it to `drive`, and something calls `beat`
    every 30 seconds.

    *ledger*
        A URL such as ``postgresql://host/name``, which all hosts can reach; ``django:default``, a
        database of Django's settings; the path of a file for one host; or a `Ledger`, which may
        have a schema and hooks.
    *client*
        Returns the client. It is called once in each process that sends; by default
        `AsyncPowerEmail.from_env`.
    *seconds*
        How long a task works before it sends the next kick: 20.
    *concurrency*
        The number of mails that a task has in work at once: 16.
    *smtp_users*
        The names of the SMTP users that send; by default that of the client.
    *outbox_runners*
        How many tasks may send mails of the outbox at once, on all hosts together: 4.
    *is_stopping*
        Called at least once a second while a task works; if it returns True, the task ends after
        the mails in work.

    Methods raise `LedgerError` if the ledger cannot be used, unless they say otherwise.
    """

    def __init__(
        self,
        ledger: str | os.PathLike[str] | Ledger,
        *,
        client: Callable[[], AsyncPowerEmail] = AsyncPowerEmail.from_env,
        seconds: float = 20.0,
        concurrency: int = 16,
        smtp_users: Iterable[str] = (),
        outbox_runners: int = 4,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self.ledger: Ledger = ledger if isinstance(ledger, Ledger) else Ledger(ledger)
        self._make_client = client
        self._seconds = seconds
        self._concurrency = concurrency
        self._smtp_users = tuple(smtp_users)
        self._outbox_runners = outbox_runners
        self._is_stopping = is_stopping

    @cached_property
    def client(self) -> AsyncPowerEmail:
        """The client of this process, made when it is first used."""
        return self._make_client()

    @cached_property
    def outbox(self) -> AsyncOutbox:
        """The outbox: mails are added to it in transactions of your own database."""
        return AsyncOutbox(self.ledger)

    @abstractmethod
    async def send_kick(self, kick: Kick, delay: float) -> None:
        """
        Put *kick* into the queue, to be delivered after *delay* seconds, at most 60. It may raise
        whatever the queue raises.
        """

    async def drive(self, kick: Kick) -> Worked:
        """
        Spend *kick*: work on its batch, and send the kick that follows.

        A batch that was purged meanwhile is *finished*.
        """
        if await in_thread(self.ledger.find_any, kick.batch) is None:
            return Worked(counts={}, reason="finished", again_in=None, kick=None)
        batch = AsyncBatch(
            self.client,
            self.ledger,
            kick.batch,
            smtp_users=self._smtp_users,
            concurrency=self._concurrency,
        )
        worked = await batch.work(self._seconds, kick=kick, is_stopped=self._is_stopping)
        if worked.kick is not None:
            await self._send(worked.kick, min(worked.again_in or 0.0, _MAX_DELAY_SECONDS))
        elif worked.reason == "stopped":  # before it took the lane: the turn is for another worker
            await self._send(kick)
        return worked

    async def beat(self) -> None:
        """Send kicks in place of those that were lost. Call it every 30 seconds, on any host."""
        for kick in await in_thread(self.ledger.lanes.beat):
            await self._send(kick)

    async def kick(self) -> None:
        """
        Let the outbox be sent now rather than after the next beat; call it after the commit.

        It raises nothing, because the mails are in the ledger: a failure is logged.
        """
        try:
            kick = await in_thread(self._kick_outbox)
        except Exception:  # noqa: BLE001  whatever it is, the mail is safe
            _log.exception("the outbox was not kicked, the next beat makes up for it")
        else:
            if kick is not None:
                await self._send(kick)

    async def start(self, name: str, runners: int | None = None) -> None:
        """
        Let up to *runners* tasks, on all hosts together, send the batch called *name*, and end its
        drain. None keeps the number. Raises `ConfigurationError` if there is no such batch.
        """
        for kick in await AsyncBatch(None, self.ledger, name).start(runners):
            await self._send(kick)

    async def workers(self, name: str) -> list[LaneStatus]:
        """
        Return the tasks that work on the batch called *name*, on all hosts. Raises
        `ConfigurationError` if there is no such batch.
        """
        return await AsyncBatch(None, self.ledger, name).workers()

    async def drain(self, name: str | None = None, *, host: str | None = None) -> None:
        """
        Let the tasks that work on the batch called *name*, or on any, on *host*, or on all, end
        after the mails in work, and none begin, until `undrain`. Raises `ConfigurationError` if
        there is no such batch.
        """
        await in_thread(self.ledger.lanes.drain, await self._number(name), host)

    async def undrain(self, name: str | None = None, *, host: str | None = None) -> None:
        """
        End the drain that was begun with the same arguments. Raises `ConfigurationError` if there
        is no such batch.
        """
        await in_thread(self.ledger.lanes.undrain, await self._number(name), host)

    async def _number(self, name: str | None) -> int | None:
        return None if name is None else await in_thread(self.ledger.find, name)

    def _kick_outbox(self) -> Kick | None:
        number = self.ledger.find(self.outbox.name)
        return self.ledger.lanes.kick(number, runners=self._outbox_runners)

    async def _send(self, kick: Kick, delay: float = 0.0) -> None:
        try:
            await self.send_kick(kick, delay)
        except Exception:  # noqa: BLE001  each queue has its own
            _log.exception("a kick could not be sent, the next beat makes up for it")
