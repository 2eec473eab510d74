"""The pages as a whole: links, navigation, reference, headings, width. No page is run here."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import poweremail
from docs.test_pages import LANGUAGES, PAGES, ROOT, blocks
from poweremail import errors, webhooks

DOCS = ROOT / "docs"
ALL = [*PAGES, *(ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"))]
COLUMNS = 88
"""What a column of the site has room for. Other pages have the 100 columns of code."""
NO_VERBS = {"reference", "wire.md", "design.md", "versions.md"}
"""Pages that describe, whose headings are nouns."""


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", ALL, ids=name)
def test_every_block_is_of_a_language_that_is_tested_and_fits_the_column(page):
    for block in blocks(page):
        place = f"{name(page)}:{block.line}"
        assert block.language in LANGUAGES, place
        most = COLUMNS if page.is_relative_to(DOCS) else 100
        wide = [line for line in block.text.splitlines() if len(line) > most]
        assert not wide, f"{place}: {wide}"


def test_files_of_the_examples_are_printed_as_they_are():
    """tests/docs/test_examples.py reads the files."""
    examples = [example.read_text() for example in (DOCS / "examples").glob("*.*")]
    printed = [block for page in PAGES for block in blocks(page)]
    units = [block for block in printed if block.language in ("ini", "yaml") and not block.title]
    assert len(units) >= 2
    assert [block for block in units if block.text not in examples] == []


def test_links_have_a_target():
    for page in ALL:
        for token in MarkdownIt().parse(page.read_text()):
            for child in token.children or ():
                target = str(child.attrs.get("href", ""))
                if child.type == "link_open" and "://" not in target:
                    file, _, place = target.partition("#")
                    to = page.parent / file if file else page
                    assert to.exists(), f"{page.name}: {target}"
                    assert not place or place in places(to), f"{page.name}: {target}"


def headings(page: Path) -> list[str]:
    tokens = MarkdownIt().parse(page.read_text())
    return [
        tokens[index + 1].content
        for index, token in enumerate(tokens)
        if token.type == "heading_open"
    ]


def places(page: Path) -> set[str]:
    """The names that the headings of *page* have as targets of links."""
    return {
        re.sub(r"[^\w\s-]", "", heading).strip().lower().replace(" ", "-")
        for heading in headings(page)
    }


def test_every_page_is_in_the_navigation():
    """What mkdocs makes of the pages is checked by ``nox -s docs``."""
    navigation = (ROOT / "tools" / "mkdocs.yml").read_text()
    told = re.findall(r"^ *- (?:[^:\n]+: )?([\w/-]+\.md)$", navigation, re.MULTILINE)
    assert sorted(told) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


def test_every_public_name_is_in_the_reference():
    pages = "\n".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    told = re.findall(r"^::: poweremail\.(\w+)$", pages, re.MULTILINE)
    # Told by a page for all of their module, or in words.
    others = {*errors.__all__, *webhooks.__all__, "PowerEmail", "Failover", "__version__"}
    assert {"errors", "webhooks"} <= set(told)
    assert set(poweremail.__all__) - set(told) - others == set()


NOUNS = re.compile(
    r"^(The|A|An|What|Which|How|When|Where|Who|Whether|Other|First|Then|In|On|At|From|With|Without)\b"
    r"|^\w+(s|ing)$"
)


def test_headings_of_tasks_begin_with_a_verb():
    wrong = [
        f"{page.name}: {heading}"
        for page in DOCS.rglob("*.md")
        if page.name not in NO_VERBS and page.parent.name != "reference"
        for heading in headings(page)
        if NOUNS.match(heading)
    ]
    assert wrong == []
