"""Searches in mails, with the index and without it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poweremail.errors import UsageError
from poweremail.sandbox import Sandbox
from poweremail.sandbox._store.filter import MailFilter
from poweremail.sandbox._store.mail import CaughtFile, CaughtRecipient, MailContent

DAY = 24 * 3600 * 1000


def keep(sandbox, *, received=0, **changes) -> int:
    fields = {
        "operation": "sendMail",
        "smtp_user_name": "smtp12345",
        "subject": "Hello",
        "from_email": "me@example.com",
        "recipients": (CaughtRecipient("to", "ada@example.com", "Ada Lovelace"),),
    }
    content = MailContent(**fields | changes)
    return sandbox.service.mails.add(content, received=received, visible_from=0)


def index(sandbox) -> None:
    """Index all mails now."""
    while sandbox.service.mails.search_index.index_group() is not None:
        pass


def found(sandbox, search, **conditions) -> list[int]:
    wanted = MailFilter(search=search, **conditions)
    numbers = [mail["number"] for mail in sandbox.service.mails.page(wanted, 1000)]
    oldest_first = sandbox.service.mails.page(wanted, 1000, oldest_first=True)
    assert [mail["number"] for mail in oldest_first] == numbers[::-1]
    return numbers


@pytest.fixture(params=["scanned", "indexed", "both"])
def sandbox(request):
    """Five mails, of which none, all or the first three are indexed."""
    with Sandbox() as sandbox:
        keep(
            sandbox,
            subject="Invoice 42",
            text="Dear Ada,\r\nyour code  is 471108. Thanks!",
            html="<p>Your c<b>od</b>e is&nbsp;471108</p><script>hidden</script><!-- unseen -->",
            headers={"X-Campaign": "q4-sale"},
            received=10 * DAY,
        )
        keep(
            sandbox,
            subject="Grüße aus Berlin",
            from_email="bob@example.org",
            from_name="Bob the Builder",
            recipients=(CaughtRecipient("bcc", "eve@example.com"),),
            html="<td>left</td><td>right</td>",
            received=20 * DAY,
        )
        keep(
            sandbox,
            attachments=(CaughtFile("ticket-berlin.pdf", "application/pdf", b""),),
            unique_id="4f9c-77",
            text="100% sure_thing (really)",
            received=30 * DAY,
        )
        if request.param != "scanned":
            index(sandbox)
        keep(sandbox, text="Code is the word", template_id="welcome", received=40 * DAY)
        keep(sandbox, subject="bob@example.org", text="日本語のメール", received=50 * DAY)
        if request.param == "indexed":
            index(sandbox)
        yield sandbox


@pytest.mark.parametrize(
    ("search", "numbers"),
    [
        ("", [5, 4, 3, 2, 1]),
        ("471108", [1]),
        ("7110", [1]),
        ("code", [4, 1]),
        ("CODE IS", [4, 1]),
        ('"code is"', [4, 1]),
        ('"Your code is 471108."', [1]),
        ('"ode is 47"', [1]),
        ('"is code"', []),
        ('"code is', [4, 1]),
        ("hidden", []),
        ("unseen", []),
        ("leftright", []),
        ('"left right"', [2]),
        ("q4-sale", [1]),
        ("x-campaign", [1]),
        ("ticket-berlin", [3]),
        ("erlin", [3, 2]),
        ("GRÜSSE", [2]),
        ("100%", [3]),
        ("%", [3]),
        ("(really)", [3]),
        ("sure_t", [3]),
        ("4f9c-77", [3]),
        ("welcome", [4]),
        ("本語", [5]),
        ("from:bob", [2]),
        ('from:"the builder"', [2]),
        ("bob", [5, 2]),
        ("to:lovelace", [5, 4, 3, 1]),
        ("to:EVE@", [2]),
        ("to:bob", []),
        ('subject:"invoice 4"', [1]),
        ("subject:code", []),
        ("subject:berlin erlin", [2]),
        ("has:attachment", [3]),
        ("has:attachment code", []),
        ("is:unread is", [4, 1]),
        ("is:read", []),
        ("before:1970-01-31", [2, 1]),
        ("after:1970-01-31", [5, 4, 3]),
        ("after:1970-01-21T00:00:00+00:00 before:1970-02-10 code", []),
        ("after:1970-01-11 before:1970-01-12 code", [1]),
        ("before:yesterday", []),
        ("has:wings", []),
        ("from:", []),
        ("zzz", []),
        ("code zzz", []),
        ("ada", [5, 4, 3, 1]),
    ],
)
def test_a_search(sandbox, search, numbers) -> None:
    assert found(sandbox, search) == numbers


def test_a_search_and_other_conditions(sandbox) -> None:
    assert found(sandbox, "code", after=1) == [4]
    assert found(sandbox, "code", before=4) == [1]
    assert found(sandbox, "code", to="ADA@example.com", status="delivered") == [4, 1]
    assert found(sandbox, "code", status="open") == []
    assert found(sandbox, "", subject="grüße  AUS") == [2]
    assert sandbox.service.mails.first(MailFilter(search="code")) == 4
    assert sandbox.service.mails.first(MailFilter(search="zzz")) is None


def test_deleted_mails_are_not_found(sandbox) -> None:
    sandbox.service.mails.delete(1)
    assert found(sandbox, "code") == [4]
    sandbox.service.mails.clear()
    assert found(sandbox, "code") == []
    assert keep(sandbox, text="code") == 6
    assert found(sandbox, "code") == [6]
    index(sandbox)
    assert found(sandbox, "code") == [6]


TEXTS = st.text(alphabet="aab .-ß€A\n", max_size=12)


@settings(max_examples=40)
@given(st.lists(TEXTS, min_size=1, max_size=6), TEXTS.filter(lambda text: text.strip()))
def test_the_index_finds_what_a_scan_finds(texts, wanted) -> None:
    with Sandbox() as sandbox:
        for text in texts:
            keep(sandbox, text=text)
        scanned = found(sandbox, f'"{wanted}"')
        index(sandbox)
        assert found(sandbox, f'"{wanted}"') == scanned
        folded = " ".join(wanted.casefold().split())
        assert set(scanned) >= {
            number
            for number, text in enumerate(texts, 1)
            if folded in " ".join(text.casefold().split())
        }


def test_parts_of_very_many_words(sandbox) -> None:
    """The index leaves them out, and the texts are compared."""
    keep(sandbox, text=" ".join(f"q{number}y" for number in range(2000)))
    index(sandbox)
    assert found(sandbox, "q") == [6, 1]
    assert found(sandbox, '"q1999y') == [6]
    assert found(sandbox, '"1998y q1"') == [6]
    assert found(sandbox, '"y q1999"') == [6]


def test_too_many_words() -> None:
    with pytest.raises(UsageError, match="at most 32 can be searched for"):
        MailFilter(search="x " * 33)


def test_a_thread_indexes_many_mails(tmp_path) -> None:
    path = tmp_path / "caught.db"
    with Sandbox(path) as sandbox:
        for number in range(600):
            keep(sandbox, text=f"number {number}x" if number % 2 else "even")
        wait_for_the_index(sandbox)
        query = sandbox.service.mails.search_index.query(["number 77x"])
        assert query == (600, '("number 77x"*)')
        assert found(sandbox, "77x") == [578, 478, 378, 278, 178, 78]
    # Another process continues, and knows no word.
    with Sandbox(path) as sandbox:
        keep(sandbox, text="number 77x")
        index(sandbox)
        assert found(sandbox, '"ber 77x"') == [601, 78]
        for number in range(2, 601):
            sandbox.service.mails.delete(number)
        index(sandbox)
        assert sandbox.service.mails.search_index.query(["x"])[0] == 601
        [row] = sandbox.service.store.rows("SELECT sum(mails) AS mails FROM indexed")
        assert row == {"mails": 2}


def wait_for_the_index(sandbox) -> None:
    thread = sandbox.service.mails.search_index._thread
    if thread is not None:
        thread.join(60)
        assert not thread.is_alive()


def test_two_processes_share_an_index(tmp_path) -> None:
    """Two sandboxes are as two processes: neither knows which words the other has indexed."""
    path = tmp_path / "caught.db"
    with Sandbox(path) as one, Sandbox(path) as other:
        keep(one, text="apple pear")
        index(one)
        keep(one, text="pear plum")
        index(other)
        keep(one, text="plum apple")
        index(one)
        for sandbox in (one, other):
            assert found(sandbox, "ppl") == [3, 1]
            assert found(sandbox, "lum") == [3, 2]
        other.service.mails.clear()
        keep(one, text="apple")
        index(one)
        for sandbox in (one, other):
            assert found(sandbox, "ppl") == [4]


def test_a_closed_sandbox_stops_the_thread(tmp_path) -> None:
    with Sandbox(tmp_path / "caught.db") as sandbox:
        for _ in range(600):
            keep(sandbox, text="x " * 1000)
    wait_for_the_index(sandbox)


def test_an_sqlite_without_fts5(sandbox) -> None:
    """Every SQLite at hand has it, so it is hidden."""
    search_index = sandbox.service.mails.search_index
    before = found(sandbox, "code")
    search_index._available = False
    assert found(sandbox, "code") == before
    index(sandbox)
    search_index.clear()
    assert found(sandbox, "code") == before


def test_mails_of_an_older_version_are_found(tmp_path) -> None:
    script = (Path(__file__).parent / "version_6.sql").read_text()
    connection = sqlite3.connect(tmp_path / "old.db")
    connection.executescript(script)
    connection.execute("PRAGMA user_version = 6")
    connection.close()
    with Sandbox(tmp_path / "old.db") as sandbox:
        [number] = found(sandbox, "to:bob@b.example X-A a.bin has:attachment is:read")
        index(sandbox)
        assert found(sandbox, '"x-a: 1"') == [number]


@pytest.mark.parametrize("part", ["<!--", "<script>", "<", "<a ", "<p", "&", "</", "<!-"])
def test_hostile_html_takes_no_longer(part) -> None:
    with Sandbox() as sandbox:
        keep(sandbox, html=part * (1_000_000 // len(part)))
        assert found(sandbox, "needle") == []
