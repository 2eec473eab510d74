"""Posting what is due, again where it failed, and again where somebody wants to see it twice."""

from __future__ import annotations

import threading

from poweremail.errors import UsageError
from poweremail.sandbox._store.clock import Clock
from poweremail.sandbox._webhooks.deliveries import Deliveries, Delivery
from poweremail.sandbox._webhooks.posting import (
    AwaitedReceiver,
    HttpPoster,
    Poster,
    RespondingReceiver,
    answered_by,
    poster_to,
)
from poweremail.sandbox._webhooks.recording import Happenings

__all__ = ["Courier"]


class Courier:
    """
    Carries *deliveries* to where they belong, at the time of *clock*. Safe to use from several
    threads: one posts at a time.
    """

    def __init__(self, deliveries: Deliveries, happenings: Happenings, clock: Clock) -> None:
        self._deliveries = deliveries
        self._happenings = happenings
        self._clock = clock
        self._lock = threading.Lock()
        self._delivering: int | None = None
        self._http = HttpPoster()

    def deliver(
        self, to: RespondingReceiver | Poster | None = None, *, stop: threading.Event | None = None
    ) -> list[Delivery]:
        """
        Let happen what is due by the script, post what is due to the webhooks, and return what was
        posted, as it is after that.

        *to* is a receiver in this process that gets all of it; without one, each goes to its URL. A
        webhook that did not answer is left alone until the next time, so that the others need not
        wait for it. Where *stop* is set, nothing more is begun.
        """
        if self._delivering == threading.get_ident():
            # It would wait for itself for ever.
            raise UsageError(
                "was called by a receiver that it is delivering to",
                field="deliver",
                mail_state=None,
            )
        self._happenings.settle()
        poster = poster_to(to, self._http)
        with self._lock:
            self._delivering = threading.get_ident()
            try:
                return self._deliver(poster, stop)
            finally:
                self._delivering = None

    def _deliver(self, poster: Poster, stop: threading.Event | None) -> list[Delivery]:
        posted: list[Delivery] = []
        silent: set[str] = set()
        last, now = 0, self._clock.milliseconds()
        while not (stop and stop.is_set()):
            delivery = self._deliveries.take(now, after=last, without=silent)
            if delivery is None:
                break
            last = delivery.number
            try:
                after = self._post(delivery, poster)
            finally:
                self._deliveries.let_go(delivery)
            posted.append(after)
            if after.attempts[-1].status is None:
                silent.add(delivery.webhook_id)
        return posted

    async def adeliver(self, to: AwaitedReceiver) -> list[Delivery]:
        """As `deliver`, to a receiver that is awaited, on whichever event loop is running."""
        self._happenings.settle()
        posted: list[Delivery] = []
        last, now = 0, self._clock.milliseconds()
        while (delivery := self._deliveries.take(now, after=last)) is not None:
            last = delivery.number
            try:
                answered = answered_by(
                    await to.arespond("POST", dict(delivery.headers), delivery.body)
                )
                posted.append(
                    self._deliveries.note(delivery, answered, now=self._clock.milliseconds())
                )
            finally:
                self._deliveries.let_go(delivery)
        return posted

    def replay(self, number: int, to: RespondingReceiver | Poster | None = None) -> Delivery:
        """
        Post a delivery once more, byte for byte, and return it with what came of that. Raises
        LookupError if there is none.
        """
        delivery = self._deliveries.find(number)
        return self._post(delivery, poster_to(to, self._http))

    def _post(self, delivery: Delivery, poster: Poster) -> Delivery:
        answered = poster.post(delivery.url, delivery.headers, delivery.body)
        return self._deliveries.note(delivery, answered, now=self._clock.milliseconds())

    def close(self) -> None:
        """Let go of what it holds. It can be used again."""
        with self._lock:
            self._http.close()
