"""
One call of the control API: what it is called with, what it answers, and how it says what is wrong.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from poweremail.errors import UsageError
from poweremail.sandbox._api.reading import read_json
from poweremail.sandbox._api.responses import Refusal
from poweremail.sandbox._release.smtp import ReleaseError
from poweremail.sandbox._server.connection import (
    BodyTooLargeError,
    ClientGoneError,
    gone,
    read_body,
)
from poweremail.sandbox._server.control.headers import DATA_HEADERS

__all__ = ["MAX_BODY", "Asked", "Operation", "Parameter", "Resource", "error"]

MAX_BODY = 8 * 1024 * 1024
"""The largest body of a request to the control API, in bytes: room for a template."""

_DIGITS = 15
"""Of a number in a request: fewer than SQLite can count."""

_NUMBER = "must be a number from 0 on"


@attrs.frozen
class Parameter:
    """A *name* in the query, what it means, and its JSON *type*."""

    name: str
    meaning: str
    type: str = "string"


@attrs.frozen(kw_only=True)
class Asked:
    """
    A request: its path's values, its query, and its body, all still to be checked. Reading them
    raises `UsageError`.
    """

    request: Request
    receive: Receive
    query: QueryParams
    body: bytes

    def number(self, name: str, default: int, *, most: int = 10**_DIGITS) -> int:
        """Return the number *name* of the path or the query; more than *most* is *most*."""
        given = self.request.path_params.get(name)
        given = self.query.get(name) if given is None else given
        return default if given is None else min(_number(name, given), most)

    def text(self, name: str) -> str | None:
        """Return what the query says under *name*, None where it is empty."""
        return self.query.get(name) or None

    def flag(self, name: str) -> bool:
        """Return whether the query has ``name=1``."""
        value = self.query.get(name, "0")
        if value not in ("0", "1"):
            raise UsageError("must be 0 or 1", field=name, mail_state=None)
        return value == "1"

    def members(self, *known: str) -> dict[str, Any]:
        """
        Return the members of the body, none of them other than *known*. Raises `Refusal` where it
        is no JSON object.
        """
        members = read_json(self.body) if self.body else {}
        _check_known(members, known)
        return members

    async def client_gone(self, seconds: float) -> bool:
        """Wait so long; return at once, and True, where the client goes away."""
        return await gone(self.receive, seconds)


Handler = Callable[[Asked], Awaitable[Any]]


@attrs.frozen(kw_only=True)
class Operation:
    """
    One call.

    *parameters* are those of its query, *body* an example of the JSON it takes. It answers JSON in
    the form that *answer* names in `poweremail.sandbox._server.control.schemas`, unless
    *media_type* is another. *errors* are the status codes that say what is wrong.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    group: str
    parameters: tuple[Parameter, ...] = ()
    body: Mapping[str, Any] | None = None
    answer: str = "Nothing"
    media_type: str = "application/json"
    errors: tuple[int, ...] = ()


class Resource:
    """
    The operations of one path as an application.

    What cannot be done is answered with 400, 404, 405, 413 or 502, and ``{"error": "why"}``.
    """

    def __init__(self, operations: Iterable[Operation], *, max_body: int) -> None:
        self._operations = {operation.method: operation for operation in operations}
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, unless the client goes away meanwhile."""
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        operation = self._operations.get(method)
        if operation is None:
            response = error(
                405,
                f"this path takes {', '.join(self._operations)}",
                {"Allow": ", ".join(self._operations)},
            )
        else:
            try:
                body = await read_body(receive, self._max_body)
                request = Request(scope)
                response = await _answer(
                    operation,
                    Asked(request=request, receive=receive, query=request.query_params, body=body),
                )
            except ClientGoneError:
                return
            except BodyTooLargeError:
                response = error(413, f"the body is larger than {self._max_body} bytes")
        await response(scope, receive, send)


def error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return the answer that says what is wrong."""
    return JSONResponse({"error": message}, status, headers={**DATA_HEADERS, **(headers or {})})


async def _answer(operation: Operation, asked: Asked) -> Response:
    try:
        _check_known(asked.query, [parameter.name for parameter in operation.parameters])
        answer = await operation.handler(asked)
    except UsageError as wrong:
        return error(400, wrong.explanation)
    except Refusal as refusal:
        return error(400, refusal.message)
    except LookupError as missing:
        return error(404, str(missing))
    except ReleaseError as failed:
        return error(502, str(failed))
    return answer if isinstance(answer, Response) else JSONResponse(answer, headers=DATA_HEADERS)


def _check_known(given: Iterable[str], known: Sequence[str]) -> None:
    """Refuse what is misspelt, which would silently change nothing."""
    if unknown := [name for name in given if name not in known]:
        raise UsageError(
            f"is not known here; known are: {', '.join(known) or 'none'}",
            field=unknown[0],
            mail_state=None,
        )


def _number(field: str, given: object) -> int:
    digits = str(given)
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS):
        raise UsageError(_NUMBER, field=field, mail_state=None)
    return int(digits)
