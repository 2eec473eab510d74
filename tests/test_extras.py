"""A package of an extra is missing: the error says what to install."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from poweremail._lazy import extra_of

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"

WITHOUT = "import sys; sys.modules[{package!r}] = None; {code}"
COMMAND = "from poweremail._cli import main; main({arguments!r})"


def run_without(package, code):
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(package=package, code=code)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [
        ("sqlalchemy", ["batch", "list", "--ledger", "postgresql://127.0.0.1:1/x"], "batch"),
        ("psycopg", ["batch", "list", "--ledger", "postgresql://127.0.0.1:1/x"], "postgresql"),
        ("uvicorn", ["sandbox", "--port", "0"], "sandbox"),
        ("bcrypt", ["sandbox", "password", "ada"], "sandbox"),
    ],
)
def test_a_command_says_what_to_install(package, arguments, extra):
    done = run_without(package, COMMAND.format(arguments=arguments))
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("poweremail: nothing was done: ")
    assert f"{package} is not installed" in done.stderr
    assert f"pip install 'poweremail[{extra}]'" in done.stderr
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("package", "name", "extra"),
    [
        ("celery", "engines:CeleryMail", "celery"),
        ("sqlalchemy", "engines:CeleryMail", "celery"),
        ("taskiq", "engines:TaskiqMail", "taskiq"),
        ("procrastinate", "engines:ProcrastinateMail", "procrastinate"),
        ("psycopg", "engines:ProcrastinateMail", "procrastinate"),
        ("sqlalchemy", "engines:ProcrastinateMail", "procrastinate"),
        ("sqlalchemy", "engines:Mail", "batch"),
        ("sqlalchemy", "batch:Ledger", "batch"),
        ("django", "contrib.django:EmailBackend", "django"),
    ],
)
def test_the_import_of_a_name_says_what_to_install(package, name, extra):
    module, _, name = name.partition(":")
    done = run_without(package, f"from poweremail.{module} import {name}")
    last, note = done.stderr.splitlines()[-2:]
    assert last.startswith("ModuleNotFoundError: ")
    assert note == f"pip install 'poweremail[{extra}]'"


def test_a_server_of_the_sandbox_says_what_to_install():
    code = "from poweremail.sandbox import Sandbox; Sandbox().server()"
    last = run_without("uvicorn", code).stderr.splitlines()[-1]
    expected = "server: uvicorn is not installed (pip install 'poweremail[sandbox]')"
    assert last == f"poweremail.errors.ConfigurationError: {expected}"


def test_each_extra_brings_the_packages_that_errors_say_it_brings():
    extras = tomllib.loads(PYPROJECT.read_text())["project"]["optional-dependencies"]
    brought = {
        re.split(r"\W*[<>=\[]", requirement)[0].removesuffix("-api"): extra
        for extra, requirements in extras.items()
        for requirement in requirements
        if not requirement.startswith("poweremail") and "[http2]" not in requirement
    }
    needs_no_advice = {"orjson", "trio", "typer", "rich", "platformdirs"}
    assert {
        name: extra_of(ModuleNotFoundError(name=name)) for name in brought.keys() - needs_no_advice
    } == {name: extra for name, extra in brought.items() if name not in needs_no_advice}
    assert extra_of(ModuleNotFoundError(name="poweremail.nowhere")) is None
