"""Requests to the control API: their JSON, their query, and the values that both may have."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, HTTPException, Request, Response
from fastapi.routing import APIRoute
from pydantic import (
    BaseModel,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from starlette.convertors import IntegerConvertor, register_url_convertor

from poweremail.errors import UsageError, WebhookPayloadError
from poweremail.sandbox._api.reading import read_json
from poweremail.sandbox._api.responses import Refusal
from poweremail.sandbox._server.control import Control
from poweremail.sandbox._service import Service
from poweremail.webhooks._asgi import read_body

_MAX_BODY_BYTES = 8 * 1024 * 1024  # room for a template


async def _control(request: Request) -> Control:
    control: Control = request.scope["control"]
    return control


async def _service(request: Request) -> Service:
    return (await _control(request)).service


ControlOf = Annotated[Control, Depends(_control)]
ServiceOf = Annotated[Service, Depends(_service)]


def expects(description: str) -> WrapValidator:
    """Return a validator that replaces every reason of pydantic by ``must be`` *description*."""

    def validate(value: Any, validate_type: ValidatorFunctionWrapHandler) -> Any:
        try:
            return validate_type(value)
        except ValidationError:
            raise ValueError(f"must be {description}") from None

    return WrapValidator(validate)


Text = Annotated[str, expects("a string")]
Flag = Annotated[bool, expects("true or false")]
MAX_PAGE = 1_000
MAX_NUMBER = 10**15  # below the largest integer of SQLite
Number = Annotated[int, Field(ge=0, le=MAX_NUMBER), expects("a number from 0 on")]
ZeroOrOne = Annotated[int, Field(ge=0, le=1), expects("0 or 1")]


class _Digits(IntegerConvertor):
    """The numbers in paths: a word is no number, and leads to the path that has this word."""

    regex = "[0-9]{1,15}"


register_url_convertor("digits", _Digits())


class Body(BaseModel, strict=True, extra="forbid", use_attribute_docstrings=True):
    """The JSON object of a request. Each value must have the type of its member; none is cast."""

    @model_validator(mode="before")
    @classmethod
    def _check_members(cls, members: dict[str, Any]) -> dict[str, Any]:
        _check_names(members, cls.model_fields)
        return members


def _check_names(names: Any, known: Any) -> None:
    """Raise `UsageError` for an unknown name: it may be a known one with a spelling mistake."""
    for name in names:
        if name not in known:
            listed = ", ".join(known) or "none"
            raise UsageError(f"is not known here; known are: {listed}", field=name, mail_state=None)


class _JsonRequest(Request):
    """A request whose body is read as JSON under any Content-Type; an empty one is ``{}``."""

    async def body(self) -> bytes:
        try:
            body = await read_body(self.scope, self.receive, _MAX_BODY_BYTES)
        except WebhookPayloadError:
            reason = f"the body is larger than {_MAX_BODY_BYTES} bytes"
            raise HTTPException(413, reason) from None
        if body is None:
            raise HTTPException(400, "the client disconnected before the end of the body")
        self._content = body or b"{}"
        return self._content

    async def json(self) -> Any:
        try:
            return read_json(self._content)
        except Refusal as refusal:
            raise HTTPException(400, refusal.message) from None


class ControlRoute(APIRoute):
    """
    A route that reads bodies as the API of the sandbox does, by the same reader of JSON.

    Of a query, an empty value counts as absent, as forms and scripts send it; a parameter that the
    route does not declare is an error. So is an empty one of a DELETE: without its value it would
    delete more than it should.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of FastAPI, which calls ``body`` once and then ``json``."""
        handler = super().get_route_handler()
        known: list[str] = []
        # FastAPI's own record of a route: fastapi.routing.APIRoute.dependant.
        for field in self.dependant.query_params:
            known += getattr(field.field_info.annotation, "model_fields", (field.alias,))

        async def handle(request: Request) -> Response:
            _check_names(request.query_params, known)
            items = request.query_params.multi_items()
            if request.method == "DELETE" and (
                empty := [name for name, value in items if not value]
            ):
                raise HTTPException(400, f"{empty[0]}: must not be empty; nothing was deleted")
            query = urlencode([each for each in items if each[1]])
            # FastAPI looks at this header before it reads JSON; curl sends the one of forms.
            headers = [(b"content-type", b"application/json"), *request.scope["headers"]]
            scope = {**request.scope, "headers": headers, "query_string": query.encode()}
            return await handler(_JsonRequest(scope, request.receive))

        return handle
