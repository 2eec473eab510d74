"""One run of a command: the settings it was given, the client it asks for, and how it ends."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

import poweremail
from poweremail._cli import exits
from poweremail._cli.output import Output

if TYPE_CHECKING:
    from poweremail._cli.config import Settings

__all__ = ["Session"]


class Session:
    """
    What a command works with.

    *given* are the shared options as they were given, *names* how all that was given is spelt.
    ``out`` prints. ``mail`` is the mail that is being sent, so that an interruption can tell of it.
    """

    def __init__(self, given: Mapping[str, Any], names: Mapping[str, str]) -> None:
        self._given = given
        self._names = names
        self.out = Output(as_json=bool(given.get("json")), quiet=bool(given.get("quiet")))
        self.mail: poweremail.Message | poweremail.TemplateMessage | None = None

    def run(self, command: Callable[..., None], *args: Any, **values: Any) -> None:
        """Run *command*, tell what went wrong, and end with the status that says so."""
        from poweremail._cli import failures  # noqa: PLC0415  it loads the errors, which --help does not need

        try:
            command(self, *args, **values)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader has had enough, as head has; what was to be done is done. Python flushes
            # once more when it ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        except KeyboardInterrupt:
            failures.tell_interruption(self.out, self.mail)
            raise typer.Exit(exits.INTERRUPTED) from None
        except poweremail.PowerEmailError as error:
            raise typer.Exit(failures.tell(self.out, error, self._names)) from None

    @property
    def settings(self) -> Settings:
        """
        The settings from flags, environment and file. Raises `UsageError` for those that cannot be
        read.
        """
        from poweremail._cli.config import resolve  # noqa: PLC0415  most of it is paid for by those who connect only

        return resolve(self._given, os.environ, warn=self.out.warn)

    @contextmanager
    def client(self, *, sends: bool = False, **options: Any) -> Iterator[poweremail.PowerEmail]:
        """
        Open a client with these settings, *options* being further ones of `PowerEmail`. *sends*
        says that it is to send mail.

        Raises `UsageError` where a setting is missing, saying in which ways it can be given.
        """
        settings = self.settings.complete(sends=sends)
        if (timeout := self._given.get("timeout")) is not None:
            options["timeouts"] = poweremail.Timeouts(read=timeout)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            client = poweremail.PowerEmail(**settings.options(), **options)
        for warning in caught:
            self.out.warn(str(warning.message))
        with client:
            yield client
