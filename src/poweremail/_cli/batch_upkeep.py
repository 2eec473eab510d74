"""``poweremail batch demand`` for autoscalers, and ``purge``."""

from __future__ import annotations

import attrs

from poweremail._cli.batch_options import BatchOptions, LedgerOptions
from poweremail._cli.options import argument, comma_separated, connected, flag, option, seconds
from poweremail._cli.session import Session


@connected
def purge(
    session: Session,
    target: LedgerOptions,
    *,
    name: str | None = argument("The batch; all unless given.", "[NAME]", default=None),
    older_than: str = option(
        "The age of an outcome, such as 90d, 12h or 30m; seconds without a letter.",
        "AGE",
        default=...,
    ),
    unknown: bool = flag("Delete mails that stayed unknown, too.", "--unknown"),
    payloads: bool = flag(
        "Delete addresses, contents and files only; keep keys and outcomes.", "--payloads"
    ),
) -> None:
    """
    Delete old mails of finished batches, and files that no mail has any more.

    A mail whose key is deleted is new if its source is added again, and would be sent again: with
    --payloads its key and its outcome stay. Workers may run meanwhile.
    """
    with target.opened_ledger() as ledger:
        done = ledger.purge(
            older_than=seconds(older_than, "--older-than"),
            batch=None if name is None else ledger.find(name),
            unknown=unknown,
            only_payloads=payloads,
        )
    kept = {
        "of unfinished batches": done.kept_unfinished,
        "that are unknown": done.kept_unknown,
        "whose hook was not called yet": done.kept_unreported,
    }
    verb = "lost their content" if payloads else "deleted"
    session.out.result(
        attrs.asdict(done),
        f"{done.messages:,} mails {verb}, {done.batches:,} batches and {done.files:,} files deleted"
        + "".join(f"; kept {count:,} {why}" for why, count in kept.items() if count),
    )


@connected
def demand(
    session: Session,
    target: BatchOptions,
    *,
    smtp_users: str | None = option(
        "The SMTP users that send, with commas; all that the ledger knows unless given.", "NAMES"
    ),
    concurrency: int = option("A runner sends so many mails at once.", "MAILS", default=16, min=1),
    within: float = option(
        "The time in which the mails that are due should be sent.", "SECONDS", default=60.0, min=1
    ),
    seconds_per_mail: float | None = option(
        "The time of a mail; as measured unless given.", "SECONDS", min=0.001
    ),
) -> None:
    """
    Show how many runners a batch can use now, for an autoscaler, and what keeps it from more.

    It is 0 if the batch is paused or nothing is due. --json prints an object with the number as
    "runners".
    """
    names = comma_separated(smtp_users)
    with target.opened(smtp_users=names, concurrency=concurrency) as batch:
        found = batch.demand(within=within, seconds_per_mail=seconds_per_mail)
    session.out.result(attrs.asdict(found), f"{found.runners:,} runners: {found.reason}")
