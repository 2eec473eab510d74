# Generated from src/poweremail/_async/messages.py; do not edit.
"""The calls about messages: ``client.messages``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import attrs

from poweremail._messages.message import Message, TemplateMessage
from poweremail._messages.raw import AnyMail, RawMessage, RawMessageLike
from poweremail._policy.outcome import Mail, UnknownPolicy
from poweremail._policy.settings import Settings
from poweremail._sync.exchange import Exchange
from poweremail._sync.message_infos import MessageInfos, fetch_page
from poweremail._sync.send import Sender
from poweremail._sync.send_many import Sendable, SendMany
from poweremail._types.address import AddressesLike
from poweremail._types.address import recipients as read_recipients
from poweremail._types.message_info import MessageInfoPage
from poweremail._types.result import SendResult, dry_run_result
from poweremail._types.suppression import Suppression
from poweremail._wire import encode
from poweremail._wire.http import Endpoint, Request
from poweremail.errors import DeliveryUnknownError, SuppressedError, UsageError

if TYPE_CHECKING:
    from poweremail._sync.suppression_check import SuppressionCheck


class Messages:
    """
    Send mails, and query what became of them.

    A send returns a `SendResult` if the service accepted the mail. It raises `UsageError` before
    anything is sent, `ApiError` if the service rejected the mail, `NotSentError` or
    `RateLimitError` if it was not sent, and `DeliveryUnknownError` if the outcome is unknown.
    *smtp_user_name* overrides that of the client for one call.
    """

    def __init__(
        self,
        settings: Settings,
        exchange: Exchange,
        sender: Sender,
        check: SuppressionCheck | None = None,
    ) -> None:
        self._settings = settings
        self._exchange = exchange
        self._sender = sender
        self._check = check

    def send_mail(self, message: Message, *, smtp_user_name: str | None = None) -> SendResult:
        """Send *message* (``messages/sendMail``)."""
        message = _checked(message, Message)
        unique_id = message.unique_id or draw_unique_id()
        return self._send(encode.send_mail, message, unique_id, smtp_user_name)

    def send_template(
        self, message: TemplateMessage, *, smtp_user_name: str | None = None
    ) -> SendResult:
        """Send a mail made from a template (``messages/sendTemplate``)."""
        message = _checked(message, TemplateMessage)
        unique_id = message.unique_id or draw_unique_id()
        return self._send(encode.send_template, message, unique_id, smtp_user_name)

    def send_template_http_get(
        self, message: TemplateMessage, *, smtp_user_name: str | None = None
    ) -> SendResult:
        """
        Send a mail made from a template by a GET request (``messages/sendTemplateHTTPGet``).

        A GET carries a subject, a sender's address, one recipient's address and the dynamic values;
        anything more raises `UsageError`. It cannot carry a unique id, so the mail cannot be looked
        up: prefer `send_template`.
        """
        message = _checked(message, TemplateMessage)
        return self._send(encode.send_template_http_get, message, None, smtp_user_name)

    def send_raw(
        self,
        raw_message: RawMessageLike,
        *,
        smtp_user_name: str | None = None,
        stream: str | None = None,
    ) -> SendResult:
        """
        Send a whole RFC 5322 message (``messages/sendRaw``): text, UTF-8 bytes, or the standard
        library's ``EmailMessage``.

        It is sent as it is, to the addresses of its To, Cc and Bcc headers. If it has no
        ``X-Unique-Id``, one is added as its first header, so that the mail can be looked up.

        *stream*: as that of a `Message`. If recipients are suppressed, the headers that name them
        are written anew without them.
        """
        message = RawMessage.of(raw_message, stream=stream)
        unique_id = message.unique_id or draw_unique_id()
        return self._send(encode.send_raw, message, unique_id, smtp_user_name)

    def get_message_info(self, unique_id: str, skip_page: int = 0) -> MessageInfoPage:
        """
        Return one page of the records of *unique_id*: 100 records, one for each recipient of each
        mail.

        *skip_page* counts pages from 0; a negative one raises `UsageError`. The page of an unknown
        id is empty; a new mail may take a while to appear.
        """
        return fetch_page(self._exchange, self._settings.endpoint, unique_id, skip_page)

    def iter_message_info(
        self, unique_id: str, *, skip_page: int = 0, look_ahead: int = 0
    ) -> MessageInfos:
        """
        Iterate over every `MessageInfo` of *unique_id*, from page *skip_page* on, fetching pages as
        they are needed.

        *look_ahead* pages are fetched at once if there are many. That saves waiting for one after
        the other, and costs up to *look_ahead* - 1 requests beyond the last page. See
        `MessageInfos`.
        """
        return MessageInfos(
            self._exchange, self._settings.endpoint, unique_id, skip_page, look_ahead
        )

    def reconcile(
        self,
        unknown: DeliveryUnknownError | str,
        *,
        recipients: AddressesLike = (),
        visibility: float | None = None,
    ) -> SendResult:
        """
        Look up a mail whose outcome was unknown: now, later, or in another process.

        *unknown*: the error, or the unique id of the mail.
        *recipients*: the addresses to look for, if *unknown* is an id that several mails share.
        *visibility*: the seconds to look for each recipient; that of the client by default.

        Raises `DeliveryUnknownError` if the mail is not found by then.
        """
        if isinstance(unknown, str) and unknown.strip():
            unknown = DeliveryUnknownError(
                "looked up by its unique id",
                unique_id=unknown,
                recipients=tuple(each.email for each in read_recipients("recipients", recipients)),
            )
        if not isinstance(unknown, DeliveryUnknownError):
            raise UsageError(
                "must be a DeliveryUnknownError or a unique id that is not empty",
                field="unknown",
                mail_state=None,
            )
        if visibility is None:
            visibility = self._settings.unknown.visibility
        return self._sender.find_delivery(unknown, UnknownPolicy("reconcile", visibility))

    def without_suppressed(self, message: AnyMail) -> AnyMail:
        """
        Return *message* as it would be sent now: without the recipients that are suppressed.

        Raises `SuppressedError` if nobody is left, and `SuppressionStoreError`.
        """
        return message if self._check is None else self._check.without_suppressed(message)[0]

    def likely_recipients(self, message: Sendable) -> tuple[str, ...]:
        """
        Return the addresses that *message* most likely went to if this client has sent it: those
        that it would go to now, without the suppressed ones. If nobody is left, all of them.
        """
        try:
            return self.without_suppressed(message).recipients
        except SuppressedError:
            return message.recipients

    def send_many(
        self,
        messages: Iterable[Sendable],
        *,
        concurrency: int = 8,
        smtp_user_name: str | None = None,
    ) -> SendMany:
        """
        Send each of *messages*, at most *concurrency* at once, and yield the outcomes as they come.

        A `Message` is sent by `send_mail`, a `TemplateMessage` by `send_template`. See
        `SendMany`.
        """

        def send(message: Sendable) -> SendResult:
            return send_either(self, message, smtp_user_name)

        return SendMany(send, messages, concurrency)

    def _send(
        self,
        encode_send: Callable[[Endpoint, str, AnyMail, str | None], Request],
        message: AnyMail,
        unique_id: str | None,
        smtp_user_name: str | None,
    ) -> SendResult:
        # The client's own SMTP user was checked with the other options.
        sender = self._settings.smtp_user_name
        if smtp_user_name is not None or sender is None:
            sender = self._settings.smtp_user(smtp_user_name)
        endpoint = self._settings.endpoint
        given = message
        if self._settings.derives:
            message = self._settings.derive(given)
        request = encode_send(endpoint, sender, message, unique_id)
        suppressed: tuple[Suppression, ...] = ()
        if self._check is not None:
            with self._sender.checking(request, Mail(unique_id, message.recipients, sender)):
                given, suppressed = self._check.without_suppressed(given)
            if suppressed:
                message = self._settings.derive(given)
                request = encode_send(endpoint, sender, message, unique_id)
        if self._settings.rehearsals:
            # Only now: what cannot be sent for real is an error in a rehearsal, too.
            by_get = request.operation.method == "GET"
            rehearsed = self._settings.rehearse(given, by_get=by_get)
            if self._check is not None and rehearsed is not given:
                # The list holds for the one who gets it now as well.
                with self._sender.checking(request, Mail(unique_id, rehearsed.recipients, sender)):
                    self._check.without_suppressed(rehearsed)
            message = self._settings.derive(rehearsed)
            request = encode_send(endpoint, sender, message, unique_id)
        if self._settings.dry_run:
            return dry_run_result(unique_id, message.recipients, suppressed)
        result = self._sender.send(request, Mail(unique_id, message.recipients, sender))
        return attrs.evolve(result, suppressed=suppressed) if suppressed else result


def send_either(messages: Messages, message: Sendable, smtp_user_name: str | None) -> SendResult:
    """Send a `Message` by `send_mail`, a `TemplateMessage` by `send_template`."""
    if isinstance(message, TemplateMessage):
        return messages.send_template(message, smtp_user_name=smtp_user_name)
    return messages.send_mail(message, smtp_user_name=smtp_user_name)


def _checked(message: AnyMail, kind: type[AnyMail]) -> AnyMail:
    if not isinstance(message, kind):
        raise UsageError(
            f"must be a {kind.__name__}, not {type(message).__name__}", field="message"
        )
    return message


def draw_unique_id() -> str:
    """
    Return 128 random bits as hexadecimal digits, in half the time of a UUID.

    An id is drawn once, before the first attempt, so that the mail can be looked up by it.
    """
    return os.urandom(16).hex()
