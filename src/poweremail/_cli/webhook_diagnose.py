"""``poweremail webhook diagnose``: read a captured request, and print the scheme that fits."""

from __future__ import annotations

import re
from collections.abc import Sequence

from poweremail._cli import exits
from poweremail._cli.output import Output
from poweremail._types.secret import Secret
from poweremail.errors import ConfigurationError
from poweremail.webhooks._diagnosis import Diagnosis, SignatureMatch
from poweremail.webhooks._diagnosis import diagnose as find_scheme
from poweremail.webhooks._reading import header_values

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*\r?\Z", re.DOTALL)
_CHUNK_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}\Z")
_MAX_LENGTH_DIGITS = 20
_NO_SCHEME = (
    "No scheme fits, not even with another scheme, port, slash or query in the URL. Is the key the "
    "webhook's own?"
)


def diagnose(out: Output, captured: bytes, *, url: str, keys: Sequence[Secret], brand: str) -> int:
    """Print which scheme fits the *captured* request, and return the exit status."""
    headers, body, remarks = read_request(captured)
    found = find_scheme(headers, body, url=url, keys=keys, brand=brand)
    if out.as_json:
        out.json(
            {
                "fits": bool(found.exact),
                "signatures": [
                    {"header": name, "value": value} for name, value in found.signatures
                ],
                "matches": found.matches,
                "remarks": remarks,
            }
        )
    else:
        for remark in remarks:
            out.error(remark)
        for line in _lines(found):
            out.data(line)
    return exits.OK if found.exact else exits.FAILED


def read_request(captured: bytes) -> tuple[list[tuple[bytes, bytes]], bytes, list[str]]:
    """
    Return the headers and the body of a request, and remarks about the capture.

    The request line may be missing, and lines may end with LF alone, because editors save them so.
    Raises `ConfigurationError` if there are no headers.
    """
    head, *rest = _END_OF_HEAD.split(captured.lstrip(b"\r\n"), maxsplit=1)
    lines = head.split(b"\n")
    headers = [(found[1], found[2]) for line in lines if (found := _HEADER.match(line))]
    if not headers:
        raise ConfigurationError(
            "has no headers: give the whole request as it came", field="--file"
        )
    body, remarks = rest[0] if rest else b"", list[str]()
    if any("chunked" in value.lower() for value in header_values(headers, "Transfer-Encoding")):
        body = _without_chunk_sizes(body)
    lengths = [
        int(value[:_MAX_LENGTH_DIGITS])
        for value in header_values(headers, "Content-Length")
        if value.isascii() and value.isdigit()
    ]
    length = lengths[0] if lengths else len(body)
    if len(body) < length:
        remarks.append(
            f"The body has {len(body)} bytes of {length}: the capture is cut off, and no signature "
            "can fit."
        )
    return headers, body[:length], remarks


def _without_chunk_sizes(body: bytes) -> bytes:
    """Return the body without the sizes of its chunks; a capture may have it without them."""
    chunks: list[bytes] = []
    rest = body
    while True:
        line, found, rest = rest.partition(b"\r\n")
        if not found or not _CHUNK_SIZE.match(line):
            return body
        if not (size := int(line, 16)):
            return b"".join(chunks)
        chunks.append(rest[:size])
        rest = rest[size + 2 :]


def _lines(found: Diagnosis) -> list[str]:
    if not found.signatures:
        return ["The request has no header with a signature."]
    if found.exact:
        return [f"{match.scheme} fits: {_options(match)}" for match in found.exact]
    if found.matches:
        return [
            f"{match.scheme} would fit, but {'; '.join(match.differences)}: {_options(match)}"
            for match in found.matches
        ]
    return [_NO_SCHEME]


def _options(match: SignatureMatch) -> str:
    return f"--scheme {match.scheme} --url {match.url} (key {match.key})"
