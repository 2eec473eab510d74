"""
``poweremail config`` and ``doctor``: which settings hold, and whether mail can be sent with them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from http import HTTPStatus

import attrs
import typer

import poweremail
from poweremail._cli import exits
from poweremail._cli.options import brand_option, connected
from poweremail._cli.session import Session
from poweremail._policy.variables import CONNECTION
from poweremail._runtime._time_limit import TimeLimit
from poweremail.errors import PowerEmailError, TransportError, UsageError
from poweremail.webhooks._signature import check_brand, handshake_text

_MARKS = {True: "ok", False: "FAILED", None: "--"}
_HANDSHAKE_SECONDS = 10.0
_MAX_HANDSHAKE_BYTES = 4096


@connected
def config(session: Session) -> None:
    """
    Show the settings file and the settings that hold, each with its source.

    The token is shown as ***.
    """
    settings = session.settings
    rows = [
        {"setting": name, "value": str(setting.value), "source": setting.source}
        for name in CONNECTION
        if (setting := settings.found.get(name))
    ]
    file = f"settings file: {settings.path}{'' if settings.exists else ' (there is no such file)'}"
    session.out.result(
        {"file": str(settings.path), "exists": settings.exists, "settings": rows}, file
    )
    if not session.out.as_json:
        session.out.table(rows, ("setting", "value", "source"))


@connected
def doctor(session: Session, brand: str = brand_option()) -> None:
    """
    Check that mail can be sent: settings, credentials, SMTP user, domains, webhooks.

    Status 0 if all is well, 1 if not; each failed check says what to do. It sends no mail and
    changes nothing.
    """
    out = session.out
    failed = 0
    for check in _checks(session, check_brand(brand)):
        failed += check.ok is False
        if out.as_json:
            out.json(check)
            continue
        out.data(f"{_MARKS[check.ok]:6}  {check.name}: {check.detail}")
        for line in check.advice.splitlines():
            out.data(f"        {line}")
    out.say(f"{failed} failed" if failed else "all is well")
    if failed:
        raise typer.Exit(exits.FAILED)


@attrs.frozen
class _Check:
    """
    The result of one check.

    - *name*: what was checked.
    - *ok*: None if it was not checked.
    - *detail*: what was found.
    - *advice*: what to do.
    """

    name: str
    ok: bool | None
    detail: str
    advice: str = ""


@attrs.frozen
class _Subject:
    """The client, the SMTP user and the brand that are checked."""

    client: poweremail.PowerEmail
    smtp_user_name: str
    brand: str


def _checks(session: Session, brand: str) -> Iterator[_Check]:
    """
    Make one check after the other.

    A check that fails does not keep others from being made, unless the service cannot be reached.
    """
    try:
        with session.client(sends=True) as client:
            settings = session.settings.found
            place = settings.get("base_url") or settings["app_domain"]
            detail = f"owner {settings['owner_id'].value} at {place.value} ({place.source})"
            yield _Check("settings", True, detail)
            subject = _Subject(client, str(settings["smtp_user_name"].value), brand)
            reached = True
            for name, check in _CHECKS.items():
                if not reached:
                    yield _Check(name, None, "not checked")
                    continue
                try:
                    yield from check(subject)
                except TransportError as error:
                    # If the request did not arrive, no other would.
                    reached = error.body_left
                    advice = error.advice or (
                        "check the network, app_domain or base_url, and the proxy if you use one"
                    )
                    yield _Check(name, False, f"no response: {error.reason}", advice)
                except PowerEmailError as error:
                    yield _Check(name, False, error.explanation, error.advice)
    except UsageError as error:
        yield _Check("settings", False, error.explanation, error.advice)


def _account(subject: _Subject) -> Iterator[_Check]:
    account = subject.client.account.view_user_detail()
    speed = "" if account.allowed_speed is None else f", {account.allowed_speed} mails an hour"
    reputation = "" if account.reputation is None else f", reputation {account.reputation:g} %"
    yield _Check("account", True, f"owner id and token are valid{speed}{reputation}")


def _smtp_user(subject: _Subject) -> Iterator[_Check]:
    name = subject.smtp_user_name
    users = {user.smtp_user_name: user for user in subject.client.settings.list_smtp()}
    user = users.get(name)
    if user is None:
        advice = f"set smtp_user_name to one that exists: {', '.join(users) or 'none'}"
        yield _Check("SMTP user", False, f"there is no {name}", advice)
    elif user.enabled is False:
        advice = f"poweremail smtp-users edit {name} --enable"
        yield _Check("SMTP user", False, f"{name} may not send", advice)
    else:
        limits = [
            f"{limit} mails {span}"
            for limit, span in ((user.hourly_limit, "an hour"), (user.total_limit, "in all"))
            if limit
        ]
        listed = ", ".join(limits) or "without a limit of its own"
        yield _Check("SMTP user", True, f"{name} may send {listed}")


def _sending_domains(subject: _Subject) -> Iterator[_Check]:
    domains = subject.client.settings.list_sending_domain()
    if not domains:
        detail = "none, so mails are not signed by a domain of yours"
        yield _Check("sending domains", True, detail, "poweremail sending-domains add DOMAIN")
    for domain in domains:
        records = {"DKIM": domain.dkim_valid, "SPF": domain.spf_valid}
        yield _domain("sending domain", domain.domain, records)


def _tracking_domains(subject: _Subject) -> Iterator[_Check]:
    domains = subject.client.settings.list_tracking_domain()
    if not domains:
        detail = "none, so tracked links lead through the service's own domain"
        yield _Check("tracking domains", True, detail)
    for domain in domains:
        yield _domain("tracking domain", domain.domain, {"CNAME": domain.cname_valid})


def _domain(name: str, domain: str, records: Mapping[str, bool | None]) -> _Check:
    command = f"poweremail {name.replace(' ', '-')}s check {domain}"
    if invalid := " and ".join(record for record, valid in records.items() if valid is False):
        advice = f"set the {invalid} record in its DNS, then: {command}"
        return _Check(name, False, f"{domain}: {invalid} not valid", advice)
    if unknown := " and ".join(record for record, valid in records.items() if valid is None):
        return _Check(name, True, f"{domain}: the list does not show {unknown}", command)
    return _Check(name, True, f"{domain}: {' and '.join(records)} valid")


def _webhooks(subject: _Subject) -> Iterator[_Check]:
    webhooks = subject.client.settings.list_webhook()
    if not webhooks:
        yield _Check("webhooks", True, "none")
    for webhook in webhooks:
        yield _handshake(webhook, handshake_text(subject.brand))


def _handshake(webhook: poweremail.Webhook, expected: str) -> _Check:
    import httpx  # noqa: PLC0415  only a webhook needs it

    url = webhook.url or ""
    advice = f"it must respond with the text {expected!r}"
    if not url.lower().startswith(("http://", "https://")):
        return _Check(
            "webhook",
            False,
            f"{webhook.webhook_id} has no URL of http or https, but {url!r}",
            f"poweremail webhooks edit {webhook.webhook_id} --url URL",
        )
    try:
        with (
            TimeLimit(_HANDSHAKE_SECONDS) as limit,
            httpx.Client(
                headers={"Accept-Encoding": "identity"},
                timeout=_HANDSHAKE_SECONDS,
                follow_redirects=True,
            ) as client,
            closing(limit.send(client, client.build_request("GET", url), stream=True)) as response,
        ):
            status, body = response.status_code, b""
            for chunk in response.iter_raw():
                body += chunk
                if len(body) >= _MAX_HANDSHAKE_BYTES:
                    break
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        return _Check(
            "webhook",
            False,
            f"{url} cannot be reached from this machine: {str(error) or type(error).__name__}",
            "check that its server runs and can be reached",
        )
    if status >= HTTPStatus.BAD_REQUEST:
        return _Check("webhook", False, f"{url} responds with status {status}", advice)
    if expected not in body.decode("utf-8", "replace"):
        return _Check("webhook", False, f"{url} responds, but not with the handshake", advice)
    return _Check("webhook", True, f"{url} responds with the handshake")


_CHECKS: dict[str, Callable[[_Subject], Iterator[_Check]]] = {
    "account": _account,
    "SMTP user": _smtp_user,
    "sending domains": _sending_domains,
    "tracking domains": _tracking_domains,
    "webhooks": _webhooks,
}
