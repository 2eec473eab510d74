"""
The API as a function from a `Call` to a `Reply`, over a `Store`. It does no I/O but the store's,
and waits for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import attrs

from poweremail._response import Response
from poweremail._types.secret import Secret
from poweremail.errors import UsageError
from poweremail.sandbox._api import settings as settings_calls
from poweremail.sandbox._api.account import Account, VerifyWebhook
from poweremail.sandbox._api.call import Broken, Call, Reply
from poweremail.sandbox._api.requests import Lookup, Requests, Setting, Wanted, call_name
from poweremail.sandbox._api.responses import Refusal, answer
from poweremail.sandbox._faults.kinds import Effect
from poweremail.sandbox._faults.rules import Faults, Turn
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
from poweremail.sandbox._store.mailbox import Mailbox
from poweremail.sandbox._store.mails import MailStore
from poweremail.sandbox._webhooks.deliveries import Deliveries
from poweremail.sandbox._webhooks.delivering import Courier
from poweremail.sandbox._webhooks.recording import Happenings
from poweremail.sandbox._webhooks.script import EventScript
from poweremail.webhooks._signature import BRAND, SchemeName, SignatureScheme, brand_of, scheme_of

__all__ = ["DEFAULT_SCHEME", "Broken", "Call", "Reply", "Service"]

DEFAULT_SCHEME: SchemeName = "form-base64"
"""The likeliest of the ways in which the service may sign: which it is, is published nowhere."""

_LONGEST_WAIT = 10**15
"""
Milliseconds until a mail becomes visible: more than anybody waits, and no more than SQLite can
count.
"""


class Service:
    """
    The service.

    *store* is what it remembers (``mails`` are its mails, ``mailbox`` how one looks at them,
    ``registry`` its domains and webhooks), *clock* its time, *faults* what goes wrong. Any owner id
    and token will do unless *owner_id* and *token* say which (``own_owner_id`` and ``own_token``
    are whether they do); *limits* are those of SMTP users that have none of their own.
    *verify_webhook* asks a URL that is to become a webhook whether it is one; without it, each is
    believed. *script* says what becomes of mails by themselves (``happenings`` lets it),
    *webhook_scheme* how the posts to webhooks are signed (``deliveries`` has them, ``courier``
    makes them), *brand* what they and the handshake are named after, *smtp_server* where caught
    mails may be released to. Safe to use from several threads.
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
        self.mails = MailStore(store)
        self.mailbox = Mailbox(store)
        self.registry = AccountStore(store)
        self.verify_webhook = verify_webhook
        self.brand = brand = brand_of(brand)
        self.clock = clock
        self.faults = faults
        self.script = EventScript() if script is None else script
        self.deliveries = Deliveries(store, scheme_of(webhook_scheme), brand)
        self.happenings = Happenings(store, clock, self.script, self.deliveries)
        self.courier = Courier(self.deliveries, self.happenings, clock)
        self.smtp_server = smtp_server
        self.own_owner_id, self.own_token = owner_id is not None, token is not None
        self._requests = Requests(store, owner_id, token)
        self._limits = limits

    def arrive(self, path: str) -> Turn:
        """
        Begin a request whose body is still to be read.

        Where ``turn.effect.before_body`` says so, the connection breaks at once, as `handle` tells
        without looking at the body.
        """
        return self.faults.at_head(call_name(path))

    def handle(
        self, call: Call, turn: Turn | None = None, *, verify_webhook: VerifyWebhook | None = None
    ) -> Reply:
        """
        Answer *call*; *turn* is what `arrive` returned, where it was asked. *verify_webhook* goes
        before the service's own.

        Whatever the bytes, the answer is one of the service's envelopes, unless a fault makes it
        another.
        """
        turn = turn or self.arrive(call.path)
        if turn.effect.before_body:
            return _reply(turn.effect, None)
        wanted: Wanted | Response
        try:
            wanted = self._requests.read(call, turn.call)
        except Refusal as refusal:
            wanted = refusal.response
        if isinstance(wanted, MailContent):
            turn = self.faults.at_body(turn, [recipient.email for recipient in wanted.recipients])
        effect = turn.effect
        return _reply(
            effect,
            self._carry_out(wanted, effect.visible_after, verify_webhook)
            if effect.carried_out
            else None,
        )

    def record_event(
        self,
        number: int,
        kind: str,
        *,
        recipient: str | None = None,
        ip: str = "127.0.0.1",
        user_agent: str = "",
        url: str | None = None,
    ) -> list[MailEvent]:
        """
        Let something happen to mail *number*, as it is at the time of the sandbox's clock;
        getMessageInfo tells of it, and the webhooks that want to know are told at the next
        delivery.

        *kind* is one of `EVENT_KINDS`, *recipient* the address it happens at, None all of the
        mail's; *url* is what was clicked. Raises `UsageError` for another kind, LookupError where
        there is no such mail or recipient.
        """
        return self.happenings.record(
            number, kind, recipient=recipient, ip=ip, user_agent=user_agent, url=url
        )

    def release(
        self,
        number: int,
        *,
        to: Iterable[str] | str | None = None,
        server: SmtpServer | None = None,
    ) -> Released:
        """
        Hand mail number *number* on to *server*, by default that of the sandbox: see
        `poweremail.sandbox._release.smtp`.
        """
        server = server or self.smtp_server
        if server is None:
            raise UsageError("there is no SMTP server to release mail to", field="server")
        return release(self.mails.mail(number), server, to)

    def clear(self) -> None:
        """
        Forget everything: mails, templates, SMTP users and what they have used, domains, webhooks
        and what was posted to them, faults, the script, and how far the clock was advanced.
        """
        self.store.clear()
        self.faults.clear()
        self.script.clear()
        self.clock.reset()

    def smtp_users(self) -> list[SmtpUser]:
        """
        The SMTP users by name: those that were added; where none was, also those that have sent.
        """
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
        self, wanted: Wanted | Response, visible_after: float, verify_webhook: VerifyWebhook | None
    ) -> Response:
        now = self.clock.milliseconds()
        match wanted:
            case MailContent():
                visible_from = now + int(min(visible_after * 1000, _LONGEST_WAIT))
                try:
                    self.mails.add(
                        wanted,
                        received=now,
                        visible_from=visible_from,
                        limits=self._limits,
                        then=self.happenings.sent,
                    )
                except LimitReached as reached:
                    return self._too_much(reached)
                return _queued(wanted.operation)
            case Setting():
                account = Account(
                    self.store,
                    self.registry,
                    now,
                    self._limits,
                    verify_webhook or self.verify_webhook,
                    self.brand,
                )
                try:
                    return settings_calls.answer_call(wanted.call, account, wanted.members)
                except Refusal as refusal:
                    return refusal.response
            case Lookup():
                self.happenings.settle()
                records = self.mails.records(wanted.unique_id, wanted.page, now=now)
                return answer(
                    status="success", message_data=[_record(record) for record in records]
                )
            case _:
                return wanted

    def _too_much(self, reached: LimitReached) -> Response:
        """
        What comes to a send that is over a limit. The words are the sandbox's own: those of the
        service are not published.
        """
        if reached.limit not in REQUEST_LIMITS:
            return Refusal(
                f"The {reached.limit} of the smtp user is reached ({reached.number})"
            ).response
        span = reached.limit.removeprefix("per_")
        response = answer(
            status="error",
            code="-1",
            message=f"Too many requests: more than {reached.number} a {span}",
        )
        return (
            response
            if self._limits.answer == "error"
            else attrs.evolve(response, status=HTTPStatus.TOO_MANY_REQUESTS)
        )


def _queued(operation: str) -> Response:
    match operation:
        case "sendMail" | "sendRaw":
            return answer(status="success", message="message have been Queued ...")
        case "sendTemplateHTTPGet":
            # The page's table says queued, its example says success: clients have to know both.
            return answer(status="queued", message="250 Message Queued...")
        case _:
            return answer(status="success", message="250 Message Queued...")


def _record(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "subject": record["subject"],
        "sender": record["from_email"],
        "email": record["email"],
        "sendFrom": "127.0.0.1",
        "mailSize": record["mail_size"],
        "attchSize": record["attachment_size"],
        "status": record["status"],
        "time": record["received"],
        "open": record["open"],
        "openData": record["openData"],
        "click": record["click"],
        "clickData": record["clickData"],
    }


def _reply(effect: Effect, genuine: Response | None) -> Reply:
    return Reply(
        effect.response(genuine), latency=effect.latency, drip=effect.drip, broken=effect.broken
    )
