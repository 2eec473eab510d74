"""
The signature of a webhook: how it is made, and whether one is right.

The service signs each POST of events with HMAC-SHA1 and the webhook's key. Which bytes it signs,
and whether the digest is then spelt in hex or in base64, is published nowhere. The closest relative
of this API signs the webhook's URL, exactly as it was registered, and the name and value of each
form field, sorted by name; the other usual choice is the body as it came. So the scheme has a name,
and who receives events says which one holds: a receiver that tried them all would accept what is
signed by the weakest.

Everything here is a function of its arguments: no clock, no I/O.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Literal
from urllib.parse import unquote_to_bytes

import attrs

from poweremail._types.secret import Secret
from poweremail.errors import UsageError

__all__ = [
    "BRAND",
    "FORM_TYPE",
    "SCHEMES",
    "SchemeName",
    "SignatureScheme",
    "Signed",
    "brand_of",
    "form_fields",
    "handshake_answer",
    "keys_of",
    "scheme_of",
    "sealed",
    "sign",
    "signature_header",
    "verify",
]

BRAND = "PowerEmail"
"""The brand that this deployment puts into the names of the header and of the form field."""

FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 1_000
"""
Form fields that are read; the service sends one, and more than these are sent to keep a receiver
busy.
"""

SchemeName = Literal[
    "form-base64", "form-hex", "body-base64", "body-hex", "url-body-base64", "url-body-hex"
]

_BRAND = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)
_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,200})"|([^\s;"]{1,200}))', re.IGNORECASE)
_FIELD_NAME = re.compile(rb'(?i)content-disposition:[^\r\n]*?[;\s]name="([^"\r\n]*)"')


@attrs.frozen
class Signed:
    """
    What a signature may cover: the *url* exactly as it was registered, and the *body* of this
    *content_type*.
    """

    url: str
    body: bytes
    content_type: str = FORM_TYPE


@attrs.frozen
class SignatureScheme:
    """
    What is signed, and how the digest is spelt.

    *covers* returns the bytes that are signed; it raises ValueError where the scheme cannot sign
    such a body. *spell* turns the digest into text. *fields_only* says that the scheme covers the
    values of a form and not the bytes of the body: events may then be read from the form's fields
    alone, because the rest of the body is not protected. *digest* is the name of the hash.
    """

    name: str
    covers: Callable[[Signed], bytes]
    spell: Callable[[bytes], str]
    fields_only: bool = False
    digest: str = "sha1"

    def signature(self, key: Secret, signed: Signed) -> str:
        """
        Return the text that stands in the header. Raises ValueError where the scheme cannot sign
        such a body.
        """
        return self.spell(hmac.digest(key.reveal().encode(), self.covers(signed), self.digest))


def form_fields(body: bytes, content_type: str = FORM_TYPE) -> list[tuple[bytes, bytes]]:
    """
    Return the names and values of a form, URL-encoded or multipart, as bytes: what is no UTF-8 is
    signed all the same.

    Raises ValueError where the body is of another type or has more than a thousand fields.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return _multipart(body, content_type)
    if kind != FORM_TYPE:
        raise ValueError("the body is not a form")
    if body.count(b"&") >= MAX_FIELDS:
        raise ValueError("the form has too many fields")
    pairs = (pair.partition(b"=") for pair in body.split(b"&") if pair)
    return [(_decoded(name), _decoded(value)) for name, _, value in pairs]


def _decoded(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _multipart(body: bytes, content_type: str) -> list[tuple[bytes, bytes]]:
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise ValueError("the form has no boundary")
    # Latin-1 is how header text holds bytes; what it cannot hold is no byte of this body either.
    delimiter = b"\r\n--" + (found[1] or found[2]).encode("latin-1", "replace")
    if body.count(delimiter) > MAX_FIELDS:
        raise ValueError("the form has too many fields")
    fields: list[tuple[bytes, bytes]] = []
    for part in (b"\r\n" + body).split(delimiter)[1:]:
        head, blank, value = part.partition(b"\r\n\r\n")
        name = _FIELD_NAME.search(head)
        if blank and name:
            fields.append((name[1], value))
    return fields


def _form(signed: Signed) -> bytes:
    fields = form_fields(signed.body, signed.content_type)
    if not fields:
        # Nothing but the URL would be signed: the signature of one such POST would fit every other.
        raise ValueError("the form has no fields")
    return b"".join(
        (
            _url(signed),
            *(name + value for name, value in sorted(fields, key=lambda field: field[0])),
        )
    )


def _url(signed: Signed) -> bytes:
    return signed.url.encode("utf-8", "surrogatepass")


def _body(signed: Signed) -> bytes:
    return signed.body


def _url_body(signed: Signed) -> bytes:
    return _url(signed) + signed.body


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")


SCHEMES: Mapping[str, SignatureScheme] = {
    scheme.name: scheme
    for scheme in (
        SignatureScheme("form-base64", _form, _base64, fields_only=True),
        SignatureScheme("form-hex", _form, bytes.hex, fields_only=True),
        SignatureScheme("body-base64", _body, _base64),
        SignatureScheme("body-hex", _body, bytes.hex),
        SignatureScheme("url-body-base64", _url_body, _base64),
        SignatureScheme("url-body-hex", _url_body, bytes.hex),
    )
}
"""The candidates by name, the likeliest first."""


def scheme_of(scheme: str | SignatureScheme) -> SignatureScheme:
    """
    Return the scheme of that name; one that is made elsewhere is returned as it is. Raises
    `UsageError` for an unknown name.
    """
    if isinstance(scheme, SignatureScheme):
        return scheme
    if scheme not in SCHEMES:
        raise UsageError(
            f"{scheme!r} is none of {', '.join(SCHEMES)}", field="scheme", mail_state=None
        )
    return SCHEMES[scheme]


def keys_of(keys: str | Secret | Iterable[str | Secret]) -> tuple[Secret, ...]:
    """
    Return one key, or the several that hold during a rotation, as secrets. There may be none: then
    no signature is right.

    Raises `UsageError` for an empty key, with which anybody could sign, and for what is no text.
    """
    # No plain key may be in a frame that fails.
    keys = sealed(keys)
    for secret in keys:
        if not isinstance(secret, Secret):
            raise UsageError(
                f"must be a str, not {type(secret).__name__}", field="keys", mail_state=None
            )
        if not _is_utf8(secret):
            raise UsageError(
                "has a lone surrogate, which no encoding can carry", field="keys", mail_state=None
            )
        if not secret.reveal().strip():
            raise UsageError(
                "a key must not be empty: anybody could sign with it", field="keys", mail_state=None
            )
    return keys


def sealed(keys: str | Secret | Iterable[str | Secret]) -> tuple[Secret, ...]:
    """
    Return *keys* as secrets, without a look at them; what is neither text nor secret stays as it
    is.
    """
    several = (keys,) if isinstance(keys, str | Secret) else keys
    return tuple(Secret(key) if isinstance(key, str) else key for key in several)


def _is_utf8(secret: Secret) -> bool:
    try:
        secret.reveal().encode()
    except UnicodeEncodeError:
        return False
    return True


def brand_of(brand: str) -> str:
    """
    Return *brand* if it can be part of a header's name (RFC 9110, 5.6.2), and so is not empty.
    Raises `UsageError`.
    """
    if not isinstance(brand, str) or not _BRAND.fullmatch(brand):
        raise UsageError(
            f"must be letters, digits and signs that a header's name may have, not {brand!r}",
            field="brand",
            mail_state=None,
        )
    return brand


def handshake_answer(brand: str = BRAND) -> str:
    """Return what the URL of a webhook must answer for the service to register it."""
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

    *url* is the webhook's URL exactly as registered. Raises `UsageError` for an unknown scheme, an
    empty key, and where the scheme signs the fields of a form and *body* is none.
    """
    # No plain key may be in a frame that fails.
    key = Secret.of(key)
    (secret,) = keys_of(key)
    chosen = scheme_of(scheme)
    try:
        return chosen.signature(secret, Signed(url, body, content_type))
    except ValueError as error:
        raise UsageError(
            f"{chosen.name} cannot sign this: {error}", field="scheme", mail_state=None
        ) from None


def verify(
    signature: str | bytes,
    scheme: str | SignatureScheme,
    keys: str | Secret | Iterable[str | Secret],
    *,
    url: str,
    body: bytes,
    content_type: str = FORM_TYPE,
) -> bool:
    """
    Whether *signature* is that of *body* by one of the *keys*.

    The work is the same whichever key fits, and the comparison takes the same time wherever it
    fails. The letters of hex may be of either case. Raises `UsageError` for an unknown scheme and
    for an empty key, never for what is in the request.
    """
    # No plain key may be in a frame that fails.
    keys = sealed(keys)
    chosen, signed = scheme_of(scheme), Signed(url, body, content_type)
    given = (
        signature if isinstance(signature, bytes) else signature.encode("utf-8", "surrogatepass")
    ).strip()
    if chosen.spell is bytes.hex:
        given = given.lower()
    right = False
    for key in keys_of(keys):
        try:
            expected = chosen.signature(key, signed).encode()
        except ValueError:
            return False
        right |= hmac.compare_digest(given, expected)
    return right
