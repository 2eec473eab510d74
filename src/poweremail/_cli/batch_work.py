"""``poweremail batch work`` and the commands about workers: `start`, `workers`, `drain`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from poweremail._cli import exits
from poweremail._cli.batch_options import BatchOptions, LedgerOptions, RunOptions
from poweremail._cli.options import argument, connected, connecting, flag, option
from poweremail._cli.session import Session
from poweremail.errors import ConfigurationError

if TYPE_CHECKING:
    from poweremail.batch import Ledger

_HOST = option("Only those on this host, as `workers` shows it.", "HOST", "--host")


@connected
def start(
    session: Session,
    target: BatchOptions,
    *,
    runners: int | None = option(
        "The most workers on all hosts together; required the first time.", "WORKERS", min=1
    ),
) -> None:
    """Allow so many workers on all hosts together, and end a drain; send nothing."""
    with target.opened() as batch:
        batch.start(runners)
        runners = batch.status().runners
    session.out.result(
        {"name": target.name, "runners": runners},
        f"{target.name} may have {runners} workers; {target.command('work', target.name)} is one",
    )


@connected
def workers(session: Session, target: BatchOptions) -> None:
    """List the workers of a batch on all hosts."""
    with target.opened() as batch:
        listed = [
            attrs.asdict(each)
            | {
                name: datetime.fromtimestamp(getattr(each, name), UTC)
                for name in ("taken", "lease_until")
            }
            for each in batch.workers()
        ]
    session.out.table(listed, ("lane", "host", "process", "taken", "lost", "drained"))


@connected
def drain(
    session: Session,
    target: LedgerOptions,
    *,
    name: str | None = argument(
        "The batch; all of the ledger if it is left out.", "[NAME]", default=None
    ),
    host: str | None = _HOST,
) -> None:
    """
    Let workers end after the mails that they are sending, and none begin, until `undrain` or
    `start`.
    """
    with _opened(target, name, host) as (number, ledger):
        ledger.lanes.drain(number, host)
    words = [*([] if name is None else [name]), *([] if host is None else ["--host", host])]
    again = target.command("undrain", *words)
    session.out.done(f"{_whose(name, host)} end; {again} lets them begin again")


@connected
def undrain(
    session: Session,
    target: LedgerOptions,
    *,
    name: str | None = argument("As it was given to `drain`.", "[NAME]", default=None),
    host: str | None = _HOST,
) -> None:
    """End the drain that was begun with the same name and host."""
    with _opened(target, name, host) as (number, ledger):
        ledger.lanes.undrain(number, host)
    session.out.done(f"{_whose(name, host)} may begin")


@contextmanager
def _opened(
    target: LedgerOptions, name: str | None, host: str | None
) -> Iterator[tuple[int | None, Ledger]]:
    if name is None and host is None:
        raise ConfigurationError("name a batch, a host, or both", field="NAME")
    with target.opened_ledger() as ledger:
        yield None if name is None else ledger.find(name), ledger


def _whose(name: str | None, host: str | None) -> str:
    where = "" if host is None else f" on {host}"
    return f"the workers of {'all batches' if name is None else name}{where}"


@connecting(interrupted=exits.OK)
def work(
    session: Session,
    target: LedgerOptions,
    options: RunOptions,
    *,
    names: list[str] | None = argument(
        "The batches; all of the ledger if none is named.", "[NAME]...", default=None
    ),
    forever: bool = flag("Wait for more work when there is none.", "--forever"),
    seconds: float = option(
        "Work so long on a batch before others have their turn.", "SECONDS", default=20.0, min=1
    ),
    poll: float = option("Look for work so often.", "SECONDS", default=10.0, min=0.1),
    ready_file: Path | None = option(
        "A file that exists while the command is ready, and is touched at least every --poll and "
        "--seconds.",
        "FILE",
    ),
) -> None:
    """
    Be one of the workers of batches, for a time or for ever.

    Ctrl-C and SIGTERM end it after the mails that are being sent.
    """
    from poweremail._cli.batch_forever import Slices, work_on  # noqa: PLC0415  it loads SQLAlchemy

    slices = Slices(names=tuple(names or ()), seconds=seconds, poll=poll, forever=forever)
    work_on(session, target, options, slices, ready_file)
