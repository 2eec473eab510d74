"""
Read a request into a mail, a lookup or a setting, which the service then carries out.

The rules are those that the vendor publishes. If it publishes none, the sandbox rejects only values
that no mail could carry.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any

import attrs

from poweremail._types.secret import Secret
from poweremail.sandbox._api import messages, settings
from poweremail.sandbox._api.call import Call
from poweremail.sandbox._api.parts import required, text
from poweremail.sandbox._api.reading import read_json, read_query
from poweremail.sandbox._api.responses import Refusal
from poweremail.sandbox._store.database import Store
from poweremail.sandbox._store.mail import MailContent

__all__ = ["CALLS", "SENDS", "Lookup", "Requests", "Setting", "Wanted", "call_name"]

_READERS: dict[str, messages.Reader] = {
    "sendMail": messages.read_send_mail,
    "sendTemplate": messages.read_send_template,
    "sendTemplateHTTPGet": messages.read_send_template_http_get,
    "sendRaw": messages.read_raw,
}

SENDS = tuple(_READERS)
"""The calls that send a mail."""

_NAMES = {
    **{f"/messages/{name}": name for name in (*SENDS, "getMessageInfo")},
    "/messages/senRaw": "sendRaw",  # as some deployments spell it
    **{path: path.rpartition("/")[2] for path in settings.CALLS},
}
"""The name of the call at each path."""

CALLS = tuple(dict.fromkeys(_NAMES.values()))
"""The names of all calls."""

_PREFIX = "/v1.0"
_SETTINGS = {_NAMES[path]: call for path, call in settings.CALLS.items()}
_MAX_PAGE_DIGITS = 18
"""A number of so many digits fits into SQLite's integers; further digits are cut off."""


@attrs.frozen
class Lookup:
    """Page *page*, from 0 on, of getMessageInfo for the mails with *unique_id*."""

    unique_id: str
    page: int


@attrs.frozen
class Setting:
    """A call about settings or the account: its function and its members."""

    carry_out: settings.SettingCall
    members: Mapping[str, Any]


Wanted = MailContent | Lookup | Setting
"""The content of a request: a mail to accept, a lookup to carry out, or a setting to change."""


def call_name(path: str) -> str | None:
    """Return the name of the call at *path*, or None if there is none."""
    return _NAMES.get(path.removeprefix(_PREFIX))


class Requests:
    """
    Reads requests.

    *store*
        Has the templates and the SMTP users.
    *owner_id*, *token*
        The credentials to accept; None accepts any that are not empty.
    """

    def __init__(self, store: Store, owner_id: str | None, token: Secret | None) -> None:
        self._store = store
        self._owner_id = None if owner_id is None else Secret(owner_id)
        self._token = token

    def read(self, call: Call, name: str | None) -> Wanted:
        """
        Return the content of *call*; *name* is its `call_name`.

        Raises `Refusal` if the service would reject it.
        """
        if name is None:
            raise Refusal("Page not found", name=None)
        method = "GET" if name == "sendTemplateHTTPGet" else "POST"
        if call.method.upper() != method:
            raise Refusal(f"This call is made with {method}")
        members = read_query(call.query) if method == "GET" else read_json(call.body)
        self._authenticate(members)
        if name in _SETTINGS:
            return Setting(_SETTINGS[name], members)
        if name == "getMessageInfo":
            return _lookup(members)
        smtp_user_name = self._smtp_user_name(members)
        return MailContent(
            operation=name,
            smtp_user_name=smtp_user_name,
            raw=members,
            **_READERS[name](members, self._store.template),
        )

    def _authenticate(self, members: dict[str, Any]) -> None:
        """
        Check the credentials, and remove them from *members*: no later frame that raises may hold
        them (Secrets: docs/design.md). Raises `Refusal` if they are wrong.
        """
        # Both are removed before either is judged.
        verdicts = (
            _accepted(members.pop("owner_id", None), self._owner_id),
            _accepted(members.pop("token", None), self._token),
        )
        if not all(verdicts):
            raise Refusal("Token MissMatch", name="AuthenticationError")

    def _smtp_user_name(self, members: Mapping[str, Any]) -> str:
        name = text(members.get("smtp_user_name"))
        if name is None:
            raise Refusal("smtp user required !!")
        may_send = self._store.may_send(name)
        if not may_send:
            raise Refusal("Invalid smtp user" if may_send is None else "The smtp user is disabled")
        return name


def _accepted(given: Any, expected: Secret | None) -> bool:
    """
    Return whether the credential *given* is *expected*; if that is None, any that is not empty is
    accepted. An owner id may be a number.
    """
    if isinstance(given, bool) or not isinstance(given, str | int) or given == "":
        return False
    # Encoded, because compare_digest raises on strings beyond ASCII.
    return expected is None or hmac.compare_digest(str(given).encode(), expected.reveal().encode())


def _lookup(members: Mapping[str, Any]) -> Lookup:
    unique_id = required(members.get("x_unique_id"), "x_unique_id")
    page = members.get("skip_page")
    digits = "0" if page is None or page == "" else str(page)
    if isinstance(page, bool) or not (digits.isascii() and digits.isdecimal()):
        raise Refusal("Invalid skip_page: it must be a page number from 0 on")
    return Lookup(unique_id, int(digits[:_MAX_PAGE_DIGITS]))
