"""
From a mail object of Django to a message of the service.

What Django itself has (bodies, files, headers, Bcc) is read by `Message.from_email_message`. The
rest are attributes of the mail object, most of them named as django-anymail names them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import attrs
from django.core.mail.message import BadHeaderError

from poweremail import Message, TemplateMessage, Tracking, UsageError
from poweremail._messages.envelope import OPTION_HEADERS

_FIELDS = ("unique_id", "stream", "unsubscribe", *OPTION_HEADERS)
"""Fields of a message that an attribute of the same name has."""

_NOT_CARRIED = {
    "envelope_sender": "set a return-path domain in the account",
    "esp_extra": None,
    "merge_data": "send a mail to each recipient",
    "merge_headers": "send a mail to each recipient",
    "merge_metadata": "send a mail to each recipient",
    "send_at": "OutboxEmailBackend has not_before",
}
"""Attributes of django-anymail that the service has no place for, and what to do instead."""


class _InvalidHeaderError(UsageError, BadHeaderError):  # type: ignore[misc]
    """What `UsageError` is, and what applications catch, as Django's documentation has it."""


@attrs.frozen(kw_only=True)
class Reading:
    """A mail object of Django, read."""

    mail: Any
    message: Message | TemplateMessage
    smtp_user_name: str | None = None
    key: str | None = None
    not_before: datetime | None = None
    expires: datetime | None = None


def read_mail(mail: Any, headers: Mapping[str, str | None], *, queued: bool = False) -> Reading:
    """
    Return *mail* as the service can carry it.

    *headers*: the names of the headers for ``tags`` and ``metadata``, None if there is none.
    *queued*: whether it goes to the outbox, which has a place for *key*, *not_before* and
    *expires*, but none for an SMTP user.

    Raises `UsageError` if something would be lost or is invalid.
    """
    extras = _Extras(mail)
    for name, advice in _NOT_CARRIED.items():
        extras.reject(name, advice)
    queue = {name: extras.take(name) for name in ("key", "not_before", "expires")}
    smtp_user_name = extras.take("smtp_user_name")
    if queued and smtp_user_name is not None:
        raise UsageError(
            "the outbox has no place for it",
            field="smtp_user_name",
            advice="its worker sends with the SMTP user of its own options",
        )
    if not queued and (given := [name for name, value in queue.items() if value is not None]):
        raise UsageError(
            "belongs to the outbox, and this backend sends at once",
            field=given[0],
            advice="use OutboxEmailBackend",
        )
    message = _message(mail, extras)
    changes: dict[str, Any] = {}
    if (tracking := _tracking(extras)) is not None:
        if message.tracking is not None:
            raise UsageError("is set by a header, too", field="tracking")
        changes["tracking"] = tracking
    changes |= _options(message, extras)
    if added := _headers(extras, headers):
        known = {name.lower() for name in message.headers}
        if twice := [name for name in added if name.lower() in known]:
            raise UsageError("the mail has this header already", field=twice[0])
        changes["headers"] = {**message.headers, **added}
    return Reading(
        mail=mail,
        message=attrs.evolve(message, **changes) if changes else message,
        smtp_user_name=smtp_user_name,
        **queue,
    )


class _Extras:
    """The attributes of a mail object that Django does not know."""

    def __init__(self, mail: Any) -> None:
        self._mail = mail

    def take(self, *names: str) -> Any:
        """Return the attribute that has one of these *names*, None if there is none."""
        values = {name: getattr(self._mail, name, None) for name in names}
        given = {name: value for name, value in values.items() if value is not None}
        if len(given) > 1:
            raise UsageError(f"means the same as {names[0]}; give one of them", field=names[1])
        return next(iter(given.values()), None)

    def reject(self, name: str, advice: str | None) -> None:
        value = getattr(self._mail, name, None)
        if value is not None and value != {}:
            raise UsageError("the service has no place for it", field=name, advice=advice)


def _message(mail: Any, extras: _Extras) -> Message | TemplateMessage:
    template_id = extras.take("template_id")
    dynamic_value = extras.take("dynamic_value", "merge_global_data")
    if template_id is None and dynamic_value is not None:
        raise UsageError("needs a template_id", field="dynamic_value")
    try:
        if template_id is None:
            return Message.from_email_message(mail)
        return TemplateMessage.from_email_message(
            mail, template_id=template_id, dynamic_value=dynamic_value
        )
    except UsageError as error:
        kind = UsageError
        if isinstance(error.__cause__, BadHeaderError) and BadHeaderError is not ValueError:
            kind = _InvalidHeaderError
        advice = error.advice
        if error.field == "email_message":
            advice = "add what it lacks, and leave out what the service cannot carry"
        raise kind(error.reason, field=error.field, advice=advice) from error


def _tracking(extras: _Extras) -> Tracking | None:
    tracking: Tracking | None = extras.take("tracking")
    opens, clicks = extras.take("track_opens"), extras.take("track_clicks")
    if opens is clicks is None:
        return tracking
    if tracking is not None:
        raise UsageError("is said by tracking already", field="track_opens or track_clicks")
    if isinstance(clicks, bool):
        clicks = "both" if clicks else "no"
    return Tracking(opens=opens, clicks=clicks)


def _options(message: Message | TemplateMessage, extras: _Extras) -> dict[str, Any]:
    """The options that attributes or headers can give; both may only say the same."""
    given = {name: extras.take(name) for name in _FIELDS}
    for name, value in given.items():
        if value is not None and getattr(message, name) not in (None, value):
            raise UsageError("differs from that of the headers", field=name)
    return {name: value for name, value in given.items() if value is not None}


def _headers(extras: _Extras, names: Mapping[str, str | None]) -> dict[str, str]:
    """The headers of ``tags`` and ``metadata``: names between commas, and JSON."""
    found: dict[str, str] = {}
    for field, write in (("tags", _write_tags), ("metadata", _write_metadata)):
        value = extras.take(field)
        if not value:
            continue
        if (name := names.get(field)) is None:
            raise UsageError(
                "the service has no place for it",
                field=field,
                advice=f"POWEREMAIL[{f'{field}_header'.upper()!r}] names a header that carries it",
            )
        found[name] = write(value)
    return found


def _write_tags(tags: Iterable[str]) -> str:
    tags = [tags] if isinstance(tags, str) else list(tags)
    for tag in tags:
        if not isinstance(tag, str) or "," in tag:
            raise UsageError(f"{tag!r} is no text without a comma", field="tags")
    return ", ".join(tags)


def _write_metadata(metadata: Mapping[str, Any]) -> str:
    try:
        return json.dumps(metadata)
    except (TypeError, ValueError) as error:
        raise UsageError(f"cannot be JSON: {error}", field="metadata") from None
