"""
Find the signature scheme of a captured request, and what differs from the settings if none fits.

A signature looks forged if the URL, the key or the body that the application sees is not the one
that the service signed: a proxy ends TLS, adds a slash or drops the query, a shell appends a line
end to a key. Each such change is tried, alone and together with the others.
"""

from __future__ import annotations

from itertools import product
from typing import TypeVar
from urllib.parse import urlsplit, urlunsplit

import attrs

from poweremail._types.secret import Secret
from poweremail.webhooks._reading import Headers, content_type_of, header_pairs
from poweremail.webhooks._signature import (
    BRAND,
    SCHEMES,
    KeyOrKeys,
    check_brand,
    check_keys,
    seal_keys,
    signature_header,
    verify,
)

T = TypeVar("T")


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
    keys: KeyOrKeys,
    brand: str = BRAND,
) -> Diagnosis:
    """
    Try every scheme with every key on a captured request, and return the closest match of each.

    *url* is the URL of the webhook as it was registered. Raises `ConfigurationError` for an empty
    key or an invalid *brand*.
    """
    keys = seal_keys(keys)
    known = signature_header(check_brand(brand)).lower()
    numbered_keys = [
        (number, *variant)
        for number, key in enumerate(check_keys(keys), 1)
        for variant in _variants(
            (key, ""),
            (Secret(key.reveal().strip()), f"key {number} has white space around it"),
        )
    ]
    # The header of this brand comes first.
    signatures = sorted(
        (
            (name, value.strip())
            for name, value in header_pairs(headers)
            if "signature" in name.lower()
        ),
        key=lambda pair: pair[0].lower() != known,
    )
    matches: list[SignatureMatch] = []
    for (
        (header, signature),
        (number, key, key_change),
        (signed_url, url_changes),
        (signed_body, body_change),
        scheme,
    ) in product(
        signatures,
        numbered_keys,
        _urls(url),
        _variants((body, ""), (body.rstrip(b"\r\n"), "the captured body has line ends after it")),
        SCHEMES.values(),
    ):
        if verify(
            signature,
            scheme,
            key,
            url=signed_url,
            body=signed_body,
            content_type=content_type_of(headers),
        ):
            other = () if header.lower() == known else (f"the signature is in the header {header}",)
            differences = (*other, *key_change, *url_changes, *body_change)
            matches.append(SignatureMatch(scheme.name, signed_url, number, header, differences))
    matches.sort(key=lambda match: len(match.differences))
    # Of each scheme the first, which is the closest.
    closest = {match.scheme: match for match in reversed(matches)}
    return Diagnosis(
        tuple(signatures), tuple(match for match in matches if match is closest[match.scheme])
    )


def _variants(*variants: tuple[T, str]) -> list[tuple[T, tuple[str, ...]]]:
    """Return values, each with its change in words, if there is one. Of equal ones the first."""
    found: dict[T, tuple[str, ...]] = {}
    for value, change in variants:
        found.setdefault(value, (change,) if change else ())
    return list(found.items())


def _urls(url: str) -> list[tuple[str, tuple[str, ...]]]:
    """
    Return *url* and the URLs that proxies and people make of it, each with its changes in words,
    the one with the fewest first.
    """
    try:
        scheme, netloc, path, query, _ = parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return [(url, ())]
    other = "http" if scheme == "https" else "https"
    found: dict[str, tuple[str, ...]] = {url: ()}
    for variant in product(
        _variants((scheme, ""), (other, f"{other}, not {scheme}")),
        _variants(
            (netloc, ""),
            (netloc.lower(), "its host in lower case"),
            (netloc.removesuffix(f":{port}"), "no port")
            if port
            else (f"{netloc}:443", "the port 443"),
        ),
        _variants(
            (path, ""),
            (path[:-1], "no slash at its end")
            if path.endswith("/")
            else (f"{path}/", "a slash at its end"),
        ),
        _variants((query, ""), ("", "no query")),
    ):
        changes = (change for _, each in variant for change in each)
        found.setdefault(
            urlunsplit((*(part for part, _ in variant), "")),
            tuple(f"the signed URL has {change}" for change in changes),
        )
    return sorted(found.items(), key=lambda each: len(each[1]))
