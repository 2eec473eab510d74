"""The commands about settings and the account, and ``poweremail doctor``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from poweremail._cli import doctor
from poweremail.sandbox import Fault
from support.dripping import SECONDS, dripping
from support.receiver import Receiver


def members(done) -> dict[str, str]:
    return dict(line.split("\t") for line in done.out.splitlines())


def test_smtp_users_are_added_changed_and_listed(command):
    added = members(command("smtp-users", "add", "--hourly-limit", "5", "--total-limit", "100"))
    name, password = added["smtp_user_name"], added["smtp_password"]
    assert command("smtp-users").out == f"{name}\tyes\t5\t100\n"
    done = command("smtp-users", "edit", name, "--hourly-limit", "6", "--disable")
    assert (done.status, done.out) == (0, "")
    listed = command("smtp-users", "list", "--json")
    assert (listed.objects[0]["hourly_limit"], listed.objects[0]["enabled"]) == (6, False)
    assert password not in listed.out + listed.err
    anew = members(command("smtp-users", "reset-password", name))
    assert anew["smtp_user_name"] == name
    assert anew["smtp_password"] not in ("", password)


def test_domains_are_added_checked_and_deleted(command):
    for kind in ("sending-domains", "tracking-domains"):
        assert command(kind, "add", "news.example.com").status == 0
        assert command(kind).out.startswith("news.example.com\tno\t")
        (told,) = command(kind, "--json", "check", "news.example.com").objects
        assert (told["domain"], command(kind, "check", "news.example.com").status) == (
            "news.example.com",
            1,
        )
        assert command(kind, "delete", "news.example.com", "--json").objects[0]["state"] == "done"
        assert command(kind).out == ""
    command.sandbox.add_sending_domain("example.com")
    command.sandbox.add_tracking_domain("t.example.com")
    assert command("sending-domains", "check", "example.com").status == 0
    assert command("tracking-domains", "check", "t.example.com").status == 0
    assert command("sending-domains", "verify", "example.com", "postmaster").status == 0


def test_keys_of_webhooks_are_shown_only_when_they_are_drawn(command):
    with responding("God bless you, PowerEmail") as url:
        assert (
            command(
                "webhooks",
                "add",
                url,
                "--event",
                "open",
                "--event",
                "click",
                "--description",
                "news",
            ).status
            == 0
        )
        identity, *rest = command("webhooks").out.rstrip("\n").split("\t")
        assert rest == [url, "open, click", "news"]
        key = members(command("webhooks", "reset-key", identity))["key"]
        assert (
            command("webhooks", "edit", identity, "--event", "spam", "--no-store-log").status == 0
        )
        shown = command("webhooks", "info", identity, "--json")
        (webhook,) = shown.objects
        assert (webhook["url"], webhook["events"], webhook["store_log"], webhook["key"]) == (
            url,
            ["spam"],
            False,
            "***",
        )
        assert key
        assert (
            key
            not in shown.out
            + command("webhooks", "--json").out
            + command("call", "settings/listWebhook").out
        )
        assert key in command("call", "settings/listWebhook", "--show-secrets").out
        assert (
            command(
                "webhooks", "edit", identity, "--event", "send,open, click", "--event", "spam"
            ).status
            == 0
        )
        (webhook,) = command("webhooks", "--json").objects
        assert webhook["events"] == ["send", "open", "click", "spam"]
    assert command("webhooks", "delete", identity).status == 0
    assert command("webhooks").out == ""


def test_the_account_is_shown(command):
    assert members(command("account"))["name"] == "Sandbox"
    assert command("account", "--json").objects[0]["allowed_speed"] == 3600


def test_a_call_takes_strings_and_json(command):
    command.sandbox.add_smtp_user("news", hourly_limit=5)
    assert (
        command("call", "settings/editSmtp", "smtp_user_name=news", "hourly_limit:=7").status == 0
    )
    assert (
        command("call", "settings/listSmtp", "--json").objects[0]["smtp_list"][0]["hourly_limit"]
        == 7
    )
    for member in ("novalue", "=x", "a:={"):
        assert command("call", "settings/editSmtp", member).status == 2


@pytest.mark.parametrize(
    ("fault", "status", "state"),
    [
        (Fault.error("ValidationError", "no"), 3, "rejected"),
        (Fault.reset_after_acceptance(), 5, "unknown"),
        (Fault.error("GeneralError", "try later"), 5, "unknown"),
    ],
)
def test_the_exit_status_follows_the_state_of_the_change(command, fault, status, state):
    command.sandbox.faults.add(fault)
    done = command("smtp-users", "add", "--hourly-limit", "5", "--total-limit", "100", "--json")
    assert (done.status, done.objects[0]["state"]) == (status, state)


def test_a_failed_read_exits_with_1_or_4(command):
    command.sandbox.faults.add(Fault.html())
    done = command("info", "u1", "--json")
    assert (done.status, done.objects[0]["state"]) == (1, "failed")
    done = command("account", "--base-url", "http://127.0.0.1:9")
    assert done.status == 4


def test_the_doctor_reports_no_problem(command):
    command.sandbox.add_smtp_user("smtp12345", hourly_limit=5)
    command.sandbox.add_sending_domain("example.com")
    command.sandbox.add_tracking_domain("t.example.com")
    with responding("God bless you, PowerEmail") as url:
        command("webhooks", "add", url)
        done = command("doctor")
        assert (done.status, done.err) == (0, "all is well\n")
        assert {line[:8] for line in done.out.splitlines()} == {"ok      "}
        assert f"{url} responds with the handshake" in done.out
        assert "smtp12345 may send 5 mails an hour" in done.out


def test_the_doctor_reports_problems_with_advice(command):
    command.sandbox.add_smtp_user("smtp12345", enabled=False)
    command.sandbox.add_sending_domain("example.com", valid=False)
    command.sandbox.add_tracking_domain("t.example.com", valid=False)
    with responding("God bless you, PowerEmail") as url:
        command("webhooks", "add", url)
        with responding("nothing of the kind") as other:
            command.sandbox.add_webhook(other)
            checks = [check for check in command("doctor", "--json").objects if not check["ok"]]
    found = {check["name"]: check for check in checks}
    assert found["SMTP user"]["advice"] == "poweremail smtp-users edit smtp12345 --enable"
    assert found["sending domain"]["detail"] == "example.com: DKIM and SPF not valid"
    assert found["tracking domain"]["detail"] == "t.example.com: CNAME not valid"
    assert found["webhook"]["detail"] == f"{other} responds, but not with the handshake"
    gone = [
        check
        for check in command("doctor", "--json").objects
        if "cannot be reached" in check["detail"]
    ]
    assert {check["detail"].partition(" ")[0] for check in gone} == {url, other}
    assert all(check["detail"].endswith("Connection refused") for check in gone)
    assert command("doctor", "--smtp-user", "nobody").out.count("there is no nobody") == 1


def test_the_doctor_reports_no_problem_for_absent_members(command):
    """Of DNS records some deployments tell in a check only."""
    told = {
        "status": "success",
        "sending_domain_list": [{"domain": "example.com", "spf": {"valid": "Yes"}}],
        "tracking_domain_list": [{"domain": "t.example.com"}],
        "webhook_list": [{"webhook_id": 2}],
    }
    with responding(json.dumps(told)) as url:
        checks = {
            check["name"]: check
            for check in command("doctor", "--json", "--base-url", url.partition("?")[0]).objects
        }
    assert checks["sending domain"] == {
        "name": "sending domain",
        "ok": True,
        "detail": "example.com: the list does not show DKIM",
        "advice": "poweremail sending-domains check example.com",
    }
    assert checks["tracking domain"]["ok"]
    assert checks["tracking domain"]["advice"] == "poweremail tracking-domains check t.example.com"
    assert checks["webhook"]["detail"] == "2 has no URL of http or https, but ''"
    assert checks["webhook"]["advice"] == "poweremail webhooks edit 2 --url URL"


@pytest.mark.parametrize(
    ("greeting", "told"),
    [
        (b"HTTP/1.1 200 OK\r\n", "cannot be reached from this machine: it took longer than 0.2 s"),
        (b"HTTP/1.1 200 OK\r\n\r\nGod bless", "responds, but not with the handshake"),
    ],
    ids=["head", "body"],
)
def test_a_webhook_that_drips_does_not_hold_the_doctor(command, monkeypatch, greeting, told):
    monkeypatch.setattr(doctor, "_HANDSHAKE_SECONDS", SECONDS)
    with dripping(greeting, b"X-A: b\r\n") as port:
        command.sandbox.add_webhook(f"http://127.0.0.1:{port}/")
        done = command("doctor")
    assert done.status == 1
    assert told in done.out


def test_a_failed_check_does_not_stop_the_others(command):
    command.sandbox.faults.add(
        Fault.error("AuthenticationError", "Token MissMatch"), call="viewUserDetail"
    )
    done = command("doctor")
    assert done.status == 1
    assert (
        "FAILED  account: AuthenticationError: Token MissMatch\n        check owner_id, token and "
        "app_domain\n" in done.out
    )
    assert "webhooks: none" in done.out


def test_the_doctor_reports_the_network_and_missing_settings(command):
    done = command("doctor", "--base-url", "http://127.0.0.1:9")
    assert done.status == 1
    assert done.out.count("no response: ") == 1
    assert "FAILED  account: no response: " in done.out
    assert done.out.splitlines()[-4:] == [
        f"--      {name}: not checked"
        for name in ("SMTP user", "sending domains", "tracking domains", "webhooks")
    ]
    assert done.err == "1 failed\n"
    checks = command("doctor", "--base-url", "http://127.0.0.1:9", "--json").objects
    assert [check["ok"] for check in checks] == [True, False, None, None, None, None]
    del command.environ["POWEREMAIL_TOKEN"]
    done = command("doctor")
    assert done.status == 1
    assert done.out.startswith(
        "FAILED  settings: token is missing\n        give it in one of these ways\n"
    )


@pytest.mark.parametrize(
    ("setting", "value"),
    [("ALL_PROXY", "socks4://me:hidden@127.0.0.1:9"), ("SSL_CERT_FILE", "/nonexistent/ca.pem")],
)
def test_the_doctor_names_a_setting_of_the_environment_that_cannot_be_used(command, setting, value):
    command.environ |= {setting: value, "NO_PROXY": ""}
    done = command("doctor", "--base-url", "https://127.0.0.1:9")
    assert done.status == 1
    assert f"FAILED  account: no response: {setting}" in done.out
    assert "correct the setting" in done.out
    assert "hidden" not in done.out + done.err


def test_a_call_without_a_response_does_not_stop_other_checks(command):
    command.sandbox.faults.add(Fault.reset_after_acceptance(), call="viewUserDetail")
    done = command("doctor")
    assert done.out.count("no response: ") == 1
    assert "not checked" not in done.out
    assert "webhooks: none" in done.out


def test_the_doctor_requests_the_handshake_of_the_brand(command):
    with responding("God bless you, Acme") as url:
        command.sandbox.add_webhook(url)
        assert (
            f"ok      webhook: {url} responds with the handshake"
            in command("doctor", "--brand", "Acme").out
        )
        command.environ["POWEREMAIL_WEBHOOK_BRAND"] = "Acme"
        assert f"{url} responds with the handshake" in command("doctor").out
        done = command("doctor", "--brand", "PowerEmail")
        assert f"{url} responds, but not with the handshake" in done.out
        assert "it must respond with the text 'God bless you, PowerEmail'" in done.out
    done = command("doctor", "--brand", "", "--json")
    assert done.status == 2
    assert "--brand: must consist" in done.err
    assert done.objects[0]["error"]["field"] == "brand"


@contextmanager
def responding(text: str) -> Iterator[str]:
    """The URL of something that responds with *text*, whatever it is asked."""
    with Receiver({"GET": (200, text), "POST": (200, text)}) as receiver:
        yield receiver.url


def test_json_of_a_list_is_one_object_per_line(command):
    command.sandbox.add_smtp_user("a")
    command.sandbox.add_smtp_user("b")
    assert [
        json.loads(line)["smtp_user_name"]
        for line in command("smtp-users", "--json").out.splitlines()
    ] == ["a", "b"]
