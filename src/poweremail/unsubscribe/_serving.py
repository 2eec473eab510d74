"""Serve the links as an ASGI or a WSGI application, alone or below a path of another one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

from poweremail._types.checks import require_seconds
from poweremail._types.suppression import AsyncSuppressionStore, SuppressionStore
from poweremail.errors import WebhookPayloadError
from poweremail.unsubscribe._links import UnsubscribeLinks
from poweremail.unsubscribe._pages import RenderPage, render_page
from poweremail.unsubscribe._receiver import MAX_BODY, UnsubscribeReceiver, UnsubscribeResponse
from poweremail.webhooks._asgi import AsgiApplication, Receive, Scope, read_body
from poweremail.webhooks._wsgi import UnreadableBodyError, read_wsgi_body, start_wsgi_response


class UnsubscribeASGI(AsgiApplication):
    """
    The pages behind *links* as an ASGI application, on asyncio or trio, alone or mounted:
    ``app.mount("/unsubscribe", UnsubscribeASGI(links, store))``.

    *links*, *store*, *page*: as for `UnsubscribeReceiver`. The store may have async methods.
    *body_timeout*: seconds for the whole body to arrive, 10 by default. If they run out, the
    response is 408, and nothing changes. Raises `ConfigurationError` if it is no number above 0.

    Let no middleware that checks CSRF tokens or signs people in stand before it.
    """

    def __init__(
        self,
        links: UnsubscribeLinks,
        store: AsyncSuppressionStore,
        *,
        page: RenderPage = render_page,
        body_timeout: float = 10.0,
    ) -> None:
        require_seconds("body_timeout", body_timeout)
        self._receiver = UnsubscribeReceiver(links, store, page=page)
        self._body_timeout = body_timeout

    async def _respond(self, scope: Scope, receive: Receive) -> UnsubscribeResponse | None:
        from anyio import fail_after  # noqa: PLC0415  only a server needs it

        try:
            with fail_after(self._body_timeout):
                is_post = scope["method"] == "POST"
                body = await read_body(scope, receive, MAX_BODY) if is_post else b""
        except WebhookPayloadError:
            return self._receiver.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except TimeoutError:
            return self._receiver.refuse(HTTPStatus.REQUEST_TIMEOUT)
        if body is None:  # the client has gone
            return None
        types = [value for name, value in scope["headers"] if name.lower() == b"content-type"]
        content_type = types[0].decode("latin-1") if types else ""
        return await self._receiver.arespond(scope["method"], scope["path"], content_type, body)


class UnsubscribeWSGI:
    """
    The pages behind *links* as a WSGI application, alone or below a path of another one.

    *links*, *store*, *page*: as for `UnsubscribeReceiver`. Raises `UsageError` if the store has
    async methods.
    """

    def __init__(
        self,
        links: UnsubscribeLinks,
        store: SuppressionStore,
        *,
        page: RenderPage = render_page,
    ) -> None:
        self._receiver = UnsubscribeReceiver(links, store, page=page)
        self._receiver.require_sync()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., object]
    ) -> Iterable[bytes]:
        """Serve one request."""
        return start_wsgi_response(environ, start_response, self._respond(environ))

    def _respond(self, environ: dict[str, Any]) -> UnsubscribeResponse:
        method: str = environ["REQUEST_METHOD"]
        body = b""
        if method == "POST":
            try:
                body = read_wsgi_body(environ, MAX_BODY)
            except UnreadableBodyError as error:
                return self._receiver.refuse(error.status)
        return self._receiver.respond(
            method, environ.get("PATH_INFO") or "", environ.get("CONTENT_TYPE") or "", body
        )
