"""A project as `startproject` makes it, by its own `manage.py`, against the sandbox over HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.django_project import HAS_MAILERS

SETTINGS = """
import os
INSTALLED_APPS += ["poweremail.contrib.django", "poweremail.contrib.django.outbox"]
DEFAULT_FROM_EMAIL = "shop@example.com"
POWEREMAIL = {"OWNER_ID": "me", "SMTP_USER_NAME": "smtp12345"}
backend = "poweremail.contrib.django." + os.environ.get("BACKEND", "EmailBackend")
"""
SETTINGS += (
    'MAILERS = {"default": {"BACKEND": backend}}\n' if HAS_MAILERS else "EMAIL_BACKEND = backend\n"
)


class Project:
    """Its folder, and the environment in which its commands run."""

    def __init__(self, place: Path, environ: dict[str, str]) -> None:
        self.place = place
        self.environ = {
            name: value for name, value in os.environ.items() if not name.startswith("POWEREMAIL_")
        } | environ

    def manage(self, *arguments: str, **environ: str) -> str:
        """Run a command, which must succeed without a warning, and return what it prints."""
        done = self.run(*arguments, **environ)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def run(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "manage.py", *arguments]
        return subprocess.run(
            command,
            cwd=self.place,
            env=self.environ | environ,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def project(tmp_path, served):
    served.service.store.note_smtp_user("smtp12345")
    environ = {"POWEREMAIL_TOKEN": "canary", "POWEREMAIL_BASE_URL": served.url}
    command = [sys.executable, "-m", "django", "startproject", "shop", str(tmp_path)]
    subprocess.run(command, check=True)
    with (tmp_path / "shop" / "settings.py").open("a") as settings:
        settings.write(SETTINGS)
    return Project(tmp_path, environ)


def subjects(served) -> list[str]:
    return [caught.subject for caught in served.outbox]


def test_a_new_project_sends(project, served):
    assert "no issues" in project.manage("check")
    project.manage("sendtestemail", "ada@example.com")
    (caught,) = served.outbox
    assert (caught.from_email, caught.to) == ("shop@example.com", ("ada@example.com",))
    found = project.manage("poweremail", "doctor")
    assert "owner id and token are valid" in found
    assert "all is well" in found
    assert "canary" not in found
    assert '"ok": true' in project.manage("poweremail", "doctor", "--json").replace(
        '":true', '": true'
    )
    assert "doctor" in project.manage("poweremail", "--", "--help")


def test_a_new_project_sends_by_its_outbox(project, served):
    project.manage("migrate")
    outbox = {"BACKEND": "OutboxEmailBackend"}
    assert "no issues" in project.manage("check", **outbox)
    project.manage("sendtestemail", "ada@example.com", **outbox)
    assert not served.outbox
    code = """
from django.core.mail import EmailMessage
from django.db import transaction
for ending in ("commit", "rollback"):
    with transaction.atomic():
        mail = EmailMessage(ending, "x", "shop@example.com", ["ada@example.com"])
        mail.key = ending
        mail.send()
        mail.send()
        print(mail.poweremail.state, mail.poweremail.key)
        transaction.set_rollback(ending == "rollback")
"""
    told = project.manage("shell", "-c", code, **outbox)
    assert "queued commit" in told
    project.manage("poweremail", "batch", "work", "outbox", **outbox)
    assert len(subjects(served)) == 2
    assert "commit" in subjects(served)  # beside the test mail, in any order


def test_a_rehearsal_of_the_settings(project, served):
    with (project.place / "shop" / "settings.py").open("a") as settings:
        settings.write('POWEREMAIL["REDIRECT_TO"] = "staging@example.com"\n')
    project.manage("sendtestemail", "ada@example.com")
    project.manage("migrate")
    project.manage("sendtestemail", "ada@example.com", BACKEND="OutboxEmailBackend")
    project.manage("poweremail", "batch", "work", "outbox")
    assert [caught.to for caught in served.outbox] == [("staging@example.com",)] * 2
    done = project.run("poweremail", "doctor", POWEREMAIL_REDIRECT_TO="other@example.com")
    assert done.returncode == 1
    assert "differs from POWEREMAIL_REDIRECT_TO" in done.stderr
    with (project.place / "shop" / "settings.py").open("a") as settings:
        settings.write('POWEREMAIL["TYPO"] = 1\n')
    done = project.run("check")
    assert done.returncode == 1
    assert "(poweremail.E001) POWEREMAIL['TYPO']: is not an option" in done.stderr
