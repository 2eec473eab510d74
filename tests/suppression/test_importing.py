"""Lists of other services, and of spreadsheets, as people have them."""

from __future__ import annotations

import pytest

from poweremail import ConfigurationError, UsageError
from poweremail.suppression import SqliteSuppressionStore, Suppression, import_csv


@pytest.fixture
def store(tmp_path):
    with SqliteSuppressionStore(tmp_path / "list.db") as store:
        yield store


FILES = {
    "a byte order mark": b"\xef\xbb\xbfemail,name\r\nADA@example.com,Ada\r\n",
    "one address a line": b"ada@example.com\n\n",
    "a byte order mark and no headings": b"\xef\xbb\xbfada@example.com\r\n",
    "one column with another name": b"Subscriber\nada@example.com\n",
    "Postmark": b'"EmailAddress","SuppressionReason"\n"ada@example.com","HardBounce"\n',
    "Mailgun": b"created_at,address,tags\n2026,ada@example.com,*\n",
    "SendGrid": b"status,reason,email,created\n5.1.1,550 x,ada@example.com,1\n",
    "Mailchimp": b'"Email Address","First Name"\nada@example.com,Ada\n',
    "Excel": b"sep=;\nE-Mail;Name\nAda <ada@example.com>;Ada\n",
}


@pytest.mark.parametrize("content", FILES.values(), ids=FILES)
def test_files_are_read_as_people_have_them(store, tmp_path, content):
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    imported = import_csv(store.add, path, stream="news", reason="unsubscribe")
    assert (imported.rows, imported.added, imported.invalid) == (1, 1, 0)
    (entry,) = store.entries()
    assert (entry.address, entry.stream, entry.reason) == (
        "ada@example.com",
        "news",
        "unsubscribe",
    )


def test_thousands_of_rows_and_a_few_bad_ones(store, tmp_path):
    path = tmp_path / "list.csv"
    lines = [f"u{number % 4_000}@Example.com" for number in range(5_000)]
    lines[10], lines[20], lines[30] = "nobody", '"two@example.com, three@example.com"', "a@b@c"
    path.write_text("email\n" + "\n".join(lines))
    imported = import_csv(store.add, path)
    assert (imported.rows, imported.added, imported.invalid) == (4_997, 4_000, 3)
    assert [bad.line for bad in imported.bad_rows] == [12, 22, 32]
    assert "nobody" not in repr(imported)
    again = import_csv(store.add, path)
    assert (again.rows, again.added) == (4_997, 0)


def test_an_import_changes_no_entry_that_is_there(store, tmp_path):
    store.add([Suppression("ada@example.com", reason="spam", note="mail-7")])
    path = tmp_path / "list.csv"
    path.write_text("ada@example.com\n")
    import_csv(store.add, path, reason="spam")
    assert [entry.note for entry in store.entries()] == ["mail-7"]


@pytest.mark.parametrize(
    ("content", "options", "why"),
    [
        (b"a,b\n1,2\n", {}, "has no column with a name such as 'email'"),
        (b"a,b\n1,2\n", {"column": "c"}, "has no column 'c'"),
        (b"PK\x03\x04", {}, "Excel workbook"),
        (b"email\nx@y.z\n", {"stream": "no such name"}, "stream: must be"),
        (b"email\nx@y.z\n", {"reason": "whim"}, "reason: must be one of"),
    ],
)
def test_what_cannot_be_read_adds_nothing(store, tmp_path, content, options, why):
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises((ConfigurationError, ValueError), match=why):
        import_csv(store.add, path, **options)
    assert list(store.entries()) == []
    with pytest.raises(ConfigurationError, match="cannot read"):
        import_csv(store.add, tmp_path / "missing.csv")


def test_another_column_can_be_named(store, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("email,real\nx@y.z,ada@example.com\n,\n")
    assert import_csv(store.add, path, column="real").rows == 1
    assert [entry.address for entry in store.entries()] == ["ada@example.com"]


def test_an_async_store_is_refused(tmp_path):
    (tmp_path / "list.csv").write_text("ada@example.com\n")

    async def add(entries):
        list(entries)

    with pytest.raises(UsageError, match="add: returned an awaitable"):
        import_csv(add, tmp_path / "list.csv")
