"""A request, before any engine has seen it. Its answer is a `poweremail._response.Response`."""

from __future__ import annotations

import attrs

from poweremail._types.deployment import Deployment
from poweremail._types.secret import Secret
from poweremail._types.timeouts import Timeouts
from poweremail._version import __version__
from poweremail._wire.body import Body
from poweremail._wire.operations import Operation
from poweremail._wire.redaction import Credentials

__all__ = ["Endpoint", "Request"]

_HEADERS = (("User-Agent", f"poweremail/{__version__}"), ("Accept", "application/json"))
_HEADERS_OF_BODY = (*_HEADERS, ("Content-Type", "application/json"))
_CHUNKED = ("Transfer-Encoding", "chunked")
_DEPLOYMENT = Deployment()


@attrs.frozen
class Endpoint:
    """
    Where requests go, as whom, and how patiently.

    *base_url* ends in a slash; *max_response_bytes* is the largest answer that is read,
    *max_request_bytes* the largest body that is sent, where there is a limit. *deployment* tells
    the paths that are not the same everywhere.
    """

    base_url: str
    credentials: Credentials
    timeouts: Timeouts
    max_response_bytes: int
    max_request_bytes: int | None = None
    deployment: Deployment = _DEPLOYMENT


# Not frozen: making one would take three times as long. Nobody changes it.
@attrs.define
class Request:
    """
    One request.

    The URL of a GET carries the token, so ``url`` is the part before the query; `full_url` has all
    of it. An adapter that sends it must not follow redirects, and must keep the full URL out of
    logs and out of its local variables.
    """

    operation: Operation
    endpoint: Endpoint
    query: Secret | None = None
    body: Body | None = None

    @property
    def method(self) -> str:
        """``GET`` or ``POST``."""
        return self.operation.method

    @property
    def url(self) -> str:
        """The URL without its query."""
        return self.endpoint.base_url + self.operation.path

    def full_url(self) -> str:
        """The URL with its query, and so with the token in it."""
        return self.url if self.query is None else f"{self.url}?{self.query.reveal()}"

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """
        The headers to send; of a body also its type and, where it is known before it is read, its
        length.
        """
        if self.body is None:
            return _HEADERS
        length = self.body.length
        return (*_HEADERS_OF_BODY, _CHUNKED if length is None else ("Content-Length", str(length)))

    @property
    def constant_headers(self) -> tuple[tuple[str, str], ...]:
        """The same without the length, for an engine that says itself where a body ends."""
        return _HEADERS if self.body is None else _HEADERS_OF_BODY
