"""From a POST to its events: first the signature, then the body."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import attrs

from poweremail._types.event import EventBatch
from poweremail._types.secret import Secret
from poweremail.errors import UsageError, WebhookPayloadError, WebhookSignatureError
from poweremail.webhooks._events import MAX_EVENTS, parse_events
from poweremail.webhooks._headers import Headers, header_values
from poweremail.webhooks._signature import (
    BRAND,
    SchemeName,
    SignatureScheme,
    brand_of,
    keys_of,
    scheme_of,
    sealed,
    signature_header,
    verify,
)

__all__ = ["MAX_BODY", "Keys", "Reader", "sealed_keys", "verify_and_parse"]

MAX_BODY = 10 * 1024 * 1024
"""Bytes of a body that are read. A batch of a thousand events takes about one megabyte."""

Keys = str | Secret | Iterable[str | Secret] | Callable[[], str | Secret | Iterable[str | Secret]]
"""
One key, several during a rotation, or a function that returns them whenever a POST comes, so that
no restart is needed.
"""


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
    Return the events of one POST, once its signature has proved right.

    *headers* and *body* are those of the request, the body before anything has read it as a form.
    *url* is the webhook's exactly as it was registered: never the URL that the request seems to
    have, which proxies change and senders choose. *scheme* says what is signed; `diagnose` finds
    it. *brand* is in the name of the header. Bodies have at most *max_body* bytes and *max_events*
    events.

    Raises `WebhookSignatureError` where the signature is missing or wrong, `WebhookPayloadError`
    where the body is too large or cannot be read, and `UsageError` for settings that cannot be
    meant. Nothing else, whatever the bytes.
    """
    # Locals end up in error reports, and what is posted by anybody ends in errors.
    keys = sealed_keys(keys)
    reader = Reader.checked(
        url=url, keys=keys, scheme=scheme, brand=brand, max_body=max_body, max_events=max_events
    )
    return reader.read(headers, body)


@attrs.frozen(kw_only=True)
class Reader:
    """The settings of `verify_and_parse`, checked once."""

    url: str
    keys: Callable[[], tuple[Secret, ...]] = attrs.field(repr=False)
    scheme: SignatureScheme
    brand: str
    max_body: int
    max_events: int

    @classmethod
    def checked(
        cls,
        *,
        url: str,
        keys: Keys,
        scheme: SchemeName | SignatureScheme,
        brand: str,
        max_body: int,
        max_events: int,
    ) -> Reader:
        """
        Return a reader with these settings. Raises `UsageError` for those that cannot be meant.
        """
        if (
            not isinstance(url, str)
            or not url.lower().startswith(("http://", "https://"))
            or url != url.strip()
        ):
            raise UsageError(
                f"{url!r} is not the URL of a webhook",
                field="url",
                mail_state=None,
                advice="give it exactly as registered, such as https://example.com/hooks/mail",
            )
        return cls(
            url=url,
            keys=_source(keys),
            scheme=scheme_of(scheme),
            brand=brand_of(brand),
            max_body=max_body,
            max_events=max_events,
        )

    def read(self, headers: Headers, body: bytes) -> EventBatch:
        """As `verify_and_parse`."""
        if not isinstance(body, bytes):
            raise UsageError(
                f"must be the bytes as they came, not {type(body).__name__}",
                field="body",
                mail_state=None,
            )
        if len(body) > self.max_body:
            raise WebhookPayloadError(f"the body has {len(body)} bytes, more than {self.max_body}")
        content_type = next(iter(header_values(headers, "Content-Type")), "")
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
            tried = {0: "there is no key to check it with", 1: "the key does not make it"}.get(
                len(keys), f"none of {len(keys)} keys makes it"
            )
            raise WebhookSignatureError(
                f"the signature is not right: {tried} by {self.scheme.name}"
            )


def sealed_keys(keys: Keys) -> Keys:
    """Return *keys* unchecked, none of them plain."""
    return keys if callable(keys) else sealed(keys)


def _source(keys: Keys) -> Callable[[], tuple[Secret, ...]]:
    if callable(keys):
        return lambda: keys_of(keys())
    known = keys_of(keys)
    return lambda: known
