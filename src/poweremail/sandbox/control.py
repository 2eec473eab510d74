"""The control API of a sandbox that runs as a server: what `Sandbox` does in Python, said in JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from poweremail._version import __version__
from poweremail.errors import UsageError
from poweremail.sandbox.account_store import Domain, DomainKind, RegisteredWebhook
from poweremail.sandbox.answers import Refusal
from poweremail.sandbox.limits import LIMITS, SmtpLimits, SmtpUser
from poweremail.sandbox.mail import CaughtMail
from poweremail.sandbox.reading import read_json
from poweremail.sandbox.service import Service
from poweremail.sandbox.template import Template
from poweremail.wire import arguments

__all__ = ["routes"]

Handler = Callable[[Request], Awaitable[Any]]

_MAILS_A_PAGE = 100
_DIGITS = 15
"""Of a number in a request: fewer than SQLite can count."""


def routes(service: Service) -> list[Route]:
    """
    The routes of the control API of *service*.

    - ``GET health``: the version, and the number of mails.
    - ``GET messages?after=0&limit=100``: mails with a higher number than *after*, oldest first, without what makes them large.
    - ``GET messages/{number}``: one mail, and the request that brought it.
    - ``DELETE messages``: forget the mails.
    - ``GET faults``, ``DELETE faults``: the rules; forget them.
    - ``DELETE faults/{number}``: forget one rule.
    - ``POST faults``: add a rule, such as ``{"fault": {"kind": "status", "code": 503}, "call": "sendMail", "times": 2}``.
    - ``POST templates``: add a template, such as ``{"template_id": "t1", "html": "Dear {{NAME}}"}``.
    - ``POST smtp_users``: add an SMTP user, such as ``{"name": "smtp1", "enabled": true, "per_minute": 60}``.
    - ``GET smtp_users``: the SMTP users, their limits, and how much of each is used.
    - ``GET sending_domains``, ``GET tracking_domains``: the domains.
    - ``POST sending_domains``, ``POST tracking_domains``: add one, or say whether it is right, such as
      ``{"domain": "example.com", "valid": true}``.
    - ``GET webhooks``: the webhooks, without their keys.
    - ``GET clock``: the time.
    - ``POST clock``: let time pass, such as ``{"advance": 61}``, in seconds.
    - ``POST reset``: forget everything.

    What cannot be done is answered with 400 or 404, and ``{"error": "why"}``.
    """
    control = _Control(service)
    table: tuple[tuple[str, str, Handler], ...] = (
        ("GET", "/health", control.health),
        ("GET", "/messages", control.messages),
        ("GET", "/messages/{number:int}", control.message),
        ("DELETE", "/messages", control.forget_messages),
        ("GET", "/faults", control.faults),
        ("POST", "/faults", control.add_fault),
        ("DELETE", "/faults", control.forget_faults),
        ("DELETE", "/faults/{number:int}", control.forget_fault),
        ("POST", "/templates", control.add_template),
        ("GET", "/smtp_users", control.smtp_users),
        ("POST", "/smtp_users", control.add_smtp_user),
        ("GET", "/sending_domains", control.sending_domains),
        ("POST", "/sending_domains", control.add_sending_domain),
        ("GET", "/tracking_domains", control.tracking_domains),
        ("POST", "/tracking_domains", control.add_tracking_domain),
        ("GET", "/webhooks", control.webhooks),
        ("GET", "/clock", control.clock),
        ("POST", "/clock", control.advance),
        ("POST", "/reset", control.reset),
    )
    return [Route(path, _answered(handler), methods=[method]) for method, path, handler in table]


class _Control:
    """Each method returns what is sent as JSON; `UsageError`, `Refusal` and LookupError say what is wrong with the request."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def health(self, _: Request) -> dict[str, Any]:
        return {"status": "ok", "version": __version__, "messages": self._service.store.count()}

    async def messages(self, request: Request) -> dict[str, Any]:
        after, limit = (_number(name, request.query_params.get(name, default)) for name, default in _PAGE)
        return {"messages": [_summary(mail) for mail in self._service.store.mails(after=after, limit=limit)]}

    async def message(self, request: Request) -> dict[str, Any]:
        number = _number("number", str(request.path_params["number"]))
        found = self._service.store.mails(after=number - 1, limit=1)
        if not found or found[0].number != number:
            raise LookupError(f"there is no mail number {number}")
        return {**_summary(found[0]), "raw": dict(found[0].raw)}

    async def forget_messages(self, _: Request) -> dict[str, Any]:
        return {"forgotten": self._service.store.clear_mails()}

    async def faults(self, _: Request) -> dict[str, Any]:
        return {"faults": [rule.to_dict() for rule in self._service.faults.rules]}

    async def add_fault(self, request: Request) -> dict[str, Any]:
        return self._service.faults.add_dict(await _members(request)).to_dict()

    async def forget_faults(self, _: Request) -> dict[str, Any]:
        self._service.faults.clear()
        return {}

    async def forget_fault(self, request: Request) -> dict[str, Any]:
        self._service.faults.remove(_number("number", str(request.path_params["number"])))
        return {}

    async def add_template(self, request: Request) -> dict[str, Any]:
        members = await _members(request)
        texts = (_text(members, name, needed=name == "template_id") for name in ("template_id", "subject", "html", "text"))
        template_id, subject, html, text = texts
        self._service.store.put_template(Template(template_id or "", subject, html, text))
        return {}

    async def add_smtp_user(self, request: Request) -> dict[str, Any]:
        members = await _members(request)
        enabled = _switch(members, "enabled")
        limits: dict[str, Any] = {limit: members.get(limit) for limit in LIMITS}
        name = _text(members, "name", needed=True) or ""
        self._service.store.put_smtp_user(name, enabled=enabled, limits=SmtpLimits(**limits))
        return {}

    async def smtp_users(self, _: Request) -> dict[str, Any]:
        return {"smtp_users": [_smtp_user(user) for user in self._service.smtp_users()]}

    async def sending_domains(self, _: Request) -> dict[str, Any]:
        return {"sending_domains": [_domain(domain) for domain in self._service.registry.domains("sending")]}

    async def tracking_domains(self, _: Request) -> dict[str, Any]:
        return {"tracking_domains": [_domain(domain) for domain in self._service.registry.domains("tracking")]}

    async def add_sending_domain(self, request: Request) -> dict[str, Any]:
        return await self._put_domain("sending", request)

    async def add_tracking_domain(self, request: Request) -> dict[str, Any]:
        return await self._put_domain("tracking", request)

    async def _put_domain(self, kind: DomainKind, request: Request) -> dict[str, Any]:
        members = await _members(request)
        domain, valid = arguments.domain("domain", members.get("domain")).lower(), _switch(members, "valid")
        self._service.registry.put_domain(kind, domain, now=self._service.clock.milliseconds(), valid=valid)
        return {}

    async def webhooks(self, _: Request) -> dict[str, Any]:
        return {"webhooks": [_webhook(webhook) for webhook in self._service.registry.webhooks()]}

    async def clock(self, _: Request) -> dict[str, Any]:
        clock = self._service.clock
        return {"now": clock.now(), "advanced": clock.advanced}

    async def advance(self, request: Request) -> dict[str, Any]:
        # What is no number is told by the clock itself.
        self._service.clock.advance((await _members(request)).get("advance"))  # type: ignore[arg-type]
        return await self.clock(request)

    async def reset(self, _: Request) -> dict[str, Any]:
        self._service.clear()
        return {}


_PAGE = (("after", "0"), ("limit", str(_MAILS_A_PAGE)))


def _answered(handler: Handler) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def endpoint(request: Request) -> JSONResponse:
        try:
            return JSONResponse(await handler(request))
        except UsageError as error:
            return JSONResponse({"error": error.reason}, 400)
        except Refusal as refusal:
            return JSONResponse({"error": refusal.message}, 400)
        except LookupError as error:
            return JSONResponse({"error": str(error)}, 404)

    return endpoint


async def _members(request: Request) -> dict[str, Any]:
    return read_json(await request.body())


def _number(field: str, digits: str) -> int:
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS):
        raise UsageError("must be a number from 0 on", field=field, mail_state=None)
    return int(digits)


def _text(members: dict[str, Any], field: str, *, needed: bool = False) -> str | None:
    value = members.get(field)
    if not isinstance(value, str) and (needed or value is not None):
        raise UsageError("must be a string", field=field, mail_state=None)
    return value


def _switch(members: dict[str, Any], field: str) -> bool:
    """A member that is true unless it says otherwise."""
    value = members.get(field, True)
    if not isinstance(value, bool):
        raise UsageError("must be true or false", field=field, mail_state=None)
    return value


def _domain(domain: Domain) -> dict[str, Any]:
    return {"domain": domain.domain, "created": domain.created.isoformat(), "valid": domain.valid}


def _webhook(webhook: RegisteredWebhook) -> dict[str, Any]:
    """All but the key: whoever sees the page would be able to sign."""
    return {
        "webhook_id": webhook.webhook_id,
        "url": webhook.url,
        "events": list(webhook.events),
        "store_log": webhook.store_log,
        "description": webhook.description,
        "created": webhook.created.isoformat(),
        "last_success": None if webhook.last_success is None else webhook.last_success.isoformat(),
        "total_event": webhook.total_event,
    }


def _smtp_user(user: SmtpUser) -> dict[str, Any]:
    return {"name": user.name, "enabled": user.enabled, "limits": user.limits.to_dict(), "used": user.used.to_dict()}


def _summary(mail: CaughtMail) -> dict[str, Any]:
    return {
        "number": mail.number,
        "received": mail.received.isoformat(),
        "operation": mail.operation,
        "smtp_user_name": mail.smtp_user_name,
        "unique_id": mail.unique_id,
        "subject": mail.subject,
        "from_email": mail.from_email,
        "from_name": mail.from_name,
        "recipients": [{"type": who.type, "email": who.email, "name": who.name} for who in mail.recipients],
        "html": mail.html,
        "text": mail.text,
        "headers": dict(mail.headers),
        "attachments": [{"name": file.name, "type": file.type, "size": len(file.content)} for file in mail.attachments],
        "images": [{"name": file.name, "type": file.type, "size": len(file.content)} for file in mail.images],
        "template_id": mail.template_id,
        "dynamic_value": dict(mail.dynamic_value),
    }
