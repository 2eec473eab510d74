# Generated from src/poweremail/_async/client.py; do not edit.
"""The client: its options, and the rooms of calls that it opens."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

from poweremail._policy.limits import RateLimits
from poweremail._policy.outcome import NO_MAIL, Mail, OnUnknown, not_sent
from poweremail._policy.retry import RetryPolicy
from poweremail._policy.settings import (
    DEFAULT,
    REHEARSAL_VARIABLES,
    Default,
    OnAttempt,
    OnOutcome,
    Settings,
)
from poweremail._policy.variables import complete, from_env
from poweremail._runtime._observed import Hooks
from poweremail._sync.exchange import Exchange
from poweremail._sync.limiter import Limiter
from poweremail._sync.messages import Messages
from poweremail._sync.send import Sender
from poweremail._sync.settings import AccountCalls, SettingsCalls
from poweremail._sync.transports import Transport, TransportName, open_transport
from poweremail._types.options import Deployment, Timeouts
from poweremail._types.result import CallResult, dry_run_result
from poweremail._types.secret import Secret
from poweremail._types.suppression import Suppression, SuppressionStore
from poweremail._wire import decode, encode
from poweremail.errors import TransportError

if TYPE_CHECKING:
    from poweremail._sync.suppression_check import SuppressionCheck

_TIMEOUTS = Timeouts()
_RETRY = RetryPolicy()
_DEPLOYMENT = Deployment()


class PowerEmail:
    """
    A client of PowerEmail's transactional e-mail API.

    *owner_id*, *token*
        The credentials. The token is in no repr, log or error.
    *app_domain*
        The domain of the service: requests go to ``https://api.{app_domain}/v1.0/``.
    *smtp_user_name*
        The SMTP user that sends; each send can name another.
    *base_url*
        Replaces *app_domain* if the scheme, port or host differ, such as
        ``http://127.0.0.1:8025`` for a local sandbox. Without a path, ``/v1.0/`` is added. Plain
        http to another machine warns, because the token is in every request.
    *transport*
        ``"httpx"`` (default), another engine by its name (``"httpx2"``, ``"aiohttp"`` and so on,
        each an extra of that name), or a transport object of `poweremail.transports` or your own.
        The client closes it when it is closed itself.
    *timeouts*, *retry*
        See `Timeouts` and `RetryPolicy`.
    *limits*
        `RateLimits` that sends wait for; none by default.
    *on_unknown*, *visibility*, *resend_after*
        What to do if a mail may or may not have been accepted. ``"raise"`` (default) raises
        `DeliveryUnknownError`. ``"reconcile"`` looks the mail up by its unique id for up to
        *visibility* seconds (30; the service's index may lag). With *resend_after* it looks for
        that many seconds, and if none of the recipients is listed by then, sends the mail again
        under the same id. ``"resend"`` sends it again at once, as *retry* says, and can deliver it
        twice.
    *brand*
        The name under which the service is run; services of the same family differ in it only.
    *deployment*
        The paths of the calls that differ between services: see `Deployment`.
    *redirect_to*, *allow*
        Make the client a rehearsal: all mails go to one address, or only to recipients that match a
        pattern such as ``*@example.com``; with both, a mail with any other recipient is redirected.
        ``X-PowerEmail-Redirected-For`` names the recipients that it had.
    *dry_run*
        Check each mail and send none: the `SendResult` has ``dry_run=True``. Everything but sends
        goes on as usual.
        The variables ``POWEREMAIL_REDIRECT_TO``, ``POWEREMAIL_ALLOW`` (with commas between the
        patterns) and ``POWEREMAIL_DRY_RUN`` (``1``) do the same to every client of a process. What
        several of client, batch and environment set applies one after the other: none can loosen
        another.
    *suppression*
        The store of the addresses that must not get mail; none by default. Every call that sends a
        mail asks it first. Recipients on its list are left out and named in the result; if none is
        left, `SuppressedError` is raised. If it cannot be read, nothing is sent:
        `SuppressionStoreError`. See `SuppressionStore`.
    *on_outcome*
        Called with an `OutcomeEvent` when a mail was accepted, rejected, not sent, or its outcome
        stays unknown: once for each call that sends and gets as far as its first request.
    *on_attempt*
        Called with an `AttemptEvent` after each request of any call.

        Both are plain functions, called in the task or thread of the call, which waits for them.
        What they raise is logged and changes nothing.
    *text_from_html*
        Give each `Message` that has an HTML and no text one: `Message.with_text_from_html`.
    *ascii_domains*
        Write international domains as DNS has them: `Message.with_ascii_domains`.

        Neither changes a raw message, nor the body of `call`.
    *max_request_bytes*
        The largest request that is sent, in bytes on the wire, where base64 makes 4 of 3; no limit
        by default, because the service publishes none. A larger mail raises `UsageError` before its
        last byte leaves.
    *max_response_bytes*
        The largest response that is read, in bytes: 16 MiB.

    Use it as a context manager, or call `close`. Raises `ConfigurationError` if an option is
    invalid.
    """

    def __init__(
        self,
        owner_id: str,
        token: str | Secret,
        app_domain: str | None = None,
        *,
        smtp_user_name: str | None = None,
        base_url: str | None = None,
        transport: Transport | TransportName = "httpx",
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
        on_outcome: OnOutcome | None = None,
        on_attempt: OnAttempt | None = None,
        suppression: SuppressionStore | None = None,
        redirect_to: str | None = None,
        allow: Iterable[str] | None = None,
        dry_run: bool = False,
        text_from_html: bool = False,
        ascii_domains: bool = False,
    ) -> None:
        # The plain token must be in no frame of a traceback.
        token = Secret.of(token)
        settings = Settings.of(
            owner_id,
            token,
            app_domain,
            base_url,
            smtp_user_name=smtp_user_name,
            timeouts=timeouts,
            retry=retry,
            limits=limits,
            on_unknown=on_unknown,
            visibility=visibility,
            resend_after=resend_after,
            brand=brand,
            deployment=deployment,
            max_response_bytes=max_response_bytes,
            max_request_bytes=max_request_bytes,
            on_outcome=on_outcome,
            on_attempt=on_attempt,
            text_from_html=text_from_html,
            ascii_domains=ascii_domains,
            suppression=suppression,
        )
        settings = settings.rehearsing(redirect_to, allow, dry_run=dry_run).tightened(os.environ)
        self._assemble(
            settings, open_transport(transport), None if limits is None else Limiter(limits)
        )

    def _assemble(
        self,
        settings: Settings,
        transport: Transport,
        limiter: Limiter | None,
        *,
        owns_transport: bool = True,
    ) -> None:
        self._settings = settings
        self._transport = transport
        self._limiter = limiter
        self._owns_transport = owns_transport
        self._exchange = Exchange(
            transport,
            settings.retry,
            limiter,
            resend=settings.unknown.on_unknown == "resend",
            hooks=Hooks(settings.on_outcome, settings.on_attempt),
        )
        self._sender = Sender(settings, self._exchange)
        check: SuppressionCheck | None = None
        if settings.suppression is not None:
            # Clients without a store do not load it.
            from poweremail._sync.suppression_check import (  # noqa: PLC0415
                SuppressionCheck,
            )

            check = SuppressionCheck(settings.suppression, settings.timeouts.suppression)
        self._suppression_check = check
        self.messages: Messages = Messages(settings, self._exchange, self._sender, check)
        self.settings: SettingsCalls = SettingsCalls(settings.endpoint, self._exchange)
        self.account: AccountCalls = AccountCalls(settings.endpoint, self._exchange)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **options: Any) -> PowerEmail:
        """
        Make a client from the environment: ``POWEREMAIL_OWNER_ID``, ``POWEREMAIL_TOKEN``,
        ``POWEREMAIL_APP_DOMAIN``, ``POWEREMAIL_SMTP_USER_NAME``, ``POWEREMAIL_BASE_URL``.

        *options* are those of the class and take precedence. Raises `ConfigurationError` that names
        each variable that is missing.
        """
        variables = os.environ if environ is None else environ
        given = from_env(variables, options)
        rehearsal = {name: variables.get(name, "") for name in REHEARSAL_VARIABLES}
        # The plain token must be in no frame of a traceback.
        del environ, variables, options
        client = cls(**complete(given))
        client._assemble(client._settings.tightened(rehearsal), client._transport, client._limiter)
        return client

    def with_options(
        self,
        *,
        smtp_user_name: str | Literal[Default.DEFAULT] | None = DEFAULT,
        timeouts: Timeouts | Literal[Default.DEFAULT] = DEFAULT,
        retry: RetryPolicy | Literal[Default.DEFAULT] = DEFAULT,
        on_unknown: OnUnknown | Literal[Default.DEFAULT] = DEFAULT,
        visibility: float | Literal[Default.DEFAULT] = DEFAULT,
        resend_after: float | Literal[Default.DEFAULT] | None = DEFAULT,
        on_outcome: OnOutcome | Literal[Default.DEFAULT] | None = DEFAULT,
        on_attempt: OnAttempt | Literal[Default.DEFAULT] | None = DEFAULT,
        text_from_html: bool | Literal[Default.DEFAULT] = DEFAULT,
        ascii_domains: bool | Literal[Default.DEFAULT] = DEFAULT,
        suppression: SuppressionStore | Literal[Default.DEFAULT] | None = DEFAULT,
        redirect_to: str | None = None,
        allow: Iterable[str] | None = None,
        dry_run: bool = False,
    ) -> PowerEmail:
        """
        Return a client with other options that shares the transport and the limits of this one.

        *redirect_to*, *allow* and *dry_run* apply in addition to those of this client. Closing the
        new client does not close the transport.
        """
        client = object.__new__(type(self))
        settings = self._settings.changed(
            smtp_user_name=smtp_user_name,
            timeouts=timeouts,
            retry=retry,
            on_unknown=on_unknown,
            visibility=visibility,
            resend_after=resend_after,
            on_outcome=on_outcome,
            on_attempt=on_attempt,
            text_from_html=text_from_html,
            ascii_domains=ascii_domains,
            suppression=suppression,
        ).rehearsing(redirect_to, allow, dry_run=dry_run)
        client._assemble(settings, self._transport, self._limiter, owns_transport=False)
        return client

    @property
    def dry_run(self) -> bool:
        """True if the client sends nothing."""
        return self._settings.dry_run

    @property
    def smtp_user_name(self) -> str | None:
        """The SMTP user that sends if a call names no other."""
        return self._settings.smtp_user_name

    def call(self, path: str, body: Mapping[str, Any] | None = None) -> CallResult:
        """
        Make a call that this library does not model: POST *body* and the credentials to *path*,
        such as ``suppression/list``.

        It is repeated only if the service cannot have acted on it, unless the path is known to
        read. It raises what the modelled calls raise. Passwords and keys in the response are
        `Secret` in ``data``. A send follows the same options as the modelled ones, but gets no
        unique id: the mail has the one in its headers, or none.
        """
        body = body or {}
        request = encode.call(self._settings.endpoint, path, body)
        operation = request.operation
        suppressed: tuple[Suppression, ...] = ()
        check = self._suppression_check
        if check is not None:
            with self._sender.checking(request, Mail.of(body)):
                body, suppressed = check.without_suppressed_in_body(operation, body)
        if self._settings.rehearses:
            given, body = body, self._settings.rehearse_body(operation, body)
            if check is not None and body is not given:
                # The list holds for the one who gets it now as well.
                with self._sender.checking(request, Mail.of(body)):
                    check.without_suppressed_in_body(operation, body)
        if suppressed or self._settings.rehearses:
            request = encode.call(self._settings.endpoint, path, body)
        if not operation.sends:
            return decode.call_result(self._exchange.run(request, NO_MAIL))
        mail = Mail.of(body)
        if self._settings.dry_run:
            result = dry_run_result(mail.unique_id, mail.recipients)
        else:
            result = self._sender.send(request, mail)
        return decode.call_result_of_send(result, suppressed)

    def expected_wait(self, *, smtp_user_name: str | None = None) -> float:
        """
        Return the seconds that a mail would wait for *limits* if it was sent now.
        """
        name = self._settings.smtp_user(smtp_user_name)
        return 0.0 if self._limiter is None else self._limiter.expected_wait(name)

    def prepare(self) -> None:
        """
        Make what connections need, and no connection: it saves the first call up to 0.2 s.

        Raises `NotSentError` if a setting of the environment, such as ``HTTPS_PROXY`` or
        ``SSL_CERT_FILE``, makes every call fail. A transport of your own may have a method of this
        name, which gets the base URL.
        """
        prepare = getattr(self._transport, "prepare", None)
        if prepare is None:
            return
        try:
            prepare(self._settings.endpoint.base_url)
        except TransportError as error:
            raise not_sent(error) from None

    def close(self) -> None:
        """Close the client and its connections; closing again does nothing."""
        self._exchange.close()
        if self._owns_transport:
            self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        if not hasattr(self, "_settings"):  # in the traceback of an invalid option
            return f"<{type(self).__name__}>"
        endpoint = self._settings.endpoint
        return (
            f"<{type(self).__name__} owner_id={endpoint.credentials.owner_id!r} "
            f"base_url={endpoint.base_url!r}>"
        )
