"""
``poweremail batch``: the sub commands and their options; running one stands in a module of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poweremail._cli import exits
from poweremail._cli.options import connected
from poweremail._cli.session import Session

if TYPE_CHECKING:
    from poweremail.batch import Added, Batch

__all__ = ["app"]

app = typer.Typer(
    help="Batches that survive anything: each mail of them is in a ledger on disk, and is sent "
    "once.",
    epilog="Exit status of create: 0 all rows are mails, 7 some are not (the others are in the "
    "batch); of run and resume: 0 all "
    "accepted, 6 unfinished (paused, stopped, or the ledger failed: run it again), 7 finished, and "
    "some were not accepted; of a "
    "--dry-run of either: 1 some could not be sent.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Name = Annotated[str, typer.Argument(help="The batch.", metavar="NAME")]
LedgerAt = Annotated[
    str,
    typer.Option(
        "--ledger",
        envvar="POWEREMAIL_LEDGER",
        metavar="FILE|URL",
        help="The ledger: a file, or postgresql://... (better given by the variable, if it has a "
        "password).",
    ),
]
RedirectTo = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Rehearse: send all of it to this address. A batch that rehearses stays one.",
    ),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Rehearse: send to those only who match, such as *@example.com. Can be repeated.",
    ),
]
_LEDGER = "poweremail-ledger.db"
_TOLD = 20


class Format(StrEnum):
    """What a report is written as."""

    CSV = "csv"
    JSON = "json"


@app.command()
@connected()
def create(
    session: Session,
    name: Name,
    sources: Annotated[
        list[Path],
        typer.Argument(help="CSV or JSON Lines (.jsonl, .ndjson) files.", metavar="FILE..."),
    ],
    *,
    template: Annotated[str | None, typer.Option(metavar="ID", help="The template.")] = None,
    subject: Annotated[str | None, typer.Option(help="The subject.")] = None,
    from_email: Annotated[
        str | None, typer.Option("--from", metavar="ADDRESS", help="Who sends it.")
    ] = None,
    reply_to: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Who is answered.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The HTML of mails without a template.")
    ] = None,
    text: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The text of mails without a template.")
    ] = None,
    attach: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Attach this file to each. Can be repeated."),
    ] = None,
    email_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="Where the recipient's address is.")
    ] = "email",
    name_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="Where the recipient's name is.")
    ] = "name",
    key_column: Annotated[
        str, typer.Option(metavar="COLUMN", help="What tells one mail from another.")
    ] = "key",
    delimiter: Annotated[
        str,
        typer.Option(metavar="CHARACTER", help="What is between the columns of CSV; tab is one."),
    ] = ",",
    redirect_to: RedirectTo = None,
    allow: Allow = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="See what is wrong with the files, and add nothing.")
    ] = False,
    ledger: LedgerAt = _LEDGER,
) -> None:
    """
    Make a batch of what is in the files, or add to it; nothing is sent.

    A row is a mail: its columns are the recipient and the template's dynamic values. What is in the
    batch already is not added again, so the same command may be given once more after it broke off.
    """
    from poweremail import Attachment, UsageError  # noqa: PLC0415
    from poweremail.batch import Batch, read_csv, read_json_lines  # noqa: PLC0415

    given = {
        "template_id": template,
        "subject": subject,
        "from_email": from_email,
        "reply_to": reply_to,
    }
    fields: dict[str, Any] = {field: value for field, value in given.items() if value is not None}
    fields |= {
        field: _content(file)
        for field, file in (("html", html), ("text", text))
        if file is not None
    }
    if attach:
        fields["attachments"] = [
            Attachment.from_bytes(_content(file, binary=True), file.name) for file in attach
        ]
    columns = {"email": email_column, "name": name_column, "key": key_column}
    delimiter = {"\\t": "\t", "tab": "\t"}.get(delimiter, delimiter)

    def rows(source: Path) -> Iterator[Any]:
        if source.suffix.lower() in (".jsonl", ".ndjson"):
            return read_json_lines(source, **columns, **fields)
        return read_csv(source, delimiter=delimiter, **columns, **fields)

    for source in sources:  # before the batch is made
        if not source.exists():
            raise UsageError(f"there is no file {str(source)!r}", mail_state=None)
        if source.is_file() or source.is_dir():  # what a pipe has can be read only once
            next(rows(source), None)
    every_row = chain.from_iterable(map(rows, sources))
    with Batch(None, ledger, name, redirect_to=redirect_to, allow=allow) as batch:
        added = batch.check(every_row) if dry_run else batch.add(every_row)
    _tell_added(session, added, dry_run=dry_run)
    if added.invalid:
        raise typer.Exit(exits.FAILED if dry_run else exits.SOME_FAILED)


def _running(*, resumes: bool) -> Callable[..., None]:
    """The command that runs a batch; *resumes* says that it takes a pause back first."""

    def command(
        session: Session,
        name: Name,
        *,
        smtp_users: Annotated[
            str | None, typer.Option(metavar="NAMES", help="The SMTP users that send, with commas.")
        ] = None,
        concurrency: Annotated[
            int, typer.Option(help="How many mails are under way at once.", min=1)
        ] = 16,
        limits: Annotated[
            bool, typer.Option("--limits", help="Keep to 60 a minute, 3,600 an hour, 50,000 a day.")
        ] = False,
        per_minute: Annotated[
            int | None, typer.Option(help="So many mails a minute of each SMTP user.", min=1)
        ] = None,
        per_hour: Annotated[
            int | None, typer.Option(help="So many mails an hour of each SMTP user.", min=1)
        ] = None,
        per_day: Annotated[
            int | None, typer.Option(help="So many mails a day of each SMTP user.", min=1)
        ] = None,
        attempts: Annotated[
            int, typer.Option(help="How often a mail is tried that was not sent.", min=1)
        ] = 5,
        visibility: Annotated[
            float | None,
            typer.Option(
                metavar="SECONDS",
                help="How long a mail is looked for whose outcome is unknown; 30.",
                min=0,
            ),
        ] = None,
        resend_after: Annotated[
            float | None,
            typer.Option(
                metavar="SECONDS",
                help="Send it again where it cannot be seen after so long; never unless given.",
                min=0,
            ),
        ] = None,
        lease: Annotated[
            float,
            typer.Option(
                metavar="SECONDS",
                help="When the mails of a process that is gone are looked up.",
                min=1,
            ),
        ] = 30.0,
        errors_in_a_row: Annotated[int, typer.Option(help="Pause after so many.", min=1)] = 20,
        redirect_to: RedirectTo = None,
        allow: Allow = None,
        dry_run: Annotated[
            bool,
            typer.Option("--dry-run", help="Check each mail that is planned, and send nothing."),
        ] = False,
        ledger: LedgerAt = _LEDGER,
    ) -> None:
        from poweremail import RateLimits, RetryPolicy  # noqa: PLC0415
        from poweremail._cli.batch_run import check, run  # noqa: PLC0415

        per: dict[str, Any] = {"per_minute": per_minute, "per_hour": per_hour, "per_day": per_day}
        wanted = None
        if limits:
            wanted = RateLimits(
                **{window: number for window, number in per.items() if number is not None}
            )
        elif any(per.values()):
            wanted = RateLimits(**per)
        options: dict[str, Any] = {
            "smtp_users": [each.strip() for each in (smtp_users or "").split(",") if each.strip()],
            "concurrency": concurrency,
            "limits": wanted,
            "retry": RetryPolicy(attempts, first_wait=5.0, max_wait=60.0, max_total=None),
            "visibility": visibility,
            "resend_after": resend_after,
            "lease": lease,
            "errors_in_a_row": errors_in_a_row,
            "redirect_to": redirect_to,
            "allow": allow,
        }
        _check_there(ledger)
        if dry_run:
            check(session, ledger, name, options)
        else:
            run(session, ledger, name, options, resumes=resumes)

    command.__doc__ = (
        "Let a paused batch go on: run it."
        if resumes
        else "Send what is planned and look up what is unknown. Ctrl-C lets what is under way "
        "finish; run it again to go on."
    )
    return command


app.command("run")(connected()(_running(resumes=False)))


@app.command()
@connected()
def pause(
    session: Session,
    name: Name,
    *,
    reason: Annotated[
        str, typer.Option(help="Why: whoever runs it next is told.")
    ] = "paused by hand",
    ledger: LedgerAt = _LEDGER,
) -> None:
    """Let whoever runs the batch, on whatever host, finish what is under way and end."""
    with _opened(ledger, name) as batch:
        batch.pause(reason)
    session.out.done(f"{name} is paused; poweremail batch resume lets it go on")


app.command("resume")(connected()(_running(resumes=True)))


@app.command()
@connected()
def status(session: Session, name: Name, *, ledger: LedgerAt = _LEDGER) -> None:
    """Tell how a batch is doing, whoever runs it."""
    from poweremail._cli.batch_run import summary  # noqa: PLC0415

    with _opened(ledger, name) as batch:
        session.out.record(summary(batch.status()))


@app.command()
@connected()
def report(
    session: Session,
    name: Name,
    *,
    format: Annotated[
        Format | None,
        typer.Option(help="What to write: csv unless --json or the name of the file says."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write to this file.")
    ] = None,
    state: Annotated[
        list[str] | None, typer.Option(help="Only those in this state. Can be repeated.")
    ] = None,
    ledger: LedgerAt = _LEDGER,
) -> None:
    """Tell what became of every recipient: CSV, or JSON with an object in each line."""
    from poweremail import UsageError  # noqa: PLC0415
    from poweremail.batch._report import csv_line, rows  # noqa: PLC0415

    named_json = output is not None and output.suffix.lower() in (".json", ".jsonl", ".ndjson")
    as_json = format is Format.JSON if format is not None else session.out.as_json or named_json
    with _opened(ledger, name) as batch:
        lines: Iterator[str] = (
            json.dumps(row, ensure_ascii=False) if as_json else csv_line(row)
            for record in batch.report(state)
            for row in rows(record)
        )
        # Whether there is such a batch turns out with the first: nothing is written where there is
        # none.
        lines = chain(list(islice(lines, 1)), lines)
        if output is None:
            if not as_json:
                session.out.data(csv_line())
            for line in lines:
                session.out.data(line)
            return
        try:
            with output.open("w", encoding="utf-8", newline="") as file:
                if not as_json:
                    file.write(f"{csv_line()}\n")
                file.writelines(f"{line}\n" for line in lines)
        except OSError as error:
            raise UsageError(
                f"cannot write {str(output)!r}: {error.strerror}", mail_state=None
            ) from None


@app.command()
@connected()
def retry(
    session: Session,
    name: Name,
    *,
    not_sent: Annotated[
        bool,
        typer.Option("--not-sent", help="What was never sent; so it is unless others are named."),
    ] = False,
    rejected: Annotated[
        bool, typer.Option("--rejected", help="What the service did not take.")
    ] = False,
    unknown: Annotated[
        bool,
        typer.Option("--unknown", help="What was looked up in vain. Recipients may get it twice."),
    ] = False,
    ledger: LedgerAt = _LEDGER,
) -> None:
    """Plan again what failed; run the batch to send it."""
    with _opened(ledger, name) as batch:
        planned = batch.retry(
            not_sent=not_sent or not (rejected or unknown), rejected=rejected, unknown=unknown
        )
    if session.out.as_json:
        session.out.json({"planned": planned})
    else:
        session.out.say(f"{planned:,} are planned again; poweremail batch run sends them")


@app.command("list")
@connected()
def list_batches(session: Session, *, ledger: LedgerAt = _LEDGER) -> None:
    """List the batches of a ledger."""
    from poweremail._cli.batch_run import summary  # noqa: PLC0415
    from poweremail.batch import Batch, Ledger  # noqa: PLC0415

    _check_there(ledger)
    opened = Ledger(ledger)
    try:
        found = [summary(Batch(None, opened, name).status()) for name in opened.names()]
        session.out.table(found, ("name", "total", "accepted", "left", "paused"))
    finally:
        opened.close()


def _opened(ledger: str, name: str) -> Batch:
    from poweremail.batch import Batch  # noqa: PLC0415

    _check_there(ledger)
    return Batch(None, ledger, name)


def _check_there(ledger: str) -> None:
    """Raise `UsageError` where there is no such file: to look into a ledger must not make one."""
    from poweremail import UsageError  # noqa: PLC0415

    if "://" not in ledger and not Path(ledger).exists():
        raise UsageError(
            f"there is no ledger {ledger}",
            mail_state=None,
            advice="`poweremail batch create` makes one",
        )


def _content(file: Path, *, binary: bool = False) -> Any:
    from poweremail import UsageError  # noqa: PLC0415

    try:
        return file.read_bytes() if binary else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise UsageError(f"cannot read {str(file)!r}: {why}", mail_state=None) from None


def _tell_added(session: Session, added: Added, *, dry_run: bool) -> None:
    for line, reason in added.errors[:_TOLD]:
        session.out.error(f"line {line}: {reason}" if line is not None else reason)
    if added.invalid > len(added.errors[:_TOLD]):
        session.out.error(
            f"... and {added.invalid - len(added.errors[:_TOLD]):,} more that are no mails"
        )
    if session.out.as_json:
        session.out.json(
            {
                "added": added.added,
                "known": added.known,
                "invalid": added.invalid,
                "dry_run": dry_run,
            }
        )
    else:
        verb = "could be added" if dry_run else "added"
        session.out.say(
            f"{added.added:,} {verb}, {added.known:,} known already, {added.invalid:,} invalid"
        )
