"""
The requests to the service in the headers ``X-STes-...`` of a mail.

No page says what the service does with a domain that the account does not have. The sandbox rejects
the mail, so that a mistake shows in a test: the domains of the account are those of
`Sandbox.add_sending_domain` and `Sandbox.add_tracking_domain`.
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

from poweremail.sandbox._api.responses import Members, Refusal
from poweremail.sandbox._store.accounts import AccountStore, DomainKind

_DOMAINS: dict[str, tuple[DomainKind, str]] = {
    "x-stes-signingdomain": ("sending", "Signing Domain"),
    "x-stes-returnpathdomain": ("sending", "Return Path Domain"),
    "x-stes-trackingdomain": ("tracking", "Tracking Domain"),
}
_BLOCKS = frozenset(
    (
        *("address", "article", "aside", "blockquote", "div", "dl", "dt", "dd", "fieldset"),
        *("footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main"),
        *("nav", "ol", "p", "pre", "section", "table", "tr", "ul", "br"),
    )
)
_UNSEEN = frozenset(("head", "script", "style", "template", "title"))
_PARAGRAPH = re.compile(r"(?:\r?\n){2,}")
_LINE = re.compile(r"\r?\n")


def with_options(fields: Members, account: AccountStore) -> Members:
    """
    Return *fields*, those of a `MailContent`, after what its headers request.

    Raises `Refusal` if a domain is not one of *account*, or its check does not succeed.
    """
    headers = fields.get("headers", {})
    options = {
        lower: value.strip().lower()
        for name, value in headers.items()
        if (lower := name.lower()).startswith("x-stes-")
    }
    for header, (kind, name) in _DOMAINS.items():
        if header in options:
            domain = account.domain(kind, options[header])
            if domain is None or not domain.valid:
                raise Refusal(f"Invalid {name}: {options[header]}")
    if options.get("x-stes-autotext") == "yes" and not fields["text"] and fields["html"]:
        return {**fields, "text": _text_of(fields["html"])}
    if options.get("x-stes-autohtml") == "yes" and not fields["html"] and fields["text"]:
        return {**fields, "html": _html_of(fields["text"])}
    return fields


def _html_of(text: str) -> str:
    paragraphs = _PARAGRAPH.split(html.escape(text.strip()))
    return "".join(f"<p>{_LINE.sub('<br>', paragraph)}</p>" for paragraph in paragraphs)


def _text_of(source: str) -> str:
    reader = _Reader()
    reader.feed(source)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.pieces).split("\n"))
    return "\n".join(line for line in lines if line)


class _Reader(HTMLParser):
    """Collects the text of HTML: a line for each block, and the targets of links."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._unseen = 0
        self._targets: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag in _BLOCKS:
            self.pieces.append("\n")
        elif tag == "a":
            self._targets.append(dict(attrs).get("href"))

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(self._unseen - 1, 0)
        elif tag in _BLOCKS:
            self.pieces.append("\n")
        elif tag == "td":
            self.pieces.append(" ")
        elif tag == "a" and self._targets and (target := self._targets.pop()):
            self.pieces.append(f" ({target})")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.pieces.append(data.replace("\n", " "))
