"""
Links by which people unsubscribe with one click (RFC 8058), and what stands behind them.

`UnsubscribeLinks` signs a link for each mail: ``Message(..., unsubscribe=links)``.
`UnsubscribeASGI` and `UnsubscribeWSGI` serve the links, and add who unsubscribes to a suppression
store. Each name is loaded when it is first used.
"""

# The inside. Read `_links` first: it signs the links and reads them. `_receiver` handles a request
# that follows one, `_serving` has the server interfaces, and `_pages` what people see.

from __future__ import annotations

from typing import TYPE_CHECKING

from poweremail._lazy import lazily

if TYPE_CHECKING:
    from poweremail._types.unsubscribe import Unsubscribe
    from poweremail.unsubscribe._links import LinkError, UnsubscribeLinks, Unsubscription
    from poweremail.unsubscribe._pages import BUTTON, PageState, RenderPage, render_page
    from poweremail.unsubscribe._receiver import UnsubscribeReceiver, UnsubscribeResponse
    from poweremail.unsubscribe._serving import UnsubscribeASGI, UnsubscribeWSGI

_HOMES = {
    "_types.unsubscribe": ("Unsubscribe",),
    "unsubscribe._links": ("LinkError", "UnsubscribeLinks", "Unsubscription"),
    "unsubscribe._pages": ("BUTTON", "PageState", "RenderPage", "render_page"),
    "unsubscribe._receiver": ("UnsubscribeReceiver", "UnsubscribeResponse"),
    "unsubscribe._serving": ("UnsubscribeASGI", "UnsubscribeWSGI"),
}

__all__ = [
    "BUTTON",
    "LinkError",
    "PageState",
    "RenderPage",
    "Unsubscribe",
    "UnsubscribeASGI",
    "UnsubscribeLinks",
    "UnsubscribeReceiver",
    "UnsubscribeResponse",
    "UnsubscribeWSGI",
    "Unsubscription",
    "render_page",
]

if not TYPE_CHECKING:  # a type checker knows the names above, and no others
    __getattr__, __dir__ = lazily(__name__, _HOMES)
