"""``poweremail batch``: the sub commands. `batch_run` runs a batch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path

import attrs
import typer

from poweremail._cli import batch_upkeep, batch_work, exits
from poweremail._cli.batch_options import (
    BatchOptions,
    LedgerOptions,
    MailOptions,
    RehearsalOptions,
    RunOptions,
    SetOptions,
    SourceOptions,
)
from poweremail._cli.files import exists
from poweremail._cli.mail_options import ServiceOptions
from poweremail._cli.options import argument, comma_separated, connected, connecting, flag, option
from poweremail._cli.output import MAX_ERRORS_REPORTED
from poweremail._cli.session import Session
from poweremail.errors import ConfigurationError

app = typer.Typer(
    help="Send batches that survive a crash: each mail is in a ledger on disk, and is sent once.",
    epilog="Exit status of create: 0 all rows are mails, 7 some are not (the others are in the "
    "batch); of run and resume: 0 all accepted, 6 unfinished (paused, stopped, or the ledger "
    "failed: run it again), 7 finished, and some were not accepted; of a --dry-run of either: 1 "
    "some could not be sent; of work: 0 it ended in order, 6 the ledger failed.",
    no_args_is_help=True,
)

_DRY_RUN = flag("Check everything; add and send nothing.", "--dry-run", "-n")


class Format(StrEnum):
    """The format of a report."""

    CSV = "csv"
    JSON = "json"


@app.command()
@connected
def create(
    session: Session,
    target: BatchOptions,
    mail: MailOptions,
    service: ServiceOptions,
    columns: SourceOptions,
    rehearsal: RehearsalOptions,
    *,
    sources: list[Path] = argument("CSV or JSON Lines (.jsonl, .ndjson) files.", "FILE..."),
    dry_run: bool = _DRY_RUN,
) -> None:
    """
    Make a batch from files, or add to it; send nothing.

    Each row is a mail: its columns are the recipient and the template's dynamic values. A row that
    is in the batch already is not added again, so an interrupted command can be repeated.
    """
    fields = mail.fields() | service.fields()
    for source in sources:  # before the batch is made
        if not exists(source, "FILE"):
            raise ConfigurationError(f"there is no file {str(source)!r}")
        if source.is_file() or source.is_dir():  # a pipe could be read only once
            next(columns.rows(source, fields), None)
    rows = chain.from_iterable(columns.rows(source, fields) for source in sources)
    with target.opened(creates=True, **attrs.asdict(rehearsal)) as batch:
        added = batch.check(rows) if dry_run else batch.add(rows)
    session.status = (exits.FAILED if dry_run else exits.SOME_FAILED) if added.invalid else exits.OK
    reported = added.errors[:MAX_ERRORS_REPORTED]
    for line, reason in reported:
        session.out.error(reason if line is None else f"line {line}: {reason}")
    if added.invalid > len(reported):
        session.out.error(f"... and {added.invalid - len(reported):,} more invalid rows")
    counts = {name: getattr(added, name) for name in ("added", "known", "invalid", "shared")}
    verb = "could be added" if dry_run else "added"
    session.out.result(
        counts | {"dry_run": dry_run},
        f"{added.added:,} {verb}, {added.known:,} known already, {added.invalid:,} invalid"
        + (f"; recipients of {added.shared:,} see each other" if added.shared else ""),
    )
    raise typer.Exit(session.status)


@app.command()
@connecting(interrupted=exits.UNFINISHED)
def run(
    session: Session, target: BatchOptions, options: RunOptions, *, dry_run: bool = _DRY_RUN
) -> None:
    """
    Send the planned mails and reconcile the unknown ones.

    After Ctrl-C it finishes the mails that are being sent, and ends. Run it again to go on.
    """
    _run(session, target, options, dry_run=dry_run, resumes=False)


@app.command()
@connecting(interrupted=exits.UNFINISHED)
def resume(
    session: Session, target: BatchOptions, options: RunOptions, *, dry_run: bool = _DRY_RUN
) -> None:
    """End the pause of a batch, and run it."""
    _run(session, target, options, dry_run=dry_run, resumes=True)


def _run(
    session: Session, target: BatchOptions, options: RunOptions, *, dry_run: bool, resumes: bool
) -> None:
    from poweremail._cli.batch_run import dry_run_batch, run_batch  # noqa: PLC0415  it loads SQLAlchemy

    if dry_run:
        dry_run_batch(session, target, options)
    else:
        run_batch(session, target, options, resumes=resumes)


@app.command()
@connected
def pause(
    session: Session,
    target: BatchOptions,
    *,
    reason: str = option(
        "The reason, shown to whoever runs the batch next.", "TEXT", default="paused by hand"
    ),
) -> None:
    """Pause a batch on all hosts: each finishes the mails that it is sending, and ends."""
    with target.opened() as batch:
        batch.pause(reason)
    again = target.command("resume", target.name)
    session.out.done(f"{target.name} is paused; {again} runs it again")


@app.command()
@connected
def status(session: Session, target: BatchOptions) -> None:
    """Show the state of a batch, whoever runs it."""
    from poweremail._cli.batch_run import summary  # noqa: PLC0415

    with target.opened() as batch:
        session.out.record(summary(batch.status()))


@app.command("set")
@connected
def set_options(session: Session, target: BatchOptions, options: SetOptions) -> None:
    """
    Change options that all processes share which run a batch; those that run take them over.

    Limits belong to the SMTP user, and hold for all batches of the ledger.
    """
    from poweremail._cli.batch_run import summary  # noqa: PLC0415  it loads SQLAlchemy

    changes, windows = options.changes()
    own = session.settings.options().get("smtp_user_name")
    names = comma_separated(options.smtp_users) or ([own] if own else [])
    if windows and not names:
        raise ConfigurationError(
            "limits belong to an SMTP user, and none is named", advice="name it by --smtp-users"
        )
    with target.opened_ledger() as ledger:
        number = ledger.find(target.name)
        ledger.change_options(number, changes, dict.fromkeys(names if windows else (), windows))
        session.out.record(summary(ledger.status(number)))


@app.command()
@connected
def report(
    session: Session,
    target: BatchOptions,
    *,
    format: Format | None = option(
        "The format; csv unless --json or the file's name says json.", None
    ),
    output: Path | None = option("Write to this file.", "FILE", "--output", "-o"),
    states: list[str] | None = option(
        "Only mails in this state; can be repeated.", "STATE", "--state"
    ),
) -> None:
    """Show what became of every recipient: CSV, or JSON with an object in each line."""
    from poweremail.batch._report import csv_line, rows  # noqa: PLC0415

    named_json = output is not None and output.suffix.lower() in (".json", ".jsonl", ".ndjson")
    as_json = format is Format.JSON if format is not None else session.out.as_json or named_json
    with target.opened() as batch:
        lines: Iterator[str] = (
            json.dumps(row, ensure_ascii=False) if as_json else csv_line(row)
            for record in batch.report(states)
            for row in rows(record)
        )
        # Reading the first line fails if there is no such batch: then nothing is written.
        lines = chain([] if as_json else [csv_line()], list(islice(lines, 1)), lines)
        if output is None:
            for line in lines:
                session.out.data(line)
            return
        try:
            with output.open("w", encoding="utf-8", newline="") as file:
                file.writelines(f"{line}\n" for line in lines)
        except OSError as error:
            raise ConfigurationError(
                f"cannot write {str(output)!r}: {error.strerror}", field="--output"
            ) from None


@app.command()
@connected
def retry(
    session: Session,
    target: BatchOptions,
    *,
    not_sent: bool = flag(
        "Mails that were never sent (the default if no other is named).", "--not-sent"
    ),
    rejected: bool = flag("Mails that the service rejected.", "--rejected"),
    unknown: bool = flag("Mails that stayed unknown. Recipients may get them twice.", "--unknown"),
) -> None:
    """Plan failed mails again; run the batch to send them."""
    with target.opened() as batch:
        planned = batch.retry(
            not_sent=not_sent or not (rejected or unknown), rejected=rejected, unknown=unknown
        )
    session.out.result(
        {"planned": planned},
        f"{planned:,} are planned again; {target.command('run', target.name)} sends them",
    )


@app.command("list")
@connected
def list_batches(session: Session, target: LedgerOptions) -> None:
    """List the batches of a ledger."""
    from poweremail._cli.batch_run import summary  # noqa: PLC0415

    with target.opened_ledger() as ledger:
        batches = [summary(ledger.status(ledger.find(name))) for name in ledger.names()]
        session.out.table(batches, ("name", "total", "accepted", "left", "paused"))


for each in (
    batch_work.start,
    batch_work.work,
    batch_work.workers,
    batch_work.drain,
    batch_work.undrain,
    batch_upkeep.demand,
    batch_upkeep.purge,
):
    app.command()(each)
