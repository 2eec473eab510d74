"""
Responses to the calls about messages: types, or errors.

The body decides. The service responds 200 to most failures, so the status code decides only if the
body is no JSON of this API. The test for a success is strict, because a wrong success loses a mail:
the body is a JSON object with a known word in ``status``, the status code is 2xx, and the whole
request had left before the response came. Everything else is read tolerantly (see `convert`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import attrs

from poweremail._response import Response
from poweremail._types.message_info import MessageInfoPage
from poweremail._types.result import CallResult, SendResult
from poweremail._types.suppression import Suppression
from poweremail._wire.convert import extra_members
from poweremail._wire.json import loads_lenient
from poweremail._wire.operations import Operation
from poweremail._wire.records import message_infos, ordinary_info
from poweremail._wire.redaction import hide_secrets, with_secrets
from poweremail.errors import (
    ApiError,
    AuthenticationError,
    GeneralError,
    MailState,
    PowerEmailError,
    ProtocolError,
    RateLimitError,
    ValidationError,
)

# The documentation has "success" in every example and "queued" in the table of the GET call.
_SUCCESS_WORDS = frozenset(("success", "queued"))
_SUCCESS_STATUSES = range(HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES)

# Names of errors, reduced to lower-case letters, because deployments spell them differently.
_ERROR_CLASSES: dict[str, type[ApiError]] = {
    "validationerror": ValidationError,
    "generalerror": GeneralError,
    "sendingerror": GeneralError,
    "authenticationerror": AuthenticationError,
    "invalidkey": AuthenticationError,
}
# The state of the mail after an error of a send; after all others it is rejected.
_MAIL_STATES: dict[type[ApiError], MailState] = {
    RateLimitError: "not_sent",
    GeneralError: "unknown",
}
# Somebody in between gave up waiting (499 is nginx's); the mail may have been accepted.
_CUT_SHORT = (HTTPStatus.REQUEST_TIMEOUT, 499)
_SECONDS = re.compile(r"\s*-?\d{1,9}(?:\.\d{1,9})?\s*\Z")
_NOT_A_LETTER = re.compile(r"[^a-z]")

_SEND_MEMBERS = frozenset(("status", "message"))
_PAGE_MEMBERS = frozenset(("status", "message", "message_data"))
_EXCERPT_CHARS = 200
"""Characters of a response that an error quotes."""


# Not frozen: making a frozen one takes twice as long, and only the caller of the exchange has it.
@attrs.define
class ApiResponse:
    """
    A response that reports a success.

    *members*: the members of its JSON object.
    *response*: the HTTP response they came in.
    *attempts*: the number of attempts that the call took.
    """

    members: dict[str, Any]
    response: Response
    attempts: int = 1


def decode_success(
    response: Response, operation: Operation, now: float, attempts: int = 1
) -> ApiResponse:
    """
    Decode the response to the last of *attempts* attempts; raise what `read_envelope` raises.

    Passwords and keys are `Secret` in the members, and ``***`` in the response and in errors.
    """
    redacted = hide_secrets(response) if operation.returns_secrets else response
    members = read_envelope(redacted, operation, now)
    if redacted is not response:
        members = with_secrets(response) or members
    return ApiResponse(members, redacted, attempts)


def read_envelope(response: Response, operation: Operation, now: float) -> dict[str, Any]:
    """
    Return the members of a response that reports a success.

    *now*: seconds since the epoch, for a Retry-After that is a date.

    Raises the `ApiError` that the response reports, or `ProtocolError` if it reports neither.
    """
    try:
        members: dict[str, Any] = _error_out_of_list(loads_lenient(response.body))
    except (ValueError, RecursionError):
        raise _unreadable(response, operation, now) from None
    status = _status(members)
    if status == "error":
        raise _reported(members, response, operation, now)
    if not response.request_left:
        raise ProtocolError(
            "a response came before the request had left whole", raw=response, temporary=True
        )
    if status not in _SUCCESS_WORDS:
        raise _unreadable(response, operation, now)
    if response.status not in _SUCCESS_STATUSES:
        raise ProtocolError(
            f"the response says {status}, and its status is HTTP {response.status}",
            raw=response,
            temporary=True,
        )
    return members


def send_result(
    response: ApiResponse, unique_id: str | None, recipients: tuple[str, ...]
) -> SendResult:
    """Return the result of a send."""
    return SendResult(
        unique_id=unique_id or "",
        recipients=recipients,
        status=str(response.members["status"]),
        message=_message(response.members),
        attempts=response.attempts,
        extra=extra_members(response.members, _SEND_MEMBERS),
        raw=response.response,
    )


def reconciled_result(
    unique_id: str, recipients: tuple[str, ...], response: Response
) -> SendResult:
    """
    Return the result of a send whose own response was lost.

    *response*: the page of getMessageInfo that shows the mail.
    """
    return SendResult(
        unique_id=unique_id,
        recipients=recipients,
        status="success",
        message="accepted: getMessageInfo shows it",
        reconciled=True,
        raw=response,
    )


def message_info_page(response: ApiResponse, unique_id: str, skip_page: int) -> MessageInfoPage:
    """Return a page of getMessageInfo. Raises `ProtocolError` if it has no list of records."""
    records = _records(response.members, response.response)
    infos = tuple(filter(None, map(ordinary_info, records)))
    if len(infos) < len(records):
        if any(isinstance(record.get("clickData"), int) for record in records):
            # The member may have been given twice, and a dict keeps only the second. If the body
            # cannot be read again, the records stay as they were read.
            with suppress(ValueError, RecursionError):
                members = loads_lenient(response.response.body, keep_repeats=True)
                records = _records(members, response.response)
        infos = message_infos(records)
    return MessageInfoPage(
        unique_id=unique_id,
        skip_page=skip_page,
        records=infos,
        extra=extra_members(response.members, _PAGE_MEMBERS),
        raw=response.response,
    )


def call_result(response: ApiResponse) -> CallResult:
    """Return the result of a call that this library does not model."""
    return CallResult(
        data=response.members, message=_message(response.members), raw=response.response
    )


def call_result_of_send(result: SendResult, suppressed: tuple[Suppression, ...] = ()) -> CallResult:
    """
    Return the result of a send as that of a call. If there is no response to it, the data has the
    status and message that the library gave.

    *suppressed*: the entries because of which recipients were left out.
    """
    members = (
        {"status": result.status, "message": result.message}
        if result.reconciled or result.dry_run
        else loads_lenient(result.raw.body)
    )
    return CallResult(data=members, message=result.message, suppressed=suppressed, raw=result.raw)


def _records(members: Mapping[str, Any], response: Response) -> list[dict[str, Any]]:
    records = members.get("message_data")
    if not isinstance(records, list) or not {dict}.issuperset(map(type, records)):
        raise ProtocolError("the response has no list of records in message_data", raw=response)
    return records


def _error_out_of_list(value: Any) -> Any:
    """Return the first error if *value* is a list of errors, as some deployments send it."""
    if isinstance(value, list) and value and all(_status(item) == "error" for item in value):
        return value[0]
    return value


def _status(members: object) -> str | None:
    status = members.get("status") if isinstance(members, dict) else None
    return status.strip().lower() if isinstance(status, str) else None


def _message(members: Mapping[str, Any]) -> str:
    message = members.get("message")
    if message is None:
        return ""
    return "; ".join(map(str, message)) if isinstance(message, list) else str(message)


def _name(members: Mapping[str, Any]) -> str | None:
    """
    Return the name of an error: the member is ``type`` in the documentation's tables, ``name`` in
    its examples, and ``type`` is also seen as an object.
    """
    for name in (members.get("name"), members.get("type")):
        value = name.get("name") if isinstance(name, dict) else name
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def _reported(
    members: Mapping[str, Any], response: Response, operation: Operation, now: float
) -> ApiError:
    """Return the error that a response reports."""
    name, code = _name(members), members.get("code")
    kind = _ERROR_CLASSES.get(_NOT_A_LETTER.sub("", (name or "").lower()), ApiError)
    return _api_error(
        kind,
        _message(members).strip() or "the service gave no reason",
        response,
        operation,
        now,
        name=name,
        code=code if isinstance(code, str | int) else None,
    )


def _unreadable(response: Response, operation: Operation, now: float) -> PowerEmailError:
    """Return the error for a response whose body is no JSON of this API, by its status code."""
    reason = f"the response is no JSON of this API: HTTP {response.status}, {_excerpt(response)}"
    if response.status < HTTPStatus.BAD_REQUEST or response.status in _CUT_SHORT:
        return ProtocolError(reason, raw=response, temporary=True)
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        reason = f"too many requests: {reason}"
    kind = AuthenticationError if response.status == HTTPStatus.UNAUTHORIZED else ApiError
    return _api_error(kind, reason, response, operation, now)


def _api_error(
    kind: type[ApiError],
    message: str,
    response: Response,
    operation: Operation,
    now: float,
    **details: Any,
) -> ApiError:
    """Return a *kind* that says what it means for the mail and for a retry."""
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        kind = RateLimitError
    elif kind is ApiError and response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = GeneralError
    return kind(
        message,
        retry_after=_retry_after(response, now),
        mail_state=_MAIL_STATES.get(kind, "rejected") if operation.sends else None,
        raw=response,
        temporary=kind in (GeneralError, RateLimitError),
        **details,
    )


def _excerpt(response: Response) -> str:
    text = response.text.strip()
    if not text:
        return "an empty body"
    return repr(text if len(text) <= _EXCERPT_CHARS else f"{text[:_EXCERPT_CHARS]}...")


def _retry_after(response: Response, now: float) -> float | None:
    """Return Retry-After (RFC 9110, 10.2.3) in seconds; the header has seconds or a date."""
    value = response.header("Retry-After")
    if value is None:
        return None
    if _SECONDS.match(value):
        seconds = float(value.strip())
    else:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    return max(seconds, 0.0) if math.isfinite(seconds) else None
