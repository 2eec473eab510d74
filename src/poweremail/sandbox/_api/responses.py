"""
Answers in the form in which the service gives them: HTTP 200, whatever happened, and an envelope of
JSON.
"""

from __future__ import annotations

import json
from typing import Any

from poweremail._response import Response

__all__ = ["JSON", "Refusal", "answer"]

JSON = ("Content-Type", "application/json")


def answer(**members: Any) -> Response:
    """An answer with *members*."""
    body = json.dumps(members).encode()
    return Response(200, (JSON, ("Content-Length", str(len(body)))), body)


class Refusal(Exception):  # noqa: N818 - it is how the service says no, not an error of the sandbox
    """
    The request is refused: *message* says why, *name* is the kind of error, None where the service
    gives none.
    """

    def __init__(self, message: str, name: str | None = "ValidationError") -> None:
        super().__init__(message)
        self.message = message
        self.name = name

    @property
    def response(self) -> Response:
        """The answer that says so, in the form of the vendor's page."""
        if self.name is None:
            return answer(status="error", message=self.message)
        return answer(status="error", code="-1", name=self.name, message=self.message)
