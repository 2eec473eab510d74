"""``poweremail doctor``: the options; what it looks at stands in `checks`."""

from __future__ import annotations

import typer

from poweremail._cli import exits
from poweremail._cli.brand import Brand
from poweremail._cli.options import connected
from poweremail._cli.session import Session
from poweremail.webhooks._signature import BRAND

__all__ = ["doctor"]

_MARKS = {True: "ok", False: "FAILED", None: "--"}


@connected()
def doctor(session: Session, brand: Brand = BRAND) -> None:
    """
    Check that mail can be sent: settings, credentials, SMTP user, domains, webhooks.

    Status 0 if all is well, 1 if not; each line says what to do. It sends no mail and changes
    nothing.
    """
    from poweremail._cli.checks import run  # noqa: PLC0415  it loads the errors, and an HTTP client for the webhooks

    out = session.out
    failed = 0
    for check in run(session, brand):
        failed += check.ok is False
        if out.as_json:
            out.json(check)
            continue
        out.data(f"{_MARKS[check.ok]:6}  {check.name}: {check.detail}")
        for line in check.advice.splitlines():
            out.data(f"        {line}")
    out.say("all is well" if not failed else f"{failed} to look at")
    if failed:
        raise typer.Exit(exits.FAILED)
