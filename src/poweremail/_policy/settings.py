"""The options of a client, checked."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
from attrs.validators import optional

from poweremail._messages.message import Message
from poweremail._messages.raw import AnyMail, RawMessage
from poweremail._policy.limits import RateLimits
from poweremail._policy.outcome import OnUnknown, UnknownPolicy
from poweremail._policy.rehearsal import Rehearsal
from poweremail._policy.retry import RetryPolicy
from poweremail._policy.variables import REHEARSAL, variable_of
from poweremail._types.checks import (
    header_text,
    is_host,
    is_loopback,
    is_plain_function,
    is_whole,
    must_be,
    require,
    require_kind,
    required_text,
)
from poweremail._types.options import Deployment, Timeouts
from poweremail._types.outcome_event import AttemptEvent, OutcomeEvent
from poweremail._types.secret import Secret
from poweremail._types.suppression import AnySuppressionStore
from poweremail._wire.http import Endpoint
from poweremail._wire.operations import Operation
from poweremail._wire.redaction import Credentials
from poweremail.errors import ConfigurationError, UsageError


class Default(Enum):
    """The type of `DEFAULT`."""

    DEFAULT = "default"

    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT: Final = Default.DEFAULT
"""An option that was not given, if None has a meaning of its own."""

REHEARSAL_VARIABLES = tuple(map(variable_of, REHEARSAL))

_API_VERSION = "v1.0/"
_SWITCH = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}


def _is_text(_: object, attribute: attrs.Attribute[Any], value: object) -> None:
    _text(attribute.name, value)


def _is_a(kind: type) -> Callable[[object, attrs.Attribute[Any], object], None]:
    return lambda _, attribute, value: require_kind(attribute.name, value, kind)


OnOutcome = Callable[[OutcomeEvent], object]
OnAttempt = Callable[[AttemptEvent], object]

_IS_SWITCH = must_be("True or False", lambda value: isinstance(value, bool))
_IS_HOOK = optional(must_be("a plain function", is_plain_function))
_IS_SIZE = must_be("a number of bytes", lambda value: is_whole(value, 1))
_IS_STORE = must_be(
    "a suppression store",
    lambda value: all(callable(getattr(value, name, None)) for name in ("find", "add")),
)


@attrs.frozen(kw_only=True)
class Settings:
    """
    The options of a client. Raises `ConfigurationError` if one is invalid.

    ``endpoint``, ``unknown`` and ``derives`` are made from the others. ``rehearsals`` are applied
    to each mail, one after the other.
    """

    base_url: str
    credentials: Credentials
    smtp_user_name: str | None = attrs.field(validator=optional(_is_text))
    brand: str = attrs.field(validator=_is_text)
    timeouts: Timeouts = attrs.field(validator=_is_a(Timeouts))
    retry: RetryPolicy = attrs.field(validator=_is_a(RetryPolicy))
    limits: RateLimits | None = attrs.field(validator=optional(_is_a(RateLimits)))
    on_unknown: OnUnknown
    visibility: float
    resend_after: float | None
    deployment: Deployment = attrs.field(validator=_is_a(Deployment))
    max_response_bytes: int = attrs.field(validator=_IS_SIZE)
    max_request_bytes: int | None = attrs.field(validator=optional(_IS_SIZE))
    on_outcome: OnOutcome | None = attrs.field(default=None, validator=_IS_HOOK)
    on_attempt: OnAttempt | None = attrs.field(default=None, validator=_IS_HOOK)
    text_from_html: bool = attrs.field(default=False, validator=_IS_SWITCH)
    ascii_domains: bool = attrs.field(default=False, validator=_IS_SWITCH)
    suppression: AnySuppressionStore | None = attrs.field(
        default=None, validator=optional(_IS_STORE)
    )
    rehearsals: tuple[Rehearsal, ...] = ()
    dry_run: bool = False
    derives: bool = attrs.field(
        init=False,
        default=attrs.Factory(
            lambda self: self.text_from_html or self.ascii_domains, takes_self=True
        ),
    )
    endpoint: Endpoint = attrs.field(
        init=False, default=attrs.Factory(lambda self: self._endpoint(), takes_self=True)
    )
    unknown: UnknownPolicy = attrs.field(
        init=False, default=attrs.Factory(lambda self: self._unknown(), takes_self=True)
    )

    def _endpoint(self) -> Endpoint:
        return Endpoint(
            self.base_url,
            self.credentials,
            self.timeouts,
            self.max_response_bytes,
            self.max_request_bytes,
            self.deployment,
        )

    def _unknown(self) -> UnknownPolicy:
        return UnknownPolicy(self.on_unknown, self.visibility, self.resend_after)

    @classmethod
    def of(
        cls,
        owner_id: str,
        token: Secret,
        app_domain: str | None,
        base_url: str | None,
        **options: Any,
    ) -> Settings:
        """Make settings of the options as a client gets them."""
        try:
            _text("token", token.reveal())
        except ConfigurationError as error:
            # Without its traceback: the frames in it have the token in their locals.
            raise error.with_traceback(None) from None
        return cls(
            base_url=_base_url(app_domain, base_url),
            credentials=Credentials(_text("owner_id", owner_id), token),
            **options,
        )

    def changed(self, **options: Any) -> Settings:
        """
        Return these settings with *options* in place of the old ones; an option that is `DEFAULT`
        does not change.
        """
        given = {name: value for name, value in options.items() if value is not DEFAULT}
        if given.get("on_unknown", "reconcile") != "reconcile":
            # It belongs to "reconcile" and is dropped with it.
            given.setdefault("resend_after", None)
        return attrs.evolve(self, **given)

    def rehearsing(
        self, redirect_to: str | None, allow: Iterable[str] | None, *, dry_run: bool
    ) -> Settings:
        """Return these settings with a further rehearsal. It never loosens an earlier one."""
        rehearsal = Rehearsal.from_options(redirect_to, allow)
        added = () if rehearsal is None else (rehearsal,)
        require("dry_run", dry_run, "True or False", isinstance(dry_run, bool))
        if not added and not dry_run:
            return self
        return attrs.evolve(
            self, rehearsals=self.rehearsals + added, dry_run=self.dry_run or dry_run
        )

    def tightened(self, environ: Mapping[str, str]) -> Settings:
        """Return these settings with the rehearsal that *environ* has."""
        redirect_to, allow, dry_run = (environ.get(name) or None for name in REHEARSAL_VARIABLES)
        if redirect_to is allow is dry_run is None:
            return self
        try:
            return self.rehearsing(
                redirect_to,
                None if allow is None else allow.replace(",", " ").split(),
                dry_run=dry_run is not None and _SWITCH[dry_run.lower()],
            )
        except (UsageError, KeyError) as error:
            reason = error.explanation if isinstance(error, UsageError) else "must be 1 or 0"
            names = " or ".join(name for name in REHEARSAL_VARIABLES if environ.get(name))
            raise ConfigurationError(f"{names}: {reason}", field="environment") from None

    def derive(self, message: AnyMail) -> AnyMail:
        """
        Return *message* after *text_from_html* and *ascii_domains*; a raw one stays as it is.

        Raises `UsageError` if a domain is not valid in DNS.
        """
        derived: Any = message
        if self.text_from_html and isinstance(derived, Message):
            derived = derived.with_text_from_html()
        if self.ascii_domains and not isinstance(derived, RawMessage):
            derived = derived.with_ascii_domains()
        return derived  # type: ignore[no-any-return]  # mypy cannot narrow it

    def rehearse(self, message: AnyMail, *, by_get: bool = False) -> AnyMail:
        """Return *message* as it may be sent. Raises `UsageError` if it may not be sent."""
        for rehearsal in self.rehearsals:
            message = rehearsal.apply(message, by_get=by_get)
        return message

    @property
    def rehearses(self) -> bool:
        """True if a mail may go to others than its recipients, or to nobody."""
        return self.dry_run or bool(self.rehearsals)

    def rehearse_body(self, operation: Operation, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """
        Return the handwritten *body* of *operation* as it may be sent.

        Raises `UsageError` if it may not, or if an operation that is not known may send mail.
        """
        if not operation.sends:
            if operation.may_mail:
                raise UsageError(
                    f"{operation.path} may send mail, and a rehearsal cannot check it", field="path"
                )
            return body
        for rehearsal in self.rehearsals:
            body = rehearsal.apply_to_body(body)
        return body

    def smtp_user(self, given: str | None) -> str:
        """Return the SMTP user of one send: *given*, or the client's."""
        if given is not None:
            return required_text("smtp_user_name", given)
        if self.smtp_user_name is None:
            raise UsageError(
                "give one to the client (from_env reads POWEREMAIL_SMTP_USER_NAME) or to the call",
                field="smtp_user_name",
            )
        return self.smtp_user_name


def _text(field: str, value: object) -> str:
    """Return *value*, which must be a text that is not empty and may stand in a header."""
    try:
        if isinstance(value, str) and value.strip():
            return header_text(field, value)
        reason = "must be a string that is not empty"
    except UsageError as error:
        reason = error.reason
    raise ConfigurationError(reason, field=field)


def _base_url(app_domain: str | None, base_url: str | None) -> str:
    if base_url is not None:
        return _checked_url(base_url)
    if app_domain is None:
        raise ConfigurationError("give it, or base_url", field="app_domain")
    if not isinstance(app_domain, str) or ":" in app_domain or not _is_url_host(app_domain):
        raise ConfigurationError(
            f"{app_domain!r} is not a domain",
            field="app_domain",
            advice="give the bare name, such as tes.example.com; a URL goes to base_url",
        )
    return f"https://api.{app_domain}/{_API_VERSION}"


def _checked_url(base_url: str) -> str:
    base_url = _text("base_url", base_url).strip()
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"{base_url!r} is not a URL: {error}", field="base_url") from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not _is_url_host(host):
        raise ConfigurationError(
            f"{base_url!r} is not a URL such as https://api.tes.example.com", field="base_url"
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise ConfigurationError("must not have a user, a query or a fragment", field="base_url")
    if parts.scheme == "http" and not is_loopback(host):
        warnings.warn(
            f"base_url is plain http: everyone between here and {host} can read the token of every "
            "request",
            UserWarning,
            stacklevel=5,  # the caller of the client's class
        )
    authority = f"[{host}]" if ":" in host else host
    path = parts.path.strip("/")
    if port is not None:
        authority += f":{port}"
    return f"{parts.scheme}://{authority}/{f'{path}/' if path else _API_VERSION}"


def _is_url_host(text: str) -> bool:
    """Return whether *text* is a host as engines and certificates write it."""
    return text.isascii() and not text.endswith(".") and is_host(text)
