"""
Answers to types, or to errors.

The body decides; the status code decides only where the body says nothing, because the service
answers most failures with 200.
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
from poweremail._wire import lenient
from poweremail._wire.convert import extra_members
from poweremail._wire.operations import Operation
from poweremail._wire.records import message_infos, ordinary_infos
from poweremail._wire.secrets import hide_secrets, with_secrets
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

__all__ = [
    "ApiResponse",
    "call_result",
    "call_result_of_send",
    "decode_success",
    "message_info_page",
    "read_envelope",
    "reconciled_result",
    "send_result",
]

# The page says "success" in every example and "queued" in the table of the GET call: both mean
# success.
_SUCCESS = frozenset(("success", "queued"))
_GOOD = range(HTTPStatus.OK, HTTPStatus.MULTIPLE_CHOICES)

# Names of error kinds, letters only and in lower case: the spelling varies between deployments.
_KINDS: dict[str, type[ApiError]] = {
    "validationerror": ValidationError,
    "generalerror": GeneralError,
    "sendingerror": GeneralError,
    "authenticationerror": AuthenticationError,
    "invalidkey": AuthenticationError,
}
# What an error of a send says about the mail; the others say that it was rejected.
_STATES: dict[type[ApiError], MailState] = {RateLimitError: "not_sent", GeneralError: "unknown"}
_SECONDS = re.compile(r"\s*-?\d{1,9}(?:\.\d{1,9})?\s*\Z")
_NOT_A_LETTER = re.compile(r"[^a-z]")

_SEND_MEMBERS = frozenset(("status", "message"))
_PAGE_MEMBERS = frozenset(("status", "message", "message_data"))
_SHOWN = 200
"""Characters of an answer that an error text quotes."""


# Not frozen: to make a frozen one takes twice as long, and only the caller of the exchange has it.
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


def read_envelope(response: Response, operation: Operation, now: float) -> dict[str, Any]:
    """
    Return the members of a successful answer.

    Raises the `ApiError` that the answer states, or `ProtocolError` where it states neither. *now*
    is the time in epoch seconds, for a Retry-After that is given as a date.
    """
    try:
        answer = lenient.loads(response.body)
    except (ValueError, RecursionError):
        raise _unreadable(response, operation, now) from None
    if isinstance(answer, list) and answer and all(_status(item) == "error" for item in answer):
        answer = answer[0]
    status = _status(answer)
    if status == "error" and isinstance(answer, dict):
        raise _api_error(answer, response, operation, now)
    if not response.request_left:
        raise ProtocolError(
            "an answer came before the request had left whole", raw=response, temporary=True
        )
    if status in _SUCCESS and isinstance(answer, dict):
        if response.status in _GOOD:
            return answer
        raise ProtocolError(
            f"the answer says {status}, and its status is HTTP {response.status}",
            raw=response,
            temporary=True,
        )
    raise _unreadable(response, operation, now)


def decode_success(
    response: Response, operation: Operation, now: float, attempts: int = 1
) -> ApiResponse:
    """
    Decode the response to the last of *attempts* attempts; raises what `read_envelope` raises.

    Passwords and keys are `Secret` in the members, and ``***`` in the response and in errors.
    """
    if not operation.answers_secrets:
        return ApiResponse(read_envelope(response, operation, now), response, attempts)
    redacted = hide_secrets(response)
    members = read_envelope(redacted, operation, now)
    if redacted is not response:
        members = with_secrets(response) or members
    return ApiResponse(members, redacted, attempts)


def send_result(response: ApiResponse, unique_id: str, recipients: tuple[str, ...]) -> SendResult:
    """Return the result of a send."""
    return SendResult(
        unique_id=unique_id,
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
    The result of a send whose own answer was lost; *response* is the page of getMessageInfo that
    shows the mail.
    """
    message = "accepted: getMessageInfo shows it"
    return SendResult(
        unique_id=unique_id,
        recipients=recipients,
        status="success",
        message=message,
        reconciled=True,
        raw=response,
    )


def message_info_page(response: ApiResponse, unique_id: str, skip_page: int) -> MessageInfoPage:
    """Return a page of getMessageInfo. Raises `ProtocolError` if it has no list of records."""
    records = _records(response.members, response.response)
    infos = ordinary_infos(records)
    if infos is None:
        if any(isinstance(record.get("clickData"), int) for record in records):
            # The member was given twice, and a dict keeps only the second. What cannot be read
            # again stays as it was read.
            with suppress(ValueError, RecursionError):
                records = _records(
                    lenient.loads_with_repeats(response.response.body), response.response
                )
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


def call_result_of_send(result: SendResult) -> CallResult:
    """
    The answer to a send that this library did not word. Where its own answer was lost, one that
    says what was found out.
    """
    if result.reconciled:
        return CallResult(
            data={"status": result.status, "message": result.message},
            message=result.message,
            raw=result.raw,
        )
    return call_result(ApiResponse(lenient.loads(result.raw.body), result.raw))


def _records(answer: Mapping[str, Any], response: Response) -> list[dict[str, Any]]:
    records = answer.get("message_data")
    if not isinstance(records, list) or not {dict}.issuperset(map(type, records)):
        raise ProtocolError("the answer has no list of records in message_data", raw=response)
    return records


def _status(answer: object) -> str | None:
    status = answer.get("status") if isinstance(answer, dict) else None
    return status.strip().lower() if isinstance(status, str) else None


def _message(answer: Mapping[str, Any]) -> str:
    message = answer.get("message")
    if message is None:
        return ""
    return "; ".join(map(str, message)) if isinstance(message, list) else str(message)


def _name(answer: Mapping[str, Any]) -> str | None:
    """
    The kind of error: the page's tables call the member ``type``, its examples ``name``; ``type``
    is also seen as an object.
    """
    for name in (answer.get("name"), answer.get("type")):
        value = name.get("name") if isinstance(name, dict) else name
        if isinstance(value, str) and value.strip():
            return value.strip()
    return None


def _api_error(
    answer: Mapping[str, Any], response: Response, operation: Operation, now: float
) -> ApiError:
    name, code = _name(answer), answer.get("code")
    message = _message(answer).strip() or "the service gave no reason"
    kind = _KINDS.get(_NOT_A_LETTER.sub("", (name or "").lower()), ApiError)
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        kind = RateLimitError
    elif kind is ApiError and response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind = GeneralError
    return _typed(
        kind, message, name, code if isinstance(code, str | int) else None, response, operation, now
    )


def _unreadable(response: Response, operation: Operation, now: float) -> PowerEmailError:
    """What to make of an answer whose body says nothing: the status code decides."""
    reason = f"the answer is no JSON of this API: HTTP {response.status}, {_quote(response)}"
    if response.status == HTTPStatus.TOO_MANY_REQUESTS:
        return _typed(
            RateLimitError, f"too many requests: {reason}", None, None, response, operation, now
        )
    if response.status == HTTPStatus.UNAUTHORIZED:
        return _typed(AuthenticationError, reason, None, None, response, operation, now)
    # 408 says that the request took too long, not that it was refused.
    if (
        HTTPStatus.BAD_REQUEST <= response.status < HTTPStatus.INTERNAL_SERVER_ERROR
        and response.status != HTTPStatus.REQUEST_TIMEOUT
    ):
        return _typed(ApiError, reason, None, None, response, operation, now)
    if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _typed(GeneralError, reason, None, None, response, operation, now)
    return ProtocolError(reason, raw=response, temporary=True)


def _typed(
    kind: type[ApiError],
    message: str,
    name: str | None,
    code: str | int | None,
    response: Response,
    operation: Operation,
    now: float,
) -> ApiError:
    state: MailState | None = None
    if operation.sends:
        state = _STATES.get(kind, "rejected")
    return kind(
        message,
        name=name,
        code=code,
        retry_after=_retry_after(response, now),
        mail_state=state,
        raw=response,
        temporary=kind in (GeneralError, RateLimitError),
    )


def _quote(response: Response) -> str:
    text = response.text.strip()
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}...") if text else "an empty body"


def _retry_after(response: Response, now: float) -> float | None:
    """Retry-After in seconds (RFC 9110, 10.2.3): a number of them or a date."""
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
