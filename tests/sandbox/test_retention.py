"""How many mails are kept, for how long, and what of them."""

from __future__ import annotations

import base64
import sqlite3
from pathlib import Path

import pytest

from poweremail.errors import ConfigurationError
from poweremail.sandbox import Sandbox
from poweremail.sandbox._store.contents import pack, unpack

PDF = bytes(range(256)) * 20


def attached(content: bytes, name: str = "a.pdf") -> dict[str, str]:
    return {
        "name": name,
        "type": "application/pdf",
        "content": base64.b64encode(content).decode(),
    }


def numbers(sandbox: Sandbox) -> list[int]:
    return [mail.number for mail in sandbox.outbox]


def test_the_last_mails_are_kept(api, clock):
    with Sandbox(clock=clock, max_messages=3) as sandbox:
        api.sandbox = sandbox
        changes = sandbox.service.store.changes
        for _ in range(5):
            api.send()
        assert numbers(sandbox) == [3, 4, 5]
        assert [each.number for each in changes.since(0) if each.kind == "deleted"] == [1, 2]
        sandbox.service.mails.delete(4)
        api.send()
        assert numbers(sandbox) == [3, 5, 6]
        assert len(api.info("Id")) == 3


def test_of_many_a_hundredth_more_may_be_kept(api):
    with Sandbox(max_messages=300) as sandbox:
        api.sandbox = sandbox
        for _ in range(302):
            api.send()
        assert len(sandbox.outbox) == 302
        api.send()
        assert numbers(sandbox) == [*range(4, 304)]


def test_old_mails_are_deleted(api, clock):
    with Sandbox(clock=clock, max_age=60) as sandbox:
        api.sandbox = sandbox
        api.send()
        sandbox.clock.advance(30)
        api.send()
        sandbox.clock.advance(31)
        sandbox.service.retention._checked_at = -1.0  # as if a second had passed
        sandbox.service.retention.check_age()
        assert numbers(sandbox) == [2]


@pytest.mark.parametrize("option", [{"max_messages": 0}, {"max_age": 0}, {"max_age": "1d"}])
def test_invalid_options(option):
    with pytest.raises(ConfigurationError, match=f"{next(iter(option))}: must be a number"):
        Sandbox(**option)


def contents(sandbox: Sandbox) -> int:
    return sandbox.service.store.rows("SELECT count(*) AS count FROM contents")[0]["count"]


def test_a_file_is_kept_once(api, sandbox):
    api.send(attachments=[attached(PDF), attached(PDF, "b.pdf")])
    api.send(attachments=[attached(PDF), attached(b"other")])
    assert contents(sandbox) == 2
    first, second = sandbox.outbox
    assert [(file.name, file.content) for file in first.attachments] == [
        ("a.pdf", PDF),
        ("b.pdf", PDF),
    ]
    assert [file.content for file in second.attachments] == [PDF, b"other"]
    assert second.raw["message"]["attachments"] == [attached(PDF), attached(b"other")]
    [row] = sandbox.service.store.rows("SELECT length(raw) AS length FROM mails WHERE number = 2")
    assert row["length"] < 1000
    sandbox.service.mails.delete(1)
    assert (contents(sandbox), sandbox.outbox[0].attachments[0].content) == (2, PDF)
    sandbox.service.mails.clear()
    assert contents(sandbox) == 0


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_files_of_a_raw_message_are_kept_once(api, sandbox, line_end):
    encoded = base64.encodebytes(PDF).decode()
    raw = (
        "Subject: x\nFrom: a@example.com\nTo: b@example.com\nMIME-Version: 1.0\n"
        "Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: text/plain\n\nhi\n"
        "--x\nContent-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\n"
        f"{encoded}--x--\n"
    ).replace("\n", line_end)
    api("sendRaw", smtp_user_name="s", raw_message=raw)
    [mail] = sandbox.outbox
    assert (mail.raw["raw_message"], mail.attachments[0].content) == (raw, PDF)
    [row] = sandbox.service.store.rows("SELECT length(raw) AS length FROM mails")
    assert row["length"] < 1000


def test_a_request_that_looks_packed():
    assert unpack(pack('"\\u00010u\\u0002"', [PDF]), [PDF]) == '"\\u00010u\\u0002"'


@pytest.mark.parametrize("how", ["new", "old"])
def test_the_file_shrinks(api, tmp_path, how):
    path = tmp_path / "caught.db"
    if how == "old":
        script = (Path(__file__).parent / "version_6.sql").read_text()
        connection = sqlite3.connect(path)
        connection.executescript(script)
        connection.execute("PRAGMA user_version = 6")
        connection.close()
    with Sandbox(path, max_messages=2) as sandbox:
        api.sandbox = sandbox
        sandbox.add_smtp_user("smtp12345")
        for number in range(6):
            api.send(attachments=[attached(bytes([number]) * 3_000_000)])
        assert len(sandbox.outbox) == 2
    assert path.stat().st_size < 14_000_000
    with Sandbox(path) as sandbox:
        assert sandbox.outbox[0].attachments[0].content == bytes([4]) * 3_000_000
        sandbox.service.mails.clear()
    assert path.stat().st_size < 1_000_000
