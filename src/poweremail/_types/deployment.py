"""How one deployment of the service spells what others spell otherwise."""

from __future__ import annotations

import re

import attrs

from poweremail.errors import UsageError

__all__ = ["Deployment", "is_call_path"]

_PATH = re.compile(r"[A-Za-z0-9_\-]+(?:/[A-Za-z0-9_\-]+)*\Z")


def is_call_path(value: object) -> bool:
    """Whether *value* is the path of a call, such as ``settings/listSmtp``."""
    return isinstance(value, str) and _PATH.match(value) is not None


def _path(_: Deployment, attribute: attrs.Attribute[str], value: object) -> None:
    if not is_call_path(value):
        reason = f"{value!r} is not a path such as {attribute.default}"
        raise UsageError(reason, field=f"deployment.{attribute.name}", mail_state=None)


@attrs.frozen(kw_only=True)
class Deployment:
    """
    The paths of the calls that are not the same everywhere: what the service's own support says
    goes here; nothing is guessed.

    *send_raw*
        ``messages/sendRaw``; some deployments have ``messages/senRaw``.
    *user_detail*
        ``account/viewUserDetail``; one has ``accounts/userDetails``.

    Raises `UsageError` for what is no path.
    """

    send_raw: str = attrs.field(default="messages/sendRaw", validator=_path)
    user_detail: str = attrs.field(default="account/viewUserDetail", validator=_path)
