"""What ``poweremail doctor`` looks at. One check that fails keeps no other from being made."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import attrs

from poweremail import PowerEmail, PowerEmailError, TransportError, UsageError, Webhook
from poweremail.cli.session import Session

__all__ = ["Check", "run"]

_SECONDS = 10.0
_LONGEST_HANDSHAKE = 4096


@attrs.frozen
class Check:
    """One look: *name* says at what, *ok* whether all is well, *detail* what was found, *advice* what to do."""

    name: str
    ok: bool
    detail: str
    advice: str = ""


def run(session: Session) -> Iterator[Check]:
    """Make every check, as its result is asked for."""
    try:
        with session.client(sends=True) as client:
            settings = session.settings.found
            where = settings.get("base_url") or settings["app_domain"]
            yield Check("settings", True, f"owner {settings['owner_id'].value} at {where.value} ({where.source})")
            for name, look in _LOOKS:
                yield from _made(name, look, client, str(settings["smtp_user_name"].value))
    except UsageError as error:
        yield Check("settings", False, error.reason, error.advice)


def _made(
    name: str, look: Callable[[PowerEmail, str], Iterator[Check]], client: PowerEmail, smtp_user_name: str
) -> Iterator[Check]:
    try:
        yield from look(client, smtp_user_name)
    except TransportError as error:
        yield Check(
            name, False, f"no answer: {error.reason}", "check the network, app_domain or base_url, and a proxy if there is one"
        )
    except PowerEmailError as error:
        yield Check(name, False, error.reason, error.advice)


def _account(client: PowerEmail, _: str) -> Iterator[Check]:
    detail = client.account.view_user_detail()
    speed = "" if detail.allowed_speed is None else f", {detail.allowed_speed} mails an hour"
    reputation = "" if detail.reputation is None else f", reputation {detail.reputation:g} %"
    yield Check("account", True, f"owner id and token are right{speed}{reputation}")


def _smtp_user(client: PowerEmail, name: str) -> Iterator[Check]:
    users = {user.smtp_user_name: user for user in client.settings.list_smtp()}
    user = users.get(name)
    if user is None:
        there = ", ".join(users) or "none"
        yield Check("SMTP user", False, f"there is no {name}", f"set smtp_user_name to one that there is: {there}")
    elif user.enabled is False:
        yield Check("SMTP user", False, f"{name} may not send", f"poweremail smtp-users edit {name} --enable")
    else:
        limits = [
            f"{limit} mails {span}" for limit, span in ((user.hourly_limit, "an hour"), (user.total_limit, "in all")) if limit
        ]
        yield Check("SMTP user", True, f"{name} may send {', '.join(limits) or 'without a limit of its own'}")


def _sending_domains(client: PowerEmail, _: str) -> Iterator[Check]:
    domains = client.settings.list_sending_domain()
    if not domains:
        yield Check("sending domains", True, "none, so that no domain of yours signs", "poweremail sending-domains add DOMAIN")
    for domain in domains:
        wrong = [record for record, valid in (("DKIM", domain.dkim_valid), ("SPF", domain.spf_valid)) if not valid]
        yield _of_domain("sending domain", domain.domain, "DKIM and SPF are right", wrong, "sending-domains")


def _tracking_domains(client: PowerEmail, _: str) -> Iterator[Check]:
    domains = client.settings.list_tracking_domain()
    if not domains:
        yield Check("tracking domains", True, "none, so that tracked links lead through the service's own")
    for domain in domains:
        wrong = [] if domain.cname_valid else ["CNAME"]
        yield _of_domain("tracking domain", domain.domain, "CNAME is right", wrong, "tracking-domains")


def _of_domain(name: str, domain: str, well: str, wrong: list[str], group: str) -> Check:
    if not wrong:
        return Check(name, True, f"{domain}: {well}")
    records = " and ".join(wrong)
    return Check(
        name,
        False,
        f"{domain}: {records} not found right",
        f"set the {records} record in its DNS, then: poweremail {group} check {domain}",
    )


def _webhooks(client: PowerEmail, _: str) -> Iterator[Check]:
    webhooks = client.settings.list_webhook()
    if not webhooks:
        yield Check("webhooks", True, "none")
    for webhook in webhooks:
        yield _handshake(webhook)


def _handshake(webhook: Webhook) -> Check:
    url = webhook.url or ""
    advice = f"it must answer with the text {_HANDSHAKE!r}"
    if urlsplit(url).scheme not in ("http", "https"):
        return Check("webhook", False, f"{url or webhook.webhook_id} is not a URL of http or https", "poweremail webhooks edit")
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310  the scheme was looked at
            text = answer.read(_LONGEST_HANDSHAKE).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return Check("webhook", False, f"{url} answers with status {error.code}", advice)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Check(
            "webhook", False, f"{url} does not answer this machine: {error}", "see that its server runs and can be reached"
        )
    if _HANDSHAKE not in text:
        return Check("webhook", False, f"{url} answers, but not the handshake", advice)
    return Check("webhook", True, f"{url} answers the handshake")


_HANDSHAKE = "God bless you, PowerEmail"
"""What the URL of a webhook must answer, or the service does not take it."""

_LOOKS: tuple[tuple[str, Callable[[PowerEmail, str], Iterator[Check]]], ...] = (
    ("account", _account),
    ("SMTP user", _smtp_user),
    ("sending domains", _sending_domains),
    ("tracking domains", _tracking_domains),
    ("webhooks", _webhooks),
)
