"""The script of a sandbox: events that its mails get by chance, such as ``open 30% within 5s``."""

from __future__ import annotations

import random
import re
import secrets
import threading
from collections.abc import Iterable, Iterator

import attrs

from poweremail._types.checks import is_number, require, require_one_of
from poweremail.errors import ConfigurationError
from poweremail.sandbox._store import events

_BOUNCES = ("hard_bounce", "soft_bounce")
"""Nobody reads a mail that bounced, so a bounce excludes all other events; the first kind wins."""

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_MAX_DAYS = 366
_MAX_WITHIN = round(_MAX_DAYS * _SECONDS["d"])
_PATTERN = re.compile(
    r"(?P<event>[a-z_]+)\s+(?P<percent>\d{1,3}(?:\.\d{1,12})?)\s*%"
    r"(?:\s+within\s+(?P<number>\d{1,9}(?:\.\d{1,9})?)\s*(?P<unit>ms|s|m|h|d))?",
    re.ASCII,
)
_GRAMMAR = (
    f"EVENT SHARE% [within TIME]: EVENT is one of {', '.join(events.EVENT_KINDS)}, TIME a number "
    f"and one of {', '.join(_SECONDS)}"
)


@attrs.frozen
class EventRule:
    """
    An event that happens to a share of the recipients.

    *event*
        One of `EVENT_KINDS`.
    *share*
        The probability for each recipient, from 0 to 1.
    *within*
        It happens at a random time within so many seconds after the mail was accepted.

    Raises `ConfigurationError` if a part is invalid.
    """

    event: str
    share: float
    within: float = 0.0

    def __attrs_post_init__(self) -> None:
        require_one_of("event", self.event, events.EVENT_KINDS)
        require("share", self.share, "a number from 0 to 1", is_number(self.share, 0, 1))
        valid = is_number(self.within, 0, _MAX_WITHIN)
        require("within", self.within, f"seconds from 0 to {_MAX_WITHIN}", valid)

    @classmethod
    def parse(cls, text: str) -> EventRule:
        """
        Read a rule such as ``hard_bounce 2%`` or ``open 30% within 5s``.

        A time is a number and ``ms``, ``s``, ``m`` (minutes), ``h`` or ``d``.
        """
        found = _PATTERN.fullmatch(text.strip()) if isinstance(text, str) else None
        if found is None:
            raise ConfigurationError(f"{text!r} is not of the form {_GRAMMAR}", field="event rule")
        share = float(found["percent"]) / 100
        if share > 1:
            raise ConfigurationError(
                f"must be from 0 to 100 %, not {found['percent']} %", field="share"
            )
        within = float(found["number"]) * _SECONDS[found["unit"]] if found["number"] else 0.0
        if within > _MAX_WITHIN:
            raise ConfigurationError(
                f"must be {_MAX_DAYS} d at most, not {found['number']} {found['unit']}",
                field="within",
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
class PlannedEvent:
    """An event of *kind* at the recipient of that *index*, *after* so many milliseconds."""

    index: int
    kind: str
    after: int


class EventScript:
    """
    The rules for the mails that are accepted from now on.

    Each rule draws for each recipient. A recipient at whom the mail bounces does not open it: the
    shares of ``open``, ``click`` and ``spam`` are of those whom it reached. *seed* makes every run
    the same: the events of a mail depend on the seed, the rules, the mail's number and the
    recipient's address alone. Safe to use from several threads.
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
        """Add a rule, in words or as an `EventRule`. Raises `ConfigurationError`."""
        rule = rule if isinstance(rule, EventRule) else EventRule.parse(rule)
        with self._lock:
            self._last += 1
            placed = PlacedRule(self._last, rule)
            self._placed = (*self._placed, placed)
        return placed

    def remove(self, number: int) -> None:
        """
        Remove the rule of that number; the events it has planned still happen.

        Raises LookupError if there is none.
        """
        with self._lock:
            left = tuple(each for each in self._placed if each.number != number)
            if left == self._placed:
                raise LookupError(f"there is no rule number {number}")
            self._placed = left

    def clear(self) -> None:
        """Remove all rules; the events they have planned still happen."""
        with self._lock:
            self._placed, self._last = (), 0

    def plan(self, mail: int, recipients: Iterable[str]) -> Iterator[PlannedEvent]:
        """Return the events of mail number *mail* at its *recipients*, given by address."""
        placed = self._placed
        for index, email in enumerate(recipients if placed else ()):
            planned: list[PlannedEvent] = []
            for each in placed:
                rule = each.rule
                # A generator for each pair, so that no rule and no recipient disturbs another.
                chance = random.Random(  # noqa: S311  chance, not secrecy
                    f"{self._seed}/{mail}/{email.casefold()}/{each.number}/{rule}"
                )
                if chance.random() < rule.share:
                    delay = round(chance.random() * rule.within * 1000)
                    planned.append(PlannedEvent(index, rule.event, delay))
            bounces = [each for kind in _BOUNCES for each in planned if each.kind == kind]
            yield from bounces[:1] or planned


def _decimal(number: float) -> str:
    """The *number* without an exponent and without trailing zeros."""
    return f"{number:.9f}".rstrip("0").rstrip(".") or "0"
