"""
``poweremail sandbox`` and ``poweremail demo``: their options; what they do stands in modules that
load the server only then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from poweremail._cli import exits
from poweremail._cli.brand import Brand
from poweremail._types.secret import Secret
from poweremail.webhooks._signature import BRAND, SCHEMES

__all__ = ["demo", "sandbox"]


def sandbox(
    host: Annotated[
        str,
        typer.Option(
            help="The address to listen on. Anything but loopback lets others read the caught mail."
        ),
    ] = "127.0.0.1",
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help="Another name under which browsers may open the page, beside localhost and "
            "--host. Can be repeated."
        ),
    ] = None,
    port: Annotated[
        int, typer.Option(help="The port to listen on; 0 for a free one.", min=0, max=65535)
    ] = 8025,
    file: Annotated[
        Path | None,
        typer.Option(help="Keep the caught mail in this file; otherwise it is gone at the end."),
    ] = None,
    owner_id: Annotated[
        str | None,
        typer.Option(help="Accept this owner id only.", envvar="POWEREMAIL_SANDBOX_OWNER_ID"),
    ] = None,
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
            help='Let something go wrong, such as \'{"fault": {"kind": "html"}, "call": '
            '"sendMail", "nth": 3}\'. Can be repeated.'
        ),
    ] = None,
    event: Annotated[
        list[str] | None,
        typer.Option(
            help="Let things happen to mails by themselves, such as 'open 30% within 5s'. Can be "
            "repeated."
        ),
    ] = None,
    seed: Annotated[
        str | None,
        typer.Option(
            help="Makes what happens by chance, faults and --event, the same in every run."
        ),
    ] = None,
    webhook_scheme: Annotated[
        str,
        typer.Option(
            help=f"How what is posted to webhooks is signed: {', '.join(SCHEMES)}.", metavar="NAME"
        ),
    ] = next(iter(SCHEMES)),
    brand: Brand = BRAND,
    release_host: Annotated[
        str | None,
        typer.Option(
            help="The mail server that caught mail may be handed on to; "
            "POWEREMAIL_SANDBOX_SMTP_USER and _PASSWORD log in there.",
            metavar="HOST",
        ),
    ] = None,
    release_port: Annotated[int, typer.Option(help="Its port.", min=1, max=65535)] = 587,
    release_allow: Annotated[
        list[str] | None,
        typer.Option(
            help="An address or a domain that may get released mail; without any, none is. Can be "
            "repeated."
        ),
    ] = None,
    release_tls: Annotated[
        str,
        typer.Option(help="How the connection is secured: starttls, tls or none.", metavar="HOW"),
    ] = "starttls",
    limits: Annotated[  # noqa: FBT002
        bool,
        typer.Option(
            "--limits",
            help="Let each SMTP user make 60 requests a minute, 3,600 an hour and 50,000 a day at "
            "most.",
        ),
    ] = False,
    per_minute: Annotated[
        int | None,
        typer.Option(help="Let each SMTP user make so many requests a minute at most.", min=1),
    ] = None,
) -> None:
    """Serve the API on this machine and catch what is sent to it."""
    from poweremail._cli.sandbox import Release, run  # noqa: PLC0415  starlette and uvicorn only for those who serve

    run(
        host=host,
        allowed_hosts=allow_host or [],
        port=port,
        file=file,
        owner_id=owner_id,
        token=token,
        faults=fault or [],
        script=event or [],
        webhook_scheme=webhook_scheme,
        brand=brand,
        release=Release(release_host, release_port, release_allow or [], release_tls),
        seed=seed,
        limits=limits,
        per_minute=per_minute,
    )


def demo() -> None:
    """
    Send mails to a sandbox on this machine, look what became of them, and print what happened.
    """
    from poweremail._cli.demo import run  # noqa: PLC0415

    raise typer.Exit(exits.OK if run() else exits.FAILED)
