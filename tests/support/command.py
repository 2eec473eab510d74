"""The command in this process."""

from __future__ import annotations

from functools import cache

import typer.testing

__all__ = ["Runner"]

# Typer makes the command from the application at each call, which takes longer than most of what
# the tests call it for.
typer.testing._get_command = cache(typer.testing._get_command)

Runner = typer.testing.CliRunner
