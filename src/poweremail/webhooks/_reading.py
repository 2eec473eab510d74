"""Read the events of a POST: first verify the signature, then parse the body."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import attrs

from poweremail._types.checks import one_or_more
from poweremail._types.event import EventBatch
from poweremail._types.secret import Secret
from poweremail.errors import (
    ConfigurationError,
    UsageError,
    WebhookPayloadError,
    WebhookSignatureError,
)
from poweremail.webhooks._events import MAX_EVENTS, parse_events
from poweremail.webhooks._signature import (
    BRAND,
    KeyOrKeys,
    SchemeName,
    SignatureScheme,
    check_brand,
    check_keys,
    find_scheme,
    seal_keys,
    signature_header,
    verify,
)

MAX_BODY = 10 * 1024 * 1024
"""The largest body that is read, in bytes. A batch of a thousand events has about one megabyte."""

Headers = (
    Mapping[str, str]
    | Mapping[bytes, bytes]
    | Iterable[tuple[str, str]]
    | Iterable[tuple[bytes, bytes]]
)
"""
Headers as web frameworks have them: a mapping, or pairs of name and value. Names are compared
without regard to case.
"""

Keys = KeyOrKeys | Callable[[], KeyOrKeys]
"""
One key, several during a rotation, or a function that returns them. The function is called for each
POST, so that a rotation needs no restart.
"""


def header_pairs(headers: Headers) -> Iterator[tuple[str, str]]:
    """Return each name and value as text; bytes are read as Latin-1."""
    pairs: Any = headers.items() if isinstance(headers, Mapping) else headers
    for pair in pairs:
        name, value = (each if isinstance(each, str) else each.decode("latin-1") for each in pair)
        yield name, value


def header_values(headers: Headers, name: str) -> list[str]:
    """Return the values of every header called *name*, without the white space around them."""
    wanted = name.lower()
    return [value.strip() for key, value in header_pairs(headers) if key.lower() == wanted]


def content_type_of(headers: Headers) -> str:
    """Return the value of the header Content-Type, ``""`` if there is none."""
    return next(iter(header_values(headers, "Content-Type")), "")


def verify_and_parse(
    headers: Headers,
    body: bytes,
    *,
    url: str,
    keys: Keys,
    scheme: SchemeName | SignatureScheme,
    brand: str = BRAND,
    max_body: int = MAX_BODY,
    max_events: int = MAX_EVENTS,
) -> EventBatch:
    """
    Return the events of one POST if its signature is right.

    - *headers*, *body*: those of the request. Take the body before a framework reads it as a form.
    - *url*: the URL of the webhook exactly as it was registered. Do not take it from the request:
      proxies change it, and senders choose it.
    - *keys*: the keys that are valid now.
    - *scheme*: what is signed; `diagnose` finds it.
    - *brand*: a part of the name of the signature header.
    - *max_body*, *max_events*: the largest body in bytes (10 MiB), and the most events (10,000).

    Raises `WebhookSignatureError` if the signature is missing or wrong, `WebhookPayloadError` if
    the body is too large or cannot be read, and `ConfigurationError` if a setting is invalid.
    Nothing else is raised, whatever the bytes are.
    """
    keys = seal_key_source(keys)
    reader = PostReader(
        url=url, keys=keys, scheme=scheme, brand=brand, max_body=max_body, max_events=max_events
    )
    return reader.read(headers, body)


def seal_key_source(keys: Keys) -> Keys:
    """Return *keys* as secrets, unchecked; a function stays as it is."""
    return keys if callable(keys) else seal_keys(keys)


def _checked_source(keys: Keys) -> Callable[[], tuple[Secret, ...]]:
    if callable(keys):
        return lambda: check_keys(keys())
    checked = check_keys(keys)
    return lambda: checked


def _checked_url(url: str) -> str:
    if (
        isinstance(url, str)
        and url.lower().startswith(("http://", "https://"))
        and url == url.strip()
    ):
        return url
    raise ConfigurationError(
        f"{url!r} is not the URL of a webhook",
        field="url",
        advice="give it exactly as registered, such as https://example.com/hooks/mail",
    )


@attrs.frozen(kw_only=True, repr=False)  # a traceback may show one that is not complete yet
class PostReader:
    """The settings of `verify_and_parse`. Raises `ConfigurationError` if one of them is invalid."""

    url: str = attrs.field(converter=_checked_url)
    keys: Callable[[], tuple[Secret, ...]] = attrs.field(converter=_checked_source)
    scheme: SignatureScheme = attrs.field(converter=find_scheme)
    brand: str = attrs.field(converter=check_brand)
    max_body: int = attrs.field(validator=one_or_more)
    max_events: int = attrs.field(validator=one_or_more)

    def read(self, headers: Headers, body: bytes) -> EventBatch:
        """Return the events of a request, as `verify_and_parse` does."""
        if not isinstance(body, bytes):
            raise UsageError(
                f"must be the bytes of the request, not {type(body).__name__}",
                field="body",
                mail_state=None,
            )
        if len(body) > self.max_body:
            raise WebhookPayloadError(f"the body has {len(body)} bytes, more than {self.max_body}")
        content_type = content_type_of(headers)
        self._verify(headers, body, content_type)
        return parse_events(
            body, content_type, fields_only=self.scheme.fields_only, max_events=self.max_events
        )

    def _verify(self, headers: Headers, body: bytes, content_type: str) -> None:
        name = signature_header(self.brand)
        signatures = header_values(headers, name)
        if len(signatures) != 1:
            raise WebhookSignatureError(
                f"the request has {len(signatures) or 'no'} headers {name}; one is expected"
            )
        keys = self.keys()
        if not verify(
            signatures[0], self.scheme, keys, url=self.url, body=body, content_type=content_type
        ):
            cause = {0: "there is no key to check it with", 1: "the key does not make it"}.get(
                len(keys), f"none of {len(keys)} keys makes it"
            )
            raise WebhookSignatureError(f"the signature is wrong: {cause} by {self.scheme.name}")
