"""
The API as a function from a `Call` to a `Reply`, over a `Store`.

It does no I/O but the store's, and waits for nothing: the same code serves the in-process
transports and the HTTP server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus

import attrs

from poweremail._response import Response
from poweremail._types.secret import Secret
from poweremail.errors import ConfigurationError
from poweremail.sandbox._api.call import Call, Reply
from poweremail.sandbox._api.requests import Lookup, Requests, Setting, Wanted, call_name
from poweremail.sandbox._api.responses import Refusal, envelope
from poweremail.sandbox._api.settings import Account, VerifyWebhook
from poweremail.sandbox._faults.kinds import Effect
from poweremail.sandbox._faults.rules import Arrival, Faults
from poweremail.sandbox._release.smtp import Released, SmtpServer, release
from poweremail.sandbox._store.accounts import AccountStore
from poweremail.sandbox._store.clock import Clock
from poweremail.sandbox._store.database import Store
from poweremail.sandbox._store.events import MailEvent
from poweremail.sandbox._store.limits import (
    REQUEST_LIMITS,
    UNLIMITED,
    LimitReached,
    SmtpLimits,
    SmtpUser,
)
from poweremail.sandbox._store.mail import MailContent
from poweremail.sandbox._store.mails import MailStore
from poweremail.sandbox._webhooks.deliveries import Deliveries
from poweremail.sandbox._webhooks.delivering import Deliverer
from poweremail.sandbox._webhooks.recording import EventRecorder
from poweremail.sandbox._webhooks.script import EventScript
from poweremail.webhooks._signature import (
    BRAND,
    SchemeName,
    SignatureScheme,
    check_brand,
    find_scheme,
    handshake_text,
)

__all__ = ["DEFAULT_SCHEME", "Service"]

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


class Service:
    """
    The service. Safe to use from several threads.

    *store*
        Its database. ``mails`` are its mails, ``registry`` its domains and webhooks.
    *clock*, *faults*
        Its time, and the faults that hit requests.
    *owner_id*, *token*
        The credentials to accept; None accepts any. ``own_owner_id`` and ``own_token`` say whether
        they are given.
    *limits*
        Those of SMTP users without limits of their own.
    *verify_webhook*
        Returns whether a URL that is to become a webhook responds to the handshake; None accepts
        every URL.
    *script*
        The events that mails get by chance; ``recorder`` and ``record_event`` record
        them.
    *webhook_scheme*
        Signs the posts to webhooks; ``deliveries`` keeps them, ``deliverer`` makes them.
    *brand*
        The name of the service in these posts and in the handshake.
    *smtp_server*
        The mail server that caught mails may be released to.
    """

    def __init__(
        self,
        store: Store,
        *,
        clock: Clock,
        faults: Faults,
        owner_id: str | None = None,
        token: Secret | None = None,
        limits: SmtpLimits = UNLIMITED,
        verify_webhook: VerifyWebhook | None = None,
        script: EventScript | None = None,
        webhook_scheme: str | SignatureScheme = DEFAULT_SCHEME,
        brand: str = BRAND,
        smtp_server: SmtpServer | None = None,
    ) -> None:
        self.store = store
        self.mails: MailStore = MailStore(store)
        self.registry: AccountStore = AccountStore(store)
        self.verify_webhook = verify_webhook
        self.brand: str = check_brand(brand)
        self.clock = clock
        self.faults = faults
        self.script: EventScript = EventScript() if script is None else script
        self.deliveries: Deliveries = Deliveries(store, find_scheme(webhook_scheme), self.brand)
        self.recorder: EventRecorder = EventRecorder(store, clock, self.script, self.deliveries)
        self.record_event: Callable[..., list[MailEvent]] = self.recorder.record
        self.deliverer: Deliverer = Deliverer(self.deliveries, self.recorder, clock)
        self.smtp_server = smtp_server
        self.own_owner_id: bool = owner_id is not None
        self.own_token: bool = token is not None
        self._requests = Requests(store, owner_id, token)
        self._limits = limits

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
            wanted: Wanted | Response
            try:
                wanted = self._requests.read(call, arrival.call)
            except Refusal as refusal:
                wanted = refusal.response
            if isinstance(wanted, MailContent):
                arrival = self.faults.at_body(arrival, [each.email for each in wanted.recipients])
            if arrival.effect.carried_out:
                response = self._carry_out(wanted, arrival.effect, verify_webhook)
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
                limits=self._limits.override(own),
                used=self.store.usage(name, now),
            )
            for name, enabled, own in self.store.smtp_users()
        ]

    def _carry_out(
        self, wanted: Wanted | Response, effect: Effect, verify_webhook: VerifyWebhook | None
    ) -> Response:
        now = self.clock.milliseconds()
        match wanted:
            case MailContent():
                delay = int(min(effect.visible_after * 1000, _MAX_VISIBILITY_MS))
                try:
                    self.mails.add(
                        wanted,
                        received=now,
                        visible_from=now + delay,
                        limits=self._limits,
                        then=self.recorder.sent,
                    )
                except LimitReached as reached:
                    return self._over_limit(reached)
                return envelope(**_ACCEPTED[wanted.operation])
            case Lookup():
                self.recorder.record_due()
                records = self.mails.records(wanted.unique_id, wanted.page, now=now)
                return envelope("success", message_data=records)
            case Setting():
                account = Account(
                    self.store,
                    self.registry,
                    now,
                    self._limits,
                    verify_webhook or self.verify_webhook,
                    handshake_text(self.brand),
                )
                try:
                    return envelope("success", **wanted.carry_out(account, wanted.members))
                except Refusal as refusal:
                    return refusal.response
            case _:
                return wanted

    def _over_limit(self, reached: LimitReached) -> Response:
        """The messages are the sandbox's own: the service does not publish its."""
        if reached.limit not in REQUEST_LIMITS:
            return Refusal(
                f"The {reached.limit} of the smtp user is reached ({reached.number})"
            ).response
        span = reached.limit.removeprefix("per_")
        message = f"Too many requests: more than {reached.number} a {span}"
        response = envelope("error", code="-1", message=message)
        if self._limits.answer == "error":
            return response
        return attrs.evolve(response, status=HTTPStatus.TOO_MANY_REQUESTS)
