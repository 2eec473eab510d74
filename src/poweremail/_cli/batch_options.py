"""The options of the commands about batches, in groups that they share."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from poweremail._cli.failures import from_option
from poweremail._cli.files import exists, file_and_type, read_bytes, read_text
from poweremail._cli.mail_options import ATTACH, STREAM, DeriveOptions, FieldOptions
from poweremail._cli.options import argument, comma_separated, flag, option
from poweremail._ledger.options import (
    BULK_SHARE,
    NAMES,
    WINDOWS,
    SharedOptions,
    limits_of,
    windows_of,
)
from poweremail._policy.limits import RateLimits
from poweremail._policy.outcome import UnknownPolicy
from poweremail._types.secret import Secret
from poweremail.errors import ConfigurationError

if TYPE_CHECKING:
    from poweremail import PowerEmail
    from poweremail.batch import Batch, Ledger
    from poweremail.unsubscribe import UnsubscribeLinks

_DEFAULTS = SharedOptions()
_LEDGER = "poweremail-ledger.db"
KEYS_VARIABLE = "POWEREMAIL_UNSUBSCRIBE_KEYS"
"""The environment variable that has the keys of links to unsubscribe."""


@attrs.frozen
class LedgerOptions:
    """Where the ledger is."""

    ledger: str = option(
        "The ledger: a file, postgresql://... (if that has a password, set the variable), or "
        "django:default, a database of Django's settings.",
        "FILE|URL",
        "--ledger",
        default=_LEDGER,
        envvar="POWEREMAIL_LEDGER",
    )
    schema: str | None = option(
        "The schema of its tables in PostgreSQL.",
        "NAME",
        "--schema",
        envvar="POWEREMAIL_LEDGER_SCHEMA",
    )

    def existing(self) -> str:
        """
        Return the ledger. Raises `ConfigurationError` if there is no such file: reading a ledger
        must not make one.
        """
        if not self.ledger:
            raise ConfigurationError("must be the path of a file or a URL", field="ledger")
        path = self.ledger.removeprefix("sqlite:///")
        is_elsewhere = "://" in path or path.startswith("django:")
        if not is_elsewhere and not exists(Path(path), "--ledger"):
            raise ConfigurationError(
                f"there is no ledger {self.ledger}", advice="`poweremail batch create` makes one"
            )
        return self.ledger

    @contextmanager
    def opened_ledger(self, *, creates: bool = False) -> Iterator[Ledger]:
        """Open the ledger. It must exist, unless *creates* makes one that is missing."""
        from poweremail.batch import Ledger  # noqa: PLC0415  it loads SQLAlchemy

        place = self.ledger if creates else self.existing()
        with closing(Ledger(place, schema=self.schema)) as ledger:
            yield ledger

    def command(self, *words: str) -> str:
        """The command ``poweremail batch`` with *words*, about this ledger."""
        flags: list[str] = []
        if self.ledger not in (_LEDGER, os.environ.get("POWEREMAIL_LEDGER")):
            flags += ["--ledger", self.ledger]
        if self.schema not in (None, os.environ.get("POWEREMAIL_LEDGER_SCHEMA")):
            flags += ["--schema", self.schema or ""]
        return shlex.join(["poweremail", "batch", *words, *flags])


@attrs.frozen
class BatchOptions(LedgerOptions):
    """A batch in a ledger."""

    name: str = argument("The batch.", "NAME")

    @contextmanager
    def opened(
        self, client: PowerEmail | None = None, *, creates: bool = False, **options: Any
    ) -> Iterator[Batch]:
        """Open the batch in its ledger; *creates*: as for `opened_ledger`."""
        from poweremail.batch import Batch  # noqa: PLC0415  it loads SQLAlchemy

        with self.opened_ledger(creates=creates) as ledger:
            yield Batch(client, ledger, self.name, **options)


@attrs.frozen
class MailOptions(FieldOptions):
    """The fields that all mails of a batch have in common."""

    template_id: str | None = option("The template.", "ID", "--template")
    subject: str | None = option("The subject.", "TEXT", "--subject", "-s")
    from_email: str | None = option("The sender.", "ADDRESS", "--from")
    reply_to: str | None = option("Where replies go.", "ADDRESS")
    html: Path | None = option("The HTML, if there is no template.", "FILE")
    text: Path | None = option("The text, if there is no template.", "FILE")
    attachments: list[str] | None = option(ATTACH, "FILE", "--attach", "-a")
    stream: str | None = option(STREAM, "NAME")
    unsubscribe_url: str | None = option(
        "Sign a link for each recipient to the pages at this https URL, with the keys in "
        f"{KEYS_VARIABLE}.",
        "URL",
    )
    unsubscribe_mailto: str | None = option(
        "With --unsubscribe-url: the address that takes mails to unsubscribe.", "ADDRESS"
    )

    def fields(self) -> dict[str, Any]:
        """
        Do the same, with the content of files. Raises `ConfigurationError` for an unreadable file
        or an invalid option.
        """
        from poweremail import Attachment  # noqa: PLC0415  the library is loaded when it is used

        fields = super().fields()
        url, mailto = (fields.pop(f"unsubscribe_{kind}", None) for kind in ("url", "mailto"))
        if url is not None:
            fields["unsubscribe"] = _links(url, mailto)
        elif mailto is not None:
            raise ConfigurationError("goes with --unsubscribe-url", field="--unsubscribe-mailto")
        for name in {"html", "text"} & fields.keys():
            fields[name] = read_text(fields[name], f"--{name}")
        if self.attachments:
            with from_option("--attach"):
                fields["attachments"] = [
                    Attachment.from_bytes(read_bytes(path, ""), path.name, type=type)
                    for path, type in map(file_and_type, self.attachments)
                ]
        return fields


def _links(url: str, mailto: str | None) -> UnsubscribeLinks:
    from poweremail.unsubscribe import UnsubscribeLinks  # noqa: PLC0415  as above

    if not os.environ.get(KEYS_VARIABLE):
        raise ConfigurationError(
            f"needs the keys in {KEYS_VARIABLE}, with commas between them",
            field="--unsubscribe-url",
        )
    with from_option("--unsubscribe-url"):
        # The keys are in no local variable: see `Secret`.
        return UnsubscribeLinks(
            url, [Secret(key) for key in os.environ[KEYS_VARIABLE].split(",")], mailto=mailto
        )


@attrs.frozen
class SourceOptions:
    """How files of rows are read."""

    email_column: str = option("The column of the recipient's address.", "COLUMN", default="email")
    name_column: str = option("The column of the recipient's name.", "COLUMN", default="name")
    key_column: str = option(
        "The column of the key, unique for each mail.", "COLUMN", default="key"
    )
    fold_case: bool = flag("Keys that differ only in case are one key.", "--fold-case")
    delimiter: str = option("What separates the columns of CSV, or tab.", "CHARACTER", default=",")

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

    redirect_to: str | None = option(
        "Rehearse: send to this address instead. A batch stays a rehearsal.", "ADDRESS"
    )
    allow: list[str] | None = option(
        "Rehearse: send only to recipients that match, such as *@example.com; can be repeated.",
        "PATTERN",
    )


@attrs.frozen(slots=False)  # beside another base, which has slots
class SharedRunOptions:
    """The options that all workers of a batch share: the ledger has them."""

    smtp_users: str | None = option("The SMTP users that send, with commas.", "NAMES")
    limits: bool = flag(
        "Keep each SMTP user to the service's limits: {0.per_minute:,} mails a minute, "
        "{0.per_hour:,} an hour and {0.per_day:,} a day.".format(RateLimits()),
        "--limits",
    )
    per_minute: int | None = option(
        "Send so many mails a minute by each SMTP user.", "MAILS", min=1
    )
    per_hour: int | None = option("Send so many mails an hour by each SMTP user.", "MAILS", min=1)
    per_day: int | None = option("Send so many mails a day by each SMTP user.", "MAILS", min=1)
    attempts: int | None = option(
        f"Try a mail so often if it is not sent; {_DEFAULTS.attempts} unless given.",
        "TIMES",
        min=1,
    )
    visibility: float | None = option(
        "Wait so long for a mail whose outcome is unknown to appear at the service; "
        f"{UnknownPolicy().visibility:g} unless given.",
        "SECONDS",
        min=0,
    )
    resend_after: float | None = option(
        "Send such a mail again if it has not appeared after so long; never unless given.",
        "SECONDS",
        min=0,
    )
    lease: float | None = option(
        "Reconcile the mails of a process that has not been heard of for so long; "
        f"{_DEFAULTS.lease:g} unless given.",
        "SECONDS",
        min=1,
    )
    errors_in_a_row: int | None = option(
        "Pause the batch after so many errors in a row, of all that run it; "
        f"{_DEFAULTS.errors_in_a_row} unless given.",
        "ERRORS",
        min=1,
    )

    def windows(self) -> dict[str, int | None]:
        """Return the windows that are given. With --limits, the others are the service's."""
        given: dict[str, int | None] = {
            name: number for name in WINDOWS if (number := getattr(self, name)) is not None
        }
        return windows_of(RateLimits()) | given if self.limits else given


@attrs.frozen
class RunOptions(SharedRunOptions, RehearsalOptions, DeriveOptions):
    """
    How a batch is run. The ledger keeps what all that run it share: it must be the same again, or
    be left out.
    """

    concurrency: int = option("Send so many mails at once.", "MAILS", default=16, min=1)

    def batch_options(self) -> dict[str, Any]:
        """Return the options of a `Batch`."""
        apart = {*WINDOWS, *self.derive_options()}
        options = attrs.asdict(self, filter=lambda field, _: field.name not in apart)
        attempts = options.pop("attempts")
        return options | {
            "smtp_users": comma_separated(self.smtp_users),
            # Without --limits, a window that is not given is none.
            "limits": limits_of(self.windows()),
            # What is not given here may have been set.
            "retry": None if attempts is None else {"attempts": attempts},
        }


@attrs.frozen
class SetOptions(SharedRunOptions):
    """The options of a batch, to be changed."""

    first_wait: float | None = option(
        f"Wait so long before the second attempt; {_DEFAULTS.first_wait:g} unless given.",
        "SECONDS",
        min=0,
    )
    max_wait: float | None = option(
        f"Wait so long between attempts at most; {_DEFAULTS.max_wait:g} unless given.",
        "SECONDS",
        min=0,
    )
    bulk_share: float | None = option(
        "Of an outbox: let other batches use this share of each limit; "
        f"{BULK_SHARE:g} unless given.",
        "SHARE",
        min=0,
        max=1,
    )
    default: list[str] | None = option(
        "Give this option its default, such as attempts; can be repeated.", "OPTION"
    )

    def changes(self) -> tuple[dict[str, Any], dict[str, int | None]]:
        """
        Return the options and the windows that change; None gives one its default.

        Raises `ConfigurationError` if none changes, or one is given in two ways.
        """
        names = (*NAMES, "bulk_share")
        options = {name: value for name in names if (value := getattr(self, name)) is not None}
        windows = self.windows()
        given = {*options, *windows}
        for each in self.default or ():
            name = each.removeprefix("--").replace("-", "_")
            if name not in (*names, *WINDOWS, "limits"):
                known = ", ".join((*names, *WINDOWS, "limits")).replace("_", "-")
                raise ConfigurationError(f"must be one of {known}, not {each}", field="default")
            named = WINDOWS if name == "limits" else (name,)
            if not given.isdisjoint(named):
                raise ConfigurationError(f"{each} is given a value, too", field="default")
            (options if name in names else windows).update(dict.fromkeys(named))
        if not options and not windows:
            raise ConfigurationError("no option is given", advice="name those to be changed")
        return options, windows
