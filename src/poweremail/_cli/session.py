"""One run of a command: its settings, its client, its output and the status with which it ends."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import typer

import poweremail
from poweremail._cli import exits, failures
from poweremail._cli.config import Settings, resolve
from poweremail._cli.output import Output, OutputError
from poweremail._cli.signals import let_signals_interrupt
from poweremail._lazy import extras_needed

STORE_VARIABLE = "POWEREMAIL_SUPPRESSION"
"""The environment variable that has the place of the suppression store."""


def open_list(place: str) -> Any:
    """
    Return the suppression store at *place*, which has to exist: a path that is mistyped, or is
    relative to another directory, must not be an empty list.
    """
    from poweremail.suppression import open_store  # noqa: PLC0415  seldom needed

    if "://" not in place and not Path(place).exists():
        raise poweremail.ConfigurationError(
            f"there is no suppression list {place}",
            field=STORE_VARIABLE,
            advice="`poweremail suppression add` or `import` makes one",
        )
    return open_store(place)


class Session:
    """
    What a command works with.

    - *given*: the shared options that were given.
    - *flags*: how each option that was given is written, by the name of its parameter.
    - *interrupted*: the exit status after Ctrl-C, SIGTERM or the end of the terminal.

    ``out`` prints. ``mail`` is the mail that is being sent, for the text of an interruption.
    ``status`` is set once the command's work is done: it is then the exit status even if the output
    cannot be written. ``accepted_id`` is the unique id of a mail that was accepted.
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        flags: Mapping[str, str],
        interrupted: int = exits.INTERRUPTED,
    ) -> None:
        self._given = given
        self._flags = flags
        self._interrupted = interrupted
        self.out = Output(as_json=bool(given.get("json")), quiet=bool(given.get("quiet")))
        self.mail: poweremail.Message | poweremail.TemplateMessage | None = None
        self._is_unknown = True
        self.status: int | None = None
        self.accepted_id: str | None = None

    def run(self, command: Callable[..., None], **values: Any) -> None:
        """Run *command*, report an error, and exit with the status for it."""
        try:
            let_signals_interrupt()
            with extras_needed():
                command(self, **values)
        except OutputError as error:
            if not error.reader_gone:
                failures.report_output(self.out, error, self.accepted_id)
            # `head` closes the pipe when it has enough: that is no failure.
            otherwise = exits.OK if error.reader_gone else exits.FAILED
            raise typer.Exit(otherwise if self.status is None else self.status) from None
        except KeyboardInterrupt:
            failures.report_interruption(self.out, self.mail, is_unknown=self._is_unknown)
            raise typer.Exit(self._interrupted) from None
        except poweremail.PowerEmailError as error:
            raise typer.Exit(failures.report(self.out, error, self._flags)) from None

    def note_outcome(self, event: poweremail.OutcomeEvent) -> None:
        """Note whether ``mail`` may have been accepted: a hook of the client."""
        self._is_unknown = event.state != "not_sent"

    @property
    def settings(self) -> Settings:
        """The settings from flags, environment and file. Raises `ConfigurationError`."""
        return resolve(self._given, os.environ, warn=self.out.warn)

    @contextmanager
    def client(self, *, sends: bool = False, **options: Any) -> Iterator[poweremail.PowerEmail]:
        """
        Open a client with these settings.

        - *sends*: it is to send mail, which needs an SMTP user.
        - *options*: further options of `PowerEmail`.

        It asks the suppression store that `STORE_VARIABLE` names.

        Raises `ConfigurationError` if a setting is missing, and says how to give it.
        """
        settings = self.settings.complete(sends=sends)
        if (timeout := self._given.get("timeouts")) is not None:
            options["timeouts"] = poweremail.Timeouts(read=timeout)
        with ExitStack() as stack:
            if place := os.environ.get(STORE_VARIABLE):
                options["suppression"] = stack.enter_context(open_list(place))
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                client = poweremail.PowerEmail(**settings.options(), **options)
            for warning in caught:
                self.out.warn(str(warning.message))
            yield stack.enter_context(client)
