"""What is printed: plain where it is piped, drawn on a terminal, and whole in either case."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from poweremail import Secret
from poweremail._cli.app import app
from poweremail._cli.output import plain
from support.messages import message

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
LONG = "a" * 60 + "@" + "b" * 60 + ".example.com"


def on_a_terminal(command, *arguments, **environ) -> str:
    """What the command prints on a terminal of 80 columns."""
    process, terminal = pty.fork()
    if process == 0:  # pragma: no cover - another process
        os.execvpe(
            command.argv[0],
            [*command.argv, *arguments],
            {**command.whole_environ, "TERM": "xterm", **environ},
        )
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            break
    os.waitpid(process, 0)
    os.close(terminal)
    return shown.decode()


def send(command, **fields) -> None:
    with command.sandbox.client() as client:
        client.messages.send_mail(message(unique_id="u1", **fields))


def test_a_table_is_drawn_on_a_terminal_and_plain_elsewhere(command):
    send(
        command, to=LONG, subject="A subject of some length that does not fit into a narrow column"
    )
    piped = command.process("info", "u1").out
    assert piped.startswith(f"{LONG}\tdelivered\t")
    assert piped.endswith(
        "\t0\t0\tA subject of some length that does not fit into a narrow column\n"
    )
    drawn = on_a_terminal(command, "info", "u1")
    assert "\N{BOX DRAWINGS LIGHT HORIZONTAL}" in drawn
    assert max(len(ESCAPES.sub("", line)) for line in drawn.splitlines()) <= 80
    coloured = on_a_terminal(command, "account", "--help", NO_COLOR="")
    assert "\x1b[" in coloured


def test_no_color_turns_colour_off(command):
    assert "\x1b[3" not in on_a_terminal(command, "account", "--help", NO_COLOR="1")


def test_a_record_is_aligned_on_a_terminal(command):
    drawn = on_a_terminal(command, "account")
    assert "name           Sandbox" in drawn


def test_control_characters_of_the_service_do_not_reach_the_terminal():
    assert plain("a\x1b[2Jb\tc\x9b") == "a\\x1b[2Jb\\tc\\x9b"
    assert plain(Secret("word")) == "***"
    assert [plain(value) for value in (None, True, False, 0, ("a", None), {"x": 1, "y": 2})] == [
        "",
        "yes",
        "no",
        "0",
        "a, ",
        "x 1, y 2",
    ]


def test_each_page_is_printed_as_it_arrives(command):
    with command.sandbox.client() as client:
        for number in range(103):
            client.messages.send_mail(message(unique_id="news", to=f"reader{number}@example.com"))
    lines = command("info", "news").out.splitlines()
    assert len({line.split("\t")[0] for line in lines}) == len(lines) == 103
    assert len(command("info", "news", "--skip-page", "1", "--json").objects) == 3
    first = command("info", "news", "--json").objects[0]
    assert (first["status"], first["open_count"], first["opens"]) == ("delivered", 0, [])
    done = command("info", "nothing")
    assert (done.status, done.out) == (0, "")
    assert "shows no mail" in done.err


def test_a_closed_pipe_is_no_error(command):
    with command.sandbox.client() as client:
        client.messages.send_mail(
            message(unique_id="news", to=[f"reader{number}@example.com" for number in range(100)])
        )
    # The reading end is closed before the command has written anything.
    reading, writing = os.pipe()
    os.close(reading)
    with command.start("info", "news", stdout=writing) as process:
        os.close(writing)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")


def test_an_output_that_cannot_show_a_character_shows_its_escape(command):
    send(command, subject="Grüße \N{SNOWMAN}")
    command.environ["PYTHONIOENCODING"] = "ascii"
    done = command.process("info", "u1")
    assert (done.status, done.out.rstrip().split("\t")[-1]) == (0, "Gr\\xfc\\xdfe \\u2603")
    (record,) = command.process("info", "u1", "--json").objects
    assert record["subject"] == "Grüße \N{SNOWMAN}"


def commands(group, *names):
    yield names
    for name, each in getattr(group, "commands", {}).items():
        yield from commands(each, *names, name)


@pytest.mark.parametrize("names", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_help_fits_into_80_columns(command, names, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    done = command(*names, "--help")
    assert done.status == 0
    assert max(map(len, done.out.splitlines())) <= 80
    assert "Usage: " in done.out


def test_the_exit_statuses_are_documented_in_the_help(command):
    text = " ".join(command("--help").out.split())
    assert "3 rejected by the service, 4 not sent, 5 unknown" in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_written_for_the_shells(command, shell):
    environ = command.whole_environ | {"_POWEREMAIL_COMPLETE": f"source_{shell}"}
    # Where the shell calls it, the command goes by its own name.
    program = Path(sys.executable).with_name("poweremail")
    script = subprocess.run([program], env=environ, capture_output=True, text=True, check=False)
    assert script.returncode == 0
    assert "_POWEREMAIL_COMPLETE" in script.stdout
    shown = subprocess.run(
        [program, "--show-completion", shell],
        env=command.whole_environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.stdout.strip() == script.stdout.strip()


def test_the_errors_of_json_are_json(command):
    done = command("info", "", "--json")
    assert json.loads(done.out)["error"]["type"] == "UsageError"
    assert done.status == 2
