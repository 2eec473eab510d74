"""``poweremail sandbox``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import attrs
import typer

from poweremail._cli import exits
from poweremail._cli.listening import cannot_listen
from poweremail._types.secret import Secret
from poweremail._wire.hosts import is_loopback
from poweremail._wire.json import loads_text
from poweremail.errors import UsageError
from poweremail.sandbox import EventRule, Sandbox, SmtpLimits, SmtpServer
from poweremail.sandbox._server.serving import serve
from poweremail.sandbox._store.limits import UNLIMITED
from poweremail.webhooks._signature import check_brand, find_scheme

__all__ = ["run"]

_WARNING = (
    "Warning: this is not a loopback address. Whoever reaches it can read and delete the caught "
    "mail. The page answers under"
    " localhost, the address itself and the names that are given with --allow-host."
)
_SMTP_USER_NAME = "smtp12345"
_RELEASE_OPTIONS = {
    "host": "--release-host",
    "port": "--release-port",
    "allow": "--release-allow",
    "security": "--release-tls",
    "user": "POWEREMAIL_SANDBOX_SMTP_USER",
}
"""By which a user of the command says what `SmtpServer` calls so."""


class Release(NamedTuple):
    """What is said of the mail server that caught mail may be handed on to."""

    host: str | None
    port: int
    allow: list[str]
    security: str

    def server(self) -> SmtpServer | None:
        """Return the server, or None where none is named. Raises `UsageError`."""
        if self.host is None:
            if self.allow:
                raise UsageError(
                    "goes with --release-host", field="--release-allow", mail_state=None
                )
            return None
        if not self.allow:
            raise UsageError(
                "needs --release-allow: who may get released mail",
                field="--release-host",
                mail_state=None,
            )
        security: Any = self.security  # checked there
        try:
            return SmtpServer(
                host=self.host,
                port=self.port,
                allow=self.allow,
                security=security,
                user=os.environ.get("POWEREMAIL_SANDBOX_SMTP_USER") or None,
                password=Secret(os.environ.get("POWEREMAIL_SANDBOX_SMTP_PASSWORD", "")),
            )
        except UsageError as error:
            reason = error.reason
            raise UsageError(reason, field=_RELEASE_OPTIONS[error.field], mail_state=None) from None


def run(
    *,
    host: str,
    allowed_hosts: list[str],
    port: int,
    file: Path | None,
    owner_id: str | None,
    token: Secret | None,
    faults: list[str],
    script: list[str],
    webhook_scheme: str,
    brand: str,
    release: Release,
    seed: str | None,
    limits: bool,
    per_minute: int | None,
) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    try:
        with _option("--event"):
            rules = [EventRule.parse(text) for text in script]
        with _option("--webhook-scheme", "scheme"):
            scheme = find_scheme(webhook_scheme)
        with _option("--brand", "brand"):
            brand = check_brand(brand)
        smtp_server = release.server()
        with _option("--file", "path"):
            opened = Sandbox(
                file,
                owner_id=owner_id,
                token=token,
                seed=seed,
                limits=_limits(limits, per_minute),
                script=rules,
                webhook_scheme=scheme,
                brand=brand,
                smtp_server=smtp_server,
            )
        with opened as sandbox:
            sandbox.add_template(
                "welcome", html="<h1>Welcome, {{NAME}}!</h1>", text="Welcome, {{NAME}}!"
            )
            # An account has one before anything is sent, and whoever looks at the list first should
            # find the one that is announced.
            sandbox.service.store.note_smtp_user(_SMTP_USER_NAME)
            for fault in faults:
                with _option("--fault"):
                    sandbox.faults.add_dict(_object(fault))
            if not is_loopback(host):
                typer.echo(_WARNING, err=True)
            serve(
                sandbox.service,
                host=host,
                port=port,
                allowed_hosts=allowed_hosts,
                on_ready=partial(_announce, _accepted(sandbox)),
            )
    except KeyboardInterrupt:
        typer.echo()
    except UsageError as error:
        _end(str(error))
    except OSError as error:
        _end(str(cannot_listen(error, host, port)))


def _end(reason: str) -> NoReturn:
    typer.echo(f"poweremail sandbox: {reason}", err=True)
    raise typer.Exit(exits.USAGE) from None


@contextmanager
def _option(name: str, parameter: str = "") -> Iterator[None]:
    """
    Name the option by which somebody gave what is refused: they never saw the *parameter* that it
    became.
    """
    try:
        yield
    except UsageError as error:
        if error.field.startswith(name):
            raise
        raise UsageError(
            str(error).removeprefix(f"{parameter}: "), field=name, mail_state=None
        ) from None


def _limits(wanted: bool, per_minute: int | None) -> SmtpLimits:  # noqa: FBT001
    limits = SmtpLimits() if wanted else UNLIMITED
    return limits if per_minute is None else attrs.evolve(limits, per_minute=per_minute)


def _object(text: str) -> dict[str, object]:
    try:
        members = loads_text(text)
    except ValueError as error:
        raise UsageError(
            f"{text!r} is not JSON: {error}", field="--fault", mail_state=None
        ) from None
    if not isinstance(members, dict):
        raise UsageError(f"{text!r} is not a JSON object", field="--fault", mail_state=None)
    return members


def _accepted(sandbox: Sandbox) -> str:
    own: list[str] = []
    any_: list[str] = []
    for name, only_own in (
        ("owner id", sandbox.service.own_owner_id),
        ("token", sandbox.service.own_token),
    ):
        (own if only_own else any_).append(name)
    told = [f"only the {' and '.join(own)} that it was started with"] if own else []
    return ", ".join([*told, *([f"any {' and '.join(any_)}"] if any_ else [])])


def _announce(accepted: str, url: str) -> None:
    typer.echo(f"The sandbox answers at {url} (Ctrl-C ends it).")
    typer.echo(f"  API       {url}/v1.0/")
    typer.echo(f"  page      {url}/")
    typer.echo(f"  control   {url}/_sandbox/docs")
    typer.echo(f"  accepts   {accepted}")
    typer.echo("  template  welcome, with the field NAME")
    typer.echo(
        f'  client    AsyncPowerEmail("owner_id", "token", base_url="{url}", '
        f'smtp_user_name="{_SMTP_USER_NAME}")'
    )
