"""What the tests of the pytest plugin say of a project of its users."""

from __future__ import annotations

import re
import subprocess

__all__ = ["MESSAGE", "passed"]

MESSAGE = """
from poweremail import Message

def message(**changes):
    fields = {"subject": "Hello", "from_email": "a@example.com", "to": "ada@example.com"}
    return Message(**fields | {"text": "Hi"} | changes)
"""


def passed(done: subprocess.CompletedProcess[str]) -> str:
    return (
        re.findall(r"^(\d+ passed.*?|\d+ failed.*?) in ", done.stdout, re.MULTILINE)[0]
        if done.returncode in (0, 1)
        else done.stdout
    )
