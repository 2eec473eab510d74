"""
Calls about messages, as requests.

Every error in a call is found here or in the types, before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode

import attrs

from poweremail._messages.envelope import OPTION_HEADERS, UNIQUE_ID_HEADER
from poweremail._messages.message import Message, TemplateMessage
from poweremail._messages.raw import RawMessage
from poweremail._types.attachment import Attachment, Image
from poweremail._types.checks import is_whole, required_text
from poweremail._types.content import Content
from poweremail._types.options import is_call_path
from poweremail._types.secret import Secret
from poweremail._wire.convert import CONTENT_MARK, converter
from poweremail._wire.http import Base64, Body, Endpoint, Request
from poweremail._wire.json import dumps
from poweremail._wire.operations import (
    GET_MESSAGE_INFO,
    SEND_MAIL,
    SEND_RAW,
    SEND_TEMPLATE,
    SEND_TEMPLATE_HTTP_GET,
    Operation,
    operation_at,
)
from poweremail.errors import UsageError

_MAX_QUERY_CHARS = 60_000
"""The HTTP engines accept no more; many servers accept 8 KiB and respond 414 to more."""

_NOT_IN_GET = (
    *("cc", "bcc", "reply_to", "headers", "attachments", "images", "tracking", "unique_id"),
    *OPTION_HEADERS,
    "unsubscribe",
)
"""Fields of a message that a GET cannot carry."""

_unfit_for_get = partial(UsageError, advice="use send_template")

_CONTENT = CONTENT_MARK.encode()


def send_template_http_get(
    endpoint: Endpoint, smtp_user_name: str, message: TemplateMessage, unique_id: str | None
) -> Request:
    """
    Return *message* as a ``messages/sendTemplateHTTPGet`` request.

    Raises `UsageError` if the message has anything that a GET cannot carry.
    """
    _check_fits_in_get(message, unique_id)
    fields = {
        "smtp_user_name": smtp_user_name,
        "template_id": message.template_id,
        "subject": message.subject,
        "from_email": message.from_email.email,
        "to": message.to[0].email,
        **{f"dynamic_value[{name}]": value for name, value in message.dynamic_value.items()},
    }
    credentials = endpoint.credentials
    query = Secret(
        urlencode({"owner_id": credentials.owner_id, "token": credentials.token.reveal(), **fields})
    )
    if len(query.reveal()) > _MAX_QUERY_CHARS:
        raise _unfit_for_get("the values are too long for a URL", field="dynamic_value")
    return Request(SEND_TEMPLATE_HTTP_GET, endpoint, query=query)


def send_raw(
    endpoint: Endpoint, smtp_user_name: str, message: RawMessage, unique_id: str | None
) -> Request:
    """
    Return *message* as a ``messages/sendRaw`` request, with *unique_id* as its first header if it
    has none of its own.
    """
    operation = attrs.evolve(SEND_RAW, path=endpoint.deployment.send_raw)
    text = (
        message.text
        if message.unique_id is not None or unique_id is None
        else message.with_unique_id(unique_id)
    )
    return post(endpoint, operation, {"smtp_user_name": smtp_user_name, "raw_message": text})


def check_lookup(field: str, unique_id: object, skip_page: object) -> None:
    """
    Raise `UsageError` if *unique_id*, which is called *field*, is empty, or *skip_page* is no page
    number from 0 on.
    """
    required_text(field, unique_id, mail_state=None)
    if not is_whole(skip_page):
        raise UsageError(
            f"must be a page number from 0 on, not {skip_page!r}",
            field="skip_page",
            mail_state=None,
        )


def get_message_info(endpoint: Endpoint, unique_id: str, skip_page: int) -> Request:
    """Return a ``messages/getMessageInfo`` request for page number *skip_page* (from 0)."""
    check_lookup("unique_id", unique_id, skip_page)
    return post(endpoint, GET_MESSAGE_INFO, {"x_unique_id": unique_id, "skip_page": skip_page})


def call(endpoint: Endpoint, path: str, members: Mapping[str, Any]) -> Request:
    """Return a POST of *members* and the credentials to *path*, relative to the base URL."""
    operation = operation_at(path.strip("/") if isinstance(path, str) else "")
    invalid = partial(UsageError, mail_state="not_sent" if operation.sends else None)
    if not is_call_path(operation.path):
        raise invalid(f"{path!r} is not a path such as settings/listSmtp", field="path")
    if not isinstance(members, Mapping):
        raise invalid(f"must be a mapping, not {type(members).__name__}", field="body")
    if taken := {"owner_id", "token"} & members.keys():
        raise invalid(f"{' and '.join(sorted(taken))}: the client adds its own", field="body")
    try:
        return post(endpoint, operation, dict(members), plain=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise invalid(f"cannot be written as JSON: {error}", field="body") from error


def _send(
    operation: Operation,
    endpoint: Endpoint,
    smtp_user_name: str,
    message: Message | TemplateMessage,
    unique_id: str | None,
) -> Request:
    """Return *message* as a request for *operation* that carries *unique_id*."""
    members = converter.unstructure(message)
    if unique_id is not None:
        members.setdefault("headers", {})[UNIQUE_ID_HEADER] = unique_id
    fields = {"smtp_user_name": smtp_user_name, "message": members}
    files: tuple[Attachment | Image, ...] = message.attachments + message.images
    return post(endpoint, operation, fields, [file.content for file in files])


send_mail = partial(_send, SEND_MAIL)
send_template = partial(_send, SEND_TEMPLATE)


def post(
    endpoint: Endpoint,
    operation: Operation,
    members: Mapping[str, Any],
    contents: Sequence[Content] = (),
    *,
    plain: bool = True,
) -> Request:
    """
    Return a POST of *members* and the credentials.

    *contents*: the contents of the files among the members, in order; each replaces a mark that the
    converter has set.
    *plain*: as for `dumps`.
    """
    credentials, limit = endpoint.credentials, endpoint.max_request_bytes
    text = dumps(members, plain=plain)
    # Secrets: docs/design.md. The members continue the object that `json_prefix` begins, which has
    # the token, so that neither a dict nor a local variable has it.
    body = Body(
        b"%b%b%b" % (credentials.json_prefix, b"," if members else b"", text[1:])
        if not contents
        else _with_contents(b"%b,%b" % (credentials.json_prefix, text[1:]), contents),
        limit=limit,
    )
    if limit is not None and body.length is not None and body.length > limit:
        raise UsageError(
            f"is {body.length} bytes on the wire, more than the {limit} of max_request_bytes",
            field="message",
        )
    return Request(operation, endpoint, body=body)


def _with_contents(text: bytes, contents: Sequence[Content]) -> list[bytes | Base64]:
    """Replace each mark in *text* by the content that it stands for."""
    first, *rest = text.split(_CONTENT)
    parts: list[bytes | Base64] = [first]
    for content, following in zip(contents, rest, strict=True):
        # Base64 needs no escapes in JSON, so the content can be streamed between its two quotes.
        parts += Base64(content), following
    return parts


def _check_fits_in_get(message: TemplateMessage, unique_id: str | None) -> None:
    for field in _NOT_IN_GET:
        value = getattr(message, field)
        if value or value is False or (field == "unique_id" and unique_id):
            raise _unfit_for_get("cannot be carried by a GET", field=field)
    if len(message.to) != 1:
        raise _unfit_for_get(f"a GET carries one recipient, not {len(message.to)}", field="to")
    for field, recipient in (("to", message.to[0]), ("from_email", message.from_email)):
        if recipient.name is not None:
            reason = f"a GET carries the address only, not the name {recipient.name!r}"
            raise _unfit_for_get(reason, field=field)
