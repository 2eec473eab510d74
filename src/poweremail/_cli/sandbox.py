"""``poweremail sandbox`` and ``poweremail demo``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import typer

from poweremail._cli import exits
from poweremail._cli.caught import CaughtLines
from poweremail._cli.failures import cannot_listen, from_option
from poweremail._cli.files import json_object
from poweremail._cli.options import (
    OutputOptions,
    brand_option,
    command,
    flag,
    option,
    seconds,
    variables_of,
)
from poweremail._cli.output import OutputError
from poweremail._cli.session import Session
from poweremail._policy.limits import RateLimits
from poweremail._types.checks import is_loopback
from poweremail._types.secret import Secret
from poweremail.errors import ConfigurationError
from poweremail.webhooks._signature import SCHEMES, find_scheme

if TYPE_CHECKING:
    from poweremail.sandbox import Sandbox, SmtpServer

_WARNING = (
    "this is not a loopback address, and nobody is asked for a password: whoever reaches it can "
    "read and delete the caught mail. --auth asks for one. The page opens under localhost, IP "
    "addresses and the names given by --allow-host."
)
_PORT = 8025
_MAX_PORT = 65_535
VARIABLES = "POWEREMAIL_SANDBOX_"
"""Where the names of the environment variables of all its options begin."""

_WITHOUT_OPTION = (f"{VARIABLES}SMTP_USER", f"{VARIABLES}SMTP_PASSWORD")

# For a Service called poweremail-sandbox, Kubernetes sets these.
_OF_KUBERNETES = re.compile(rf"{VARIABLES}(?:SERVICE_(?:HOST|PORT)|PORT_\d+_(?:TCP|UDP|SCTP))")

_SMTP_USER_NAME = "smtp12345"


def port_option(help: str, **settings: Any) -> Any:
    """Return the declaration of ``--port``."""
    return option(help, "PORT", default=_PORT, parser=_read_port, **settings)


def _read_port(value: str | int) -> int:
    # In Kubernetes, a service of the name poweremail-sandbox sets this variable to its URL.
    if str(value).startswith("tcp://") and value == os.environ.get(f"{VARIABLES}PORT"):
        return _PORT
    port = int(value) if str(value).isdecimal() else -1
    if not 0 <= port <= _MAX_PORT:
        raise typer.BadParameter(f"{value!r} is no port from 0 to {_MAX_PORT}.")
    return port


@attrs.frozen
class ReleaseOptions:
    """The mail server that may deliver caught mail."""

    release_host: str | None = option(
        "The mail server to which caught mail may be released; its user and password are "
        "POWEREMAIL_SANDBOX_SMTP_USER and _PASSWORD.",
        "HOST",
    )
    release_port: int = option("Its port.", "PORT", default=587, min=1, max=65535)
    release_allow: list[str] | None = option(
        "An address or a domain that may get released mail; can be repeated.", "PATTERN"
    )
    release_tls: str = option("How to connect: starttls, tls or none.", "HOW", default="starttls")

    def server(self) -> SmtpServer | None:
        """Return the server, or None if none is given. Raises `ConfigurationError`."""
        from poweremail.sandbox import SmtpServer  # noqa: PLC0415  as in `_opened`

        if self.release_host is None:
            if self.release_allow:
                raise ConfigurationError("needs --release-host", field="--release-allow")
            return None
        if not self.release_allow:
            raise ConfigurationError(
                "needs --release-allow: who may get released mail", field="--release-host"
            )
        fields: dict[str, Any] = {
            "host": self.release_host,
            "port": self.release_port,
            "allow": self.release_allow,
            "security": self.release_tls,
        }
        flags = {name: f"--release-{name}" for name in fields}
        flags |= {"security": "--release-tls", "user": "POWEREMAIL_SANDBOX_SMTP_USER"}
        with from_option("--release-host", **flags):
            return SmtpServer(
                **fields,
                user=os.environ.get("POWEREMAIL_SANDBOX_SMTP_USER") or None,
                password=Secret(os.environ.get("POWEREMAIL_SANDBOX_SMTP_PASSWORD", "")),
            )


@attrs.frozen
class SandboxOptions:
    """What the sandbox accepts, and how it behaves."""

    path: Path | None = option(
        "Keep the caught mail in this file; without it, mail is lost at the end.", "FILE", "--file"
    )
    owner_id: str | None = option("Accept only this owner id.", "ID")
    token: Secret | None = option(
        "Accept only this token; better set the variable.",
        "TOKEN",
        parser=Secret,
    )
    faults: list[str] | None = option(
        'Make something fail, such as \'{"fault": {"kind": "html"}, "call": "sendMail", "nth": '
        "3}'; can be repeated.",
        "JSON",
        "--fault",
    )
    events: list[str] | None = option(
        "Make events of caught mails by chance, such as 'open 30% within 5s'; can be repeated.",
        "RULE",
        "--event",
    )
    seed: str | None = option("Make the chance of faults and events the same in every run.", "TEXT")
    scheme: str = option(
        f"Sign posts to webhooks by this scheme: {', '.join(SCHEMES)}.",
        "NAME",
        "--webhook-scheme",
        default=next(iter(SCHEMES)),
    )
    brand: str = brand_option()
    webhook_ca: Path | None = option(
        "Trust the certificates in this file, too, if a webhook is https.", "FILE"
    )
    limits: bool = flag(
        "Limit each SMTP user to {0.per_minute:,} requests a minute, {0.per_hour:,} an hour and "
        "{0.per_day:,} a day.".format(RateLimits()),
        "--limits",
    )
    per_minute: int | None = option(
        "Limit each SMTP user to so many requests a minute.", "REQUESTS", min=1
    )

    link_hosts: list[str] | None = option(
        "Let the page check links to this host (*.example.com: and all below); an address or a "
        "network allows hosts that are not public. Can be repeated.",
        "HOST",
        "--check-links",
    )
    max_messages: int | None = option(
        "Keep only so many mails; the oldest are deleted.", "NUMBER", min=1
    )
    max_age: str | None = option("Delete mails after this time, such as 7d.", "AGE")


@attrs.frozen
class ServerOptions:
    """Where it listens, and who may use its page."""

    host: str = option(
        "The address to listen on; localhost is IPv4 and IPv6, :: all addresses of both. Any "
        "other than loopback lets others read the mail.",
        "ADDRESS",
        default="localhost",
    )
    port: int = port_option("The port to listen on; 0 for a free one.")
    allow_host: list[str] | None = option(
        "A further name under which browsers may open the page, or a pattern such as "
        "'*.example.com'; can be repeated.",
        "NAME",
    )
    auth: Path | None = option(
        "Ask for a user and a password in this file before the page and the control API show "
        "anything: lines as `poweremail sandbox password` prints them.",
        "FILE",
    )

    def serve(self, opened: Sandbox, on_ready: Callable[[str], object]) -> None:
        """Serve until a signal. Raises `ConfigurationError`."""
        from poweremail.sandbox._server.serving import serve  # noqa: PLC0415  as in `_opened`

        fields = {"host": "--host", "allowed_hosts": "--allow-host", "auth": "--auth"}
        try:
            with from_option("--host", **fields):
                serve(
                    opened.service,
                    host=self.host,
                    port=self.port,
                    allowed_hosts=self.allow_host or (),
                    auth=self.auth,
                    on_ready=on_ready,
                )
        except OSError as error:
            raise cannot_listen(error, self.host, self.port) from None


@command(OutputOptions, variables=VARIABLES)
def sandbox(
    session: Session,
    options: SandboxOptions,
    release: ReleaseOptions,
    server: ServerOptions,
) -> None:
    """Serve the API on this machine and catch the mail that is sent to it."""
    if not is_loopback(server.host) and server.auth is None:
        session.out.warn(_WARNING)
    for name in _unknown_variables():
        session.out.warn(f"{name} is unknown: `poweremail sandbox --help` names the variables")
    try:
        with _opened(options, release.server()) as opened, CaughtLines(session.out, opened):
            _prepare(opened, options.faults or [])
            server.serve(opened, lambda url: _announce(session, opened, url))
    except KeyboardInterrupt:
        session.out.data("")  # end the line of the terminal's ^C


def _unknown_variables() -> list[str]:
    """Return those that mean nothing: a misspelt one may have been to ask for a password."""
    known = variables_of(VARIABLES, SandboxOptions, ReleaseOptions, ServerOptions)
    return sorted(
        name
        for name in os.environ
        if name.startswith(VARIABLES)
        and name not in known
        and name not in _WITHOUT_OPTION
        and not _OF_KUBERNETES.match(name)
    )


@command()
def demo(_: Session) -> None:
    """Send mails to a sandbox on this machine, query them, and print what happened."""
    from poweremail._cli.demo import run  # noqa: PLC0415  it loads the server and rich

    raise typer.Exit(exits.OK if run() else exits.FAILED)


def _opened(options: SandboxOptions, smtp_server: SmtpServer | None) -> Sandbox:
    # Starlette and uvicorn are loaded for those who serve, not for every command.
    from poweremail.sandbox import EventRule, Sandbox, SmtpLimits  # noqa: PLC0415
    from poweremail.sandbox._release.link_check import LinkHosts  # noqa: PLC0415
    from poweremail.sandbox._store.limits import UNLIMITED  # noqa: PLC0415

    with from_option("--event"):
        rules = [EventRule.parse(text) for text in options.events or ()]
    limits = SmtpLimits() if options.limits else UNLIMITED
    if options.per_minute is not None:
        limits = attrs.evolve(limits, per_minute=options.per_minute)
    with from_option("--check-links"):
        LinkHosts.from_entries(options.link_hosts or ())
    return Sandbox(
        options.path,
        owner_id=options.owner_id,
        token=options.token,
        seed=options.seed,
        limits=limits,
        script=rules,
        webhook_scheme=find_scheme(options.scheme),
        brand=options.brand,
        webhook_ca=options.webhook_ca,
        smtp_server=smtp_server,
        link_hosts=options.link_hosts or (),
        max_messages=options.max_messages,
        max_age=None if options.max_age is None else seconds(options.max_age, "--max-age"),
    )


def _prepare(opened: Sandbox, faults: list[str]) -> None:
    opened.add_template("welcome", html="<h1>Welcome, {{NAME}}!</h1>", text="Welcome, {{NAME}}!")
    # The list of SMTP users shows the announced one before it has sent anything.
    opened.service.store.note_smtp_user(_SMTP_USER_NAME)
    for fault in faults:
        members = json_object(fault, repr(fault), "--fault")
        with from_option("--fault"):
            opened.faults.add_dict(members)


def _announce(session: Session, opened: Sandbox, url: str) -> None:
    service = opened.service
    fixed, free = list[str](), list[str]()
    for name, own in (("owner id", service.own_owner_id), ("token", service.own_token)):
        (fixed if own else free).append(name)
    accepted = [f"only the {' and '.join(fixed)} given at the start"] if fixed else []
    accepted += [f"any {' and '.join(free)}"] if free else []
    arguments = f'"owner_id", "token", base_url="{url}", smtp_user_name="{_SMTP_USER_NAME}"'
    lines = (
        f"The sandbox answers at {url} (Ctrl-C ends it).",
        f"  API       {url}/v1.0/",
        f"  page      {url}/",
        f"  control   {url}/_sandbox/docs",
        f"  accepts   {', '.join(accepted)}",
        "  template  welcome, with the field NAME",
        f"  client    AsyncPowerEmail({arguments})",
    )
    with suppress(OutputError):  # it serves even if nobody can read this
        if session.out.as_json:
            session.out.json({"url": url, "base_url": f"{url}/v1.0/"})
        else:
            session.out.data("\n".join(lines))
