"""``poweremail account``."""

from __future__ import annotations

from poweremail._cli.options import connected
from poweremail._cli.session import Session

__all__ = ["account"]


@connected()
def account(session: Session) -> None:
    """Show who the account belongs to, and how much it may send."""
    with session.client() as client:
        session.out.record(client.account.view_user_detail())
