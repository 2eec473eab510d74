"""
The text of a mail from its HTML.

inscriptis renders the HTML, since it knows what a reader sees: lists and tables keep their form. Of
the others, html2text is under the GPL, html-text loses the targets of links, and html-to-markdown
is a binary of 9 MB.

It gets a tree that was tidied up before, because the HTML of mails is written for other programs:

- What is hidden goes: inscriptis knows ``display:none``, but not ``display:none !important``, nor
  ``hidden`` and ``visibility``.
- Of styles, only those stay that make words stand apart. Widths in a text are of no use, and a few
  bytes of them could make it hundreds of megabytes long.
- Elements that are nested too deeply become their text: libxml2 would leave it out, and inscriptis,
  which recurses, would fail.

Each step takes time in proportion to the HTML; rendering it, most of it: 0.15 s for 100 KB.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from poweremail._lazy import extras_needed, import_undisturbed

if TYPE_CHECKING:
    from inscriptis.model.html_document_state import HtmlDocumentState

_TARGET = re.compile(r"(?i)(?:https?|mailto|tel):")
_LINK = re.compile(r" <((?:mailto:|tel:)?([^\s<>]+))>")
_GAP = re.compile(r"\n{3,}")

_HIDING = re.compile(r"(?i)\bdisplay\s*:\s*none\b|\bvisibility\s*:\s*(?:hidden|collapse)\b")
_LAYOUT = re.compile(r"(?i)\b(?:display\s*:\s*(?:block|inline)|white-space\s*:\s*[a-z-]+)(?![\w-])")
_UNSEEN = frozenset({"script", "style", "template", "title", "iframe"})
_MAX_DEPTH = 150  # inscriptis needs a frame for each, of the thousand that Python has

# Those whose words stand on lines of their own, and which inscriptis takes for parts of a line.
_BLOCKS = (
    *("caption", "center", "dd", "details", "dir", "dl", "dt", "fieldset", "form", "hr", "legend"),
    *("menu", "optgroup", "option", "section", "summary", "textarea"),
)


def text_of_html(html: str) -> str:
    """
    Return what a reader of *html* sees, with the target of each link behind it, in ``<...>``.

    Raises `ConfigurationError` if the extra is not installed.
    """
    text = _LINK.sub(_without_repetition, _renderer()(html))
    lines = (line.rstrip() for line in text.splitlines())
    return _GAP.sub("\n\n", "\n".join(lines)).strip()


def _without_repetition(link: re.Match[str]) -> str:
    """Return nothing for the target of a link whose text is this target."""
    target = link[2].removesuffix("/")
    before = link.string
    is_repeated = any(before.endswith(each, 0, link.start()) for each in (target, target + "/"))
    return "" if is_repeated else link[0]


@cache
def _renderer() -> Callable[[str], str]:
    with extras_needed("text_from_html"):
        import_undisturbed("inscriptis")
    from inscriptis.css_profiles import CSS_PROFILES  # noqa: PLC0415  only a mail without a text needs it
    from inscriptis.html_engine import Inscriptis  # noqa: PLC0415
    from inscriptis.html_properties import Display  # noqa: PLC0415
    from inscriptis.model.config import ParserConfig  # noqa: PLC0415
    from inscriptis.model.html_element import HtmlElement  # noqa: PLC0415
    from inscriptis.model.tag import CustomHtmlTagHandlerMapping  # noqa: PLC0415
    from lxml.etree import ParserError  # noqa: PLC0415
    from lxml.html import HTMLParser, document_fromstring  # noqa: PLC0415

    handlers = CustomHtmlTagHandlerMapping({"a": _begin_link}, {"a": _end_link})
    blocks = {tag: HtmlElement(display=Display.block) for tag in _BLOCKS}
    config = ParserConfig(
        css=CSS_PROFILES["relaxed"] | blocks,
        display_images=True,
        custom_html_tag_handler_mapping=handlers,
    )

    def render(html: str) -> str:
        # In UTF-8: lxml rejects a str that declares another encoding.
        parser = HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
        try:
            tree = document_fromstring(html.encode(), parser=parser)
        except ParserError:  # there is nothing in it
            return ""
        _tidy_up(tree)
        text: str = Inscriptis(tree, config).get_text()
        return text

    return render


def _tidy_up(tree: Any) -> None:
    """See the top of this file."""
    for element in list(tree.iter()):
        style = element.attrib.pop("style", "")
        is_hidden = element.tag in _UNSEEN or "hidden" in element.attrib or _HIDING.search(style)
        if is_hidden and element.getparent() is not None:
            element.drop_tree()
        elif style and (layout := _LAYOUT.findall(style)):
            element.set("style", ";".join(layout))
    level = [tree]
    for _ in range(_MAX_DEPTH):
        level = [child for element in level for child in element]
    for element in level:
        text, tail = " ".join(element.itertext()), element.tail
        element.clear()
        element.text, element.tail = text, tail


def _begin_link(state: HtmlDocumentState, attributes: dict[str, str]) -> None:
    target = attributes.get("href", "").strip()
    state.link_target = target if _TARGET.match(target) else ""


def _end_link(state: HtmlDocumentState) -> None:
    if state.link_target:
        state.tags[-1].write(f" <{state.link_target}>")
        state.link_target = ""
