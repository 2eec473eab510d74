"""Where settings come from, and that the token goes nowhere else."""

from __future__ import annotations

import json
import os
import pty
import time
from contextlib import suppress
from pathlib import Path

import pytest

from poweremail.sandbox import Fault

FILE = """
owner_id = "file"
token = "token-of-the-file"
base_url = "http://127.0.0.1:9"
smtp_user_name = "file-user"

[profile.staging]
owner_id = "staging"
smtp_user_name = "staging-user"
app_domain = "staging.example.com"
"""


@pytest.fixture
def config(command):
    """The command with a settings file and an empty environment."""
    command.config.write_text(FILE)
    command.config.chmod(0o600)
    command.environ = {
        name: value for name, value in command.environ.items() if not name.startswith("POWEREMAIL_")
    }
    return command


def effective(command, *arguments) -> dict[str, str]:
    (told,) = command("config", "--json", *arguments).objects
    return {row["setting"]: row["value"] for row in told["settings"]}


def test_flags_override_the_environment_and_that_overrides_the_file(config):
    assert effective(config) == {
        "owner_id": "file",
        "token": "***",
        "base_url": "http://127.0.0.1:9",
        "smtp_user_name": "file-user",
    }
    config.environ |= {
        "POWEREMAIL_OWNER_ID": "environment",
        "POWEREMAIL_SMTP_USER_NAME": "environment-user",
    }
    shown = effective(config, "--smtp-user", "flag-user")
    assert (shown["owner_id"], shown["smtp_user_name"]) == ("environment", "flag-user")


def test_base_url_and_app_domain_come_from_one_source(config):
    assert effective(config, "--app-domain", "a.example.com")["app_domain"] == "a.example.com"
    assert "base_url" not in effective(config, "--app-domain", "a.example.com")
    config.environ["POWEREMAIL_APP_DOMAIN"] = "b.example.com"
    assert "base_url" not in effective(config)


def test_a_requested_profile_overrides_the_environment(config):
    config.environ["POWEREMAIL_OWNER_ID"] = "environment"
    shown = effective(config, "--profile", "staging")
    assert (shown["owner_id"], shown["app_domain"], shown["token"]) == (
        "staging",
        "staging.example.com",
        "***",
    )
    assert "base_url" not in shown
    config.environ["POWEREMAIL_PROFILE"] = "staging"
    shown = effective(config)
    assert (shown["owner_id"], shown["smtp_user_name"]) == ("environment", "staging-user")


def test_config_shows_the_file_and_the_source_of_each_setting(config):
    done = config("config", "--profile", "staging")
    assert done.err == f"settings file: {config.config}\n"
    assert f"owner_id\tstaging\t{config.config} [profile.staging]\n" in done.out
    assert f"token\t***\t{config.config}\n" in done.out
    assert "token-of" not in done.out
    config.config.unlink()
    assert config("config").err == f"settings file: {config.config} (there is no such file)\n"


def test_options_stand_before_or_after_the_command(command):
    for arguments in (
        ("--smtp-user", "early", "config", "--json"),
        ("--json", "config", "--smtp-user", "early"),
    ):
        (told,) = command(*arguments).objects
        assert {row["setting"]: row["value"] for row in told["settings"]}[
            "smtp_user_name"
        ] == "early"
    (told,) = command("--smtp-user", "early", "config", "--smtp-user", "late", "--json").objects
    assert {row["setting"]: row["value"] for row in told["settings"]}["smtp_user_name"] == "late"
    command.sandbox.add_smtp_user("news")
    assert [user["smtp_user_name"] for user in command("smtp-users", "--json", "list").objects] == [
        "news"
    ]


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o600])
def test_a_file_that_others_can_read_is_reported(config, mode):
    config.config.chmod(mode)
    err = config("account", "--timeout", "1").err
    assert (
        f"warning: {config.config} holds a token and others can read it (mode {mode:o})" in err
    ) == (mode != 0o600)
    assert config("account", "--quiet").err.count("warning") == 0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("owner_id = ", "is not TOML"),
        ("tokn = 'x'", "'tokn' is not a setting"),
        ("owner_id = 5", "owner_id must be a string"),
        ("token = 'a'\ntoken_file = 'b'", "exclude each other"),
        ("token_file = 'nothing'", "nothing cannot be read: No such file"),
    ],
)
def test_an_invalid_file_is_reported(config, content, told):
    config.config.write_text(content)
    done = config("account")
    assert done.status == 2
    assert told in done.err


def test_a_missing_file_or_profile_is_reported(config):
    assert "has no profile 'production'" in config("config", "--profile", "production").err
    assert config("config", "--profile", "production").status == 2
    assert "there is no settings file /nowhere" in config("config", "--config", "/nowhere").err
    done = config("config", "--config", "/dev/null/config.toml")
    assert (done.status, "no settings file /dev/null/config.toml" in done.err) == (2, True)
    config.config.write_bytes(b"\xff")
    assert "it is not UTF-8" in config("config").err
    config.config.unlink()
    assert "it has none" in config("config", "--profile", "staging").err


def test_a_home_that_is_no_folder_has_no_settings(command):
    command.environ["XDG_CONFIG_HOME"] = "/dev/null"
    done = command("config")
    assert done.status == 0
    assert "(there is no such file)" in done.err


def test_missing_settings_are_reported_with_the_ways_to_give_them(command):
    command.environ = {"XDG_CONFIG_HOME": command.environ["XDG_CONFIG_HOME"]}
    done = command(
        "send", "--from", "a@example.com", "--to", "b@example.com", "-s", "Hi", "--text", "Hello"
    )
    assert (done.status, done.out) == (2, "")
    assert "owner_id, token, app_domain and smtp_user_name are missing" in done.err
    assert "--token-file (or --ask-token)" in done.err
    assert "POWEREMAIL_TOKEN" in done.err
    assert str(command.config) in done.err
    assert "poweremail sandbox" in done.err


def test_the_token_comes_from_a_file(command, tmp_path):
    (tmp_path / "secret").write_text("  token-in-a-file\n")
    command.environ.pop("POWEREMAIL_TOKEN")
    (tmp_path / "secret").chmod(0o604)
    assert (
        "others can read it (mode 604)"
        in command("account", "--token-file", tmp_path / "secret").err
    )
    (tmp_path / "secret").chmod(0o600)
    done = command("account", "--token-file", tmp_path / "secret")
    assert (done.status, done.err) == (0, "")
    command.config.write_text("token_file = '../secret'")
    assert command("account").status == 0
    (tmp_path / "secret").write_text("\n")
    assert "it is empty" in command("account").err
    (tmp_path / "secret").write_bytes(b"\xff")
    assert "it is not UTF-8" in command("account").err
    done = command("account", "--token", "a", "--token-file", "b")
    assert (done.status, "--token and --token-file exclude each other" in done.err) == (2, True)
    assert command("account", "--token", "any").status == 0


def asked_on_a_terminal(command, typed: bytes) -> tuple[int, bytes]:
    """
    Type *typed* where the token is asked for; return the exit status, and what the terminal shows.
    """
    command.environ.pop("POWEREMAIL_TOKEN")
    process, terminal = pty.fork()
    if process == 0:  # pragma: no cover - another process
        os.execvpe(
            command.argv[0], [*command.argv, "account", "--ask-token"], command.whole_environ
        )
    shown = b""
    while b"Token: " not in shown:
        shown += os.read(terminal, 1000)
    os.write(terminal, typed)
    while True:
        try:
            shown += os.read(terminal, 1000)
        except OSError:
            break
    _, status = os.waitpid(process, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown


def test_the_token_is_read_from_the_terminal_without_echo(command):
    status, shown = asked_on_a_terminal(command, b"typed-by-hand\n")
    assert status == 0
    assert b"Sandbox" in shown
    assert b"typed-by-hand" not in shown


def test_an_interruption_at_the_prompt_is_reported_on_a_new_line(command):
    status, shown = asked_on_a_terminal(command, b"\x03")
    assert status == 130
    assert shown.splitlines()[-2:] == [b"Token: ", b"poweremail: interrupted"]


def test_without_a_terminal_there_is_no_prompt_for_the_token(command):
    done = command.process("account", "--ask-token", stdin=b"from stdin\n", start_new_session=True)
    assert done.status == 2
    assert "there is no terminal to ask for the token on" in done.err


def test_the_token_is_in_no_list_of_processes(command, tmp_path):
    (tmp_path / "secret").write_text("token-to-be-kept")
    command.environ.pop("POWEREMAIL_TOKEN")
    rule = command.sandbox.faults.add(Fault.stall())
    with command.start("account", "--token-file", tmp_path / "secret") as process:
        while not rule.hit:
            assert process.poll() is None
            time.sleep(0.01)
        lines = []
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(FileNotFoundError, ProcessLookupError):  # it may end at any moment
                lines.append(file.read_bytes())
        process.kill()
        out, err = process.communicate()
    assert any(b"--token-file" in line for line in lines)
    assert b"token-to-be-kept" not in b"".join([*lines, out, err])


def test_plain_http_to_another_machine_prints_a_warning(command):
    done = command("account", "--base-url", "http://192.0.2.1:9", "--timeout", "0.2", "--json")
    assert "warning: base_url is plain http" in done.err
    assert json.loads(done.out)["state"] in ("not_sent", "failed")
