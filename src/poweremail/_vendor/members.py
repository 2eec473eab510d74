"""
Messages as on the vendor's page: dicts, checked by the rules of that page and never changed.

Whatever the page does not forbid passes unchanged, including members that it does not name: the
service decides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from poweremail._messages.message import TemplateMessage
from poweremail._types.address import lists_several
from poweremail._types.checks import body_text, header_text, is_whole, required_text
from poweremail.errors import UsageError

_GET_FIELDS = ("template_id", "subject", "from_email", "to")
_DYNAMIC_VALUE = re.compile(r"dynamic_value\[(.*)\]\Z", re.DOTALL)
_RECIPIENT_TYPES = (None, "to", "cc", "bcc")


def check_mail(smtp_user_name: object, message: object) -> None:
    """Raise `UsageError` for the invalid member of a message for ``messages/sendMail``."""
    _required("smtp_user_name", smtp_user_name)
    members = _envelope(message)
    contents = [
        name
        for name in ("html", "text")
        if members.get(name) is not None and body_text(name, members[name]).strip()
    ]
    if not contents:
        raise UsageError("give html, text or both", field="html")


def check_template(smtp_user_name: object, message: object) -> None:
    """Raise `UsageError` for the invalid member of a message for ``messages/sendTemplate``."""
    _required("smtp_user_name", smtp_user_name)
    members = _envelope(message)
    _required("template_id", members.get("template_id"))
    for name, value in _texts("dynamic_value", members.get("dynamic_value")).items():
        body_text(f"dynamic_value[{name!r}]", value)


def check_raw(smtp_user_name: object, raw_message: object) -> None:
    """Raise `UsageError` if *raw_message* is not a text."""
    _required("smtp_user_name", smtp_user_name)
    if not body_text("raw_message", raw_message).strip():
        raise UsageError("must not be empty", field="raw_message")


def read_get(message: object) -> TemplateMessage:
    """
    Return a message for ``messages/sendTemplateHTTPGet``. Raises `UsageError` for a member that a
    GET cannot carry.
    """
    fields = dict(_dict("message", message))
    dynamic_value = _dict("dynamic_value", fields.pop("dynamic_value", None) or {}) | {
        found[1]: fields.pop(name)
        for name in list(fields)
        if (found := _DYNAMIC_VALUE.match(str(name)))
    }
    if spoken_for := sorted(fields.keys() & {"owner_id", "token", "smtp_user_name"}):
        raise UsageError("the client adds its own", field=", ".join(spoken_for))
    if others := fields.keys() - set(_GET_FIELDS):
        raise UsageError(
            "cannot be carried by a GET",
            field=", ".join(map(str, others)),
            advice="use sendTemplate",
        )
    template_id, subject, from_email, to = (
        _required(name, fields.get(name)) for name in _GET_FIELDS
    )
    return TemplateMessage(
        template_id=template_id,
        subject=subject,
        from_email=from_email,
        to=to,
        dynamic_value=dynamic_value,
    )


def settings(given: Mapping[str, object], needed: tuple[str, ...]) -> dict[str, Any]:
    """
    Return the members of a call about settings: those that are *given* and not None.

    A dict stands for the members in it. Raises `UsageError` if a *needed* member is missing, or a
    limit or a switch is invalid.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        found |= value if isinstance(value, dict) else {} if value is None else {name: value}
    for name in needed:
        if found.get(name) is None or found[name] == "":
            raise UsageError("is needed", field=name, mail_state=None)
    for name in ("total_limit", "hourly_limit"):
        limit = found.get(name, 1)
        if not is_whole(limit, 1):
            raise UsageError(
                f"must be a whole number above 0, not {limit!r}", field=name, mail_state=None
            )
    for name in ("status", "store_log"):
        if found.get(name, "Enable") not in ("Enable", "Disable"):
            raise UsageError(
                f"must be 'Enable' or 'Disable', not {found[name]!r}", field=name, mail_state=None
            )
    return found


def _envelope(given: object) -> Mapping[str, Any]:
    message = _dict("message", given)
    _required("subject", message.get("subject"))
    _one_address("from_email", message.get("from_email"))
    _optional("from_name", message.get("from_name"))
    if not message.get("to"):
        raise UsageError("give at least one recipient", field="to")
    for field, recipient in _dicts("to", message["to"]):
        _one_address(f"{field}.email", recipient.get("email"))
        _optional(f"{field}.name", recipient.get("name"))
        if recipient.get("type") not in _RECIPIENT_TYPES:
            raise UsageError(
                f"must be 'to', 'cc' or 'bcc', not {recipient['type']!r}", field=f"{field}.type"
            )
    for name, value in _texts("headers", message.get("headers")).items():
        header_text(f"headers[{name!r}]", value)
    _files(message)
    return message


def _files(message: Mapping[str, Any]) -> None:
    for member in ("attachments", "images"):
        for field, file in _dicts(member, message.get(member)):
            _required(f"{field}.name", file.get("name"))
            type = _required(f"{field}.type", file.get("type"))
            if member == "images" and not type.lower().startswith("image/"):
                raise UsageError(f"{type!r} does not begin with image/", field=f"{field}.type")
            # The service checks the base64: the page's own example is cut off in the middle of a
            # group.
            body_text(f"{field}.content", file.get("content"))


def _dict(field: str, value: object) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"must be a dict, not {type(value).__name__}", field=field)
    return value


def _required(field: str, value: object) -> str:
    if value is None:
        raise UsageError("is needed", field=field)
    return required_text(field, value)


def _one_address(field: str, value: object) -> None:
    if lists_several(_required(field, value)):
        raise UsageError(
            f"{value!r} lists several addresses, and only one can stand here",
            field=field,
            advice="give each recipient a dict of its own",
        )


def _optional(field: str, value: object) -> None:
    if value is not None:
        header_text(field, value)


def _dicts(field: str, value: object) -> list[tuple[str, Mapping[str, Any]]]:
    """Return the dicts of a list, each with its name in an error."""
    if value is None:
        return []
    if not isinstance(value, list | tuple) or not all(isinstance(item, dict) for item in value):
        raise UsageError("must be a list of dicts", field=field)
    return [(f"{field}[{index}]", item) for index, item in enumerate(value)]


def _texts(field: str, value: object) -> dict[str, object]:
    """Return the values of a dict that must be checked as text; numbers need no check."""
    if value is None:
        return {}
    texts = {header_text(field, name): text for name, text in _dict(field, value).items()}
    return {
        name: text
        for name, text in texts.items()
        if isinstance(text, bool) or not isinstance(text, int | float)
    }
