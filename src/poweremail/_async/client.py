"""The client."""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Literal, Self

from poweremail._async.account import AsyncAccountCalls
from poweremail._async.exchange import AsyncExchange
from poweremail._async.limiter import AsyncLimiter
from poweremail._async.messages import AsyncMessages
from poweremail._async.send import AsyncDelivery
from poweremail._async.settings import AsyncSettingsCalls
from poweremail._async.transports import AsyncTransport, TransportName, open_transport
from poweremail._policy.limits import RateLimits
from poweremail._policy.outcome import NO_MAIL, Mail
from poweremail._policy.retry import RetryPolicy
from poweremail._policy.settings import DEFAULT, Default, Settings, complete, from_env
from poweremail._policy.unknown import OnUnknown, UnknownPolicy
from poweremail._types.deployment import Deployment
from poweremail._types.result import CallResult
from poweremail._types.secret import Secret
from poweremail._types.timeouts import Timeouts
from poweremail._wire import decode, encode
from poweremail.errors import UsageError

__all__ = ["AsyncPowerEmail"]

_TIMEOUTS = Timeouts()
_RETRY = RetryPolicy()
_DEPLOYMENT = Deployment()


class AsyncPowerEmail:
    """
    A client of PowerEmail's transactional e-mail API.

    *owner_id*, *token*
        Who is calling. The token does not show in any repr, log or error.
    *app_domain*
        Where the service is: requests go to ``https://api.{app_domain}/v1.0/``.
    *smtp_user_name*
        The SMTP user that sends; each send can name another.
    *base_url*
        In place of *app_domain*, for another scheme, port or host, such as
        ``http://127.0.0.1:8025`` for a local sandbox. Without a path it gets ``/v1.0/``. Plain http
        to anything but this machine warns: the token is in every request.
    *transport*
        ``"httpx"`` (default), another engine by its name (``"httpx2"``, ``"aiohttp"`` and so on,
        each an extra of that name), or a transport object of `poweremail.transports` or your own.
        The client closes it with itself.
    *timeouts*, *retry*
        See `Timeouts` and `RetryPolicy`.
    *limits*
        `RateLimits` that sends wait for; none by default.
    *on_unknown*, *visibility*, *resend_after*
        What to do where a mail may or may not have been accepted. ``"raise"`` (default) raises
        `DeliveryUnknownError`. ``"reconcile"`` first looks it up by its unique id for up to
        *visibility* seconds (30; the service's index may lag); with *resend_after* it looks for so
        many seconds, and where not one of the recipients has shown up by then, sends it again under
        the same id. ``"resend"`` sends it again at once, as *retry* says, and can deliver it twice.
    *brand*
        The name under which the service runs; others of its kind differ in this string only.
    *deployment*
        The paths of the calls that are not the same everywhere: see `Deployment`.
    *max_request_bytes*
        The largest request that is sent, in bytes on the wire, where base64 makes 4 of 3; no limit
        by default, because the service publishes none. A larger mail raises `UsageError` before its
        last byte leaves.
    *max_response_bytes*
        The largest answer that is read, in bytes: 16 MiB.

    Use it as a context manager, or call `aclose`. Raises `UsageError` for an option that cannot be
    meant.
    """

    def __init__(
        self,
        owner_id: str,
        token: str | Secret,
        app_domain: str | None = None,
        *,
        smtp_user_name: str | None = None,
        base_url: str | None = None,
        transport: AsyncTransport | TransportName = "httpx",
        timeouts: Timeouts = _TIMEOUTS,
        retry: RetryPolicy = _RETRY,
        limits: RateLimits | None = None,
        on_unknown: OnUnknown = "raise",
        visibility: float = 30.0,
        resend_after: float | None = None,
        brand: str = "PowerEmail",
        deployment: Deployment = _DEPLOYMENT,
        max_response_bytes: int = 16 * 1024 * 1024,
        max_request_bytes: int | None = None,
    ) -> None:
        # The plain token must not be in a frame that may fail.
        token = Secret.of(token)
        settings = Settings.checked(
            owner_id,
            token,
            app_domain,
            smtp_user_name=smtp_user_name,
            base_url=base_url,
            timeouts=timeouts,
            retry=retry,
            unknown=UnknownPolicy(on_unknown, visibility, resend_after),
            brand=brand,
            deployment=deployment,
            max_response_bytes=max_response_bytes,
            max_request_bytes=max_request_bytes,
        )
        if not isinstance(limits, RateLimits | None):
            raise UsageError(
                f"must be a RateLimits, not {type(limits).__name__}",
                field="limits",
                mail_state=None,
            )
        self._join(
            settings, open_transport(transport), None if limits is None else AsyncLimiter(limits)
        )

    def _join(
        self,
        settings: Settings,
        transport: AsyncTransport,
        limiter: AsyncLimiter | None,
        *,
        owns_transport: bool = True,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._limiter = limiter
        self._owns_transport = owns_transport
        self._exchange = AsyncExchange(
            transport, settings.retry, limiter, resend=settings.unknown.on_unknown == "resend"
        )
        self.messages = AsyncMessages(settings, self._exchange)
        self._delivery = AsyncDelivery(settings, self._exchange, self.messages.iter_message_info)
        self.settings = AsyncSettingsCalls(settings.endpoint, self._exchange)
        self.account = AsyncAccountCalls(settings.endpoint, self._exchange)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> AsyncPowerEmail:
        """
        Make a client from the environment: ``POWEREMAIL_OWNER_ID``, ``POWEREMAIL_TOKEN``,
        ``POWEREMAIL_APP_DOMAIN``, ``POWEREMAIL_SMTP_USER_NAME``, ``POWEREMAIL_BASE_URL``.

        *options* are those of the class, and go before the environment. Raises `UsageError` naming
        each variable that is missing.
        """
        given = from_env(os.environ if environ is None else environ, options)
        # The plain token must not be in a frame that may fail.
        del environ, options
        return cls(**complete(given))

    def with_options(
        self,
        *,
        smtp_user_name: str | Literal[Default.DEFAULT] | None = DEFAULT,
        timeouts: Timeouts | Literal[Default.DEFAULT] = DEFAULT,
        retry: RetryPolicy | Literal[Default.DEFAULT] = DEFAULT,
        on_unknown: OnUnknown | Literal[Default.DEFAULT] = DEFAULT,
        visibility: float | Literal[Default.DEFAULT] = DEFAULT,
        resend_after: float | Literal[Default.DEFAULT] | None = DEFAULT,
    ) -> AsyncPowerEmail:
        """
        Return a client with other options over the same transport and under the same limits.

        The transport stays with this client when the new one is closed.
        """
        client = object.__new__(type(self))
        settings = self._settings.changed(
            smtp_user_name=smtp_user_name,
            timeouts=timeouts,
            retry=retry,
            on_unknown=on_unknown,
            visibility=visibility,
            resend_after=resend_after,
        )
        client._join(settings, self._transport, self._limiter, owns_transport=False)
        return client

    @property
    def smtp_user_name(self) -> str | None:
        """The SMTP user that sends where a call names no other."""
        return self._settings.smtp_user_name

    async def call(self, path: str, body: Mapping[str, Any] | None = None) -> CallResult:
        """
        Make a call that this library does not model: POST *body* and the credentials to *path*,
        such as ``suppression/list``.

        It is repeated only where the service cannot have acted on it, unless it is known to read.
        Raises what the modelled calls raise. Passwords and keys in the answer are `Secret` in
        ``data``. A send goes by the same options as the modelled ones, but no unique id is drawn
        for it: the mail has the one in its headers, or none.
        """
        body = body or {}
        request = encode.call(self._settings.endpoint, path, body)
        if request.operation.sends:
            return decode.call_result_of_send(await self._delivery.deliver(request, Mail.of(body)))
        response = await self._exchange.run(request, NO_MAIL)
        return decode.call_result(response)

    async def expected_wait(self, *, smtp_user_name: str | None = None) -> float:
        """
        Return in how many seconds a mail that was sent now could go, as far as *limits* are
        concerned; 0.0 says at once.
        """
        name = self._settings.smtp_user(smtp_user_name)
        return 0.0 if self._limiter is None else await self._limiter.expected_wait(name)

    async def aclose(self) -> None:
        """Close the client and its connections; closing again does nothing."""
        self._exchange.close()
        if self._owns_transport:
            await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        if not hasattr(self, "_settings"):  # a traceback may show a client that could not be made
            return f"<{type(self).__name__}>"
        endpoint = self._settings.endpoint
        return (
            f"<{type(self).__name__} owner_id={endpoint.credentials.owner_id!r} "
            f"base_url={endpoint.base_url!r}>"
        )
