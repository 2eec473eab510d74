"""The caught mails of a sandbox, described so that a failing test explains itself."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar, TypedDict, Unpack, overload

from poweremail._types.checks import is_number, require
from poweremail.sandbox._store.mail import CaughtMail

_MAX_MAILS_LISTED = 20

# Mails come on any thread, and none of them wakes who waits. A look costs next to nothing.
_POLL_SECONDS = 0.01


class Conditions(TypedDict, total=False):
    """The conditions of `Outbox.find`."""

    to: str | None
    from_email: str | None
    subject: str | re.Pattern[str] | None
    containing: str | None
    unique_id: str | None
    template_id: str | None


class Outbox(Sequence[CaughtMail]):
    """
    The caught mails, oldest first. Every use reads them again.

    It equals a list of the same mails; its repr has a few words about each of them.

    *read*
        Returns the mails.
    *count*
        Returns how many there are, without reading them.
    *position*
        Returns another number after each change; without it the mails never change.
    """

    def __init__(
        self,
        read: Callable[[], Sequence[CaughtMail]],
        *,
        count: Callable[[], int] | None = None,
        position: Callable[[], int] = lambda: 0,
    ) -> None:
        self._read = read
        self._count = count or (lambda: len(read()))
        self._position = position

    @overload
    def __getitem__(self, index: int) -> CaughtMail: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[CaughtMail]: ...
    def __getitem__(self, index: int | slice) -> CaughtMail | Sequence[CaughtMail]:
        return self._read()[index]

    def __len__(self) -> int:
        return self._count()

    def __iter__(self) -> Iterator[CaughtMail]:
        return iter(self._read())

    def __eq__(self, other: object) -> bool:
        return (
            list(self) == list(other)
            if isinstance(other, list | tuple | Outbox)
            else NotImplemented
        )

    __hash__: ClassVar[None]  # type: ignore[assignment]  # it is mutable

    def find(
        self,
        *,
        to: str | None = None,
        from_email: str | None = None,
        subject: str | re.Pattern[str] | None = None,
        containing: str | None = None,
        unique_id: str | None = None,
        template_id: str | None = None,
    ) -> Outbox:
        """
        Return the mails that meet all conditions. The result does not change with later mails.

        *to*
            The address of a recipient, be it to, cc or bcc. Case does not matter.
        *from_email*
            The address of the sender. Case does not matter.
        *subject*
            The whole subject, or a pattern that is searched in it.
        *containing*
            A part of the text or the HTML.
        """
        conditions: tuple[tuple[object, Callable[[CaughtMail], bool]], ...] = (
            (to, lambda mail: str(to).lower() in (each.email.lower() for each in mail.recipients)),
            (from_email, lambda mail: mail.from_email.lower() == str(from_email).lower()),
            (subject, lambda mail: _has_subject(mail, subject)),
            (
                containing,
                lambda mail: any(
                    str(containing) in (part or "") for part in (mail.text, mail.html)
                ),
            ),
            (unique_id, lambda mail: mail.unique_id == unique_id),
            (template_id, lambda mail: mail.template_id == template_id),
        )
        checks = [check for wanted, check in conditions if wanted is not None]
        found = tuple(mail for mail in self if all(check(mail) for check in checks))
        return Outbox(lambda: found)

    def one(
        self,
        **conditions: Unpack[Conditions],
    ) -> CaughtMail:
        """
        Return the one mail that meets all conditions: see `find`.

        Raises AssertionError if there is none or several; its text lists the caught mails.
        """
        __tracebackhide__ = True  # pytest then shows the line of the test
        caught = tuple(self)
        found = Outbox(lambda: caught).find(**conditions)
        if len(found) == 1:
            return found[0]
        raise AssertionError(
            "\n".join(
                (
                    f"expected {_wanted(conditions)}, but found {len(found)}",
                    *_lines(found or caught),
                )
            )
        )

    def wait(
        self,
        *,
        timeout: float = 5,
        **conditions: Unpack[Conditions],
    ) -> CaughtMail:
        """
        Return the one mail that meets all conditions (see `find`), as soon as it was caught.

        It is for mails that another thread or process sends. Raises AssertionError after *timeout*
        seconds, or if several mails meet the conditions; its text lists the caught mails.
        """
        __tracebackhide__ = True
        waiting = _Waiting(self, self._position, conditions, timeout)
        while (mail := waiting.look()) is None:
            time.sleep(_POLL_SECONDS)
        return mail

    async def wait_async(
        self,
        *,
        timeout: float = 5,  # noqa: ASYNC109  it is to raise what a test raises
        **conditions: Unpack[Conditions],
    ) -> CaughtMail:
        """As `wait`, while other tasks run: on asyncio and on trio."""
        from poweremail._runtime._async import sleep  # noqa: PLC0415  it loads anyio

        __tracebackhide__ = True
        waiting = _Waiting(self, self._position, conditions, timeout)
        while (mail := waiting.look()) is None:
            await sleep(_POLL_SECONDS)
        return mail

    def lines(self) -> list[str]:
        """Return a heading and a line for each mail; of many, only the last."""
        return _lines(tuple(self))

    def __repr__(self) -> str:
        mails = tuple(self)
        shown = "; ".join(_line(mail) for mail in mails[:_MAX_MAILS_LISTED])
        more = "; ..." if len(mails) > _MAX_MAILS_LISTED else ""
        return f"<Outbox of {_counted(len(mails))}{': ' if mails else ''}{shown}{more}>"


class _Waiting:
    """The wait for a mail in *outbox* that meets *conditions*, for *timeout* seconds."""

    def __init__(
        self,
        outbox: Outbox,
        position: Callable[[], int],
        conditions: Conditions,
        timeout: float,
    ) -> None:
        require("timeout", timeout, "a number of seconds from 0 on", is_number(timeout))
        self._outbox, self._position, self._conditions = outbox, position, conditions
        self._timeout = timeout
        self._deadline = time.monotonic() + timeout
        self._seen: int | None = None

    def look(self) -> CaughtMail | None:
        """Return the mail, or None if it has not come yet. Raises AssertionError."""
        __tracebackhide__ = True
        # Whoever shares the file from another process notes no change here, so the last look reads
        # it in any case.
        is_late = time.monotonic() >= self._deadline
        position = self._position()
        if position == self._seen and not is_late:
            return None
        self._seen = position
        if self._outbox.find(**self._conditions):
            return self._outbox.one(**self._conditions)
        if not is_late:
            return None
        wanted = _wanted(self._conditions)
        heading = f"waited {self._timeout:g} seconds for {wanted}, but none came"
        raise AssertionError("\n".join((heading, *self._outbox.lines())))


def _wanted(conditions: Conditions) -> str:
    criteria = ", ".join(
        f"{name}={_condition_text(value)}"
        for name, value in conditions.items()
        if value is not None
    )
    return f"one mail with {criteria}" if criteria else "one mail"


def _lines(mails: Sequence[CaughtMail]) -> list[str]:
    if not mails:
        return ["nothing was caught"]
    which = f", of which the last {_MAX_MAILS_LISTED} are" if len(mails) > _MAX_MAILS_LISTED else ""
    return [
        f"caught {_counted(len(mails))}{which}:",
        *(f"  {_line(mail)}" for mail in mails[-_MAX_MAILS_LISTED:]),
    ]


def _has_subject(mail: CaughtMail, subject: str | re.Pattern[str] | None) -> bool:
    if isinstance(subject, re.Pattern):
        return subject.search(mail.subject) is not None
    return mail.subject == subject


def _condition_text(value: object) -> str:
    return f"/{value.pattern}/" if isinstance(value, re.Pattern) else repr(value)


def _counted(number: int) -> str:
    return "1 mail" if number == 1 else f"{number} mails"


def _line(mail: CaughtMail) -> str:
    recipients = ", ".join(
        recipient.email if recipient.type == "to" else f"{recipient.type} {recipient.email}"
        for recipient in mail.recipients
    )
    template = f" (template {mail.template_id})" if mail.template_id else ""
    return f"#{mail.number} {mail.subject!r}{template} from {mail.from_email} to {recipients}"
