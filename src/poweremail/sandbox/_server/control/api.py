"""The FastAPI application of the control API: its routes, its errors and its two descriptions."""

from __future__ import annotations

import re

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match

from poweremail._version import __version__
from poweremail.errors import UsageError
from poweremail.sandbox._release.smtp import ReleaseError
from poweremail.sandbox._server.control import account, mails, parts, replies, stream
from poweremail.sandbox._server.control.requests import ControlRoute
from poweremail.sandbox._server.headers import PAGE_HEADERS
from poweremail.sandbox._server.ui import api_page, static_file

_ROUTERS = (mails.router, parts.router, stream.router, account.router)


def _operation_id(route: APIRoute) -> str:
    words = re.findall(r"\w+", f"{'_'.join(route.methods or ())}{route.path_format}")
    return "_".join(words).lower()


async def _failed(request: Request, error: Exception) -> Response:
    """Report why a request failed."""
    status, headers = 400, {}
    match error:
        case RequestValidationError():
            reason = _invalid(error)
        case UsageError():
            reason = error.explanation
        case HTTPException(status_code=404):
            status, reason = 404, "there is no such path"
        case HTTPException(status_code=405):
            # Starlette names the methods of one route; each of ours has one method.
            methods = [
                method
                for router in _ROUTERS
                for route in router.routes
                if isinstance(route, APIRoute) and route.matches(request.scope)[0] is not Match.NONE
                for method in route.methods or ()
            ]
            headers["Allow"] = ", ".join(methods) or "GET"
            status, reason = 405, f"this path takes {headers['Allow']}"
        case HTTPException():
            status, reason = error.status_code, error.detail
        case ReleaseError():
            status, reason = 502, str(error)
        case _ if type(error) is LookupError:
            status, reason = 404, str(error)
        case _:  # a KeyError or an IndexError, which is a bug
            raise error
    return JSONResponse({"error": reason}, status, headers)


def _invalid(error: RequestValidationError) -> str:
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, UsageError):
        return cause.explanation
    reason = "is missing" if first["type"] == "missing" else cause or first["msg"]
    # The location is where the value stands (path, query or body) and the names that lead to it.
    return f"{first['loc'][1]}: {reason}"


api = FastAPI(
    title="PowerEmail sandbox",
    version=__version__,
    description="The mails that the sandbox has caught, and how it is to behave.",
    servers=[{"url": "../_sandbox"}],  # relative to openapi.json, below any path of a proxy
    root_path_in_servers=False,
    docs_url=None,
    redoc_url=None,
    redirect_slashes=False,
    responses={"default": {"model": replies.Error, "description": "The reason of the failure"}},
    generate_unique_id_function=_operation_id,
    exception_handlers=dict.fromkeys(
        (RequestValidationError, UsageError, LookupError, ReleaseError, HTTPException), _failed
    ),
)
api.router.route_class = ControlRoute
for _router in _ROUTERS:
    api.include_router(_router)


@api.get("/docs", include_in_schema=False)
async def docs() -> Response:
    """Return the description of the control API for people."""
    return HTMLResponse(api_page(api.openapi()), headers=PAGE_HEADERS)


@api.get("/static/{name}", include_in_schema=False)
async def static(name: str) -> Response:
    """Return a file of the page."""
    return static_file(name)
