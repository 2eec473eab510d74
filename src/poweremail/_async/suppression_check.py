"""Asks the suppression store about each mail before it is sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from poweremail._messages.raw import AnyMail, RawMessage
from poweremail._policy.send_body import SendBody, check_can_be_read
from poweremail._policy.suppression import check_others, suppressing, without, without_in_body
from poweremail._runtime._async import read_in_thread, time_limit
from poweremail._types.address_forms import fold_address
from poweremail._types.checks import check_not_awaitable, is_plain_function
from poweremail._types.suppression import (
    AnySuppressionStore,
    AsyncSuppressionStore,
    Suppression,
    require_plain,  # noqa: F401  for the twin
)
from poweremail._wire.operations import Operation
from poweremail.errors import PowerEmailError, SuppressionStoreError


class AsyncSuppressionCheck:
    """Leaves out recipients that *store* has on its list, if it says so within *seconds*."""

    def __init__(self, store: AnySuppressionStore, seconds: float | None) -> None:
        # sync only: require_plain(store)
        self._store: Any = store
        self._seconds = seconds

    async def without_suppressed(self, message: AnyMail) -> tuple[AnyMail, tuple[Suppression, ...]]:
        """
        Return *message* without the recipients that are suppressed, and the entries that say so.

        Raises `SuppressedError` if nobody is left, and `SuppressionStoreError` if the store fails.
        """
        if isinstance(message, RawMessage):
            check_others(("resent-to",) if message.has_others else ())
        else:
            check_others(message.headers)
        suppressed = await self._suppressing(message.recipients, message.stream)
        if not suppressed:
            return message, ()
        return without(message, suppressed), tuple(suppressed.values())

    async def without_suppressed_in_body(
        self, operation: Operation, body: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any], tuple[Suppression, ...]]:
        """
        Do the same for a handwritten *body*, whose mail has no stream.

        Raises `UsageError` if it is not clear who would get the mail.
        """
        check_can_be_read(operation)
        if not operation.sends:
            return body, ()
        read = SendBody.read(body)
        read.check_plain()
        check_others(("resent-to",) if read.raw and read.raw.has_others else read.headers)
        suppressed = await self._suppressing(read.recipients, None)
        if not suppressed:
            return body, ()
        return without_in_body(read, suppressed), tuple(suppressed.values())

    async def _suppressing(
        self, recipients: tuple[str, ...], stream: str | None
    ) -> dict[str, Suppression]:
        try:
            with time_limit(self._seconds):
                found = await find_entries(self._store, [fold_address(each) for each in recipients])
        except Exception as error:  # whatever the user's store raises
            reason = error.reason if isinstance(error, PowerEmailError) else str(error)
            raise SuppressionStoreError(
                f"the suppression list cannot be read: {type(error).__name__}: {reason}"
            ) from error
        return suppressing(recipients, stream, found)


async def find_entries(
    store: AsyncSuppressionStore, addresses: Sequence[str]
) -> tuple[Suppression, ...]:
    """Return all entries of *addresses* in *store*. Raises what the store raises."""
    find: Any = store.find
    if not is_plain_function(find):  # async only
        return _checked(await find(addresses))
    return await read_in_thread(_find, find, addresses)


def _find(
    find: Callable[[Sequence[str]], Iterable[Suppression]], addresses: Sequence[str]
) -> tuple[Suppression, ...]:
    # A store may return a generator, which has to be read where it may block.
    return _checked(find(addresses))


def _checked(found: Iterable[Suppression]) -> tuple[Suppression, ...]:
    check_not_awaitable("find", found)
    entries = tuple(found)
    for entry in entries:
        if not isinstance(entry, Suppression):
            raise TypeError(f"find returned a {type(entry).__name__}, not a Suppression")
    return entries
