"""``poweremail batch run``: sending a batch, with an eye on signals."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any

import typer

from poweremail._cli import exits
from poweremail._cli.progress import Progress, told
from poweremail._cli.session import Session
from poweremail.batch import Batch, BatchRun, BatchStatus

if TYPE_CHECKING:
    from poweremail import PowerEmail

__all__ = ["check", "run", "summary"]

_TOLD = 20
_STOPPING = (
    signal.SIGINT,
    signal.SIGTERM,
    *((signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()),
)


def run(
    session: Session, ledger: str, name: str, options: Mapping[str, Any], *, resumes: bool
) -> None:
    """Run the batch and end with the status that says how it ended."""
    with _client(session, options) as client, Batch(client, ledger, name, **options) as batch:
        if resumes:
            batch.resume()
        elif (paused := batch.status().paused) is not None:
            session.out.error(
                f"poweremail: {name} is paused: {paused}\n  what now   poweremail batch resume "
                f"{name}"
            )
            raise typer.Exit(exits.UNFINISHED)
        running = batch.run()
        with (
            Progress(session.out, batch.status, batch.least_seconds),
            _stopped_by_signals(running),
            running,
        ):
            for _ in running:
                pass
        status = batch.status()
    session.out.say(told(status))
    session.out.record(summary(status))
    if not status.finished:
        session.out.error(f"poweremail: {name} is not finished\n  what now   {_what_now(status)}")
        raise typer.Exit(exits.UNFINISHED)
    if not status.all_accepted:
        session.out.error(
            f"poweremail: some were not accepted\n  what now   poweremail batch report {name}"
        )
        raise typer.Exit(exits.SOME_FAILED)


def check(session: Session, ledger: str, name: str, options: Mapping[str, Any]) -> None:
    """Check every planned mail of the batch as it would go out, and send nothing."""
    bad = checked = 0
    with Batch(None, ledger, name, **options) as batch:
        for line, error in batch.dry_run():
            checked += 1
            if error is not None:
                bad += 1
                if bad <= _TOLD:
                    session.out.error(f"{line}: {error.explanation}")
    if session.out.as_json:
        session.out.json({"checked": checked, "bad": bad, "dry_run": True})
    else:
        session.out.say(f"{checked:,} would be sent, of which {bad:,} could not; nothing was sent")
    if bad:
        raise typer.Exit(exits.FAILED)


def summary(status: BatchStatus) -> dict[str, Any]:
    """*status* as a record of the output."""
    return {
        "name": status.name,
        "total": status.total,
        **status.counts,
        "left": status.left,
        "finished": status.finished,
        "paused": status.paused,
        "rehearsal": status.rehearsal,
        "errors": dict(status.errors),
    }


@contextmanager
def _client(session: Session, options: Mapping[str, Any]) -> Iterator[PowerEmail]:
    with session.client(sends=not options["smtp_users"]) as client:
        yield client


@contextmanager
def _stopped_by_signals(running: BatchRun) -> Iterator[None]:
    """
    Stop *running* on Ctrl-C, SIGTERM and when the terminal is closed; the second one ends the
    process where it is.
    """
    received: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        if received:
            # Whatever is on its way stays in the ledger as such, and is looked up by the next run.
            os._exit(exits.UNFINISHED)
        received.append(number)
        running.stop()
        with suppress(OSError):  # the terminal may be gone, and who reads the pipe, too
            os.write(2, b"stopping: what is under way is finished first; once more breaks it off\n")

    # What is ignored stays so: `nohup` means it.
    signals = [number for number in _STOPPING if signal.getsignal(number) is not signal.SIG_IGN]
    before = [signal.signal(number, stop) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def _what_now(status: BatchStatus) -> str:
    return f"poweremail batch {'run' if status.paused is None else 'resume'} {status.name}"
