"""The sandbox as users have it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from poweremail._types.event import EVENT_NAMES, EventName
from poweremail._types.secret import Secret
from poweremail._wire import arguments
from poweremail.errors import UsageError
from poweremail.sandbox._api.account import VerifyWebhook
from poweremail.sandbox._api.template import Template
from poweremail.sandbox._client.clients import Clients
from poweremail.sandbox._faults.rules import Faults
from poweremail.sandbox._outbox import Outbox
from poweremail.sandbox._release.smtp import Released, SmtpServer
from poweremail.sandbox._service import DEFAULT_SCHEME, Service
from poweremail.sandbox._store.accounts import Domain, DomainKind, RegisteredWebhook
from poweremail.sandbox._store.clock import Clock
from poweremail.sandbox._store.database import Store
from poweremail.sandbox._store.events import MailEvent
from poweremail.sandbox._store.limits import UNLIMITED, SmtpLimits, SmtpUser
from poweremail.sandbox._store.mail import CaughtMail
from poweremail.sandbox._webhooks.deliveries import Delivery
from poweremail.sandbox._webhooks.posting import AwaitedReceiver, Poster, RespondingReceiver
from poweremail.sandbox._webhooks.script import EventRule, EventScript
from poweremail.webhooks._signature import BRAND, SchemeName, SignatureScheme, brand_of, scheme_of

if TYPE_CHECKING:
    from poweremail import AsyncPowerEmail, PowerEmail
    from poweremail.sandbox._server.serving import SandboxServer

__all__ = ["Sandbox"]


class Sandbox:
    """
    A PowerEmail of one's own.

    *path*
        The file that keeps what was caught; without it, all is in memory and gone with the sandbox.
    *owner_id*, *token*
        The credentials to accept; any that are not empty where left out.
    *seed*
        Makes faults that strike by chance, and what the script does, the same in every run.
    *clock*
        Returns the time in seconds since the epoch; `time.time` unless given. `Sandbox.clock` goes
        by it.
    *limits*
        How much an SMTP user may send that has no limits of its own; without it, as much as it
        likes. ``SmtpLimits()`` has the numbers of the service.
    *verify_webhook*
        Called with a URL that is to become a webhook; returns whether it answers the service's
        handshake. Without it, each is believed; but the server of the sandbox really asks.
    *script*
        What becomes of mails by itself, such as ``["hard_bounce 2%", "open 30% within 5s"]``: see
        `EventScript`.
    *webhook_scheme*
        How what is posted to webhooks is signed: one of `poweremail.webhooks.SCHEMES`.
    *brand*
        The name of the service, in the header and the form field of what is posted to webhooks, and
        in the answer that a URL must give to become one.
    *smtp_server*
        Where caught mails may be handed on to, and for whom: see `release`. None, and nothing is.

    Use it as a context manager, or `close` it, or leave it to the garbage collector. Safe to use
    from several threads. Raises `UsageError` where *path* is not a file of a sandbox. A file of an
    older version is brought up to date; that version cannot open it any more.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        owner_id: str | None = None,
        token: str | Secret | None = None,
        seed: int | str | None = None,
        clock: Callable[[], float] | None = None,
        limits: SmtpLimits | None = None,
        verify_webhook: VerifyWebhook | None = None,
        script: Iterable[EventRule | str] = (),
        webhook_scheme: SchemeName | SignatureScheme = DEFAULT_SCHEME,
        brand: str = BRAND,
        smtp_server: SmtpServer | None = None,
    ) -> None:
        # The plain token must not be in a frame that may fail.
        token = Secret.of(token) if token else None
        if not isinstance(limits, SmtpLimits | None):
            raise UsageError(f"must be SmtpLimits, not {limits!r}", field="limits", mail_state=None)
        owner_id = owner_id or None
        told = EventScript(script, seed=seed)
        scheme, brand = scheme_of(webhook_scheme), brand_of(brand)
        store = Store(path)
        self.service = Service(
            store,
            clock=Clock(clock or time.time, store),
            faults=Faults(seed),
            owner_id=owner_id,
            token=token,
            limits=limits or UNLIMITED,
            verify_webhook=verify_webhook,
            script=told,
            webhook_scheme=scheme,
            brand=brand,
            smtp_server=smtp_server,
        )
        self._clients = Clients(self.service, owner_id, token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file, or forget what is in memory. A second time does nothing."""
        self.service.courier.close()
        self.service.store.close()

    @property
    def outbox(self) -> Outbox:
        """The caught mails, oldest first."""
        return Outbox(self.service.mails.mails)

    @property
    def clock(self) -> Clock:
        """The time in the sandbox: ``clock.advance(61)`` lets a minute and a second pass."""
        return self.service.clock

    @property
    def smtp_users(self) -> list[SmtpUser]:
        """
        The SMTP users by name, and what they have used: those that were added; where none was, also
        those that have sent.
        """
        return self.service.smtp_users()

    @property
    def faults(self) -> Faults:
        """What goes wrong: see `Faults.add`."""
        return self.service.faults

    def add_template(
        self,
        template_id: str,
        *,
        subject: str | None = None,
        html: str | None = None,
        text: str | None = None,
    ) -> None:
        """
        Add or replace a template.

        ``{{NAME}}`` in its parts is replaced by the mail's dynamic value of that name, as it is
        (without escaping), or by nothing.
        """
        self.service.store.put_template(Template(template_id, subject, html, text))

    def add_smtp_user(
        self,
        name: str,
        *,
        enabled: bool = True,
        per_minute: int | None = None,
        per_hour: int | None = None,
        per_day: int | None = None,
        hourly_limit: int | None = None,
        total_limit: int | None = None,
    ) -> None:
        """
        Add or replace an SMTP user. Until the first is added, any may send; then only those that
        were added, be it by the API, and are *enabled*. What the API adds leaves it as it is who
        else may send.

        The limits are those of `SmtpLimits`; None is that of the sandbox, if it has one. What a
        user has used stays used when it is replaced. Raises `UsageError` for a limit that cannot be
        meant.
        """
        limits = SmtpLimits(
            per_minute=per_minute,
            per_hour=per_hour,
            per_day=per_day,
            hourly_limit=hourly_limit,
            total_limit=total_limit,
        )
        self.service.store.put_smtp_user(name, enabled=enabled, limits=limits)

    def add_sending_domain(self, domain: str, *, valid: bool = True) -> None:
        """
        Add a domain to send from, or say of one that is there whether every check of it comes out
        well.
        """
        self._put_domain("sending", domain, valid=valid)

    def add_tracking_domain(self, domain: str, *, valid: bool = True) -> None:
        """
        Add a domain that tracked links lead through, or say of one that is there whether its check
        comes out well.
        """
        self._put_domain("tracking", domain, valid=valid)

    def _put_domain(self, kind: DomainKind, domain: str, *, valid: bool) -> None:
        domain = arguments.domain("domain", domain).lower()
        self.service.registry.put_domain(kind, domain, now=self.clock.milliseconds(), valid=valid)

    def add_webhook(
        self,
        url: str,
        *,
        events: Iterable[EventName] | EventName = EVENT_NAMES,
        store_log: bool = False,
        description: str = "",
    ) -> RegisteredWebhook:
        """
        Add a webhook, without asking its URL; its id and its key are drawn. Raises `UsageError` for
        what cannot be meant.
        """
        url, names = arguments.url("url", url), tuple(arguments.events("events", events).split(","))
        now = self.clock.milliseconds()
        return self.service.registry.add_webhook(
            url, names, now=now, store_log=store_log, description=description
        )

    @property
    def sending_domains(self) -> list[Domain]:
        """The domains to send from, oldest first."""
        return self.service.registry.domains("sending")

    @property
    def tracking_domains(self) -> list[Domain]:
        """The domains that tracked links lead through, oldest first."""
        return self.service.registry.domains("tracking")

    @property
    def webhooks(self) -> list[RegisteredWebhook]:
        """The webhooks, oldest first."""
        return self.service.registry.webhooks()

    @property
    def script(self) -> EventScript:
        """What becomes of mails by itself: ``script.add("open 30% within 5s")``."""
        return self.service.script

    def record(
        self,
        mail: CaughtMail | int,
        kind: str,
        *,
        recipient: str | None = None,
        ip: str = "127.0.0.1",
        user_agent: str = "",
        url: str | None = None,
    ) -> list[MailEvent]:
        """
        Let *mail* (or the mail of that number) be opened, clicked, bounced or complained about at
        this moment.

        *kind* is ``open``, ``click``, ``soft_bounce``, ``hard_bounce`` or ``spam``; *recipient* the
        address it happens at, None all of the mail's. getMessageInfo shows it; the webhooks are
        told by `deliver`, or by the server. Raises `UsageError` for another kind, LookupError where
        there is no such mail or recipient.
        """
        return self.service.record_event(
            _number(mail), kind, recipient=recipient, ip=ip, user_agent=user_agent, url=url
        )

    @property
    def deliveries(self) -> list[Delivery]:
        """What was and is to be posted to webhooks, oldest first, with what came of it."""
        self.service.happenings.settle()
        return self.service.deliveries.all()

    def deliver(self, to: RespondingReceiver | Poster | None = None) -> list[Delivery]:
        """
        Post what is due to the webhooks, and return what was posted, as it is after that. A server
        of the sandbox does so itself.

        *to* is a `poweremail.webhooks.WebhookReceiver` (or a `Poster`) that gets all of it without
        a socket, whatever the URLs. What failed is due again after the seconds of `RETRY_AFTER`, by
        the sandbox's clock; what a receiver in this process raises is raised.
        """
        return self.service.courier.deliver(to)

    async def adeliver(self, to: AwaitedReceiver) -> list[Delivery]:
        """As `deliver`, to a receiver whose handler is ``async``: on asyncio and on trio."""
        return await self.service.courier.adeliver(to)

    def replay(
        self, delivery: Delivery | int, to: RespondingReceiver | Poster | None = None
    ) -> Delivery:
        """
        Post a delivery (or that of this number) once more, byte for byte with the same signature;
        *to* is that of `deliver`.

        Returns it with what came of that. Raises LookupError where there is none.
        """
        return self.service.courier.replay(
            delivery if isinstance(delivery, int) else delivery.number, to
        )

    def release(
        self,
        mail: CaughtMail | int,
        *,
        to: Iterable[str] | str | None = None,
        server: SmtpServer | None = None,
    ) -> Released:
        """
        Hand a caught *mail* (or the one of that number) on to a real mail *server*, by default the
        one of the sandbox.

        It goes to those of its recipients that the server's allow-list has, or to the addresses
        given as *to*, which must all be on it. Raises `UsageError` where there is no server or
        nobody may get it, `ReleaseError` where the server does not take it, and LookupError where
        there is no such mail.
        """
        return self.service.release(_number(mail), to=to, server=server)

    def clear(self) -> None:
        """
        Forget everything: mails, templates, SMTP users and what they have used, domains, webhooks
        and what was posted to them, faults, the script, and how far the clock was advanced.
        """
        self.service.clear()

    def client(self, **options: Any) -> PowerEmail:
        """
        Make a client of this sandbox, without a socket between. *options* are those of
        `PowerEmail`.
        """
        return self._clients.make(options)

    def async_client(self, **options: Any) -> AsyncPowerEmail:
        """
        Make a client of this sandbox, without a socket between. *options* are those of
        `AsyncPowerEmail`.
        """
        return self._clients.make_async(options)

    def server(
        self, host: str = "127.0.0.1", port: int = 0, *, allowed_hosts: Iterable[str] = ()
    ) -> SandboxServer:
        """
        Make an HTTP server of this sandbox, to be used as a context manager.

        It needs the extra ``poweremail[sandbox]``. *port* 0 takes a free one; see `SandboxServer`
        for its address. A *host* other than loopback lets others read the mail that was caught;
        *allowed_hosts* are the names under which they then find the page.
        """
        from poweremail.sandbox._server.serving import SandboxServer  # noqa: PLC0415 - starlette and uvicorn only for those who serve

        return SandboxServer(self.service, host=host, port=port, allowed_hosts=allowed_hosts)


def _number(mail: CaughtMail | int) -> int:
    return mail if isinstance(mail, int) else mail.number
