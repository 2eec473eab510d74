# Generated from src/poweremail/_async/durable/filling.py; do not edit.
"""Adds messages to a ledger from any source: a list, a generator, an iterator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from poweremail._ledger.entries import Added, BatchItem
from poweremail._runtime._sync import each, finish, in_thread
from poweremail.errors import ConfigurationError

if TYPE_CHECKING:
    from poweremail._ledger.adding import Adding

__all__ = ["fill"]


def fill(adding: Adding, messages: Iterable[BatchItem]) -> Added:
    """
    Add *messages* by *adding*, some hundred in a transaction, and count them.

    If the source raises, the messages before the error are kept, so adding the source again skips
    them. Raises `ConfigurationError` if *messages* cannot be a source.
    """
    if isinstance(messages, str | bytes | dict) or not isinstance(messages, Iterable):
        raise ConfigurationError(
            f"must be an iterable of messages, not {type(messages).__name__}", field="messages"
        )
    source = each(messages)
    try:
        for item in source:
            adding.append(item)
            if adding.is_full:
                in_thread(adding.flush)
    finally:
        finish(source)
        in_thread(adding.flush)
    return adding.total
