"""What can go wrong: each `Fault` is a value, made by the function of its name."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Literal

import attrs

from poweremail._response import Response
from poweremail._types.frozen import FrozenMapping
from poweremail._types.number import is_number, is_whole
from poweremail.errors import UsageError
from poweremail.sandbox._api.call import Broken
from poweremail.sandbox._api.responses import JSON

__all__ = ["Effect", "Fault"]

_HTML = ("Content-Type", "text/html; charset=utf-8")


def _frozen(options: Mapping[str, Any]) -> FrozenMapping[Any]:
    return FrozenMapping(options)


@attrs.frozen(kw_only=True)
class Effect:
    """
    How a fault shows: what differs from a call without one.

    *carried_out* is False where the service does not act on the request. *broken*, *latency* and
    *drip* are those of a `Reply`. *visible_after* is how many seconds pass until getMessageInfo
    shows the mail. *status*, *headers* and *body* replace those of the answer where they are given.
    *cut* leaves the first half of the body.
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
        """
        Whether this changes what comes, rather than when. One fault decides; any number of others
        may slow it down.
        """
        return (
            not self.carried_out
            or self.broken is not None
            or self.cut
            or bool(self.headers)
            or self.status is not None
        )

    @property
    def before_body(self) -> bool:
        """Whether the connection breaks before the body of the request is read."""
        return self.broken in ("refused", "reset_before")

    def response(self, genuine: Response | None) -> Response | None:
        """
        The answer that comes in place of the *genuine* one, which is None where the call was not
        carried out.
        """
        if self.broken not in (None, "truncated"):
            return None
        genuine = genuine or Response(HTTPStatus.OK, (JSON,), b"")
        body = genuine.body if self.body is None else self.body
        arriving = body[: len(body) // 2] if self.cut else body
        # HTTP can tell that an answer is cut only where its length says more than arrives.
        length = len(body) if self.broken == "truncated" else len(arriving)
        replaced = {name.lower() for name, _ in self.headers} | {"content-length"}
        kept = tuple(header for header in genuine.headers if header[0].lower() not in replaced)
        headers = (*kept, *self.headers, ("Content-Length", str(length)))
        return Response(self.status or genuine.status, headers, arriving)


@attrs.frozen
class Fault:
    """
    One thing that goes wrong: *kind* and *options* say which, *effect* how it shows.

    Made by the functions below, or by `from_dict`; `to_dict` writes it down. Times are in seconds.
    A wrong option raises `UsageError`. Faults that only slow things down (`latency`, `slow_drip`,
    `late_visibility`) go together with any other.
    """

    kind: str
    options: Mapping[str, Any] = attrs.field(converter=_frozen)
    effect: Effect = attrs.field(repr=False)

    @classmethod
    def latency(cls, seconds: float) -> Fault:
        """The answer takes *seconds* longer."""
        return cls("latency", {"seconds": seconds}, Effect(latency=_seconds(seconds)))

    @classmethod
    def slow_drip(cls, seconds: float) -> Fault:
        """The body of the answer comes byte by byte, *seconds* apart."""
        return cls("slow_drip", {"seconds": seconds}, Effect(drip=_seconds(seconds)))

    @classmethod
    def late_visibility(cls, seconds: float) -> Fault:
        """The mail is accepted, and getMessageInfo shows it only *seconds* later."""
        return cls("late_visibility", {"seconds": seconds}, Effect(visible_after=_seconds(seconds)))

    @classmethod
    def refuse(cls) -> Fault:
        """
        The request never reaches the service.

        Over HTTP the connection is reset as soon as the headers are in: by then a small body may
        have left the client's machine, so that the client cannot know as much as it does
        in-process.
        """
        return cls("refuse", {}, Effect(carried_out=False, broken="refused"))

    @classmethod
    def reset_before_acceptance(cls) -> Fault:
        """The connection is reset before the body is read: the mail is not taken."""
        return cls("reset_before_acceptance", {}, Effect(carried_out=False, broken="reset_before"))

    @classmethod
    def reset_after_acceptance(cls) -> Fault:
        """The mail is taken, and the connection is reset before the answer."""
        return cls("reset_after_acceptance", {}, Effect(broken="reset_after"))

    @classmethod
    def stall(cls, seconds: float | None = None) -> Fault:
        """
        The mail is taken and no answer comes: the connection is closed after *seconds*, or stays
        open for ever.
        """
        latency = math.inf if seconds is None else _seconds(seconds)
        return cls("stall", {"seconds": seconds}, Effect(broken="stalled", latency=latency))

    @classmethod
    def truncated(cls, *, close: bool = True) -> Fault:
        """
        The mail is taken and the answer ends in its middle.

        With *close*, the connection is closed there, against the announced Content-Length; without,
        all is well as far as HTTP can tell, and only the JSON is half.
        """
        return cls(
            "truncated",
            {"close": close},
            Effect(cut=True, broken="truncated" if _flag("close", close) else None),
        )

    @classmethod
    def html(cls, *, accepted: bool = True) -> Fault:
        """
        A page of HTML comes with status 200, as from a proxy; *accepted* says whether the service
        got the call.
        """
        body = b"<!DOCTYPE html><html><body><h1>It works!</h1></body></html>"
        return cls(
            "html",
            {"accepted": accepted},
            Effect(
                carried_out=_flag("accepted", accepted), status=200, headers=(_HTML,), body=body
            ),
        )

    @classmethod
    def wrong_content_type(cls) -> Fault:
        """The right answer comes under the Content-Type of an HTML page."""
        return cls("wrong_content_type", {}, Effect(headers=(_HTML,)))

    @classmethod
    def status(cls, code: int, *, accepted: bool = False) -> Fault:
        """
        The HTTP status *code* (400 to 599) comes with a page of HTML; *accepted* says whether the
        service got the call.
        """
        title = _status("code", code, 400)
        body = f"<!DOCTYPE html><html><body><h1>{title}</h1></body></html>".encode()
        effect = Effect(
            carried_out=_flag("accepted", accepted), status=code, headers=(_HTML,), body=body
        )
        return cls("status", {"code": code, "accepted": accepted}, effect)

    @classmethod
    def error(
        cls,
        name: str,
        message: str | list[str],
        *,
        code: str | int | None = "-1",
        name_in: Literal["name", "type", "type_object"] = "name",
        array: bool = False,
        http_status: int = 200,
    ) -> Fault:
        """
        The service answers an error and does not take the mail.

        The options are the shapes in which such answers are seen: *message* a string or several;
        *code* a string, a number or (None) absent; the *name* in the member ``name``, in ``type``,
        or in an object in ``type``; the whole in an *array*.
        """
        texts = message if isinstance(message, list) else [message]
        if not all(isinstance(text, str) for text in (name, *texts)):
            raise _wrong("name and message", "strings", (name, message))
        if code is not None and (isinstance(code, bool) or not isinstance(code, str | int)):
            raise _wrong("code", "a string, a number or None", code)
        if name_in not in ("name", "type", "type_object"):
            raise _wrong("name_in", "name, type or type_object", name_in)
        envelope: dict[str, Any] = {"status": "error", "message": message}
        if code is not None:
            envelope["code"] = code
        envelope["name" if name_in == "name" else "type"] = (
            {"name": name} if name_in == "type_object" else name
        )
        options = {
            "name": name,
            "message": message,
            "code": code,
            "name_in": name_in,
            "array": array,
            "http_status": http_status,
        }
        body = json.dumps([envelope] if _flag("array", array) else envelope).encode()
        return cls(
            "error",
            options,
            Effect(
                carried_out=False,
                status=_status("http_status", http_status, 200),
                headers=(JSON,),
                body=body,
            ),
        )

    @classmethod
    def rate_limited(cls, *, retry_after: float | str | None = None) -> Fault:
        """
        Too many requests: 429, the mail is not taken. *retry_after*, seconds or an HTTP date, is
        sent as Retry-After.
        """
        headers = (
            (JSON,) if retry_after is None else (JSON, ("Retry-After", _retry_after(retry_after)))
        )
        body = json.dumps(
            {"status": "error", "code": "-1", "message": "Too many requests"}
        ).encode()
        effect = Effect(
            carried_out=False, status=HTTPStatus.TOO_MANY_REQUESTS, headers=headers, body=body
        )
        return cls("rate_limited", {"retry_after": retry_after}, effect)

    def to_dict(self) -> dict[str, Any]:
        """The fault as JSON values: its ``kind``, and its options by name."""
        return {"kind": self.kind, **self.options}

    @classmethod
    def from_dict(cls, members: Mapping[str, Any]) -> Fault:
        """
        Make the fault that `to_dict` wrote; options may be left out as in Python. Raises
        `UsageError` where it is none.
        """
        options = dict(members)
        kind = options.pop("kind", None)
        if not isinstance(kind, str) or kind not in _KINDS:
            raise _wrong("kind", f"one of {', '.join(_KINDS)}", kind)
        make: Callable[..., Fault] = getattr(cls, kind)
        try:
            inspect.signature(make).bind(**options)
        except TypeError as error:
            raise UsageError(str(error), field=kind, mail_state=None) from None
        return make(**options)


_KINDS = (
    "latency",
    "slow_drip",
    "late_visibility",
    "refuse",
    "reset_before_acceptance",
    "reset_after_acceptance",
    "stall",
    "truncated",
    "html",
    "wrong_content_type",
    "status",
    "error",
    "rate_limited",
)


def _wrong(field: str, wanted: str, value: object) -> UsageError:
    return UsageError(f"must be {wanted}, not {value!r}", field=field, mail_state=None)


def _seconds(value: object) -> float:
    if not is_number(value):
        raise _wrong("seconds", "a number of seconds", value)
    return float(value)


def _flag(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(field, "True or False", value)
    return value


def _status(field: str, value: object, least: int) -> int:
    if not (is_whole(value, least) and value < 600):  # noqa: PLR2004 - the last class of RFC 9110
        raise _wrong(field, f"an HTTP status from {least} to 599", value)
    return value


def _retry_after(value: object) -> str:
    if isinstance(value, str) and value.isascii() and value.isprintable():
        return value
    if isinstance(value, str):
        raise _wrong("retry_after", "seconds or an HTTP date", value)
    seconds = _seconds(value)
    # RFC 9110 knows whole seconds only; a fraction is what a sloppy server would send.
    return str(int(seconds)) if seconds.is_integer() else str(seconds)
