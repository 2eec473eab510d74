"""The commands by their names, and nothing else; what each does stands in a module of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from poweremail._cli import (
    account,
    batch,
    call,
    doctor,
    domains,
    info,
    local,
    mail,
    show_config,
    smtp_users,
    webhook,
    webhooks,
)
from poweremail._cli.options import connected
from poweremail._cli.session import Session
from poweremail._version import __version__

__all__ = ["app"]

_MAIL = "Mail"
_ACCOUNT = "Account"
_LOCAL = "On this machine"

app = typer.Typer(
    help="PowerEmail's transactional e-mail API, and a sandbox of it on this machine.",
    epilog="Each command tells its options with --help; those for the connection and the output "
    "may stand before it, too.\n\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage or settings, 3 rejected by the service, 4 not "
    "sent, 5 unknown "
    "whether it was sent, 6 a batch is unfinished, 7 not every mail of a batch was accepted or "
    "could be added, 130 interrupted.",
    no_args_is_help=True,
    # A traceback that lists local variables has no place where tokens are.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001  typer hands it over so
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
@connected(hidden=True)
def _options(
    session: Session,
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


app.command(rich_help_panel=_MAIL, epilog=mail.SEND_EXAMPLES)(mail.send)
app.command(rich_help_panel=_MAIL, epilog=mail.TEMPLATE_EXAMPLES)(mail.template)
app.command(rich_help_panel=_MAIL)(info.info)
app.command(rich_help_panel=_MAIL)(info.reconcile)
app.command(rich_help_panel=_ACCOUNT)(doctor.doctor)
app.command(rich_help_panel=_ACCOUNT)(account.account)
app.command(rich_help_panel=_ACCOUNT, epilog=call.EXAMPLES)(call.call)
app.command(rich_help_panel=_LOCAL)(show_config.config)
app.command(rich_help_panel=_LOCAL)(local.sandbox)
app.command(rich_help_panel=_LOCAL)(local.demo)

# A command with sub commands is an app of its own, and a line here.
app.add_typer(batch.app, name="batch", rich_help_panel=_MAIL)
app.add_typer(smtp_users.app, name="smtp-users", rich_help_panel=_ACCOUNT)
app.add_typer(domains.sending, name="sending-domains", rich_help_panel=_ACCOUNT)
app.add_typer(domains.tracking, name="tracking-domains", rich_help_panel=_ACCOUNT)
app.add_typer(webhooks.app, name="webhooks", rich_help_panel=_ACCOUNT)
app.add_typer(webhook.app, name="webhook", rich_help_panel=_LOCAL)
