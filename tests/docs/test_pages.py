"""
Each page is followed as a reader would: in its order, in an empty folder, in one terminal.

The language of a block says what it is:

``sh``
    commands for the terminal.
``python``
    a program. With a title it is saved under that name; without one it is saved and run, by pytest
    if it has tests.
``text``
    what the block before it prints. ``...`` stands for anything.
``json``, ``csv``, ``toml``, ``ini``, ``yaml``, ``html``
    a file with the name of the title.
none
    an illustration.

``<!-- not run: REASON -->`` before a block leaves it out.

With POWEREMAIL_PAGES=WHEEL each page gets a new virtual environment, in which ``pip`` installs what
the page says, the wheel among it. Without it the packages have to be there.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from markdown_it import MarkdownIt

from support.terminal import Terminal

ROOT = Path(__file__).parents[2]
WHEEL = os.environ.get("POWEREMAIL_PAGES", "")
PAGES = sorted(
    [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
)

WITH_WORKERS = {"celery.md", "taskiq.md", "procrastinate.md", "queues.md"}
"""tests/engines/test_pages.py runs these, with a real Redis and PostgreSQL."""

DATABASE = "postgresql://mail@db.example.com/mail"
"""The database of the pages, in whose place the tests have one of their own."""

LANGUAGES = {"python", "sh", "text", "json", "csv", "toml", "ini", "yaml", "html", ""}
NOT_RUN = re.compile(r"<!-- not run: (.+?) -->", re.DOTALL)
TITLE = re.compile(r'title="([^"]+)"')


class Block(NamedTuple):
    line: int
    language: str
    title: str | None
    text: str
    not_run: str | None


def blocks(page: Path) -> list[Block]:
    found = []
    before = None
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "fence":
            language = token.info.partition(" ")[0]
            title = TITLE.search(token.info)
            why = NOT_RUN.search(before.content) if before and before.type == "html_block" else None
            found.append(
                Block(
                    token.map[0] + 1,
                    language,
                    title and title[1],
                    token.content,
                    why and why[1],
                )
            )
        before = token
    return found


def runs(page: Path) -> bool:
    return page.name not in WITH_WORKERS and any(
        block.language in ("python", "sh") for block in blocks(page)
    )


@pytest.mark.parametrize(
    "page", [page for page in PAGES if runs(page)], ids=lambda page: str(page.relative_to(ROOT))
)
def test_a_page_runs_as_printed(page, tmp_path, tmp_path_factory, request):
    text = page.read_text()
    database = request.getfixturevalue("postgresql") if DATABASE in text else DATABASE
    work = tmp_path / "work"
    work.mkdir()
    programs = tmp_path / "bin"
    environ = {
        "HOME": str(tmp_path),
        "LANG": "C.UTF-8",
        "PATH": os.pathsep.join([str(programs), str(environment(tmp_path_factory)), os.defpath]),
        "PYTHONUNBUFFERED": "1",
        "UV": shutil.which("uv") or "uv",
        "PYTHONWARNINGS": "error::DeprecationWarning:__main__",
    } | passed_on()
    if WHEEL:
        environ["PYTHONPYCACHEPREFIX"] = str(tmp_path_factory.getbasetemp() / "pycache")
    installer(programs)
    with Terminal(work, environ, {DATABASE: database}) as terminal:
        output = None
        for block in blocks(page):
            if block.not_run:
                output = None
                continue
            place = f"{page.name}:{block.line}"
            if block.language == "text":
                assert output is not None, f"{place}: no block before it prints anything"
                expected = terminal.localize(block.text)
                assert fits(expected, output), f"{place}: it prints\n{output}"
                output = None
            elif block.title:
                save(block, work, terminal)
            elif block.language in ("sh", "python"):
                commands = block.text if block.language == "sh" else saved(block, work, terminal)
                try:
                    output = terminal.run(commands)
                except AssertionError as error:
                    raise AssertionError(f"{place}: {error}") from None
                if commands.rstrip().endswith("&"):
                    output = terminal.background()


def passed_on() -> dict[str, str]:
    """Where uv and Python keep and find things, and which wheel to install."""
    kept = ("UV_", "PYTHONPYCACHEPREFIX", "POWEREMAIL_PAGES", "SSL_CERT_")
    return {name: value for name, value in os.environ.items() if name.startswith(kept)}


def environment(folders: pytest.TempPathFactory) -> Path:
    """
    The programs of an environment for a page: a new one, or that of the tests.

    Each new one has the place of the one before it, so that its modules are compiled already.
    """
    if not WHEEL:
        return Path(sys.executable).parent
    place = folders.getbasetemp() / "venv"
    subprocess.run(
        ["uv", "venv", "-q", "--clear", "--python", sys.executable, str(place)], check=True
    )
    return place / "bin"


def installer(programs: Path) -> None:
    """A ``pip`` that installs the wheel as poweremail, or says what is not there."""
    programs.mkdir()
    pip = programs / "pip"
    pip.write_text(f"#!{sys.executable}\n{Path(__file__).with_name('pip.py').read_text()}")
    pip.chmod(pip.stat().st_mode | stat.S_IXUSR)


def save(block: Block, work: Path, terminal: Terminal) -> None:
    """Save a block as the file of its title, or at the end of it."""
    name, _, at_the_end = block.title.partition(", ")
    assert at_the_end in ("", "at the end"), block.title
    text = terminal.localize(block.text)
    folder = Path(terminal.run("pwd").strip())
    assert folder.is_relative_to(work)
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    with place.open("a" if at_the_end else "w") as file:
        file.write(f"\n{text}" if at_the_end else text)
    check_format(block)


def saved(block: Block, work: Path, terminal: Terminal) -> str:
    """Save a program without a title, and return the command that runs it."""
    tests = re.search(r"^(async )?def test_", block.text, re.MULTILINE)
    name = f"{'test_' if tests else ''}block_{block.line}.py"
    Path(terminal.run("pwd").strip(), name).write_text(terminal.localize(block.text))
    return f"python -m pytest -q -p no:cacheprovider {name}" if tests else f"python {name}"


def check_format(block: Block) -> None:
    """A file of a known format has to be one."""
    if block.language == "json":
        json.loads(block.text)
    elif block.language == "toml":
        tomllib.loads(block.text)
    elif block.language == "yaml":
        yaml.safe_load(block.text)
    elif block.language == "ini":
        configparser.ConfigParser(strict=False, interpolation=None).read_string(block.text)


def fits(expected: str, output: str) -> bool:
    """Whether *output* is what is *expected*, apart from white space at the end of lines."""
    pattern = ".*?".join(re.escape(_trimmed(part)) for part in _trimmed(expected).split("..."))
    return re.fullmatch(pattern, _trimmed(output), re.DOTALL) is not None


def _trimmed(text: str) -> str:
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip("\n")
