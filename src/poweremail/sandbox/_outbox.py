"""What a sandbox caught, in words that a failing test can use."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, overload

from poweremail.sandbox._store.mail import CaughtMail

__all__ = ["Outbox"]

_SHOWN = 20


class Outbox(Sequence[CaughtMail]):
    """
    The caught mails, oldest first: a sequence that is read anew whenever it is asked.

    It equals a list of the same mails; its repr says in a few words what each of them is.
    """

    def __init__(self, read: Callable[[], Sequence[CaughtMail]]) -> None:
        self._read = read

    @overload
    def __getitem__(self, index: int) -> CaughtMail: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[CaughtMail]: ...
    def __getitem__(self, index: int | slice) -> CaughtMail | Sequence[CaughtMail]:
        return self._read()[index]

    def __len__(self) -> int:
        return len(self._read())

    def __iter__(self) -> Iterator[CaughtMail]:
        return iter(self._read())

    def __eq__(self, other: object) -> bool:
        return (
            list(self) == list(other)
            if isinstance(other, list | tuple | Outbox)
            else NotImplemented
        )

    __hash__ = None  # type: ignore[assignment]  # it changes

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
        Return those that are as asked for in every respect; they stay the same whatever is caught
        later.

        *to* is an address that is among the recipients, whether as to, cc or bcc; addresses are
        compared without case. *subject* is the whole subject, or a pattern that is searched in it.
        *containing* stands in the text or the HTML.
        """

        def fits(mail: CaughtMail) -> bool:
            return (
                (
                    to is None
                    or to.lower() in (recipient.email.lower() for recipient in mail.recipients)
                )
                and (from_email is None or mail.from_email.lower() == from_email.lower())
                and (subject is None or _has_subject(mail, subject))
                and (
                    containing is None
                    or any(containing in part for part in (mail.text, mail.html) if part)
                )
                and (unique_id is None or mail.unique_id == unique_id)
                and (template_id is None or mail.template_id == template_id)
            )

        found = tuple(filter(fits, self))
        return Outbox(lambda: found)

    def one(
        self,
        *,
        to: str | None = None,
        from_email: str | None = None,
        subject: str | re.Pattern[str] | None = None,
        containing: str | None = None,
        unique_id: str | None = None,
        template_id: str | None = None,
    ) -> CaughtMail:
        """
        Return the one mail that is as asked for: see `find`.

        Raises AssertionError where it is none or several; its text says what was caught.
        """
        __tracebackhide__ = True  # pytest then shows the line of the test that asked
        asked: dict[str, Any] = {
            "to": to,
            "from_email": from_email,
            "subject": subject,
            "containing": containing,
            "unique_id": unique_id,
            "template_id": template_id,
        }
        caught = tuple(self)
        found = Outbox(lambda: caught).find(**asked)
        if len(found) == 1:
            return found[0]
        criteria = ", ".join(
            f"{name}={_shown(value)}" for name, value in asked.items() if value is not None
        )
        wanted = f"one mail with {criteria}" if criteria else "one mail"
        raise AssertionError(
            "\n".join((f"expected {wanted}, but {len(found)} are so", *_lines(found or caught)))
        )

    def lines(self) -> list[str]:
        """Say what was caught, a line for each mail, and of many only the last."""
        return _lines(tuple(self))

    def __repr__(self) -> str:
        mails = tuple(self)
        shown = "; ".join(_line(mail) for mail in mails[:_SHOWN])
        more = "; ..." if len(mails) > _SHOWN else ""
        return f"<Outbox of {_counted(len(mails))}{': ' if mails else ''}{shown}{more}>"


def _lines(mails: Sequence[CaughtMail]) -> list[str]:
    if not mails:
        return ["nothing was caught"]
    which = f", of which the last {_SHOWN} are" if len(mails) > _SHOWN else ""
    return [
        f"caught {_counted(len(mails))}{which}:",
        *(f"  {_line(mail)}" for mail in mails[-_SHOWN:]),
    ]


def _has_subject(mail: CaughtMail, subject: str | re.Pattern[str]) -> bool:
    return (
        mail.subject == subject
        if isinstance(subject, str)
        else subject.search(mail.subject) is not None
    )


def _shown(value: object) -> str:
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
