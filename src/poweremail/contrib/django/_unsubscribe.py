"""The view behind the links by which people unsubscribe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from poweremail.suppression import SuppressionStore
from poweremail.unsubscribe import (
    RenderPage,
    UnsubscribeLinks,
    UnsubscribeReceiver,
    UnsubscribeResponse,
    render_page,
)
from poweremail.unsubscribe._receiver import MAX_BODY


def unsubscribe_view(
    links: UnsubscribeLinks, store: SuppressionStore, *, page: RenderPage = render_page
) -> Callable[[HttpRequest, str], HttpResponse]:
    """
    Return the view behind *links*, for a path such as ``"unsubscribe/<token>"``.

    The arguments are those of `UnsubscribeReceiver`. It needs no CSRF token and no signed-in user,
    because the mail service of the recipient posts to it. Raises `UsageError` if the store has
    async methods.
    """
    receiver = UnsubscribeReceiver(links, store, page=page)
    receiver.require_sync()

    def view(request: HttpRequest, token: str) -> HttpResponse:
        # Not `request.body`, whose limit is one for forms that people send.
        body = request.read(MAX_BODY + 1) if request.method == "POST" else b""
        content_type = request.META.get("CONTENT_TYPE", "")
        if not body and request.POST:
            # A middleware has read the form before.
            body, content_type = request.POST.urlencode().encode(), ""
        response: UnsubscribeResponse = receiver.respond(
            request.method or "GET", token, content_type, body
        )
        headers = dict(response.headers)
        return HttpResponse(response.body, status=response.status, headers=headers)

    # For the middleware that signs people in (Django 5.1).
    view.login_required = False  # type: ignore[attr-defined]
    exempt: Any = csrf_exempt(view)
    return exempt  # type: ignore[no-any-return]
