"""The caught mails of a sandbox, described so that a failing test explains itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, overload

from poweremail.sandbox._store.mail import CaughtMail

__all__ = ["Outbox"]

_MAX_MAILS_LISTED = 20


class Outbox(Sequence[CaughtMail]):
    """
    The caught mails, oldest first. Every use reads them again.

    It equals a list of the same mails; its repr has a few words about each of them.
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
        *,
        to: str | None = None,
        from_email: str | None = None,
        subject: str | re.Pattern[str] | None = None,
        containing: str | None = None,
        unique_id: str | None = None,
        template_id: str | None = None,
    ) -> CaughtMail:
        """
        Return the one mail that meets all conditions: see `find`.

        Raises AssertionError if there is none or several; its text lists the caught mails.
        """
        __tracebackhide__ = True  # pytest then shows the line of the test
        conditions: dict[str, Any] = {
            "to": to,
            "from_email": from_email,
            "subject": subject,
            "containing": containing,
            "unique_id": unique_id,
            "template_id": template_id,
        }
        caught = tuple(self)
        found = Outbox(lambda: caught).find(**conditions)
        if len(found) == 1:
            return found[0]
        criteria = ", ".join(
            f"{name}={_condition_text(value)}"
            for name, value in conditions.items()
            if value is not None
        )
        wanted = f"one mail with {criteria}" if criteria else "one mail"
        raise AssertionError(
            "\n".join((f"expected {wanted}, but found {len(found)}", *_lines(found or caught)))
        )

    def lines(self) -> list[str]:
        """Return a heading and a line for each mail; of many, only the last."""
        return _lines(tuple(self))

    def __repr__(self) -> str:
        mails = tuple(self)
        shown = "; ".join(_line(mail) for mail in mails[:_MAX_MAILS_LISTED])
        more = "; ..." if len(mails) > _MAX_MAILS_LISTED else ""
        return f"<Outbox of {_counted(len(mails))}{': ' if mails else ''}{shown}{more}>"


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
