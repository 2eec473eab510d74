"""Posting what is due, again where it failed, and again where somebody wants to see it twice."""

from __future__ import annotations

import threading

from poweremail.sandbox.clock import Clock
from poweremail.sandbox.deliveries import Deliveries, Delivery
from poweremail.sandbox.happenings import Happenings
from poweremail.sandbox.posting import HttpPoster, Poster, RespondingReceiver, poster_to

__all__ = ["Courier"]


class Courier:
    """Carries *deliveries* to where they belong, at the time of *clock*. Safe to use from several threads: one posts at a time."""

    def __init__(self, deliveries: Deliveries, happenings: Happenings, clock: Clock) -> None:
        self._deliveries = deliveries
        self._happenings = happenings
        self._clock = clock
        self._lock = threading.Lock()
        self._http = HttpPoster()

    def deliver(self, to: RespondingReceiver | Poster | None = None, *, stop: threading.Event | None = None) -> list[Delivery]:
        """
        Let happen what is due by the script, post what is due to the webhooks, and return what was posted, as it is after that.

        *to* is a receiver in this process that gets all of it; without one, each goes to its URL. A webhook that did not answer is
        left alone until the next time, so that the others need not wait for it. Where *stop* is set, nothing more is begun.
        """
        self._happenings.settle()
        poster = poster_to(to, self._http)
        posted: list[Delivery] = []
        silent: set[str] = set()
        with self._lock:
            last, now = 0, self._clock.milliseconds()
            while not (stop and stop.is_set()):
                delivery = self._deliveries.due(now, after=last, without=silent)
                if delivery is None:
                    break
                last = delivery.number
                after = self._post(delivery, poster)
                posted.append(after)
                if after.attempts[-1].status is None:
                    silent.add(delivery.webhook_id)
        return posted

    def replay(self, number: int, to: RespondingReceiver | Poster | None = None) -> Delivery:
        """Post a delivery once more, byte for byte, and return it with what came of that. Raises LookupError if there is none."""
        delivery = self._deliveries.find(number)
        return self._post(delivery, poster_to(to, self._http))

    def _post(self, delivery: Delivery, poster: Poster) -> Delivery:
        answered = poster.post(delivery.url, delivery.headers, delivery.body)
        return self._deliveries.note(delivery, answered, now=self._clock.milliseconds())

    def close(self) -> None:
        """Let go of what it holds. It can be used again."""
        with self._lock:
            self._http.close()
