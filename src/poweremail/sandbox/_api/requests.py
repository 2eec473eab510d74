"""
Read a request into a mail to accept, or into another call, for the service to carry out.

The rules are those that the vendor publishes. If it publishes none, the sandbox rejects only values
that no mail could carry.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

import attrs

from poweremail._types.secret import Secret
from poweremail.sandbox._api import Call, messages, settings
from poweremail.sandbox._api.options import with_options
from poweremail.sandbox._api.parts import text
from poweremail.sandbox._api.reading import read_json, read_query
from poweremail.sandbox._api.responses import Members, Refusal
from poweremail.sandbox._store.accounts import AccountStore
from poweremail.sandbox._store.database import Store
from poweremail.sandbox._store.mail import MailContent

_READERS: dict[str, messages.Reader] = {
    "sendMail": messages.read_send_mail,
    "sendTemplate": messages.read_send_template,
    "sendTemplateHTTPGet": messages.read_send_template_http_get,
    "sendRaw": messages.read_raw,
}

SENDS = tuple(_READERS)
"""The calls that send a mail."""

_OTHER_CALLS = {"/messages/getMessageInfo": messages.look_up, **settings.CALLS}

_NAMES = {
    **{f"/messages/{name}": name for name in SENDS},
    # As some deployments and published clients spell them.
    "/messages/senRaw": "sendRaw",
    "/settings/addSmtpUser": "addSmtp",
    "/settings/keyRestWebhook": "keyResetWebhook",
    **{path: path.rpartition("/")[2] for path in _OTHER_CALLS},
}
"""The name of the call at each path."""

CALLS = tuple(dict.fromkeys(_NAMES.values()))
"""The names of all calls."""

_PREFIX = "/v1.0"
_FUNCTIONS = {_NAMES[path]: function for path, function in _OTHER_CALLS.items()}


@attrs.frozen
class OtherCall:
    """A call that sends nothing: the function that carries it out, and its members."""

    carry_out: Callable[[settings.AccountCall], Members]
    members: Members


Wanted = MailContent | OtherCall
"""The content of a request: a mail to accept, or another call to carry out."""


def call_name(path: str) -> str | None:
    """Return the name of the call at *path*, or None if there is none."""
    return _NAMES.get(path.removeprefix(_PREFIX))


@attrs.frozen
class Requests:
    """
    Reads requests.

    *store*
        Has the templates and the SMTP users.
    *owner_id*, *token*
        The credentials to accept; None accepts any that are not empty.
    """

    store: Store
    owner_id: Secret | None
    token: Secret | None

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
        if function := _FUNCTIONS.get(name):
            return OtherCall(function, members)
        return MailContent(
            operation=name,
            smtp_user_name=self._smtp_user_name(members),
            raw=members,
            **with_options(_READERS[name](members, self.store.template), AccountStore(self.store)),
        )

    def _authenticate(self, members: Members) -> None:
        """
        Check the credentials, and remove them from *members*: no later frame that raises may hold
        them (Secrets: docs/design.md). Raises `Refusal` if they are wrong.
        """
        # Both are removed before either is judged.
        verdicts = (
            _accepted(members.pop("owner_id", None), self.owner_id),
            _accepted(members.pop("token", None), self.token),
        )
        if not all(verdicts):
            raise Refusal("Token MissMatch", name="AuthenticationError")

    def _smtp_user_name(self, members: Members) -> str:
        name = text(members.get("smtp_user_name"))
        if name is None:
            raise Refusal("smtp user required !!")
        may_send = self.store.may_send(name)
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
