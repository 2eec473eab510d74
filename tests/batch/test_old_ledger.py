"""
A ledger that release 0.1 wrote is read, added to and sent by today's code.

The key of a row is a digest of its payload, and the payload is what will be sent. If either changed
its meaning, a second ``create`` would add mails that the ledger knows already, and they would be
sent twice. `fixtures/ledger-0.1.db` was written by the code of release 0.1.0: `readers.csv`,
`mails.jsonl` and `from_python` were added to the batch *news*, and a sandbox that rejects
``rejected@example.com`` received the first nine mails. So neither the file nor its sources may ever
be written anew.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from pathlib import Path

import attrs
import pytest

from poweremail import Attachment, Image, Message, RateLimits, TemplateMessage, Tracking, UsageError
from poweremail._ledger.forecast import read_used
from poweremail._ledger.payload import pack, unpack
from poweremail.batch import Batch, Ledger, read_csv, read_json_lines
from poweremail.sandbox import Sandbox

FIXTURES = Path(__file__).parent / "fixtures"
PNG = b"\x89PNG\r\n\x1a\nlogo"
PRICES = b"Preisliste\n"


@pytest.fixture
def place(tmp_path) -> str:
    return str(shutil.copy(FIXTURES / "ledger-0.1.db", tmp_path))


def from_csv():
    return read_csv(
        FIXTURES / "readers.csv",
        template_id="welcome",
        subject="News",
        from_email="News <news@example.com>",
    )


def from_json_lines():
    return read_json_lines(FIXTURES / "mails.jsonl")


def from_python():
    yield Message(
        subject="Images",
        from_email="office@example.com",
        to="i@example.com",
        html='<img src="cid:logo">',
        images=[Image.from_bytes(PNG, "logo")],
        attachments=[Attachment.from_bytes(PRICES, "same.txt")],
    )
    yield TemplateMessage(
        subject="T",
        from_email="office@example.com",
        bcc=[("Zoë", "z@example.com")],
        template_id="welcome",
        tracking=Tracking(clicks="no"),
        attachments=[Attachment.from_bytes(b"", "empty")],
    )
    yield Message(
        subject="Not yet sent",
        from_email="office@example.com",
        to="later@example.com",
        html="",
        text="é",
    )


def rows(place: str) -> dict[str, tuple[str, str, str]]:
    """State, unique id and payload of each row, by its key."""
    connection = sqlite3.connect(place)
    try:
        (version,) = connection.execute("SELECT version FROM poweremail_ledger").fetchone()
        table = "poweremail_messages"
        if version > 1:
            table += " JOIN poweremail_payloads ON message = id"
        found = connection.execute(f"SELECT key, state, unique_id, payload FROM {table}")
        return {key: (state, unique_id, payload) for key, state, unique_id, payload in found}
    finally:
        connection.close()


def rows_of(place: str, table: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(place)
    try:
        return connection.execute(f"SELECT * FROM {table}").fetchall()
    finally:
        connection.close()


def tables(place: str) -> dict[str, list[tuple[object, ...]]]:
    """The columns of each table, in any order; an index by its name."""
    connection = sqlite3.connect(place)
    try:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master")]
        return {
            name: sorted(row[1:4] for row in connection.execute(f"PRAGMA table_info({name})"))
            for name in names
            if not name.startswith("sqlite_")
        }
    finally:
        connection.close()


def test_a_migrated_ledger_has_the_tables_of_a_new_one(place, tmp_path):
    new = str(tmp_path / "new.db")
    for each in (place, new):
        with Batch(None, each, "news") as batch:
            batch.add([])
    # Workers of the version before, which still run, read the empty table of bookings.
    migrated = tables(place)
    assert rows_of(place, "poweremail_bookings") == []
    for name in ("poweremail_bookings", "poweremail_bookings_by_user"):
        del migrated[name]
    assert migrated == tables(new)


def test_what_was_sent_before_a_migration_counts_after_it(place):
    now = time.time()
    connection = sqlite3.connect(place)
    connection.execute("DELETE FROM poweremail_bookings")
    connection.executemany(
        "INSERT INTO poweremail_bookings (smtp_user_name, time, count) VALUES ('smtp1', ?, ?)",
        [(now - 90_000, 9), (now - 7_000, 4), (now - 1_000, 3), (now - 10, 2)],
    )
    connection.execute("INSERT OR IGNORE INTO poweremail_smtp_users VALUES ('smtp1', 0, 0)")
    connection.commit()
    connection.close()
    ledger = Ledger(place)
    with ledger.database.reading() as connection:
        used = read_used(connection, "smtp1", RateLimits())
    ledger.close()
    assert [sum(count for _, count in ages) for ages in used.ages] == [2, 5, 9]


@pytest.mark.parametrize(
    ("source", "known", "invalid"), [(from_csv, 4, 1), (from_json_lines, 6, 1), (from_python, 3, 0)]
)
def test_adding_the_same_source_adds_nothing(place, source, known, invalid):
    before = rows(place)
    with Sandbox() as sandbox, sandbox.client(smtp_user_name="smtp1") as client:
        with Batch(client, place, "news") as batch:
            added = batch.add(source())
    assert (added.added, added.known, added.invalid) == (0, known, invalid)
    after = rows(place)
    assert {key: row for key, row in after.items() if row[0] != "invalid"} == {
        key: row for key, row in before.items() if row[0] != "invalid"
    }


def test_every_payload_is_written_as_it_was():
    """The same message makes the same text, byte by byte, and so the same key."""
    for key, (state, unique_id, payload) in rows(FIXTURES / "ledger-0.1.db").items():
        if state == "invalid":
            continue
        members = json.loads(payload)
        files = [*members.get("attachments", ()), *members.get("images", ())]
        contents = {digest: PRICES for _name, _type, digest in files}
        packed = pack(unpack(payload, contents, unique_id))
        if files:  # their contents are not in the payload
            assert json.loads(packed.payload).keys() == members.keys()
            assert list(json.loads(packed.payload)) == list(members)
        else:
            assert packed.payload == payload
            assert key in (packed.digest, unique_id, "key-1")


def test_the_keys_of_messages_with_files_stay():
    keys = rows(FIXTURES / "ledger-0.1.db").keys()
    assert {pack(message).digest for message in from_python()} <= keys


def test_planned_rows_of_an_old_ledger_are_sent_and_all_are_reported(place):
    with Sandbox() as sandbox, sandbox.client(smtp_user_name="smtp1") as client:
        sandbox.add_template("welcome", html="Hello")
        with Batch(client, place, "news") as batch:
            with batch.run() as outcomes:
                assert {outcome.state for outcome in outcomes} == {"accepted"}
            records = list(batch.report())
            counts = batch.status().counts
        mails = {mail.subject: mail for mail in sandbox.outbox}
    assert {state: count for state, count in counts.items() if count} == {
        "invalid": 2,
        "accepted": 11,
        "rejected": 2,
    }
    assert set(mails) == {"Own key", "Images", "T", "Not yet sent"}
    assert [(file.name, file.content) for file in mails["Images"].attachments] == [
        ("same.txt", PRICES)
    ]
    assert [file.content for file in mails["Images"].images] == [PNG]
    assert [file.content for file in mails["T"].attachments] == [b""]
    assert mails["Not yet sent"].text == "é"
    assert {(address, record.state) for record in records for address in record.recipients} >= {
        ("ada@example.com", "accepted"),
        ("taro@example.com", "accepted"),
        ("bcc@example.com", "accepted"),
        ("rejected@example.com", "rejected"),
        ("later@example.com", "accepted"),
        ("not an address", "invalid"),
    }


def test_rejected_rows_of_an_old_ledger_can_be_sent_again(place):
    with Sandbox() as sandbox, sandbox.client(smtp_user_name="smtp1") as client:
        sandbox.add_template("welcome", html="Hello")
        with Batch(client, place, "news") as batch:
            assert batch.retry(rejected=True) == 2
            with batch.run() as outcomes:
                assert [outcome.state for outcome in outcomes].count("accepted") == 6


def test_an_old_ledger_lists_its_batch(place):
    ledger = Ledger(place)
    assert ledger.names() == ["news"]
    ledger.close()


@pytest.mark.parametrize(
    "payload",
    [
        "",
        "[]",
        "{}",
        '{"subject":"s"}',
        '{"subject":"s","from_email":[],"to":[["a@example.com"]],"text":"x"}',
        '{"subject":"s","from_email":["a@example.com"],"to":[["a"]],"text":"x"}',
        '{"subject":"s","from_email":["a@example.com"],"to":[["a@example.com"]],"text":"x","new":1}',
        '{"subject":"s","from_email":["a@example.com"],"to":[["a@example.com"]],"text":"x",'
        '"attachments":[["a","text/plain","unknown digest"]]}',
    ],
)
def test_a_payload_that_cannot_be_read_whole_is_no_message(payload):
    with pytest.raises(UsageError, match="the ledger's row cannot be read"):
        unpack(payload, {}, "id-1")


def test_rows_that_0_1_read_otherwise_are_known_by_their_old_key(tmp_path, monkeypatch):
    """
    `read-otherwise.db` was written by 0.1.0, too. It took several addresses in one string for a
    name, kept encoded names and invisible characters, dropped the empty cell of a column called
    like a field, guessed types by the tables of the machine, and used keys as they were written.
    """
    monkeypatch.setattr(
        "mimetypes.guess_type",
        lambda name: {
            "file.ics": ("text/calendar", None),
            "file.tar.gz": ("application/x-tar", "gzip"),
            "file.txt": ("text/plain", None),
        }[name],
    )
    place = str(shutil.copy(FIXTURES / "read-otherwise.db", tmp_path))
    before = rows(place)
    common = {"subject": "s", "from_email": "me@example.com"}
    with Batch(None, place, "news") as batch:
        for _ in range(2):
            csv = batch.add(read_csv(FIXTURES / "read-otherwise.csv", template_id="t", **common))
            lines = batch.add(read_json_lines(FIXTURES / "read-otherwise.jsonl", **common))
            keys = batch.add(
                read_csv(
                    FIXTURES / "keys-read-otherwise.csv", template_id="t", key="email", **common
                )
            )
            folded = batch.add(
                read_csv(
                    FIXTURES / "keys-read-otherwise.csv",
                    template_id="t",
                    key="email",
                    fold_case=True,
                    **common,
                )
            )
            assert (lines.added, lines.known) == (0, 3)
            assert (keys.added, keys.known, folded.added, folded.known) == (0, 4, 0, 4)
            assert csv.known + csv.added == 6
            # The row that was invalid then is a mail now.
            assert len(rows(place)) == len(before) + 1
    after = rows(place)
    assert {key: row for key, row in before.items() if row[0] != "invalid"}.items() <= after.items()


def test_a_key_that_was_corrected_since_is_known(tmp_path):
    place = str(shutil.copy(FIXTURES / "read-otherwise.db", tmp_path))
    connection = sqlite3.connect(place)
    connection.execute("DELETE FROM poweremail_messages WHERE key = 'ada@example.com'")
    connection.execute(
        "UPDATE poweremail_messages SET key = ? WHERE key LIKE ?", ("\u00a0C-1\t", "C@%")
    )
    connection.commit()
    connection.close()
    path = tmp_path / "corrected.csv"
    path.write_text(
        "email,key\nada@example.com,ada@example.com\nc@example.com,C-1\nd@example.com,C\n"
    )
    with Batch(None, place, "news") as batch:
        added = batch.add(read_csv(path, template_id="t", subject="s", from_email="me@example.com"))
    assert (added.added, added.known) == (1, 2)


def test_messages_of_code_that_0_1_read_otherwise_are_known(tmp_path):
    """`read-otherwise.db` has the mail to Carl's colleagues, whom 0.1 took for one mailbox."""
    place = str(shutil.copy(FIXTURES / "read-otherwise.db", tmp_path))
    again = Message(
        subject="s",
        from_email="me@example.com",
        to="c@example.com",
        cc="C1 <c1@example.com>, C2 <c2@example.com>",
        text="x",
        attachments=[Attachment.from_bytes(b"x", "a.txt")],
    )
    with Batch(None, place, "news") as batch:
        assert batch.add([again]).known == 1
        assert batch.add([attrs.evolve(again, text="y")]).added == 1
