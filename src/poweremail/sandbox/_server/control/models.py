"""The JSON objects of the control API: the bodies of its requests, and its responses."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import (
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from poweremail.sandbox._server.control.requests import Body, Flag, Number, Text, expects

_MAX_WAIT_SECONDS = 300

Limit = Annotated[int, expects("a number from 1 on, or null")]


def _examples(*examples: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [*examples]})


class Search(Body):
    """Conditions that a mail meets, all of them."""

    search: Text | None = Field(
        None,
        description="words that are all in the subject, an address, a name, the unique id or the "
        "template's id",
    )
    to: Text | None = Field(None, description="the whole address of a recipient")
    from_email: Text | None = Field(None, description="the whole address of the sender")
    subject: Text | None = Field(None, description="a part of the subject")
    unique_id: Text | None = Field(None, description="the whole X-Unique-Id")
    status: Text | None = Field(
        None,
        description="the state at one recipient at least: delivered, soft_bounce, open, click, "
        "hard_bounce or spam",
    )

    def conditions(self) -> dict[str, Any]:
        """Return the conditions that are set, for `MailFilter`."""
        members = self.model_dump(include={*Search.model_fields})
        return {name: value for name, value in members.items() if value}


class PageQuery(Search):
    """The query of a page of mails."""

    model_config: ClassVar = ConfigDict(strict=False)
    before: Number | None = Field(
        None,
        description="only lower numbers: the next page begins before the last of this one",
    )
    after: Number | None = Field(
        None, description="only higher numbers, oldest first: to follow new mails"
    )
    limit: Number = Field(100, description="the most to return, up to 1000")


class WaitBody(Search):
    """The mail to wait for, and how long."""

    model_config: ClassVar = _examples(
        {"to": "ada@example.com", "subject": "Confirm", "timeout": 30}
    )
    after: Number = 0
    timeout: Annotated[
        float,
        Field(ge=0, le=_MAX_WAIT_SECONDS),
        expects(f"a number of seconds from 0 to {_MAX_WAIT_SECONDS}"),
    ] = 30


class EventBody(Body):
    """An event to record."""

    model_config: ClassVar = _examples(
        {"kind": "click", "recipient": "ada@example.com", "url": "https://example.com/"}
    )
    kind: Text = ""
    recipient: Text | None = None
    ip: Text | None = None
    user_agent: Text | None = None
    url: Text | None = None


class ReleaseBody(Body):
    """The addresses that get a mail; all allowed ones among its recipients by default."""

    model_config: ClassVar = _examples({"to": ["ada@example.com"]})
    to: Annotated[str | list[str] | None, expects("an address or a list of addresses")] = None


class RuleBody(Body):
    """A rule of the script: ``EVENT SHARE% [within TIME]``."""

    model_config: ClassVar = _examples({"rule": "open 30% within 5s"})
    rule: Text = ""


class SmtpUserBody(Body):
    """An SMTP user and its limits; ``null`` is no limit of its own."""

    model_config: ClassVar = _examples(
        {
            "name": "news",
            "enabled": True,
            "per_minute": 60,
            "per_hour": 3600,
            "per_day": 50000,
            "total_limit": 100000,
        }
    )
    name: Text
    enabled: Flag = True
    per_minute: Limit | None = None
    per_hour: Limit | None = None
    per_day: Limit | None = None
    hourly_limit: Limit | None = None
    total_limit: Limit | None = None


class TemplateBody(Body):
    """A template."""

    model_config: ClassVar = _examples({"template_id": "welcome", "html": "Dear {{NAME}}"})
    template_id: Text
    subject: Text | None = None
    html: Text | None = None
    text: Text | None = None


class DomainBody(Body):
    """A domain, and whether all checks of it succeed."""

    model_config: ClassVar = _examples({"domain": "example.com", "valid": True})
    domain: Text
    valid: Flag = True


class FaultBody(Body):
    """A fault, and which calls it hits. The sandbox checks these members itself."""

    model_config: ClassVar = _examples(
        {"fault": {"kind": "status", "code": 503}, "call": "sendMail", "times": 2}
    )
    fault: Any = None
    call: Any = None
    recipient: Any = None
    nth: Any = None
    times: Any = None
    chance: Any = 1


class AdvanceBody(Body):
    """Seconds by which the clock is advanced."""

    model_config: ClassVar = _examples({"advance": 61})
    advance: Annotated[float, expects("a number of seconds from 0 on")]


class Reply(BaseModel):
    """A response. Its values come from a mapping, or from the attributes of an object."""

    model_config: ClassVar = ConfigDict(from_attributes=True)


Time = Annotated[
    datetime,
    PlainSerializer(datetime.isoformat),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Nothing(Reply):
    """The response to a call that has nothing to report."""


class Error(Reply):
    """The response to a call that failed."""

    error: str


class Recipient(Reply):
    """A recipient and the state of the mail at it."""

    type: str
    email: str
    name: str | None
    status: str


class CountedRecipient(Recipient):
    """A recipient with how often it opened the mail and clicked in it."""

    open: int
    click: int


class _Mail(Reply):
    number: int
    received: Time
    operation: str
    smtp_user_name: str
    unique_id: str | None
    subject: str
    from_email: str
    from_name: str | None
    template_id: str | None
    mail_size: int


class Summary(_Mail):
    """A mail in a list, with its first recipients."""

    recipients: list[Recipient]
    recipient_count: int
    statuses: dict[str, int]
    attachment_count: int


class Page(Reply):
    """A page of mails; *total* counts all that are kept."""

    messages: list[Summary]
    more: bool
    total: int


class File(Reply):
    """An attachment or an image; *size* is in bytes."""

    name: str
    type: str
    size: int


class Event(Reply):
    """An event of a mail at one recipient."""

    number: int
    kind: str
    email: str
    at: Time
    ip: str
    user_agent: str
    url: str | None


class Events(Reply):
    """The events that a call recorded."""

    events: list[Event]


class Message(_Mail):
    """A mail with all its parts but the content of files."""

    attachment_size: int
    headers: dict[str, str]
    dynamic_value: dict[str, str]
    html: str | None
    text: str | None
    recipients: list[CountedRecipient]
    attachments: list[File]
    images: list[File]
    events: list[Event]
    links: list[str]


class Forgotten(Reply):
    """The number of mails that were deleted."""

    forgotten: int


class Limits(Reply):
    """The limits of an SMTP user; ``null`` is no limit."""

    per_minute: int | None
    per_hour: int | None
    per_day: int | None
    hourly_limit: int | None
    total_limit: int | None


class Used(Reply):
    """How much of each limit is used."""

    per_minute: int
    per_hour: int
    per_day: int
    hourly_limit: int
    total_limit: int


class SmtpUser(Reply):
    """An SMTP user."""

    name: str
    enabled: bool
    limits: Limits
    used: Used


class SmtpUsers(Reply):
    """All SMTP users."""

    smtp_users: list[SmtpUser]


class Template(Reply):
    """A template."""

    template_id: str
    subject: str | None
    html: str | None
    text: str | None


class Templates(Reply):
    """All templates."""

    templates: list[Template]


class Domain(Reply):
    """A domain, and whether all checks of it succeed."""

    domain: str
    created: Time
    valid: bool


class SendingDomains(Reply):
    """All sending domains."""

    sending_domains: list[Domain]


class TrackingDomains(Reply):
    """All tracking domains."""

    tracking_domains: list[Domain]


class Webhook(Reply):
    """A webhook without its key, which would be enough to sign events."""

    webhook_id: str
    url: str
    events: list[str]
    store_log: bool
    description: str
    created: Time
    last_success: Time | None
    total_event: int


class Webhooks(Reply):
    """All webhooks."""

    webhooks: list[Webhook]


class Fault(Reply):
    """A fault that is switched on, how many calls it has seen, and how many of them it has hit."""

    fault: dict[str, Any]
    call: str | None
    recipient: str | None
    nth: int | None
    times: int | None
    chance: float
    number: int
    seen: int
    hit: int


class Faults(Reply):
    """All faults that are switched on."""

    faults: list[Fault]


class EventRule(Reply):
    """A rule of the script; *share* is from 0 to 1, *within* in seconds."""

    number: int
    rule: Annotated[str, BeforeValidator(str)]
    event: str = Field(validation_alias=AliasPath("rule", "event"))
    share: float = Field(validation_alias=AliasPath("rule", "share"))
    within: float = Field(validation_alias=AliasPath("rule", "within"))


class EventRules(Reply):
    """The script."""

    event_rules: list[EventRule]


class Attempt(Reply):
    """A POST to a webhook: its status, and the start of the response or the error."""

    at: Time
    status: int | None
    answer: str


class Delivery(Reply):
    """A delivery to a webhook."""

    number: int
    webhook_id: str
    url: str
    message: int = Field(validation_alias="mail")
    events: list[str]
    created: Time
    state: str
    next_attempt: Time | None
    attempts: list[Attempt]


class WholeDelivery(Delivery):
    """A delivery with all that is posted."""

    headers: Annotated[dict[str, str], BeforeValidator(dict)]
    body: str


class Deliveries(Reply):
    """A page of deliveries."""

    deliveries: list[Delivery]
    more: bool


class SmtpServer(Reply):
    """The SMTP server that mails are released to, and the addresses and domains it may get."""

    server: str | None
    allow: list[str]


class Released(Reply):
    """The recipients that the SMTP server accepted, and why it refused the others."""

    recipients: list[str]
    refused: dict[str, str]


class Clock(Reply):
    """The time in seconds since the epoch, and how much of it was added by hand."""

    now: float
    advanced: float


class Health(Reply):
    """A sign of life."""

    status: str
    version: str
    messages: int
