"""The paths in which deployments of the service differ."""

from __future__ import annotations

import re

import attrs

from poweremail.errors import ConfigurationError

__all__ = ["Deployment", "is_call_path"]

_PATH = re.compile(r"[A-Za-z0-9_\-]+(?:/[A-Za-z0-9_\-]+)*\Z")


def is_call_path(value: object) -> bool:
    """Return whether *value* is the path of a call, such as ``settings/listSmtp``."""
    return isinstance(value, str) and _PATH.match(value) is not None


def _path(_: Deployment, attribute: attrs.Attribute[str], value: object) -> None:
    if not is_call_path(value):
        reason = f"{value!r} is not a path such as {attribute.default}"
        raise ConfigurationError(reason, field=f"deployment.{attribute.name}")


@attrs.frozen(kw_only=True)
class Deployment:
    """
    The paths of the calls that differ between deployments. Give those that the support of your
    service names.

    *send_raw*
        ``messages/sendRaw``; in some deployments ``messages/senRaw``.
    *user_detail*
        ``account/viewUserDetail``; in one deployment ``accounts/userDetails``.

    Raises `ConfigurationError` if one is no path.
    """

    send_raw: str = attrs.field(default="messages/sendRaw", validator=_path)
    user_detail: str = attrs.field(default="account/viewUserDetail", validator=_path)
