"""What the commands about settings have in common: each name alone lists, and has sub commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

__all__ = ["Domain", "group"]

Domain = Annotated[str, typer.Argument(help="The domain.", metavar="DOMAIN")]


def group(listing: Callable[..., None]) -> typer.Typer:
    """Return a command that runs *listing* when no sub command is named, and when ``list`` is."""
    app = typer.Typer(
        help=listing.__doc__, context_settings={"help_option_names": ["-h", "--help"]}
    )
    app.callback(invoke_without_command=True)(listing)
    app.command("list")(listing)
    return app
