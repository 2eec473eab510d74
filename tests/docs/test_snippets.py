"""Every snippet of the README and the docs runs as it stands."""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from markdown_it import MarkdownIt

import poweremail
from docs.test_pages import FOLLOWED
from poweremail import errors, webhooks
from poweremail._cli.app import app
from poweremail.batch import Batch
from poweremail.contrib.django._clients import close_clients
from support.command import Runner
from support.django_project import configure, mailer
from support.ledgers import entries

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CHANGELOG.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
    ]
)

# Lines of shell that are not run here: the README's two commands are run by continuous integration,
# the last takes minutes. Those of `poweremail webhook` wait for each other;
# tests/cli/test_webhook.py reads them.
ELSEWHERE = (
    *("poweremail demo", ".venv/bin/nox", "nox -s bench", "poweremail webhook"),
    *("benchmarks.ledger", "benchmarks.hosts"),
)

# Programs of an application whose workers have to run: tests/engines/test_pages.py runs them.
WITH_WORKERS = re.compile("from shop import|^# shop/", re.MULTILINE)

# What only a shell understands; a command without it runs in this process, which takes a tenth of
# the time.
SHELL = frozenset(("|", "<", ">", ">>", "&&", "||", ";", "&"))


class Snippet(NamedTuple):
    page: str
    line: int
    language: str
    text: str


def snippets() -> list[Snippet]:
    return [
        Snippet(
            str(page.relative_to(ROOT)),
            token.map[0] + 1,
            token.info.partition(" ")[0],
            token.content,
        )
        for page in PAGES
        for token in MarkdownIt().parse(page.read_text())
        if token.type == "fence"
    ]


def of(*languages: str):
    return pytest.mark.parametrize(
        "snippet",
        [
            snippet
            for snippet in snippets()
            if snippet.language in languages
            and Path(snippet.page).name not in FOLLOWED
            and not WITH_WORKERS.search(snippet.text)
        ],
        ids=lambda s: f"{s.page}:{s.line}",
    )


@pytest.fixture
def place(tmp_path, monkeypatch, served):
    """
    A directory with the files that the examples name, and the environment that the README sets.
    """
    (tmp_path / "invoice.pdf").write_bytes(b"%PDF-1.7\n%%EOF\n")
    (tmp_path / "invite.ics").write_text("BEGIN:VCALENDAR\nEND:VCALENDAR\n")
    (tmp_path / "readers.csv").write_text(
        "email,name,NAME\nada@example.com,Ada,Ada\ngrace@example.com,Grace,Grace\n"
    )
    (tmp_path / "logo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "body.txt").write_text("Thank you!")
    (tmp_path / "invite.ics").write_bytes(b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nEND:VCALENDAR\r\n")
    (tmp_path / "mail.eml").write_text(
        "From: me@example.com\nTo: ada@example.com\nSubject: Hi\n\nHello\n"
    )
    monkeypatch.chdir(tmp_path)
    served.add_template("welcome", html="<h1>Welcome, {{NAME}}!</h1>", text="Welcome, {{NAME}}!")
    for name in ("smtp12345", "smtp1", "smtp2"):
        served.service.store.note_smtp_user(name)
    options = {
        "OWNER_ID": "me",
        "TOKEN": "any",
        "SMTP_USER_NAME": "smtp12345",
        "BASE_URL": served.url,
    }
    for name, value in options.items():
        monkeypatch.setenv(f"POWEREMAIL_{name}", value)
    # Those of the applications with a task queue. Nobody connects.
    monkeypatch.setenv("LEDGER", "ledger.db")
    monkeypatch.setenv("BROKER_URL", "redis://127.0.0.1:1")
    return served


@pytest.fixture(autouse=True)
def _handlers_as_before():
    """Litestar gives the root logger a handler that writes to this test's standard error."""
    before = logging.root.handlers[:]
    yield
    logging.root.handlers[:] = before


@of("python")
def test_python_snippets_run(snippet, place, capsys):
    if "\ndef test_" in snippet.text or "async def test_" in snippet.text:
        pytest_passes(snippet.text)
        return
    code = "\n" * snippet.line + snippet.text
    program = compile(code, snippet.page, "exec", dont_inherit=True)
    if snippet.page == "docs/django.md":
        configure()
        with mailer("EmailBackend"):
            exec(program, {"__name__": "__main__"})
        close_clients()
        return
    exec(program, {"__name__": "__main__"})
    if "from_env()" in snippet.text and "client.call(" not in snippet.text:
        assert place.outbox
    if snippet.page == "README.md":
        # No example of the README ends in one of the errors that it handles.
        assert not [
            word
            for word in ("nothing was sent", "not sent", "said no", "may have been")
            if word in capsys.readouterr().out
        ]


def pytest_passes(tests: str) -> None:
    """The *tests* pass in a project of their own."""
    Path("test_snippet.py").write_text(tests)
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTEST_", "POWEREMAIL_"))
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--strict-markers",
        "-W",
        "error",
    ]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@of("json")
def test_json_snippets_are_valid(snippet):
    json.loads(snippet.text)


@of("sh")
def test_commands_in_snippets_run(snippet, place, tmp_path):
    if "poweremail batch" in snippet.text and "batch create" not in snippet.text:
        with Batch(None, "poweremail-ledger.db", "news") as batch:  # of an earlier snippet
            batch.add(entries(1))
    for line in snippet.text.splitlines():
        words = shlex.split(line)
        if any(elsewhere in line for elsewhere in ELSEWHERE):
            continue
        if words[0] == "export":
            assert all(word.startswith("POWEREMAIL_") for word in words[1:])
        elif "--forever" in words:
            works_until_it_is_told_to_stop(words, tmp_path)
        elif words[:2] == ["poweremail", "batch"]:
            subprocess.run(
                [sys.executable, "-m", *words], cwd=tmp_path, check=True, capture_output=True
            )
        elif words[:2] == ["poweremail", "sandbox"]:
            serves_until_it_is_told_to_stop(words, tmp_path)
        elif words[0] == "poweremail" and SHELL.isdisjoint(words):
            done = Runner().invoke(app, words[1:])
            assert done.exit_code == 0, done.output
        elif "poweremail" in words:
            ends_well(line)
        else:
            pytest.fail(f"no test knows how to run {line!r}")


def ends_well(line: str) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        line,
        shell=True,
        env=os.environ | {"PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def serves_until_it_is_told_to_stop(words: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", *words, "--port", "0"]
    environ = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=environ
    ) as process:
        assert process.stdout.readline().startswith("The sandbox listens at http://127.0.0.1:")
        process.terminate()


def works_until_it_is_told_to_stop(words: list[str], tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    command = [sys.executable, "-m", *words, "--ready-file", ready]
    with subprocess.Popen(command, cwd=tmp_path) as process:
        while not ready.exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.terminate()
    assert process.returncode == 0


@of("ini", "yaml")
def test_configurations_in_snippets_are_files_of_the_examples(snippet):
    """tests/docs/test_examples.py reads the files."""
    examples = (ROOT / "docs" / "examples").glob("*.*")
    assert snippet.text in [example.read_text() for example in examples]


def test_every_snippet_has_a_language_that_is_tested():
    """A fence of another language would not be run by anybody."""
    languages = {snippet.language for snippet in snippets()}
    assert languages <= {"python", "json", "sh", "ini", "yaml", "text", "csv", "toml", ""}


def test_links_have_a_target():
    for page in PAGES:
        for token in MarkdownIt().parse(page.read_text()):
            for child in token.children or ():
                target = str(child.attrs.get("href", ""))
                if child.type == "link_open" and "://" not in target:
                    file, _, place = target.partition("#")
                    to = page.parent / file if file else page
                    assert to.exists(), f"{page.name}: {target}"
                    assert not place or place in places(to), f"{page.name}: {target}"


def places(page: Path) -> set[str]:
    """The names that the headings of *page* have as targets of links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\s-]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def test_every_page_is_in_the_navigation():
    """What mkdocs makes of the pages is checked by ``nox -s docs``."""
    navigation = (ROOT / "tools" / "mkdocs.yml").read_text()
    told = re.findall(r"^ *- (?:[^:\n]+: )?([\w/-]+\.md)$", navigation, re.MULTILINE)
    assert sorted(told) == sorted(
        str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")
    )


def test_every_public_name_is_in_the_reference():
    pages = "\n".join(page.read_text() for page in (ROOT / "docs" / "reference").glob("*.md"))
    told = re.findall(r"^::: poweremail\.(\w+)$", pages, re.MULTILINE)
    # Told by a page for all of their module, or in words.
    others = {*errors.__all__, *webhooks.__all__, "PowerEmail", "__version__"}
    assert {"errors", "webhooks"} <= set(told)
    assert set(poweremail.__all__) - set(told) - others == set()
