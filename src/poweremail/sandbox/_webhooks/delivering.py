"""Posting of due deliveries: on request, again after a failure, and by a thread of the server."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Collection, Generator
from contextlib import closing

from poweremail.errors import UsageError
from poweremail.sandbox._store.clock import Clock
from poweremail.sandbox._webhooks.deliveries import Deliveries, Delivery
from poweremail.sandbox._webhooks.posting import (
    AttemptResult,
    AwaitedReceiver,
    Post,
    Poster,
    RespondingReceiver,
    post_to,
    result_of,
)
from poweremail.sandbox._webhooks.recording import EventRecorder

_logger = logging.getLogger("poweremail.sandbox")

_POLL_SECONDS = 0.05
"""A poll costs two small queries."""


class Deliverer:
    """
    Posts *deliveries* that are due by *clock*, one at a time. Safe to use from many threads.

    *ca* is a file of certificates that it trusts, beside those that the system trusts.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        recorder: EventRecorder,
        clock: Clock,
        *,
        ca: str | None,
    ) -> None:
        self._deliveries = deliveries
        self._recorder = recorder
        self._clock = clock
        self._ca = ca
        self._lock = threading.Lock()
        self._delivering_thread: int | None = None

    def deliver(
        self, to: RespondingReceiver | Poster | None = None, *, stop: threading.Event | None = None
    ) -> list[Delivery]:
        """
        Record the planned events that are due, post the deliveries that are due, and return these.

        *to*
            A receiver in this process, or a poster, for all deliveries; None posts each to its URL.
        *stop*
            Once it is set, no further post begins.

        A webhook that does not respond is skipped until the next call, so that the others need not
        wait for it.
        """
        if self._delivering_thread == threading.get_ident():
            # It would wait for its own lock for ever.
            raise UsageError(
                "was called by a receiver that it is delivering to",
                field="deliver",
                mail_state=None,
            )
        post = post_to(to, self._ca)
        posted: list[Delivery] = []
        silent: set[str] = set()
        with self._lock, closing(self._due(silent, stop)) as due:
            self._delivering_thread = threading.get_ident()
            try:
                for delivery in due:
                    posted.append(self._post(delivery, post))
                    if posted[-1].attempts[-1].status is None:
                        silent.add(delivery.webhook_id)
            finally:
                self._delivering_thread = None
        return posted

    async def adeliver(self, to: AwaitedReceiver) -> list[Delivery]:
        """As `deliver`, to a receiver that is awaited, on the event loop that is running."""
        posted: list[Delivery] = []
        with closing(self._due()) as due:
            for delivery in due:
                response = await to.arespond("POST", dict(delivery.headers), delivery.body)
                posted.append(self._note(delivery, result_of(response)))
        return posted

    def _due(
        self, skip: Collection[str] = (), stop: threading.Event | None = None
    ) -> Generator[Delivery, None, None]:
        """Claim the deliveries that are due, one after the other, each until the next is wanted."""
        self._recorder.record_due()
        last, now = 0, self._clock.milliseconds()
        while not (stop and stop.is_set()):
            delivery = self._deliveries.claim(now, after=last, skip=skip)
            if delivery is None:
                break
            last = delivery.number
            try:
                yield delivery
            finally:
                self._deliveries.release(delivery)

    def replay(self, number: int, to: RespondingReceiver | Poster | None = None) -> Delivery:
        """Post a delivery once more, byte for byte. Raises LookupError if there is none."""
        return self._post(self._deliveries.find(number), post_to(to, self._ca))

    def _post(self, delivery: Delivery, post: Post) -> Delivery:
        return self._note(delivery, post(delivery.url, delivery.headers, delivery.body))

    def _note(self, delivery: Delivery, result: AttemptResult) -> Delivery:
        return self._deliveries.note(delivery, result, now=self._clock.milliseconds())


class DeliveryThread:
    """
    A thread beside the server, in which *deliverer* delivers until it is stopped.

    It also calls *upkeep* again and again.
    """

    def __init__(self, deliverer: Deliverer, upkeep: Callable[[], object]) -> None:
        self._deliverer = deliverer
        self._upkeep = upkeep
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name="poweremail-sandbox-webhooks", daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no further post, and return once the current one has ended: after seconds."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_POLL_SECONDS):
            try:
                self._upkeep()
                self._deliverer.deliver(stop=self._stop)
            except sqlite3.ProgrammingError:
                return  # the sandbox was closed before its server
            except sqlite3.Error as error:
                # Another process may hold the file for long, or the disk may be full. Deliveries
                # stay due.
                _logger.warning(
                    "sandbox: webhooks wait, because the database cannot be used: %s", error
                )
                self._stop.wait(1)
