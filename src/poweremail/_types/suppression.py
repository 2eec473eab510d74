"""Addresses that must not get mail, and the store that knows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Literal, Protocol, get_args

import attrs

from poweremail._types.address import recipient
from poweremail._types.address_forms import fold_address
from poweremail._types.checks import body_text, is_plain_function, require, require_one_of
from poweremail.errors import ConfigurationError, MailState, UsageError

Reason = Literal["hard_bounce", "spam", "unsubscribe", "manual"]
"""Why an address must not get mail; ``manual``: somebody decided so."""

REASONS: tuple[Reason, ...] = get_args(Reason)
"""Why an address may be on a list."""

EVERY_STREAM = "*"
"""The list that holds for all streams, and for mails without one."""

_MAX_STREAM_CHARS = 64
_STREAM = re.compile(rf"[\w.\-]{{1,{_MAX_STREAM_CHARS}}}\Z", re.ASCII)
_WANTED_STREAM = f"1 to {_MAX_STREAM_CHARS} ASCII letters, digits, dots, hyphens or underscores"


def check_stream(field: str, value: object, *, mail_state: MailState | None = None) -> str:
    """Return *value* if it names a stream, else raise `UsageError` for *field*."""
    if not isinstance(value, str) or not _STREAM.match(value):
        reason = f"must be {_WANTED_STREAM}, not {value!r}"
        raise UsageError(reason, field=field, mail_state=mail_state)
    return value


def fold_stream(stream: str | None) -> str | None:
    """Return the form in which *stream* is compared and stored: in lower case."""
    return None if stream is None else stream.lower()


def lookup_form(address: object) -> str:
    """
    Return *address*, perhaps with a display name, in the form in which it is compared and stored.

    Raises `UsageError` if it is no address.
    """
    try:
        return fold_address(recipient("address", address).email)
    except UsageError as error:
        raise UsageError(
            error.reason, field="address", mail_state=None, advice=error.advice
        ) from None


def _list_name(value: str) -> str:
    return value if value == EVERY_STREAM else check_stream("stream", value).lower()


def on_lists(stream: str | None, reason: str | None) -> dict[str, str]:
    """
    Return which members, and with which values, the entries on the list of *stream* and with
    *reason* have in common; None for any.

    Raises `UsageError` if *stream* names no list, and `ConfigurationError` if *reason* is none.
    """
    wanted = {} if stream is None else {"stream": _list_name(stream)}
    return (
        wanted if reason is None else wanted | {"reason": require_one_of("reason", reason, REASONS)}
    )


def _since(value: datetime | None) -> datetime:
    if value is None:
        return datetime.now(UTC)
    is_aware = isinstance(value, datetime) and value.utcoffset() is not None
    require("since", value, "a datetime with a time zone", is_aware)
    # At the ends of the calendar, a conversion could leave it.
    is_usual = MINYEAR < value.year < MAXYEAR
    return require("since", value, "after the year 1 and before 9999", is_usual).astimezone(UTC)


def _note(value: str | None) -> str | None:
    return None if value is None else body_text("note", value, mail_state=None)


@attrs.frozen
class Suppression:
    """
    An address on a list of those that must not get mail.

    *address*: in the form in which addresses are compared: without a name, in lower case, the
    domain as DNS has it. ``Ada <ADA@Example.com>`` becomes ``ada@example.com``.
    *stream*: the stream whose mails it must not get, in lower case; ``"*"`` (`EVERY_STREAM`) for
    all mails.
    *reason*: ``hard_bounce``, ``spam``, ``unsubscribe`` or ``manual``.
    *since*: when it came onto the list, in UTC; now by default.
    *note*: where it comes from, such as the unique id of a mail.

    Raises `UsageError` if the address or the stream is invalid.
    """

    address: str = attrs.field(converter=lookup_form)
    stream: str = attrs.field(default=EVERY_STREAM, converter=_list_name)
    reason: Reason = attrs.field(default="manual", kw_only=True)
    since: datetime = attrs.field(default=None, converter=_since, kw_only=True)
    note: str | None = attrs.field(default=None, converter=_note, kw_only=True)

    def __attrs_post_init__(self) -> None:
        require_one_of("reason", self.reason, REASONS)

    def applies_to(self, stream: str | None) -> bool:
        """
        Return whether it holds for a mail of *stream*, in any case; None for a mail without a
        stream.
        """
        return self.stream in (EVERY_STREAM, fold_stream(stream))


class SuppressionStore(Protocol):
    """
    Keeps the suppressed addresses: your own table, or one of the stores of this library.

    It may block; an async client calls it in a thread. It is used by several threads. If `find`
    raises, the mail is not sent.
    """

    def find(self, addresses: Sequence[str], /) -> Iterable[Suppression]:
        """
        Return all entries of *addresses*, on any list.

        The addresses are in the form in which `Suppression` has them.
        """
        ...

    def add(self, suppressions: Iterable[Suppression], /) -> object:
        """
        Add entries. One that is there already, with the same address, stream and reason, stays as
        it is. When it returns, they are stored durably.
        """
        ...


class AwaitedSuppressionStore(Protocol):
    """A `SuppressionStore` whose methods are async: only an async client can use it."""

    async def find(self, addresses: Sequence[str], /) -> Iterable[Suppression]:
        """Return all entries of *addresses*, on any list."""
        ...

    async def add(self, suppressions: Iterable[Suppression], /) -> object:
        """Add entries."""
        ...


AsyncSuppressionStore = SuppressionStore | AwaitedSuppressionStore
"""The store of an async client: a `SuppressionStore`, whose methods may be async."""

AnySuppressionStore = AsyncSuppressionStore
"""The same, in code that both kinds of clients share."""


def require_plain(store: AnySuppressionStore) -> None:
    """Raise `ConfigurationError` if the methods of *store* are async."""
    if not (is_plain_function(store.find) and is_plain_function(store.add)):
        raise ConfigurationError(
            "has async methods", field="suppression", advice="AsyncPowerEmail can use it"
        )
