"""The settings of a client, checked once."""

from __future__ import annotations

import ipaddress
import re
import warnings
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, Literal, TypeVar
from urllib.parse import urlsplit

import attrs

from poweremail._policy.retry import RetryPolicy
from poweremail._policy.unknown import OnUnknown, UnknownPolicy
from poweremail._types.deployment import Deployment
from poweremail._types.number import is_whole
from poweremail._types.secret import Secret
from poweremail._types.text import header_text
from poweremail._types.timeouts import Timeouts
from poweremail._wire.hosts import is_loopback
from poweremail._wire.http import Endpoint
from poweremail._wire.redaction import Credentials
from poweremail.errors import UsageError

__all__ = ["DEFAULT", "Default", "Settings", "complete", "from_env"]


class Default(Enum):
    """The type of `DEFAULT`."""

    DEFAULT = "default"

    def __repr__(self) -> str:
        return "DEFAULT"


DEFAULT: Final = Default.DEFAULT
"""An option that was not given, where None means something."""

T = TypeVar("T")

_API_VERSION = "v1.0/"
_HOST = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_\-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_\-]{0,61}[A-Za-z0-9_])?)*\Z"
)
_LARGEST_ANSWER = 16 * 1024 * 1024
_DEPLOYMENT = Deployment()


def _usage(reason: str, field: str, advice: str | None = None) -> UsageError:
    return UsageError(reason, field=field, mail_state=None, advice=advice)


def _required(field: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _usage("must be a string that is not empty", field)
    return header_text(field, value, mail_state=None)


def _required_secret(field: str, secret: Secret) -> Secret:
    """As `_required`, raising in a frame that does not have the value."""
    try:
        _required(field, secret.reveal())
    except UsageError as error:
        reason = error.reason
    else:
        return secret
    raise _usage(reason, field)


@attrs.frozen(kw_only=True)
class Settings:
    """
    What a client knows: where the service is, who is calling, and how patiently.

    Made by `Settings.checked`, which raises `UsageError` for what cannot be meant.
    """

    endpoint: Endpoint
    smtp_user_name: str | None
    brand: str
    retry: RetryPolicy
    unknown: UnknownPolicy

    @classmethod
    def checked(
        cls,
        owner_id: str,
        token: Secret,
        app_domain: str | None,
        *,
        smtp_user_name: str | None,
        brand: str,
        base_url: str | None,
        timeouts: Timeouts,
        retry: RetryPolicy,
        unknown: UnknownPolicy,
        max_response_bytes: int = _LARGEST_ANSWER,
        max_request_bytes: int | None = None,
        deployment: Deployment = _DEPLOYMENT,
    ) -> Settings:
        """Check the options of a client."""
        for field, size in (
            ("max_response_bytes", max_response_bytes),
            ("max_request_bytes", max_request_bytes),
        ):
            optional = field == "max_request_bytes" and size is None
            if not optional and not is_whole(size, 1):
                raise _usage(f"must be a number of bytes, not {size!r}", field)
        credentials = Credentials(_required("owner_id", owner_id), _required_secret("token", token))
        return cls(
            endpoint=Endpoint(
                _base_url(app_domain, base_url),
                credentials,
                _instance("timeouts", timeouts, Timeouts),
                max_response_bytes,
                max_request_bytes,
                _instance("deployment", deployment, Deployment),
            ),
            smtp_user_name=None
            if smtp_user_name is None
            else _required("smtp_user_name", smtp_user_name),
            brand=_required("brand", brand),
            retry=_instance("retry", retry, RetryPolicy),
            unknown=unknown,
        )

    def changed(
        self,
        *,
        smtp_user_name: str | Literal[Default.DEFAULT] | None = DEFAULT,
        timeouts: Timeouts | Literal[Default.DEFAULT] = DEFAULT,
        retry: RetryPolicy | Literal[Default.DEFAULT] = DEFAULT,
        on_unknown: OnUnknown | Literal[Default.DEFAULT] = DEFAULT,
        visibility: float | Literal[Default.DEFAULT] = DEFAULT,
        resend_after: float | Literal[Default.DEFAULT] | None = DEFAULT,
    ) -> Settings:
        """Return these settings with the given ones in place of the old."""
        settings = self
        if smtp_user_name is not DEFAULT:
            name = None if smtp_user_name is None else _required("smtp_user_name", smtp_user_name)
            settings = attrs.evolve(settings, smtp_user_name=name)
        if timeouts is not DEFAULT:
            settings = attrs.evolve(
                settings,
                endpoint=attrs.evolve(
                    settings.endpoint, timeouts=_instance("timeouts", timeouts, Timeouts)
                ),
            )
        if retry is not DEFAULT:
            settings = attrs.evolve(settings, retry=_instance("retry", retry, RetryPolicy))
        unknown: dict[str, Any] = {
            "on_unknown": on_unknown,
            "visibility": visibility,
            "resend_after": resend_after,
        }
        changes = {name: value for name, value in unknown.items() if value is not DEFAULT}
        if changes.get("on_unknown", "reconcile") != "reconcile":
            # It goes with reconciling only.
            changes.setdefault("resend_after", None)
        return (
            attrs.evolve(settings, unknown=attrs.evolve(settings.unknown, **changes))
            if changes
            else settings
        )

    def smtp_user(self, given: str | None) -> str:
        """Return the SMTP user of one send: *given*, or the client's."""
        if given is not None:
            if not header_text("smtp_user_name", given).strip():
                raise UsageError("must not be empty", field="smtp_user_name")
            return given
        if self.smtp_user_name is None:
            raise UsageError("give one to the client or to the call", field="smtp_user_name")
        return self.smtp_user_name


def _instance(field: str, value: T, kind: type[T]) -> T:
    if not isinstance(value, kind):
        raise _usage(f"must be a {kind.__name__}, not {type(value).__name__}", field)
    return value


def _base_url(app_domain: str | None, base_url: str | None) -> str:
    if base_url is not None:
        return _checked_url(base_url)
    if app_domain is None:
        raise _usage("give it, or base_url", "app_domain")
    if not isinstance(app_domain, str) or not _HOST.match(app_domain):
        raise _usage(
            f"{app_domain!r} is not a domain",
            "app_domain",
            "give the bare name, such as tes.example.com; a URL goes to base_url",
        )
    return f"https://api.{app_domain}/{_API_VERSION}"


def _checked_url(base_url: str) -> str:
    base_url = _required("base_url", base_url).strip()
    try:
        parts = urlsplit(base_url)
        port = parts.port
    except ValueError as error:
        raise _usage(f"{base_url!r} is not a URL: {error}", "base_url") from None
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not (_HOST.match(host) or _is_ip(host)):
        raise _usage(f"{base_url!r} is not a URL such as https://api.tes.example.com", "base_url")
    if parts.username is not None or parts.query or parts.fragment:
        raise _usage("must not have a user, a query or a fragment", "base_url")
    if parts.scheme == "http" and not is_loopback(host):
        warnings.warn(
            f"base_url is plain http: everyone between here and {host} can read the token of every "
            "request",
            UserWarning,
            stacklevel=5,
        )
    authority = f"[{host}]" if ":" in host else host
    path = parts.path.strip("/")
    if port is not None:
        authority += f":{port}"
    return f"{parts.scheme}://{authority}/{f'{path}/' if path else _API_VERSION}"


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


_VARIABLES = {
    "owner_id": "POWEREMAIL_OWNER_ID",
    "token": "POWEREMAIL_TOKEN",
    "app_domain": "POWEREMAIL_APP_DOMAIN",
    "smtp_user_name": "POWEREMAIL_SMTP_USER_NAME",
    "base_url": "POWEREMAIL_BASE_URL",
}


def from_env(environ: Mapping[str, str], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the options that are *given*, and for the others what *environ* says; the token as a
    `Secret`.
    """
    options: dict[str, Any] = {
        option: environ[variable]
        for option, variable in _VARIABLES.items()
        if environ.get(variable)
    }
    if given.get("app_domain") is not None:
        # Where the caller says where the service is, the environment does not.
        options.pop("base_url", None)
    options |= given
    if "token" in options:
        options["token"] = Secret.of(options["token"])
    return options


def complete(options: dict[str, Any]) -> dict[str, Any]:
    """
    Return the *options* of `from_env`. Raises `UsageError` naming each variable that would have to
    be set.
    """
    missing = [_VARIABLES[option] for option in ("owner_id", "token") if option not in options]
    if "app_domain" not in options and "base_url" not in options:
        missing.append("POWEREMAIL_APP_DOMAIN (or POWEREMAIL_BASE_URL)")
    if missing:
        raise _usage(f"missing from the environment: {', '.join(missing)}", "environment")
    return options
