"""
A password for the page and the control API, by HTTP Basic authentication.

The users are in a file as Apache's ``htpasswd -B`` writes it: lines of a name, a colon, and the
bcrypt hash of a password.
"""

from __future__ import annotations

import binascii
import hmac
import os
import re
import secrets
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

import anyio
import anyio.to_thread
import bcrypt
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from poweremail.errors import ConfigurationError

# With the costs that bcrypt has: 04 to 31.
_HASH = re.compile(r"\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_MAX_PASSWORD_BYTES = 72  # bcrypt reads no more
_MAX_CHECKS_AT_ONCE = 2
"""A check takes a tenth of a second of processor time on purpose: nobody can take all of it."""

_OPEN_PATHS = ("/_sandbox/health",)
_CHALLENGE = {"WWW-Authenticate": 'Basic realm="PowerEmail sandbox", charset="UTF-8"'}


def hash_password(password: str) -> str:
    """Return the hash of *password* for a line of the file. Raises `ConfigurationError`."""
    try:
        encoded = password.encode()
    except UnicodeEncodeError:  # the error has the password
        raise ConfigurationError("is not UTF-8", field="password") from None
    if not 0 < len(encoded) <= _MAX_PASSWORD_BYTES or b"\0" in encoded:
        raise ConfigurationError(
            f"must have from 1 to {_MAX_PASSWORD_BYTES} bytes, none of them 0", field="password"
        )
    return bcrypt.hashpw(encoded, bcrypt.gensalt()).decode()


class Users:
    """
    The users of a file and the hashes of their passwords. Safe to use from several threads.

    Raises `ConfigurationError` if the file cannot be read, or if it has a line that is neither
    empty, a comment, nor a user with a bcrypt hash.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._hashes: dict[str, bytes] = {}
        try:
            lines = Path(path).read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise ConfigurationError(
                f"cannot read {os.fspath(path)!r}: {reason}", field="auth"
            ) from None
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            name, _, hashed = line.strip().partition(":")
            if not (name and _HASH.fullmatch(hashed)):
                # The line may have a password by mistake: it is not quoted.
                raise ConfigurationError(
                    f"line {number} of {os.fspath(path)!r} is not NAME:HASH with a bcrypt hash",
                    field="auth",
                    advice="`poweremail sandbox password NAME` and `htpasswd -nB NAME` print one",
                )
            self._hashes[name] = hashed.encode()
        if not self._hashes:
            raise ConfigurationError(f"{os.fspath(path)!r} has no user", field="auth")
        # So that it takes as long to refuse an unknown user as a wrong password.
        self._slowest = max(self._hashes.values(), key=_cost)
        self._key = secrets.token_bytes(32)
        self._known: dict[str, bytes] = {}

    def knows(self, name: str, password: bytes) -> bool:
        """Return whether this password of the user was right before: this takes no time."""
        digest = self._known.get(name, b"")
        return hmac.compare_digest(digest, self._digest(password))

    def check(self, name: str, password: bytes) -> bool:
        """Return whether the user has this password: this takes a tenth of a second."""
        hashed = self._hashes.get(name)
        # What bcrypt cannot hash is nobody's password; some of its versions raise for it.
        fits = len(password) <= _MAX_PASSWORD_BYTES and b"\0" not in password
        given = password if fits else b""
        right = bcrypt.checkpw(given, hashed or self._slowest)
        if right and fits and hashed is not None:
            self._known[name] = self._digest(password)
            return True
        if hashed is not None and _cost(hashed) < _cost(self._slowest):
            bcrypt.checkpw(given, self._slowest)
        return False

    def _digest(self, password: bytes) -> bytes:
        return hmac.digest(self._key, password, sha256)


def _cost(hashed: bytes) -> bytes:
    """Return what the time of a check depends on: the two digits after ``$2b$``."""
    return hashed[4:6]


class PasswordGate:
    """
    Passes a request for the page or the control API on to *app* if it has the password of one of
    the *users*; responds 401 otherwise.

    The API below ``/v1.0`` has its token, and the health check is for everybody.
    """

    def __init__(self, app: ASGIApp, users: Users) -> None:
        self._app = app
        self._users = users
        self._limiter: anyio.CapacityLimiter | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond 401, or pass the request on."""
        path = scope["path"]
        needed = path == "/" or (path.startswith("/_sandbox") and path not in _OPEN_PATHS)
        if not needed or await self._is_user(Headers(scope=scope).get("authorization", "")):
            await self._app(scope, receive, send)
            return
        refusal = JSONResponse({"error": "This needs a user and a password."}, 401, _CHALLENGE)
        await refusal(scope, receive, send)

    async def _is_user(self, authorization: str) -> bool:
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return False
        try:
            name, colon, password = b64decode(encoded.strip(), validate=True).partition(b":")
            user = name.decode()
        except (binascii.Error, ValueError):
            return False
        if not colon:
            return False
        if self._users.knows(user, password):
            return True
        if self._limiter is None:  # it belongs to the event loop
            self._limiter = anyio.CapacityLimiter(_MAX_CHECKS_AT_ONCE)
        return await anyio.to_thread.run_sync(
            self._users.check, user, password, limiter=self._limiter
        )
