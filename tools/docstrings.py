"""
Our docstrings as Markdown, for the reference: an extension of griffe that ``tools/mkdocs.yml``
names.

A docstring says what a parameter is on lines that are indented below its name in italics, and
writes public names in single backticks. Here the first become lists of definitions, the second
links. Lines that begin with a name in italics and a colon become a list.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

import poweremail
import poweremail.transports

TERM = re.compile(r"^(\*\w[^\n]*)\n    (?=\S)", re.MULTILINE)
ITEM = re.compile(r"^(?=\*\w+\*(?:, \*\w+\*)*: )", re.MULTILINE)
NAME = re.compile(r"(?<!`)`(\w+)`(?!`)")
HOMES = {
    name: f"{module.__name__}.{name}"
    for module in (poweremail.transports, poweremail)
    for name in module.__all__
}
# Names that have no place in the reference of their own.
HOMES = {name: home for name, home in HOMES.items() if not name.startswith("__")}


class Docstrings(griffe.Extension):
    """Turns each docstring that is collected."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Replace the docstring of *obj*."""
        if obj.docstring:
            text = "\n\n".join(map(as_list, obj.docstring.value.split("\n\n")))
            obj.docstring.value = NAME.sub(link, TERM.sub(r"\n\1\n:   ", text))


def as_list(paragraph: str) -> str:
    """Return a *paragraph* that is a list of parameters as one."""
    return ITEM.sub("- ", paragraph) if ITEM.match(paragraph) else paragraph


def link(name: re.Match[str]) -> str:
    """The Markdown of a *name* in backticks."""
    if name[1] == "PowerEmail":
        return f"[`PowerEmail`][{HOMES['AsyncPowerEmail']}]"
    return f"[`{name[1]}`][{HOMES[name[1]]}]" if name[1] in HOMES else name[0]
