"""
The control API of a sandbox that runs as a server: what `Sandbox` does in Python, said in JSON,
below ``/_sandbox``.

It is for tests in any language, and the page of the sandbox uses nothing else. ``openapi.json``
describes it to programs, and ``docs`` to people.
"""

from __future__ import annotations

from itertools import groupby

from starlette.routing import Route, Router
from starlette.types import Receive, Scope, Send

from poweremail.sandbox._server.control.events import DELIVERIES_A_PAGE, Happenings
from poweremail.sandbox._server.control.mails import FILTERS, MAILS_A_PAGE, Mails
from poweremail.sandbox._server.control.operations import (
    MAX_BODY,
    Operation,
    Parameter,
    Resource,
    error,
)
from poweremail.sandbox._server.control.state import State
from poweremail.sandbox._server.control.stream import Stream
from poweremail.sandbox._service import Service

__all__ = ["control_router", "operations"]

_FILTER_MEANINGS = {
    "search": "words that are all in the subject, an address, a name, the unique id or the "
    "template's id",
    "to": "the whole address of a recipient",
    "from_email": "the whole address of the sender",
    "subject": "a part of the subject",
    "unique_id": "the whole X-Unique-Id",
    "status": "the state at one recipient at least: delivered, soft_bounce, open, click, "
    "hard_bounce or spam",
}
_PAGE = (
    *(Parameter(name, _FILTER_MEANINGS[name]) for name in FILTERS),
    Parameter(
        "before",
        "only mails with a lower number: the next page begins before the last of this one",
        "integer",
    ),
    Parameter(
        "after",
        "only mails with a higher number, and then oldest first: to follow what comes",
        "integer",
    ),
    Parameter("limit", f"how many at most, {MAILS_A_PAGE} unless given, 1000 at most", "integer"),
)
_DELIVERIES = (
    Parameter("webhook_id", "those of one webhook"),
    Parameter("state", "waiting, delivered or failed"),
    Parameter(
        "before",
        "only those with a lower number: the next page begins before the last of this one",
        "integer",
    ),
    Parameter(
        "limit", f"how many at most, {DELIVERIES_A_PAGE} unless given, 1000 at most", "integer"
    ),
)
_ONE = "/messages/{number}"
_FAULT = {"fault": {"kind": "status", "code": 503}, "call": "sendMail", "times": 2}
_WAIT = {"to": "ada@example.com", "subject": "Confirm", "timeout": 30}
_EVENT = {"kind": "click", "recipient": "ada@example.com", "url": "https://example.com/"}
_DOMAIN = {"domain": "example.com", "valid": True}
_USER = {
    "name": "news",
    "enabled": True,
    "per_minute": 60,
    "per_hour": 3600,
    "per_day": 50000,
    "total_limit": 100000,
}


def operations(service: Service) -> list[Operation]:
    """Return the calls on *service*, those of one path side by side."""
    mails, state, happenings = Mails(service), State(service), Happenings(service)

    def call(method: str, path: str, handler: object, summary: str, **more: object) -> Operation:
        group = "Messages" if path.startswith("/messages") else "The service"
        named = {"method": method, "path": path, "summary": summary, "group": group, **more}
        return Operation(handler=handler, **named)  # type: ignore[arg-type]

    gone, wrong = (404,), (400,)
    html, text, binary = "text/html", "text/plain", "application/octet-stream"
    return [
        call(
            "GET",
            "/messages",
            mails.page,
            "Caught mails, newest first",
            parameters=_PAGE,
            answer="Page",
            errors=wrong,
        ),
        call("DELETE", "/messages", mails.delete_all, "Forget all mails", answer="Forgotten"),
        call(
            "POST",
            "/messages/wait",
            mails.wait,
            "The newest mail that matches, as soon as there is one; after timeout seconds, 404",
            body=_WAIT,
            answer="Message",
            errors=(400, 404, 503),
        ),
        call(
            "GET",
            _ONE,
            mails.find,
            "One mail, with its parts, links, recipients and events",
            answer="Message",
            errors=gone,
        ),
        call("DELETE", _ONE, mails.delete, "Forget one mail", errors=gone),
        call(
            "GET",
            f"{_ONE}/raw",
            mails.raw,
            "The JSON that brought it, without the credentials",
            answer="Raw",
            errors=gone,
        ),
        call(
            "GET",
            f"{_ONE}/source",
            mails.source,
            "It as it would be sent, in the form of RFC 5322",
            parameters=(Parameter("download", "1 to save it as a file", "integer"),),
            media_type=text,
            errors=gone,
        ),
        call("GET", f"{_ONE}/text", mails.text, "Its text part", media_type=text, errors=gone),
        call(
            "GET",
            f"{_ONE}/html",
            mails.html,
            "Its HTML part, which in a browser may run nothing and load nothing",
            parameters=(
                Parameter("remote", "1 to let it load images, styles and fonts", "integer"),
            ),
            media_type=html,
            errors=gone,
        ),
        call(
            "GET",
            f"{_ONE}/attachments/{{index}}",
            mails.attachment,
            "The content of an attachment, counted from 0",
            media_type=binary,
            errors=gone,
        ),
        call(
            "GET",
            f"{_ONE}/images/{{index}}",
            mails.image,
            "The content of an image, counted from 0",
            media_type=binary,
            errors=gone,
        ),
        call(
            "POST",
            f"{_ONE}/events",
            mails.record_event,
            "Let it be opened, clicked, bounced (open, click, soft_bounce, hard_bounce, spam) at "
            "one recipient, or at all",
            body=_EVENT,
            answer="Events",
            errors=(400, 404),
        ),
        call(
            "GET",
            "/release",
            happenings.smtp_server,
            "Where mails can be released to, and for whom",
            answer="SmtpServer",
        ),
        call(
            "POST",
            f"{_ONE}/release",
            happenings.release,
            "Hand it on to the SMTP server: to those of its recipients on the allow-list, or to "
            "the allowed addresses given",
            body={"to": ["ada@example.com"]},
            answer="Released",
            errors=(400, 404, 502),
        ),
        call(
            "GET",
            "/event_rules",
            happenings.rules,
            "The script: what becomes of mails by itself",
            answer="EventRules",
        ),
        call(
            "POST",
            "/event_rules",
            happenings.add_rule,
            "Add a rule to the script, for mails from then on: EVENT SHARE% [within TIME]",
            body={"rule": "open 30% within 5s"},
            answer="EventRule",
            errors=wrong,
        ),
        call("DELETE", "/event_rules", happenings.forget_rules, "Remove all rules of the script"),
        call(
            "DELETE",
            "/event_rules/{number}",
            happenings.forget_rule,
            "Remove a rule of the script",
            errors=gone,
        ),
        call(
            "GET",
            "/deliveries",
            happenings.deliveries,
            "What was and is to be posted to webhooks, newest first",
            parameters=_DELIVERIES,
            answer="Deliveries",
            errors=wrong,
        ),
        call(
            "GET",
            "/deliveries/{number}",
            happenings.delivery,
            "One delivery: what exactly is posted, and what was answered at each attempt",
            answer="WholeDelivery",
            errors=gone,
        ),
        call(
            "POST",
            "/deliveries/{number}/replay",
            happenings.replay,
            "Post it once more, byte for byte, and say what was answered",
            answer="WholeDelivery",
            errors=gone,
        ),
        call(
            "GET",
            "/smtp_users",
            state.smtp_users,
            "SMTP users, their limits, and how much of each is used",
            answer="SmtpUsers",
        ),
        call(
            "POST",
            "/smtp_users",
            state.add_smtp_user,
            "Add or replace an SMTP user",
            body=_USER,
            errors=wrong,
        ),
        call("GET", "/templates", state.templates, "Templates", answer="Templates"),
        call(
            "POST",
            "/templates",
            state.add_template,
            "Add or replace a template",
            body={"template_id": "welcome", "html": "Dear {{NAME}}"},
            errors=wrong,
        ),
        call(
            "GET",
            "/sending_domains",
            state.sending_domains,
            "Sending domains",
            answer="SendingDomains",
        ),
        call(
            "POST",
            "/sending_domains",
            state.add_sending_domain,
            "Add a sending domain, or say whether it is right",
            body=_DOMAIN,
            errors=wrong,
        ),
        call(
            "GET",
            "/tracking_domains",
            state.tracking_domains,
            "Tracking domains",
            answer="TrackingDomains",
        ),
        call(
            "POST",
            "/tracking_domains",
            state.add_tracking_domain,
            "Add a tracking domain, or say whether it is right",
            body=_DOMAIN,
            errors=wrong,
        ),
        call("GET", "/webhooks", state.webhooks, "Webhooks, without their keys", answer="Webhooks"),
        call("GET", "/faults", state.faults, "Faults that are switched on", answer="Faults"),
        call(
            "POST",
            "/faults",
            state.add_fault,
            "Switch a fault on",
            body=_FAULT,
            answer="Fault",
            errors=wrong,
        ),
        call("DELETE", "/faults", state.forget_faults, "Switch all faults off"),
        call("DELETE", "/faults/{number}", state.forget_fault, "Switch a fault off", errors=gone),
        call("GET", "/clock", state.clock, "The time, in seconds since the epoch", answer="Clock"),
        call(
            "POST",
            "/clock",
            state.advance,
            "Let time pass, in seconds",
            body={"advance": 61},
            answer="Clock",
            errors=wrong,
        ),
        call("POST", "/reset", state.reset, "Forget everything"),
        call(
            "GET",
            "/health",
            state.health,
            "The version, and how many mails there are",
            answer="Health",
        ),
        call("GET", "/images/{key}/{number}/{index}", mails.inline_image, "", media_type="image/*"),
    ]


def control_router(
    service: Service, calls: list[Operation], more: list[Route], *, max_body: int = MAX_BODY
) -> Router:
    """
    Return the application that answers *calls* and *more* routes; a body of more than *max_body*
    bytes is answered with 413.
    """
    routes = [
        Route(path, Resource(of_path, max_body=max_body))
        for path, of_path in groupby(calls, lambda operation: operation.path)
    ]
    return Router(
        [*more, Route("/stream", Stream(service.store.changes)), *routes],
        default=_nothing,
        redirect_slashes=False,
    )


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await error(404, "there is no such path")(scope, receive, send)
