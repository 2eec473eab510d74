"""A project of a user, which has the plugin."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest


@pytest.fixture
def project(tmp_path: Path):
    """
    Write down *tests* as a project's and run them; options go to pytest.

    *mocks*: whether the project uses the plugins of packages that mock, which load httpx.
    """

    def run(tests: str, *options: str, mocks: bool = False) -> subprocess.CompletedProcess[str]:
        (tmp_path / "test_the_app_sends_to_the_server.py").write_text(textwrap.dedent(tests))
        # A project of its own: not this one's settings, and not the workers of this run.
        environ = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTEST_", "POWEREMAIL_", "COV_"))
        }
        without = ("pytest_httpx", "pytest_httpx2", "respx")
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:asyncio",
            "-p",
            "no:trio",
            *(() if mocks else (part for name in without for part in ("-p", f"no:{name}"))),
            "-q",
            *options,
        ]
        return subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )

    return run
