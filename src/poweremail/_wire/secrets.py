"""
Passwords and keys in answers.

The calls about settings answer SMTP passwords and webhooks' keys. Whoever asks gets them as
`Secret`; the answer itself, which results and errors keep as ``raw`` and quote, is shown without
them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import attrs

from poweremail._response import Response
from poweremail._types.secret import MASK, Secret
from poweremail._wire import lenient
from poweremail._wire.redaction import spelt

__all__ = ["hide_secrets", "with_secrets"]

_NAME = r"\w*passw(?:or)?d|(?:\w*_)?key|\w*secret"
_IS_SECRET = re.compile(rf"(?:{_NAME})\Z", re.IGNORECASE)
_MAY_BE_ONE = re.compile(rb"passw|key|secret", re.IGNORECASE)
# A value that is cut off is hidden as far as it goes.
_VALUE = rb'(?:"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|(?!["\s\[{]|(?:null|true|false)\b)[^"\\,\]}\r\n]++)'
_MEMBER = re.compile(rb'((?<!\\)"(?i:%s)"\s*:\s*)%s' % (_NAME.encode(), _VALUE), re.DOTALL)
_LOOSE_MEMBER = re.compile(rb'([{,]\s*"?(?i:%s)"?\s*:\s*)%s' % (_NAME.encode(), _VALUE), re.DOTALL)
"""As the lenient reader takes it: names without quotes."""
_HIDDEN = f'"{MASK}"'.encode()
# A shorter one may be a word of the answer; where it stands as a member it is hidden all the same.
_SHORTEST_ECHO = 8


def hide_secrets(response: Response) -> Response:
    """
    Return *response* with ``***`` in place of the value of every member that is a password or a
    key, and of each repetition of it; the same object where there is none.
    """
    if not _MAY_BE_ONE.search(response.body) and b"\\" not in response.body:
        return response
    secrets: set[str] = set()
    member = _MEMBER
    try:
        secrets.update(_secrets(json.loads(response.body)))
    except (ValueError, RecursionError):
        member = _LOOSE_MEMBER
        with suppress(ValueError, RecursionError):
            secrets.update(_secrets(lenient.loads(response.body)))
    body = member.sub(lambda found: found[1] + _HIDDEN, response.body)
    headers = response.headers
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_ECHO:
            pattern = spelt(secret)
            body = pattern.sub(MASK.encode(), body)
            headers = tuple(
                (name, pattern.sub(MASK.encode(), value.encode()).decode())
                for name, value in headers
            )
    if body == response.body and headers == response.headers:
        return response
    return attrs.evolve(response, body=body, headers=headers)


def with_secrets(response: Response) -> dict[str, Any] | None:
    """
    The members of *response*, in which nothing is hidden: the secrets as `Secret`, ``***`` where
    other texts repeat them.

    None where the members cannot be read.
    """
    try:
        members = lenient.loads(response.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, dict):
        return None
    echoes = [
        secret
        for secret in sorted(set(_secrets(members)), key=len, reverse=True)
        if len(secret) >= _SHORTEST_ECHO
    ]
    return {name: _sealed(name, value, echoes) for name, value in members.items()}


def _sealed(name: str, value: Any, echoes: Sequence[str]) -> Any:
    if isinstance(value, dict):
        return {inner: _sealed(inner, item, echoes) for inner, item in value.items()}
    if isinstance(value, list):
        return [_sealed(name, item, echoes) for item in value]
    if _is_secret(name, value):
        return Secret(str(value))
    if isinstance(value, str):
        for secret in echoes:
            value = value.replace(secret, MASK)
    return value


def _is_secret(name: str, value: object) -> bool:
    """Whether it is one: what is empty or yes or no tells nobody anything."""
    return (
        isinstance(value, str | int | float)
        and not isinstance(value, bool)
        and value != ""
        and _IS_SECRET.match(name) is not None
    )


def _secrets(value: Any, name: str = "") -> Iterator[str]:
    """Every secret in *value*, however deep."""
    if isinstance(value, Mapping):
        for inner, item in value.items():
            yield from _secrets(item, inner)
    elif isinstance(value, list):
        for item in value:
            yield from _secrets(item, name)
    elif _is_secret(name, value):
        yield str(value)
