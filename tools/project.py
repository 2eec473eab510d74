"""
What the metadata of the package and the site say about where the project is.

hatchling loads this file when it builds, and mkdocs when it makes the site.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

BASE_URL = ""
"""
The public address of the checkout, such as a repository's, without a slash at its end.

None is known yet. Until it is set, the links and the image of the README that need it are left out
of the description of the package, and the metadata has no URLs.
"""

_ROOT = Path(__file__).parents[1]
_PAGES = {"Documentation": "docs/index.md", "Changelog": "CHANGELOG.md", "Source": ""}
_COMMENT = re.compile(r"<!--.*?-->\n*", re.DOTALL)
_IMAGE = re.compile(r"!\[([^\]]*)\]\((?!https?:)([^)]+)\)\n*")
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)([^)]+)\)")


class ProjectMetadata(MetadataHookInterface):
    """Adds the description of the package and its URLs."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add them to *metadata*."""
        readme = (_ROOT / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": description(readme, BASE_URL),
        }
        pages = _PAGES if BASE_URL else {}
        metadata["urls"] = {name: f"{BASE_URL}/{path}".rstrip("/") for name, path in pages.items()}


def description(readme: str, base_url: str) -> str:
    """Return the *readme* for a package index, where no link may be relative."""
    text = _COMMENT.sub("", readme)
    if base_url:
        text = _IMAGE.sub(rf"![\1]({base_url}/\2)\n\n", text)
        return _LINK.sub(rf"[\1]({base_url}/\2)", text)
    return _LINK.sub(r"\1", _IMAGE.sub("", text))
