"""``poweremail send`` and ``poweremail template``: what arrives, and how the command ends."""

from __future__ import annotations

import fcntl
import json
import shlex
import signal
import socket
import subprocess
import sys
import termios
import time
from email.message import EmailMessage
from pathlib import Path

import pytest

from poweremail.sandbox import Fault
from support.messages import PNG, message

HELLO = (
    "send",
    "--from",
    "me@example.com",
    "--to",
    "Ada <ada@example.com>",
    "--subject",
    "Hi",
    "--text",
    "Hello",
)
WELCOME = (
    "template",
    "welcome",
    "--from",
    "me@example.com",
    "--to",
    "ada@example.com",
    "-s",
    "Welcome",
)


def test_every_field_of_a_mail_arrives(command, tmp_path):
    content = bytes(range(256)) * 700
    (tmp_path / "all bytes.bin").write_bytes(content)
    (tmp_path / "logo.png").write_bytes(PNG)
    (tmp_path / "body.html").write_text('<img src="cid:logo"> Grüße', encoding="utf-8")
    command.sandbox.add_tracking_domain("t.example.com")
    command.sandbox.add_sending_domain("sign.example.com")
    done = command.process(
        *HELLO,
        *(
            "--cc",
            "cc@example.com",
            "--cc",
            "more@example.com",
            "--bcc",
            "bcc@example.com",
            "--reply-to",
            "Help <help@example.com>",
        ),
        *(
            "--header",
            "X-Campaign: q4",
            "-H",
            "X-Colon: a:b",
            "--unique-id",
            "u1",
            "--html-file",
            tmp_path / "body.html",
        ),
        *(
            "--attach",
            tmp_path / "all bytes.bin",
            "-a",
            tmp_path / "logo.png",
            "--image",
            f"logo={tmp_path / 'logo.png'}",
        ),
        *("--track-opens", "--track-clicks", "html", "--tracking-domain", "t.example.com"),
        *("--no-auto-text", "--auto-html", "--signing-domain", "sign.example.com"),
        *("--return-path-domain", "sign.example.com"),
    )
    assert (done.status, done.out) == (0, "u1\n")
    assert done.err.startswith(
        "accepted for ada@example.com, cc@example.com, more@example.com, bcc@example.com: "
    )
    (mail,) = command.sandbox.outbox
    assert (mail.subject, mail.text, mail.html) == ("Hi", "Hello", '<img src="cid:logo"> Grüße')
    assert (mail.to, mail.cc, mail.bcc) == (
        ("ada@example.com",),
        ("cc@example.com", "more@example.com"),
        ("bcc@example.com",),
    )
    assert [(file.name, file.content) for file in mail.attachments] == [
        ("all bytes.bin", content),
        ("logo.png", PNG),
    ]
    assert [(file.name, file.content, file.type) for file in mail.images] == [
        ("logo", PNG, "image/png")
    ]
    headers = dict(mail.headers)
    assert (headers["X-Campaign"], headers["X-Colon"]) == ("q4", "a:b")
    assert headers["Reply-To"] == "Help <help@example.com>"
    assert (headers["X-STes-TrackOpen"], headers["X-STes-TrackClick"]) == ("yes", "html")
    assert headers["X-STes-TrackingDomain"] == "t.example.com"
    assert (headers["X-STes-Autotext"], headers["X-STes-AutoHtml"]) == ("no", "yes")
    assert headers["X-STes-SigningDomain"] == "sign.example.com"
    assert headers["X-STes-ReturnPathDomain"] == "sign.example.com"
    assert (mail.unique_id, mail.smtp_user_name) == ("u1", "smtp12345")


def test_what_is_made_of_a_mail_is_what_is_shown_and_sent(command):
    arguments = ("send", "--from", "me@example.com", "--to", "ada@bücher.example", "-s", "Hi")
    arguments += ("--html", "<p>Hello</p>", "--text-from-html", "--ascii-domains")
    shown = command(*arguments, "--dry-run", "--json").objects[0]["message"]
    assert (shown["text"], shown["to"][0]["email"]) == ("Hello", "ada@xn--bcher-kva.example")
    assert command(*arguments).status == 0
    command("template", "t1", *arguments[1:7], "--ascii-domains")
    caught = command.sandbox.outbox.one()
    assert (caught.text, caught.to) == ("Hello", ("ada@xn--bcher-kva.example",))


def test_the_unique_id_is_drawn_and_printed(command):
    done = command(*HELLO, "--quiet", "--smtp-user", "other")
    (mail,) = command.sandbox.outbox
    assert (done.status, done.out, done.err) == (0, f"{mail.unique_id}\n", "")
    assert mail.smtp_user_name == "other"


def test_json_reports_the_accepted_mail(command):
    (sent,) = command(*HELLO, "--json").objects
    assert (sent["state"], sent["recipients"], sent["attempts"]) == (
        "accepted",
        ["ada@example.com"],
        1,
    )
    assert sent["unique_id"] == command.sandbox.outbox[0].unique_id


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("@body.txt", "from a file"),
        ("@-", "from stdin"),
        ("@@ada says", "@ada says"),
        ("a@b", "a@b"),
    ],
)
def test_content_comes_from_the_option_a_file_or_standard_input(
    command, tmp_path, monkeypatch, text, expected
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "body.txt").write_text("from a file")
    assert command(*HELLO[:-1], text, stdin=b"from stdin").status == 0
    assert command.sandbox.outbox[0].text == expected


def test_a_template_is_filled(command, tmp_path):
    values = tmp_path / "values.json"
    values.write_text(json.dumps({"NAME": "Grace", "N": 42}))
    done = command(*WELCOME, "--values-file", values)
    assert (done.status, command.sandbox.outbox[-1].text) == (0, "Welcome, Grace!")
    assert done.out == f"{command.sandbox.outbox[-1].unique_id}\n"
    assert command(*WELCOME, "--values-file", values, "--value", "NAME=Ada=Lovelace").status == 0
    assert command.sandbox.outbox[-1].text == "Welcome, Ada=Lovelace!"


def test_a_template_goes_by_get(command):
    done = command(*WELCOME, "--http-get", "--value", "NAME=Ada")
    assert (done.status, done.out, command.sandbox.outbox[0].text) == (0, "", "Welcome, Ada!")
    (sent,) = command(*WELCOME, "--http-get", "--json").objects
    assert sent["unique_id"] is None
    done = command(*WELCOME, "--http-get", "--cc", "cc@example.com")
    assert done.status == 2
    assert "cannot be carried by a GET" in done.err


def test_a_dry_run_sends_nothing_and_needs_no_credentials(command, tmp_path):
    (tmp_path / "notes.txt").write_text("12345")
    command.environ = {"POWEREMAIL_CONFIG": "", "XDG_CONFIG_HOME": str(tmp_path)}
    done = command(
        *HELLO, "--attach", tmp_path / "notes.txt", "--dry-run", "--unique-id", "u1", "--json"
    )
    (shown,) = done.objects
    assert shown["message"]["attachments"] == [
        {"type": "text/plain", "name": "notes.txt", "size": 5}
    ]
    assert shown["message"]["headers"] == {"X-Unique-Id": "u1"}
    assert shown["smtp_user_name"] is None
    assert "not sent" in done.err
    done = command(*WELCOME, "--value", "NAME=Ada", "--smtp-user", "news", "-n")
    shown = json.loads(done.out)
    assert (shown["smtp_user_name"], shown["message"]["dynamic_value"]) == ("news", {"NAME": "Ada"})
    assert command.sandbox.outbox == []


@pytest.mark.parametrize(
    ("fault", "status", "state"),
    [
        (Fault.error("ValidationError", "You must specify subject"), 3, "rejected"),
        (Fault.rate_limited(), 4, "not_sent"),
        (Fault.reset_after_acceptance(), 5, "unknown"),
        (Fault.html(), 5, "unknown"),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_the_exit_status_says_what_happened_to_the_mail(command, fault, status, state):
    command.sandbox.faults.add(fault, call="sendMail")
    done = command(*HELLO, "--json", "--unique-id", "u1")
    (told,) = done.objects
    assert (done.status, told["state"]) == (status, state)
    assert told["error"]["reason"] in done.err
    assert done.err.startswith("poweremail: ")
    if state == "unknown":
        assert (told["unique_id"], told["recipients"]) == ("u1", ["ada@example.com"])
        assert "poweremail reconcile u1" in done.err


def test_a_refused_connection_is_reported(command):
    done = command.process(*HELLO, "--base-url", "http://127.0.0.1:9")
    assert (done.status, done.out) == (4, "")
    assert done.err.startswith("poweremail: not sent: ")
    assert "it is safe to send it again" in done.err


def test_an_unknown_mail_can_be_looked_up_at_once_or_later(command):
    command.sandbox.faults.add(Fault.reset_after_acceptance(), call="sendMail", times=2)
    (sent,) = command(*HELLO, "--json", "--on-unknown", "reconcile", "--visibility", "5").objects
    assert (sent["state"], sent["reconciled"]) == ("accepted", True)
    assert command(*HELLO, "--unique-id", "later").status == 5
    done = command("reconcile", "later", "--to", "ada@example.com")
    assert (done.status, done.out) == (0, "later\n")
    (found,) = command("reconcile", "later", "--json").objects
    assert (found["state"], found["reconciled"]) == ("accepted", True)
    assert command("reconcile", "nothing", "--visibility", "0").status == 5
    assert len(command.sandbox.outbox) == 2


def eml(**extra) -> bytes:
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = (
        "Grüße",
        "Me <me@example.com>",
        "Ada <ada@example.com>",
    )
    for name, value in extra.items():
        mail[name.replace("_", "-")] = value
    mail.set_content("Hello")
    mail.add_alternative("<p>Hello</p>", subtype="html")
    mail.add_attachment(
        bytes(range(256)), maintype="application", subtype="octet-stream", filename="all.bin"
    )
    return bytes(mail)


def test_a_whole_message_comes_from_standard_input_or_a_file(command, tmp_path):
    done = command.process("send", "--eml", "-", "--unique-id", "u1", stdin=eml(X_Campaign="q4"))
    assert (done.status, done.out) == (0, "u1\n")
    (mail,) = command.sandbox.outbox
    assert (mail.subject, mail.to, mail.text.strip(), mail.html.strip()) == (
        "Grüße",
        ("ada@example.com",),
        "Hello",
        "<p>Hello</p>",
    )
    assert [(file.name, file.content) for file in mail.attachments] == [
        ("all.bin", bytes(range(256)))
    ]
    assert dict(mail.headers)["X-Campaign"] == "q4"
    (tmp_path / "mail.eml").write_bytes(eml(X_Unique_Id="u2"))
    assert command("send", "--eml", tmp_path / "mail.eml", "--track-opens").out == "u2\n"
    assert dict(command.sandbox.outbox[1].headers)["X-STes-TrackOpen"] == "yes"


def test_eml_with_a_byte_order_mark(command):
    done = command("send", "--eml", "-", "--unique-id", "u1", stdin=b"\xef\xbb\xbf" + eml())
    assert (done.status, done.out) == (0, "u1\n")
    (mail,) = command.sandbox.outbox
    assert (mail.subject, mail.to) == ("Grüße", ("ada@example.com",))


def test_nothing_can_be_left_out_of_an_eml_that_is_only_an_invitation(command):
    invitation = (
        b"From: a@example.com\nTo: b@example.com\nSubject: s\nContent-Type: text/calendar\n\nx"
    )
    done = command("send", "--eml", "-", stdin=invitation)
    assert "neither a text nor an HTML body" in done.err
    assert "--lossy" not in done.err


def test_eml_excludes_options_for_what_the_message_has(command):
    done = command("send", "--eml", "-", "--subject", "Other", "--to", "b@example.com", stdin=eml())
    assert (done.status, command.sandbox.outbox) == (2, [])
    assert "--eml: the message already has subject, to" in done.err


def test_parts_of_a_message_that_the_service_does_not_carry_are_reported_or_left_out(command):
    raw = eml().replace(
        b"To: Ada", b"Received: from a\nReceived: from b\nX-Twice: 1\nX-Twice: 2\nTo: Ada"
    )
    done = command("send", "--eml", "-", stdin=raw)
    assert (done.status, command.sandbox.outbox) == (2, [])
    done = command("send", "--eml", "-", "--lossy", stdin=raw)
    assert (done.status, len(command.sandbox.outbox)) == (0, 1)
    assert "warning: left out: " in done.err


def test_a_hostile_whole_message_is_read_at_once(command):
    raw = eml().replace(
        b"Content-Type: multipart/mixed;",
        b"Content-Type: multipart/mixed" + b';"' * 70_000 + b'";',
        1,
    )
    assert len(raw) > 140_000
    began = time.process_time()
    done = command("send", "--eml", "-", "--dry-run", stdin=raw)
    # The standard library's newer policies think about such a header for half a minute.
    assert time.process_time() - began < 5
    assert (done.status, "Traceback" in done.err) == (2, False)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--to", "ada"), "not sent: --to: 'ada' has no @"),
        (("--from", "me"), "not sent: --from: 'me' has no @"),
        (("--attach", "nope"), "not sent: --attach: cannot read 'nope': No such file or directory"),
        (("--image", "logo"), "not sent: --image: must be CID=FILE, not 'logo'"),
        (
            ("--image", "logo=nope.png"),
            "not sent: --image: cannot read 'nope.png': No such file or directory",
        ),
        (("--header", "Subject: x"), "not sent: --header: 'Subject' is said by subject already"),
        (("--text", ""), "not sent: --text or --html: missing"),
        (("--tracking-domain", " "), "not sent: --tracking-domain: must not be empty"),
        (
            ("--visibility", "-1"),
            "nothing was done: --visibility: must be a number of seconds, not -1.0",
        ),
        (
            ("--resend-after", "9"),
            "nothing was done: --resend-after: goes with on_unknown='reconcile'",
        ),
        (
            ("--timeout", "0"),
            "nothing was done: --timeout: must be a positive number of seconds or None, not 0.0",
        ),
    ],
)
def test_errors_name_the_option(command, options, told):
    for further in [(), ("--dry-run",)] if options[0] != "--timeout" else [()]:
        done = command(*HELLO, *options, *further)
        assert (done.status, done.err.splitlines()[0]) == (2, f"poweremail: {told}")
    assert command.sandbox.outbox == []


def test_errors_of_a_whole_message_name_the_option(command):
    raw = eml().replace(b"To: Ada", b"Sender: c@example.com\nTo: Ada")
    done = command("send", "--eml", "-", stdin=raw)
    assert done.err == (
        "poweremail: not sent: --eml: the service cannot carry all of it: Sender c@example.com: "
        "the service has no sender beside "
        "From\n  what now   --lossy leaves it out, and says what it left out\n"
    )


def test_ctrl_c_reports_the_state_of_the_mail(command):
    command.sandbox.faults.add(Fault.stall(), call="sendMail")
    with command.start(*HELLO, "--json") as process:
        while not command.sandbox.outbox:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    unique_id = command.sandbox.outbox[0].unique_id
    assert process.returncode == 130
    told = json.loads(out)
    assert (told["state"], told["unique_id"], told["recipients"]) == (
        "unknown",
        unique_id,
        ["ada@example.com"],
    )
    lines = err.decode().splitlines()
    assert lines[0] == "poweremail: unknown whether it was sent: interrupted before a response came"
    assert lines[1] == f"  unique id  {unique_id}"
    assert "Traceback" not in err.decode()


def test_ctrl_c_before_the_mail_leaves(command):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        with command.start(*HELLO, "--json", "--base-url", url) as process:
            with silent.accept()[0] as connection:
                assert connection.recv(1)  # the handshake of TLS, which never ends
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    told = json.loads(out)
    assert (told["state"], told["recipients"]) == ("not_sent", ["ada@example.com"])
    assert err.decode().splitlines()[-1] == "poweremail: not sent: interrupted before it left"


def test_ctrl_c_before_a_mail_exists(command):
    with command.start(*HELLO[:-1], "@-", stdin=subprocess.PIPE) as process:
        process.stdin.write(b"Hel")
        process.stdin.flush()
        while waiting_in(process.stdin):
            assert process.poll() is None
            time.sleep(0.01)
        # It has read the beginning, and waits for more.
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, b"poweremail: interrupted\n")


def waiting_in(pipe) -> int:
    """How many bytes nobody has read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("send", "--from", "me@example.com"), "--subject, --to, --text or --html: missing"),
        ((*HELLO, "--to", "nobody"), "'nobody' has no @"),
        ((*HELLO, "--text-file", "x"), "--text and --text-file exclude each other"),
        ((*HELLO[:-1], "@/nowhere"), "--text: /nowhere cannot be read: No such file"),
        (
            (*HELLO[:-2], "--text-file", "/nowhere"),
            "--text-file: /nowhere cannot be read: No such file",
        ),
        ((*HELLO, "--header", "no colon"), "--header: must be NAME:VALUE, not 'no colon'"),
        ((*HELLO, "--header", "X-A: 1", "--header", "X-A: 2"), "--header: 'X-A' is given twice"),
        ((*HELLO, "--image", "=x.png"), "--image: must be CID=FILE"),
        ((*HELLO, "--attach", "/nowhere"), "/nowhere"),
        ((*HELLO, "--track-clicks", "none"), "--track-clicks"),
        ((*HELLO, "--on-unknown", "hope"), "--on-unknown"),
        ((*HELLO, "--resend-after", "5"), "goes with on_unknown='reconcile'"),
        ((*HELLO, "--timeout", "0"), "timeout"),
        ((*WELCOME, "--value", "NAME"), "--value: must be NAME=VALUE"),
        ((*WELCOME, "--values-file", "/nowhere"), "/nowhere cannot be read"),
        (("info", ""), "UNIQUE_ID: must not be empty"),
    ],
)
def test_invalid_arguments_are_reported_and_nothing_is_sent(command, arguments, told):
    done = command(*arguments)
    assert (done.status, done.out) == (2, "")
    assert told in done.err
    assert "Traceback" not in done.err
    assert command.sandbox.outbox == []


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"[]", "is not a JSON object"), (b"{", "is not JSON"), (b"\xff", "is not UTF-8 at byte 0")],
)
def test_invalid_values_files_are_reported(command, content, told):
    done = command(*WELCOME, "--values-file", "-", stdin=content)
    assert done.status == 2
    assert told in done.err


@pytest.mark.parametrize(
    "redirect",
    ["> /dev/full", ">&-", "--json >&-", "--json > /dev/full", "2> /dev/full", "> /dev/full 2>&1"],
)
def test_an_accepted_mail_is_a_success_even_if_nothing_can_be_printed(command, redirect):
    words = shlex.join([*command.argv, *HELLO, "--unique-id", "u1"])
    done = subprocess.run(
        ["bash", "-c", f"{words} {redirect}"],
        env=command.whole_environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, len(command.sandbox.outbox)) == (0, 1), done.stderr
    assert "Traceback" not in done.stderr
    if redirect in ("> /dev/full", ">&-"):
        assert "u1" in done.stderr


def test_a_list_that_cannot_be_printed_is_no_success(command):
    with command.sandbox.client() as client:
        client.messages.send_mail(message(unique_id="u1"))
    with Path("/dev/full").open("w") as full, command.start("info", "u1", stdout=full) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err == b"poweremail: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize("part", ["text", "html"])
@pytest.mark.parametrize("dash", ["-", "@-"])
def test_a_dash_means_standard_input(command, part, dash):
    done = command(*HELLO[:-2], f"--{part}", dash, stdin=b"the nightly report\n")
    assert done.status == 0
    assert getattr(command.sandbox.outbox[0], part).strip() == "the nightly report"


@pytest.mark.parametrize(
    ("options", "stdin", "reason"),
    [
        (("--text", "-", "--html", "-"), b"x", "--html: standard input is read by --text already"),
        (("--text", "-"), b"", "--text: standard input is empty"),
        (("--text-file", "Dear Ada,\nhello"), b"", "--text-file: must be the name of a file"),
    ],
)
def test_unusable_standard_input_is_reported(command, options, stdin, reason):
    done = command(*HELLO[:-2], *options, stdin=stdin)
    assert (done.status, command.sandbox.outbox) == (2, [])
    assert reason in done.err


def test_closed_standard_input_is_reported(command):
    words = shlex.join([*command.argv, *HELLO[:-2], "--text", "-"])
    done = subprocess.run(
        ["bash", "-c", f"{words} <&-"],
        env=command.whole_environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, command.sandbox.outbox) == (2, [])
    assert "--text: standard input is closed" in done.stderr


@pytest.mark.parametrize(
    ("name", "suffix", "type"),
    [
        ("invite.ics", ";type=text/calendar; method=REQUEST", "text/calendar; method=REQUEST"),
        ("data", ";type=application/x-mine", "application/x-mine"),
        ("notes.txt", "", "text/plain"),
        # Characters that separate elsewhere are part of the name.
        ("a;b=c:d.txt", "", "text/plain"),
        ("a;type=b=c:d.txt", "", "text/plain"),
        ("a;type=b.txt", ";type=text/x-mine", "text/x-mine"),
        ("ends with;type=", "", "application/octet-stream"),
    ],
)
@pytest.mark.parametrize("flag", ["--attach", "--image"])
def test_a_file_has_the_type_that_is_given_or_that_of_its_name(
    command, tmp_path, name, suffix, type, flag
):
    (tmp_path / name).write_bytes(b"content")
    if flag == "--image":
        type, suffix = "image/x-mine", ";type=image/x-mine"
    prefix = "logo=" if flag == "--image" else ""
    html = ("--html", '<img src="cid:logo">') if prefix else ()
    done = command(*HELLO, *html, flag, f"{prefix}{tmp_path / name}{suffix}")
    assert done.status == 0, done.err
    (mail,) = command.sandbox.outbox
    (file,) = (*mail.attachments, *mail.images)
    assert (file.name, file.type) == (prefix.rstrip("=") or name, type)
    assert file.content == b"content"


def test_an_invalid_type_is_reported_by_the_name_of_the_option(command, tmp_path):
    (tmp_path / "a.txt").write_text("a")
    done = command(*HELLO, "--attach", f"{tmp_path / 'a.txt'};type=calendar")
    assert (done.status, command.sandbox.outbox) == (2, [])
    assert "not sent: --attach: attachment.type: 'calendar' is not a MIME type" in done.err


def test_a_rehearsal_redirects_by_options_and_by_the_environment(command):
    assert command(*HELLO, "--redirect-to", "qa@example.com").status == 0
    command.environ["POWEREMAIL_REDIRECT_TO"] = "staging@example.com"
    assert command(*HELLO).status == 0
    refused = command(*HELLO, "--allow", "*@example.org")
    assert (refused.status, "not on the allow-list" in refused.err) == (2, True)
    assert [mail.to for mail in command.sandbox.outbox] == [
        ("qa@example.com",),
        ("staging@example.com",),
    ]


def test_a_dry_run_of_the_environment_sends_nothing_and_says_so(command):
    command.environ["POWEREMAIL_DRY_RUN"] = "1"
    done = command(*HELLO, "--json")
    assert (done.status, done.objects[0]["dry_run"], done.objects[0]["state"]) == (
        0,
        True,
        "not_sent",
    )
    assert not command.sandbox.outbox
