"""
Which of several targets gets the next attempt of a mail, and which of them rest.

Theory of operation. A target is a client: an SMTP user of an account. Each has a circuit. It is
*closed* at first. After so many failures in a row it is *open*: nobody asks the target for a while.
Then it is *half open*: one send may probe the target, while the others still pass it by. If the
probe succeeds the circuit closes, else it is open again. A 429 with a Retry-After opens it at once,
for as long as the service demands. Nothing shortens a rest.

Many mails are under way at once, and outcomes come in another order than the attempts began. So
each attempt is a `Turn`, which knows how often the circuit was open when it began. If it was opened
since, the outcome says how the target was before, and is not news: it neither closes the circuit
nor ends a probe. Only a Retry-After still counts, and opens it anew.

A failure is what says that the target may not work: a mail that was not sent, a 429, and a mail
whose outcome is unknown. The last is never sent by another target, but the mails after it are. A
response that rejects a mail is a success here: the target works.

In order of priority, the first target that may be asked gets the mail. Round robin is the smooth
one of nginx: each time, every candidate's credit grows by its weight, and the one with the most
pays the weights of all. So weights of 3 and 1 give ``a a b a``, not ``a a a b``.

Everything here is arithmetic on a clock that the caller reads. A lock makes each step atomic for
threads.

Tests: ``tests/policy/test_failover`` compares with a model, and counts who was asked.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from threading import Lock
from typing import Literal, get_args

import attrs

from poweremail._types.checks import is_number, is_whole, require, require_one_of
from poweremail.errors import ConfigurationError, PowerEmailError

FailoverOrder = Literal["priority", "round_robin"]

_MAX_PROBE_SECONDS = 120.0
"""
After so long a probe counts as lost: longer than a send takes by the default timeouts. Without it,
an exception of a signal handler that fell between two steps could leave a target unasked forever.
"""


@attrs.frozen(kw_only=True)
class CircuitPolicy:
    """
    When a target rests.

    *failures*: so many failures in a row open its circuit: 3.
    *open_seconds*: the seconds until one send may probe it: 30. Long enough that a server restarts
    meanwhile, and short enough that a target is not forgotten.

    Raises `ConfigurationError` if an option is invalid.
    """

    failures: int = 3
    open_seconds: float = 30.0

    def __attrs_post_init__(self) -> None:
        require("circuit.failures", self.failures, "1 or more", is_whole(self.failures, 1))
        is_valid = is_number(self.open_seconds)
        require("circuit.open_seconds", self.open_seconds, "a number of seconds", is_valid)


@attrs.frozen(kw_only=True)
class FailoverEvent:
    """
    A target that did not take a mail.

    *target*: its name.
    *unique_id*: the unique id of the mail; None if the call has none.
    *error*: why. If the mail's outcome is unknown, no other target gets it.
    *is_open*: whether the circuit of the target is open now.
    """

    target: str
    unique_id: str | None
    error: PowerEmailError
    is_open: bool


@attrs.frozen
class Turn:
    """
    One attempt at a target.

    *name*: that of the target.
    *opened*: how often its circuit had been opened when the attempt began.
    """

    name: str
    opened: int


@attrs.define
class _Circuit:
    """
    The state of one target.

    *failures*: those in a row.
    *opened*: how often it was opened. It is closed if *open_until* is minus infinity.
    *probed_until*: when the probe that is under way counts as lost; minus infinity without one.
    *credit*: that of the round robin.
    """

    weight: int
    failures: int = 0
    opened: int = 0
    open_until: float = -math.inf
    probed_until: float = -math.inf
    credit: int = 0


class Targets:
    """
    The targets of a failover, by name, in order of priority.

    *weights*: the share of each in a round robin; 1 if it is missing.

    Raises `ConfigurationError` if an option is invalid.
    """

    def __init__(
        self,
        names: Iterable[str],
        order: FailoverOrder,
        weights: Mapping[str, int],
        circuit: CircuitPolicy,
    ) -> None:
        names = tuple(names)
        require_one_of("order", order, get_args(FailoverOrder))
        if weights and order != "round_robin":
            raise ConfigurationError("goes with order='round_robin'", field="weights")
        if unknown := [name for name in weights if name not in names]:
            raise ConfigurationError(f"there is no target {unknown[0]!r}", field="weights")
        for name, weight in weights.items():
            require(f"weights[{name!r}]", weight, "1 or more", is_whole(weight, 1))
        self._takes_turns = order == "round_robin"
        self._policy = circuit
        self._circuits = {name: _Circuit(weights.get(name, 1)) for name in names}
        self._lock = Lock()

    def candidates(self, tried: Collection[str], now: float) -> list[str]:
        """Return those that may be asked at *now*, without those that were *tried*."""
        with self._lock:
            return [name for name in self._circuits if name not in tried and self._may(name, now)]

    def take(self, candidates: Iterable[str], now: float) -> Turn | None:
        """
        Return a turn of the one of *candidates* to ask, None if none may be asked any more.

        One whose circuit is half open is being probed from here on, until the outcome of the turn
        is recorded.
        """
        with self._lock:
            names = [name for name in candidates if self._may(name, now)]
            if not names:
                return None
            name = self._next(names) if self._takes_turns else names[0]
            circuit = self._circuits[name]
            if circuit.open_until > -math.inf:
                circuit.probed_until = now + _MAX_PROBE_SECONDS
            return Turn(name, circuit.opened)

    def record_success(self, turn: Turn) -> None:
        """Close the circuit: the target responded."""
        with self._lock:
            circuit = self._circuits[turn.name]
            if turn.opened == circuit.opened:
                circuit.failures = 0
                circuit.open_until = circuit.probed_until = -math.inf

    def record_failure(self, turn: Turn, now: float, retry_after: float | None = None) -> bool:
        """
        Count a failure. Return whether the circuit is open from here on.

        *retry_after*: the seconds for which the service wants no further request.
        """
        with self._lock:
            circuit = self._circuits[turn.name]
            is_news = turn.opened == circuit.opened
            circuit.failures += is_news
            is_probed = circuit.probed_until > -math.inf
            opens = is_news and (is_probed or circuit.failures >= self._policy.failures)
            if opens or retry_after:
                seconds = retry_after or self._policy.open_seconds
                circuit.open_until = max(circuit.open_until, now + seconds)
                circuit.opened += 1
                circuit.probed_until = -math.inf
            return circuit.open_until > -math.inf

    def release(self, turn: Turn) -> None:
        """Record that nothing was learned about the target: its send was cancelled."""
        with self._lock:
            circuit = self._circuits[turn.name]
            if turn.opened == circuit.opened:
                circuit.probed_until = -math.inf

    def seconds_until_open(self, now: float) -> dict[str, float]:
        """Return the seconds until each target may be asked; 0 if it may, or is being probed."""
        with self._lock:
            return {
                name: max(circuit.open_until - now, 0.0) for name, circuit in self._circuits.items()
            }

    def _may(self, name: str, now: float) -> bool:
        circuit = self._circuits[name]
        return now >= max(circuit.open_until, circuit.probed_until)

    def _next(self, names: list[str]) -> str:
        circuits = {name: self._circuits[name] for name in names}
        for circuit in circuits.values():
            circuit.credit += circuit.weight
        name = max(circuits, key=lambda each: circuits[each].credit)
        circuits[name].credit -= sum(circuit.weight for circuit in circuits.values())
        return name
