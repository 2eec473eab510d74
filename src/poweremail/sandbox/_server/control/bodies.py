"""The bodies of requests to the control API, and the query of a page."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field

from poweremail.sandbox._server.control.requests import (
    MAX_NUMBER,
    Body,
    Flag,
    Number,
    Text,
    expects,
)
from poweremail.sandbox._webhooks.deliveries import DeliveryState

_MAX_WAIT_SECONDS = 300

Limit = Annotated[int, expects("a number from 1 on, or null")]


def _examples(*examples: dict[str, Any]) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [*examples]})


class Search(Body):
    """Conditions that a mail meets, all of them."""

    search: Text | None = None
    """
    words and "phrases" that are all in the mail (its subject, addresses, ids, text, HTML, headers
    and names of files), also from:, to:, subject:, tag:, has:attachment, is:unread, is:read,
    before: and after:
    """
    to: Text | None = None
    """the whole address of a recipient"""
    from_email: Text | None = None
    """the whole address of the sender"""
    subject: Text | None = None
    """a part of the subject"""
    unique_id: Text | None = None
    """the whole X-Unique-Id"""
    status: Text | None = None
    """
    the state at one recipient at least: delivered, soft_bounce, open, click, hard_bounce or spam
    """

    def conditions(self) -> dict[str, Any]:
        """Return the conditions that are set, for `MailFilter`."""
        members = self.model_dump(include={*Search.model_fields})
        return {name: value for name, value in members.items() if value}


class PageQuery(Search, strict=False):
    """The query of a page of mails."""

    before: Number | None = None
    """only lower numbers: the next page begins before the last of this one"""
    after: Number | None = None
    """only higher numbers, oldest first: to follow new mails"""
    limit: Number = 100
    """the most to return, up to 1000"""


class DeleteQuery(Search, strict=False):
    """The mails to delete; without a condition all."""


class DeleteBody(Body):
    """The mails to delete, by their numbers."""

    model_config: ClassVar = _examples({"numbers": [1, 2]})
    numbers: list[Number]


class ReadBody(Body):
    """Whether a mail was read."""

    model_config: ClassVar = _examples({"read": True})
    read: Flag = True


class DeliveriesQuery(Body, strict=False):
    """The query of a page of deliveries."""

    webhook_id: Text = ""
    """only those of one webhook"""
    state: Annotated[DeliveryState | None, expects("one of waiting, delivered, failed")] = None
    """waiting, delivered or failed"""
    before: Number = MAX_NUMBER
    """only lower numbers: the next page begins before the last of this one"""
    limit: Number = 50
    """the most to return, up to 1000"""


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
