"""Requests to the control API: their JSON, their query, and the values that both may have."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, ClassVar

from fastapi import Depends, HTTPException, Request, Response
from fastapi.routing import APIRoute
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from poweremail.errors import UsageError, WebhookPayloadError
from poweremail.sandbox._api.reading import read_json
from poweremail.sandbox._api.responses import Refusal
from poweremail.sandbox._server.control import Control
from poweremail.sandbox._service import Service
from poweremail.webhooks._asgi import read_body

__all__ = [
    "MAX_NUMBER",
    "Body",
    "ControlOf",
    "ControlRoute",
    "Flag",
    "Number",
    "ServiceOf",
    "Text",
    "ZeroOrOne",
    "check_query",
    "expects",
]

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
MAX_NUMBER = 10**15  # below the largest integer of SQLite
Number = Annotated[int, Field(ge=0, le=MAX_NUMBER), expects("a number from 0 on")]
ZeroOrOne = Annotated[int, Field(ge=0, le=1), expects("0 or 1")]


class Body(BaseModel):
    """The JSON object of a request. Each value must have the type of its member; none is cast."""

    model_config: ClassVar = ConfigDict(strict=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _check_members(cls, members: dict[str, Any]) -> dict[str, Any]:
        _check_names(members, cls.model_fields)
        return members


async def check_query(request: Request) -> None:
    """Raise `UsageError` if a query has a parameter that its route does not declare."""
    known: list[str] = []
    # FastAPI's own record of a route: fastapi.routing.APIRoute.dependant.
    for field in request.scope["route"].dependant.query_params:
        model = field.field_info.annotation
        is_model = isinstance(model, type) and issubclass(model, BaseModel)
        known += model.model_fields if is_model else [field.alias]
    _check_names(request.query_params, known)


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
    """A route that reads bodies as the API of the sandbox does, by the same reader of JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of FastAPI, which calls ``body`` once and then ``json``."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            # FastAPI looks at this header before it reads JSON; curl sends the one of forms.
            headers = [(b"content-type", b"application/json"), *request.scope["headers"]]
            return await handler(
                _JsonRequest({**request.scope, "headers": headers}, request.receive)
            )

        return handle
