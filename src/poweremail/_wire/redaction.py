"""
Secrets in responses: the token that a response repeats, and the passwords and keys that it grants.

Theory of operation. Results and errors keep the response as ``raw`` and quote it, and both end up
in logs. So every response is redacted before anything is made of it. If the caller needs a secret,
such as the password of a new SMTP user, the members are read once more from the unredacted
response, and each secret becomes a `Secret` at once.

Redaction works on bytes, not on the parsed JSON, although a parser stands beside it: ``raw`` is to
differ from what came in the secret alone, and a response that is cut off, or is no JSON at all, has
secrets, too. A secret may come back in another spelling (an escape of JSON, of a URL, of HTML), so
the patterns know them all. tests/wire/test_redaction.py and test_secrets.py draw random secrets and
spellings; tests/_async/test_secrets.py looks for the token in every text and every local variable
of every error. The section "Secrets" of docs/design.md has the rules for code that handles one.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property, partial
from operator import itemgetter
from typing import Any

import attrs

from poweremail._response import Response
from poweremail._types.secret import MASK, Secret
from poweremail._wire.json import loads_lenient
from poweremail.errors import hide_url_users

_MASK = MASK.encode()

_MIN_TOKEN_CHARS = 4
"""A shorter token is no secret, and to replace it would garble every response."""

_MIN_ECHO_CHARS = 8
"""A shorter password may be a word of the response: only the member that grants it is hidden."""

_BACKSLASH, _PERCENT, _AMPERSAND, _PLUS = b"\\%&+"
_header_value = itemgetter(1)
_JSON_ESCAPES = dict(zip("/\"\\'\b\f\n\r\t", "/\"\\'bfnrt", strict=True))


@attrs.frozen(eq=False)
class Credentials:
    """
    *owner_id* and *token*: members of every request, because there is no Authorization header.

    The ``redact`` methods replace the token by ``***``, however each of its characters is spelled.
    """

    owner_id: str
    token: Secret

    @cached_property
    def json_prefix(self) -> bytes:
        """The beginning of a JSON body that carries the credentials."""
        owner_id, token = json.dumps(self.owner_id), Secret(json.dumps(self.token.reveal()))
        return f'{{"owner_id":{owner_id},"token":{token.reveal()}'.encode()

    @cached_property
    def _plain(self) -> bytes:
        return self.token.reveal().encode()

    @cached_property
    def _pattern(self) -> re.Pattern[bytes] | None:
        is_secret = len(self.token.reveal()) >= _MIN_TOKEN_CHARS
        return all_spellings(self.token.reveal()) if is_secret else None

    def redact_text(self, text: str) -> str:
        """
        Return *text*, of an error or a log, without the token, without the user parts of URLs and
        without the passwords that `hide_password` was given.
        """
        redacted = self._redact(hide_url_users(text).encode("utf-8", "surrogatepass"))
        return _masked(_hidden_passwords.values(), redacted).decode("utf-8", "surrogatepass")

    def redact_response(self, response: Response) -> Response:
        """Return *response* without the token; the same object if it does not contain it."""
        text = response.body
        if 0 in text:
            # JSON may be in other encodings. All but UTF-8, in which one search is enough, have
            # zero bytes in it.
            text = text.decode(json.detect_encoding(text), "replace").encode()
        values = "\n".join(map(_header_value, response.headers)).encode("utf-8", "surrogatepass")
        if not self._may_contain_token(b"%b\n%b" % (text, values)):  # nearly always
            return response
        return _changed(response, self._redact(text), self._redact)

    def _redact(self, text: bytes) -> bytes:
        if self._pattern is None or not self._may_contain_token(text):
            return text
        return self._pattern.sub(_MASK, text)

    def _may_contain_token(self, text: bytes) -> bool:
        """
        Whether *text* has the token, or a mark without which no spelling but the plain one exists.
        """
        # Written out, find() instead of "in", and the marks as numbers, because this runs for each
        # response: "in" first tries to read bytes as a number, which takes longer than the search.
        return (
            text.find(self._plain) >= 0
            or _BACKSLASH in text
            or _PERCENT in text
            or _AMPERSAND in text
            or _PLUS in text
        )


_hidden_passwords: dict[Secret, re.Pattern[bytes]] = {}


def hide_password(password: Secret) -> None:
    """Make `Credentials.redact_text` hide *password*, such as that of a proxy, from now on."""
    if len(password.reveal()) >= _MIN_TOKEN_CHARS:
        _hidden_passwords[password] = all_spellings(password.reveal())


def all_spellings(secret: str) -> re.Pattern[bytes]:
    """Return a pattern that finds *secret*, each of its characters in any spelling."""
    return re.compile(b"".join(map(_spellings, secret)))


def _spellings(character: str) -> bytes:
    """Return a pattern for each way to spell *character*."""
    utf16 = character.encode("utf-16-be").hex()
    units = [utf16[start : start + 4].encode() for start in range(0, len(utf16), 4)]
    spellings = [
        b"(?i:%s)" % b"".join(rb"\\u" + unit for unit in units),
        b"(?i:%s)" % b"".join(b"%%%02x" % byte for byte in character.encode()),
        b"(?i:%s)" % b"".join(rb"\\x%02x" % byte for byte in character.encode()),
        b"(?i:&#(?:0*%d|x0*%x);)" % (ord(character), ord(character)),
    ]
    if (entity := html.escape(character)) != character:
        spellings.append(re.escape(entity.encode()))
    if character in _JSON_ESCAPES:
        spellings.append(re.escape(f"\\{_JSON_ESCAPES[character]}".encode()))
    if character == " ":
        spellings.append(rb"\+")
    # The plain one last, because another spelling may begin with it.
    spellings.append(re.escape(character.encode()))
    return b"(?:%s)" % b"|".join(spellings)


_HIDDEN_MEMBER = r"\w*passw(?:or)?d|(?:\w*_)?key|\w*secret"
_IS_SECRET_NAME = re.compile(rf"(?:{_HIDDEN_MEMBER})\Z", re.IGNORECASE)
_MAY_BE_HIDDEN_MEMBER = re.compile(rb"passw|key|secret", re.IGNORECASE)

_NAME = b"(?i:%b)" % _HIDDEN_MEMBER.encode()
# A string that is cut off ends with the body.
_STRING = rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
# A number, or words without quotes; but null, true and false are no secrets.
_BARE = rb'(?!["\s\[{]|(?:null|true|false)\b)[^"\\,\]}\r\n]++'
_VALUE = b"(?:%b|%b)" % (_STRING, _BARE)
_STRICT_MEMBER = re.compile(rb'((?<!\\)"%b"\s*:\s*)%b' % (_NAME, _VALUE), re.DOTALL)
# The lenient parser also reads names without quotes.
_LENIENT_MEMBER = re.compile(rb'([{,]\s*"?%b"?\s*:\s*)%b' % (_NAME, _VALUE), re.DOTALL)


def hide_secrets(response: Response) -> Response:
    """
    Return *response* with ``***`` for the value of each member that is a password or a key, and for
    each repetition of it elsewhere; the same object if there is none.
    """
    if not _MAY_BE_HIDDEN_MEMBER.search(response.body) and b"\\" not in response.body:
        return response
    secrets: set[str] = set()
    member = _STRICT_MEMBER
    try:
        secrets.update(_secrets(json.loads(response.body)))
    except (ValueError, RecursionError):
        member = _LENIENT_MEMBER
        with suppress(ValueError, RecursionError):
            secrets.update(_secrets(loads_lenient(response.body)))
    patterns = [all_spellings(secret) for secret in _echoes(secrets)]
    hide_echoes = partial(_masked, patterns)
    body = member.sub(rb'\1"%b"' % _MASK, response.body)
    return _changed(response, hide_echoes(body), hide_echoes)


def with_secrets(response: Response) -> dict[str, Any] | None:
    """
    Return the members of *response*, which is not redacted: secrets as `Secret`, and ``***`` for
    their repetitions in other texts.

    None if the members cannot be read.
    """
    try:
        members = loads_lenient(response.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, dict):
        return None
    echoes = _echoes(set(_secrets(members)))
    return {name: _wrapped(name, value, echoes) for name, value in members.items()}


def _wrapped(name: str, value: Any, echoes: Sequence[str]) -> Any:
    if isinstance(value, dict):
        return {inner: _wrapped(inner, item, echoes) for inner, item in value.items()}
    if isinstance(value, list):
        return [_wrapped(name, item, echoes) for item in value]
    if _is_secret(name, value):
        return Secret(str(value))
    if isinstance(value, str):
        for secret in echoes:
            value = value.replace(secret, MASK)
    return value


def _secrets(value: Any, name: str = "") -> Iterator[str]:
    """Yield every secret in *value*, the member *name*, at any depth."""
    if isinstance(value, dict):
        for inner, item in value.items():
            yield from _secrets(item, inner)
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item, name)
    elif _is_secret(name, value):
        yield str(value)


def _is_secret(name: str, value: object) -> bool:
    """Return whether the member is a secret. Empty values, true and false reveal nothing."""
    return (
        isinstance(value, str | int | float)
        and not isinstance(value, bool)
        and value != ""
        and _IS_SECRET_NAME.match(name) is not None
    )


def _echoes(secrets: set[str]) -> list[str]:
    """Return the secrets to look for in other texts, the longest first: it may contain another."""
    return sorted((each for each in secrets if len(each) >= _MIN_ECHO_CHARS), key=len, reverse=True)


def _masked(patterns: Iterable[re.Pattern[bytes]], text: bytes) -> bytes:
    for pattern in patterns:
        text = pattern.sub(_MASK, text)
    return text


def _changed(response: Response, body: bytes, redact: Callable[[bytes], bytes]) -> Response:
    """Return *response* with *body* and redacted headers; the same object if both are the same."""
    headers = tuple(
        (name, redact(value.encode("utf-8", "surrogatepass")).decode(errors="replace"))
        for name, value in response.headers
    )
    if body == response.body and headers == response.headers:
        return response
    return attrs.evolve(response, body=body, headers=headers)
