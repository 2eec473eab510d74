"""Rules that choose the requests a fault hits: by call, by recipient, by number or by chance."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import attrs

from poweremail._types.checks import is_number, is_whole, must_be, require
from poweremail.errors import ConfigurationError
from poweremail.sandbox._api.requests import CALLS, SENDS
from poweremail.sandbox._faults.kinds import Effect, Fault

_OPTIONS = ("call", "recipient", "nth", "times", "chance")
_COUNTS = ("number", "seen", "hit")


def _option(wanted: str, valid: Callable[[Any], object], default: Any = None) -> Any:
    return attrs.field(default=default, validator=must_be(wanted, valid))


def _count() -> Any:
    return _option("a number from 1 on", lambda value: value is None or is_whole(value, 1))


@attrs.define(kw_only=True)
class FaultRule:
    """
    A fault and the requests that it hits: see `Faults.add` for the options.

    *number*
        Identifies the rule in its sandbox. The first is 1, and none is used twice.
    *seen*, *hit*
        How many requests the rule was checked for, and how many of them it hit.
    """

    fault: Fault = attrs.field(on_setattr=attrs.setters.frozen)
    call: str | None = _option(
        f"one of {', '.join(CALLS)}", lambda value: value is None or value in CALLS
    )
    recipient: str | None = _option(
        "an address", lambda value: value is None or (isinstance(value, str) and value)
    )
    nth: int | None = _count()
    times: int | None = _count()
    chance: float = _option(
        "a probability from 0 to 1", lambda value: is_number(value, 0, 1), default=1.0
    )
    number: int = attrs.field(default=0, init=False, eq=False)
    seen: int = attrs.field(default=0, init=False)
    hit: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        require(
            "call",
            self.call,
            f"one of {', '.join(SENDS)}, whose mail is to show late",
            self.call in (None, *SENDS) or not self.fault.effect.visible_after,
        )

    def concerns(self, call: str | None, recipients: set[str] | None) -> bool:
        """
        Return whether the rule applies to a request, leaving number and chance aside.

        *call*
            The name of its call; None if the service knows no such call.
        *recipients*
            The addresses in lower case; None before the body is read.
        """
        if self.fault.effect.visible_after and call not in SENDS:
            return False
        if self.call not in (None, call):
            return False
        if self.recipient is None or recipients is None:
            return self.recipient is None and recipients is None
        return self.recipient.lower() in recipients

    def strikes(self, chance: random.Random) -> bool:
        """Count a request that the rule concerns, and return whether it is hit."""
        self.seen += 1
        times = self.times or (1 if self.nth else None)
        if self.seen < (self.nth or 1) or (times is not None and self.hit >= times):
            return False
        if self.chance < 1 and chance.random() >= self.chance:
            return False
        self.hit += 1
        return True

    def to_dict(self) -> dict[str, Any]:
        """Return the rule as JSON values, with its number and its counts."""
        return attrs.asdict(self, recurse=False) | {"fault": self.fault.to_dict()}


@attrs.frozen
class Arrival:
    """A request that has begun: the name of its *call*, and its faults so far by rule number."""

    call: str | None
    hits: tuple[tuple[int, Fault], ...]

    @property
    def effect(self) -> Effect:
        """
        The faults as one.

        Delays add up. Of the faults that decide the response, the one added first does.
        """
        effects = [fault.effect for _, fault in sorted(self.hits, key=lambda hit: hit[0])]
        decisive = next((effect for effect in effects if effect.decides), Effect())
        delays = [effect for effect in effects if effect is decisive or not effect.decides]
        return attrs.evolve(
            decisive,
            latency=sum(effect.latency for effect in delays),
            drip=max((effect.drip for effect in effects), default=0.0),
            visible_after=max((effect.visible_after for effect in effects), default=0.0),
        )


class Faults:
    """
    The faults of a sandbox.

    *seed* makes faults by chance the same in every run. Safe to use from several threads.
    """

    def __init__(self, seed: int | str | None = None) -> None:
        self._seed = seed
        self._chance = random.Random(seed)  # noqa: S311  chance, not secrecy
        self._rules: list[FaultRule] = []
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def add(
        self,
        fault: Fault,
        *,
        call: str | None = None,
        recipient: str | None = None,
        nth: int | None = None,
        times: int | None = None,
        chance: float = 1.0,
    ) -> FaultRule:
        """
        Let *fault* hit requests; without options, every request from now on.

        *call*
            Only calls of this name: ``sendMail``, ``sendTemplate``, ``sendTemplateHTTPGet``,
            ``sendRaw``, ``getMessageInfo``, or one about settings or the account, such as
            ``listSmtp``.
        *recipient*
            Only sound mails to this address (in any case), alone or among others. The recipients
            stand in the body, so a fault that breaks the connection strikes once that is read.
        *nth*
            Only the n-th of these requests, counted from 1; with *times*, the n-th and later ones.
        *times*
            So many of them at most.
        *chance*
            Each of them with this probability.

        Of several faults that decide the response, the one added first does; but if one breaks the
        connection before the body is read, no fault by recipient is checked. Raises
        `ConfigurationError` if an option is invalid.
        """
        rule = FaultRule(
            fault=fault, call=call, recipient=recipient, nth=nth, times=times, chance=chance
        )
        with self._lock:
            rule.number = next(self._numbers)
            self._rules.append(rule)
        return rule

    def add_dict(self, members: Mapping[str, Any]) -> FaultRule:
        """
        Add the rule that `FaultRule.to_dict` returned, with a new number and counts from 0.

        Raises `ConfigurationError` if the members are invalid.
        """
        options = {name: value for name, value in members.items() if name not in _COUNTS}
        fault = options.pop("fault", None)
        require("fault", fault, "an object with a kind", isinstance(fault, Mapping))
        if unknown := options.keys() - set(_OPTIONS):
            raise ConfigurationError(f"a rule has no {', '.join(sorted(unknown))}", field="fault")
        return self.add(Fault.from_dict(fault), **options)

    def remove(self, rule: FaultRule | int) -> None:
        """Remove a *rule*, or the one of that number. Raises LookupError if there is none."""
        with self._lock:
            left = [each for each in self._rules if each is not rule and each.number != rule]
            if len(left) == len(self._rules):
                number = rule.number if isinstance(rule, FaultRule) else rule
                raise LookupError(f"there is no rule number {number}")
            self._rules = left

    def clear(self) -> None:
        """Remove all rules, and restart the random sequence from the seed."""
        with self._lock:
            self._rules.clear()
            self._chance = random.Random(self._seed)  # noqa: S311

    @property
    def rules(self) -> tuple[FaultRule, ...]:
        """The rules, in the order in which they were added."""
        with self._lock:
            return tuple(self._rules)

    def at_head(self, call: str | None) -> Arrival:
        """Begin a request whose body is still to be read: apply the rules without a recipient."""
        return Arrival(call, self._hits(call, None))

    def at_body(self, arrival: Arrival, recipients: Iterable[str]) -> Arrival:
        """Apply the other rules, for the request is a mail to *recipients*."""
        hits = self._hits(arrival.call, {address.lower() for address in recipients})
        return Arrival(arrival.call, (*arrival.hits, *hits))

    def _hits(self, call: str | None, recipients: set[str] | None) -> tuple[tuple[int, Fault], ...]:
        with self._lock:
            return tuple(
                (rule.number, rule.fault)
                for rule in self._rules
                if rule.concerns(call, recipients) and rule.strikes(self._chance)
            )
