"""``poweremail suppression``, and the commands that ask its store."""

from __future__ import annotations

import json

import pytest

from poweremail.suppression import SqliteSuppressionStore, Suppression
from poweremail.unsubscribe import UnsubscribeLinks


@pytest.fixture(params=["file", "ledger"])
def store(command, tmp_path, request):
    place = str(tmp_path / "list.db")
    command.environ["POWEREMAIL_SUPPRESSION"] = (
        place if request.param == "file" else f"sqlite:///{place}"
    )
    return lambda *arguments: command("suppression", *arguments)


def test_entries_are_added_found_listed_and_removed(store):
    assert "2 added" in store("add", "Ada <ADA@example.com>", "bob@example.com").err
    assert "0 added" in store("add", "ada@example.com").err
    added = store("add", "ada@example.com", "--stream", "news", "--reason", "unsubscribe", "--json")
    assert json.loads(added.out) == {"added": 1, "known": 0}
    found = store("lookup", "ada@EXAMPLE.com")
    assert found.status == 0
    assert [line.split("\t")[:3] for line in found.out.splitlines()] == [
        ["ada@example.com", "*", "manual"],
        ["ada@example.com", "news", "unsubscribe"],
    ]
    listed = store("list", "--stream", "news", "--json")
    assert [json.loads(line)["reason"] for line in listed.out.splitlines()] == ["unsubscribe"]
    assert store("remove", "ada@example.com").status == 0
    assert store("remove", "ada@example.com").status == 1
    assert store("lookup", "ada@example.com").status == 1
    assert store("list").out.split("\t")[0] == "bob@example.com"


def test_a_file_is_imported(store, tmp_path):
    file = tmp_path / "left.csv"
    file.write_bytes(b"\xef\xbb\xbfEmail Address\r\nADA@example.com\r\nnobody\r\n")
    done = store("import", file, "--stream", "news", "--reason", "unsubscribe")
    assert done.status == 7
    assert "left.csv:3: address: 'nobody' has no @" in done.err
    assert "1 added of 1 addresses; 1 rows have none" in done.err
    assert store("lookup", "ada@example.com").out.split("\t")[1:3] == ["news", "unsubscribe"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("lookup", "nobody"), "'nobody' has no @"),
        (("add", "a@b.example", "--stream", "no name"), "stream: must be 1 to 64"),
        (("add", "a@b.example", "--reason", "whim"), "--reason: must be one of hard_bounce"),
        (("import", "missing.csv"), "cannot read"),
    ],
)
def test_wrong_usage_changes_nothing(store, arguments, why):
    store("add", "eve@example.com")
    before = store("list").out
    done = store(*arguments)
    assert done.status == 2
    assert why in done.err
    assert store("list").out == before


def test_a_list_that_is_missing_is_no_empty_list(command, tmp_path):
    missing = tmp_path / "mistyped.db"
    command.environ["POWEREMAIL_SUPPRESSION"] = str(missing)
    mail = ("send", "--from", "me@example.com", "-s", "Hi", "--text", "t", "--to", "a@example.com")
    lookup = ("suppression", "lookup", "a@example.com")
    for arguments in (mail, lookup, ("suppression", "list")):
        done = command(*arguments)
        assert done.status == 2
        assert "there is no suppression list" in done.err
    assert not missing.exists()
    assert not command.sandbox.outbox
    assert command("suppression", "add", "eve@example.com").status == 0
    assert command(*mail).status == 0


def test_a_database_that_is_gone_is_no_unfinished_batch(command):
    command.environ["POWEREMAIL_SUPPRESSION"] = "postgresql://app:hunter2@127.0.0.1:1/mail"
    done = command("suppression", "lookup", "a@example.com")
    assert done.status == 1
    assert "the ledger cannot be used" in done.err
    assert "batch" not in done.err
    assert "hunter2" not in done.err


def test_a_store_has_to_be_named(command):
    assert command("suppression", "list").status == 2


def test_commands_that_send_ask_the_store(command, tmp_path):
    command.environ["POWEREMAIL_SUPPRESSION"] = str(tmp_path / "list.db")
    with SqliteSuppressionStore(tmp_path / "list.db") as store:
        store.add([Suppression("ada@example.com", "news")])
    mail = ("send", "--from", "me@example.com", "-s", "Hi", "--text", "t")
    sent = command(*mail, "--to", "ada@example.com", "--unsubscribe", "https://example.com/u/1")
    assert sent.status == 0
    assert command.sandbox.outbox[0].headers["List-Unsubscribe"] == "<https://example.com/u/1>"
    done = command(*mail, "--to", "ada@example.com", "--stream", "news")
    assert done.status == 4
    assert "on the suppression list" in done.err
    assert len(command.sandbox.outbox) == 1


def test_a_batch_signs_a_link_for_each_row_and_asks_the_store(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "people.csv").write_text("email\nada@example.com\nbob@example.com\n")
    create = ("batch", "create", "news", "people.csv", "--from", "me@example.com", "-s", "News")
    (tmp_path / "body.txt").write_text("Hello")
    bulk = ("--text", "body.txt", "--stream", "news", "--unsubscribe-url", "https://example.com/u")
    command.environ["POWEREMAIL_UNSUBSCRIBE_KEYS"] = ""
    refused = command(*create, *bulk)
    assert refused.status == 2
    assert "needs the keys in POWEREMAIL_UNSUBSCRIBE_KEYS" in refused.err
    key = "a-key-that-nobody-else-has"
    command.environ["POWEREMAIL_UNSUBSCRIBE_KEYS"] = f"{key},another-key-from-last-year"
    assert command(*create, *bulk, "--unsubscribe-mailto", "leave@example.com").status == 0
    assert key.encode() not in (tmp_path / "poweremail-ledger.db").read_bytes()
    again = command(*create, *bulk)
    assert "0 added, 2 known already" in again.err
    with SqliteSuppressionStore(tmp_path / "list.db") as store:
        store.add([Suppression("ADA@example.com", "news", reason="unsubscribe")])
    command.environ["POWEREMAIL_SUPPRESSION"] = str(tmp_path / "list.db")
    assert command("batch", "run", "news").status == 7
    (mail,) = command.sandbox.outbox
    https, mailto = mail.headers["List-Unsubscribe"].split(", ")
    assert UnsubscribeLinks("https://example.com/u", key).read(https.strip("<>")).address == (
        "bob@example.com"
    )
    assert mailto.startswith("<mailto:leave@example.com?subject=")
