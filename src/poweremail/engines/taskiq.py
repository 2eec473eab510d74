"""
taskiq. It carries kicks, and no more: see `poweremail.engines._async`.

Not every broker of taskiq can delay a message. A kick for later waits in the memory of the process
that has worked: if that ends, the beat replaces the kick.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, TypeAlias, Unpack

import attrs
from taskiq import AsyncBroker, TaskiqEvents, TaskiqState

from poweremail._ledger.ledger import Ledger
from poweremail._ledger.values import Kick, Worked
from poweremail.engines._async import AsyncMail, AsyncMailOptions

__all__ = ["TaskiqMail"]

_Handler: TypeAlias = Callable[[int, FrameType | None], Any]


class TaskiqMail(AsyncMail):
    """
    Batches and the outbox in *ledger*, sent by the workers of *broker*.

    *beat*
        The whole seconds between two beats, which ``taskiq scheduler`` makes from a
        ``LabelScheduleSource``: 30.
    *options*
        Those of `AsyncMail`.

    Make it where the broker is made, so that workers, scheduler and web processes all have it.
    After SIGTERM a worker ends with the mails that it has in work.
    """

    def __init__(
        self,
        broker: AsyncBroker,
        ledger: str | os.PathLike[str] | Ledger,
        *,
        beat: int = 30,
        **options: Unpack[AsyncMailOptions],
    ) -> None:
        self._stopping = False
        super().__init__(ledger, is_stopping=lambda: self._stopping, **options)
        self._waiting: set[asyncio.Future[None]] = set()
        self._working: set[asyncio.Future[Worked]] = set()

        async def drive(batch: str, lane: int, turn: int) -> None:
            working = asyncio.ensure_future(self.drive(Kick(batch, lane, turn)))
            self._working.add(working)
            working.add_done_callback(self._working.discard)
            await working

        async def beat_() -> None:
            await self.beat()

        self._drive = broker.register_task(drive, "poweremail.drive")
        broker.register_task(beat_, "poweremail.beat", schedule=[{"interval": beat}])
        broker.add_event_handler(TaskiqEvents.WORKER_STARTUP, self._listen)
        broker.add_event_handler(TaskiqEvents.WORKER_SHUTDOWN, self._finish)

    async def send_kick(self, kick: Kick, delay: float) -> None:
        """Put *kick* into the queue, for *delay* seconds from now."""
        if delay:
            waiting = asyncio.create_task(self._send_later(kick, delay))
            self._waiting.add(waiting)
            waiting.add_done_callback(self._waiting.discard)
        else:
            await self._drive.kiq(**attrs.asdict(kick))

    async def _send_later(self, kick: Kick, delay: float) -> None:
        await asyncio.sleep(delay)
        await self._send(kick)

    def _listen(self, _: TaskiqState) -> None:
        """Note the signals that end a worker: it tells its tasks nothing, and waits for them."""
        for number in (signal.SIGINT, signal.SIGTERM):
            former = signal.getsignal(number)
            if callable(former):
                signal.signal(number, partial(self._stop, former))

    async def _finish(self, _: TaskiqState) -> None:
        """Let the mails in work end: a worker that has lost its broker does not wait for tasks."""
        self._stopping = True
        for waiting in self._waiting:
            waiting.cancel()
        if self._working:
            await asyncio.wait(self._working)

    def _stop(self, former: _Handler, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        former(number, frame)
