"""The responses of the control API: what is declared here can be relied on."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AliasPath,
    BaseModel,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
)


class Reply(BaseModel, from_attributes=True):
    """A response. Its values come from a mapping, or from the attributes of an object."""


Time = Annotated[
    datetime,
    PlainSerializer(datetime.isoformat),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Nothing(Reply):
    """The response to a call that has nothing to report."""


NOTHING = Nothing()


class Error(Reply):
    """The response to a call that failed."""

    error: str


class Mailbox(Reply):
    """An address; *type* is ``to``, ``cc`` or ``bcc``."""

    type: str
    email: str
    name: str | None


class Recipient(Mailbox):
    """A recipient and the state of the mail at it."""

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
    read: bool
    tags: list[str]


class Summary(_Mail):
    """A mail in a list, with its first recipients; *snippet* is the beginning of its text."""

    snippet: str
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


class Change(Reply):
    """A change: its kind, as in the stream, and the number of the mail, if it is about one."""

    kind: str
    number: int | None


class Changes(Reply):
    """Changes in order, and where the next call goes on."""

    last: str
    changes: list[Change]


class AttachedMessage(Reply):
    """A mail that is attached to a mail."""

    subject: str
    from_email: str
    from_name: str | None
    recipients: list[Mailbox]
    headers: dict[str, str]
    html: str | None
    text: str | None
    files: list[File]


class Finding(Reply):
    """What a check has found; *advice* says what to do about it."""

    check: str
    text: str
    advice: str


class Checks(Reply):
    """The findings of all checks of a mail."""

    findings: list[Finding]


class CheckedLink(Reply):
    """A link, whether it leads somewhere (``null``: not known), and what happened."""

    link: str
    ok: bool | None
    result: str


class CheckedLinks(Reply):
    """The web links of a mail that were checked, and those that were not, with the reason."""

    links: list[CheckedLink]


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


class Template(Reply):
    """A template."""

    template_id: str
    subject: str | None
    html: str | None
    text: str | None


class Domain(Reply):
    """A domain, and whether all checks of it succeed."""

    domain: str
    created: Time
    valid: bool


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


class EventRule(Reply):
    """A rule of the script; *share* is from 0 to 1, *within* in seconds."""

    number: int
    rule: Annotated[str, BeforeValidator(str)]
    event: str = Field(validation_alias=AliasPath("rule", "event"))
    share: float = Field(validation_alias=AliasPath("rule", "share"))
    within: float = Field(validation_alias=AliasPath("rule", "within"))


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
