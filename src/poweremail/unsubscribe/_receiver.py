"""
Handle the requests that follow a link: choose the response, and add to the suppression list.

This file knows no web framework: every framework has a method, a path, headers and a body.

Only a POST unsubscribes, and only one with the body of RFC 8058. Mail scanners, previews and
browsers fetch every link of a mail by GET or HEAD: they get a page with a button, and nothing
changes. The POST needs no cookie and no CSRF token, because it comes from the mail service of the
recipient; the signature of the link is what allows it. It is never redirected.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from email.parser import BytesParser
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qsl

from poweremail._types.checks import check_not_awaitable, is_plain_function
from poweremail._types.mime_types import without_parameters
from poweremail._types.suppression import AsyncSuppressionStore
from poweremail._types.unsubscribe import ONE_CLICK
from poweremail.errors import ConfigurationError, UsageError
from poweremail.unsubscribe._links import LinkError, UnsubscribeLinks, Unsubscription
from poweremail.unsubscribe._pages import PageState, RenderPage, render_page
from poweremail.webhooks._receiver import HttpResponse

_log = logging.getLogger("poweremail.unsubscribe")

MAX_BODY = 4_096
"""The largest body that is read, in bytes. That of RFC 8058 has 26, or some 200 as a form."""

_NOT_STORED = "unsubscribe: the suppression list could not be written"
_MAX_PATH_CHARS = 2_048
_MAX_FIELDS = 16
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src https:; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Cache-Control", "no-store"),
    # The address is in the URL.
    ("Referrer-Policy", "no-referrer"),
    ("X-Robots-Tag", "noindex"),
    ("X-Content-Type-Options", "nosniff"),
    # Not in a frame, so that no page can let people press the button without seeing it.
    (
        "Content-Security-Policy",
        _POLICY,
    ),
)


class UnsubscribeResponse(HttpResponse):
    """The response to a request: HTTP status, headers, body."""

    __slots__ = ()


class UnsubscribeReceiver:
    """
    Handles the requests to *links*, and adds who unsubscribes to *store*.

    *links*: as the mails are sent with.
    *store*: a `SuppressionStore`; with async methods only `arespond` and `aunsubscribe` work.
    *page*: makes the HTML of the pages, see `RenderPage`; the default is short and in English.

    The response to a POST is 200 only if the entry is stored. It is 503 if the store fails, so that
    the mail service can try again; 400 if the body is not that of RFC 8058; 404 if none of the keys
    has signed the link; 410 if it is too old.
    """

    def __init__(
        self,
        links: UnsubscribeLinks,
        store: AsyncSuppressionStore,
        *,
        page: RenderPage = render_page,
    ) -> None:
        if not callable(getattr(store, "add", None)):
            raise ConfigurationError(
                f"must be a suppression store, not {type(store).__name__}", field="store"
            )
        self._links = links
        self._add: Callable[..., Any] = store.add
        self._page = page
        self.is_async: bool = not is_plain_function(store.add)
        """True if the methods of the store have to be awaited."""

    def respond(
        self, method: str, path: str, content_type: str, body: bytes
    ) -> UnsubscribeResponse:
        """
        Handle one request and return the response.

        *path*: of the URL, or the whole URL; its last part is the token.
        """
        asked = self._read(method, path, content_type, body)
        if isinstance(asked, UnsubscribeResponse):
            return asked
        self.require_sync()
        try:
            check_not_awaitable("add", self._add([asked.suppression()]))
        except Exception:  # noqa: BLE001  whatever the user's store raises
            _log.exception(_NOT_STORED)
            return self._page_response(HTTPStatus.SERVICE_UNAVAILABLE, "failed", asked)
        return self._page_response(HTTPStatus.OK, "done", asked)

    async def arespond(
        self, method: str, path: str, content_type: str, body: bytes
    ) -> UnsubscribeResponse:
        """Do the same on asyncio or trio. A store that may block is called in a thread."""
        from anyio import to_thread  # noqa: PLC0415  only a receiver on an event loop needs it

        if not self.is_async:
            return await to_thread.run_sync(self.respond, method, path, content_type, body)
        asked = self._read(method, path, content_type, body)
        if isinstance(asked, UnsubscribeResponse):
            return asked
        try:
            await cast("Awaitable[object]", self._add([asked.suppression()]))
        except Exception:  # noqa: BLE001  whatever the user's store raises
            _log.exception(_NOT_STORED)
            return self._page_response(HTTPStatus.SERVICE_UNAVAILABLE, "failed", asked)
        return self._page_response(HTTPStatus.OK, "done", asked)

    def unsubscribe(self, token: str) -> Unsubscription:
        """
        Unsubscribe by *token*: the subject of a mail to the ``mailto`` of the links.

        Raises `LinkError` if it is not genuine or too old, and what the store raises.
        """
        self.require_sync()
        asked = self._links.read(token)
        check_not_awaitable("add", self._add([asked.suppression()]))
        return asked

    async def aunsubscribe(self, token: str) -> Unsubscription:
        """Do the same on asyncio or trio."""
        from anyio import to_thread  # noqa: PLC0415  as above

        if not self.is_async:
            return await to_thread.run_sync(self.unsubscribe, token)
        asked = self._links.read(token)
        await cast("Awaitable[object]", self._add([asked.suppression()]))
        return asked

    def refuse(self, status: HTTPStatus) -> UnsubscribeResponse:
        """Return an error response for a request that cannot be read."""
        return _response(status, f"<!doctype html><title>{status.phrase}</title>{status.phrase}\n")

    def require_sync(self) -> None:
        """Raise `UsageError` if the store has to be awaited."""
        if self.is_async:
            raise UsageError(
                "has async methods",
                field="store",
                mail_state=None,
                advice="use arespond or UnsubscribeASGI",
            )

    def _read(
        self, method: str, path: str, content_type: str, body: bytes
    ) -> UnsubscribeResponse | Unsubscription:
        """Return what a request unsubscribes, or the response if it unsubscribes nobody."""
        if method not in ("GET", "HEAD", "POST"):
            refused = self.refuse(HTTPStatus.METHOD_NOT_ALLOWED)
            return refused._replace(headers=(*refused.headers, ("Allow", "GET, HEAD, POST")))
        if len(path) > _MAX_PATH_CHARS or len(body) > MAX_BODY:
            in_path = len(path) > _MAX_PATH_CHARS
            large = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            return self.refuse(HTTPStatus.REQUEST_URI_TOO_LONG if in_path else large)
        try:
            asked = self._links.read(path)
        except LinkError as error:
            _log.info("unsubscribe: a link was refused: %s", error.reason)
            if error.is_expired:
                return self._page_response(HTTPStatus.GONE, "expired")
            return self._page_response(HTTPStatus.NOT_FOUND, "invalid")
        if method == "POST" and _is_one_click(content_type, body):
            return asked
        if method == "POST":
            _log.warning("unsubscribe: a POST without List-Unsubscribe=One-Click was refused")
        status = HTTPStatus.BAD_REQUEST if method == "POST" else HTTPStatus.OK
        return self._page_response(status, "ask", asked)

    def _page_response(
        self, status: HTTPStatus, state: PageState, asked: Unsubscription | None = None
    ) -> UnsubscribeResponse:
        return _response(status, self._page(state, asked))


def _is_one_click(content_type: str, body: bytes) -> bool:
    """Whether *body* is the field of RFC 8058, urlencoded or as ``multipart/form-data`` (3.2)."""
    name, value = ONE_CLICK
    kind = without_parameters(content_type)
    if kind == "multipart/form-data":
        head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1", "replace")
        form = BytesParser().parsebytes(head + body)
        return any(
            part.get_param("name", header="Content-Disposition") == name
            and str(part.get_payload()).strip() == value
            for part in form.walk()
            if not part.is_multipart()
        )
    # The WSGI server of the standard library, which Django's is as well, says text/plain if the
    # request has no type.
    if kind not in ("application/x-www-form-urlencoded", "text/plain", ""):
        return False
    try:
        fields = parse_qsl(body.decode("ascii").strip(), max_num_fields=_MAX_FIELDS)
    except ValueError:
        return False
    return (name, value) in fields


def _response(status: HTTPStatus, page: str) -> UnsubscribeResponse:
    body = page.encode()
    return UnsubscribeResponse(status, (*_HEADERS, ("Content-Length", str(len(body)))), body)
