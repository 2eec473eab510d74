"""
Find the signature scheme of a captured request, and what differs from the settings if none fits.

A signature looks forged if the URL, the key or the body that the application sees is not the one
that the service signed: a proxy ends TLS, adds a slash or drops the query, a shell appends a line
end to a key. Each such change is tried, alone and together with the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from urllib.parse import urlsplit, urlunsplit

import attrs

from poweremail._types.secret import Secret
from poweremail.webhooks._reading import Headers, header_pairs, header_values
from poweremail.webhooks._signature import (
    BRAND,
    SCHEMES,
    check_brand,
    check_keys,
    seal_keys,
    signature_header,
    verify,
)

__all__ = ["Diagnosis", "SignatureMatch", "diagnose"]


@attrs.frozen
class SignatureMatch:
    """
    A scheme that makes the signature.

    - *scheme*: its name.
    - *url*: the URL that is signed.
    - *key*: the number of the key, counted from 1.
    - *header*: the header that carries the signature.
    - *differences*: what differs from the settings, in words. If it is empty, the settings are
      right.
    """

    scheme: str
    url: str
    key: int
    header: str
    differences: tuple[str, ...] = ()


@attrs.frozen
class Diagnosis:
    """
    The result of `diagnose`.

    - *signatures*: pairs of a header and the signature in it.
    - *matches*: the schemes that fit, the closest first.
    """

    signatures: tuple[tuple[str, str], ...]
    matches: tuple[SignatureMatch, ...]

    @property
    def exact(self) -> tuple[SignatureMatch, ...]:
        """The matches that need no change of the settings."""
        return tuple(match for match in self.matches if not match.differences)


def diagnose(
    headers: Headers,
    body: bytes,
    *,
    url: str,
    keys: str | Secret | Iterable[str | Secret],
    brand: str = BRAND,
) -> Diagnosis:
    """
    Try every scheme with every key on a captured request, and return the closest match of each.

    *url* is the URL of the webhook as it was registered. Raises `ConfigurationError` for an empty
    key or an invalid *brand*.
    """
    keys = seal_keys(keys)
    secrets, brand = check_keys(keys), check_brand(brand)
    content_type = next(iter(header_values(headers, "Content-Type")), "")
    signatures = tuple(_signatures(headers, brand))
    closest: dict[str, SignatureMatch] = {}  # by the name of the scheme
    for (header, signature), (key_index, (key, key_change)), (signed_url, url_changes), (
        signed_body,
        body_change,
    ), scheme in product(signatures, _keys(secrets), _urls(url), _bodies(body), SCHEMES.values()):
        if not verify(
            signature, scheme, key, url=signed_url, body=signed_body, content_type=content_type
        ):
            continue
        header_change = (
            ()
            if header.lower() == signature_header(brand).lower()
            else (f"the signature is in the header {header}",)
        )
        differences = (*header_change, *key_change, *url_changes, *body_change)
        if scheme.name not in closest or len(differences) < len(closest[scheme.name].differences):
            closest[scheme.name] = SignatureMatch(
                scheme.name, signed_url, key_index + 1, header, differences
            )
    return Diagnosis(
        signatures, tuple(sorted(closest.values(), key=lambda match: len(match.differences)))
    )


def _signatures(headers: Headers, brand: str) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each signature header, that of this brand first."""
    known = signature_header(brand).lower()
    named = [
        (name, value.strip())
        for name, value in header_pairs(headers)
        if "signature" in name.lower()
    ]
    yield from sorted(named, key=lambda pair: pair[0].lower() != known)


def _keys(secrets: tuple[Secret, ...]) -> list[tuple[int, tuple[Secret, tuple[str, ...]]]]:
    """Return the index of each key with the key, and again without white space around it."""
    variants: list[tuple[int, tuple[Secret, tuple[str, ...]]]] = []
    for at, secret in enumerate(secrets):
        variants.append((at, (secret, ())))
        if secret.reveal() != secret.reveal().strip():
            variants.append(
                (
                    at,
                    (Secret(secret.reveal().strip()), (f"key {at + 1} has white space around it",)),
                )
            )
    return variants


def _bodies(body: bytes) -> list[tuple[bytes, tuple[str, ...]]]:
    """Return *body*, and *body* without the line ends that an editor may have added."""
    stripped = body.rstrip(b"\r\n")
    return [
        (body, ()),
        *([(stripped, ("the captured body has line ends after it",))] if stripped != body else []),
    ]


def _urls(url: str) -> list[tuple[str, tuple[str, ...]]]:
    """
    Return *url* and the URLs that proxies and people make of it, each with its changes in words,
    the one with the fewest first.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return [(url, ())]
    other = "http" if parts.scheme == "https" else "https"
    without_port = parts.netloc.removesuffix(f":{port}")
    netlocs = {
        parts.netloc.lower(): "its host in lower case",
        without_port if port else f"{parts.netloc}:443": "no port" if port else "the port 443",
        parts.netloc: "",
    }
    slash = {f"{parts.path}/": "a slash at its end"}
    if parts.path.endswith("/"):
        slash = {parts.path[:-1]: "no slash at its end"}
    variants: dict[str, tuple[str, ...]] = {url: ()}
    for (scheme, a), (netloc, b), (path, c), (query, d) in product(
        {parts.scheme: "", other: f"{other}, not {parts.scheme}"}.items(),
        netlocs.items(),
        {parts.path: "", **slash}.items(),
        {parts.query: "", **({"": "no query"} if parts.query else {})}.items(),
    ):
        changes = tuple(f"the signed URL has {change}" for change in (a, b, c, d) if change)
        variants.setdefault(urlunsplit((scheme, netloc, path, query, "")), changes)
    return sorted(variants.items(), key=lambda variant: len(variant[1]))
