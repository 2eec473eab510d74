"""
The page of the sandbox: its HTML, its own scripts and styles, and the description of the control
API for people.

All of it comes from this package, and nothing from elsewhere. The page holds no data: its script
gets that from the control API.
"""

from __future__ import annotations

import json
from functools import cache, partial
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from poweremail._version import __version__
from poweremail.sandbox._server.control.headers import DATA_HEADERS, PAGE_HEADERS
from poweremail.sandbox._server.control.openapi import openapi
from poweremail.sandbox._server.control.operations import Operation
from poweremail.sandbox._server.control.schemas import SCHEMAS

__all__ = ["Page", "ui_routes"]

_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
_HTML = {**PAGE_HEADERS, "Content-Type": "text/html; charset=utf-8"}


@cache
def _templates() -> Environment:
    """
    Make the environment once a process: it keeps the templates it has compiled, and each takes
    milliseconds.
    """
    environment = Environment(
        loader=PackageLoader("poweremail.sandbox._server.ui", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Jinja's own filter writes quotes as \u0022, for attributes; here it is text, and escaped as
    # such.
    environment.filters["tojson_plain"] = partial(json.dumps, indent=2)
    return environment


class Page:
    """
    The page itself as an application, for requests that have passed the guard.

    *own_owner_id* and *own_token* are whether the service takes only its own; the page tells of it,
    and not which they are.
    """

    def __init__(self, *, own_owner_id: bool, own_token: bool) -> None:
        self._own = {"own_owner_id": own_owner_id, "own_token": own_token}
        self._template = _templates().get_template("page.html")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the page."""
        url = f"{scope['scheme']}://{Headers(scope=scope)['host']}"
        await Response(
            self._template.render(url=url, version=__version__, **self._own), headers=_HTML
        )(scope, receive, send)


def ui_routes(operations: list[Operation]) -> list[Route]:
    """Return the routes of the page's files, and of the two descriptions of the *operations*."""
    described = openapi(operations)
    document = (
        _templates()
        .get_template("api.html")
        .render(
            paths=described["paths"],
            schemas=SCHEMAS,
            groups=("Messages", "The service"),
            version=__version__,
        )
    )
    return [
        Route("/static/{name}", _Files()),
        Route("/docs", _Fixed(Response(document, headers=_HTML))),
        Route("/openapi.json", _Fixed(JSONResponse(described, headers=DATA_HEADERS))),
    ]


class _Fixed:
    def __init__(self, response: ASGIApp) -> None:
        self._response = response

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._response(scope, receive, send)


class _Files:
    def __init__(self) -> None:
        folder = files("poweremail.sandbox._server.ui").joinpath("static")
        self._files = {
            file.name: file.read_bytes()
            for file in folder.iterdir()
            if file.name.rpartition(".")[2] in _TYPES
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = scope["path_params"]["name"]
        content = self._files.get(name)
        if content is None:
            response: Response = JSONResponse(
                {"error": "there is no such file"}, 404, headers=DATA_HEADERS
            )
        else:
            response = Response(
                content, headers={**PAGE_HEADERS, "Content-Type": _TYPES[name.rpartition(".")[2]]}
            )
        await response(scope, receive, send)
