"""
The judge of the proof that outcomes and reality agree.

The meaning of an attempt follows from the fault that hit it, by a table of its own; the fate of the
mail is read from the sandbox's store. Neither uses the library.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote, quote_plus

import attrs

from poweremail import CallResult, DeliveryUnknownError, PowerEmailError, SendResult
from poweremail.sandbox import CaughtMail
from poweremail.transports import Response
from support.agreement_ground import Attempt, Ground, Handling, Log
from support.agreement_scripts import READ, TOKEN, Mail, Script

__all__ = ["Result", "disagreements"]

Result = SendResult | CallResult | PowerEmailError

_TEXTS = {
    "not_sent": "not sent: ",
    "rejected": "rejected by the service: ",
    "unknown": "unknown whether it was sent: ",
}
_TOKENS = (TOKEN, quote(TOKEN), quote(TOKEN, safe=""), quote_plus(TOKEN))
_UNKNOWN_NAMES = ("generalerror", "sendingerror")
_KNOWN_NAMES = (*_UNKNOWN_NAMES, "validationerror", "authenticationerror", "invalidkey")
_MAX_LOOKUPS = 6
"""
Lookups within the timeout of a script: at once, at its end, and a few because clocks are coarse.
"""
_CLOCK_STEP_SECONDS = 0.002
"""The sandbox's clock counts milliseconds."""


def disagreements(
    script: Script, results: Mapping[int, Result], ground: Ground, log: Log, figures: Counter[str]
) -> Iterator[str]:
    """
    Yield each disagreement between *results*, the outcome of each mail by its number, and the
    store; add up the *figures*.

    Call it after `Ground.settle`.
    """
    outbox = ground.sandbox.outbox
    figures["scripts"] += 1
    figures["mails"] += len(script.mails)
    figures["requests"] += len(log.attempts)
    figures.update(
        fault.kind
        for some in log.handlings.values()
        for one in some
        for _, fault in one.arrival.hits
    )
    yield from _requests(log)
    if left := {mail.subject for mail in outbox} - {mail.subject for mail in script.mails}:
        yield f"mails that nobody sent: {left}"
    for mail in script.mails:
        case = _Case(script, mail, results.get(mail.number), log, outbox, served=ground.served)
        for each in case.disagreements(figures):
            figures["disagreements"] += 1
            yield f"{mail.subject}: {each}\n{case.history}"


def _requests(log: Log) -> Iterator[str]:
    if log.arrived > len(log.attempts):
        yield f"{log.arrived} requests arrived, of {len(log.attempts)} that were made"
    for number, handlings in log.handlings.items():
        if number is None:
            yield f"{len(handlings)} requests arrived without a number"
        elif len(handlings) > 1:
            yield f"request {number} arrived {len(handlings)} times"


@attrs.define
class _Case:
    """One mail, its reported outcome, and its requests."""

    script: Script
    mail: Mail
    result: Result | None
    log: Log
    outbox: Sequence[CaughtMail]
    served: bool = attrs.field(kw_only=True)

    @property
    def attempts(self) -> list[Attempt]:
        return self.log.of(self.mail.subject)

    @property
    def copies(self) -> list[CaughtMail]:
        return [mail for mail in self.outbox if mail.subject == self.mail.subject]

    @property
    def state(self) -> str | None:
        return self.result.mail_state if isinstance(self.result, PowerEmailError) else "accepted"

    @property
    def resends(self) -> bool:
        """Whether the user would rather have two mails than none, at once."""
        return self.script.on_unknown == "resend"

    @property
    def resends_later(self) -> bool:
        """Whether the user would rather have two mails than none, after a look."""
        return self.script.resend_after is not None and self.mail.has_id

    @property
    def history(self) -> str:
        """The outcome, the copies and the requests, line by line."""
        lines = [
            f"    reported: {self.state}, {self.result!s}",
            f"    in the store {len(self.copies)} times",
        ]
        for attempt in self.log.attempts:
            if attempt.subject == self.mail.subject or (
                attempt.unique_id and attempt.unique_id in self._ids()
            ):
                handling = self.log.handling(attempt)
                hits = (
                    [fault.kind for _, fault in handling.arrival.hits]
                    if handling
                    else "never handled"
                )
                stored = f"{handling.stored} stored at {handling.at:.3f}" if handling else ""
                times = f"{attempt.started:.3f} to {attempt.ended:.3f}"
                lines.append(
                    f"    request {attempt.number} {attempt.operation}, {times}: {hits} {stored} "
                    f"-> {attempt.got!r}"
                )
        return "\n".join(lines)

    def disagreements(self, figures: Counter[str]) -> Iterator[str]:
        figures[self.state or "no state"] += 1
        figures["reconciled"] += getattr(self.result, "reconciled", False)
        figures["stored"] += len(self.copies)
        yield from self._check_outcome()
        yield from self._check_store(figures)
        yield from self._check_meaning(figures)
        yield from self._check_repeats()

    def _check_outcome(self) -> Iterator[str]:
        """The outcome is complete, and has no token in it."""
        if self.result is None:
            yield "no outcome"
            return
        for shown in _shown(self.result):
            if any(token in shown for token in _TOKENS):
                yield f"the token is shown: {shown}"
        if isinstance(self.result, PowerEmailError):
            if self.state not in _TEXTS or not str(self.result).startswith(_TEXTS[self.state]):
                yield f"mail_state is {self.state}, the text {str(self.result)!r}"
            if isinstance(self.result, ValueError):
                yield "an error of usage"
        if self.mail.send.by != "call" and isinstance(
            self.result, DeliveryUnknownError | SendResult
        ):
            if self.result.recipients != self.mail.recipients:
                yield f"the outcome is about {self.result.recipients}"
            if bool(self.result.unique_id) != self.mail.has_id:
                yield f"the outcome has the unique id {self.result.unique_id!r}"

    def _check_store(self, figures: Counter[str]) -> Iterator[str]:
        """The outcome agrees with the store."""
        copies = self.copies
        if self.state == "accepted" and not copies:
            figures["losses"] += 1
            yield "reported as accepted, and not in the store"
        if self.state in ("rejected", "not_sent") and copies:
            yield f"reported as {self.state}, and in the store"
        for copy in copies:
            if tuple(who.email for who in copy.recipients) != self.mail.recipients:
                yield f"a copy went to {copy.recipients}"
            if self.mail.has_id and copy.unique_id not in self._ids():
                yield f"a copy has the unique id {copy.unique_id!r}"
        if len(copies) < 2:
            return
        if self.resends or (
            self.resends_later
            and all(self._appeared_too_late(attempt) for attempt in self._storing()[:-1])
        ):
            figures["duplicates that were asked for"] += len(copies) - 1
        else:
            figures["duplicates"] += len(copies) - 1
            yield f"in the store {len(copies)} times"

    def _check_meaning(self, figures: Counter[str]) -> Iterator[str]:
        """The outcome follows from the attempts."""
        meanings = [self._meaning(attempt, figures) for attempt in self.attempts]
        if not meanings:
            yield "nothing was sent"
            return
        *_, last = meanings
        if self.state == "unknown":
            yield from self._check_unknown(meanings)
        elif isinstance(self.result, SendResult) and self.result.reconciled:
            if not self._seen():
                yield "reported as reconciled, and getMessageInfo did not show it"
        else:
            if self.state not in last:
                yield f"reported as {self.state} on what means {_either(last)}"
            if self.state != "accepted" and {"unknown"} in meanings:
                yield f"reported as {self.state}, and of an attempt nobody can know"

    def _check_unknown(self, meanings: list[set[str]]) -> Iterator[str]:
        """An unknown outcome is justified."""
        if not any("unknown" in meaning for meaning in meanings):
            yield "reported as unknown, and every response came whole"
        if {"accepted"} in meanings:
            yield "reported as unknown, and the whole response of an attempt says accepted"
        # If several mails share the id, the lookup of another mail may have come later.
        if self._seen() and self.mail.send.unique_id is None:
            yield "reported as unknown, and getMessageInfo showed it"

    def _check_repeats(self) -> Iterator[str]:
        """The mail was sent and looked up no more often than allowed."""
        attempts = self.attempts
        allowed = self.script.attempts ** (2 if self.resends_later else 1)
        if len(attempts) > allowed:
            yield f"{len(attempts)} requests, where {allowed} are allowed"
        meanings = [self._meaning(attempt) for attempt in attempts]
        doubtful = sum("not_sent" not in meaning for meaning in meanings)
        if doubtful > self.script.attempts:
            yield (
                f"{doubtful} requests that may have been accepted, where {self.script.attempts} "
                "are allowed"
            )
        for attempt, meaning in zip(attempts[:-1], meanings, strict=False):
            again = "not_sent" in meaning or (
                "unknown" in meaning and (self.resends or self._looked_in_vain(attempt))
            )
            if not again:
                yield f"sent again after request {attempt.number}, which means {_either(meaning)}"
        looks = len(self._looks())
        unknown = sum("unknown" in meaning for meaning in meanings)
        looking = self.script.on_unknown == "reconcile" and self.mail.send.unique_id is None
        if self.script.on_unknown != "reconcile" and looks:
            yield f"looked up {looks} times"
        if looking and looks > _MAX_LOOKUPS * self.script.attempts * unknown:
            yield f"looked up {looks} times"

    def _meaning(self, attempt: Attempt, figures: Counter[str] | None = None) -> set[str]:
        """
        Return the outcomes that the client may report for *attempt*: more than one only if time or
        the network decided.
        """
        handling = self.log.handling(attempt)
        if handling is None:
            return {"not_sent", "unknown"}
        meaning = _meaning(handling, in_process_small=None if self.served else attempt.small)
        reply = handling.reply
        if max(reply.latency, reply.drip) > READ and reply.broken != "stalled":
            # A client that was held up may read the response before it notices that it is late.
            in_time = (
                meaning if self.served or reply.broken in ("refused", "reset_before") else set()
            )
            return in_time | {"unknown"}
        if self.served and attempt.ended - attempt.started >= READ and "unknown" not in meaning:
            # This machine was slow.
            if isinstance(attempt.got, PowerEmailError) and figures is not None:
                figures["late by chance"] += 1
            return meaning | {"unknown"}
        return meaning

    def _ids(self) -> set[str]:
        """The unique id, as far as it can be known."""
        known = self.mail.send.unique_id or getattr(self.result, "unique_id", None)
        return {known} if known else {copy.unique_id for copy in self.copies}

    def _looks(self) -> list[Attempt]:
        return [
            attempt
            for attempt in self.log.attempts
            if attempt.unique_id and attempt.unique_id in self._ids()
        ]

    def _wanted(self) -> set[str]:
        return {recipient.lower() for recipient in self.mail.recipients}

    def _seen(self) -> bool:
        """Whether a sound look showed all of the recipients, after an attempt of the mail."""
        first = self.attempts[0].ended
        return any(
            look.started >= first and self._wanted() <= self._shown(look) for look in self._looks()
        )

    def _shown(self, look: Attempt) -> frozenset[str]:
        """Return the recipients that the response to *look* showed, if it came whole."""
        handling = self.log.handling(look)
        sound = (
            handling is not None and isinstance(look.got, Response) and not handling.reply.broken
        )
        return handling.shown if sound else frozenset()

    def _looked_in_vain(self, attempt: Attempt) -> bool:
        """
        Whether *attempt* was followed by a look that showed none of the recipients, as late as
        ``resend_after``, before the next.
        """
        if not self.resends_later:
            return False
        due = attempt.ended + self.script.resend_after - _CLOCK_STEP_SECONDS
        following = next(
            other.started for other in self.attempts if other.started > attempt.started
        )
        return any(
            look.started >= due
            and look.ended <= following
            and isinstance(look.got, Response)
            and not self._wanted() & self._shown(look)
            for look in self._looks()
        )

    def _storing(self) -> list[Attempt]:
        """The attempts that put the mail into the store."""
        handled = ((attempt, self.log.handling(attempt)) for attempt in self.attempts)
        return [
            attempt for attempt, handling in handled if handling is not None and handling.stored
        ]

    def _appeared_too_late(self, attempt: Attempt) -> bool:
        """
        Whether what *attempt* stored became visible later than ``resend_after`` after the client
        had given it up.
        """
        handling = self.log.handling(attempt)
        visible = handling.at + handling.arrival.effect.visible_after
        return visible - attempt.ended > self.script.resend_after - _CLOCK_STEP_SECONDS


def _meaning(handling: Handling, *, in_process_small: bool | None) -> set[str]:
    """
    Return what the fault that decides means for the mail, as documented; delays do not count.
    """
    fault = next(
        (
            fault
            for _, fault in sorted(handling.arrival.hits, key=lambda hit: hit[0])
            if fault.effect.decides
        ),
        None,
    )
    kind, options = (None, {}) if fault is None else (fault.kind, fault.options)
    if kind in ("refuse", "reset_before_acceptance") and in_process_small is None:
        return {"not_sent", "unknown"}
    match kind:
        case None | "wrong_content_type" | "truncated" if (
            not handling.stored and handling.reply.broken is None
        ):
            # The sandbox itself rejected it. If half of the response is lost, its status is known.
            limited = handling.reply.response.status == 429
            meaning = "not_sent" if limited else "unknown" if kind == "truncated" else "rejected"
        case None | "wrong_content_type":
            meaning = "accepted"
        case "rate_limited":
            meaning = "not_sent"
        case "status":
            meaning = _of_status(options["code"])
        case "error":
            meaning = _of_error(options["name"], options["http_status"])
        case "refuse":
            meaning = "not_sent"
        case "reset_before_acceptance":
            # By then the first piece has left, and all pieces if the rule has a recipient, which
            # only the body shows.
            meaning = "unknown" if in_process_small or handling.read else "not_sent"
        case _:
            meaning = "unknown"
    return {meaning}


def _of_status(code: int) -> str:
    if code == 429:
        return "not_sent"
    return "unknown" if code == 408 or code >= 500 else "rejected"


def _of_error(name: str, status: int) -> str:
    if status == 429:
        return "not_sent"
    letters = re.sub("[^a-z]", "", name.lower())
    return (
        "unknown"
        if letters in _UNKNOWN_NAMES or (letters not in _KNOWN_NAMES and status >= 500)
        else "rejected"
    )


def _either(meaning: set[str]) -> str:
    return " or ".join(sorted(meaning))


def _shown(result: Result) -> Iterator[str]:
    """All that a user may print of *result*, and of what is chained to it."""
    seen: set[int] = set()
    waiting: list[object] = [result]
    while waiting:
        value = waiting.pop()
        if value is None or id(value) in seen:
            continue
        seen.add(id(value))
        yield from (str(value), repr(value))
        if isinstance(value, Response):
            yield value.text
        if isinstance(value, BaseException):
            yield repr(value.args)
            waiting += [value.__cause__, value.__context__]
        waiting += [getattr(value, name, None) for name in ("cause", "raw", "message", "reason")]
