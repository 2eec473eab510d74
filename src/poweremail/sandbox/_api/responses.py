"""Responses in the form of the service: always HTTP 200, with a JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import attrs

from poweremail._response import Response
from poweremail.errors import UsageError

Members = dict[str, Any]
"""The members of a JSON object, or the fields of a value that are made from them."""

JSON = ("Content-Type", "application/json")


def envelope(status: str, **members: Any) -> Response:
    """Return a response with that *status* and these *members*."""
    body = json.dumps({"status": status, **members}).encode()
    return Response(200, (JSON, ("Content-Length", str(len(body)))), body)


@attrs.define
class Refusal(Exception):  # noqa: N818  the service rejects a request; the sandbox has no error
    """
    The service rejects the request.

    *message*
        The reason.
    *name*
        The kind of error; None if the service gives none.
    """

    message: str
    name: str | None = "ValidationError"

    @property
    def response(self) -> Response:
        """
        The response that reports the rejection, in the form of the vendor's page.

        The name is also the type: some published clients read only the one, some only the other,
        and take an error without it for success, or wait for ever.
        """
        if self.name is None:
            return envelope("error", message=self.message)
        name = {"name": self.name, "type": self.name}
        return envelope("error", code="-1", **name, message=self.message)


@contextmanager
def refusing(prefix: str = "") -> Iterator[None]:
    """Turn a `UsageError` about a member into a `Refusal`; *prefix* comes before its text."""
    try:
        yield
    except UsageError as error:
        raise Refusal(f"Invalid {prefix}{error.explanation}") from None
