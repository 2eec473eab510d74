# Generated from src/poweremail/_async/send_many.py; do not edit.
"""
Sending many mails, a few at a time.

Theory of operation. `BoundedMap` of the runtime does the work: at most *concurrency* sends run at
once, and the source is pulled no faster than the outcomes are consumed, so neither messages nor
outcomes pile up. (A semaphore and a task per message would read the whole source into memory.) This
class adds what is peculiar to mails. The error of a send becomes a `SendOutcome` instead of ending
the iteration. And nothing is sent outside the block: an iterator that was never entered would send
nothing and say nothing, which is a silent loss, so it raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Self

from poweremail._messages.message import Message, TemplateMessage
from poweremail._runtime._sync_many import BoundedMap
from poweremail._types.checks import is_whole
from poweremail._types.result import SendOutcome, SendResult
from poweremail.errors import PowerEmailError, UsageError

Sendable = Message | TemplateMessage


class SendMany:
    """
    Sends each message of a source and yields a `SendOutcome` for each, in the order in which they
    end.

    Use it as a context manager and iterate over it in one task or thread. An invalid message or a
    failed send does not stop the others: its outcome has the error. To leave early stops pulling
    and waits for the sends that have begun; their outcomes are dropped. An error of the source
    itself is raised after the outcomes of the messages before it.
    """

    def __init__(
        self,
        send: Callable[[Sendable], SendResult],
        messages: Iterable[Sendable],
        concurrency: int,
    ) -> None:
        if not is_whole(concurrency, 1):
            raise UsageError(f"must be 1 or more, not {concurrency!r}", field="concurrency")
        if isinstance(messages, str | bytes | dict) or not isinstance(messages, Iterable):
            raise UsageError(
                f"must be an iterable of messages, not {type(messages).__name__}", field="messages"
            )
        self._send = send
        self._map = BoundedMap(self._outcome, messages, concurrency)
        self._state = "new"

    def __enter__(self) -> Self:
        self._check_state("new", "it can be entered only once")
        self._state = "open"
        self._map.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._state = "closed"
        self._map.__exit__(*error)

    def __iter__(self) -> SendMany:
        return self

    def __next__(self) -> SendOutcome:
        advice = "iterate inside its block: `with client.messages.send_many(...) as outcomes:`"
        self._check_state("open", advice)
        return next(self._map)

    def _check_state(self, wanted: str, advice: str) -> None:
        if self._state != wanted:
            raise UsageError(f"the batch is {self._state}", field="send_many", advice=advice)

    def _outcome(self, index: int, message: Sendable) -> SendOutcome:
        try:
            return SendOutcome(index, message, result=self._send(message))
        except PowerEmailError as error:
            # A value, not raised any more: its frames would keep the mail in memory.
            return SendOutcome(index, message, error=error.with_traceback(None))
