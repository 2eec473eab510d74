"""The description of the package on an index, where no link may be relative."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("project", ROOT / "tools" / "project.py")
project = importlib.util.module_from_spec(spec)
spec.loader.exec_module(project)

README = (ROOT / "README.md").read_text()
TARGET = re.compile(r"\]\(([^)]+)\)")


def test_without_a_base_url_the_words_of_links_stay():
    assert TARGET.search(README)
    text = project.description(README, "")
    assert TARGET.findall(text) == []
    assert "<!--" not in text
    assert "handle each outcome, look up a mail" in text


def test_with_a_base_url_links_and_images_are_absolute():
    text = project.description(README, "https://example.com/project")
    assert {
        target.startswith("https://example.com/project/") for target in TARGET.findall(text)
    } == {True}
    assert "(https://example.com/project/docs/images/sandbox.png)" in text
    assert len(TARGET.findall(text)) == len(TARGET.findall(README))


def test_the_metadata_has_no_invented_address():
    metadata = {}
    project.ProjectMetadata(str(ROOT), {}).update(metadata)
    assert bool(metadata["urls"]) == bool(project.BASE_URL)
    assert metadata["readme"]["text"].startswith("# poweremail\n")
