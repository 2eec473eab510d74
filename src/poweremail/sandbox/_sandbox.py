"""The sandbox as its users see it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

from poweremail._lazy import extras_needed
from poweremail._types.checks import require
from poweremail._types.event import EVENT_NAMES, EventName
from poweremail._types.secret import Secret
from poweremail._wire import arguments
from poweremail.sandbox._api.requests import Requests
from poweremail.sandbox._api.settings import VerifyWebhook
from poweremail.sandbox._client import make_async_client, make_client
from poweremail.sandbox._faults.rules import Faults
from poweremail.sandbox._outbox import Outbox
from poweremail.sandbox._release.link_check import LinkHosts
from poweremail.sandbox._release.smtp import Released, SmtpServer
from poweremail.sandbox._service import DEFAULT_SCHEME, Service
from poweremail.sandbox._store.accounts import Domain, RegisteredWebhook
from poweremail.sandbox._store.clock import Clock
from poweremail.sandbox._store.database import Store
from poweremail.sandbox._store.events import MailEvent
from poweremail.sandbox._store.limits import UNLIMITED, SmtpLimits, SmtpUser
from poweremail.sandbox._store.mail import CaughtMail, Template
from poweremail.sandbox._webhooks.deliveries import Delivery
from poweremail.sandbox._webhooks.posting import (
    AwaitedReceiver,
    Poster,
    RespondingReceiver,
    check_ca,
)
from poweremail.sandbox._webhooks.script import EventRule, EventScript
from poweremail.webhooks._signature import (
    BRAND,
    SchemeName,
    SignatureScheme,
    check_brand,
    find_scheme,
)

if TYPE_CHECKING:
    from poweremail import AsyncPowerEmail, PowerEmail
    from poweremail.sandbox._server.serving import SandboxServer


class Sandbox:
    """
    A PowerEmail of your own.

    *path*
        The file that keeps the mails; without it all is in memory, and gone with the sandbox.
    *owner_id*, *token*
        The credentials to accept; by default any that are not empty.
    *seed*
        Makes faults by chance and the events of the script the same in every run.
    *clock*
        Returns the time in seconds since the epoch; `time.time` by default. `Sandbox.clock` is
        built on it.
    *limits*
        The limits of SMTP users without limits of their own; by default there are none.
        ``SmtpLimits()`` has the numbers of the service.
    *verify_webhook*
        Called with a URL that is to become a webhook; returns whether it responds to the service's
        handshake. By default every URL is accepted; but the server requests the handshake from it.
    *script*
        Events that mails get by chance, such as ``["hard_bounce 2%", "open 30% within 5s"]``: see
        `EventScript`.
    *webhook_scheme*
        How posts to webhooks are signed: one of `poweremail.webhooks.SCHEMES`.
    *brand*
        The name of the service in the header and the form field of these posts, and in the
        handshake.
    *webhook_ca*
        A file of PEM certificates of authorities that sign your receivers of webhooks. They are
        trusted beside those that the system trusts.
    *smtp_server*
        The mail server that caught mails may be released to: see `release`.
    *link_hosts*
        The hosts that the check of links may send requests to, such as ``["shop.example.com",
        "*.example.com"]``; none by default. A host with an address that is not public needs this
        address or its network, too: ``["localhost"]`` or ``["shop.test", "10.0.0.0/8"]``.
    *max_messages*
        How many mails are kept; the oldest go. By default, all are kept. Up to a hundredth more may
        be kept for a moment.
    *max_age*
        For how many seconds a mail is kept, by the sandbox's clock. Mails are deleted when others
        are caught; a server also deletes them in between.

    Use it as a context manager, or `close` it, or leave it to the garbage collector. Safe to use
    from several threads. Raises `ConfigurationError` if *path* is not a file of a sandbox. A file
    of an older version is brought up to date; that version cannot open it any more.
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
        webhook_ca: str | os.PathLike[str] | None = None,
        smtp_server: SmtpServer | None = None,
        link_hosts: Iterable[str] = (),
        max_messages: int | None = None,
        max_age: float | None = None,
    ) -> None:
        # No frame that may fail shall hold the plain token.
        token = Secret.of(token) if token else None
        require("limits", limits, "SmtpLimits", isinstance(limits, SmtpLimits | None))
        events = EventScript(script, seed=seed)
        scheme, brand = find_scheme(webhook_scheme), check_brand(brand)
        ca = None if webhook_ca is None else check_ca(webhook_ca)
        store = Store(path)
        self.service: Service = Service(
            store,
            clock=Clock(clock or time.time, store),
            faults=Faults(seed),
            requests=Requests(store, Secret(owner_id) if owner_id else None, token),
            limits=limits or UNLIMITED,
            verify_webhook=verify_webhook,
            script=events,
            webhook_scheme=scheme,
            brand=brand,
            smtp_server=smtp_server,
            webhook_ca=ca,
            link_hosts=LinkHosts.from_entries(link_hosts),
            max_messages=max_messages,
            max_age=max_age,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database. A second call does nothing."""
        self.service.store.close()

    @property
    def outbox(self) -> Outbox:
        """The caught mails, oldest first."""
        mails, changes = self.service.mails, self.service.store.changes
        return Outbox(mails.mails, count=mails.count, position=lambda: changes.last)

    @property
    def clock(self) -> Clock:
        """The time in the sandbox: ``clock.advance(61)`` advances it by a minute and a second."""
        return self.service.clock

    @property
    def smtp_users(self) -> list[SmtpUser]:
        """
        The SMTP users by name, with their limits and usage.

        They are those that were added or, if none was, also those that have sent.
        """
        return self.service.smtp_users()

    @property
    def faults(self) -> Faults:
        """The faults that hit requests: see `Faults.add`."""
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

        ``{{NAME}}`` in its parts stands for the mail's dynamic value of that name, without
        escaping; without a value it becomes empty.
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
        Add or replace an SMTP user.

        Until the first is added here, any user may send; then only users that were added, here or
        by the API, and are *enabled*. The limits are those of `SmtpLimits`; None is that of the
        sandbox, if it has one. The usage of a user stays when it is replaced. Raises
        `ConfigurationError` if a limit is invalid.
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
        """Add a domain to send from; if it exists, change whether every check of it succeeds."""
        self.service.put_domain("sending", domain, valid=valid)

    def add_tracking_domain(self, domain: str, *, valid: bool = True) -> None:
        """Add a domain for tracked links; if it exists, change whether its check succeeds."""
        self.service.put_domain("tracking", domain, valid=valid)

    def add_webhook(
        self,
        url: str,
        *,
        events: Iterable[EventName] | EventName = EVENT_NAMES,
        store_log: bool = False,
        description: str = "",
    ) -> RegisteredWebhook:
        """
        Add a webhook with a random id and a random key. There is no handshake with its URL.

        Raises `ConfigurationError` if an option is invalid.
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
        """The domains for tracked links, oldest first."""
        return self.service.registry.domains("tracking")

    @property
    def webhooks(self) -> list[RegisteredWebhook]:
        """The webhooks, oldest first."""
        return self.service.registry.webhooks()

    @property
    def script(self) -> EventScript:
        """The events that mails get by chance: ``script.add("open 30% within 5s")``."""
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
        Record an event of a mail at this moment.

        *mail*
            A caught mail, or its number.
        *kind*
            ``open``, ``click``, ``soft_bounce``, ``hard_bounce`` or ``spam``.
        *recipient*
            The address it happens at; None means all of the mail's.

        getMessageInfo shows it; `deliver`, or the server, reports it to the webhooks. Raises
        `UsageError` for another kind, LookupError if there is no such mail or recipient.
        """
        return self.service.recorder.record(
            _number(mail), kind, recipient=recipient, ip=ip, user_agent=user_agent, url=url
        )

    @property
    def deliveries(self) -> list[Delivery]:
        """The posts to webhooks, made and due, oldest first, with their attempts."""
        self.service.recorder.record_due()
        return self.service.deliveries.all()

    def deliver(self, to: RespondingReceiver | Poster | None = None) -> list[Delivery]:
        """
        Post the deliveries that are due, and return them with their new state.

        *to*
            A `poweremail.webhooks.WebhookReceiver` (or a `Poster`) that gets all of them without a
            socket, for every URL. None posts each to its own URL.

        A server of the sandbox calls this by itself. A failed delivery is due again after the
        seconds of `RETRY_AFTER`, by the sandbox's clock. An exception of a receiver in this process
        is raised here.
        """
        return self.service.deliverer.deliver(to)

    async def adeliver(self, to: AwaitedReceiver) -> list[Delivery]:
        """As `deliver`, to a receiver whose handler is ``async``: on asyncio and on trio."""
        return await self.service.deliverer.adeliver(to)

    def replay(
        self, delivery: Delivery | int, to: RespondingReceiver | Poster | None = None
    ) -> Delivery:
        """
        Post a delivery once more, byte for byte with the same signature, and return its new state.

        *delivery*
            A delivery, or its number.
        *to*
            As for `deliver`.

        Raises LookupError if there is none.
        """
        return self.service.deliverer.replay(_number(delivery), to)

    def release(
        self,
        mail: CaughtMail | int,
        *,
        to: Iterable[str] | str | None = None,
        server: SmtpServer | None = None,
    ) -> Released:
        """
        Send a caught mail to a real mail server.

        *mail*
            A caught mail, or its number.
        *to*
            The addresses to send it to, which must all be on the server's allow-list. None sends it
            to those of its recipients that are on the list.
        *server*
            By default that of the sandbox.

        Raises `ConfigurationError` if there is no server, `UsageError` if no address is allowed,
        `ReleaseError` if the server rejects the mail, and LookupError if there is no such mail.
        """
        return self.service.release(_number(mail), to=to, server=server)

    def clear(self) -> None:
        """
        Delete everything: mails, templates, SMTP users and their usage, domains, webhooks and their
        deliveries, faults, the script, and the advance of the clock.
        """
        self.service.clear()

    def client(self, **options: Any) -> PowerEmail:
        """Return a client of this sandbox, without a socket; *options*: see `PowerEmail`."""
        return make_client(self.service, options)

    def async_client(self, **options: Any) -> AsyncPowerEmail:
        """
        Return an async client of this sandbox, without a socket.

        *options* are those of `AsyncPowerEmail`.
        """
        return make_async_client(self.service, options)

    def server(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        allowed_hosts: Iterable[str] = (),
        auth: str | os.PathLike[str] | None = None,
    ) -> SandboxServer:
        """
        Return an HTTP server of this sandbox, to be used as a context manager.

        *host*
            The address to listen on; ``localhost`` is IPv4 and IPv6, ``::`` all addresses of both.
            One that is not loopback lets others read the caught mail.
        *port*
            0 picks a free one: see `SandboxServer.base_url`.
        *allowed_hosts*
            Other names under which browsers may open the page, or patterns such as
            ``*.example.com``. IP addresses need none.
        *auth*
            A file of users and their passwords, without which the page and the control API show
            nothing: lines as ``poweremail sandbox password`` or ``htpasswd -B`` print them.

        Raises `ConfigurationError` if the extra ``poweremail[sandbox]`` is not installed.
        """
        with extras_needed("server"):
            from poweremail.sandbox._server.serving import SandboxServer  # noqa: PLC0415  it loads starlette and uvicorn
        return SandboxServer(
            self.service, host=host, port=port, allowed_hosts=allowed_hosts, auth=auth
        )


def _number(numbered: CaughtMail | Delivery | int) -> int:
    return numbered if isinstance(numbered, int) else numbered.number
