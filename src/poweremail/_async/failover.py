"""
Sending by one of several clients, and by the next one if the mail was not sent.

`AsyncRounds` does the work. The methods here are those of a client, so that code that sends by a
client can send by a failover.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from types import MappingProxyType
from typing import Self, TypeVar

import attrs

from poweremail._async.client import AsyncPowerEmail
from poweremail._async.failover_rounds import AsyncRounds, settings_of
from poweremail._async.message_infos import AsyncMessageInfos
from poweremail._async.messages import AsyncMessages, draw_unique_id
from poweremail._async.send_many import AsyncSendMany, Sendable
from poweremail._messages.envelope import Envelope
from poweremail._messages.message import Message, TemplateMessage
from poweremail._messages.raw import RawMessage, RawMessageLike
from poweremail._policy.failover import CircuitPolicy, FailoverEvent, FailoverOrder, Targets
from poweremail._policy.retry import RetryPolicy
from poweremail._types.address import AddressesLike
from poweremail._types.checks import require_hook, require_kind
from poweremail._types.message_info import MessageInfoPage
from poweremail._types.result import SendResult
from poweremail._wire.operations import (
    SEND_MAIL,
    SEND_RAW,
    SEND_TEMPLATE,
    SEND_TEMPLATE_HTTP_GET,
)
from poweremail.errors import (
    ConfigurationError,
    DeliveryUnknownError,
    UsageError,
)

_RETRY = RetryPolicy()
_CIRCUIT = CircuitPolicy()
_NO_WEIGHTS: Mapping[str, int] = MappingProxyType({})

M = TypeVar("M", Message, TemplateMessage)

Sent = str | SendResult | DeliveryUnknownError


class AsyncFailover:
    """
    Sends by one of several clients, and by the next one if the mail was not sent.

    *clients*
        The targets by name, in order of priority: each a client with an SMTP user of its own. Those
        of one account may share a transport: ``client.with_options(smtp_user_name="smtp2")``. They
        are closed together with this object.
    *order*
        ``"priority"`` (default): the first one that works gets every mail. ``"round_robin"``: they
        take turns.
    *weights*
        The share of each target in the round robin; 1 if it is missing.
    *retry*
        How often and when all targets are tried again. A round asks each of them once;
        ``retry.attempts`` counts rounds, and after ``retry.max_total`` seconds no further attempt
        begins. The retries of the clients themselves do not apply to sends.
    *circuit*
        When a target rests: see `CircuitPolicy`.
    *on_failover*
        Called with a `FailoverEvent` when a target did not take a mail. A plain function; what it
        raises is logged and changes nothing. The hooks of the clients are called as ever: each
        target that is asked is a call of its own for them.

    Another target is asked only if the mail was *not sent*, or after a 429. If the outcome is
    *unknown* or the mail was *rejected*, the error is raised at once.

    Raises `ConfigurationError` if an option is invalid; also for a client with
    ``on_unknown="resend"`` or ``resend_after``, since a failover sends no mail twice.
    """

    def __init__(
        self,
        clients: Mapping[str, AsyncPowerEmail],
        *,
        order: FailoverOrder = "priority",
        weights: Mapping[str, int] = _NO_WEIGHTS,
        retry: RetryPolicy = _RETRY,
        circuit: CircuitPolicy = _CIRCUIT,
        on_failover: Callable[[FailoverEvent], object] | None = None,
    ) -> None:
        _check(clients, retry, circuit, on_failover)
        self._clients = dict(clients)
        self._targets = Targets(clients, order, weights, circuit)
        self._rounds = AsyncRounds(self._clients, self._targets, retry, on_failover)
        self.messages: AsyncFailoverMessages = AsyncFailoverMessages(self._clients, self._rounds)

    @property
    def clients(self) -> Mapping[str, AsyncPowerEmail]:
        """The client of each target, for the calls about its account."""
        return MappingProxyType(self._clients)

    def resting(self) -> dict[str, float]:
        """Return the targets whose circuit is open, and the seconds until each may be probed."""
        seconds = self._targets.seconds_until_open(time.monotonic())
        return {name: left for name, left in seconds.items() if left}

    async def aclose(self) -> None:
        """Close the clients; closing again does nothing."""
        self._rounds.close()
        async with AsyncExitStack() as closing:  # each of them, although one may fail
            for client in self._clients.values():
                closing.push_async_callback(client.aclose)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        targets = ", ".join(f"{name}: {client!r}" for name, client in self._clients.items())
        return f"<{type(self).__name__} {targets}>"


class AsyncFailoverMessages:
    """
    Send mails by one of several targets, and query what became of them.

    The methods are those of a client's ``messages``, and raise the same. `SendResult.target`, and
    the ``target`` of an error, name the target. If no target took the mail for several reasons, the
    `NotSentError` lists them.

    A lookup goes to the account that has sent. Give it the `SendResult` or the
    `DeliveryUnknownError`, or else a unique id and *target*; with one account, the id is enough.
    """

    def __init__(self, clients: Mapping[str, AsyncPowerEmail], rounds: AsyncRounds) -> None:
        self._clients = clients
        self._send = rounds.send

    async def send_mail(self, message: Message) -> SendResult:
        """Send *message* (``messages/sendMail``)."""
        message, unique_id = _with_unique_id(message)
        return await self._send(SEND_MAIL, lambda each: each.send_mail(message), unique_id)

    async def send_template(self, message: TemplateMessage) -> SendResult:
        """Send a mail made from a template (``messages/sendTemplate``)."""
        message, unique_id = _with_unique_id(message)
        return await self._send(SEND_TEMPLATE, lambda each: each.send_template(message), unique_id)

    async def send_template_http_get(self, message: TemplateMessage) -> SendResult:
        """
        Send a mail made from a template by a GET request (``messages/sendTemplateHTTPGet``), which
        carries no unique id.
        """
        return await self._send(
            SEND_TEMPLATE_HTTP_GET, lambda each: each.send_template_http_get(message), None
        )

    async def send_raw(
        self, raw_message: RawMessageLike, *, stream: str | None = None
    ) -> SendResult:
        """Send a whole RFC 5322 message (``messages/sendRaw``)."""
        raw = RawMessage.of(raw_message, stream=stream)
        unique_id = raw.unique_id or draw_unique_id()
        text = raw.text if raw.unique_id else raw.with_unique_id(unique_id)
        return await self._send(
            SEND_RAW, lambda each: each.send_raw(text, stream=stream), unique_id
        )

    def send_many(
        self,
        messages: AsyncIterable[Sendable] | Iterable[Sendable],
        *,
        concurrency: int = 8,
    ) -> AsyncSendMany:
        """
        Send each of *messages*, at most *concurrency* at once, and yield the outcomes as they come.
        See `AsyncSendMany`.
        """

        async def send(message: Sendable) -> SendResult:
            if isinstance(message, TemplateMessage):
                return await self.send_template(message)
            return await self.send_mail(message)

        return AsyncSendMany(send, messages, concurrency)

    async def get_message_info(
        self, sent: Sent, skip_page: int = 0, *, target: str | None = None
    ) -> MessageInfoPage:
        """Return one page of the records of a mail; *skip_page* counts pages of 100 from 0."""
        messages, unique_id = self._account(sent, target)
        return await messages.get_message_info(unique_id, skip_page)

    def iter_message_info(
        self, sent: Sent, *, target: str | None = None, skip_page: int = 0, look_ahead: int = 0
    ) -> AsyncMessageInfos:
        """Iterate over every `MessageInfo` of a mail. See `AsyncMessageInfos`."""
        messages, unique_id = self._account(sent, target)
        return messages.iter_message_info(unique_id, skip_page=skip_page, look_ahead=look_ahead)

    async def reconcile(
        self,
        unknown: DeliveryUnknownError | str,
        *,
        target: str | None = None,
        recipients: AddressesLike = (),
        visibility: float | None = None,
    ) -> SendResult:
        """
        Look up a mail whose outcome was unknown; the options are those of `AsyncMessages`.

        Raises `DeliveryUnknownError` if the mail is not found.
        """
        messages, _ = self._account(unknown, target)
        name = target or getattr(unknown, "target", None)
        try:
            result = await messages.reconcile(unknown, recipients=recipients, visibility=visibility)
        except DeliveryUnknownError as error:
            error.target = name
            raise
        return attrs.evolve(result, target=name)

    def _account(self, sent: Sent, target: str | None) -> tuple[AsyncMessages, str]:
        """The calls of the account that has sent a mail, and the mail's unique id."""
        unique_id = sent if isinstance(sent, str) else sent.unique_id
        name = target or getattr(sent, "target", None)
        if name is not None:
            if name not in self._clients:
                known = ", ".join(map(repr, self._clients))
                raise UsageError(
                    f"must be one of {known}, not {name!r}", field="target", mail_state=None
                )
            return self._clients[name].messages, unique_id or ""
        endpoints = [settings_of(client).endpoint for client in self._clients.values()]
        if len({(each.base_url, each.credentials.owner_id) for each in endpoints}) > 1:
            raise UsageError(
                "the unique id alone does not say which account has the mail",
                field="target",
                mail_state=None,
                advice="give the SendResult or the error of the send, or its target",
            )
        return next(iter(self._clients.values())).messages, unique_id or ""


def _with_unique_id(message: M) -> tuple[M, str | None]:
    """Return *message* with a unique id, which is the same for every target."""
    if not isinstance(message, Envelope):  # the first target raises
        return message, None
    if message.unique_id is None:
        message = attrs.evolve(message, unique_id=draw_unique_id())
    return message, message.unique_id


def _check(
    clients: Mapping[str, AsyncPowerEmail],
    retry: RetryPolicy,
    circuit: CircuitPolicy,
    on_failover: object,
) -> None:
    """Raise `ConfigurationError` if an option of a failover is invalid."""
    if not isinstance(clients, Mapping) or not clients:
        raise ConfigurationError("must be a mapping of names to clients", field="clients")
    for name, client in clients.items():
        field = f"clients[{name!r}]"
        if not isinstance(name, str) or not name.strip():
            raise ConfigurationError("each name must be a string that is not empty", field=field)
        require_kind(field, client, AsyncPowerEmail)
        if client.smtp_user_name is None:
            raise ConfigurationError("has no smtp_user_name", field=field)
        unknown = settings_of(client).unknown
        if unknown.on_unknown == "resend" or unknown.resend_after is not None:
            raise ConfigurationError(
                "has on_unknown='resend' or resend_after, and a failover sends no mail twice",
                field=field,
                advice="use on_unknown='reconcile' without resend_after, or 'raise'",
            )
    require_kind("retry", retry, RetryPolicy)
    require_kind("circuit", circuit, CircuitPolicy)
    require_hook("on_failover", on_failover)
