"""
Celery. It carries kicks, and no more: see `poweremail.engines._async`.

Its tasks are acknowledged before they run and are not tried again: a kick that was lost with its
worker is replaced by the beat, and one that came again would find its turn spent.
"""

from __future__ import annotations

import mmap
import os
from typing import Any, Unpack

import attrs
from celery import Celery
from celery.signals import worker_shutting_down

from poweremail._ledger.ledger import Ledger
from poweremail._ledger.values import Kick
from poweremail.engines._sync import Mail, MailOptions

__all__ = ["CeleryMail"]

_DRIVE = "poweremail.drive"
_BEAT = "poweremail.beat"


class CeleryMail(Mail):
    """
    Batches and the outbox in *ledger*, sent by the workers of the Celery application *app*.

    *queue*
        The queue of its tasks; by default that of the application. Give it workers of its own if
        other tasks are not to wait for mails.
    *beat*
        The seconds between two beats, which ``celery beat`` makes: 30.
    *options*
        Those of `Mail`.

    Make it where the application is made, so that workers, ``celery beat`` and web processes all
    have it. After SIGTERM a worker ends with the mails that it has in work.
    """

    def __init__(
        self,
        app: Celery,
        ledger: str | os.PathLike[str] | Ledger,
        *,
        queue: str | None = None,
        beat: float = 30.0,
        **options: Unpack[MailOptions],
    ) -> None:
        # The children of a prefork pool share it: SIGTERM reaches their parent only.
        stopping = mmap.mmap(-1, 1)
        super().__init__(ledger, is_stopping=lambda: stopping[0] != 0, **options)
        self._app = app
        self._route: dict[str, Any] = {} if queue is None else {"queue": queue}

        def on_shutdown(**_: object) -> None:
            stopping[0] = 1

        worker_shutting_down.connect(on_shutdown, weak=False)

        @app.task(name=_DRIVE, acks_late=False, ignore_result=True, max_retries=0)
        def drive(**kick: Any) -> None:
            self.drive(Kick(**kick))

        @app.task(name=_BEAT, acks_late=False, ignore_result=True, max_retries=0)
        def beat_() -> None:
            self.beat()

        # One that waited for longer than the next has nothing to add.
        app.add_periodic_task(beat, app.signature(_BEAT), name=_BEAT, expires=beat, **self._route)

    def send_kick(self, kick: Kick, delay: float) -> None:
        """Put *kick* into the queue, for *delay* seconds from now."""
        self._app.send_task(
            _DRIVE,
            kwargs=attrs.asdict(kick),
            countdown=delay or None,
            ignore_result=True,
            retry=False,
            **self._route,
        )
