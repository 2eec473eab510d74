"""
The kinds of faults.

`Fault` is the table: each function in it is one kind, and says in an `Effect` what differs from a
request without a fault. To add a kind, add a function; its name and its parameters are those that
`Fault.from_dict` and the control API know.
"""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, Literal, ParamSpec, get_args

import attrs

from poweremail._response import Response
from poweremail._types import FrozenMapping
from poweremail._types.checks import is_number, is_whole, require, require_one_of
from poweremail.errors import ConfigurationError
from poweremail.sandbox._api import Broken
from poweremail.sandbox._api.responses import JSON

_P = ParamSpec("_P")
_HTML = ("Content-Type", "text/html; charset=utf-8")
_LAST_STATUS = 599  # the last class of RFC 9110
_NameIn = Literal["both", "name", "type", "type_object"]


@attrs.frozen(kw_only=True)
class Effect:
    """
    The difference that a fault makes.

    *carried_out*
        False if the service does not act on the request.
    *broken*, *latency*, *drip*
        Those of a `Reply`.
    *visible_after*
        Seconds until getMessageInfo shows the mail.
    *status*, *headers*, *body*
        Replace those of the genuine response, if they are given.
    *cut*
        Whether only the first half of the body arrives.
    """

    carried_out: bool = True
    broken: Broken | None = None
    latency: float = 0.0
    drip: float = 0.0
    visible_after: float = 0.0
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    cut: bool = False

    @property
    def decides(self) -> bool:
        """True if this changes the response, not only its time. One fault of a request does."""
        return attrs.evolve(self, latency=0.0, drip=0.0, visible_after=0.0) != Effect()

    @property
    def before_body(self) -> bool:
        """True if the connection breaks before the body of the request is read."""
        return self.broken in ("refused", "reset_before")

    def response(self, genuine: Response | None) -> Response | None:
        """Return the response in place of the *genuine* one; None: the call is not carried out."""
        if self.broken not in (None, "truncated"):
            return None
        genuine = genuine or Response(HTTPStatus.OK, (JSON,), b"")
        body = genuine.body if self.body is None else self.body
        arriving = body[: len(body) // 2] if self.cut else body
        # A client of HTTP sees that a body is cut only if its Content-Length is that of the whole.
        length = len(body) if self.broken == "truncated" else len(arriving)
        replaced = {name.lower() for name, _ in self.headers} | {"content-length"}
        kept = tuple(header for header in genuine.headers if header[0].lower() not in replaced)
        headers = (*kept, *self.headers, ("Content-Length", str(length)))
        return Response(self.status or genuine.status, headers, arriving)


_KINDS: dict[str, Callable[..., Fault]] = {}


def _kind(effect: Callable[_P, Effect]) -> Callable[_P, Fault]:
    """Register a kind: the result makes the `Fault` with the name, options and *effect* of it."""
    kind, signature = effect.__name__, inspect.signature(effect)

    @wraps(effect)
    def make(*args: _P.args, **kwargs: _P.kwargs) -> Fault:
        made = effect(*args, **kwargs)
        options = signature.bind(*args, **kwargs)
        options.apply_defaults()
        return Fault(kind, options.arguments, made)

    _KINDS[kind] = make
    return make


@attrs.frozen
class Fault:
    """
    A fault: its *kind*, the *options* it was made with, and its *effect*.

    Made by the functions below, or by `from_dict`; `to_dict` is the reverse. Times are in seconds.
    An invalid option raises `ConfigurationError`. Faults that only delay (`latency`, `slow_drip`,
    `late_visibility`) combine with any other.
    """

    kind: str
    options: Mapping[str, Any] = attrs.field(converter=FrozenMapping[Any])
    effect: Effect = attrs.field(repr=False)

    @staticmethod
    @_kind
    def latency(seconds: float) -> Effect:
        """The response takes *seconds* longer."""
        return Effect(latency=_seconds(seconds))

    @staticmethod
    @_kind
    def slow_drip(seconds: float) -> Effect:
        """The body of the response comes byte by byte, *seconds* apart."""
        return Effect(drip=_seconds(seconds))

    @staticmethod
    @_kind
    def late_visibility(seconds: float) -> Effect:
        """The mail is accepted, and getMessageInfo shows it only *seconds* later."""
        return Effect(visible_after=_seconds(seconds))

    @staticmethod
    @_kind
    def refuse() -> Effect:
        """
        The request never reaches the service.

        Over HTTP the connection is reset as soon as the headers are in. By then a small body may
        have left the client's machine, so that the client knows less than it does in-process.
        """
        return Effect(carried_out=False, broken="refused")

    @staticmethod
    @_kind
    def reset_before_acceptance() -> Effect:
        """The connection is reset before the body is read: the mail is not accepted."""
        return Effect(carried_out=False, broken="reset_before")

    @staticmethod
    @_kind
    def reset_after_acceptance() -> Effect:
        """The mail is accepted, and the connection is reset before the response."""
        return Effect(broken="reset_after")

    @staticmethod
    @_kind
    def stall(seconds: float | None = None) -> Effect:
        """
        The mail is accepted and no response comes.

        The connection is closed after *seconds*; None keeps it open for ever.
        """
        return Effect(broken="stalled", latency=math.inf if seconds is None else _seconds(seconds))

    @staticmethod
    @_kind
    def truncated(*, close: bool = True) -> Effect:
        """
        The mail is accepted, and the response ends in its middle.

        With *close*, the connection is closed there, before the announced Content-Length. Without,
        the response is sound HTTP with half of the JSON.
        """
        return Effect(cut=True, broken="truncated" if _flag("close", close) else None)

    @staticmethod
    @_kind
    def html(*, accepted: bool = True) -> Effect:
        """
        A page of HTML comes with status 200, as from a proxy.

        *accepted* says whether the service got the call.
        """
        return _page(200, "It works!", accepted)

    @staticmethod
    @_kind
    def wrong_content_type() -> Effect:
        """The right response comes under the Content-Type of an HTML page."""
        return Effect(headers=(_HTML,))

    @staticmethod
    @_kind
    def status(code: int, *, accepted: bool = False) -> Effect:
        """
        The HTTP status *code* (400 to 599) comes with a page of HTML.

        *accepted* says whether the service got the call.
        """
        return _page(_status("code", code, 400), code, accepted)

    @staticmethod
    @_kind
    def error(
        name: str,
        message: str | list[str],
        *,
        code: str | int | None = "-1",
        name_in: _NameIn = "both",
        array: bool = False,
        http_status: int = 200,
    ) -> Effect:
        """
        The service reports an error and does not accept the mail.

        The options are the forms in which such errors are seen.

        *message*
            A string or several.
        *code*
            A string, a number, or None if it is absent.
        *name_in*
            The member for the *name*: ``name``, ``type``, ``both``, or an object in ``type``.
        *array*
            Whether the error stands in an array.
        """
        texts = message if isinstance(message, list) else [message]
        is_text = all(isinstance(text, str) for text in (name, *texts))
        require("name and message", (name, message), "strings", is_text)
        is_code = code is None or (isinstance(code, str | int) and not isinstance(code, bool))
        require("code", code, "a string, a number or None", is_code)
        require("name_in", name_in, "both, name, type or type_object", name_in in get_args(_NameIn))
        members = ("name", "type") if name_in == "both" else (name_in.removesuffix("_object"),)
        envelope = {
            "status": "error",
            "message": message,
            **({} if code is None else {"code": code}),
            **dict.fromkeys(members, {"name": name} if name_in == "type_object" else name),
        }
        return _not_accepted(
            [envelope] if _flag("array", array) else envelope,
            _status("http_status", http_status, 200),
        )

    @staticmethod
    @_kind
    def rate_limited(*, retry_after: float | str | None = None) -> Effect:
        """
        Too many requests: HTTP 429, and the mail is not accepted.

        *retry_after*, seconds or an HTTP date, is sent as Retry-After.
        """
        name = dict.fromkeys(("name", "type"), "ValidationError")
        envelope = {"status": "error", "code": "-1", **name, "message": "Too many requests"}
        headers = [] if retry_after is None else [("Retry-After", _retry_after(retry_after))]
        return _not_accepted(envelope, HTTPStatus.TOO_MANY_REQUESTS, *headers)

    def to_dict(self) -> dict[str, Any]:
        """Return the fault as JSON values: its ``kind``, and its options by name."""
        return {"kind": self.kind, **self.options}

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Fault:
        """
        Make the fault that `to_dict` returned; options may be left out as in Python.

        Raises `ConfigurationError` if the members are invalid.
        """
        options = dict(members)
        kind = options.pop("kind", None)
        require_one_of("kind", kind, tuple(_KINDS))
        make = _KINDS[kind]
        try:
            inspect.signature(make).bind(**options)
        except TypeError as error:
            raise ConfigurationError(str(error), field=kind) from None
        return make(**options)


def _page(status: int, title: object, accepted: object) -> Effect:
    body = f"<!DOCTYPE html><html><body><h1>{title}</h1></body></html>".encode()
    return Effect(
        carried_out=_flag("accepted", accepted), status=status, headers=(_HTML,), body=body
    )


def _not_accepted(envelope: object, status: int, *headers: tuple[str, str]) -> Effect:
    return Effect(
        carried_out=False,
        status=status,
        headers=(JSON, *headers),
        body=json.dumps(envelope).encode(),
    )


def _seconds(value: Any) -> float:
    return float(require("seconds", value, "a number of seconds", is_number(value)))


def _flag(field: str, value: Any) -> bool:
    return bool(require(field, value, "True or False", isinstance(value, bool)))


def _status(field: str, value: Any, least: int) -> int:
    valid = is_whole(value, least) and value <= _LAST_STATUS
    return int(require(field, value, f"an HTTP status from {least} to {_LAST_STATUS}", valid))


def _retry_after(value: Any) -> str:
    if isinstance(value, str):
        valid = value.isascii() and value.isprintable()
        return require("retry_after", value, "seconds or an HTTP date", valid)
    seconds = _seconds(value)
    # RFC 9110 knows whole seconds only; a fraction is what a sloppy server would send.
    return f"{seconds:.0f}" if seconds.is_integer() else str(seconds)
