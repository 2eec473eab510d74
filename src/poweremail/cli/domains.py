"""``poweremail sending-domains`` and ``poweremail tracking-domains``."""

from __future__ import annotations

from typing import Annotated

import typer

from poweremail.cli import exits
from poweremail.cli.groups import Domain, group
from poweremail.cli.options import connected
from poweremail.cli.session import Session

__all__ = ["sending", "tracking"]


@connected()
def _list_sending(session: Session) -> None:
    """List the domains that mail is sent from."""
    with session.client() as client:
        session.out.table(client.settings.list_sending_domain(), ("domain", "dkim_valid", "spf_valid", "verified", "create_date"))


sending = group(_list_sending)


@sending.command("add")
@connected()
def _add_sending(session: Session, domain: Domain) -> None:
    """Add a domain to send from."""
    with session.client() as client:
        session.out.done(client.settings.add_sending_domain(domain).message)


@sending.command("check")
@connected()
def _check_sending(session: Session, domain: Domain) -> None:
    """Let the service look at a domain's DNS records: status 0 if they are right, 1 if not."""
    with session.client() as client:
        found = client.settings.check_sending_domain(domain)
    session.out.record(found)
    _end(ok=bool(found.dkim_valid and found.spf_valid))


@sending.command("verify")
@connected()
def _verify_sending(
    session: Session,
    domain: Domain,
    mailbox: Annotated[
        str, typer.Argument(help="The part before the @ of an address there, such as postmaster.", metavar="MAILBOX")
    ],
) -> None:
    """Let the service send instructions to a mailbox of the domain, to prove that it is yours."""
    with session.client() as client:
        session.out.done(client.settings.verify_sending_domain(domain, mailbox).message)


@sending.command("delete")
@connected()
def _delete_sending(session: Session, domain: Domain) -> None:
    """Remove a domain to send from."""
    with session.client() as client:
        session.out.done(client.settings.delete_sending_domain(domain).message)


@connected()
def _list_tracking(session: Session) -> None:
    """List the domains that tracked links lead through."""
    with session.client() as client:
        session.out.table(client.settings.list_tracking_domain(), ("domain", "cname_valid", "create_date"))


tracking = group(_list_tracking)


@tracking.command("add")
@connected()
def _add_tracking(session: Session, domain: Domain) -> None:
    """Add a domain that tracked links lead through."""
    with session.client() as client:
        session.out.done(client.settings.add_tracking_domain(domain).message)


@tracking.command("check")
@connected()
def _check_tracking(session: Session, domain: Domain) -> None:
    """Let the service look at a domain's DNS record: status 0 if it is right, 1 if not."""
    with session.client() as client:
        found = client.settings.check_tracking_domain(domain)
    session.out.record(found)
    _end(ok=bool(found.cname_valid))


@tracking.command("delete")
@connected()
def _delete_tracking(session: Session, domain: Domain) -> None:
    """Remove a domain that tracked links lead through."""
    with session.client() as client:
        session.out.done(client.settings.delete_tracking_domain(domain).message)


def _end(*, ok: bool) -> None:
    if not ok:
        raise typer.Exit(exits.FAILED)
