"""
Links by which people unsubscribe, signed so that nobody can make one for somebody else.

A link holds what it does: the address, the stream, and until when it is valid. So no database has
to remember the links that were sent. It is signed, not encrypted: whoever has the link can read the
address, and they have the mail as well.

The token is ``PAYLOAD.SIGNATURE``, both in the URL-safe alphabet of base64 without padding, which
no mail program breaks. The payload is a version byte, the last valid hour since the epoch (four
bytes), the length of the stream's name (one byte), the name, and the address. The signature is the
first half of an HMAC-SHA256, 128 bits.
"""

from __future__ import annotations

import base64
import hmac
import re
import time
from binascii import Error as Base64Error
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import attrs

from poweremail._types.address import recipient
from poweremail._types.address_forms import ascii_domain
from poweremail._types.checks import require
from poweremail._types.secret import Secret
from poweremail._types.suppression import Suppression, check_stream, lookup_form
from poweremail._types.unsubscribe import Unsubscribe
from poweremail.errors import ConfigurationError, UsageError

_VERSION = 1
_HEAD_BYTES = 6
_SIGNATURE_BYTES = 16
_PURPOSE = b"poweremail unsubscribe\0"
"""Signed with every payload: a signature that the same key makes for another use is none here."""

_MAX_TOKEN_CHARS = 700
_TOKEN = re.compile(rf"[A-Za-z0-9_\-]{{8,{_MAX_TOKEN_CHARS}}}\.[A-Za-z0-9_\-]{{22}}\Z")
_ADDED = re.compile(r"[?#]")
_MIN_KEY_CHARS = 16
_HOUR_SECONDS = 3_600
_LONGEST = timedelta(days=36_525)


class LinkError(UsageError):
    """
    A link does not unsubscribe anybody: it was not signed by these keys, or it is too old.

    *is_expired*: True if it is genuine and too old.
    """

    def __init__(self, reason: str, *, is_expired: bool = False) -> None:
        super().__init__(reason, field="link", mail_state=None)
        self.is_expired = is_expired


@attrs.frozen
class Unsubscription:
    """
    What a link asks for: *address* wants no more mails of *stream*. The link is valid *until* then.
    """

    address: str
    stream: str
    until: datetime

    def suppression(self) -> Suppression:
        """Return the entry for a suppression store."""
        return Suppression(self.address, self.stream, reason="unsubscribe", note="link")


def _keys(given: object) -> tuple[Secret | None, ...]:
    """Return the keys; None for what cannot be one. It raises nothing: it has the plain keys."""
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else (given,)
    return tuple([Secret.of(each) if isinstance(each, str | Secret) else None for each in several])


class UnsubscribeLinks:
    """
    Makes links to *base_url* for the ``unsubscribe=`` of a message, and reads them.

    *base_url*
        Where `UnsubscribeASGI`, `UnsubscribeWSGI` or the view for Django is: an ``https://`` URL.
        The token of a link is added to its path.
    *keys*
        A secret of at least 16 characters, or several: the first signs, and all of them verify. To
        rotate, put a new one before the old one, and remove the old one after *valid_for*.
        ``python -c "import secrets; print(secrets.token_urlsafe())"`` makes one.
    *mailto*
        An address to which people can write instead; its links carry the token as their subject.
    *valid_for*
        How long a link can be used, an hour to 100 years: 366 days.
    *clock*
        Returns epoch seconds.

    The keys are in no repr. Raises `ConfigurationError` if an option is invalid.
    """

    def __init__(
        self,
        base_url: str,
        keys: str | Secret | Iterable[str | Secret],
        *,
        mailto: str | None = None,
        valid_for: timedelta = timedelta(days=366),
        clock: Callable[[], float] = time.time,
    ) -> None:
        secrets = _keys(keys)
        # The plain keys must be in no frame of a traceback.
        del keys
        if not secrets:
            raise ConfigurationError("give at least one", field="keys")
        self._keys = tuple(key for key in secrets if key is not None)
        if len(self._keys) < len(secrets):
            raise ConfigurationError("each must be a str or a Secret", field="keys")
        if any(len(key.reveal().strip()) < _MIN_KEY_CHARS for key in self._keys):
            raise ConfigurationError(
                f"a key must have at least {_MIN_KEY_CHARS} characters", field="keys"
            )
        is_interval = (
            isinstance(valid_for, timedelta) and timedelta(hours=1) <= valid_for <= _LONGEST
        )
        require("valid_for", valid_for, "a timedelta of an hour to 100 years", is_interval)
        self._base_url = _checked_base(base_url)
        self._mailto = None if mailto is None else _mailto_link(mailto)
        self._valid_for = valid_for
        self._clock = clock

    def link(self, address: str, stream: str) -> Unsubscribe:
        """
        Return the links by which *address*, perhaps with a display name, unsubscribes from
        *stream*.

        Its ``url`` can be shown in the mail, too. Raises `UsageError` if one of them is invalid.
        """
        token = self.token(address, stream)
        mailto = None if self._mailto is None else f"{self._mailto}?subject={token}"
        return Unsubscribe(f"{self._base_url}/{token}", mailto=mailto)

    def token(self, address: str, stream: str) -> str:
        """Return the token of the link. Raises `UsageError` if an argument is invalid."""
        name = check_stream("stream", stream).encode()
        until = int(self._clock() + self._valid_for.total_seconds()) // _HOUR_SECONDS + 1
        payload = b"".join(
            (
                bytes((_VERSION,)),
                until.to_bytes(4),
                bytes((len(name),)),
                name,
                lookup_form(address).encode(),
            )
        )
        return f"{_encoded(payload)}.{_encoded(_signature(self._keys[0], payload))}"

    def read(self, token: str) -> Unsubscription:
        """
        Return what the link with *token*, or with this whole URL, asks for. White space around it,
        a slash at its end, and a query that somebody has added do not matter.

        Raises `LinkError` if none of the keys has signed it, or it is too old.
        """
        # Whoever passes the link on may add a slash or a query.
        if isinstance(token, str):
            token = _ADDED.split(token, maxsplit=1)[0].strip().rstrip("/").rpartition("/")[2]
        # Before anything is decoded or compared: a stranger chooses it.
        if not isinstance(token, str) or not _TOKEN.match(token):
            raise LinkError("it is no link to unsubscribe")
        try:
            payload, signature = map(_decoded, token.split("."))
        except (Base64Error, ValueError):
            raise LinkError("it is no link to unsubscribe") from None
        # All keys are tried, so that the time does not tell which of them fits.
        matches = [hmac.compare_digest(signature, _signature(key, payload)) for key in self._keys]
        if not any(matches) or payload[:1] != bytes((_VERSION,)):
            raise LinkError("it was not signed by any of the keys")
        end_of_name = _HEAD_BYTES + payload[_HEAD_BYTES - 1]
        until = datetime.fromtimestamp(int.from_bytes(payload[1:5]) * _HOUR_SECONDS, UTC)
        if until.timestamp() < self._clock():
            raise LinkError(f"it was valid until {until:%Y-%m-%d}", is_expired=True)
        return Unsubscription(
            payload[end_of_name:].decode(), payload[_HEAD_BYTES:end_of_name].decode(), until
        )

    def __repr__(self) -> str:
        if not hasattr(self, "_base_url"):  # in the traceback of an invalid option
            return f"<{type(self).__name__}>"
        return f"<{type(self).__name__} to {self._base_url!r}, {len(self._keys)} keys>"


def _checked_base(base_url: Any) -> str:
    try:
        url = Unsubscribe(base_url).url or ""
    except UsageError as error:
        raise ConfigurationError(error.reason, field="base_url") from None
    if "?" in url:
        raise ConfigurationError("must not have a query", field="base_url")
    return url.rstrip("/")


def _mailto_link(address: str) -> str:
    """Return *address* as a URL without a subject (RFC 6068, 2)."""
    try:
        email = recipient("mailto", address).email
        local = quote(email.rpartition("@")[0], safe="!$'*+")
        return Unsubscribe(mailto=f"{local}@{ascii_domain(email)}").mailto or ""
    except UsageError as error:
        raise ConfigurationError(error.reason, field="mailto") from None


def _signature(key: Secret, payload: bytes) -> bytes:
    return hmac.digest(key.reveal().encode(), _PURPOSE + payload, "sha256")[:_SIGNATURE_BYTES]


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _encoded(data) != text:
        raise ValueError("it is not the one text for its bytes")
    return data
