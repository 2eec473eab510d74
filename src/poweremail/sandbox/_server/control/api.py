"""The FastAPI application of the control API: its routes, its errors and its two descriptions."""

from __future__ import annotations

import re
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match

from poweremail._version import __version__
from poweremail.errors import PowerEmailError, UsageError
from poweremail.sandbox._release.smtp import ReleaseError
from poweremail.sandbox._server.control import account, events, mails, replies, stream
from poweremail.sandbox._server.control.requests import check_query
from poweremail.sandbox._server.headers import PAGE_HEADERS
from poweremail.sandbox._server.ui import api_page, static_file

__all__ = ["api"]

_ROUTERS = (mails.router, stream.router, events.router, account.router)


def _operation_id(route: APIRoute) -> str:
    name = re.sub(r"\W+", "_", route.path_format).strip("_")
    return f"{'_'.join(_methods(route)).lower()}_{name}"


def _methods(route: APIRoute) -> list[str]:
    return sorted(route.methods or ())


api = FastAPI(
    title="PowerEmail sandbox",
    version=__version__,
    description="The mails that the sandbox has caught, and how it is to behave.",
    servers=[{"url": "/_sandbox"}],
    root_path_in_servers=False,
    docs_url=None,
    redoc_url=None,
    redirect_slashes=False,
    dependencies=[Depends(check_query)],
    responses={"default": {"model": replies.Error, "description": "The reason of the failure"}},
    generate_unique_id_function=_operation_id,
)
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


def _error(status: int, reason: str, headers: Any = None) -> Response:
    return JSONResponse({"error": reason}, status, headers=headers)


@api.exception_handler(RequestValidationError)
async def _invalid(_: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, UsageError):
        return _error(400, cause.explanation)
    reason = "is missing" if first["type"] == "missing" else str(cause or first["msg"])
    # The location is where the value stands (path, query or body) and the names that lead to it.
    return _error(400, f"{first['loc'][1]}: {reason}")


@api.exception_handler(UsageError)
@api.exception_handler(ReleaseError)
async def _failed(_: Request, error: PowerEmailError) -> Response:
    if isinstance(error, UsageError):
        return _error(400, error.explanation)
    return _error(502, str(error))


@api.exception_handler(LookupError)
async def _missing(_: Request, error: LookupError) -> Response:
    return _error(404, str(error))


@api.exception_handler(HTTPException)
async def _http_error(request: Request, error: HTTPException) -> Response:
    if error.status_code == 404:  # noqa: PLR2004
        return _error(404, "there is no such path")
    if error.status_code != 405:  # noqa: PLR2004
        return _error(error.status_code, error.detail)
    # Starlette names the methods of one route; each of ours has one method.
    methods = [
        method
        for router in _ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.matches(request.scope)[0] is not Match.NONE
        for method in _methods(route)
    ]
    allowed = ", ".join(methods) or "GET"
    return _error(405, f"this path takes {allowed}", {"Allow": allowed})
