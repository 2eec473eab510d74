"""``poweremail webhook``: the sub commands and their options; a module for each does the work."""

from __future__ import annotations

from pathlib import Path

import typer

from poweremail._cli.files import STDIN, read_bytes, read_stdin
from poweremail._cli.options import option, printing
from poweremail._cli.session import Session
from poweremail._cli.webhook_options import EventOptions, KeyOptions, ListenOptions, url_option
from poweremail.webhooks._signature import check_brand

app = typer.Typer(
    help="Receive the service's events on this machine, make events, and find out how requests are "
    "signed.",
    no_args_is_help=True,
)


@app.command()
@printing
def listen(session: Session, options: ListenOptions, keys: KeyOptions) -> None:
    """
    Print the events that the service posts to this machine, until Ctrl-C.

    Without --url, its own address counts as the registered one. Without a key it completes the
    handshake of a registration and rejects every event.
    """
    from poweremail._cli.webhook_listen import listen as run  # noqa: PLC0415  it loads uvicorn

    run(session.out, options, keys=keys.keys(needed=False), brand=keys.brand)


@app.command()
@printing
def trigger(session: Session, options: EventOptions, keys: KeyOptions) -> None:
    """
    Post signed events to a webhook of yours, as the service would.

    The signature is made with the first key for --url, or if that is not given for --to-url. Exit
    status: 0 if the response is 2xx, 3 if it is another, 4 if the request did not arrive, 5 if no
    response came.
    """
    from poweremail._cli.webhook_trigger import trigger as run  # noqa: PLC0415  it loads httpx

    raise typer.Exit(run(session.out, options, key=keys.keys()[0], brand=check_brand(keys.brand)))


@app.command()
@printing
def diagnose(
    session: Session,
    keys: KeyOptions,
    *,
    file: Path = option(
        "A request as it came: headers, an empty line, body; - is standard input.",
        "FILE",
        default=...,
    ),
    url: str = url_option(default=...),
) -> None:
    """
    Find the scheme by which a captured request is signed, or what comes close to it.

    Capture one with `listen --save`, or behind your own server. Exit status: 0 if a scheme fits
    these settings as they are, 1 if not.
    """
    from poweremail._cli.webhook_diagnose import diagnose as run  # noqa: PLC0415  seldom needed

    captured = read_stdin("--file") if str(file) == STDIN else read_bytes(file, "--file")
    raise typer.Exit(run(session.out, captured, url=url, keys=keys.keys(), brand=keys.brand))
