"""``poweremail batch``: the sub commands and their options. `batch_run` runs a batch."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import attrs
import typer

from poweremail._cli import exits
from poweremail._cli.options import connected
from poweremail._cli.output import MAX_ERRORS_REPORTED
from poweremail._cli.session import Session
from poweremail._policy.limits import RateLimits
from poweremail._policy.outcome import UnknownPolicy
from poweremail._policy.retry import RetryPolicy
from poweremail.errors import ConfigurationError

if TYPE_CHECKING:
    from poweremail.batch import Batch

__all__ = ["app"]

app = typer.Typer(
    help="Send batches that survive a crash: each mail is in a ledger on disk, and is sent once.",
    epilog="Exit status of create: 0 all rows are mails, 7 some are not (the others are in the "
    "batch); of run and resume: 0 all accepted, 6 unfinished (paused, stopped, or the ledger "
    "failed: run it again), 7 finished, and some were not accepted; of a --dry-run of either: 1 "
    "some could not be sent.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="The batch.", metavar="NAME")]
LedgerPlace = Annotated[
    str,
    typer.Option(
        "--ledger",
        envvar="POWEREMAIL_LEDGER",
        metavar="FILE|URL",
        help="The ledger: a file, or postgresql://... (if that has a password, set the variable).",
    ),
]
LEDGER = "poweremail-ledger.db"
DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Check everything; add and send nothing.")
]


class Format(StrEnum):
    """The format of a report."""

    CSV = "csv"
    JSON = "json"


@attrs.frozen
class MailOptions:
    """The fields that all mails of a batch have in common."""

    template: Annotated[str | None, typer.Option(metavar="ID", help="The template.")] = None
    subject: Annotated[str | None, typer.Option("--subject", "-s", help="The subject.")] = None
    from_email: Annotated[
        str | None, typer.Option("--from", metavar="ADDRESS", help="The sender.")
    ] = None
    reply_to: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Where replies go.")] = (
        None
    )
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The HTML, if there is no template.")
    ] = None
    text: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The text, if there is no template.")
    ] = None
    attach: Annotated[
        list[Path] | None,
        typer.Option("--attach", "-a", metavar="FILE", help="A file to attach; can be repeated."),
    ] = None

    def fields(self) -> dict[str, Any]:
        """Return the fields that are given. Raises `ConfigurationError` for an unreadable file."""
        from poweremail import Attachment  # noqa: PLC0415  the library is loaded when it is used

        fields: dict[str, Any] = {
            "template_id": self.template,
            "subject": self.subject,
            "from_email": self.from_email,
            "reply_to": self.reply_to,
            "html": None if self.html is None else _text(self.html),
            "text": None if self.text is None else _text(self.text),
            "attachments": [
                Attachment.from_bytes(_content(file), file.name) for file in self.attach or ()
            ],
        }
        return {name: value for name, value in fields.items() if value not in (None, [])}


@attrs.frozen
class SourceOptions:
    """How files of rows are read."""

    email_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="The column of the recipient's address.")
    ] = "email"
    name_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="The column of the recipient's name.")
    ] = "name"
    key_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="The column of the key, unique for each mail.")
    ] = "key"
    fold_case: Annotated[
        bool, typer.Option("--fold-case", help="Keys that differ only in case are one key.")
    ] = False
    delimiter: Annotated[
        str,
        typer.Option(metavar="CHARACTER", help="What separates the columns of CSV, or tab."),
    ] = ","

    def rows(self, source: Path, fields: dict[str, Any]) -> Iterator[Any]:
        """Return the rows of the file *source* as mails with these *fields*."""
        from poweremail.batch import read_csv, read_json_lines  # noqa: PLC0415  it loads SQLAlchemy

        columns: dict[str, Any] = {
            "email": self.email_column,
            "name": self.name_column,
            "key": self.key_column,
            "fold_case": self.fold_case,
        }
        if source.suffix.lower() in (".jsonl", ".ndjson"):
            return read_json_lines(source, **columns, **fields)
        delimiter = {"\\t": "\t", "tab": "\t"}.get(self.delimiter, self.delimiter)
        return read_csv(source, delimiter=delimiter, **columns, **fields)


@attrs.frozen
class RehearsalOptions:
    """Where the mails of a rehearsal may go."""

    redirect_to: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Rehearse: send all mails to this address. Such a batch stays a rehearsal.",
        ),
    ] = None
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Rehearse: send only to recipients that match, such as *@example.com; can be "
            "repeated.",
        ),
    ] = None


@attrs.frozen
class RunOptions:
    """How a batch is run."""

    smtp_users: Annotated[
        str | None, typer.Option(metavar="NAMES", help="The SMTP users that send, with commas.")
    ] = None
    concurrency: Annotated[int, typer.Option(help="Send so many mails at once.", min=1)] = 16
    limits: Annotated[
        bool,
        typer.Option(
            "--limits",
            help="Keep each SMTP user to the service's limits: {0.per_minute:,} mails a minute, "
            "{0.per_hour:,} an hour and {0.per_day:,} a day.".format(RateLimits()),
        ),
    ] = False
    per_minute: Annotated[
        int | None, typer.Option(help="Send so many mails a minute by each SMTP user.", min=1)
    ] = None
    per_hour: Annotated[
        int | None, typer.Option(help="Send so many mails an hour by each SMTP user.", min=1)
    ] = None
    per_day: Annotated[
        int | None, typer.Option(help="Send so many mails a day by each SMTP user.", min=1)
    ] = None
    attempts: Annotated[int, typer.Option(help="Try a mail so often if it is not sent.", min=1)] = 5
    visibility: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Look for a mail whose outcome is unknown for so long; "
            f"{UnknownPolicy().visibility:g} unless given.",
            min=0,
        ),
    ] = None
    resend_after: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Send such a mail again if it is not seen after so long; never unless given.",
            min=0,
        ),
    ] = None
    lease: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="Look up the mails of a process that has not been heard of for so long.",
            min=1,
        ),
    ] = 30.0
    errors_in_a_row: Annotated[
        int, typer.Option(help="Pause the batch after so many errors in a row.", min=1)
    ] = 20

    def batch_options(self, rehearsal: RehearsalOptions) -> dict[str, Any]:
        """Return the options of a `Batch`."""
        numbers: dict[str, Any] = {
            "per_minute": self.per_minute,
            "per_hour": self.per_hour,
            "per_day": self.per_day,
        }
        limits = None
        if self.limits:
            given = {window: number for window, number in numbers.items() if number is not None}
            limits = RateLimits(**given)
        elif any(numbers.values()):
            limits = RateLimits(**numbers)
        names = [name.strip() for name in (self.smtp_users or "").split(",")]
        return {
            "smtp_users": [name for name in names if name],
            "concurrency": self.concurrency,
            "limits": limits,
            "retry": RetryPolicy(self.attempts, first_wait=5.0, max_wait=60.0, max_total=None),
            "visibility": self.visibility,
            "resend_after": self.resend_after,
            "lease": self.lease,
            "errors_in_a_row": self.errors_in_a_row,
            **attrs.asdict(rehearsal),
        }


@app.command()
@connected
def create(
    session: Session,
    name: Name,
    sources: Annotated[
        list[Path],
        typer.Argument(help="CSV or JSON Lines (.jsonl, .ndjson) files.", metavar="FILE..."),
    ],
    mail: MailOptions,
    columns: SourceOptions,
    rehearsal: RehearsalOptions,
    *,
    dry_run: DryRun = False,
    ledger: LedgerPlace = LEDGER,
) -> None:
    """
    Make a batch from files, or add to it; send nothing.

    Each row is a mail: its columns are the recipient and the template's dynamic values. A row that
    is in the batch already is not added again, so an interrupted command can be repeated.
    """
    from poweremail.batch import Batch  # noqa: PLC0415

    fields = mail.fields()
    for source in sources:  # before the batch is made
        if not source.exists():
            raise ConfigurationError(f"there is no file {str(source)!r}")
        if source.is_file() or source.is_dir():  # a pipe could be read only once
            next(columns.rows(source, fields), None)
    rows = chain.from_iterable(columns.rows(source, fields) for source in sources)
    with Batch(None, ledger, name, **attrs.asdict(rehearsal)) as batch:
        added = batch.check(rows) if dry_run else batch.add(rows)
    session.status = (exits.FAILED if dry_run else exits.SOME_FAILED) if added.invalid else exits.OK
    reported = added.errors[:MAX_ERRORS_REPORTED]
    for line, reason in reported:
        session.out.error(reason if line is None else f"line {line}: {reason}")
    if added.invalid > len(reported):
        session.out.error(f"... and {added.invalid - len(reported):,} more invalid rows")
    verb = "could be added" if dry_run else "added"
    session.out.result(
        {
            "added": added.added,
            "known": added.known,
            "invalid": added.invalid,
            "shared": added.shared,
            "dry_run": dry_run,
        },
        f"{added.added:,} {verb}, {added.known:,} known already, {added.invalid:,} invalid"
        + (f"; recipients of {added.shared:,} see each other" if added.shared else ""),
    )
    raise typer.Exit(session.status)


@app.command()
@connected
def run(
    session: Session,
    name: Name,
    options: RunOptions,
    rehearsal: RehearsalOptions,
    *,
    dry_run: DryRun = False,
    ledger: LedgerPlace = LEDGER,
) -> None:
    """
    Send the planned mails and look up the unknown ones.

    After Ctrl-C it finishes the mails that are being sent, and ends. Run it again to go on.
    """
    from poweremail._cli.batch_run import dry_run_batch, run_batch  # noqa: PLC0415

    _require_ledger(ledger)
    run_or_check = dry_run_batch if dry_run else run_batch
    run_or_check(session, ledger, name, options.batch_options(rehearsal))


@app.command()
@connected
def pause(
    session: Session,
    name: Name,
    *,
    reason: Annotated[
        str, typer.Option(help="The reason, shown to whoever runs the batch next.")
    ] = "paused by hand",
    ledger: LedgerPlace = LEDGER,
) -> None:
    """Pause a batch on all hosts: each finishes the mails that it is sending, and ends."""
    with _opened(ledger, name) as batch:
        batch.pause(reason)
    session.out.done(f"{name} is paused; poweremail batch resume {name} runs it again")


@app.command()
@connected
def resume(
    session: Session,
    name: Name,
    options: RunOptions,
    rehearsal: RehearsalOptions,
    *,
    dry_run: DryRun = False,
    ledger: LedgerPlace = LEDGER,
) -> None:
    """End the pause of a batch, and run it."""
    from poweremail._cli.batch_run import dry_run_batch, run_batch  # noqa: PLC0415

    _require_ledger(ledger)
    batch_options = options.batch_options(rehearsal)
    if dry_run:
        dry_run_batch(session, ledger, name, batch_options)
    else:
        run_batch(session, ledger, name, batch_options, resumes=True)


@app.command()
@connected
def status(session: Session, name: Name, *, ledger: LedgerPlace = LEDGER) -> None:
    """Show the state of a batch, whoever runs it."""
    from poweremail._cli.batch_run import summary  # noqa: PLC0415

    with _opened(ledger, name) as batch:
        session.out.record(summary(batch.status()))


@app.command()
@connected
def report(
    session: Session,
    name: Name,
    *,
    format: Annotated[
        Format | None,
        typer.Option(help="The format; csv unless --json or the file's name says json."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")
    ] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="Only mails in this state; can be repeated.")
    ] = None,
    ledger: LedgerPlace = LEDGER,
) -> None:
    """Show what became of every recipient: CSV, or JSON with an object in each line."""
    from poweremail.batch._report import csv_line, rows  # noqa: PLC0415

    named_json = output is not None and output.suffix.lower() in (".json", ".jsonl", ".ndjson")
    as_json = format is Format.JSON if format is not None else session.out.as_json or named_json
    with _opened(ledger, name) as batch:
        lines: Iterator[str] = (
            json.dumps(row, ensure_ascii=False) if as_json else csv_line(row)
            for record in batch.report(state)
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
    name: Name,
    *,
    not_sent: Annotated[
        bool,
        typer.Option(
            "--not-sent", help="Mails that were never sent (the default if no other is named)."
        ),
    ] = False,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="Mails that the service rejected.")
    ] = False,
    unknown: Annotated[
        bool,
        typer.Option(
            "--unknown", help="Mails that no look-up found. Recipients may get them twice."
        ),
    ] = False,
    ledger: LedgerPlace = LEDGER,
) -> None:
    """Plan failed mails again; run the batch to send them."""
    with _opened(ledger, name) as batch:
        planned = batch.retry(
            not_sent=not_sent or not (rejected or unknown), rejected=rejected, unknown=unknown
        )
    session.out.result(
        {"planned": planned},
        f"{planned:,} are planned again; poweremail batch run {name} sends them",
    )


@app.command("list")
@connected
def list_batches(session: Session, *, ledger: LedgerPlace = LEDGER) -> None:
    """List the batches of a ledger."""
    from poweremail._cli.batch_run import summary  # noqa: PLC0415
    from poweremail.batch import Batch, Ledger  # noqa: PLC0415

    _require_ledger(ledger)
    opened = Ledger(ledger)
    try:
        batches = [summary(Batch(None, opened, name).status()) for name in opened.names()]
        session.out.table(batches, ("name", "total", "accepted", "left", "paused"))
    finally:
        opened.close()


def _opened(ledger: str, name: str) -> Batch:
    from poweremail.batch import Batch  # noqa: PLC0415

    _require_ledger(ledger)
    return Batch(None, ledger, name)


def _require_ledger(ledger: str) -> None:
    """Raise `ConfigurationError` if there is no such file: reading a ledger must not make one."""
    if "://" not in ledger and not Path(ledger).exists():
        raise ConfigurationError(
            f"there is no ledger {ledger}", advice="`poweremail batch create` makes one"
        )


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read {str(file)!r}: {error.strerror}") from None


def _text(file: Path) -> str:
    try:
        return _content(file).decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigurationError(f"cannot read {str(file)!r}: it is not UTF-8") from None
