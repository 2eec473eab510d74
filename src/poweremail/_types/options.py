"""Options of a client that are values: its timeouts, and the paths of its deployment."""

from __future__ import annotations

import re

import attrs

from poweremail._types.checks import is_number, require
from poweremail.errors import ConfigurationError

_SECONDS = "a positive number of seconds or None"
_PATH = re.compile(r"[A-Za-z0-9_\-]+(?:/[A-Za-z0-9_\-]+)*\Z")


def is_call_path(value: object) -> bool:
    """Return whether *value* is the path of a call, such as ``settings/listSmtp``."""
    return isinstance(value, str) and _PATH.match(value) is not None


def _path(_: Deployment, attribute: attrs.Attribute[str], value: object) -> None:
    if not is_call_path(value):
        reason = f"{value!r} is not a path such as {attribute.default}"
        raise ConfigurationError(reason, field=f"deployment.{attribute.name}")


@attrs.frozen(cache_hash=True)
class Timeouts:
    """
    Limits of one attempt, in seconds; None waits forever.

    *connect*
        5: the time until a connection is ready, TLS and a proxy's CONNECT included. A name that
        resolves and a host that listens respond within one; waiting longer only delays the retry,
        which is safe.
    *read*
        30: the time without a byte of the response. It is long on purpose: running out of it leaves
        the outcome of a send unknown.
    *write*
        30: the time that one piece of the body (at most 256 KiB) may take to leave.
    *pool*
        60: the time to wait for a free connection. The mail waits unsent, so a long wait costs
        nothing but time.
    *response*
        Four times *read*: the time from the last byte of the body to the end of the response. It
        ends a response that comes so slowly that *read* never runs out. Then the outcome is
        unknown.
    *total*
        None: the time from taking a connection to the end of the response. The outcome of a send is
        unknown if the last byte of the body may have left, else *not sent*.
    *suppression*
        30: the time that the suppression store of an async client may take, more than its database
        takes to fail. The mail is not sent. A sync client calls the store in your own thread, with
        its connections and transactions, and nothing can end it there.

    No limit counts the waits for the limits of an SMTP user, for the next attempt or for a lookup;
    ``RetryPolicy.max_total`` and ``visibility`` bound these.

    Raises `ConfigurationError` if one is no positive number.
    """

    connect: float | None = 5.0
    read: float | None = 30.0
    write: float | None = 30.0
    pool: float | None = 60.0
    response: float | None = attrs.field(
        default=attrs.Factory(
            lambda self: 4 * self.read if is_number(self.read) else None, takes_self=True
        )
    )
    total: float | None = None
    suppression: float | None = 30.0

    def __attrs_post_init__(self) -> None:
        for field in attrs.fields(Timeouts):
            seconds = getattr(self, field.name)
            valid = seconds is None or (is_number(seconds) and seconds > 0)
            require(f"timeouts.{field.name}", seconds, _SECONDS, valid)

    def within(self, seconds: float) -> Timeouts:
        """Return these limits, each of them at most *seconds*."""
        limits = {
            name: seconds if limit is None else min(limit, seconds)
            for name, limit in attrs.asdict(self).items()
        }
        return Timeouts(**limits)


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
