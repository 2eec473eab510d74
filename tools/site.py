"""
Makes the site readable for machines, as a hook of mkdocs: each page as Markdown beside its HTML,
and ``llms.txt``, which lists them (https://llmstxt.org).
"""

from __future__ import annotations

import re
from pathlib import Path

from markdownify import markdownify
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.nav import Navigation, Section
from mkdocs.structure.pages import Page

_COMMENT = re.compile(r"<!--.*?-->\n*", re.DOTALL)
_PERMALINK = re.compile(r" ?\[¶\]\([^)]*\)")
_FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
_WEIGHT = {
    "reference/": 0.001,
    "design.md": 0.3,
    "wire.md": 0.3,
    "index.md": 2.0,
    "outcomes.md": 3.0,
}
"""
The weight of pages in a search. The reference, the design and the wire have every word, but a
question in a user's own words is about what to do. Since a title counts a thousand times as much as
text, a title in the reference counts as much as text in a guide.
"""
_ABOUT_THE_EXAMPLES = "The examples "
_DIRECTIVE = re.compile(r"^::: ", re.MULTILINE)

_markdown: dict[str, str] = {}
_navigation: list[Navigation] = []


def on_nav(nav: Navigation, *, config: MkDocsConfig, files: Files) -> Navigation:
    """Keep the order of the pages."""
    del config, files
    _navigation[:] = [nav]
    return nav


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Set the weight of a page."""
    del config, files
    for prefix, weight in _WEIGHT.items():
        if page.file.src_uri.startswith(prefix):
            page.meta["search"] = {"boost": weight}
    return markdown


def on_page_content(html: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Keep the Markdown of a page. That of the reference is made from its HTML."""
    del config, files
    source = page.markdown or ""
    if _DIRECTIVE.search(source):
        source = markdownify(html, heading_style="ATX", code_language="python")
        source = _PERMALINK.sub("", source)
    _markdown[page.file.src_uri] = re.sub(r"\n{3,}", "\n\n", _COMMENT.sub("", source))
    return html


def on_post_build(*, config: MkDocsConfig) -> None:
    """Write the pages and their list."""
    site = Path(config.site_dir)
    lines = [f"# {config.site_name}", "", f"> {config.site_description}"]
    for entry in _navigation[0].items:
        lines += ["", f"## {entry.title}", ""]
        pages = entry.children if isinstance(entry, Section) else [entry]
        lines += [_line(page) for page in pages or [] if isinstance(page, Page)]
    (site / "llms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, text in _markdown.items():
        (site / name).write_text(text, encoding="utf-8")


def _line(page: Page) -> str:
    """An entry: the page's heading, where its Markdown is, and its first sentence."""
    text = _FENCE.sub("", _markdown[page.file.src_uri])
    heading = re.search(r"^# (.+)$", text, re.MULTILINE)
    title = heading[1].replace("`", "") if heading else page.title
    entry = f"- [{title}]({page.file.src_uri})"
    for paragraph in text.split("\n\n"):
        plain = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", paragraph.strip().replace("\n", " "))
        if re.match(r"[A-Z`*]", plain) and not plain.startswith(_ABOUT_THE_EXAMPLES):
            sentence = re.split(r"(?<=[.:])\s", plain)[0]
            return f"{entry}: {sentence.rstrip(':')}"
    return entry
