"""The sub commands of ``poweremail sandbox``: is it well, and a password for its page."""

from __future__ import annotations

import json
import sys
from http import HTTPStatus

import typer

from poweremail._cli import exits
from poweremail._cli.options import argument, option, printing
from poweremail._cli.output import is_terminal
from poweremail._cli.sandbox import VARIABLES, port_option, sandbox
from poweremail._cli.session import Session
from poweremail._runtime._time_limit import TimeLimit
from poweremail.errors import ConfigurationError

_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  of the server; it is not listened on here

app = typer.Typer(help=sandbox.__doc__)
app.callback(invoke_without_command=True)(sandbox)


@app.command()
@printing
def health(
    session: Session,
    *,
    host: str = option(
        "The address of the sandbox.", "ADDRESS", default="localhost", envvar=f"{VARIABLES}HOST"
    ),
    port: int = port_option("Its port.", envvar=f"{VARIABLES}PORT"),
    # The first request loads the control API, which takes seconds on a busy machine.
    timeout: float = option("Wait so long for it.", "SECONDS", default=10.0),
) -> None:
    """Check that a sandbox answers: exit status 0, or 1 if it does not."""
    from http.client import HTTPConnection, HTTPException  # noqa: PLC0415  it loads much

    address = "localhost" if host in _EVERY_ADDRESS else host
    connection = HTTPConnection(address, port, timeout=timeout)
    try:
        with TimeLimit(timeout) as limit:
            connection.connect()
            limit.watch(connection.sock)
            connection.request("GET", "/_sandbox/health")
            with connection.getresponse() as response:
                found = json.loads(response.read())
        if response.status != HTTPStatus.OK:
            raise ValueError(found.get("error", response.status))  # noqa: TRY301
        words = f"ok: version {found['version']}, messages: {found['messages']}"
    except (OSError, HTTPException, ValueError, KeyError, AttributeError) as error:
        session.out.error(f"poweremail: no sandbox answers at {address} port {port}: {error}")
        raise typer.Exit(exits.FAILED) from None
    finally:
        connection.close()
    session.out.result(found, words)


@app.command()
@printing
def password(session: Session, *, name: str = argument("The name of the user.", "NAME")) -> None:
    """
    Print a line for the file of --auth: a user, and the hash of a password that is asked for.

    If standard input is no terminal, its first line is the password.
    """
    from poweremail.sandbox._server.auth import hash_password  # noqa: PLC0415  it loads bcrypt

    fits = name and name == name.strip() and name.isprintable()
    if not fits or ":" in name or name.startswith("#"):
        raise ConfigurationError(
            "must be printable, without a colon, and without spaces at its ends", field="NAME"
        )
    if is_terminal(sys.stdin):
        given = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        given = sys.stdin.readline().rstrip("\r\n")
    session.out.data(f"{name}:{hash_password(given)}")
