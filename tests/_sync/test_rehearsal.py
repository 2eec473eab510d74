# Generated from tests/_async/test_rehearsal.py; do not edit.
"""A client that rehearses: mails go to one address, to some, or to nobody."""

from __future__ import annotations

from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poweremail import (
    PowerEmail,
    ConfigurationError,
    Message,
    TemplateMessage,
    UsageError,
)
from poweremail._messages.raw import RawMessage
from poweremail._policy.rehearsal import REDIRECTED_FOR, Rehearsal
from poweremail.batch import Batch
from poweremail.sandbox import Sandbox

VARIABLES = ("POWEREMAIL_REDIRECT_TO", "POWEREMAIL_ALLOW", "POWEREMAIL_DRY_RUN")


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def a_mail(*to: str, **fields: object) -> Message:
    return Message(
        subject="Hi", from_email="office@example.com", to=to or "ada@real.org", text="t", **fields
    )


def a_template(*to: str, **fields: object) -> TemplateMessage:
    return TemplateMessage(
        template_id="welcome", subject="Hi", from_email="o@example.com", to=to, **fields
    )


def a_raw(*to: str) -> EmailMessage:
    raw = EmailMessage()
    raw["From"], raw["To"], raw["Subject"] = "office@example.com", ", ".join(to), "Hi"
    raw["Bcc"] = "hidden@real.org"
    raw.set_content("To: not.a.header@real.org")
    return raw


def body(*to: str, **members: object) -> dict[str, object]:
    message = {"subject": "Hi", "from_email": "o@example.com", "text": "t", **members}
    return {"smtp_user_name": "smtp1", "message": {"to": [{"email": e} for e in to], **message}}


SENDS = {
    "send_mail": lambda c: c.messages.send_mail(a_mail("ada@real.org", bcc="hidden@real.org")),
    "send_template": lambda c: c.messages.send_template(a_template("ada@real.org", "b@real.org")),
    "send_template_http_get": lambda c: c.messages.send_template_http_get(
        a_template("ada@real.org")
    ),
    "send_raw": lambda c: c.messages.send_raw(a_raw("Ada <ada@real.org>", "b@real.org")),
    "call": lambda c: c.call("messages/sendMail", body("ada@real.org", "b@real.org")),
    "call raw": lambda c: c.call(
        "messages/sendRaw",
        {
            "smtp_user_name": "smtp1",
            "raw_message": "From: o@example.com\nSubject: s\nTo: ada@real.org\n\nt",
        },
    ),
}


TO_QA = [{"email": "qa@example.com"}]
A_RAW_FOR_QA = "From: o@example.com\nTo: qa@example.com\nSubject: s\n\nt"
OTHERS = ["Resent-To", "resent-cc", "Resent-Bcc", "Apparently-To"]


def reached(sandbox) -> set[str]:
    return {recipient.email for mail in sandbox.outbox for recipient in mail.recipients}


@pytest.fixture
def sandbox():
    with Sandbox() as sandbox:
        sandbox.add_template("welcome", html="x")
        yield sandbox


@pytest.fixture
def client_of(sandbox):
    return lambda **options: sandbox.client(smtp_user_name="smtp1", **options)


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
def test_every_send_is_redirected(sandbox, client_of, send):
    with client_of(redirect_to="qa@example.com") as client:
        send(client)
    assert reached(sandbox) == {"qa@example.com"}
    if send is not SENDS["send_template_http_get"]:  # a GET carries no header
        assert sandbox.outbox[0].headers[REDIRECTED_FOR].startswith("ada@real.org")


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
def test_a_recipient_that_is_not_allowed_gets_nothing(sandbox, client_of, send):
    with client_of(allow=["*@example.com", "b@real.org"]) as client:
        with pytest.raises(UsageError, match="is not on the allow-list") as caught:
            send(client)
    assert caught.value.mail_state == "not_sent"
    assert reached(sandbox) == set()


@pytest.mark.parametrize("send", SENDS.values(), ids=SENDS)
def test_a_dry_run_sends_nothing_and_says_so(sandbox, client_of, send):
    with client_of(dry_run=True) as client:
        result = send(client)
        assert client.dry_run
    assert "nothing was sent" in result.message
    assert getattr(result, "dry_run", True)
    assert reached(sandbox) == set()


def test_a_dry_run_finds_the_errors_of_a_real_send(client_of):
    with client_of(dry_run=True, redirect_to="qa@example.com") as client:
        with pytest.raises(UsageError, match="a GET carries one recipient"):
            client.messages.send_template_http_get(a_template("a@real.org", "b@real.org"))
        result = client.messages.send_mail(a_mail(unique_id="mine"))
    assert (result.unique_id, result.recipients) == ("mine", ("qa@example.com",))
    assert (result.status, result.attempts) == ("dry_run", 0)


def test_client_options_and_environment_apply_one_after_the_other(sandbox, client_of, monkeypatch):
    monkeypatch.setenv("POWEREMAIL_REDIRECT_TO", "staging@example.com")
    monkeypatch.setenv("POWEREMAIL_ALLOW", "*@example.com, *@example.org")
    with client_of(redirect_to="first@real.org") as client:
        client.messages.send_mail(a_mail())
        client.with_options(redirect_to="second@example.org").messages.send_mail(a_mail())
    assert [mail.to for mail in sandbox.outbox] == [
        ("staging@example.com",),
        ("second@example.org",),
    ]
    assert [mail.headers[REDIRECTED_FOR] for mail in sandbox.outbox] == ["ada@real.org"] * 2


def test_an_option_does_not_loosen_the_environment(sandbox, client_of, monkeypatch):
    monkeypatch.setenv("POWEREMAIL_DRY_RUN", "1")
    with client_of(dry_run=False, allow=["*@*"]) as client:
        assert client.messages.send_mail(a_mail()).dry_run
    assert not sandbox.outbox


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("POWEREMAIL_DRY_RUN", "perhaps"),
        ("POWEREMAIL_ALLOW", "example.com"),
        ("POWEREMAIL_REDIRECT_TO", "nobody"),
    ],
)
def test_an_invalid_variable_is_named_before_anything_is_sent(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=name):
        PowerEmail("owner", "token", "example.com")


def test_the_variables_of_a_given_environment_count():
    environ = {"POWEREMAIL_DRY_RUN": "yes", "POWEREMAIL_TOKEN": "t", "POWEREMAIL_OWNER_ID": "o"}
    assert PowerEmail.from_env(environ, app_domain="example.com").dry_run
    off = {**environ, "POWEREMAIL_DRY_RUN": "0"}
    assert not PowerEmail.from_env(off, app_domain="example.com").dry_run


@pytest.mark.parametrize(
    "unclear",
    [
        {"message": {"to": "ada@real.org"}},
        {"message": {"to": ["ada@real.org"]}},
        {"message": {"to": [{"email": "qa@example.com"}], "headers": {"BCC": "ada@real.org"}}},
        {"message": {"to": [{"email": "qa@example.com"}], "cc": [{"email": "ada@real.org"}]}},
        {"message": {"to": []}},
        {"message": {"to": TO_QA, "Bcc": [{"email": "ada@real.org"}]}},
        {"message": {"to": TO_QA, "bcc_address": "ada@real.org"}},
        {"message": {"to": TO_QA, "To": [{"email": "ada@real.org"}]}},
        {"message": {"to": TO_QA, "headers": {"To": "ada@real.org"}}},
        {"message": {"to": TO_QA, "headers": {"Bcc ": "ada@real.org"}}},
        {"message": {"to": TO_QA, "headers": {"X-A": "a\r\nBcc: ada@real.org"}}},
        {"message": {"to": TO_QA, "headers": {"X-A: a\nBcc": "ada@real.org"}}},
        {"message": {"to": TO_QA, "subject": "s\r\nBcc: ada@real.org"}},
        {"message": {"to": [{"email": "qa@example.com", "name": "a\r\nBcc: ada@real.org"}]}},
        {"message": {"to": [{"email": "ada@real.org <qa@example.com>"}]}},
        {"message": {"to": TO_QA}, "raw_message": A_RAW_FOR_QA},
        {"message": {"to": TO_QA}, "raw_message": ["To: ada@real.org"]},
        {"message": {"to": TO_QA}, "to": "ada@real.org"},
        {"raw_message": A_RAW_FOR_QA, "to": "ada@real.org"},
        {"to": "ada@real.org"},
    ],
)
def test_a_handwritten_body_whose_recipients_are_not_clear_is_not_sent(sandbox, client_of, unclear):
    with client_of(allow=["*@example.com"]) as client:
        with pytest.raises(UsageError, match="not clear"):
            client.call("messages/sendMail", {"smtp_user_name": "smtp1", **unclear})
        with pytest.raises(UsageError, match="may send mail"):
            client.call("messages/sendSomehow", unclear)
        for path in ("settings/verifySendingDomain", "template/sendTest", "settings/testWebhook"):
            with pytest.raises(UsageError, match="may send mail"):
                client.call(path, {"domain": "real.org", "mailbox": "ada"})
        client.call("settings/listSmtp")
    assert not sandbox.outbox


@pytest.mark.parametrize("header", OTHERS)
@pytest.mark.parametrize("allow", [None, ["*@example.com"]])
def test_headers_that_may_name_further_recipients_are_left_out(sandbox, client_of, header, allow):
    others = {header: "ada@real.org"}
    with client_of(redirect_to="qa@example.com", allow=allow) as client:
        client.messages.send_mail(a_mail("qa@example.com", headers=others))
        client.messages.send_raw(f"{header}: ada@real.org\n{A_RAW_FOR_QA}")
        client.call("messages/sendMail", body("qa@example.com", headers=others))
    assert [mail.to for mail in sandbox.outbox] == [("qa@example.com",)] * 3
    for mail in sandbox.outbox:
        assert header.lower() not in {name.lower() for name in mail.headers}
        assert REDIRECTED_FOR in mail.headers


@pytest.mark.parametrize("header", OTHERS)
def test_such_headers_are_not_sent_without_a_redirection(sandbox, client_of, header):
    with client_of(allow=["*@example.com"]) as client:
        for send in (
            lambda: client.messages.send_mail(
                a_mail("qa@example.com", headers={header: "ada@real.org"})
            ),
            lambda: client.messages.send_raw(f"{header} : ada@real.org\n{A_RAW_FOR_QA}"),
        ):
            with pytest.raises(UsageError, match="does not check their recipients"):
                send()
    assert not sandbox.outbox


@pytest.mark.parametrize("gap", [" ", "\t"])
def test_white_space_before_the_colon_hides_no_recipient(sandbox, client_of, gap):
    with client_of(allow=["*@example.com"]) as client:
        with pytest.raises(UsageError, match=r"ada@real\.org is not on the allow-list"):
            client.messages.send_raw(f"Bcc{gap}: ada@real.org\n{A_RAW_FOR_QA}")
        with pytest.raises(UsageError, match=r"ada@real\.org is not on the allow-list"):
            client.messages.send_raw(f"X-A{gap}: b\nBcc: ada@real.org\n{A_RAW_FOR_QA}")
    assert not sandbox.outbox


def test_many_mails_are_redirected(sandbox, client_of):
    with client_of(redirect_to="qa@example.com") as client:
        with client.messages.send_many([a_mail(f"u{n}@real.org") for n in range(5)]) as sent:
            assert [outcome.state for outcome in sent] == ["accepted"] * 5
    assert reached(sandbox) == {"qa@example.com"}


def test_a_batch_is_not_run_by_a_client_that_sends_nothing(client_of, tmp_path):
    with client_of(dry_run=True) as client:
        with Batch(client, tmp_path / "ledger.db", "news") as batch:
            batch.add([a_mail()])
            with pytest.raises(ConfigurationError, match="its client has dry_run=True"):
                batch.run()
            assert batch.status().left == 1


def test_batch_and_client_apply_one_after_the_other(sandbox, client_of, tmp_path):
    with client_of(redirect_to="last@example.com", allow=["ok@real.org"]) as client:
        with Batch(
            client, tmp_path / "ledger.db", "news", redirect_to="ok@real.org", allow=["b@real.org"]
        ) as batch:
            batch.add([a_mail("a@real.org"), a_mail("b@real.org")])
            with batch.run() as outcomes:
                assert [outcome.state for outcome in outcomes] == ["accepted"] * 2
    assert reached(sandbox) == {"ok@real.org", "last@example.com"}


@given(
    st.lists(
        st.sampled_from(
            ["To: a@r.org", "Cc: b@r.org,\n c@r.org", "bCC:d@r.org", "X-A: To: e@r.org"]
        ),
        max_size=6,
    ),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\n\n", "\n\nTo: f@r.org\n"]),
)
def test_a_redirected_raw_message_has_one_recipient_and_the_same_rest(lines, end, tail):
    text = "\n".join(["From: o@example.com", "To: first@r.org", *lines]) + tail
    message = RawMessage.of(text.replace("\n", end))
    redirected = Rehearsal("qa@example.com").apply(message)
    assert RawMessage.of(redirected.text).recipients == ("qa@example.com",)
    head, _, rest = redirected.text.partition(end * 2)
    assert rest == tail.removeprefix("\n\n").replace("\n", end)
    kept = ["From: o@example.com", *(line for line in lines if line.startswith("X-A"))]
    assert head.split(end)[2:] == kept
