"""What ``poweremail doctor`` looks at. One check that fails keeps no other from being made."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

import attrs

from poweremail import PowerEmail, PowerEmailError, TransportError, UsageError, Webhook
from poweremail._cli.session import Session
from poweremail.webhooks._signature import check_brand, handshake_text

__all__ = ["Check", "run"]

_SECONDS = 10.0
_NO_ANSWER = "check the network, app_domain or base_url, and a proxy if there is one"
_LONGEST_HANDSHAKE = 4096


@attrs.frozen
class Check:
    """
    One look: *name* says at what, *ok* whether all is well, *detail* what was found, *advice* what
    to do.

    *ok* is None where it was not made.
    """

    name: str
    ok: bool | None
    detail: str
    advice: str = ""


def run(session: Session, brand: str) -> Iterator[Check]:
    """
    Make every check, as its result is asked for; *brand* is what webhooks must answer with.

    Once the service cannot be reached, what is left to ask it is told as not checked. Raises
    `UsageError` for such a *brand* as cannot be meant.
    """
    brand = check_brand(brand)
    try:
        with session.client(sends=True) as client:
            settings = session.settings.found
            where = settings.get("base_url") or settings["app_domain"]
            yield Check(
                "settings",
                True,
                f"owner {settings['owner_id'].value} at {where.value} ({where.source})",
            )
            asked = _Asked(client, str(settings["smtp_user_name"].value), brand)
            reached = True
            for name, look in _LOOKS:
                if not reached:
                    yield Check(name, None, "not checked")
                    continue
                try:
                    yield from look(asked)
                except TransportError as error:
                    # Where not even the request got there, no other would.
                    reached = error.body_left
                    yield Check(name, False, f"no answer: {error.reason}", _NO_ANSWER)
                except PowerEmailError as error:
                    yield Check(name, False, error.explanation, error.advice)
    except UsageError as error:
        yield Check("settings", False, error.explanation, error.advice)


@attrs.frozen
class _Asked:
    """Whom and what the checks are about."""

    client: PowerEmail
    smtp_user_name: str
    brand: str


_Look = Callable[[_Asked], Iterator[Check]]


def _account(asked: _Asked) -> Iterator[Check]:
    detail = asked.client.account.view_user_detail()
    speed = "" if detail.allowed_speed is None else f", {detail.allowed_speed} mails an hour"
    reputation = "" if detail.reputation is None else f", reputation {detail.reputation:g} %"
    yield Check("account", True, f"owner id and token are right{speed}{reputation}")


def _smtp_user(asked: _Asked) -> Iterator[Check]:
    name = asked.smtp_user_name
    users = {user.smtp_user_name: user for user in asked.client.settings.list_smtp()}
    user = users.get(name)
    if user is None:
        there = ", ".join(users) or "none"
        yield Check(
            "SMTP user",
            False,
            f"there is no {name}",
            f"set smtp_user_name to one that there is: {there}",
        )
    elif user.enabled is False:
        yield Check(
            "SMTP user",
            False,
            f"{name} may not send",
            f"poweremail smtp-users edit {name} --enable",
        )
    else:
        limits = [
            f"{limit} mails {span}"
            for limit, span in ((user.hourly_limit, "an hour"), (user.total_limit, "in all"))
            if limit
        ]
        yield Check(
            "SMTP user",
            True,
            f"{name} may send {', '.join(limits) or 'without a limit of its own'}",
        )


def _sending_domains(asked: _Asked) -> Iterator[Check]:
    domains = asked.client.settings.list_sending_domain()
    if not domains:
        yield Check(
            "sending domains",
            True,
            "none, so that no domain of yours signs",
            "poweremail sending-domains add DOMAIN",
        )
    for domain in domains:
        yield _of_domain(
            "sending domain",
            domain.domain,
            {"DKIM": domain.dkim_valid, "SPF": domain.spf_valid},
            "sending-domains",
        )


def _tracking_domains(asked: _Asked) -> Iterator[Check]:
    domains = asked.client.settings.list_tracking_domain()
    if not domains:
        yield Check(
            "tracking domains", True, "none, so that tracked links lead through the service's own"
        )
    for domain in domains:
        yield _of_domain(
            "tracking domain", domain.domain, {"CNAME": domain.cname_valid}, "tracking-domains"
        )


def _of_domain(name: str, domain: str, records: Mapping[str, bool | None], group: str) -> Check:
    check = f"poweremail {group} check {domain}"
    if wrong := " and ".join(record for record, valid in records.items() if valid is False):
        return Check(
            name,
            False,
            f"{domain}: {wrong} not found right",
            f"set the {wrong} record in its DNS, then: {check}",
        )
    if untold := " and ".join(record for record, valid in records.items() if valid is None):
        return Check(name, True, f"{domain}: the list does not tell of {untold}", check)
    return Check(name, True, f"{domain}: {' and '.join(records)} found right")


def _webhooks(asked: _Asked) -> Iterator[Check]:
    webhooks = asked.client.settings.list_webhook()
    if not webhooks:
        yield Check("webhooks", True, "none")
    for webhook in webhooks:
        yield _handshake(webhook, handshake_text(asked.brand))


def _handshake(webhook: Webhook, expected: str) -> Check:
    url = webhook.url or ""
    advice = f"it must answer with the text {expected!r}"
    if urlsplit(url).scheme not in ("http", "https"):
        return Check(
            "webhook",
            False,
            f"{webhook.webhook_id} has no URL of http or https, but {url!r}",
            f"poweremail webhooks edit {webhook.webhook_id} --url URL",
        )
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:  # noqa: S310  the scheme was looked at
            text = answer.read(_LONGEST_HANDSHAKE).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        with error:
            return Check("webhook", False, f"{url} answers with status {error.code}", advice)
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Check(
            "webhook",
            False,
            f"{url} does not answer this machine: {getattr(error, 'reason', error)}",
            "see that its server runs and can be reached",
        )
    if expected not in text:
        return Check("webhook", False, f"{url} answers, but not the handshake", advice)
    return Check("webhook", True, f"{url} answers the handshake")


_LOOKS: tuple[tuple[str, _Look], ...] = (
    ("account", _account),
    ("SMTP user", _smtp_user),
    ("sending domains", _sending_domains),
    ("tracking domains", _tracking_domains),
    ("webhooks", _webhooks),
)
