"""
When something goes wrong: rules that choose requests, by name, by recipient, by number or by
chance.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from poweremail._types.number import is_number, is_whole
from poweremail.errors import UsageError
from poweremail.sandbox._api.settings import PATHS
from poweremail.sandbox._faults.kinds import Effect, Fault

__all__ = ["CALLS", "SENDS", "FaultRule", "Faults", "Turn"]

SENDS = ("sendMail", "sendTemplate", "sendTemplateHTTPGet", "sendRaw")
"""The calls that hand over a mail."""

CALLS = (*SENDS, "getMessageInfo", *PATHS.values())
"""The calls that the sandbox answers."""


_OPTIONS = ("call", "recipient", "nth", "times", "chance")
_COUNTS = ("number", "seen", "hit")


def _one_of_calls(_: FaultRule, __: object, value: str | None) -> None:
    if value is not None and value not in CALLS:
        raise _wrong("call", f"one of {', '.join(CALLS)}", value)


def _address(_: FaultRule, __: object, value: str | None) -> None:
    if value is not None and not (isinstance(value, str) and value):
        raise _wrong("recipient", "an address", value)


def _count(_: FaultRule, attribute: attrs.Attribute[Any], value: int | None) -> None:
    if value is not None and not is_whole(value, 1):
        raise _wrong(attribute.name, "a number from 1 on", value)


def _probability(_: FaultRule, __: object, value: float) -> None:
    if not is_number(value, 0, 1):
        raise _wrong("chance", "a probability from 0 to 1", value)


def _wrong(field: str, wanted: str, value: object) -> UsageError:
    return UsageError(f"must be {wanted}, not {value!r}", field=field, mail_state=None)


@attrs.define(kw_only=True)
class FaultRule:
    """
    A fault and the requests that it hits: see `Faults.add` for the fields.

    *number* tells it from the other rules of its sandbox: the first is 1, and none is given twice.
    *seen* counts the requests that the rule was asked about, *hit* those that it hit.
    """

    fault: Fault = attrs.field(on_setattr=attrs.setters.frozen)
    call: str | None = attrs.field(default=None, validator=_one_of_calls)
    recipient: str | None = attrs.field(default=None, validator=_address)
    nth: int | None = attrs.field(default=None, validator=_count)
    times: int | None = attrs.field(default=None, validator=_count)
    chance: float = attrs.field(default=1.0, validator=_probability)
    number: int = attrs.field(default=0, init=False, eq=False)
    seen: int = attrs.field(default=0, init=False)
    hit: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        if self.fault.effect.visible_after and self.call not in (None, *SENDS):
            raise _wrong(
                "call", f"one of {', '.join(SENDS)}, whose mail is to show late", self.call
            )

    def concerns(self, call: str | None) -> bool:
        """
        Whether the rule is about the call of this name; None is one that the service does not know.
        """
        if self.fault.effect.visible_after and call not in SENDS:
            return False
        return self.call in (None, call)

    def strikes(self, chance: random.Random) -> bool:
        """Count a request that the rule is about, and say whether it is hit."""
        self.seen += 1
        times = self.times or (1 if self.nth else None)
        if self.seen < (self.nth or 1) or (times is not None and self.hit >= times):
            return False
        if self.chance < 1 and chance.random() >= self.chance:
            return False
        self.hit += 1
        return True

    def to_dict(self) -> dict[str, Any]:
        """The rule as JSON values, with its number and its counts."""
        members = {name: getattr(self, name) for name in (*_OPTIONS, *_COUNTS)}
        return {"fault": self.fault.to_dict(), **members}


@attrs.frozen
class Turn:
    """
    One request on its way: the *call*, and the faults that hit it so far, each with the number of
    its rule.
    """

    call: str | None
    hits: tuple[tuple[int, Fault], ...]

    @property
    def effect(self) -> Effect:
        """
        All of them as one: delays add up, and of those that decide what comes, the one that was
        added first does.
        """
        effects = [fault.effect for _, fault in sorted(self.hits, key=lambda hit: hit[0])]
        decisive = next((effect for effect in effects if effect.decides), Effect())
        return attrs.evolve(
            decisive,
            latency=sum(
                effect.latency for effect in effects if effect is decisive or not effect.decides
            ),
            drip=max((effect.drip for effect in effects), default=0.0),
            visible_after=max((effect.visible_after for effect in effects), default=0.0),
        )


class Faults:
    """
    The faults of a sandbox.

    *seed* makes those that strike by chance the same in every run. Safe to use from several
    threads.
    """

    def __init__(self, seed: int | str | None = None) -> None:
        self._seed = seed
        self._chance = random.Random(seed)  # noqa: S311 - chance, not secrecy
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
        Let *fault* happen; without options, to every request from now on.

        *call*
            Only to calls of this name: ``sendMail``, ``sendTemplate``, ``sendTemplateHTTPGet``,
            ``sendRaw``, ``getMessageInfo``, or one about settings or the account, such as
            ``listSmtp``.
        *recipient*
            Only to sound mails that go to this address (whatever its case), alone or among others.
            The recipients stand in the body, so here a fault that breaks the connection before the
            body strikes once that is read.
        *nth*
            Not before the n-th request that is left by then, counted from 1; and only to that one,
            unless *times* says more.
        *times*
            To so many requests at most.
        *chance*
            To each of them with this probability.

        Of several faults that decide what comes, the one that was added first does; but where one
        breaks the connection before the body is read, no fault by recipient is asked. Raises
        `UsageError` for options that make no sense.
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
        Add the rule that `FaultRule.to_dict` wrote, under a new number; its counts begin anew.

        Raises `UsageError` where it is none.
        """
        options = {
            name: value for name, value in members.items() if name not in ("fault", *_COUNTS)
        }
        fault = members.get("fault")
        if not isinstance(fault, Mapping):
            raise _wrong("fault", "an object with a kind", fault)
        if unknown := options.keys() - set(_OPTIONS):
            raise UsageError(
                f"a rule has no {', '.join(sorted(unknown))}", field="fault", mail_state=None
            )
        return self.add(Fault.from_dict(fault), **options)

    def remove(self, rule: FaultRule | int) -> None:
        """
        Forget one *rule*, or the one of this number. Raises LookupError where it is not there, or
        not any more.
        """
        with self._lock:
            left = [each for each in self._rules if each is not rule and each.number != rule]
            if len(left) == len(self._rules):
                raise LookupError(
                    "there is no rule number "
                    f"{rule.number if isinstance(rule, FaultRule) else rule}"
                )
            self._rules = left

    def clear(self) -> None:
        """Let nothing go wrong any more, and let chance begin anew from the seed."""
        with self._lock:
            self._rules.clear()
            self._chance = random.Random(self._seed)  # noqa: S311

    @property
    def rules(self) -> tuple[FaultRule, ...]:
        """The rules, in the order in which they were added."""
        with self._lock:
            return tuple(self._rules)

    def at_head(self, call: str | None) -> Turn:
        """
        A request for *call* comes in and its body is still to be read: ask every rule that needs no
        recipient.
        """
        return Turn(call, self._hits(call, None))

    def at_body(self, turn: Turn, recipients: Iterable[str]) -> Turn:
        """The request turned out to be a mail to *recipients*: ask the other rules."""
        return attrs.evolve(
            turn,
            hits=(*turn.hits, *self._hits(turn.call, {address.lower() for address in recipients})),
        )

    def _hits(self, call: str | None, recipients: set[str] | None) -> tuple[tuple[int, Fault], ...]:
        with self._lock:
            return tuple(
                (rule.number, rule.fault)
                for rule in self._rules
                if (rule.recipient is None) == (recipients is None)
                and rule.concerns(call)
                and (rule.recipient is None or rule.recipient.lower() in (recipients or ()))
                and rule.strikes(self._chance)
            )
