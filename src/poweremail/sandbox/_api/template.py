"""Templates: text with ``{{NAME}}`` where a dynamic value goes."""

from __future__ import annotations

import re
from collections.abc import Mapping

import attrs

__all__ = ["Template"]

_FIELD = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


@attrs.frozen
class Template:
    """
    A template of the sandbox.

    ``{{NAME}}`` in *subject*, *html* and *text* is replaced by the dynamic value of that name.
    Names are case-sensitive; a field without a value becomes empty. Values are not escaped, not
    even in the HTML: the service is not known to.
    """

    template_id: str
    subject: str | None = None
    html: str | None = None
    text: str | None = None

    def fill(self, values: Mapping[str, str]) -> Template:
        """Return the template with its fields replaced by *values*."""
        return attrs.evolve(
            self,
            subject=_fill(self.subject, values),
            html=_fill(self.html, values),
            text=_fill(self.text, values),
        )


def _fill(text: str | None, values: Mapping[str, str]) -> str | None:
    return None if text is None else _FIELD.sub(lambda found: values.get(found.group(1), ""), text)
