from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import NamedTuple

import pytest

from poweremail._cli.app import app
from support.command import Runner

TOKEN = "token-of-the-tests"
# A terminal of a known width, without colours.
PLAIN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("POWEREMAIL_", "FORCE_COLOR"))
} | {
    "COLUMNS": "80",
    "NO_COLOR": "1",
}


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def objects(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]


class Command:
    """
    The command against a sandbox: in this process for breadth, in one of its own for what only that
    shows.
    """

    argv = (sys.executable, "-W", "error", "-m", "poweremail")

    def __init__(self, sandbox, config) -> None:
        self.sandbox = sandbox
        self.config = config
        self.environ = {
            "POWEREMAIL_OWNER_ID": "me",
            "POWEREMAIL_TOKEN": TOKEN,
            "POWEREMAIL_BASE_URL": sandbox.url,
            "POWEREMAIL_SMTP_USER_NAME": "smtp12345",
            "POWEREMAIL_CONFIG": "",
            "XDG_CONFIG_HOME": str(config.parent.parent),
        }

    def __call__(self, *arguments: object, stdin: bytes | None = None) -> Done:
        result = Runner().invoke(
            app, [str(argument) for argument in arguments], input=stdin, env=self.environ
        )
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert TOKEN not in result.stdout + result.stderr
        return Done(result.exit_code, result.stdout, result.stderr)

    @property
    def whole_environ(self) -> dict[str, str]:
        return PLAIN | self.environ

    def start(self, *arguments: object, **options) -> subprocess.Popen:
        command = [*self.argv, *map(str, arguments)]
        options = {
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
            "env": self.whole_environ,
        } | options
        return subprocess.Popen(command, **options)

    def process(self, *arguments: object, stdin: bytes | None = None, **options) -> Done:
        with self.start(*arguments, stdin=subprocess.PIPE, **options) as process:
            out, err = process.communicate(stdin, timeout=60)
        assert TOKEN.encode() not in out + err
        return Done(process.returncode, out.decode(), err.decode())


@pytest.fixture
def command(served, tmp_path, monkeypatch) -> Command:
    for name in [name for name in os.environ if name.startswith("POWEREMAIL_")]:
        monkeypatch.delenv(name)
    served.add_template("welcome", html="<h1>Welcome, {{NAME}}!</h1>", text="Welcome, {{NAME}}!")
    (tmp_path / "poweremail").mkdir()
    return Command(served, tmp_path / "poweremail" / "config.toml")
