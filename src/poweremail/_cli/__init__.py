"""
The ``poweremail`` command.

Read `app` first: it names every command and the function behind it. A module holds the commands of
one subject (`mail`, `account`, `batch`, `sandbox`, `webhook`, `suppression`); those with
``_options`` in their names hold their options. `options` reads the options, `session` is one run of
a command, `output` prints, `failures` reports errors and `exits` has the statuses. A new command is
a function in the module of its subject, and a line in `app` or in that module's own group.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from poweremail._cli.signals import delay_signals


def main(arguments: Sequence[str] | None = None, name: str | None = None) -> None:
    """
    Run the command, by default with the arguments and the name of this process. Without the extra
    ``cli`` it says what to install and exits with status 1.
    """
    delay_signals()
    try:
        from poweremail._cli.app import app  # noqa: PLC0415  the library must be importable without typer and rich
    except ModuleNotFoundError as error:
        sys.exit(
            f"poweremail: {error.name} is not installed; pip install 'poweremail[cli,sandbox]'"
        )
    # The command itself reports what the library logs.
    logging.getLogger("poweremail").addHandler(logging.NullHandler())
    app(args=arguments, prog_name=name)
