"""``poweremail webhook diagnose``."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import attrs
import typer

from poweremail._cli.exits import FAILED, OK
from poweremail._cli.webhook_events import printable
from poweremail._types.secret import Secret
from poweremail.errors import UsageError
from poweremail.webhooks._diagnosis import Diagnosis, SignatureMatch, diagnose
from poweremail.webhooks._reading import header_values

__all__ = ["read_request", "run"]

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*\r?\Z", re.DOTALL)
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}\Z")


def run(captured: bytes, *, url: str, keys: Sequence[Secret], brand: str, as_json: bool) -> int:
    """Print which scheme fits the *captured* request, and return the exit status."""
    headers, body, remarks = read_request(captured)
    found = diagnose(headers, body, url=url, keys=keys, brand=brand)
    if as_json:
        typer.echo(json.dumps(_as_dict(found, remarks)))
    else:
        for remark in remarks:
            typer.echo(remark, err=True)
        for line in _lines(found):
            typer.echo(line)
    return OK if found.exact else FAILED


def read_request(captured: bytes) -> tuple[list[tuple[bytes, bytes]], bytes, list[str]]:
    """
    Return the headers and the body of a request, with or without its first line, and what is to be
    said about the capture.

    Line ends may be LF alone, as editors leave them. Raises `UsageError` where it has no headers.
    """
    head, *rest = _END_OF_HEAD.split(captured.lstrip(b"\r\n"), maxsplit=1)
    lines = head.split(b"\n")
    headers = [(found[1], found[2]) for line in lines if (found := _HEADER.match(line))]
    if not headers:
        raise UsageError(
            "has no headers: give the whole request as it came", field="--file", mail_state=None
        )
    body, remarks = rest[0] if rest else b"", list[str]()
    if any("chunked" in value.lower() for value in header_values(headers, "Transfer-Encoding")):
        body = _dechunked(body)
    lengths = [
        value
        for value in header_values(headers, "Content-Length")
        if value.isascii() and value.isdigit()
    ]
    length = int(lengths[0][:20]) if lengths else len(body)
    if len(body) < length:
        remarks.append(
            f"The body has {len(body)} bytes of {length}: the capture is cut off, and no signature "
            "can fit."
        )
    return headers, body[:length], remarks


def _dechunked(body: bytes) -> bytes:
    """
    The body without the sizes of its pieces; as it is where they were taken out by what captured
    it.
    """
    pieces: list[bytes] = []
    rest = body
    while True:
        size, found, rest = rest.partition(b"\r\n")
        if not found or not _SIZE.match(size):
            return body
        if not (wanted := int(size, 16)):
            return b"".join(pieces)
        pieces.append(rest[:wanted])
        rest = rest[wanted + 2 :]


def _lines(found: Diagnosis) -> list[str]:
    if not found.signatures:
        return ["The request has no header with a signature."]
    lines = [f"{match.scheme} fits: {_how(match)}" for match in found.exact]
    if lines:
        return lines
    lines = [
        f"{match.scheme} would fit, but {'; '.join(match.differences)}: {_how(match)}"
        for match in found.matches
    ]
    return [printable([line]) for line in lines] or [
        "No scheme fits, not even with another scheme, port, slash or query in the URL. Is the key "  # noqa: ISC004
        "the webhook's own?"
    ]


def _how(match: SignatureMatch) -> str:
    return f"--scheme {match.scheme} --url {match.url} (key {match.key})"


def _as_dict(found: Diagnosis, remarks: list[str]) -> dict[str, object]:
    return {
        "fits": bool(found.exact),
        "signatures": [{"header": name, "value": value} for name, value in found.signatures],
        "matches": [attrs.asdict(match) for match in found.matches],
        "remarks": remarks,
    }
