"""The pages that people see who follow a link in a browser."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Literal, TypeAlias

from poweremail._types.unsubscribe import ONE_CLICK
from poweremail.unsubscribe._links import Unsubscription

PageState = Literal["ask", "done", "expired", "invalid", "failed"]
"""
``ask``: before the button was pressed. ``done``: unsubscribed. ``expired``, ``invalid``: the link
is too old, or was not signed by any of the keys. ``failed``: the store could not be written.
"""

RenderPage: TypeAlias = Callable[[PageState, "Unsubscription | None"], str]
"""
Returns the HTML of a page, from its state and what the link asks for: None if it is not genuine.
The page for ``ask`` has to contain `BUTTON`, or a form that posts the same.
"""

BUTTON = (
    f'<form method="post"><input type="hidden" name="{ONE_CLICK[0]}" value="{ONE_CLICK[1]}">'
    "<button>Unsubscribe</button></form>"
)
"""A form that unsubscribes when its button is pressed."""

_STYLE = (
    "body{font:1.1em/1.5 system-ui,sans-serif;max-width:34em;margin:15vh auto;padding:0 1em}"
    "button{font:inherit;padding:.5em 1.5em}:root{color-scheme:light dark}"
)
_TEXTS: dict[PageState, tuple[str, str]] = {
    "ask": ("Unsubscribe", "Do you want {address} to get no more mails of the kind “{stream}”?"),
    "done": (
        "You are unsubscribed",
        "{address} will get no more mails of the kind “{stream}”. You can close this page.",
    ),
    "expired": (
        "This link is too old",
        "Please use the link in a newer mail, or reply to the mail and ask to be unsubscribed.",
    ),
    "invalid": (
        "This link is not complete",
        "Please copy the whole link, or reply to the mail and ask to be unsubscribed.",
    ),
    "failed": ("That did not work", "Nothing was changed. Please try again in a few minutes."),
}


def render_page(state: PageState, asked: Unsubscription | None) -> str:
    """Return the page that is shown by default, in English."""
    title, text = _TEXTS[state]
    if asked is not None:
        text = text.format(address=asked.address, stream=asked.stream)
    button = BUTTON if state == "ask" else ""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">'
        f"<title>{title}</title><style>{_STYLE}</style>"
        f"<h1>{title}</h1><p>{escape(text)}</p>{button}</html>\n"
    )
