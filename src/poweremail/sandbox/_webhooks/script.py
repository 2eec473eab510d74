"""
The script of a sandbox: what becomes of its mails by themselves, such as ``open 30% within 5s``.
"""

from __future__ import annotations

import random
import re
import secrets
import threading
from collections.abc import Iterable, Iterator
from typing import Any

import attrs

from poweremail._types.number import is_number
from poweremail.errors import UsageError
from poweremail.sandbox._store.events import EVENT_KINDS, check_kind

__all__ = ["EventRule", "EventScript", "PlacedRule", "Planned"]

_BOUNCES = ("hard_bounce", "soft_bounce")
"""
What comes back was read by nobody: where one of these strikes, nothing else does. The first goes
before the second.
"""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_LONGEST = 366 * 86_400.0
_PATTERN = re.compile(
    r"(?P<event>[a-z_]+)\s+(?P<percent>\d{1,3}(?:\.\d{1,12})?)\s*%(?:\s+within\s+(?P<number>\d{1,9}(?:\.\d{1,9})?)\s*(?P<unit>ms|s|m|h|d))?",
    re.ASCII,
)
_GRAMMAR = (
    f"EVENT SHARE% [within TIME]: EVENT is one of {', '.join(EVENT_KINDS)}, TIME a number "
    f"and one of {', '.join(_UNITS)}"
)


def _event(_: object, __: object, value: str) -> None:
    check_kind(value)


def _share(_: object, __: object, value: Any) -> None:
    if not is_number(value, 0, 1):
        raise UsageError(
            f"must be a number from 0 to 1, not {value!r}", field="share", mail_state=None
        )


def _within(_: object, __: object, value: Any) -> None:
    if not is_number(value, 0, _LONGEST):
        raise UsageError(
            f"must be seconds from 0 to {_LONGEST:.0f}, not {value!r}",
            field="within",
            mail_state=None,
        )


@attrs.frozen
class EventRule:
    """
    An *event* (one of `EVENT_KINDS`) that happens at a *share* of the recipients, from 0 to 1.

    It happens at a time drawn from the *within* seconds after the mail was accepted, at once where
    they are 0. Raises `UsageError` for what cannot be meant.
    """

    event: str = attrs.field(validator=_event)
    share: float = attrs.field(validator=_share)
    within: float = attrs.field(default=0.0, validator=_within)

    @classmethod
    def parse(cls, text: str) -> EventRule:
        """
        Read a rule such as ``hard_bounce 2%`` or ``open 30% within 5s``. Raises `UsageError`.

        A time is a number and ``ms``, ``s``, ``m`` (minutes), ``h`` or ``d``.
        """
        found = _PATTERN.fullmatch(text.strip()) if isinstance(text, str) else None
        if found is None:
            raise UsageError(
                f"{text!r} is not of the form {_GRAMMAR}", field="event rule", mail_state=None
            )
        share, within = float(found["percent"]) / 100, 0.0
        if share > 1:
            raise UsageError(
                f"must be from 0 to 100 %, not {found['percent']} %", field="share", mail_state=None
            )
        if found["number"]:
            within = float(found["number"]) * _UNITS[found["unit"]]
            if within > _LONGEST:
                longest = f"{_LONGEST / _UNITS['d']:.0f} d"
                raise UsageError(
                    f"must be {longest} at most, not {found['number']} {found['unit']}",
                    field="within",
                    mail_state=None,
                )
        return cls(found["event"], share, within)

    def __str__(self) -> str:
        text = f"{self.event} {_decimal(self.share * 100)}%"
        return f"{text} within {_decimal(self.within)}s" if self.within else text


@attrs.frozen
class PlacedRule:
    """A *rule* of a script, and the *number* under which it can be removed."""

    number: int
    rule: EventRule


@attrs.frozen
class Planned:
    """
    That *kind* is to happen at the recipient of that *index*, so many milliseconds *after* the mail
    was accepted.
    """

    index: int
    kind: str
    after: int


class EventScript:
    """
    The rules by which things happen to every mail that is accepted from then on.

    Each rule strikes each recipient by chance of its own. A recipient at whom the mail bounces does
    not open it: the shares of ``open``, ``click`` and ``spam`` are of those whom it reached. *seed*
    makes it the same in every run: what happens to a mail depends on the seed, the rules, the
    mail's number and the recipient's address alone. Safe to use from several threads.
    """

    def __init__(
        self, rules: Iterable[EventRule | str] = (), *, seed: int | str | None = None
    ) -> None:
        self._seed = secrets.token_hex(8) if seed is None else str(seed)
        self._lock = threading.Lock()
        self._placed: tuple[PlacedRule, ...] = ()
        self._last = 0
        for rule in (rules,) if isinstance(rules, str) else rules:
            self.add(rule)

    @property
    def rules(self) -> tuple[PlacedRule, ...]:
        """The rules, oldest first."""
        return self._placed

    def add(self, rule: EventRule | str) -> PlacedRule:
        """Add a rule, in words or as an `EventRule`. Raises `UsageError`."""
        rule = rule if isinstance(rule, EventRule) else EventRule.parse(rule)
        with self._lock:
            self._last += 1
            placed = PlacedRule(self._last, rule)
            self._placed = (*self._placed, placed)
        return placed

    def remove(self, number: int) -> None:
        """
        Remove the rule of that number; what it has planned still happens. Raises LookupError where
        there is none.
        """
        with self._lock:
            left = tuple(each for each in self._placed if each.number != number)
            if left == self._placed:
                raise LookupError(f"there is no rule number {number}")
            self._placed = left

    def clear(self) -> None:
        """Remove all rules; what they have planned still happens."""
        with self._lock:
            self._placed, self._last = (), 0

    def plan(self, mail: int, recipients: Iterable[str]) -> Iterator[Planned]:
        """Say what is to happen to mail number *mail* at its *recipients*, given by address."""
        placed = self._placed
        if placed:
            for index, email in enumerate(recipients):
                yield from self._plan_one(placed, mail, index, email)

    def _plan_one(
        self, placed: tuple[PlacedRule, ...], mail: int, index: int, email: str
    ) -> list[Planned]:
        struck: list[Planned] = []
        for number, rule in ((each.number, each.rule) for each in placed):
            # One source of chance for each pair, so that no rule and no recipient disturbs another.
            chance = random.Random(f"{self._seed}/{mail}/{email.casefold()}/{number}/{rule}")  # noqa: S311 - chance, not secrecy
            if chance.random() < rule.share:
                struck.append(
                    Planned(index, rule.event, round(chance.random() * rule.within * 1000))
                )
        for bounce in _BOUNCES:
            back = [planned for planned in struck if planned.kind == bounce]
            if back:
                return back[:1]
        return struck


def _decimal(number: float) -> str:
    """The *number* without an exponent, and without zeros that say nothing."""
    text = f"{number:.9f}".rstrip("0").rstrip(".")
    return text or "0"
