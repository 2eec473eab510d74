"""The names of the commands. The function of each is in the module of its group."""

from __future__ import annotations

from enum import StrEnum

import typer
from typer._completion_classes import completion_init
from typer.completion import install_callback, show_callback

from poweremail._cli import (
    account,
    batch,
    doctor,
    mail,
    sandbox,
    sandbox_tools,
    suppression,
    webhook,
)
from poweremail._cli.options import ConnectionOptions, OutputOptions, command, flag, option
from poweremail._cli.session import Session
from poweremail._version import __version__

# The headings of the help text.
_MAIL = "Mail"
_ACCOUNT = "Account"
_LOCAL = "On this machine"

app = typer.Typer(
    help="Use PowerEmail's transactional e-mail API, or a sandbox of it on this machine.",
    epilog="Each command describes its options with --help. Those of connection and output "
    "may stand before the command, too.\n\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage or settings, 3 rejected by the service, 4 not "
    "sent, 5 unknown whether it was sent, 6 a batch is unfinished, 7 some mails of a batch were "
    "not accepted or not added, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,  # typer's own options are for the shell that runs, whichever is named
    # They would show local variables, and so the token.
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
completion_init()  # what typer does if its own options are on (get_completion_inspect_parameters)


class _Shell(StrEnum):
    """The shells in which commands can be completed."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"
    PWSH = "pwsh"


_SHELL = _Shell | None


def _print_version(wanted: bool) -> None:  # noqa: FBT001  typer passes the value by position
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
@command(ConnectionOptions, OutputOptions, hidden=True)
def _options(
    _: Session,
    *,
    version: bool = flag("Print the version.", "--version", callback=_print_version, is_eager=True),
    install_completion: _SHELL = option(
        "Install completion for this shell.", "SHELL", callback=install_callback, is_eager=True
    ),
    show_completion: _SHELL = option(
        "Print what completes in this shell.",
        "SHELL",
        callback=show_callback,
        is_eager=True,
    ),
) -> None:
    pass


app.command(rich_help_panel=_MAIL, epilog=mail.SEND_EXAMPLES)(mail.send)
app.command(rich_help_panel=_MAIL, epilog=mail.TEMPLATE_EXAMPLES)(mail.template)
app.command(rich_help_panel=_MAIL)(mail.info)
app.command(rich_help_panel=_MAIL)(mail.reconcile)
app.add_typer(batch.app, name="batch", rich_help_panel=_MAIL)
app.add_typer(suppression.app, name="suppression", rich_help_panel=_MAIL)

app.command(rich_help_panel=_ACCOUNT)(doctor.doctor)
app.command(rich_help_panel=_ACCOUNT)(account.account)
app.command(rich_help_panel=_ACCOUNT, epilog=account.CALL_EXAMPLES)(account.call)
app.add_typer(account.smtp_users, name="smtp-users", rich_help_panel=_ACCOUNT)
app.add_typer(account.sending_domains, name="sending-domains", rich_help_panel=_ACCOUNT)
app.add_typer(account.tracking_domains, name="tracking-domains", rich_help_panel=_ACCOUNT)
app.add_typer(account.webhooks, name="webhooks", rich_help_panel=_ACCOUNT)

app.command(rich_help_panel=_LOCAL)(doctor.config)
app.add_typer(sandbox_tools.app, name="sandbox", rich_help_panel=_LOCAL)
app.command(rich_help_panel=_LOCAL)(sandbox.demo)
app.add_typer(webhook.app, name="webhook", rich_help_panel=_LOCAL)
