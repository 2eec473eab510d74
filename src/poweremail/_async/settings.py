"""The calls about the account and its SMTP users, domains and webhooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from poweremail._async.exchange import AsyncExchange
from poweremail._policy.outcome import NO_MAIL
from poweremail._types.account import (
    AccountDetail,
    Listing,
    SendingDomain,
    SmtpUser,
    TrackingDomain,
    Webhook,
)
from poweremail._types.event import EventName
from poweremail._types.result import CallResult
from poweremail._wire import decode_settings as decode
from poweremail._wire import encode_settings as encode
from poweremail._wire import operations
from poweremail._wire.decode import ApiResponse, call_result
from poweremail._wire.http import Endpoint, Request
from poweremail._wire.operations import Operation


class AsyncCalls:
    """Calls over *exchange* that send no mail."""

    def __init__(self, endpoint: Endpoint, exchange: AsyncExchange) -> None:
        self._endpoint = endpoint
        self._exchange = exchange

    async def _run(self, request: Request) -> ApiResponse:
        return await self._exchange.run(request, NO_MAIL)

    async def _call(
        self, operation: Operation, optional: Mapping[str, Any] | None = None, /, **required: Any
    ) -> ApiResponse:
        """Make the call *operation*; the arguments are those of `encode.request`."""
        return await self._run(encode.request(self._endpoint, operation, optional, **required))


class AsyncAccountCalls(AsyncCalls):
    """Look at the account: ``client.account``. Repeated on any temporary error."""

    async def view_user_detail(self) -> AccountDetail:
        """Return the owner of the account and how much it may send (``account/viewUserDetail``)."""
        response = await self._run(encode.user_detail(self._endpoint))
        return decode.one(AccountDetail, response, "user_data", "user_details")


class AsyncSettingsCalls(AsyncCalls):
    """
    Look at SMTP users, domains and webhooks, and change them: ``client.settings``.

    A call raises `UsageError` before anything is sent, `ApiError` if the service reports an error,
    and `TransportError` if it was not reached. A call that changes something raises
    `ChangeUnknownError` if it may have taken effect.

    Calls that only read are repeated on any temporary error. So are edits, since the second finds
    done what the first did. The others are repeated only if the service cannot have acted on them.
    """

    async def add_smtp(self, *, total_limit: int, hourly_limit: int) -> SmtpUser:
        """
        Add an SMTP user that may send *total_limit* mails in all and *hourly_limit* an hour.

        The service draws its name and its password.
        """
        return decode.one(
            SmtpUser,
            await self._call(
                operations.ADD_SMTP, total_limit=total_limit, hourly_limit=hourly_limit
            ),
        )

    async def edit_smtp(
        self,
        smtp_user_name: str,
        *,
        total_limit: int | None = None,
        hourly_limit: int | None = None,
        enabled: bool | None = None,
    ) -> CallResult:
        """
        Change an SMTP user's limits, in mails, or whether it may send; None changes nothing.
        """
        request = encode.edit_smtp(
            self._endpoint,
            smtp_user_name,
            {"total_limit": total_limit, "hourly_limit": hourly_limit, "enabled": enabled},
        )
        return call_result(await self._run(request))

    async def reset_smtp_password(self, smtp_user_name: str) -> SmtpUser:
        """Let the service draw a new password for an SMTP user, and return it."""
        return decode.one(
            SmtpUser,
            await self._call(operations.RESET_SMTP_PASSWORD, smtp_user_name=smtp_user_name),
        )

    async def list_smtp(self) -> Listing[SmtpUser]:
        """Return every SMTP user."""
        return decode.listing(SmtpUser, await self._call(operations.LIST_SMTP), "smtp_list")

    async def add_sending_domain(self, domain: str) -> CallResult:
        """Add a domain to send from."""
        return call_result(await self._call(operations.ADD_SENDING_DOMAIN, domain=domain))

    async def delete_sending_domain(self, domain: str) -> CallResult:
        """Remove a domain to send from."""
        return call_result(await self._call(operations.DELETE_SENDING_DOMAIN, domain=domain))

    async def check_sending_domain(self, domain: str) -> SendingDomain:
        """Let the service look at a sending domain's DNS records."""
        return decode.one(
            SendingDomain, await self._call(operations.CHECK_SENDING_DOMAIN, domain=domain)
        )

    async def verify_sending_domain(self, domain: str, mailbox: str) -> CallResult:
        """
        Let the service send instructions to *mailbox* (the part before the @) at *domain*, to prove
        that you own it.
        """
        request = encode.verify_sending_domain(self._endpoint, domain, mailbox)
        return call_result(await self._run(request))

    async def list_sending_domain(self) -> Listing[SendingDomain]:
        """Return every domain to send from."""
        return decode.listing(
            SendingDomain, await self._call(operations.LIST_SENDING_DOMAIN), "sending_domain_list"
        )

    async def add_tracking_domain(self, domain: str) -> CallResult:
        """Add a domain that tracked links lead through."""
        return call_result(await self._call(operations.ADD_TRACKING_DOMAIN, domain=domain))

    async def delete_tracking_domain(self, domain: str) -> CallResult:
        """Remove a domain that tracked links lead through."""
        return call_result(await self._call(operations.DELETE_TRACKING_DOMAIN, domain=domain))

    async def check_tracking_domain(self, domain: str) -> TrackingDomain:
        """Let the service look at a tracking domain's DNS record."""
        return decode.one(
            TrackingDomain, await self._call(operations.CHECK_TRACKING_DOMAIN, domain=domain)
        )

    async def list_tracking_domain(self) -> Listing[TrackingDomain]:
        """Return every domain that tracked links lead through."""
        return decode.listing(
            TrackingDomain,
            await self._call(operations.LIST_TRACKING_DOMAIN),
            "tracking_domain_list",
        )

    async def add_webhook(
        self,
        url: str,
        *,
        events: Iterable[EventName] | EventName | None = None,
        description: str | None = None,
        store_log: bool | None = None,
    ) -> CallResult:
        """
        Let the service post *events* to *url*; None leaves an option to the service.

        While this call runs, the service requests the URL, which must respond with ``God bless you,
        PowerEmail``. The id and the key of the new webhook are in `list_webhook`.
        """
        return call_result(
            await self._call(
                operations.ADD_WEBHOOK,
                {"events": events, "description": description, "store_log": store_log},
                url=url,
            )
        )

    async def edit_webhook(
        self,
        webhook_id: str,
        url: str,
        *,
        events: Iterable[EventName] | EventName | None = None,
        description: str | None = None,
        store_log: bool | None = None,
    ) -> CallResult:
        """
        Change a webhook. Its *url* is required, and the service requests it as in `add_webhook`.
        """
        return call_result(
            await self._call(
                operations.EDIT_WEBHOOK,
                {"events": events, "description": description, "store_log": store_log},
                webhook_id=webhook_id,
                url=url,
            )
        )

    async def delete_webhook(self, webhook_id: str) -> CallResult:
        """Remove a webhook."""
        return call_result(await self._call(operations.DELETE_WEBHOOK, webhook_id=webhook_id))

    async def key_reset_webhook(self, webhook_id: str) -> Webhook:
        """
        Let the service draw a new key for a webhook, and return it; it signs with it at once.
        """
        return decode.one(
            Webhook, await self._call(operations.KEY_RESET_WEBHOOK, webhook_id=webhook_id)
        )

    async def list_webhook(self) -> Listing[Webhook]:
        """Return every webhook."""
        return decode.listing(Webhook, await self._call(operations.LIST_WEBHOOK), "webhook_list")

    async def get_webhook_info(self, webhook_id: str) -> Webhook:
        """Return one webhook with its counts and its last success."""
        response = await self._call(operations.GET_WEBHOOK_INFO, webhook_id=webhook_id)
        return decode.one(Webhook, response, "webhook_data")
