# Generated from src/poweremail/_async/settings.py; do not edit.
"""The calls about SMTP users, domains and webhooks: ``client.settings``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from poweremail._policy.outcome import NO_MAIL
from poweremail._response import Response
from poweremail._sync.exchange import Exchange
from poweremail._types.account import Listing, SendingDomain, SmtpUser, TrackingDomain, Webhook
from poweremail._types.event import EventName
from poweremail._types.result import CallResult
from poweremail._wire import decode_settings as decode
from poweremail._wire import encode_settings as encode
from poweremail._wire import operations
from poweremail._wire.decode import call_result
from poweremail._wire.http import Endpoint, Request

__all__ = ["SettingsCalls"]

T = TypeVar("T")


class SettingsCalls:
    """
    Look at SMTP users, domains and webhooks, and change them.

    Every call raises `UsageError` before anything is sent, `ApiError` where the service refuses,
    `TransportError` where it was not reached. What changes something raises `ChangeUnknownError`
    where it may or may not have taken effect. What only looks, and edits, which leave the same when
    made twice, are repeated on anything temporary; the others only where they cannot have arrived.
    """

    def __init__(self, endpoint: Endpoint, exchange: Exchange) -> None:
        self._endpoint = endpoint
        self._exchange = exchange

    def add_smtp(self, *, total_limit: int, hourly_limit: int) -> SmtpUser:
        """
        Add an SMTP user that may send so many mails in all and an hour; the service draws its name
        and its password.
        """
        return self._one(
            encode.add_smtp(self._endpoint, total_limit, hourly_limit), decode.smtp_user
        )

    def edit_smtp(
        self,
        smtp_user_name: str,
        *,
        total_limit: int | None = None,
        hourly_limit: int | None = None,
        enabled: bool | None = None,
    ) -> CallResult:
        """
        Change an SMTP user's limits, in mails, or whether it may send; None leaves it as it is.
        """
        request = encode.edit_smtp(
            self._endpoint,
            smtp_user_name,
            total_limit=total_limit,
            hourly_limit=hourly_limit,
            enabled=enabled,
        )
        return self._told(request)

    def reset_smtp_password(self, smtp_user_name: str) -> SmtpUser:
        """Let the service draw an SMTP user's password anew, and return it."""
        return self._one(
            encode.about_smtp_user(self._endpoint, operations.RESET_SMTP_PASSWORD, smtp_user_name),
            decode.smtp_user,
        )

    def list_smtp(self) -> Listing[SmtpUser]:
        """Return every SMTP user."""
        return self._list(operations.LIST_SMTP, "smtp_list", decode.smtp_user)

    def add_sending_domain(self, domain: str) -> CallResult:
        """Add a domain to send from."""
        return self._told(
            encode.about_domain(self._endpoint, operations.ADD_SENDING_DOMAIN, domain)
        )

    def delete_sending_domain(self, domain: str) -> CallResult:
        """Remove a domain to send from."""
        return self._told(
            encode.about_domain(self._endpoint, operations.DELETE_SENDING_DOMAIN, domain)
        )

    def check_sending_domain(self, domain: str) -> SendingDomain:
        """Let the service look at a sending domain's DNS records."""
        return self._one(
            encode.about_domain(self._endpoint, operations.CHECK_SENDING_DOMAIN, domain),
            decode.sending_domain,
        )

    def verify_sending_domain(self, domain: str, mailbox: str) -> CallResult:
        """
        Let the service send instructions to *mailbox*, the part before the @, at the domain: who
        reads it owns the domain.
        """
        return self._told(encode.verify_sending_domain(self._endpoint, domain, mailbox))

    def list_sending_domain(self) -> Listing[SendingDomain]:
        """Return every domain to send from."""
        return self._list(
            operations.LIST_SENDING_DOMAIN, "sending_domain_list", decode.sending_domain
        )

    def add_tracking_domain(self, domain: str) -> CallResult:
        """Add a domain that tracked links lead through."""
        return self._told(
            encode.about_domain(self._endpoint, operations.ADD_TRACKING_DOMAIN, domain)
        )

    def delete_tracking_domain(self, domain: str) -> CallResult:
        """Remove a domain that tracked links lead through."""
        return self._told(
            encode.about_domain(self._endpoint, operations.DELETE_TRACKING_DOMAIN, domain)
        )

    def check_tracking_domain(self, domain: str) -> TrackingDomain:
        """Let the service look at a tracking domain's DNS record."""
        return self._one(
            encode.about_domain(self._endpoint, operations.CHECK_TRACKING_DOMAIN, domain),
            decode.tracking_domain,
        )

    def list_tracking_domain(self) -> Listing[TrackingDomain]:
        """Return every domain that tracked links lead through."""
        return self._list(
            operations.LIST_TRACKING_DOMAIN, "tracking_domain_list", decode.tracking_domain
        )

    def add_webhook(
        self,
        url: str,
        *,
        events: Iterable[EventName] | EventName | None = None,
        description: str | None = None,
        store_log: bool | None = None,
    ) -> CallResult:
        """
        Let *url* be told of *events*; None leaves a choice to the service.

        The URL must answer the service's handshake, ``God bless you, PowerEmail``, while this call
        is made. The answer does not tell the webhook's id and key: `list_webhook` does.
        """
        request = encode.add_webhook(
            self._endpoint, url, events=events, description=description, store_log=store_log
        )
        return self._told(request)

    def edit_webhook(
        self,
        webhook_id: str,
        url: str,
        *,
        events: Iterable[EventName] | EventName | None = None,
        description: str | None = None,
        store_log: bool | None = None,
    ) -> CallResult:
        """
        Change a webhook; the service wants its *url* in any case, and asks it as in `add_webhook`.
        """
        request = encode.edit_webhook(
            self._endpoint,
            webhook_id,
            url,
            events=events,
            description=description,
            store_log=store_log,
        )
        return self._told(request)

    def delete_webhook(self, webhook_id: str) -> CallResult:
        """Remove a webhook."""
        return self._told(
            encode.about_webhook(self._endpoint, operations.DELETE_WEBHOOK, webhook_id)
        )

    def key_reset_webhook(self, webhook_id: str) -> Webhook:
        """Let the service draw a webhook's key anew, and return it; it signs with it at once."""
        return self._one(
            encode.about_webhook(self._endpoint, operations.KEY_RESET_WEBHOOK, webhook_id),
            decode.webhook,
        )

    def list_webhook(self) -> Listing[Webhook]:
        """Return every webhook."""
        return self._list(operations.LIST_WEBHOOK, "webhook_list", decode.webhook)

    def get_webhook_info(self, webhook_id: str) -> Webhook:
        """Return one webhook, and how it fares."""
        request = encode.about_webhook(self._endpoint, operations.GET_WEBHOOK_INFO, webhook_id)
        return self._one(request, decode.webhook, "webhook_data")

    def _told(self, request: Request) -> CallResult:
        response = self._exchange.run(request, NO_MAIL)
        return call_result(response)

    def _one(
        self, request: Request, decoder: Callable[[Mapping[str, Any], Response], T], *names: str
    ) -> T:
        response = self._exchange.run(request, NO_MAIL)
        return decode.one(decoder, response, *names)

    def _list(
        self,
        operation: operations.Operation,
        name: str,
        decoder: Callable[[Mapping[str, Any], Response], T],
    ) -> Listing[T]:
        response = self._exchange.run(encode.listing(self._endpoint, operation), NO_MAIL)
        return decode.listing(name, decoder, response)
