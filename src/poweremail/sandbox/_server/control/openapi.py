"""The control API as an OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from poweremail._version import __version__
from poweremail.sandbox._server.control.operations import Operation
from poweremail.sandbox._server.control.schemas import SCHEMAS

__all__ = ["openapi"]

_REASONS = {
    400: "The request cannot be meant",
    404: "There is no such thing",
    502: "The other side did not take it",
    503: "Too many ask at the same time",
}


def openapi(operations: Iterable[Operation]) -> dict[str, Any]:
    """Describe the *operations* that have a summary, in OpenAPI 3.1."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        if operation.summary:
            paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    paths["/stream"] = {"get": _STREAM}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PowerEmail sandbox",
            "version": __version__,
            "description": "What the sandbox has caught, and what it is to do.",
        },
        "servers": [{"url": "/_sandbox"}],
        "paths": paths,
        "components": {"schemas": SCHEMAS},
    }


_STREAM = {
    "operationId": "get_stream",
    "tags": ["Messages"],
    "summary": "Server-sent events: caught, changed, deleted (with the mail's number), cleared, "
    "and refetch where some were missed",
    "responses": {
        "200": {"description": "The events, without end", "content": {"text/event-stream": {}}}
    },
}


def _operation(operation: Operation) -> dict[str, Any]:
    name = re.sub(r"\W+", "_", operation.path).strip("_")
    described: dict[str, Any] = {
        "operationId": f"{operation.method.lower()}_{name}",
        "tags": [operation.group],
        "summary": operation.summary,
        "responses": {
            "200": {"description": "Done", "content": {operation.media_type: _schema(operation)}}
        }
        | {
            str(code): {"description": _REASONS[code], "content": {"application/json": _ERROR}}
            for code in operation.errors
        },
    }
    in_path = [
        {"name": each, "in": "path", "required": True, "schema": {"type": "integer"}}
        for each in re.findall(r"\{(\w+)\}", operation.path)
    ]
    in_query = [
        {
            "name": each.name,
            "in": "query",
            "description": each.meaning,
            "schema": {"type": each.type},
        }
        for each in operation.parameters
    ]
    if in_path or in_query:
        described["parameters"] = in_path + in_query
    if operation.body is not None:
        described["requestBody"] = {
            "content": {
                "application/json": {"schema": {"type": "object"}, "example": dict(operation.body)}
            }
        }
    return described


_ERROR = {"schema": {"$ref": "#/components/schemas/Error"}}


def _schema(operation: Operation) -> dict[str, Any]:
    if operation.media_type != "application/json":
        return {}
    return {"schema": {"$ref": f"#/components/schemas/{operation.answer}"}}
