"""
What a message can be turned into on request: a text of its HTML, and domains as DNS has them.

inscriptis renders the HTML, since it knows what a reader sees: hidden parts are left out, lists and
tables keep their form. Of the others, html2text is under the GPL, html-text loses the targets of
links, and html-to-markdown is a binary of 9 MB.

Domains follow UTS 46 by `idna`, which httpx and anyio need as well. The codec of the standard
library is that of 2003, for which ``faß.de`` is ``fass.de``, another domain.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from poweremail._lazy import import_undisturbed
from poweremail.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from inscriptis.model.html_document_state import HtmlDocumentState

__all__ = ["ascii_domain", "text_of_html", "with_ascii_domain"]

_TARGET = re.compile(r"(?i)(?:https?|mailto|tel):")
# A link whose text is its target.
_TWICE = re.compile(r"(\S+) <(?:mailto:|tel:)?\1/?>")
_GAP = re.compile(r"\n{3,}")


def text_of_html(html: str) -> str:
    """
    Return what a reader of *html* sees, with the target of each link behind it, in ``<...>``.

    Raises `ConfigurationError` if the extra is not installed.
    """
    text = _renderer()(html)
    lines = (line.rstrip() for line in _TWICE.sub(r"\1", text).splitlines())
    return _GAP.sub("\n\n", "\n".join(lines)).strip()


@cache
def _renderer() -> Callable[[str], str]:
    try:
        import_undisturbed("inscriptis")
    except ImportError as error:
        raise ConfigurationError(
            f"{error.name} is not installed",
            field="text_from_html",
            advice="pip install 'poweremail[html]'",
        ) from None
    from inscriptis import get_text  # noqa: PLC0415  only a mail without a text needs it
    from inscriptis.model.config import ParserConfig  # noqa: PLC0415
    from inscriptis.model.tag import CustomHtmlTagHandlerMapping  # noqa: PLC0415

    handlers = CustomHtmlTagHandlerMapping({"a": _begin_link}, {"a": _end_link})
    config = ParserConfig(display_images=True, custom_html_tag_handler_mapping=handlers)
    return lambda html: get_text(html, config)


def _begin_link(state: HtmlDocumentState, attributes: dict[str, str]) -> None:
    target = attributes.get("href", "").strip()
    state.link_target = target if _TARGET.match(target) else ""


def _end_link(state: HtmlDocumentState) -> None:
    if state.link_target:
        state.tags[-1].write(f" <{state.link_target}>")
        state.link_target = ""


def ascii_domain(field: str, domain: str) -> str:
    """
    Return *domain* as DNS has it: ``xn--bcher-kva.example`` for ``bücher.example``.

    Raises `UsageError` for *field* if it is not valid there.
    """
    if domain.isascii():
        return domain
    import idna  # noqa: PLC0415  its tables take a while, and few mails need them

    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError as error:
        raise UsageError(f"{domain!r} is not a domain of IDNA: {error}", field=field) from None


def with_ascii_domain(field: str, address: str) -> str:
    """Return *address* with its domain as DNS has it. Raises `UsageError` as `ascii_domain`."""
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{ascii_domain(field, domain)}"
