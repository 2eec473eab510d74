"""Running a batch for ``poweremail batch run`` and ``resume``, with progress and signals."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from poweremail._cli import exits
from poweremail._cli.batch_options import BatchOptions, RunOptions
from poweremail._cli.output import MAX_ERRORS_REPORTED
from poweremail._cli.progress import progress_line, progress_shown
from poweremail._cli.session import Session
from poweremail._cli.signals import STOP_SIGNALS
from poweremail._ledger.options import windows_of
from poweremail.batch import BatchStatus
from poweremail.errors import ConfigurationError

if TYPE_CHECKING:
    from poweremail import PowerEmail


def run_batch(
    session: Session, target: BatchOptions, options: RunOptions, *, resumes: bool
) -> None:
    """Run the batch and exit with its status. *resumes* ends a pause first."""
    name = target.name
    given = options.batch_options()
    with (
        session.client(sends=not given["smtp_users"], **options.derive_options()) as client,
        target.opened(client, **given) as batch,
    ):
        if resumes:
            batch.resume()
        elif (paused := batch.status().paused) is not None:
            command = target.command("resume", name)
            _end(session, exits.UNFINISHED, f"{name} is paused: {paused}", command)
        running = batch.run()
        with (
            stopped_by_signals(running.stop),
            progress_shown(session.out, batch.status, batch.least_seconds),
            running,
        ):
            for _ in running:
                pass
        status = batch.status()
    session.status = _exit_status(status)
    session.out.say(progress_line(status))
    session.out.record(summary(status))
    if session.status == exits.UNFINISHED:
        verb = "undrain" if status.drained else "run" if status.paused is None else "resume"
        _end(session, exits.UNFINISHED, f"{name} is not finished", target.command(verb, name))
    if session.status == exits.SOME_FAILED:
        _end(session, exits.SOME_FAILED, _what_failed(status), target.command("report", name))


def _what_failed(status: BatchStatus) -> str:
    """Return which mails were not accepted: a row that is no mail is none of them."""
    invalid = status.counts["invalid"]
    rows = f"{invalid:,} {'row is no mail' if invalid == 1 else 'rows are no mails'}"
    if status.counts["accepted"] == status.total:
        return f"every mail was accepted, but {rows}"
    return "some mails were not accepted" + (f", and {rows}" if invalid else "")


def dry_run_batch(session: Session, target: BatchOptions, options: RunOptions) -> None:
    """Check every planned mail as it would be sent, and send nothing."""
    bad = checked = 0
    given = options.batch_options()
    with _client_of(session) as client, target.opened(client, **given) as batch:
        for line, error in batch.dry_run():
            checked += 1
            if error is not None:
                bad += 1
                if bad <= MAX_ERRORS_REPORTED:
                    session.out.error(f"{line}: {error.explanation}")
    session.out.result(
        {"checked": checked, "bad": bad, "dry_run": True},
        f"{checked:,} would be sent, of which {bad:,} could not; nothing was sent",
    )
    if bad:
        raise typer.Exit(exits.FAILED)


@contextmanager
def _client_of(session: Session) -> Iterator[PowerEmail | None]:
    """The client, whose rehearsal counts; None if its settings are not complete."""
    try:
        session.settings.complete(sends=True)
    except ConfigurationError:
        yield None
    else:
        with session.client(sends=True) as client:
            yield client


def summary(status: BatchStatus) -> dict[str, Any]:
    """Return *status* as a record of the output."""
    return {
        "name": status.name,
        "total": status.total,
        **status.counts,
        "left": status.left,
        "finished": status.finished,
        "paused": status.paused,
        "workers": status.workers,
        "runners": status.runners,
        "drained": status.drained,
        "rehearsal": status.rehearsal,
        "options": status.options,
        "limits": {
            name: {window: limit for window, limit in windows_of(each).items() if limit}
            for name, each in status.limits.items()
        },
        "errors": dict(status.errors),
    }


def _exit_status(status: BatchStatus) -> int:
    if not status.finished:
        return exits.UNFINISHED
    return exits.OK if status.all_accepted else exits.SOME_FAILED


def _end(session: Session, status: int, reason: str, command: str) -> None:
    session.out.error(f"poweremail: {reason}\n  what now   {command}")
    raise typer.Exit(status)


@contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """
    Call *stop*, which ends the work in order, on Ctrl-C, SIGTERM and when the terminal is closed.

    The second signal ends the process at once.
    """
    received: list[int] = []

    def received_one(number: int, _: FrameType | None) -> None:
        if received:
            # The ledger has the mails that are being sent: the next run reconciles them.
            os._exit(exits.UNFINISHED)
        received.append(number)
        stop()
        with suppress(OSError):  # the terminal, or the reader of a pipe, may be gone
            os.write(
                2,
                b"stopping: mails that are being sent are finished first; a second signal ends "
                b"at once\n",
            )

    # A signal that is ignored stays so: that is what `nohup` sets.
    signals = [each for each in STOP_SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    handlers = [signal.signal(each, received_one) for each in signals]
    try:
        yield
    finally:
        for each, handler in zip(signals, handlers, strict=True):
            signal.signal(each, handler)
