# Generated from src/poweremail/_async/messages.py; do not edit.
"""The calls about messages: ``client.messages``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TypeVar

from poweremail._messages.message import Envelope, Message, TemplateMessage
from poweremail._messages.raw import RawMessage, RawMessageLike
from poweremail._policy.outcome import NO_MAIL, Mail
from poweremail._policy.settings import Settings
from poweremail._policy.unknown import UnknownPolicy
from poweremail._sync.exchange import Exchange
from poweremail._sync.message_infos import MessageInfos
from poweremail._sync.reconcile import look_up
from poweremail._sync.send import Delivery
from poweremail._sync.send_many import Sendable, SendMany
from poweremail._types.address import AddressesLike
from poweremail._types.address import recipients as read_recipients
from poweremail._types.message_info import MessageInfoPage
from poweremail._types.result import SendResult
from poweremail._wire import decode, encode
from poweremail._wire.http import Endpoint, Request
from poweremail.errors import DeliveryUnknownError, UsageError

__all__ = ["Messages"]

M = TypeVar("M", Message, TemplateMessage, RawMessage)


class Messages:
    """
    Send mails, and ask what became of them.

    Every send returns a `SendResult` where the service accepted the mail. It raises `UsageError`
    before anything is sent, `ApiError` where the service rejected it, `NotSentError` or
    `RateLimitError` where it was not sent, `DeliveryUnknownError` where nobody can know.
    *smtp_user_name* overrides that of the client for one call.
    """

    def __init__(self, settings: Settings, exchange: Exchange) -> None:
        self._settings = settings
        self._exchange = exchange
        self._delivery = Delivery(settings, exchange, self.iter_message_info)

    def send_mail(self, message: Message, *, smtp_user_name: str | None = None) -> SendResult:
        """Send *message* (``messages/sendMail``)."""
        return self._send(
            encode.send_mail, _checked(message, Message), _unique_id(message), smtp_user_name
        )

    def send_template(
        self, message: TemplateMessage, *, smtp_user_name: str | None = None
    ) -> SendResult:
        """Send a mail made from a template (``messages/sendTemplate``)."""
        return self._send(
            encode.send_template,
            _checked(message, TemplateMessage),
            _unique_id(message),
            smtp_user_name,
        )

    def send_template_http_get(
        self, message: TemplateMessage, *, smtp_user_name: str | None = None
    ) -> SendResult:
        """
        Send a mail made from a template by a GET request (``messages/sendTemplateHTTPGet``).

        A GET carries a subject, a sender's address, one recipient's address and the dynamic values;
        anything more raises `UsageError`. It cannot carry a unique id, so what becomes of the mail
        cannot be asked: prefer `send_template`.
        """
        return self._send(
            encode.send_template_http_get, _checked(message, TemplateMessage), None, smtp_user_name
        )

    def send_raw(
        self, raw_message: RawMessageLike, *, smtp_user_name: str | None = None
    ) -> SendResult:
        """
        Send a whole RFC 5322 message (``messages/sendRaw``): text, UTF-8 bytes, or the standard
        library's ``EmailMessage``.

        It goes out as it is, to the addresses of its To, Cc and Bcc headers. Where it has no
        ``X-Unique-Id``, one is drawn and added as its first header, so that it can be asked for.
        """
        message = RawMessage.of(raw_message)
        return self._send(
            encode.send_raw, message, message.unique_id or _drawn_id(), smtp_user_name
        )

    def get_message_info(self, unique_id: str, skip_page: int = 0) -> MessageInfoPage:
        """
        Return one page of what became of the mails with *unique_id*: 100 records, one for each
        recipient of each mail.

        *skip_page* counts pages from 0. An unknown id answers an empty page; a new mail may take a
        while to appear.
        """
        request = encode.get_message_info(self._settings.endpoint, unique_id, skip_page)
        response = self._exchange.run(request, NO_MAIL)
        return decode.message_info_page(response, unique_id, skip_page)

    def reconcile(
        self,
        unknown: DeliveryUnknownError | str,
        *,
        recipients: AddressesLike = (),
        visibility: float | None = None,
    ) -> SendResult:
        """
        Find out what became of a mail whose outcome was unknown: now, later, or in another process.

        *unknown* is the error, or the mail's unique id; then *recipients* are the addresses to look
        for, where the id is shared by several mails. It is looked for until each recipient is
        shown, for up to *visibility* seconds (that of the client unless given). Raises
        `DeliveryUnknownError` where it is not seen by then.
        """
        if isinstance(unknown, str) and unknown.strip():
            addresses = tuple(
                recipient.email for recipient in read_recipients("recipients", recipients)
            )
            unknown = DeliveryUnknownError(
                "asked for by its unique id", unique_id=unknown, recipients=addresses
            )
        if not isinstance(unknown, DeliveryUnknownError):
            raise UsageError(
                "must be a DeliveryUnknownError or a unique id that is not empty",
                field="unknown",
                mail_state=None,
            )
        policy = UnknownPolicy(
            "reconcile", self._settings.unknown.visibility if visibility is None else visibility
        )
        return look_up(self.iter_message_info, unknown, policy)

    def iter_message_info(
        self, unique_id: str, *, skip_page: int = 0, look_ahead: int = 0
    ) -> MessageInfos:
        """
        Iterate over every `MessageInfo` of *unique_id*, from page *skip_page* on, fetching pages as
        they are needed.

        *look_ahead* pages are fetched at once where there are many, which saves the time of waiting
        for one after the other, and costs up to *look_ahead* - 1 requests beyond the last page. See
        `MessageInfos`.
        """

        def fetch(page: int) -> MessageInfoPage:
            return self.get_message_info(unique_id, page)

        return MessageInfos(fetch, skip_page, look_ahead)

    def send_many(
        self,
        messages: Iterable[Sendable],
        *,
        concurrency: int = 8,
        smtp_user_name: str | None = None,
    ) -> SendMany:
        """
        Send each of *messages*, at most *concurrency* at once, and hand out the outcomes as they
        come.

        A `Message` goes out by `send_mail`, a `TemplateMessage` by `send_template`. See
        `SendMany`.
        """

        def send(message: Sendable) -> SendResult:
            if isinstance(message, TemplateMessage):
                return self.send_template(message, smtp_user_name=smtp_user_name)
            return self.send_mail(message, smtp_user_name=smtp_user_name)

        return SendMany(send, messages, concurrency)

    def _send(
        self,
        encode: Callable[[Endpoint, str, M, str | None], Request],
        message: M,
        unique_id: str | None,
        smtp_user_name: str | None,
    ) -> SendResult:
        smtp_user_name = self._settings.smtp_user(smtp_user_name)
        request = encode(self._settings.endpoint, smtp_user_name, message, unique_id)
        return self._delivery.deliver(request, Mail(unique_id, message.recipients, smtp_user_name))


def _checked(message: M, kind: type[M]) -> M:
    if not isinstance(message, kind):
        raise UsageError(
            f"must be a {kind.__name__}, not {type(message).__name__}", field="message"
        )
    return message


def _unique_id(message: Envelope) -> str:
    """
    The message's own, or one that is drawn once, before the first attempt: whatever happens, the
    mail can be asked for by it.
    """
    return message.unique_id or _drawn_id()


def _drawn_id() -> str:
    """128 random bits, as a UUID would have them, for half of what one costs."""
    return os.urandom(16).hex()
