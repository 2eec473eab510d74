"""Adds messages to a ledger from any source: a list, a generator, an async iterator."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from typing import TYPE_CHECKING

from poweremail._ledger.entries import Added, BatchItem
from poweremail._runtime._async import each, finish, in_thread
from poweremail.errors import ConfigurationError

if TYPE_CHECKING:
    from poweremail._ledger.adding import Adding

__all__ = ["fill"]


async def fill(adding: Adding, messages: AsyncIterable[BatchItem] | Iterable[BatchItem]) -> Added:
    """
    Add *messages* by *adding*, some hundred in a transaction, and count them.

    If the source raises, the messages before the error are kept, so adding the source again skips
    them. Raises `ConfigurationError` if *messages* cannot be a source.
    """
    if isinstance(messages, str | bytes | dict) or not isinstance(
        messages, AsyncIterable | Iterable
    ):
        raise ConfigurationError(
            f"must be an iterable of messages, not {type(messages).__name__}", field="messages"
        )
    source = each(messages)
    try:
        async for item in source:
            adding.append(item)
            if adding.is_full:
                await in_thread(adding.flush)
    finally:
        await finish(source)
        await in_thread(adding.flush)
    return adding.total
