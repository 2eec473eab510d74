"""
The API as a function from a `Call` to a `Reply`, over a `Store`.

It does no I/O but the store's, and waits for nothing: the same code serves the in-process
transports and the HTTP server.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

import attrs

from poweremail._response import Response
from poweremail._wire import arguments
from poweremail.errors import ConfigurationError
from poweremail.sandbox._api import Call, Reply
from poweremail.sandbox._api.requests import Requests, Wanted, call_name
from poweremail.sandbox._api.responses import Refusal, envelope
from poweremail.sandbox._api.settings import AccountCall, VerifyWebhook
from poweremail.sandbox._faults.kinds import Effect
from poweremail.sandbox._faults.rules import Arrival, Faults
from poweremail.sandbox._release.link_check import LinkHosts
from poweremail.sandbox._release.smtp import Released, SmtpServer, release
from poweremail.sandbox._store.accounts import AccountStore, DomainKind
from poweremail.sandbox._store.clock import Clock
from poweremail.sandbox._store.database import Store
from poweremail.sandbox._store.limits import (
    LimitReached,
    SmtpLimits,
    SmtpUser,
)
from poweremail.sandbox._store.mail import MailContent
from poweremail.sandbox._store.mails import MailStore
from poweremail.sandbox._store.retention import Retention
from poweremail.sandbox._webhooks.deliveries import Deliveries
from poweremail.sandbox._webhooks.delivering import Deliverer
from poweremail.sandbox._webhooks.recording import EventRecorder
from poweremail.sandbox._webhooks.script import EventScript
from poweremail.webhooks._signature import (
    SchemeName,
    SignatureScheme,
    handshake_text,
)

DEFAULT_SCHEME: SchemeName = "form-base64"
"""The likeliest scheme of the service, which publishes none."""

_MAX_VISIBILITY_MS = 10**15
"""Longer than any wait, and SQLite can still count it."""

# The words of the service for an accepted mail. Its page says "queued" in the table about
# sendTemplateHTTPGet, and "success" in the example: clients have to know both.
_QUEUED = {"status": "success", "message": "message have been Queued ..."}
_ACCEPTED = {
    "sendMail": _QUEUED,
    "sendRaw": _QUEUED,
    "sendTemplate": {"status": "success", "message": "250 Message Queued..."},
    "sendTemplateHTTPGet": {"status": "queued", "message": "250 Message Queued..."},
}


@attrs.define(eq=False, repr=False, slots=False)
class Service:
    """
    The service. Safe to use from several threads.

    *store*
        Its database. ``mails`` are its mails, ``registry`` its domains and webhooks.
    *clock*, *faults*
        Its time, and the faults that hit requests.
    *requests*
        Reads requests, and knows the credentials to accept.
    *limits*
        Those of SMTP users without limits of their own.
    *verify_webhook*
        Returns whether a URL that is to become a webhook responds to the handshake; None accepts
        every URL.
    *script*
        The events that mails get by chance; ``recorder`` records them.
    *webhook_scheme*
        Signs the posts to webhooks; ``deliveries`` keeps them, ``deliverer`` makes them.
    *brand*
        The name of the service in these posts and in the handshake.
    *smtp_server*
        The mail server that caught mails may be released to.
    *webhook_ca*
        A file of certificates that posts to webhooks trust, beside those that the system trusts.
    *link_hosts*
        The hosts that a link check may send requests to.
    *max_messages*, *max_age*
        How many mails are kept, and for how many seconds: see `Retention`.
    """

    store: Store
    clock: Clock
    faults: Faults
    requests: Requests
    limits: SmtpLimits
    verify_webhook: VerifyWebhook | None
    script: EventScript
    webhook_scheme: SignatureScheme
    brand: str
    smtp_server: SmtpServer | None
    webhook_ca: str | None
    link_hosts: LinkHosts
    max_messages: int | None
    max_age: float | None
    mails: MailStore = attrs.field(init=False)
    retention: Retention = attrs.field(init=False)
    registry: AccountStore = attrs.field(init=False)
    deliveries: Deliveries = attrs.field(init=False)
    recorder: EventRecorder = attrs.field(init=False)
    deliverer: Deliverer = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.mails = MailStore(self.store)
        self.retention = Retention(
            self.store,
            self.mails,
            self.clock,
            max_messages=self.max_messages,
            max_age=self.max_age,
        )
        self.registry = AccountStore(self.store)
        self.deliveries = Deliveries(self.store, self.webhook_scheme, self.brand)
        self.recorder = EventRecorder(self.store, self.clock, self.script, self.deliveries)
        self.deliverer = Deliverer(self.deliveries, self.recorder, self.clock, ca=self.webhook_ca)

    @property
    def own_owner_id(self) -> bool:
        """True if only one owner id is accepted."""
        return self.requests.owner_id is not None

    @property
    def own_token(self) -> bool:
        """True if only one token is accepted."""
        return self.requests.token is not None

    def arrive(self, path: str) -> Arrival:
        """
        Begin a request whose body is still to be read.

        If ``arrival.effect.before_body``, the connection breaks at once: `handle` returns how, and
        ignores the body.
        """
        return self.faults.at_head(call_name(path))

    def handle(
        self,
        call: Call,
        arrival: Arrival | None = None,
        *,
        verify_webhook: VerifyWebhook | None = None,
    ) -> Reply:
        """
        Return the reply to *call*.

        *arrival*
            The result of `arrive`, if it was called.
        *verify_webhook*
            Takes the place of the service's own.

        For any bytes the response is an envelope of the service, unless a fault changes it.
        """
        arrival = arrival or self.arrive(call.path)
        response = None
        if not arrival.effect.before_body:
            try:
                wanted = self.requests.read(call, arrival.call)
                if isinstance(wanted, MailContent):
                    addresses = [each.email for each in wanted.recipients]
                    arrival = self.faults.at_body(arrival, addresses)
                if arrival.effect.carried_out:
                    response = self._carry_out(wanted, arrival.effect, verify_webhook)
            except Refusal as refusal:
                response = refusal.response
        effect = arrival.effect
        return Reply(
            effect.response(response),
            latency=effect.latency,
            drip=effect.drip,
            broken=effect.broken,
        )

    def release(
        self,
        number: int,
        *,
        to: Iterable[str] | str | None = None,
        server: SmtpServer | None = None,
    ) -> Released:
        """Send mail *number* to *server*, by default that of the sandbox: see `Sandbox.release`."""
        server = server or self.smtp_server
        if server is None:
            raise ConfigurationError("there is no SMTP server to release mail to", field="server")
        return release(self.mails.mail(number), server, to)

    def clear(self) -> None:
        """Delete everything: see `Sandbox.clear`."""
        self.store.clear()
        self.mails.search_index.clear()
        self.faults.clear()
        self.script.clear()
        self.clock.reset()

    def smtp_users(self) -> list[SmtpUser]:
        """Return the SMTP users by name: those added or, if none was, also those that have sent."""
        now = self.clock.milliseconds()
        return [
            SmtpUser(
                name=name,
                enabled=enabled,
                limits=self.limits.override(own),
                used=self.store.usage(name, now),
            )
            for name, enabled, own in self.store.smtp_users()
        ]

    def put_domain(self, kind: DomainKind, domain: str, *, valid: bool) -> None:
        """Add a domain; if it exists, change whether it is *valid*. Raises `UsageError`."""
        domain = arguments.domain("domain", domain).lower()
        self.registry.put_domain(kind, domain, now=self.clock.milliseconds(), valid=valid)

    def _carry_out(
        self, wanted: Wanted, effect: Effect, verify_webhook: VerifyWebhook | None
    ) -> Response:
        now = self.clock.milliseconds()
        if not isinstance(wanted, MailContent):
            self.recorder.record_due()
            account = AccountCall(
                wanted.members,
                self.store,
                self.registry,
                self.mails,
                now,
                self.limits,
                verify_webhook or self.verify_webhook,
                handshake_text(self.brand),
            )
            return envelope("success", **wanted.carry_out(account))
        delay = int(min(effect.visible_after * 1000, _MAX_VISIBILITY_MS))
        try:
            self.mails.add(
                wanted,
                received=now,
                visible_from=now + delay,
                limits=self.limits,
                then=self.recorder.sent,
            )
        except LimitReached as reached:
            return self._over_limit(reached)
        self.retention.caught()
        return envelope(**_ACCEPTED[wanted.operation])

    def _over_limit(self, reached: LimitReached) -> Response:
        """The messages are the sandbox's own: the service does not publish its."""
        limit, number = reached.limit, reached.number
        if reached.unit == "mails":
            raise Refusal(f"The {limit} of the smtp user is reached ({number})")
        per = limit.removeprefix("per_")
        response = Refusal(f"Too many requests: more than {number} a {per}").response
        status = HTTPStatus.OK if self.limits.answer == "error" else HTTPStatus.TOO_MANY_REQUESTS
        return attrs.evolve(response, status=status)
