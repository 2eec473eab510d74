"""Every snippet of the README and the docs runs as it stands."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")])

# Lines of shell that are not run here: the README's two commands are run by continuous integration, the last takes minutes.
ELSEWHERE = ("poweremail demo", ".venv/bin/nox", "nox -s bench")


class Snippet(NamedTuple):
    page: str
    line: int
    language: str
    text: str


def snippets() -> list[Snippet]:
    return [
        Snippet(str(page.relative_to(ROOT)), token.map[0] + 1, token.info, token.content)
        for page in PAGES
        for token in MarkdownIt().parse(page.read_text())
        if token.type == "fence"
    ]


def of(language: str):
    return pytest.mark.parametrize(
        "snippet", [snippet for snippet in snippets() if snippet.language == language], ids=lambda s: f"{s.page}:{s.line}"
    )


@pytest.fixture
def place(tmp_path, monkeypatch, served):
    """A directory with the files that the examples name, and the environment that the README sets."""
    (tmp_path / "invoice.pdf").write_bytes(b"%PDF-1.7\n%%EOF\n")
    (tmp_path / "readers.csv").write_text("email,name,NAME\nada@example.com,Ada,Ada\ngrace@example.com,Grace,Grace\n")
    (tmp_path / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    monkeypatch.chdir(tmp_path)
    served.add_template("welcome", html="<h1>Welcome, {{NAME}}!</h1>", text="Welcome, {{NAME}}!")
    for name in ("smtp12345", "smtp1", "smtp2"):
        served.add_smtp_user(name)
    options = {"OWNER_ID": "me", "TOKEN": "any", "SMTP_USER_NAME": "smtp12345", "BASE_URL": served.url}
    for name, value in options.items():
        monkeypatch.setenv(f"POWEREMAIL_{name}", value)
    return served


@of("python")
def test_python_runs(snippet, place, capsys):
    code = "\n" * snippet.line + snippet.text
    exec(compile(code, snippet.page, "exec"), {"__name__": "__main__"})
    if "from_env()" in snippet.text and "client.call(" not in snippet.text:
        assert place.outbox
    if snippet.page == "README.md":
        # No example of the README ends in one of the errors that it handles.
        assert not [
            word for word in ("nothing was sent", "not sent", "said no", "may have been") if word in capsys.readouterr().out
        ]


@of("json")
def test_json_is_json(snippet):
    json.loads(snippet.text)


@of("sh")
def test_shell_runs(snippet, tmp_path, place):
    for line in snippet.text.splitlines():
        words = shlex.split(line)
        if any(elsewhere in line for elsewhere in ELSEWHERE):
            continue
        if words[0] == "export":
            assert all(word.startswith("POWEREMAIL_") for word in words[1:])
        elif words[:2] == ["poweremail", "batch"]:
            subprocess.run([sys.executable, "-m", *words], cwd=tmp_path, check=True, capture_output=True)
        elif words[:2] == ["poweremail", "sandbox"]:
            serves_until_it_is_told_to_stop(words, tmp_path)
        else:
            pytest.fail(f"no test knows how to run {line!r}")


def serves_until_it_is_told_to_stop(words: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", *words, "--port", "0"]
    environ = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environ) as process:
        assert process.stdout.readline().startswith("The sandbox answers at http://127.0.0.1:")
        process.terminate()


def test_nothing_is_left_out():
    """A fence of another language would not be run by anybody."""
    assert {snippet.language for snippet in snippets()} <= {"python", "json", "sh", ""}


def test_links_lead_somewhere():
    for page in PAGES:
        for token in MarkdownIt().parse(page.read_text()):
            for child in token.children or ():
                target = str(child.attrs.get("href", ""))
                if child.type == "link_open" and "://" not in target:
                    assert (page.parent / target).exists(), f"{page.name}: {target}"
