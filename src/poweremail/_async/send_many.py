"""Sending many mails, a few at a time."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from types import TracebackType
from typing import Self

from poweremail._messages.message import Message, TemplateMessage
from poweremail._runtime._async_many import BoundedMap
from poweremail._types.number import is_whole
from poweremail._types.outcome import SendOutcome
from poweremail._types.result import SendResult
from poweremail.errors import PowerEmailError, UsageError

__all__ = ["AsyncSendMany", "Sendable"]

Sendable = Message | TemplateMessage


class AsyncSendMany:
    """
    Send each message of a source and hand out a `SendOutcome` for each, as it comes.

    To be used as a context manager and iterated over, by one task or thread. At most *concurrency*
    mails are under way at once; the source is pulled no faster than outcomes are taken. One bad
    message never stops the rest: its outcome has the error. Leaving early stops pulling and lets
    what is under way finish; its outcomes are not handed out any more. An error of the source
    itself is raised after the outcomes of what it gave.
    """

    def __init__(
        self,
        send: Callable[[Sendable], Awaitable[SendResult]],
        messages: AsyncIterable[Sendable] | Iterable[Sendable],
        concurrency: int,
    ) -> None:
        if not is_whole(concurrency, 1):
            raise UsageError(f"must be 1 or more, not {concurrency!r}", field="concurrency")
        if isinstance(messages, str | bytes | dict) or not isinstance(
            messages, AsyncIterable | Iterable
        ):
            raise UsageError(
                f"must be an iterable of messages, not {type(messages).__name__}", field="messages"
            )
        self._send = send
        self._map = BoundedMap(self._outcome, messages, concurrency)
        self._state = "new"

    async def __aenter__(self) -> Self:
        self._expect("new", "it can be entered only once")
        self._state = "open"
        await self._map.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._state = "closed"
        await self._map.__aexit__(kind, error, trace)

    def __aiter__(self) -> AsyncSendMany:
        return self

    async def __anext__(self) -> SendOutcome:
        self._expect(
            "open",
            "iterate inside its block: `async with client.messages.send_many(...) as outcomes:`",
        )
        return await anext(self._map)

    def _expect(self, state: str, advice: str) -> None:
        # Without its block nothing is sent, and to say nothing about it would be a silent loss.
        if self._state != state:
            raise UsageError(f"the batch is {self._state}", field="send_many", advice=advice)

    async def _outcome(self, index: int, message: Sendable) -> SendOutcome:
        try:
            return SendOutcome(index, message, result=await self._send(message))
        except PowerEmailError as error:
            return SendOutcome(index, message, error=error)
