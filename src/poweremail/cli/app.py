"""The commands and their options; what they do stands in a module of their name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poweremail._version import __version__
from poweremail.cli.webhook import app as webhook
from poweremail.types.secret import Secret

__all__ = ["app"]

app = typer.Typer(
    help="PowerEmail's transactional e-mail API, and a sandbox of it on this machine.",
    no_args_is_help=True,
    # A traceback that lists local variables has no place where tokens are.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.add_typer(webhook, name="webhook")


def _print_version(wanted: bool) -> None:  # noqa: FBT001  typer hands it over so
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,  # noqa: FBT002
) -> None:
    pass


@app.command()
def sandbox(
    host: Annotated[
        str, typer.Option(help="The address to listen on. Anything but loopback lets others read the caught mail.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on; 0 for a free one.", min=0, max=65535)] = 8025,
    file: Annotated[Path | None, typer.Option(help="Keep the caught mail in this file; otherwise it is gone at the end.")] = None,
    owner_id: Annotated[str | None, typer.Option(help="Accept this owner id only.", envvar="POWEREMAIL_SANDBOX_OWNER_ID")] = None,
    token: Annotated[
        Secret | None,
        typer.Option(
            help="Accept this token only; better given by the variable.",
            envvar="POWEREMAIL_SANDBOX_TOKEN",
            parser=Secret,
            metavar="TEXT",
        ),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            help='Let something go wrong, such as \'{"fault": {"kind": "html"}, "call": "sendMail", "nth": 3}\'. Can be repeated.'
        ),
    ] = None,
    seed: Annotated[str | None, typer.Option(help="Makes the faults that strike by chance the same in every run.")] = None,
    limits: Annotated[  # noqa: FBT002
        bool, typer.Option("--limits", help="Let each SMTP user make 60 requests a minute, 3,600 an hour and 50,000 a day at most.")
    ] = False,
    per_minute: Annotated[
        int | None, typer.Option(help="Let each SMTP user make so many requests a minute at most.", min=1)
    ] = None,
) -> None:
    """Serve the API on this machine and catch what is sent to it."""
    from poweremail.cli.sandbox import run  # noqa: PLC0415  starlette and uvicorn only for those who serve

    run(
        host=host,
        port=port,
        file=file,
        owner_id=owner_id,
        token=token,
        faults=fault or [],
        seed=seed,
        limits=limits,
        per_minute=per_minute,
    )


@app.command()
def demo() -> None:
    """Send mails to a sandbox on this machine, look what became of them, and print what happened."""
    from poweremail.cli.demo import run  # noqa: PLC0415

    raise typer.Exit(0 if run() else 1)
