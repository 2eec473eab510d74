"""
Sign the body of a webhook, and verify a signature.

The service signs each POST of events with HMAC-SHA1 and the key of the webhook. It publishes
neither which bytes it signs nor whether the digest is written in hex or in base64. The closest
relative of this API signs the URL of the webhook, exactly as it was registered, followed by the
name and the value of each form field, sorted by name. The other usual choice is the raw body. So a
receiver has to name its scheme: one that tried them all would be as weak as the weakest.

Everything here is a function of its arguments: no clock, no I/O.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Literal
from urllib.parse import parse_qsl

import attrs

from poweremail._types.mime_types import without_parameters
from poweremail._types.secret import Secret
from poweremail.errors import ConfigurationError, UsageError

BRAND = "PowerEmail"
"""The brand of this deployment, a part of the names of the header and of the form field."""

FORM_TYPE = "application/x-www-form-urlencoded"

# The service sends one field. A body with this many is made to keep a receiver busy.
_MAX_FORM_FIELDS = 1_000

SchemeName = Literal[
    "form-base64", "form-hex", "body-base64", "body-hex", "url-body-base64", "url-body-hex"
]
"""What is signed (form, body, or URL and body), and how the digest is written."""

KeyOrKeys = str | Secret | Iterable[str | Secret]

_BRAND_PATTERN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_BOUNDARY_PATTERN = re.compile(r'boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_FIELD_NAME_PATTERN = re.compile(rb'(?i)content-disposition:[^\r\n]*?[;\s]name="([^"\r\n]*)"')


@attrs.frozen
class SignedRequest:
    """
    The parts of a request that a signature may cover.

    - *url*: the URL of the webhook, exactly as it was registered.
    - *body*, *content_type*: the body, and the value of the header ``Content-Type``.
    """

    url: str
    body: bytes
    content_type: str = FORM_TYPE

    @property
    def url_bytes(self) -> bytes:
        """The URL as it is signed."""
        return self.url.encode("utf-8", "surrogatepass")


@attrs.frozen
class SignatureScheme:
    """
    A way to sign a request.

    - *name*: its name in settings and messages.
    - *covers*: returns the bytes that are signed. Raises ``ValueError`` if the scheme cannot
      sign such a body.
    - *spell*: turns the digest into text.
    - *fields_only*: whether the signature covers the values of a form, and not the bytes of the
      body. Events are then read from the fields alone, because the rest is not protected.
    - *digest*: the name of the hash.
    """

    name: str
    covers: Callable[[SignedRequest], bytes]
    spell: Callable[[bytes], str]
    fields_only: bool = False
    digest: str = "sha1"

    def signature(self, key: Secret, request: SignedRequest) -> str:
        """
        Return the value of the signature header.

        Raises ``ValueError`` if the scheme cannot sign such a body.
        """
        signed = self.covers(request)
        return self.spell(hmac.digest(key.reveal().encode(), signed, self.digest))


def form_fields(body: bytes, content_type: str = FORM_TYPE) -> list[tuple[bytes, bytes]]:
    """
    Return the names and values of a form, URL-encoded or multipart.

    They are bytes, because a value that is not UTF-8 is signed, too. Raises ``ValueError`` if the
    body is of another type or has more than 1,000 fields.
    """
    kind = without_parameters(content_type)
    if kind == "multipart/form-data":
        return _multipart_fields(body, content_type)
    if kind != FORM_TYPE:
        raise ValueError("the body is not a form")
    if body.count(b"&") >= _MAX_FORM_FIELDS:
        raise ValueError("the form has too many fields")
    # Latin-1 keeps every byte.
    pairs = parse_qsl(body.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


def _multipart_fields(body: bytes, content_type: str) -> list[tuple[bytes, bytes]]:
    match = _BOUNDARY_PATTERN.search(content_type)
    if match is None:
        raise ValueError("the form has no boundary")
    # Header text holds bytes as Latin-1. A character outside of it cannot be in this body either.
    delimiter = b"\r\n--" + (match[1] or match[2]).encode("latin-1", "replace")
    if body.count(delimiter) > _MAX_FORM_FIELDS:
        raise ValueError("the form has too many fields")
    fields: list[tuple[bytes, bytes]] = []
    for part in (b"\r\n" + body).split(delimiter)[1:]:
        head, blank, value = part.partition(b"\r\n\r\n")
        name = _FIELD_NAME_PATTERN.search(head)
        if blank and name:
            fields.append((name[1], value))
    return fields


def _url_and_fields(request: SignedRequest) -> bytes:
    fields = form_fields(request.body, request.content_type)
    if not fields:
        # Only the URL would be signed: the signature of one such POST would fit all others.
        raise ValueError("the form has no fields")
    fields.sort(key=lambda field: field[0])
    return request.url_bytes + b"".join(name + value for name, value in fields)


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")


SCHEMES: Mapping[str, SignatureScheme] = {
    f"{signed}-{spelling}": SignatureScheme(
        f"{signed}-{spelling}", covers, spell, fields_only=signed == "form"
    )
    for signed, covers in (
        ("form", _url_and_fields),
        ("body", attrgetter("body")),
        ("url-body", lambda request: request.url_bytes + request.body),
    )
    for spelling, spell in (("base64", _base64), ("hex", bytes.hex))
}
"""The known candidates by name, the likeliest first."""


def find_scheme(scheme: str | SignatureScheme) -> SignatureScheme:
    """Return the scheme of this name. Raises `ConfigurationError` if there is none."""
    if isinstance(scheme, SignatureScheme):
        return scheme
    if scheme not in SCHEMES:
        raise ConfigurationError(f"{scheme!r} is none of {', '.join(SCHEMES)}", field="scheme")
    return SCHEMES[scheme]


def check_keys(keys: KeyOrKeys) -> tuple[Secret, ...]:
    """
    Return one key, or the several that are valid during a rotation, as secrets.

    Without any key no signature is right. Raises `ConfigurationError` if a key is not text or is
    empty: anybody could sign with an empty key.
    """
    keys = seal_keys(keys)
    for key in keys:
        if reason := _invalid_key(key):
            raise ConfigurationError(reason, field="keys")
    return keys


def _invalid_key(key: object) -> str | None:
    if not isinstance(key, Secret):
        return f"must be a str, not {type(key).__name__}"
    try:
        key.reveal().encode()
    except UnicodeEncodeError:
        return "has a lone surrogate, which no encoding can carry"
    if not key.reveal().strip():
        return "a key must not be empty: anybody could sign with it"
    return None


def seal_keys(keys: KeyOrKeys) -> tuple[Secret, ...]:
    """
    Return *keys* as secrets, unchecked.

    A function that takes plain keys seals them first, because error reports show the locals of a
    frame that fails.
    """
    several = (keys,) if isinstance(keys, str | Secret) else keys
    return tuple(Secret(key) if isinstance(key, str) else key for key in several)


def check_brand(brand: str) -> str:
    """
    Return *brand* if it can be part of the name of a header (RFC 9110, 5.6.2).

    Raises `ConfigurationError` if not.
    """
    if not isinstance(brand, str) or not _BRAND_PATTERN.fullmatch(brand):
        raise ConfigurationError(
            f"must consist of letters, digits and signs that a header name allows, not {brand!r}",
            field="brand",
        )
    return brand


def handshake_text(brand: str = BRAND) -> str:
    """Return the text with which a webhook's URL must respond to be accepted by the service."""
    return f"God bless you, {brand}"


def signature_header(brand: str = BRAND) -> str:
    """Return the name of the header that carries the signature."""
    return f"X-{brand}TES-SIGNATURE"


def sign(
    scheme: str | SignatureScheme,
    key: str | Secret,
    *,
    url: str,
    body: bytes,
    content_type: str = FORM_TYPE,
) -> str:
    """
    Return the signature of *body* as the service would send it.

    *url* is the URL of the webhook, exactly as it was registered. Raises `ConfigurationError` for
    an unknown scheme and an empty key, `UsageError` if the scheme signs the fields of a form and
    *body* is not a form.
    """
    key = Secret.of(key)
    (secret,) = check_keys(key)
    chosen = find_scheme(scheme)
    try:
        return chosen.signature(secret, SignedRequest(url, body, content_type))
    except ValueError as error:
        raise UsageError(
            f"{chosen.name} cannot sign this: {error}", field="scheme", mail_state=None
        ) from None


def verify(
    signature: str | bytes,
    scheme: str | SignatureScheme,
    keys: KeyOrKeys,
    *,
    url: str,
    body: bytes,
    content_type: str = FORM_TYPE,
) -> bool:
    """
    Return whether one of the *keys* makes this *signature* of *body*.

    The work is the same for every key, and the comparison takes the same time wherever it fails.
    Hex digits may be upper or lower case. Raises `ConfigurationError` for an unknown scheme and an
    empty key, and nothing because of the content of the request.
    """
    keys = seal_keys(keys)
    chosen, request = find_scheme(scheme), SignedRequest(url, body, content_type)
    if isinstance(signature, str):
        signature = signature.encode("utf-8", "surrogatepass")
    received = signature.strip()
    if chosen.spell is bytes.hex:
        received = received.lower()
    matches = False
    for key in check_keys(keys):
        try:
            expected = chosen.signature(key, request).encode()
        except ValueError:
            return False
        matches |= hmac.compare_digest(received, expected)
    return matches
