"""A sandbox that can be reached in this process and over HTTP alike."""

from __future__ import annotations

from poweremail.sandbox import Sandbox


class ServedSandbox(Sandbox):
    """A sandbox, and the URL under which a server offers it."""

    url: str
