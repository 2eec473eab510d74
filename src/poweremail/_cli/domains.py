"""``poweremail sending-domains`` and ``poweremail tracking-domains``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from poweremail._cli import exits
from poweremail._cli.groups import Domain, group
from poweremail._cli.options import connected
from poweremail._cli.session import Session

__all__ = ["sending", "tracking"]


def _domains(
    kind: str, what: str, records: tuple[str, ...], columns: tuple[str, ...]
) -> typer.Typer:
    """
    The commands about domains of one *kind*, by which the API calls them.

    *what* is said of such a domain, *records* are what a check of it finds right or wrong,
    *columns* those of the list.
    """

    def call(session: Session, name: str, *arguments: str) -> Any:
        with session.client() as client:
            return getattr(client.settings, f"{name}_{kind}_domain")(*arguments)

    def listing(session: Session) -> None:
        session.out.table(call(session, "list"), columns)

    listing.__doc__ = f"List the domains that {what}."
    app = group(connected()(listing))

    @app.command(help=f"Add a domain that {what}.")
    @connected()
    def add(session: Session, domain: Domain) -> None:
        session.out.done(call(session, "add", domain).message)

    @app.command(
        help="Let the service look at a domain's DNS records: status 0 if they are right, 1 if not."
    )
    @connected()
    def check(session: Session, domain: Domain) -> None:
        found = call(session, "check", domain)
        session.out.record(found)
        if not all(getattr(found, record) for record in records):
            raise typer.Exit(exits.FAILED)

    @app.command(help=f"Remove a domain that {what}.")
    @connected()
    def delete(session: Session, domain: Domain) -> None:
        session.out.done(call(session, "delete", domain).message)

    return app


sending = _domains(
    "sending",
    "mail is sent from",
    ("dkim_valid", "spf_valid"),
    ("domain", "dkim_valid", "spf_valid", "verified", "create_date"),
)
tracking = _domains(
    "tracking",
    "tracked links lead through",
    ("cname_valid",),
    ("domain", "cname_valid", "create_date"),
)


@sending.command()
@connected()
def verify(
    session: Session,
    domain: Domain,
    mailbox: Annotated[
        str,
        typer.Argument(
            help="The part before the @ of an address there, such as postmaster.", metavar="MAILBOX"
        ),
    ],
) -> None:
    """Let the service send instructions to a mailbox of the domain, to prove that it is yours."""
    with session.client() as client:
        session.out.done(client.settings.verify_sending_domain(domain, mailbox).message)
