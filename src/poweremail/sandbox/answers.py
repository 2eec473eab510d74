"""Answers in the form in which the service gives them: HTTP 200, whatever happened, and an envelope of JSON."""

from __future__ import annotations

import json
from typing import Any

from poweremail.response import Response

__all__ = ["JSON", "Refusal", "answer", "failure", "invalid"]

JSON = ("Content-Type", "application/json")


class Refusal(Exception):  # noqa: N818 - it is how the service says no, not an error of the sandbox
    """The request is refused: *response* says why."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.text)
        self.response = response


def answer(**members: Any) -> Response:
    """An answer with *members*."""
    body = json.dumps(members).encode()
    return Response(200, (JSON, ("Content-Length", str(len(body)))), body)


def failure(name: str, message: str) -> Response:
    """An error of the kind *name*, as the vendor's page shows one."""
    return answer(status="error", code="-1", name=name, message=message)


def invalid(message: str) -> Refusal:
    """A ValidationError, to be raised."""
    return Refusal(failure("ValidationError", message))
