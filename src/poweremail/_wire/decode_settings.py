"""The answers to the calls about settings and about the account, as types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from poweremail._response import Response
from poweremail._types.account import (
    AccountDetail,
    Listing,
    SendingDomain,
    SmtpUser,
    TrackingDomain,
    Webhook,
)
from poweremail._types.frozen import FrozenMapping
from poweremail._types.secret import Secret
from poweremail._wire import readers
from poweremail._wire.decode import ApiResponse
from poweremail.errors import ProtocolError

__all__ = [
    "account_detail",
    "listing",
    "one",
    "sending_domain",
    "smtp_user",
    "tracking_domain",
    "webhook",
]

T = TypeVar("T")
Decoder = Callable[[Mapping[str, Any], Response], T]

_ENVELOPE = ("status", "message")


def listing(name: str, decode: Decoder[T], response: ApiResponse) -> Listing[T]:
    """
    Decode each entry of the list in the member *name*. Raises `ProtocolError` if there is none.
    """
    answer, raw = response.members, response.response
    entries = answer.get(name)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ProtocolError(f"the answer has no list of objects in {name}", raw=raw)
    extra = {member: value for member, value in answer.items() if member not in (*_ENVELOPE, name)}
    return Listing(
        entries=tuple(decode(entry, raw) for entry in entries),
        extra=FrozenMapping(extra),
        raw=raw,
    )


def one(decode: Decoder[T], response: ApiResponse, *names: str) -> T:
    """
    Decode the object in the first of the members *names* that there is; without names, the
    response itself.

    Raises `ProtocolError` if there is no such object.
    """
    answer, raw = response.members, response.response
    if not names:
        return decode({name: value for name, value in answer.items() if name not in _ENVELOPE}, raw)
    found = next((answer[name] for name in names if name in answer), None)
    if not isinstance(found, dict):
        raise ProtocolError(f"the answer has no object in {' or '.join(names)}", raw=raw)
    return decode(found, raw)


def smtp_user(members: Mapping[str, Any], response: Response) -> SmtpUser:
    """An SMTP user. Raises nothing, as its siblings do not."""
    left = _Members(members)
    return SmtpUser(
        smtp_user_name=left.take("smtp_user_name", _text) or "",
        enabled=left.take("status", readers.yes_no),
        total_limit=left.take("total_limit", readers.integer),
        hourly_limit=left.take("hourly_limit", readers.integer),
        password=left.take("smtp_password", _secret) or left.take("password", _secret),
        extra=left.extra(),
        raw=response,
    )


def sending_domain(members: Mapping[str, Any], response: Response) -> SendingDomain:
    """A sending domain."""
    left = _Members(members)
    return SendingDomain(
        domain=left.take("domain", _text) or "",
        create_date=left.take("create_date", readers.time),
        dkim_valid=left.take("dkim", _valid),
        spf_valid=left.take("spf", _valid),
        verified=left.take("verify_domain", _valid),
        valid_signing=left.take("valid_signing", _valid),
        extra=left.extra(),
        raw=response,
    )


def tracking_domain(members: Mapping[str, Any], response: Response) -> TrackingDomain:
    """A tracking domain."""
    left = _Members(members)
    return TrackingDomain(
        domain=left.take("domain", _text) or "",
        create_date=left.take("create_date", readers.time),
        cname_valid=left.take("cname", _valid),
        valid_tracking=left.take("valid_tracking", _valid),
        extra=left.extra(),
        raw=response,
    )


def webhook(members: Mapping[str, Any], response: Response) -> Webhook:
    """A webhook."""
    left = _Members(members)
    return Webhook(
        webhook_id=left.take("webhook_id", _text) or "",
        url=left.take("url", _text),
        events=left.take("event", readers.words) or (),
        key=left.take("key", _secret),
        store_log=left.take("store_log", readers.yes_no),
        description=left.take("description", _text),
        create_date=left.take("create_date", readers.time),
        last_success=left.take("last_success", readers.time),
        total_event=left.take("total_event", readers.integer),
        extra=left.extra(),
        raw=response,
    )


def account_detail(members: Mapping[str, Any], response: Response) -> AccountDetail:
    """The account."""
    left = _Members(members)
    return AccountDetail(
        name=left.take("name", _text),
        email=left.take("email", _text),
        mobile=left.take("mobile", _text),
        create_date=left.take("create_date", readers.time),
        allowed_speed=left.take("allowed_speed", readers.integer),
        reputation=left.take("reputation", readers.percent),
        extra=left.extra(),
        raw=response,
    )


class _Members:
    """The members of an object, of which those that were read are taken away."""

    def __init__(self, members: Mapping[str, Any]) -> None:
        self._left = dict(members)

    def take(self, name: str, read: Callable[[Any], T | None]) -> T | None:
        """
        Return what *read* makes of the member *name*. It stays where *read* makes nothing of it, or
        not all.
        """
        value = self._left.get(name)
        found = read(value)
        told = found is not None or value in (None, "")
        if told and not (isinstance(value, dict) and value.keys() != {"valid"}):
            self._left.pop(name, None)
        return found

    def extra(self) -> FrozenMapping[Any]:
        """What is left."""
        return FrozenMapping(self._left)


def _text(value: object) -> str | None:
    """An id may come as a number."""
    return None if isinstance(value, bool) or not isinstance(value, str | int) else str(value)


def _secret(value: object) -> Secret | None:
    return value if isinstance(value, Secret) and value else None


def _valid(value: object) -> bool | None:
    """``{"valid": "Yes"}``, or the word alone."""
    return readers.yes_no(value.get("valid") if isinstance(value, dict) else value)
