"""
The page of the sandbox: its HTML, scripts and styles, and the control API described for people.

Everything comes from this package: the page loads nothing from other hosts. It holds no data
itself; its script gets the data from the control API.
"""

from __future__ import annotations

import json
from functools import cache, partial
from importlib.resources import files
from typing import Any

import attrs
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from poweremail._version import __version__
from poweremail.sandbox._server.headers import PAGE_HEADERS, page_headers

# Written out: the tables of the system may know .js as text/plain, which no browser runs.
_TYPES = {
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}


# All addresses in the page are relative, so that it works below any path of a proxy; but they need
# a slash at the end of that path. The path is set as one: "//host/" is no other host then.
_ADD_SLASH = 'if (!location.pathname.endsWith("/")) location.pathname += "/";'

_MAIN_PAGE_HEADERS = page_headers(_ADD_SLASH)


@cache
def _templates() -> Environment:
    """Make the environment, once a process: it caches compiled templates, milliseconds each."""
    environment = Environment(
        loader=PackageLoader("poweremail.sandbox._server.ui", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Jinja's own filter writes quotes as \u0022, for attributes; here JSON is text of the page.
    environment.filters["tojson_plain"] = partial(json.dumps, indent=2)
    return environment


@attrs.frozen
class Page:
    """
    The page as an ASGI application, for requests that have passed the guard.

    *own_owner_id* and *own_token* are whether the service accepts only its own; the page mentions
    this, but shows neither.
    """

    own_owner_id: bool
    own_token: bool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond with the page."""
        content = _rendered("page.html", add_slash=_ADD_SLASH, **attrs.asdict(self))
        response = Response(content, headers=_MAIN_PAGE_HEADERS, media_type="text/html")
        await response(scope, receive, send)


def api_page(document: dict[str, Any]) -> str:
    """Return the HTML that describes the control API; *document* is its OpenAPI document."""
    return _rendered(
        "api.html",
        paths=document["paths"],
        schemas=document["components"]["schemas"],
        groups=("Messages", "The service"),
    )


def _rendered(template: str, **values: Any) -> str:
    return _templates().get_template(template).render(version=__version__, **values)


def static_file(name: str) -> Response:
    """Return the script, style or icon *name*. Raises LookupError if there is none."""
    content = _static_files().get(name)
    if content is None:
        raise LookupError("there is no such file")
    media_type = _TYPES[name.rpartition(".")[2]]
    return Response(content, headers={**PAGE_HEADERS, "Content-Type": media_type})


@cache
def _static_files() -> dict[str, bytes]:
    folder = files("poweremail.sandbox._server.ui").joinpath("static")
    return {
        file.name: file.read_bytes()
        for file in folder.iterdir()
        if file.name.rpartition(".")[2] in _TYPES
    }
