"""
What a request asks for: it is read and checked here, and nothing is done about it.

What is accepted follows what the vendor publishes. Where that says nothing, the sandbox refuses
only what no mail could carry.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

import attrs

from poweremail._types.secret import Secret
from poweremail.sandbox._api import messages as content
from poweremail.sandbox._api import settings as settings_calls
from poweremail.sandbox._api.call import Call
from poweremail.sandbox._api.parts import text
from poweremail.sandbox._api.reading import read_json, read_query
from poweremail.sandbox._api.responses import Refusal
from poweremail.sandbox._store.database import Store
from poweremail.sandbox._store.mail import MailContent

__all__ = ["Lookup", "Requests", "Setting", "Wanted", "call_name"]

_PREFIX = "/v1.0"
# The path of each call, and the name under which the sandbox knows it. Some deployments spell
# sendRaw the second way.
_CALLS = {
    "/messages/sendMail": "sendMail",
    "/messages/sendTemplate": "sendTemplate",
    "/messages/sendTemplateHTTPGet": "sendTemplateHTTPGet",
    "/messages/sendRaw": "sendRaw",
    "/messages/senRaw": "sendRaw",
    "/messages/getMessageInfo": "getMessageInfo",
    **settings_calls.PATHS,
}
_SETTINGS = frozenset(settings_calls.PATHS.values())
_LONGEST_PAGE_NUMBER = 18
"""Digits of a ``skip_page``: more than any store has pages, and no more than SQLite can count."""


@attrs.frozen
class Lookup:
    """Page *page*, from 0 on, of what getMessageInfo says of the mails with *unique_id*."""

    unique_id: str
    page: int


@attrs.frozen
class Setting:
    """A call about settings or the account: its name and its members."""

    call: str
    members: Mapping[str, Any]


Wanted = MailContent | Lookup | Setting
"""What a request asks for."""


def call_name(path: str) -> str | None:
    """The name of the call at *path*, None where there is none."""
    return _CALLS.get(path.removeprefix(_PREFIX))


class Requests:
    """
    Reads requests, with a look into *store*. Any owner id and token will do unless *owner_id* and
    *token* say which.
    """

    def __init__(self, store: Store, owner_id: str | None, token: Secret | None) -> None:
        self._store = store
        self._owner_id = None if owner_id is None else Secret(owner_id)
        self._token = token

    def read(self, call: Call, name: str | None) -> Wanted:
        """Return what *call* asks for, whose `call_name` is *name*. Raises `Refusal`."""
        if name is None:
            raise Refusal("Page not found", name=None)
        method = "GET" if name == "sendTemplateHTTPGet" else "POST"
        if call.method.upper() != method:
            raise Refusal(f"This call is made with {method}")
        members = read_query(call.query) if method == "GET" else read_json(call.body)
        self._authenticate(members)
        if name in _SETTINGS:
            return Setting(name, members)
        if name == "getMessageInfo":
            return _lookup(members)
        smtp_user_name = self._smtp_user_name(members)
        match name:
            case "sendMail":
                return content.read_send_mail(smtp_user_name, members)
            case "sendTemplate":
                return content.read_send_template(smtp_user_name, members, self._store.template)
            case "sendTemplateHTTPGet":
                return content.read_send_template_http_get(
                    smtp_user_name, members, self._store.template
                )
            case _:
                return content.read_raw(smtp_user_name, members)

    def _authenticate(self, members: dict[str, Any]) -> None:
        """
        Take the credentials out of *members*; in no frame that raises is there a name for them.
        """
        right = (
            _is(members.pop("owner_id", None), self._owner_id),
            _is(members.pop("token", None), self._token),
        )
        if not all(right):
            raise Refusal("Token MissMatch", name="AuthenticationError")

    def _smtp_user_name(self, members: Mapping[str, Any]) -> str:
        name = text(members.get("smtp_user_name"))
        if name is None:
            raise Refusal("smtp user required !!")
        may_send = self._store.may_send(name)
        if not may_send:
            raise Refusal("Invalid smtp user" if may_send is None else "The smtp user is disabled")
        return name


def _is(given: Any, wanted: Secret | None) -> bool:
    """
    Whether a credential will do: any that is not empty, or the *wanted* one. An owner id may come
    as a number.
    """
    if isinstance(given, bool) or not isinstance(given, str | int) or given == "":
        return False
    return wanted is None or hmac.compare_digest(str(given).encode(), wanted.reveal().encode())


def _lookup(members: Mapping[str, Any]) -> Lookup:
    unique_id = text(members.get("x_unique_id"))
    if unique_id is None:
        raise Refusal("You must specify x_unique_id")
    page = members.get("skip_page")
    digits = "0" if page is None or page == "" else str(page)
    if isinstance(page, bool) or not (digits.isascii() and digits.isdecimal()):
        raise Refusal("Invalid skip_page: it must be a page number from 0 on")
    return Lookup(unique_id, int(digits[:_LONGEST_PAGE_NUMBER]))
